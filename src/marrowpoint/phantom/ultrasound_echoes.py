"""Echoes of tissue, layers, bone and needle, added as amplitudes in beam space."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from marrowpoint.phantom.ultrasound_scene import BEAMS, SAMPLE_MM, UltrasoundScene

PULSE_MM = 0.35  # standard deviation of the pulse's envelope
TAIL_MM = 1.6  # decay length of what rings on behind bone
COPY_MM = 1.7  # distance of the copies below a shaft
NOISE = 0.002  # amplitude of the receiver's noise; tissue has 0.1
SPECKLE_MM = 0.48  # at which the speckle is 1.8 beams wide


def echoes_of(
    scene: UltrasoundScene, down: np.ndarray, right: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude of every sample, and the first sample of each beam that lies in bone.

    Parameters
    ----------
    scene : UltrasoundScene
    down, right : ndarray of shape (B, D)
        Place of every sample of every beam [mm].
    random : Generator

    Returns
    -------
    echo : ndarray of shape (B, D)
    first : ndarray of shape (B,)
        D where the beam meets no bone.
    """
    depth = np.arange(down.shape[1]) * SAMPLE_MM
    real, imaginary = (_speckle(scene, random.standard_normal(down.shape)) for _ in range(2))
    echo = 0.9 * np.hypot(real, imaginary) * np.exp(-depth / 120.0)
    echo *= 0.6 + 0.8 * (0.5 + 0.5 * np.tanh((depth - 10.0) / 1.5))
    for layer in scene.fascia_mm:
        wave = layer + 0.6 * np.sin(np.arange(BEAMS) / 37.0 + layer)[:, None]
        echo += 0.9 * np.exp(-(((depth - wave) / 0.5) ** 2) / 2) * (0.6 + 0.4 * random.random((BEAMS, 1)))
    first = np.full(BEAMS, down.shape[1])
    if scene.peak is not None:
        inside = down >= scene.surface_depth(right)
        first = np.where(inside.any(axis=1), inside.argmax(axis=1), down.shape[1])
        echo = _with_bone(scene, echo, first, right, depth)
    if scene.tip is not None:
        echo = _with_needle(scene, echo, down, right, first)
    if scene.gel_mm > 0:
        echo *= np.where((depth > 1.0) & (depth < scene.gel_mm), 0.02, 1.0)
    if scene.fascia_shadow_deg is not None:
        place = np.linspace(-scene.limit, scene.limit, BEAMS)
        blind = (place >= scene.fascia_shadow_deg[0]) & (place <= scene.fascia_shadow_deg[1])
        echo[blind] *= np.where(depth < 1.5, 1.0, 0.01)
    return echo + NOISE * np.abs(random.standard_normal(down.shape)), first


def _speckle(scene: UltrasoundScene, noise: np.ndarray) -> np.ndarray:
    size = scene.speckle_mm / SPECKLE_MM
    smooth: np.ndarray = ndimage.gaussian_filter(noise, (1.8 * size, 2.0 * size))
    return smooth if size == 1 else smooth * size


def _with_bone(
    scene: UltrasoundScene, echo: np.ndarray, first: np.ndarray, right: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    met = np.flatnonzero(first < len(depth))
    surface = first[met] * SAMPLE_MM
    # mirror-like: the more askew the surface, the less comes back
    tilt = np.abs(np.gradient(surface) / np.maximum(np.gradient(right[met, first[met]]), 1e-3))
    strength = 12.0 / (1 + tilt**2) ** 1.5 + 0.6
    behind = depth[None] - surface[:, None]
    pulse = np.exp(-((behind / PULSE_MM) ** 2) / 2)
    tail = np.where(behind > 0, 0.25 * np.exp(-behind / TAIL_MM), 0.0)
    echo = echo.copy()
    echo[met] = np.where(behind > 0, 0.004 * echo[met], echo[met])
    echo[met] += strength[:, None] * ndimage.gaussian_filter(pulse + tail, (1.2, 0))
    return echo


def _with_needle(
    scene: UltrasoundScene, echo: np.ndarray, down: np.ndarray, right: np.ndarray, first: np.ndarray
) -> np.ndarray:
    assert scene.tip is not None
    lean = np.radians(scene.lean_deg)
    toward_skin = np.array([-np.cos(lean), np.sin(lean)])
    shaft = np.zeros_like(echo)
    step = int(COPY_MM / SAMPLE_MM)
    along = (down - scene.tip[0]) * toward_skin[0] + (right - scene.tip[1]) * toward_skin[1]
    across = (down - scene.tip[0]) * toward_skin[1] - (right - scene.tip[1]) * toward_skin[0]
    shows = (along >= 0) & (along <= scene.shown_mm) & (np.arange(down.shape[1])[None] < first[:, None])
    for near, far in scene.gaps:
        shows &= (along < near) | (along > far)
    single = np.where(shows, scene.needle_echo * np.exp(-((across / 0.3) ** 2) / 2), 0.0)
    for copy, strength in enumerate((1.0, 0.35, 0.12)):
        shaft[:, copy * step :] += strength * single[:, : single.shape[1] - copy * step]
    if scene.gauge_mm > 0:
        behind = across - np.copysign(scene.gauge_mm, scene.lean_deg)
        shaft += 0.6 * np.where(shows, scene.needle_echo * np.exp(-((behind / 0.3) ** 2) / 2), 0.0)
    blurred = ndimage.gaussian_filter(shaft, (1.2, PULSE_MM / SAMPLE_MM))
    covered = np.maximum.accumulate(single > 0.5, axis=1)
    whole: np.ndarray = np.where(covered, scene.needle_shadow, 1.0) * echo + blurred
    return whole
