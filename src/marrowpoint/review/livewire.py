"""A line between two clicks that follows the cortex, and the editing of an outline's points.

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

Point = tuple[float, float]

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


def replace_stretch(line: Points, first: int, last: int, path: Points) -> Points:
    """Put a path in place of a stretch of a line.

    Parameters
    ----------
    line : ndarray of shape (K, 2)
        Closed if its ends meet.
    first, last : int
        Points that are kept; what lies between them goes. On a closed line the shorter way round goes.
    path : ndarray of shape (P, 2)
        From the first to the last of them.

    Returns
    -------
    ndarray of shape (k, 2), float64
        A closed line stays closed.
    """
    count = len(line)
    if not (0 <= first < count and 0 <= last < count):
        raise ValueError(f"points {first} and {last} do not both lie on a line of {count}")
    path = np.asarray(path, np.float64)
    if not is_closed(line):
        if first > last:
            first, last, path = last, first, path[::-1]
        return np.vstack([line[:first], path, line[last + 1 :]])
    ring = line[:-1]
    first, last = first % len(ring), last % len(ring)
    if _way(ring, first, last) > _way(ring, last, first):
        first, last, path = last, first, path[::-1]
    rest = np.roll(ring, -last, axis=0)[: (first - last) % len(ring) + 1]  # from `last` on to `first`
    new = np.vstack([path[:-1], rest[:-1]]) if len(rest) > 1 else path[:-1]
    return np.vstack([new, new[:1]])


def insert_point(line: Points, point: Point) -> Points:
    """Add a point where the line passes nearest to it; an open line may grow at its ends."""
    place, _ = _nearest_piece(line, point)
    return np.insert(np.asarray(line, np.float64), place, point, axis=0)


def move_point(line: Points, index: int, point: Point) -> Points:
    """Move a point; the ends of a closed line move together."""
    moved = np.array(line, np.float64)
    moved[index] = point
    if is_closed(line) and index % len(line) in (0, len(line) - 1):
        moved[0] = moved[-1] = point
    return moved


def delete_point(line: Points, index: int) -> Points:
    """Take a point away.

    Raises
    ------
    ValueError
        Where too few points would be left: two of an open line, three of a closed one.
    """
    index %= len(line)
    if not is_closed(line):
        if len(line) <= 2:
            raise ValueError("a line has at least two points")
        return np.delete(np.asarray(line, np.float64), index, axis=0)
    if len(line) <= 4:
        raise ValueError("a closed line has at least three points")
    ring = np.delete(np.asarray(line, np.float64)[:-1], index % (len(line) - 1), axis=0)
    return np.vstack([ring, ring[:1]])


def nearest_index(line: Points, point: Point) -> int:
    """Which point of a line lies nearest to a place."""
    return int(np.argmin(np.hypot(*(np.asarray(line) - point).T)))


def is_closed(line: Points) -> bool:
    """Whether the ends of a line meet."""
    return len(line) > 3 and bool(np.hypot(*(line[0] - line[-1])) < 1e-6)


def _way(ring: Points, a: int, b: int) -> float:
    stretch = np.roll(ring, -a, axis=0)[: (b - a) % len(ring) + 1]
    return float(np.hypot(*np.diff(stretch, axis=0).T).sum())


def _nearest_piece(line: Points, point: Point) -> tuple[int, float]:
    start, step = np.asarray(line)[:-1], np.diff(line, axis=0)
    share = ((point - start) * step).sum(1) / np.maximum((step**2).sum(1), 1e-12)
    away = np.hypot(*(start + np.clip(share, 0, 1)[:, None] * step - point).T)
    k = int(np.argmin(away))
    if not is_closed(line):
        if k == 0 and share[0] < 0:
            return 0, float(away[k])
        if k == len(start) - 1 and share[-1] > 1:
            return len(line), float(away[k])
    return k + 1, float(away[k])


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
