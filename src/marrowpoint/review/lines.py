"""Editing the points of an outline: pure functions from a line to a new line."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import Points

Point = tuple[float, float]

VERTEX_PX = 0.5  # points of an outline that say nothing more than this are no handles


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


def sparse(line: Points) -> Points:
    """The same line with as few points as tell it to `VERTEX_PX`; ends that meet still meet."""
    flat = np.asarray(line, np.float32)[:, None, ::-1]
    kept = cv2.approxPolyDP(np.ascontiguousarray(flat), VERTEX_PX, False)[:, 0, ::-1].astype(np.float64)
    if is_closed(np.asarray(line)):
        kept[-1] = kept[0]
    return np.asarray(kept)


def joined(lines: list[Points], path: Points, reach_px: float) -> list[Points]:
    """The outline with a drawn path in place of the stretch between its ends; a path near no line is a line of its own.

    Parameters
    ----------
    lines : list of ndarray of shape (K, 2)
    path : ndarray of shape (P, 2)
    reach_px : float
        A path whose ends meet within this is closed; ends within three times this of a line belong to it.

    Returns
    -------
    list of ndarray of shape (k, 2)
    """
    if float(np.hypot(*(path[0] - path[-1]))) <= reach_px and len(path) > 3:
        return [np.vstack([path, path[:1]])]
    gaps = [max(float(np.min(np.hypot(*(line - end).T))) for end in (path[0], path[-1])) for line in lines]
    if not gaps or min(gaps) > 3 * reach_px:
        return [*lines, path]
    number = int(np.argmin(gaps))
    line = lines[number]
    first, last = nearest_index(line, _start(path)), nearest_index(line, _end(path))
    if first == last:
        return lines
    return [replace_stretch(line, first, last, path) if k == number else old for k, old in enumerate(lines)]


def _start(path: Points) -> Point:
    return float(path[0][0]), float(path[0][1])


def _end(path: Points) -> Point:
    return float(path[-1][0]), float(path[-1][1])
