"""Fit the shape of the scanned area: two straight sides that meet in one point, or an upright rectangle."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Mask
from marrowpoint.ultrasound.sector import ProbeKind, Sector

MIN_SIDE_PX = 60  # a smaller picture cannot be measured
RECTANGLE_FILL = 0.93  # hull over bounding box; a sector of 50 degrees fills about 0.75
MAX_SIDE_TILT_DEG = 62.0  # half the opening angle of the widest sectors
HULL_GROW_PX = 13  # what a dark rim may hide


def hull_of(body: Mask, row_aspect: float) -> np.ndarray:
    """Convex hull of an area, simplified to its straight runs.

    Parameters
    ----------
    body : ndarray of shape (M, N), bool
    row_aspect : float
        Height of a pixel over its width.

    Returns
    -------
    ndarray of shape (K, 2), float64
        (x, y) in columns.
    """
    contours, _ = cv2.findContours(body.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = np.vstack([c.reshape(-1, 2) for c in contours])
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.float32)
    simple = cv2.approxPolyDP(hull.reshape(-1, 1, 2), 2.0, True).reshape(-1, 2).astype(np.float64)
    simple[:, 1] *= row_aspect
    return simple


def grown_hull(hull: np.ndarray, shape: tuple[int, int], row_aspect: float) -> Mask:
    """The hull as pixels, grown by what a dark rim may hide.

    Parameters
    ----------
    hull : ndarray of shape (K, 2)
        From `hull_of`.
    shape : tuple of int
        (M, N) of the frame.
    row_aspect : float

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    corners = (hull / (1.0, row_aspect)).round().astype(np.int32)
    filled = cv2.fillConvexPoly(np.zeros(shape, np.uint8), corners, 1)
    grown: Mask = cv2.dilate(filled, np.ones((2 * HULL_GROW_PX + 1,) * 2, np.uint8)).view(bool)
    return grown


def fit_sector(hull: np.ndarray, body: Mask, active: Mask, row_aspect: float) -> Sector:
    """Fit a fan, or a rectangle where the area is none.

    Parameters
    ----------
    hull : ndarray of shape (K, 2)
        From `hull_of`.
    body : ndarray of shape (M, N), bool
        The area.
    active : ndarray of shape (M, N), bool
        Every pixel brighter than the empty screen.
    row_aspect : float

    Returns
    -------
    Sector
        Its picture is `body`.

    Raises
    ------
    NotAssessable
        Code ``no_ultrasound_picture`` if the area is too small.
    """
    area = float(cv2.contourArea(hull.astype(np.float32)))
    filled = area / max(float(np.prod(hull.max(axis=0) - hull.min(axis=0))), 1.0)
    fan = None if filled > RECTANGLE_FILL else _fan(hull, body, active, row_aspect)
    return fan or _rectangle(body, row_aspect)


