"""What lies behind the needle: contrast there is not seen, and is inferred from what is seen on both sides of the shaft.

Across the shaft the density is drawn straight from one side to the other, so that the edge of a pool that is seen on one side
only is put between both. Contrast that runs back along the needle came from its tip: where it is seen on both sides far back,
the shaft is covered up to there. Between what is surely covered and what may be covered lies the doubt of the area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

Floats = NDArray[np.float64]

BESIDE_PX = 0.8  # density is read so far outside the shadow, in pixels of the grid
POINT = 1.3  # usual length of a trocar's point in diameters
BESIDE_RADII = 4.0  # of the shaft: contrast that first appears within them comes from the needle
STEP_PX = 0.5  # along the shaft
# What surrounds the shaft is thickest behind it: its rims are fainter than its middle, a trace of them may be all that shows
SLEEVE_SHARE, TRACE_SHARE = 0.6, 0.3
LEAST_SHARE = 0.05  # of a smoothing window that must be seen: with less its mean says nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shadow:
    """The part of the grid that the shaft hides.

    Parameters
    ----------
    tip : tuple of float
        (row, column) on the grid.
    axis : tuple of float
        Toward the hub.
    radius_px, edge_px, length_px : float
        Half its width, a margin for its blurred edge, and its length, on the grid.
    mask : ndarray of shape (m, n), bool
    """

    tip: tuple[float, float]
    axis: tuple[float, float]
    radius_px: float
    edge_px: float
    length_px: float
    mask: Mask

    def half_px(self, along: NDArray[Any]) -> NDArray[Any]:
        """Half the shadow's width at places along the shaft: a trocar's point is thinner."""
        return half_width(along, self.radius_px, self.edge_px)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """Density beside the shaft and the place of each hidden pixel.

    Parameters
    ----------
    along : ndarray of shape (K,)
        Places along the shaft from the tip, in pixels of the grid.
    left, right : ndarray of shape (K,)
        Density beside it.
    pixel_along : ndarray of shape (P,)
        Place of each hidden pixel.
    pixel_left, pixel_right : ndarray of shape (P,)
        Density beside it, read for each hidden pixel.
    """

    along: Floats
    left: Floats
    right: Floats
    pixel_along: Floats
    pixel_left: Floats
    pixel_right: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Pixels at least as dense as a level: best value, surely, and at most."""

    likely: float
    surely: float
    at_most: float


def half_width(along: NDArray[Any], radius_px: float, edge_px: float) -> NDArray[Any]:
    """Half the width of a pointed shaft with its blurred edge, at places from its tip."""
    return np.asarray(edge_px + radius_px * np.clip(along / (2 * POINT * radius_px), 0, 1))


def along_shaft(shadow: Shadow, place: tuple[float, float]) -> tuple[float, float] | None:
    """A place, if it lies beside the shaft behind its tip, not farther off than `BESIDE_RADII`.

    Parameters
    ----------
    shadow : Shadow
    place : tuple of float
        (row, column) on the grid.

    Returns
    -------
    tuple of float or None
    """
    down, right = place[0] - shadow.tip[0], place[1] - shadow.tip[1]
    along = down * shadow.axis[0] + right * shadow.axis[1]
    across = abs(down * shadow.axis[1] - right * shadow.axis[0])
    return place if 0 < along < shadow.length_px and across < BESIDE_RADII * shadow.radius_px else None


def cast_shadow(
    shape: tuple[int, ...],
    tip: tuple[float, float],
    axis: tuple[float, float],
    *,
    radius_px: float,
    edge_px: float,
    length_px: float,
) -> Shadow:
    """The shadow of a shaft on the grid.

    Parameters
    ----------
    shape : tuple of int
        (m, n) of the grid.
    tip, axis : tuple of float
        (row, column), the axis toward the hub.
    radius_px, edge_px, length_px : float
        In pixels of the grid.

    Returns
    -------
    Shadow
    """
    along, across = _places(shape, tip, axis)
    mask = (along > -edge_px) & (along < length_px) & (np.abs(across) < half_width(along, radius_px, edge_px))
    return Shadow(tip=tip, axis=axis, radius_px=radius_px, edge_px=edge_px, length_px=length_px, mask=np.asarray(mask))


