"""Runs: many frames over one ray-cast background, so that a run costs seconds and its truth is known for every frame.

The bone and its surroundings are cast once. What changes in a run lies in a plane through the needle: steel and iodine are
drawn there as path lengths at sub-pixel places, attenuate the background in each energy bin (exact for a thin layer), and the
whole is moved with the patient before scatter, quanta and display. Perspective inside the few millimetres of a spread is left
out: it would change lengths by less than one per cent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.phantom.physics import ATTENUATION, BIN_SHARE, Display, Exposition, collimator
from marrowpoint.phantom.scene import COLLIMATOR_LEAK, Scene, scene_paths_mm

# Mass attenuation of iodine at 40, 55 and 70 keV [cm2/g] (NIST X-Ray Mass Attenuation Coefficients).
IODINE_CM2_G = (22.1, 9.6, 5.05)
SCATTER_STEP = 8
Drawn = tuple[FloatImage, FloatImage]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """The patient without needle and contrast, cast once.

    Parameters
    ----------
    bins : ndarray of shape (3, M, N), float32
        Detected share of the beam behind the patient in each energy bin.
    aperture : ndarray of shape (M, N), float32
        Collimator, 1 inside.
    hip : ndarray of shape (M, N), bool
        Silhouette of the hip bone.
    outline : tuple of ndarray of shape (K, 2)
        Its sub-pixel outline, (row, column) [px].
    mm_per_px : float
        Size of a pixel at the isocentre [mm].
    pitch_mm : float
        Distance of pixels at the detector [mm].
    window : tuple of float
        Log signals that become black and white, the same for all frames.
    """

    bins: FloatImage
    aperture: FloatImage
    hip: Mask
    outline: tuple[Points, ...]
    mm_per_px: float
    pitch_mm: float
    window: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where the patient lies in one frame, against the first: shift (row, column) [px] and turn [deg] about the middle."""

    shift_px: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0

    def matrix(self, shape: tuple[int, int]) -> Points:
        """Affine 2 x 3 matrix in OpenCV's (x, y), from the first frame to this one."""
        middle = (shape[1] - 1) / 2, (shape[0] - 1) / 2
        matrix = np.asarray(cv2.getRotationMatrix2D(middle, self.turn_deg, 1.0), dtype=np.float64)
        matrix[:, 2] += np.array([self.shift_px[1], self.shift_px[0]])
        return np.asarray(matrix, dtype=np.float64)

    def move(self, point: tuple[float, float], shape: tuple[int, int]) -> tuple[float, float]:
        """Where a point (row, column) of the first frame lies in this one."""
        x, y = self.matrix(shape) @ np.array([point[1], point[0], 1.0])
        return float(y), float(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """How every frame of a run is taken.

    Parameters
    ----------
    exposition : Exposition
        Dose and blur; the dose is that of gain 1.
    display : Display
        Bits, polarity, display curve; its window is not used, the background's is.
    frame_ms : float
        Time between frames [ms].
    """

    exposition: Exposition = field(default_factory=lambda: Exposition(counts=120.0))
    display: Display = field(default_factory=lambda: Display(bits=12))
    frame_ms: float = 100.0


def cast_background(scene: Scene) -> Background:
    """Cast everything that does not change during a run.

    Parameters
    ----------
    scene : Scene
        Its needle is not drawn.

    Returns
    -------
    Background
    """
    rng = np.random.default_rng(scene.seed)
    paths, silhouette = scene_paths_mm(scene, rng)
    bins = np.empty((len(BIN_SHARE), *scene.beam.shape), np.float32)
    for k, share in enumerate(BIN_SHARE):
        exponent = sum((np.float32(ATTENUATION[name][k]) * path for name, path in paths.items()), np.float32(0))
        bins[k] = np.float32(share) * np.exp(-exponent)
    aperture = collimator(scene.beam.shape, scene.display)
    beam = scene.beam
    plain = Background(
        bins=bins,
        aperture=aperture,
        hip=np.asarray(silhouette.mask(beam.shape) & (aperture > 0.5)),
        outline=silhouette.outline(),
        mm_per_px=beam.pitch_mm * beam.sod_mm / beam.sid_mm,
        pitch_mm=beam.pitch_mm,
        window=(0.0, 1.0),
    )
    dark = -np.log(np.maximum(_quanta(bins.sum(0) * aperture, plain, scene.exposition), 1e-3))
    low, high = np.percentile(dark[aperture > 0.5], scene.display.window)
    # contrast and steel are darker than any bone: they need room in the window
    return replace(plain, window=(float(low) - 0.15, float(high) + 0.25))


def take_frame(
    background: Background, drawn: Drawn, pose: Pose, camera: Camera, gain: float, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """One frame of a run.

    Parameters
    ----------
    background : Background
    drawn : tuple of ndarray of shape (M, N)
        Path through steel [mm], and iodine over the picture [mg/cm2], where the patient lay in the first frame.
    pose : Pose
    camera : Camera
    gain : float
        Dose over the camera's: brightness and noise follow it.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (M, N), uint16
        Stored values.
    """
    shape = background.aperture.shape
    steel, iodine = drawn
    total = np.zeros(shape, np.float32)
    for k, mass in enumerate(IODINE_CM2_G):
        total += background.bins[k] * np.exp(-np.float32(ATTENUATION["steel"][k]) * steel - np.float32(mass / 1000) * iodine)
    matrix = pose.matrix((shape[0], shape[1]))
    moved = cv2.warpAffine(total, matrix, shape[::-1], flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    mask = COLLIMATOR_LEAK + (1 - COLLIMATOR_LEAK) * background.aperture
    quanta = _quanta(np.maximum(moved, 0) * mask, background, camera.exposition)
    counts = camera.exposition.counts * gain
    counted = rng.poisson(quanta.astype(np.float64) * counts) + rng.normal(0, camera.exposition.electronic_counts, shape)
    detected = cv2.GaussianBlur((counted / camera.exposition.counts).astype(np.float32), (0, 0), camera.exposition.grain_px)
    return _develop(np.asarray(detected), background, camera.display)


def added_log(background: Background, iodine: FloatImage, exposition: Exposition) -> FloatImage:
    """What iodine adds to the log signal, noise-free and with scatter, shape (M, N)."""
    with_it = np.zeros_like(background.aperture)
    for k, mass in enumerate(IODINE_CM2_G):
        with_it += background.bins[k] * np.exp(-np.float32(mass / 1000) * iodine)
    haze = _haze(background.bins.sum(0) * background.aperture, background, exposition)
    return np.asarray(np.log((background.bins.sum(0) + haze) / (with_it + haze)), dtype=np.float32)


def smooth_walk(rng: np.random.Generator, count: int, amplitude: float, period: float) -> NDArray[np.float64]:
    """Breathing and drift: a slow wave of random phase with a random walk, zero at the first frame, shape (count,)."""
    steps = np.arange(count)
    wave = np.sin(2 * np.pi * (steps / period + rng.uniform()))
    drift = np.cumsum(rng.normal(0, 0.04, count))
    path = amplitude * (wave - wave[0] + drift - drift[0])
    return np.asarray(path, dtype=np.float64)


def _quanta(passed: FloatImage, background: Background, exposition: Exposition) -> FloatImage:
    primary = cv2.GaussianBlur(passed, (0, 0), exposition.blur_px)
    quanta = primary + _haze(passed, background, exposition)
    # the dose is that behind the patient without needle and contrast: automatic control is a gain of its own
    level = float(np.median(background.bins.sum(0)[background.aperture > 0.5])) * (1 + exposition.scatter_share)
    return np.asarray(np.maximum(quanta / level, 0), dtype=np.float32)


def _haze(passed: FloatImage, background: Background, exposition: Exposition) -> FloatImage:
    small = cv2.resize(passed, None, fx=1 / SCATTER_STEP, fy=1 / SCATTER_STEP, interpolation=cv2.INTER_AREA)
    sigma = exposition.scatter_mm / background.pitch_mm / SCATTER_STEP
    haze = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    grown = cv2.resize(haze, passed.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.float32(exposition.scatter_share) * grown, dtype=np.float32)


def _develop(detected: FloatImage, background: Background, display: Display) -> NDArray[np.uint16]:
    low, high = background.window
    value = np.clip((-np.log(np.maximum(detected, 1e-3)) - low) / (high - low), 0, 1)
    if display.contrast > 0:
        value = 0.5 + 0.5 * np.tanh(display.contrast * (value - 0.5)) / np.tanh(display.contrast / 2)
    if not display.bone_bright:
        value = 1 - value
    value = value * background.aperture + display.surround * (1 - background.aperture)
    top = 2**display.bits - 1
    return np.asarray(np.rint(value * top).clip(0, top), dtype=np.uint16)
