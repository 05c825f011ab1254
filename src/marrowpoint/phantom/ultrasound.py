"""An ultrasound picture with an exactly known truth: layers, a crest of bone with its shadow, a needle with its copies.

The physics is that of a textbook drawing, on purpose unlike what the program assumes when it looks: echoes are added as
amplitudes in beam space, blurred by pulse and beam, compressed by a logarithm and laid out on a screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.phantom.ultrasound_echoes import echoes_of
from marrowpoint.phantom.ultrasound_scene import UltrasoundScene
from marrowpoint.phantom.ultrasound_screen import draw_interface, scanned_region, to_screen

__all__ = ["UltrasoundPicture", "UltrasoundScene", "scan_scene"]

@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UltrasoundPicture:
    """The picture and its truth.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
        0..1.
    coloured : ndarray of shape (M, N), bool
        Where the screen shows colour.
    surface : ndarray of shape (K, 2)
        Bone surface inside the picture where the beam meets it first, (row, column) [px].
    tip : tuple of float or None
        (row, column) [px].
    tip_to_cortex_mm : float or None
        Signed distance of the tip to the surface in the plane, negative above.
    region : tuple of int
        Top, left, bottom, right of the scanned area [px].
    """

    pixels: FloatImage
    coloured: Mask
    surface: Points
    tip: tuple[float, float] | None
    tip_to_cortex_mm: float | None
    region: tuple[int, int, int, int]


def scan_scene(scene: UltrasoundScene) -> UltrasoundPicture:
    """Scan a scene and show it on a screen.

    Parameters
    ----------
    scene : UltrasoundScene

    Returns
    -------
    UltrasoundPicture
    """
    random = np.random.default_rng(scene.seed)
    down, right = scene.places()
    echo, first = echoes_of(scene, down, right, random)
    shown = np.clip((20 * np.log10(np.maximum(echo, 1e-5)) + 46 + scene.gain_db) / 60, 0, 1).astype(np.float32)
    origin = np.array([26.0, scene.shape[1] / 2])
    pixels = to_screen(scene, shown, origin)
    top, left, bottom, end = scanned_region(pixels)
    coloured = draw_interface(scene, pixels, origin)
    seen = np.flatnonzero(first < down.shape[1])
    points = np.column_stack([down[seen, first[seen]], right[seen, first[seen]]]) / scene.mm_per_px + origin
    if scene.tip is not None:
        points = np.vstack([points, np.array(scene.tip) / scene.mm_per_px + origin])
    corners = np.array([(top, left), (bottom, end)])
    for axis, turned in enumerate((scene.upside_down, scene.flip)):
        if turned:
            pixels, coloured = np.flip(pixels, axis), np.flip(coloured, axis)
            points[:, axis] = scene.shape[axis] - 1 - points[:, axis]
            corners[:, axis] = scene.shape[axis] - 1 - corners[::-1, axis]
    surface, tip = (points, None) if scene.tip is None else (points[:-1], points[-1])
    return UltrasoundPicture(
        pixels=np.ascontiguousarray(pixels), coloured=np.ascontiguousarray(coloured), surface=surface,
        tip=None if tip is None else (float(tip[0]), float(tip[1])), tip_to_cortex_mm=scene.tip_to_cortex_mm,
        region=(int(corners[0, 0]), int(corners[0, 1]), int(corners[1, 0]), int(corners[1, 1])),
    )  # fmt: skip
