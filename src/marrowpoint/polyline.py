"""Exact distances and crossings between points, rays and the sub-pixel lines of an outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import Points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """The straight pieces of one or more polylines.

    Parameters
    ----------
    start, end : ndarray of shape (K, 2), float64
        End points of each piece, in any one unit.
    """

    start: Points
    end: Points

    @property
    def length(self) -> NDArray[np.float64]:
        """Length of each piece."""
        return np.asarray(np.hypot(*(self.end - self.start).T))

    def within(self, point: Points, reach: float) -> Segments:
        """Those pieces that may come closer to a point than `reach`.

        Parameters
        ----------
        point : ndarray of shape (2,)
        reach : float
            In the unit of the pieces.

        Returns
        -------
        Segments
        """
        middle = (self.start + self.end) / 2
        near = np.hypot(*(middle - point).T) <= reach + self.length / 2
        return Segments(start=self.start[near], end=self.end[near])


def segments_of(lines: tuple[Points, ...], unit: Points) -> Segments:
    """Cut polylines into their straight pieces.

    Parameters
    ----------
    lines : tuple of ndarray of shape (K, 2)
        Polylines (row, column) [px].
    unit : ndarray of shape (2,)
        Length of one row and one column step in the wanted unit, e.g. mm; ones for px.

    Returns
    -------
    Segments
        Empty for no lines.
    """
    pieces = [line * unit for line in lines if len(line) > 1]
    if not pieces:
        return Segments(start=np.empty((0, 2)), end=np.empty((0, 2)))
    return Segments(start=np.concatenate([p[:-1] for p in pieces]), end=np.concatenate([p[1:] for p in pieces]))


def nearest_points(points: Points, segments: Segments) -> tuple[NDArray[np.float64], Points, NDArray[np.intp]]:
    """Nearest point of the lines for each of many points, exactly.

    Parameters
    ----------
    points : ndarray of shape (P, 2)
    segments : Segments
        At least one piece.

    Returns
    -------
    distance : ndarray of shape (P,)
    nearest : ndarray of shape (P, 2)
    index : ndarray of shape (P,)
        Which piece it lies on.
    """
    along = segments.end - segments.start
    squared = np.maximum(np.einsum("kd,kd->k", along, along), 1e-18)
    r = points[:, None, 0] - segments.start[None, :, 0]
    c = points[:, None, 1] - segments.start[None, :, 1]
    t = np.clip((r * along[:, 0] + c * along[:, 1]) / squared, 0.0, 1.0)
    r -= t * along[:, 0]
    c -= t * along[:, 1]
    distance2 = r * r + c * c
    index = np.argmin(distance2, axis=1)
    row = np.arange(len(points))
    nearest = segments.start[index] + t[row, index][:, None] * along[index]
    return np.sqrt(distance2[row, index]), nearest, index


def ray_crossings(origin: Points, direction: Points, segments: Segments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a straight line crosses the polylines.

    Parameters
    ----------
    origin, direction : ndarray of shape (2,)
        A point of the line and its unit direction.
    segments : Segments

    Returns
    -------
    position : ndarray of shape (Q,)
        Signed distance from the origin along the direction, ascending.
    incidence : ndarray of shape (Q,)
        Sine of the angle between line and outline there (1 = straight through).
    """
    normal = np.array([-direction[1], direction[0]])
    side_start = (segments.start - origin) @ normal
    side_end = (segments.end - origin) @ normal
    hit = (side_start < 0) != (side_end < 0)
    if not hit.any():
        return np.empty(0), np.empty(0)
    start, end = segments.start[hit], segments.end[hit]
    share = side_start[hit] / (side_start[hit] - side_end[hit])
    position = ((start + share[:, None] * (end - start)) - origin) @ direction
    piece = (end - start) / np.maximum(np.hypot(*(end - start).T), 1e-12)[:, None]
    order = np.argsort(position)
    return position[order], np.abs(piece @ normal)[order]
