"""Lay the beams out on a screen, and draw what a screen shows around and over the picture."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.phantom.ultrasound_scene import BEAMS, SAMPLE_MM, UltrasoundScene

TEXT = (("PHANTOM C5-2", (8, 16)), ("MI 0.9", (-70, 16)))


def to_screen(scene: UltrasoundScene, shown: FloatImage, origin: np.ndarray) -> FloatImage:
    """Lay beams out on a screen.

    Parameters
    ----------
    scene : UltrasoundScene
    shown : ndarray of shape (B, D), float32
        Grey values 0..1.
    origin : ndarray of shape (2,)
        (row, column) of the middle of the probe's face [px].

    Returns
    -------
    ndarray of shape (M, N), float32
        In steps of 1/255.
    """
    rows, columns = np.indices(scene.shape, dtype=np.float64)
    down, right = (rows - origin[0]) * scene.mm_per_px[0], (columns - origin[1]) * scene.mm_per_px[1]
    if scene.radius_mm > 0:
        depth = np.hypot(down + scene.radius_mm, right) - scene.radius_mm
        place, limit = np.degrees(np.arctan2(right, down + scene.radius_mm)), scene.half_angle_deg
    else:
        depth, place, limit = down, right, scene.half_width_mm
    beam = (place + limit) / (2 * limit) * (BEAMS - 1)
    pixels = cv2.remap(
        shown, (depth / SAMPLE_MM).astype(np.float32), beam.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    outside = (beam < 0) | (beam > BEAMS - 1) | (depth < 0) | (depth > scene.depth_mm - SAMPLE_MM)
    pixels = np.where(outside, 0.0, np.maximum(pixels, 0.02)).astype(np.float32)
    return np.round(pixels * 255).astype(np.float32) / np.float32(255)


def scanned_region(pixels: FloatImage) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what is not black [px]."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


def draw_interface(scene: UltrasoundScene, pixels: FloatImage, origin: np.ndarray) -> Mask:
    """Draw what a screen shows over and around the picture.

    Parameters
    ----------
    scene : UltrasoundScene
    pixels : ndarray of shape (M, N), float32
        Changed in place.
    origin : ndarray of shape (2,)
        (row, column) of the middle of the probe's face [px].

    Returns
    -------
    ndarray of shape (M, N), bool
        Where the screen is coloured.
    """
    coloured: Mask = np.zeros(scene.shape, dtype=bool)
    if scene.doppler is not None:
        coloured = _flow(scene, origin)
        pixels[coloured] = 0.62
    if scene.guide is not None:
        _draw_guide(scene, pixels, origin)
    if scene.text:
        words = np.zeros(scene.shape, np.uint8)
        for word, (x, y) in TEXT:
            cv2.putText(words, word, (x % scene.shape[1], y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 230, 1, cv2.LINE_AA)
        np.maximum(pixels, words.astype(np.float32) / np.float32(255), out=pixels)
        pixels[40:140, 6:18] = np.linspace(1, 0.05, 100, dtype=np.float32)[:, None]
    if scene.ruler:
        for k in range(int(scene.depth_mm // 10) + 1):
            row = round(float(origin[0] + 10 * k / scene.mm_per_px[0]))
            if row < scene.shape[0]:
                pixels[row, -14:-6] = 0.8
    return coloured


def _draw_guide(scene: UltrasoundScene, pixels: FloatImage, origin: np.ndarray) -> None:
    """Two dotted lines, a dot every five millimetres."""
    assert scene.guide is not None
    lean = np.radians(scene.guide[1])
    for offset in (-3.0, 3.0):
        for along in np.arange(2.0, scene.depth_mm, 5.0):
            place = np.array([along * np.cos(lean), scene.guide[0] + offset - along * np.sin(lean)])
            row, column = np.rint(place / scene.mm_per_px + origin).astype(int)
            if 0 < row < scene.shape[0] - 2 and 0 < column < scene.shape[1] - 2 and pixels[row, column] > 0:
                pixels[row : row + 2, column : column + 2] = 1.0


def _flow(scene: UltrasoundScene, origin: np.ndarray) -> Mask:
    """A colour box and the colour in it."""
    assert scene.doppler is not None
    top, left = np.rint(np.array(scene.doppler[:2]) / scene.mm_per_px + origin).astype(int)
    bottom, end = np.rint(np.array(scene.doppler[2:]) / scene.mm_per_px + origin).astype(int)
    box = np.zeros(scene.shape, np.uint8)
    cv2.rectangle(box, (int(left), int(top)), (int(end), int(bottom)), 1, 1)
    flow = ndimage.gaussian_filter(np.random.default_rng(scene.seed).standard_normal(scene.shape), 5) > 0.05
    inner = np.zeros(scene.shape, dtype=bool)
    inner[top + 1 : bottom, left + 1 : end] = True
    coloured: Mask = (box > 0) | (flow & inner)
    return coloured
