"""The outline as a person left it: its bone side, what of it is cortex, and how far it is believed near the tip."""

from __future__ import annotations

from dataclasses import replace
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.assessment import Assessment
from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.outline import FIELD_MARGIN, fill_rings
from marrowpoint.fluoroscopy.segment import NEAR_TIP
from marrowpoint.frame import Calibration, Mask, Points
from marrowpoint.needle import Needle
from marrowpoint.polyline import nearest_points, segments_of
from marrowpoint.profile import ReviewLimits
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.hand import hand_sd_px, reader
from marrowpoint.review.lines import is_closed

MOVED_PX = 0.75  # an outline point this far off the program's line is the person's
# An outline's doubt is that of the arc nearest to the program's tip. Nineteen of twenty arcs at these distances from it (of the
# frame's longer side) are at most this much vaguer and hold this much of its confidence; the last column is for an outline
# found without a needle, whose doubt is that of all of it. Nine to fourteen simulated frames over real anatomy.
AWAY, VAGUER, LESS_SURE = (0.03, 0.12, 0.25), (1.0, 1.7, 3.0), (1.0, 0.93, 0.8)
VAGUER_THAN_ALL, LESS_SURE_THAN_ALL = 1.7, 0.87
LOOSE_SHARE = 1 / 25  # of the frame's longer side: an open line that ends farther from the field's edge hangs loose


def hand_cortex(
    base: Assessment, corrections: Corrections, needle: Needle | None, calibration: Calibration, limits: ReviewLimits
) -> Cortex | None:
    """The outline with what a person set of it.

    Parameters
    ----------
    base : Assessment
        The program's own.
    corrections : Corrections
    needle : Needle or None
        The doubt of the outline is that of the arc nearest to its tip.
    calibration : Calibration
    limits : ReviewLimits

    Returns
    -------
    Cortex or None
        None where neither found one.

    Raises
    ------
    NotAssessable
        ``open_outline`` where a drawn line encloses nothing.
    """
    stated, drawn = base.cortex, corrections.outline
    found = None if stated is None or needle is None else near_tip(stated, needle, base)
    if drawn is None and not corrections.outline_confirmed:
        return found or stated
    found = stated if corrections.outline_confirmed else found or stated
    shape = base.frame.pixels.shape
    sd = hand_sd_px(limits, calibration, shape, None if needle is None else needle.width_px)
    by = reader(corrections.set_by("outline", "outline_confirmed"))
    if drawn is None:
        if found is None:
            return None
        return replace(
            found, edge_sd_px=max(sd, found.edge_sd_px), confidence=max(limits.hand_confidence, found.confidence), located_by=by
        )
    field = base.frame.valid if base.exposure is None else base.exposure.field
    bone = bone_of(drawn, found, field)
    lines = cortex_lines(drawn, field)
    if not lines or not bone.any():
        raise NotAssessable("open_outline", "The outline holds no bone inside the picture: draw it again.")
    fresh = Cortex(bone=bone, lines=lines, edge_sd_px=sd, confidence=limits.hand_confidence, located_by=by)
    if found is None:
        return fresh
    fresh = replace(fresh, thickness=found.thickness, model_sha256=found.model_sha256)
    if corrections.outline_confirmed:
        return replace(fresh, edge_sd_px=max(sd, found.edge_sd_px))
    share = hand_share(lines, found.lines, needle, max(shape))
    # part of the arc is still the program's, with its doubt and its chance to be wrong
    mixed = float(np.sqrt(share * sd**2 + (1 - share) * found.edge_sd_px**2))
    confidence = share * limits.hand_confidence + (1 - share) * found.confidence
    return replace(fresh, edge_sd_px=mixed, confidence=float(confidence))


def near_tip(cortex: Cortex, needle: Needle, base: Assessment) -> Cortex:
    """The program's outline with its doubt near another tip than the one that it was stated for.

    Parameters
    ----------
    cortex : Cortex
        The program's.
    needle : Needle
        As a person left it.
    base : Assessment
        The program's own.

    Returns
    -------
    Cortex
        The same one where the nearest arc is the same.
    """
    if base.needle is None:
        vaguer, less_sure = VAGUER_THAN_ALL, LESS_SURE_THAN_ALL
    else:
        pieces = segments_of(cortex.lines, np.ones(2))
        if needle.tip == base.needle.tip or not len(pieces.start):
            return cortex
        _, nearest, _ = nearest_points(np.array([needle.tip, base.needle.tip]), pieces)
        away = hypot(*(nearest[0] - nearest[1])) / max(base.frame.pixels.shape)
        if away <= AWAY[0]:
            return cortex
        vaguer, less_sure = float(np.interp(away, AWAY, VAGUER)), float(np.interp(away, AWAY, LESS_SURE))
    return replace(cortex, edge_sd_px=cortex.edge_sd_px * vaguer, confidence=cortex.confidence * less_sure)