def _places(shape: tuple[int, ...], tip: tuple[float, float], axis: tuple[float, float]) -> tuple[FloatImage, FloatImage]:
    rows = (np.arange(shape[0], dtype=np.float32) - np.float32(tip[0]))[:, None]
    columns = (np.arange(shape[1], dtype=np.float32) - np.float32(tip[1]))[None, :]
    along = rows * np.float32(axis[0]) + columns * np.float32(axis[1])
    return along, rows * np.float32(axis[1]) - columns * np.float32(axis[0])


def smooth_beside(picture: FloatImage, hidden: Mask | None, sigma_px: float) -> FloatImage:
    """A picture smoothed without what is hidden, shape (m, n); where hardly anything is seen it is 0."""
    if hidden is None:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), dtype=np.float32)
    seen = (~hidden).astype(np.float32)
    share = cv2.GaussianBlur(seen, (0, 0), sigma_px)
    smooth = cv2.GaussianBlur(picture * seen, (0, 0), sigma_px) / np.maximum(share, np.float32(LEAST_SHARE))
    return np.asarray(np.where(share > LEAST_SHARE, smooth, 0), dtype=np.float32)


def read_sides(density: FloatImage, shadow: Shadow) -> Sides:
    """Read the density on both sides of a shaft.

    Parameters
    ----------
    density : ndarray of shape (m, n), float32
        Smoothed without the shaft; 0 where there is no contrast.
    shadow : Shadow

    Returns
    -------
    Sides
    """
    along = np.arange(-shadow.edge_px, shadow.length_px, STEP_PX)
    out = shadow.half_px(along) + BESIDE_PX
    normal = np.array([shadow.axis[1], -shadow.axis[0]])
    profiles = []
    for side in (-out, out):
        rows = shadow.tip[0] + along * shadow.axis[0] + side * normal[0]
        columns = shadow.tip[1] + along * shadow.axis[1] + side * normal[1]
        maps = columns.astype(np.float32)[None, :], rows.astype(np.float32)[None, :]
        profiles.append(cv2.remap(density, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[0].astype(np.float64))
    places, _ = _places(density.shape, shadow.tip, shadow.axis)
    pixel_along = places[shadow.mask].astype(np.float64)
    return Sides(
        along=along,
        left=profiles[0],
        right=profiles[1],
        pixel_along=pixel_along,
        pixel_left=np.interp(pixel_along, along, profiles[0]),
        pixel_right=np.interp(pixel_along, along, profiles[1]),
    )


def behind(sides: Sides, shadow: Shadow) -> Floats:
    """Density of each hidden pixel, straight from one side to the other, shape (P,)."""
    _, across = _places(shadow.mask.shape, shadow.tip, shadow.axis)
    half = shadow.half_px(sides.pixel_along)
    share = np.clip((across[shadow.mask] + half) / (2 * half), 0, 1)
    return np.asarray(sides.pixel_left + (sides.pixel_right - sides.pixel_left) * share, dtype=np.float64)


def covered(sides: Sides, shadow: Shadow, hidden: Floats, level: float) -> Covered:
    """How many hidden pixels are at least as dense as a level.

    Parameters
    ----------
    sides : Sides
    shadow : Shadow
    hidden : ndarray of shape (P,)
        From `behind`.
    level : float

    Returns
    -------
    Covered
    """
    both = np.minimum(sides.left, sides.right) >= SLEEVE_SHARE * level
    either = np.maximum(sides.left, sides.right) >= TRACE_SHARE * level
    far = float(sides.along[both].max()) if both.any() else -np.inf
    # as far along the shaft from a trace as the shaft is thick
    reach = max(1, round(2 * shadow.radius_px / STEP_PX))
    near = np.convolve(either, np.ones(2 * reach + 1), mode="same") > 0
    possible = np.interp(sides.pixel_along, sides.along, near.astype(np.float64)) > 0
    likely = (hidden >= level) | (sides.pixel_along <= far)
    surely = np.minimum(sides.pixel_left, sides.pixel_right) >= level
    return Covered(likely=float(likely.sum()), surely=float(surely.sum()), at_most=float((possible | likely).sum()))
