"""The end of a shaft on a strip of its own, where a burnt-in shaft stands equally high all along.

A monitor has one white. Where metal is burnt in, it stands less high over bright bone than over soft tissue, and a fit that
expects one height takes the begin of the bone for the end of the needle: off by up to six millimetres once the brightness has
jumped. How high such a shaft can stand is known in every row from its surroundings, so that the strip can be evened.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

AHEAD, BEHIND = 2.0, 3.5  # widths of the strip before the shaft's beginning and after it
PAST_POINT = 0.8  # widths: behind a point the shaft has its full height
BURNT_FROM, BURNT_RANGE = 0.85, 0.12  # a shaft above the first is shown compressed, above both together burnt in
LEAST_SHARE = 0.25  # of the usual headroom: with less the noise would be blown up
SMOOTH_PX = 1.5  # of the surroundings along the shaft


def even_strip(pixels: FloatImage, shaft: Shaft) -> tuple[FloatImage, Shaft]:
    """Sample the beginning of a shaft, less its surroundings, as high in every row as its headroom allows it to be.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
        Larger = more attenuating.
    shaft : Shaft
        From the tip toward the hub.

    Returns
    -------
    strip : ndarray of shape (S, K), float32
        A pixel of it is one of the picture; rows run along the shaft.
    shaft : Shaft
        The same shaft in the strip; places along it are the same.
    """
    width = shaft.width_px
    behind_px = min(BEHIND * width + 12, max(shaft.length_px, width) + 4)
    along = np.arange(shaft.start_px - AHEAD * width - 12, shaft.start_px + behind_px, 1.0)
    half = 0.5 * width + 2
    flank = half + max(3.0, 0.45 * width)
    reach = int(np.ceil(flank)) + 2
    across = np.arange(-reach, reach + 1, dtype=np.float64)
    strip = sample_strip(pixels, shaft.origin, shaft.axis, along, across)
    base = _surroundings(strip, across, half, flank)
    core = np.abs(across) < 0.25 * width + 0.5
    behind = along > shaft.start_px + PAST_POINT * width
    level = float(np.median(strip[behind][:, core]))
    headroom = level - base[:, core].mean(axis=1)
    usual = max(float(np.median(headroom[behind])), 1e-6)
    burnt = float(np.clip((level - BURNT_FROM) / BURNT_RANGE, 0, 1))
    height = burnt * np.maximum(headroom, LEAST_SHARE * usual) + (1 - burnt) * usual
    evened = np.asarray((strip - base) * (usual / height)[:, None], dtype=np.float32)
    return evened, replace(shaft, origin=(-float(along[0]), float(reach)), axis=(1.0, 0.0))


def _surroundings(strip: FloatImage, across: NDArray[np.float64], half: float, flank: float) -> NDArray[np.float64]:
    """What the picture would show without the shaft: straight from one flank to the other, shape (S, K)."""
    sides = (across < -half) & (across >= -flank - 1), (across > half) & (across <= flank + 1)
    low, high = (
        cv2.GaussianBlur(strip[:, side].mean(axis=1, keepdims=True), (1, 11), sigmaX=SMOOTH_PX, sigmaY=SMOOTH_PX)
        for side in sides
    )
    left, right = (float(across[side].mean()) for side in sides)
    share = (across - left) / (right - left)
    return np.asarray(low + (high - low) * share[None, :], dtype=np.float64)