def _sides(hull: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None:
    """The pair of straight sides, each as (upper point, lower point), left first."""
    middle = (hull[:, 0].min() + hull[:, 0].max()) / 2
    sides: dict[bool, list[tuple[float, float, np.ndarray, np.ndarray]]] = {True: [], False: []}
    for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        top, low = (a, b) if a[1] < b[1] else (b, a)
        tilt = float(np.degrees(np.arctan2(low[0] - top[0], low[1] - top[1])))
        if abs(tilt) < MAX_SIDE_TILT_DEG:
            sides[bool((top[0] + low[0]) / 2 < middle)].append((float(np.hypot(*(low - top))), tilt, top, low))
    if not sides[True] or not sides[False]:
        return None
    # the longer the better; a sector is symmetric unless the screen clips it, so unlike tilts cost
    pairs = [(p[0] + q[0] - 4.0 * abs(p[1] + q[1]), p, q) for p in sides[True] for q in sides[False]]
    _, left, right = max(pairs, key=lambda pair: pair[0])
    return (left[2], left[3]), (right[2], right[3])


def _fan(hull: np.ndarray, body: Mask, active: Mask, row_aspect: float) -> Sector | None:
    """Sector of a convex or phased probe, None if the sides do not meet in a sensible point."""
    sides = _sides(hull)
    if sides is None:
        return None
    (a, b), (c, d) = (_refined(top, low, body, row_aspect) for top, low in sides)
    u, v = b - a, d - c
    cross = u[0] * v[1] - u[1] * v[0]
    if abs(cross) < 0.03 * float(np.hypot(*u) * np.hypot(*v)):
        return None
    apex = a + u * ((c - a)[0] * v[1] - (c - a)[1] * v[0]) / cross
    height = float(hull[:, 1].max() - hull[:, 1].min())
    upward = bool(apex[1] > hull[:, 1].mean())
    sign = -1.0 if upward else 1.0
    clearance = (hull[:, 1].min() - apex[1]) if not upward else (apex[1] - hull[:, 1].max())
    if not -0.05 * height < clearance < 3.0 * height:
        return None
    rows, columns = (4 * index for index in np.nonzero(body[::4, ::4]))
    dx, dy = columns - apex[0], (rows * row_aspect - apex[1]) * sign
    angle = np.arctan2(dx, dy)
    edges = sorted(float(np.arctan2(p[0] - apex[0], (p[1] - apex[1]) * sign)) for p in (_outer(a, b, apex), _outer(c, d, apex)))
    if np.mean((angle > edges[0] - 0.02) & (angle < edges[1] + 0.02)) < 0.97:
        return None
    near, far = _reach(active, hull, apex, sign, edges, row_aspect)
    kind = ProbeKind.PHASED if near < 0.06 * far else ProbeKind.CURVILINEAR
    return Sector(
        kind=kind, apex=(float(apex[1]) / row_aspect, float(apex[0])), depth_from=near, depth_to=far,
        across_from=edges[0], across_to=edges[1], upward=upward, row_aspect=row_aspect, picture=body,
    )


def _outer(a: np.ndarray, b: np.ndarray, apex: np.ndarray) -> np.ndarray:
    return a if np.hypot(*(a - apex)) > np.hypot(*(b - apex)) else b


def _refined(top: np.ndarray, low: np.ndarray, body: Mask, row_aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares line through the outermost pixel of each row along a hull side."""
    first, last = int(np.ceil(top[1] / row_aspect)), int(low[1] / row_aspect)
    rows = np.arange(max(first, 0), min(last, body.shape[0] - 1) + 1)
    rows = rows[body[rows].any(axis=1)]
    if len(rows) < 12:
        return top, low
    expected = top[0] + (rows * row_aspect - top[1]) * (low[0] - top[0]) / (low[1] - top[1])
    lefts = body[rows].argmax(axis=1)
    rights = body.shape[1] - 1 - body[rows][:, ::-1].argmax(axis=1)
    outermost = np.where(np.abs(lefts - expected) < np.abs(rights - expected), lefts, rights)
    near = np.abs(outermost - expected) < 3.0
    if near.sum() < 12:
        return top, low
    slope, offset = np.polyfit(rows[near] * row_aspect, outermost[near], 1)
    return np.array([slope * top[1] + offset, top[1]]), np.array([slope * low[1] + offset, low[1]])


def _reach(
    active: Mask, hull: np.ndarray, apex: np.ndarray, sign: float, edges: list[float], row_aspect: float
) -> tuple[float, float]:
    """First and last radius of the picture; medians over beams, so that shadows and marks do not count."""
    # every fourth column is enough for medians; every row, because its place is what is asked
    rows, columns = np.nonzero((active & grown_hull(hull, active.shape, row_aspect))[:, ::4])
    dx = (4 * columns - apex[0]).astype(np.float32)
    dy = ((rows * row_aspect - apex[1]) * sign).astype(np.float32)
    radius, angle = np.sqrt(dx * dx + dy * dy), np.arctan2(dx, dy)
    inside = (angle > edges[0]) & (angle < edges[1])
    beam = ((angle[inside] - edges[0]) / (edges[1] - edges[0]) * 64).astype(np.int64)
    near, far = np.full(64, np.inf, np.float32), np.zeros(64, np.float32)
    np.minimum.at(near, beam, radius[inside])
    np.maximum.at(far, beam, radius[inside])
    seen = far > 0
    return float(np.median(near[seen])), float(np.percentile(far[seen], 75))


def _rectangle(body: Mask, row_aspect: float) -> Sector:
    """Sector of a linear probe: the box that most rows and columns of the area reach."""
    rows = np.flatnonzero(body.sum(axis=1) > 0.25 * body.any(axis=0).sum())
    columns = np.flatnonzero(body.sum(axis=0) > 0.15 * body.any(axis=1).sum())
    if min(len(rows), len(columns)) < MIN_SIDE_PX:
        raise NotAssessable("no_ultrasound_picture", "the scanned area is too small to be measured")
    top, bottom, left, right = float(rows[0]), float(rows[-1]), float(columns[0]), float(columns[-1])
    return Sector(
        kind=ProbeKind.LINEAR, apex=(top, left), depth_from=0.0, depth_to=(bottom - top) * row_aspect,
        across_from=0.0, across_to=right - left, upward=False, row_aspect=row_aspect, picture=body,
    )
