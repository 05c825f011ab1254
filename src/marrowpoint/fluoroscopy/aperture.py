"""Shape of the field of view: a circle, straight collimator blades, or both, from the sharp part of its border.

Only a *sharp* border is a collimator's: saturated air fades into the picture and stays part of the field, or the needle that
lies in it would be lost. A blade has the whole picture on one side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

JUMP = 0.12  # of the full range, three pixels inside the border: less is a fading edge
MOST_POINTS = 700  # border points used; more only cost time
BLADE_LENGTH = 0.22  # of the longest side: a shorter straight border is no blade
ARC = 0.30  # of the circle's part inside the frame must be seen
NEAR_PX = 1.6  # a border point lies on its shape within this
HELD = 0.98  # of the picture must lie within a circle
TRIES = 150  # circles tried
LEAST_TWIST = 500.0  # of three points, in square pixels: nearly in line, they fix no circle
LEAST_AREA = 0.1  # of the largest piece of picture: smaller pieces are text

Floats = NDArray[np.float64]


def find_aperture(small: FloatImage, border: Mask) -> Mask:
    """Find the field inside a uniform border.

    Parameters
    ----------
    small : ndarray of shape (m, n), float32
        Reduced picture.
    border : ndarray of shape (m, n), bool
        Uniform area that touches the edge of the frame.

    Returns
    -------
    ndarray of shape (m, n), bool
    """
    field = np.ones(border.shape, bool)
    picture = _picture(~border)
    points = _sharp_points(small, border, picture)
    stride = max(1.0, len(points) / MOST_POINTS)
    if stride > 1:  # at random (seeded): they stand in rows, so every second one may be the left blade's alone
        points = points[np.random.default_rng(0).permutation(len(points))[:MOST_POINTS]]
    if len(points) < 20:
        return field
    side = max(border.shape)
    rows, columns = np.indices(border.shape, dtype=np.float32)
    rim = picture & ~(cv2.erode(picture.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0)
    hull = cv2.convexHull(np.argwhere(rim)[:, ::-1].astype(np.int32))[:, 0, ::-1].astype(np.float64)
    circle = _circle(points, border.shape)
    if circle is not None:
        r, c, radius = circle
        disc = (rows - r) ** 2 + (columns - c) ** 2 <= (radius + 0.5) ** 2
        if (picture & disc).sum() < HELD * picture.sum():
            return field
        field &= disc
        points = points[np.abs(np.hypot(points[:, 0] - r, points[:, 1] - c) - radius) > 2 * NEAR_PX]
    for nr, nc, offset in _blades(points, hull, BLADE_LENGTH * side, stride):
        field &= rows * np.float32(nr) + columns * np.float32(nc) <= np.float32(offset + 0.5)
    return field


def _picture(inside: Mask) -> Mask:
    opened = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return inside
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    kept: Mask = np.isin(labels, np.flatnonzero(area >= LEAST_AREA * area.max()))
    return kept


def _sharp_points(small: FloatImage, border: Mask, picture: Mask) -> Floats:
    """Picture pixels beside the border whose surroundings, three pixels in, differ clearly from it."""
    near = cv2.dilate(border.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    rim = near & cv2.dilate(picture.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~border
    soft = cv2.blur(small * ~border, (7, 7)) / np.maximum(cv2.blur((~border).astype(np.float32), (7, 7)), 1e-3)
    level = cv2.blur(small * border, (7, 7)) / np.maximum(cv2.blur(border.astype(np.float32), (7, 7)), 1e-3)
    return np.argwhere(rim & (np.abs(soft - level) > JUMP)).astype(np.float64)


def _circle(points: Floats, shape: tuple[int, ...]) -> tuple[float, float, float] | None:
    """Circle by many exact fits to three points far apart (seeded, so that a frame has one answer)."""
    centres = _through(points[np.random.default_rng(0).integers(0, len(points), (TRIES, 3))])
    side = max(shape)
    centres = centres[(centres[:, 2] > 0.25 * side) & (centres[:, 2] < 0.75 * side)]
    if not len(centres):
        return None
    radii = np.hypot(points[None, :, 0] - centres[:, :1], points[None, :, 1] - centres[:, 1:2])
    counts = (np.abs(radii - centres[:, 2:]) < NEAR_PX).sum(1)
    if counts.max() < 0.35 * len(points):
        return None
    r, c, radius = (float(v) for v in centres[counts.argmax()])
    best = (r, c, radius)
    for _ in range(3):
        on = np.abs(np.hypot(points[:, 0] - best[0], points[:, 1] - best[1]) - best[2]) < NEAR_PX
        best = _fit_circle(points[on])
    return best if _seen_arc(points, best, shape) > ARC else None


def _through(threes: Floats) -> Floats:
    """Circles (row, column, radius) through three points each, (T, 3, 2); none through points nearly in line."""
    first = threes[:, 0]
    a, b = threes[:, 1] - first, threes[:, 2] - first
    twice = 2 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    usable = np.abs(twice) > LEAST_TWIST
    a, b, first, twice = a[usable], b[usable], first[usable], twice[usable]
    a2, b2 = (a**2).sum(1), (b**2).sum(1)
    offset = np.column_stack([b[:, 1] * a2 - a[:, 1] * b2, a[:, 0] * b2 - b[:, 0] * a2]) / twice[:, None]
    circles: Floats = np.column_stack([first + offset, np.hypot(*offset.T)])
    return circles


def _fit_circle(points: Floats) -> tuple[float, float, float]:
    solution = np.linalg.lstsq(np.column_stack([2 * points, np.ones(len(points))]), (points**2).sum(1), rcond=None)[0]
    r, c, rest = (float(v) for v in solution)
    return r, c, float(np.sqrt(max(rest + r * r + c * c, 0.0)))


def _seen_arc(points: Floats, circle: tuple[float, float, float], shape: tuple[int, ...]) -> float:
    """Part of the circle inside the frame that has border points on it; 10 degree bins."""
    r, c, radius = circle
    on = np.abs(np.hypot(points[:, 0] - r, points[:, 1] - c) - radius) < NEAR_PX
    seen = np.unique(np.floor(np.degrees(np.arctan2(points[on, 0] - r, points[on, 1] - c)) / 10))
    angles = np.radians(np.arange(-180, 180, 10) + 5)
    at_r, at_c = r + radius * np.sin(angles), c + radius * np.cos(angles)
    inside = (at_r > 1) & (at_r < shape[0] - 2) & (at_c > 1) & (at_c < shape[1] - 2)
    return len(seen) / max(int(inside.sum()), 9)


def _blades(points: Floats, hull: Floats, least: float, stride: float) -> list[tuple[float, float, float]]:
    """Lines (normal row, normal column, offset) with the picture at smaller offsets, longest first, at most four."""
    blades: list[tuple[float, float, float]] = []
    angles = np.radians(np.arange(0.0, 360.0, 0.5))
    normals = np.column_stack([np.sin(angles), np.cos(angles)])
    outermost = (hull @ normals.T).max(0)
    while len(points) * stride >= least and len(blades) < 4:
        offsets = points @ normals.T
        counts = (np.abs(offsets - outermost + 1.0) < NEAR_PX).sum(0)
        k = int(counts.argmax())
        if counts[k] * stride < least:
            break
        near = np.abs(points @ normals[k] - outermost[k] + 1.0) < NEAR_PX
        along = points[near] @ np.array([-normals[k][1], normals[k][0]])
        if np.ptp(along) >= least:
            blades.append((float(normals[k][0]), float(normals[k][1]), float(outermost[k])))
        points = points[~near]
    return blades