def hand_share(lines: tuple[Points, ...], before: tuple[Points, ...], needle: Needle | None, size: int) -> float:
    """How much of the arc nearest to the tip (of all the outline without a needle) a person moved, 0..1."""
    points = np.concatenate([_every_pixel(line) for line in lines])
    weight = np.ones(len(points))
    if needle is not None:
        nearest = points[np.argmin(np.hypot(*(points - np.asarray(needle.tip)).T))]
        weight = np.exp(-0.5 * (np.hypot(*(points - nearest).T) / (NEAR_TIP * size)) ** 2)
        kept = weight > 1e-3
        points, weight = points[kept], weight[kept]
    pieces = segments_of(before, np.ones(2))
    if not len(pieces.start):
        return 1.0
    moved = np.concatenate([nearest_points(part, pieces)[0] for part in np.array_split(points, len(points) // 256 + 1)])
    return float(weight @ (moved > MOVED_PX) / weight.sum())


def bone_of(drawn: tuple[Points, ...], found: Cortex | None, field: Mask) -> Mask:
    """Bone side of drawn lines.

    A closed line holds its inside (a line within a line, a hole). An open line ends at the edge of the field and only moves
    a line of the program: what lies between both changes sides.

    Raises
    ------
    NotAssessable
        ``open_outline`` where an open line has no line of the program to replace, or hangs loose in the picture.
    """
    old = () if found is None else found.lines
    left_old, left_new = _unmatched(old, drawn)
    if all(is_closed(line) for line in drawn) and (all(is_closed(line) for line in old)):
        return fill_rings([line for line in drawn], field.shape) & field
    if found is None:
        raise _open()
    rings = [line for line in left_new if is_closed(line)] + [line for line in left_old if is_closed(line)]
    open_old = [line for line in left_old if not is_closed(line)]
    open_new = [line for line in left_new if not is_closed(line)]
    if len(open_old) != len(open_new):
        raise _open()
    reach = LOOSE_SHARE * max(field.shape)
    for before, after in zip(open_old, open_new, strict=True):
        if any(_hangs_loose(after[end], before[end], field, reach) for end in (0, -1)):
            raise _open()
        same_way = hypot(*(before[0] - after[0])) + hypot(*(before[-1] - after[-1]))
        other_way = hypot(*(before[0] - after[-1])) + hypot(*(before[-1] - after[0]))
        rings.append(np.concatenate([before, after[::-1] if same_way <= other_way else after]))
    bone = found.bone.copy()
    if rings:
        # only the box that the edit touched: this runs while a mouse drags
        corners = np.concatenate(rings)
        top, left = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, field.shape)
        bottom, right = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, field.shape)
        box = (slice(top, bottom), slice(left, right))
        bone[box] ^= fill_rings([ring - (top, left) for ring in rings], (int(bottom - top), int(right - left)))
        bone[box] &= field[box]
    return bone


def _hangs_loose(after: Points, before: Points, field: Mask, reach: float) -> bool:
    """Whether a moved end lies well inside the field, and farther inside than the program's own did."""
    if float(np.abs(after - before).max()) < MOVED_PX:
        return False
    return _gap_to_edge(after, field) > max(reach, 2 * _gap_to_edge(before, field))


def cortex_lines(drawn: tuple[Points, ...], field: Mask) -> tuple[Points, ...]:
    """Drawn lines without what only follows the edge of the field or lies beyond it: that is no cortex."""
    margin = max(round(FIELD_MARGIN * max(field.shape)), 2)
    padded = np.pad(field.astype(np.uint8), 1)
    inside = cv2.erode(padded, np.ones((2 * margin + 1,) * 2, np.uint8), borderValue=0)[1:-1, 1:-1] > 0
    lines: list[Points] = []
    for line in drawn:
        if not is_closed(line):
            lines.append(line)
            continue
        points = _every_pixel(line)
        keep = _look_up(inside, points)
        if keep.all():
            lines.append(line)
        elif keep.any():
            lines.extend(_runs(points[:-1], keep[:-1]))
    return tuple(lines)


def _runs(ring: Points, keep: NDArray[np.bool_]) -> list[Points]:
    start = int(np.flatnonzero(keep & ~np.roll(keep, 1))[0])
    ring, keep = np.roll(ring, -start, axis=0), np.roll(keep, -start)
    change = np.flatnonzero(np.diff(keep.astype(np.int8), prepend=0, append=0))
    return [ring[a:b] for a, b in zip(change[::2], change[1::2], strict=True) if b - a > 1]


def _unmatched(old: tuple[Points, ...], new: tuple[Points, ...]) -> tuple[list[Points], list[Points]]:
    """Lines of either side that the other does not have."""

    def among(line: Points, lines: tuple[Points, ...]) -> bool:
        return any(line.shape == other.shape and bool(np.allclose(line, other, atol=1e-3)) for other in lines)

    return [line for line in old if not among(line, new)], [line for line in new if not among(line, old)]


def _gap_to_edge(point: Points, field: Mask) -> float:
    """Distance from a point to where the field ends, looked for in eight directions."""
    best = float(max(field.shape))
    for row, column in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        step = np.array([row, column]) / hypot(row, column)
        reach = np.arange(0.0, best, 1.0)
        way = point + reach[:, None] * step
        inside = _look_up(field, way) & (way >= -0.5).all(axis=1) & (way <= np.array(field.shape) - 0.5).all(axis=1)
        if not inside.all():
            best = min(best, float(reach[np.argmin(inside)]))
    return best


def _look_up(mask: Mask, points: Points) -> NDArray[np.bool_]:
    row = np.clip(np.rint(points[:, 0]), 0, mask.shape[0] - 1).astype(np.intp)
    column = np.clip(np.rint(points[:, 1]), 0, mask.shape[1] - 1).astype(np.intp)
    return np.asarray(mask[row, column], np.bool_)


def _every_pixel(line: Points) -> Points:
    """Points of a line, at most a pixel apart."""
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, way[-1], max(int(np.ceil(way[-1])) + 1, 2))
    return np.column_stack([np.interp(at, way, line[:, k]) for k in (0, 1)])


def _open() -> NotAssessable:
    text = "The outline has loose ends: draw it as a closed line; beyond the edge of the picture is fine."
    return NotAssessable("open_outline", text)
