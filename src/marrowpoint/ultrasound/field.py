"""Find the scanned sector in a saved ultrasound screen, and mask what the user interface drew on it.

The shape of the sector is found from the picture alone: convex and phased probes by the two straight sides that meet in
one point above (or below) the picture, linear probes by an upright rectangle. Left and right are never guessed: nothing
here depends on which side of the picture is which side of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage, Frame, Mask, UltrasoundRegion
from marrowpoint.ultrasound.marks import find_marks

ABOVE_BACKGROUND = 3.5 / 255  # lossy JPEG ripples by up to three grey levels around the empty screen
BLOCK_PX = 13  # speckle is denser than this; text and rulers are not
MIN_SIDE_PX = 60  # a smaller picture cannot be measured
RECTANGLE_FILL = 0.93  # hull over bounding box; a sector of 50 degrees fills about 0.75
MAX_SIDE_TILT_DEG = 62.0  # half the opening angle of the widest sectors
TISSUE = 1  # 0018,6014: tissue
COLOUR_FLOW = 2  # 0018,6014: colour flow, drawn over tissue
TWO_DIMENSIONAL = 1  # 0018,6012


class ProbeKind(StrEnum):
    """Shape of the scanned area."""

    CURVILINEAR = "curvilinear"
    PHASED = "phased"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sector:
    """The scanned area and the direction of its beams.

    Lengths are in units of one column; a row counts `row_aspect` columns, so that circles are round.

    Parameters
    ----------
    kind : ProbeKind
    apex : tuple of float
        (row, column) where all beams meet [px]; for a linear probe the top-left corner.
    depth_from, depth_to : float
        Start and end of a beam from the apex (linear: from the top edge), in columns.
    across_from, across_to : float
        First and last beam: angle from the downward direction [rad]; linear: distance from the left edge, in columns.
    upward : bool
        True if the apex lies below: the picture stands on its head.
    row_aspect : float
        Height of a pixel over its width.
    picture : ndarray of shape (M, N), bool
        Pixels of the scanned area without what the user interface drew on it.
    """

    kind: ProbeKind
    apex: tuple[float, float]
    depth_from: float
    depth_to: float
    across_from: float
    across_to: float
    upward: bool
    row_aspect: float
    picture: Mask


def tissue_region(regions: tuple[UltrasoundRegion, ...]) -> UltrasoundRegion | None:
    """The largest region that shows tissue in two dimensions, or None.

    Parameters
    ----------
    regions : tuple of UltrasoundRegion

    Returns
    -------
    UltrasoundRegion or None
    """
    shown = [r for r in regions if r.spatial_format == TWO_DIMENSIONAL and r.data_type in (TISSUE, COLOUR_FLOW)]
    return max(shown, key=lambda r: (r.bottom - r.top) * (r.right - r.left), default=None)


def find_sector(frame: Frame, *, row_aspect: float = 1.0) -> Sector:
    """Find the scanned area of a saved ultrasound screen.

    Parameters
    ----------
    frame : Frame
    row_aspect : float
        Height of a pixel over its width.

    Returns
    -------
    Sector

    Raises
    ------
    NotAssessable
        Code ``no_ultrasound_picture`` if there is no area of speckle large enough.
    """
    window = _window(frame)
    marks = find_marks(frame)
    active = _active(frame.pixels, frame.valid & window & ~marks)
    body = _body(active)
    hull = _hull(body, row_aspect)
    low, high = hull.min(axis=0), hull.max(axis=0)
    area = float(cv2.contourArea(hull.astype(np.float32)))
    filled = area / max(float(np.prod(high - low)), 1.0)
    sector = None if filled > RECTANGLE_FILL else _fan(hull, body, active, row_aspect)
    if sector is None:
        sector = _rectangle(body, row_aspect)
    inside = _inside(sector, body.shape)
    hull_area = cv2.fillConvexPoly(np.zeros(body.shape, np.uint8), (hull / (1.0, row_aspect)).round().astype(np.int32), 1)
    scanned = cv2.dilate(hull_area, np.ones((2 * BLOCK_PX + 1, 2 * BLOCK_PX + 1), np.uint8)) > 0
    picture = inside & scanned & frame.valid & window & ~marks
    return _with_picture(sector, picture)


def fill_marks(pixels: FloatImage, sector: Sector) -> FloatImage:
    """Grey values with everything outside `sector.picture` replaced by what surrounds it, so that no false edge is left.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
    sector : Sector

    Returns
    -------
    ndarray of shape (M, N), float32
    """
    known = sector.picture.astype(np.float32)
    weight = cv2.blur(known, (31, 31))
    around = cv2.blur(pixels * known, (31, 31)) / np.maximum(weight, 1e-3)
    return np.where(sector.picture, pixels, around).astype(np.float32)


def _window(frame: Frame) -> Mask:
    window: Mask = np.ones(frame.pixels.shape, dtype=bool)
    region = tissue_region(frame.regions)
    if region is None:
        return window
    inside = np.zeros_like(window)
    inside[max(region.top, 0) : region.bottom + 1, max(region.left, 0) : region.right + 1] = True
    # a region that misses the picture (written for another screen layout) would hide it all
    return inside if inside.sum() > MIN_SIDE_PX**2 else window


def _active(pixels: FloatImage, valid: Mask) -> Mask:
    """Pixels brighter than the empty screen."""
    levels = np.bincount(np.clip(np.rint(pixels * 255), 0, 255).astype(np.int64).ravel(), minlength=64)
    background = float(np.argmax(levels[:64])) / 255
    active: Mask = (pixels > background + ABOVE_BACKGROUND) & valid
    return active


def _body(active: Mask) -> Mask:
    """Largest connected area of speckle, holes filled."""
    shown = active.astype(np.float32)
    dense = (cv2.blur(shown, (BLOCK_PX, BLOCK_PX), borderType=cv2.BORDER_REPLICATE) > 0.45).astype(np.uint8)
    dense = np.asarray(cv2.morphologyEx(dense, cv2.MORPH_OPEN, np.ones((BLOCK_PX, BLOCK_PX), np.uint8)), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dense)
    if count < 2:
        raise NotAssessable("no_ultrasound_picture", "no scanned area was found in the frame")
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    # parts cut off by a bone's shadow belong to the picture when they are large
    keep = [i for i in range(1, count) if i == best or stats[i, cv2.CC_STAT_AREA] > 0.04 * stats[best, cv2.CC_STAT_AREA]]
    body: Mask = np.isin(labels, keep)
    body = body & (cv2.dilate(shown, np.ones((3, 3), np.uint8)) > 0)
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    if min(np.ptp(rows), np.ptp(columns)) < MIN_SIDE_PX:
        raise NotAssessable("no_ultrasound_picture", "the scanned area is too small to be measured")
    return body


def _hull(body: Mask, row_aspect: float) -> np.ndarray:
    """Convex hull of the area as (x, y) in columns, simplified to its straight runs."""
    contours, _ = cv2.findContours(body.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.vstack([c.reshape(-1, 2) for c in contours])
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.float32)
    simple = cv2.approxPolyDP(hull.reshape(-1, 1, 2), 2.0, True).reshape(-1, 2).astype(np.float64)
    simple[:, 1] *= row_aspect
    return simple


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
    rows, columns = (2 * index for index in np.nonzero(body[::2, ::2]))
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
    frame_hull = (hull / (1.0, row_aspect)).round().astype(np.int32)
    near_hull = cv2.fillConvexPoly(np.zeros(active.shape, np.uint8), frame_hull, 1)
    near_hull = cv2.dilate(near_hull, np.ones((2 * BLOCK_PX + 1, 2 * BLOCK_PX + 1), np.uint8))
    # every second column is enough for medians; every row, because its place is what is asked
    rows, columns = np.nonzero((active & (near_hull > 0))[:, ::2])
    columns = 2 * columns
    dx, dy = columns - apex[0], (rows * row_aspect - apex[1]) * sign
    radius, angle = np.hypot(dx, dy), np.arctan2(dx, dy)
    inside = (angle > edges[0]) & (angle < edges[1]) & (dy > 0)
    beam = ((angle[inside] - edges[0]) / (edges[1] - edges[0]) * 64).astype(np.int64)
    near, far = np.full(64, np.inf), np.zeros(64)
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


def _inside(sector: Sector, shape: tuple[int, int]) -> Mask:
    rows = (np.arange(shape[0]) - sector.apex[0]) * sector.row_aspect * (-1.0 if sector.upward else 1.0)
    columns = np.arange(shape[1]) - sector.apex[1]
    dy, dx = rows.astype(np.float32)[:, None], columns.astype(np.float32)[None]
    if sector.kind is ProbeKind.LINEAR:
        inside: Mask = (dy >= 0) & (dy <= sector.depth_to) & (dx >= 0) & (dx <= sector.across_to)
        return inside
    squared = dx * dx + dy * dy
    low, high = np.float32(np.tan(sector.across_from)), np.float32(np.tan(sector.across_to))
    inside = (squared >= sector.depth_from**2) & (squared <= sector.depth_to**2)
    inside &= (dx >= dy * low) & (dx <= dy * high) & (dy > 0)
    return inside


def _with_picture(sector: Sector, picture: Mask) -> Sector:
    return Sector(
        kind=sector.kind, apex=sector.apex, depth_from=sector.depth_from, depth_to=sector.depth_to,
        across_from=sector.across_from, across_to=sector.across_to, upward=sector.upward,
        row_aspect=sector.row_aspect, picture=picture,
    )
