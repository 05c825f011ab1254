"""The grid on which differences are looked at: its scale, and the rim of its field."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.runs.subtract import Subtraction

FIELD_MM = 160.0  # where there is no scale: usual width of a field, for the sizes of filters only
SHIFT_PX = 0.06  # misregistration that every frame may have [px of the frame]
METAL_PX = 2  # of the grid: the edge of black metal


@dataclass(frozen=True, slots=True, kw_only=True)
class GridScale:
    """Size of a pixel of the grid: in `unit`, and in mm for the filters (assumed where there is no scale)."""

    size: float
    unit: str
    filter_mm: float

    def px(self, length_mm: float) -> float:
        """A length of the filters in pixels of the grid."""
        return length_mm / self.filter_mm


def grid_scale(subtraction: Subtraction, mm_per_px: float | None) -> GridScale:
    """Scale of the grid."""
    if mm_per_px is None:
        return GridScale(size=subtraction.factor, unit="px", filter_mm=FIELD_MM / max(subtraction.inside.shape))
    return GridScale(size=mm_per_px * subtraction.factor, unit="mm", filter_mm=mm_per_px * subtraction.factor)


def misregistered(subtraction: Subtraction, sigma_px: float) -> FloatImage:
    """What an edge of the mask may show as contrast where it is laid a little beside itself.

    Parameters
    ----------
    subtraction : Subtraction
    sigma_px : float
        By which the mask is smoothed first [px of the grid].

    Returns
    -------
    ndarray of shape (m, n), float32
        Attenuation (k = 1).
    """
    base = cv2.GaussianBlur(subtraction.mask, (0, 0), sigma_px)
    steep = np.hypot(cv2.Sobel(base, cv2.CV_32F, 0, 1) / 8, cv2.Sobel(base, cv2.CV_32F, 1, 0) / 8)
    usual = float(np.median(list(subtraction.residuals_px.values()))) if subtraction.residuals_px else SHIFT_PX
    return np.asarray(steep * max(SHIFT_PX, usual) / subtraction.factor, dtype=np.float32)


def from_rim(inside: Mask, metal: Mask) -> FloatImage:
    """Distance of every place from the outer edge of the field; where black metal takes the difference away there is none.

    Parameters
    ----------
    inside : ndarray of shape (m, n), bool
        Where there is a difference.
    metal : ndarray of shape (m, n), bool
        The needle's shadow.

    Returns
    -------
    ndarray of shape (m, n), float32
        In pixels of the grid; 0 beyond the edge.
    """
    around = cv2.dilate(metal.astype(np.uint8), np.ones((2 * METAL_PX + 1, 2 * METAL_PX + 1), np.uint8)) > 0
    beyond = np.pad(~(inside | around), 1, constant_values=True)
    _, labels = cv2.connectedComponents(beyond.astype(np.uint8), connectivity=4)
    outer = (labels != labels[0, 0]).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(outer, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1], dtype=np.float32)


def field_rim(inside: Mask, metal: Mask, depth_px: float) -> Mask:
    """The outer rim of the field, so deep [px of the grid]; all of shape (m, n)."""
    return np.asarray((from_rim(inside, metal) <= max(depth_px, 1.5)) & inside)


def distance_from(place: tuple[float, float], shape: tuple[int, ...]) -> FloatImage:
    """Distance of every place from (row, column) in pixels of the grid, shape (m, n)."""
    rows, columns = (np.arange(n, dtype=np.float32) for n in shape)
    distance = np.hypot(rows[:, None] - np.float32(place[0]), columns[None, :] - np.float32(place[1]))
    return np.asarray(distance, dtype=np.float32)


def disc(radius_px: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A round structuring element of at least one pixel's radius."""
    reach = max(1, round(radius_px))
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)), dtype=np.uint8)
