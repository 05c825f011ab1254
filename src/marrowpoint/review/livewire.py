"""A line between two clicks that follows the cortex.

The path is the cheapest one over a picture of edge cost (Barrett and Mortensen 1997, "live-wire"; here by Dijkstra's method
over a local window).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.graph import route_through_array

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.review.lines import (
    Point,
    delete_point,
    insert_point,
    is_closed,
    move_point,
    nearest_index,
    replace_stretch,
)

__all__ = [
    "EdgeCost",
    "delete_point",
    "edge_cost",
    "insert_point",
    "is_closed",
    "move_point",
    "nearest_edge",
    "nearest_index",
    "replace_stretch",
    "snap_path",
]

SCALE_SHARE = 1 / 700  # of the frame's longer side: width of the edge that is looked for (k = 1)
MARGIN = 0.35  # of the distance between the clicks: the path may leave their box by this much ...
MIN_MARGIN_PX = 24.0  # ... and at least by this
MAX_WINDOW = 320  # longer windows are searched on a coarser grid
FLOOR = 0.03  # cost of the best edge, so that a path never wanders for free
STEP_PX = 2.0  # between the points of a snapped line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeCost:
    """How little an edge there is at each pixel.

    Parameters
    ----------
    cost : ndarray of shape (M, N), float32
        `FLOOR` on the strongest edges, 1 where there is none or no picture.
    """

    cost: FloatImage


def edge_cost(image: FloatImage, field: Mask | None = None, hidden: Mask | None = None) -> EdgeCost:
    """Cost map of a frame; make it once a frame and keep it.

    Parameters
    ----------
    image : ndarray of shape (M, N), float32
        Attenuation or plain pixels; polarity does not matter.
    field : ndarray of shape (M, N), bool, or None
        Where there is a picture.
    hidden : ndarray of shape (M, N), bool, or None
        What has edges of its own: the needle.

    Returns
    -------
    EdgeCost
    """
    sigma = max(max(image.shape) * SCALE_SHARE, 1.0)
    smooth = cv2.GaussianBlur(np.ascontiguousarray(image, np.float32), (0, 0), sigma)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    # relative to the slopes around, so that a faint cortex counts where nothing stronger is
    around = cv2.GaussianBlur(slope, (0, 0), 8 * sigma) + np.float32(1e-4)
    strength = slope / (slope + 2 * around)
    unseen = np.zeros(image.shape, bool) if field is None else ~field
    if hidden is not None:
        unseen = unseen | hidden
    if unseen.any():
        near = cv2.dilate(unseen.astype(np.uint8), np.ones((2 * int(3 * sigma + 1) + 1,) * 2, np.uint8)) > 0
        strength[near] = 0.0
    cost = np.clip((1 - strength / 0.8) ** 2, FLOOR, 1.0).astype(np.float32)
    return EdgeCost(cost=cost)


def snap_path(edges: EdgeCost, start: Point, end: Point) -> Points:
    """Line from one click to the next along the strongest edge.

    Parameters
    ----------
    edges : EdgeCost
    start, end : tuple of float
        (row, column) [px].

    Returns
    -------
    ndarray of shape (K, 2), float64
        From `start` to `end`, both included as they were given, about `STEP_PX` apart.
    """
    box, factor = _window(edges.cost.shape, start, end)
    top, left, bottom, right = box
    window = edges.cost[top:bottom, left:right]
    if factor > 1:
        size = (max(int((right - left) / factor), 2), max(int((bottom - top) / factor), 2))
        window = np.asarray(cv2.resize(window, size, interpolation=cv2.INTER_AREA), np.float32)
    ratio = np.array(window.shape) / np.array([bottom - top, right - left])
    ends = [_inside(((np.asarray(p) - (top, left) + 0.5) * ratio - 0.5), window.shape) for p in (start, end)]
    path, _ = route_through_array(window, ends[0], ends[1], fully_connected=True, geometric=True)
    line = (np.asarray(path, np.float64) + 0.5) / ratio - 0.5 + (top, left)
    return _evenly(np.vstack([[start], _rounded(line)[1:-1], [end]]), STEP_PX)


def nearest_edge(edges: EdgeCost, point: Point, reach_px: float) -> Point:
    """Strongest edge near a click; the click itself where there is none.

    Parameters
    ----------
    edges : EdgeCost
    point : tuple of float
        (row, column) [px].
    reach_px : float

    Returns
    -------
    tuple of float
        (row, column) [px].
    """
    reach = int(np.ceil(reach_px))
    row, column = round(point[0]), round(point[1])
    top, left = max(row - reach, 0), max(column - reach, 0)
    window = edges.cost[top : row + reach + 1, left : column + reach + 1]
    if not window.size:
        return point
    rows, columns = np.indices(window.shape)
    away = np.hypot(rows + top - point[0], columns + left - point[1])
    score = np.where(away <= reach_px, window + 0.3 * away / max(reach_px, 1e-9), np.inf)
    best = np.unravel_index(int(np.argmin(score)), window.shape)
    if window[best] >= 0.9:
        return point
    return float(best[0] + top), float(best[1] + left)


def _window(shape: tuple[int, ...], start: Point, end: Point) -> tuple[tuple[int, int, int, int], float]:
    corner = np.floor(np.minimum(start, end)), np.ceil(np.maximum(start, end))
    margin = max(MARGIN * float(np.hypot(*(np.asarray(end) - start))), MIN_MARGIN_PX)
    low = np.clip(corner[0] - margin, 0, np.array(shape) - 2).astype(int)
    high = np.clip(corner[1] + margin + 1, low + 2, shape).astype(int)
    longest = float((high - low).max())
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])), max(longest / MAX_WINDOW, 1.0)


def _inside(point: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, int]:
    row, column = np.clip(np.rint(point), 0, np.array(shape) - 1).astype(int)
    return int(row), int(column)


def _rounded(line: Points) -> Points:
    """A staircase of pixels without its corners."""
    if len(line) < 5:
        return line
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    padded = np.pad(line, ((2, 2), (0, 0)), mode="edge")
    smooth = np.column_stack([np.convolve(padded[:, k], kernel, mode="valid") for k in (0, 1)])
    smooth[0], smooth[-1] = line[0], line[-1]
    return smooth


def _evenly(line: Points, step: float) -> Points:
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    count = max(round(float(way[-1]) / step) + 1, 2)
    at = np.linspace(0, way[-1], count)
    return np.column_stack([np.interp(at, way, line[:, k]) for k in (0, 1)])
