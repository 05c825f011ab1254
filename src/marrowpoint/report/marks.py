"""What is drawn onto the picture itself: outline, needle, tip with its doubt, distances, thin bone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from marrowpoint.assess import ULTRASOUND
from marrowpoint.assessment import Assessment
from marrowpoint.cortex import Cortex
from marrowpoint.frame import Mask, Points
from marrowpoint.measurement import Measurement
from marrowpoint.needle import Needle
from marrowpoint.report.greys import Window
from marrowpoint.report.ink import (
    BLACK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WHITE,
    YELLOW,
    Colour,
    Picture,
    letters,
    plain,
    stroke,
    write_text,
)
from marrowpoint.report.sound import draw_sound_marks
from marrowpoint.verdict import Code, Flag

DOUBT_DASH = 6.0  # of the line's width: dashes of an uncertain outline
LIKELY = 0.5  # an outline less likely right than wrong is never drawn as one that is trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A few words beside a point of the picture, (row, column) [px]."""

    text: str
    at: tuple[float, float]
    colour: Colour


def draw_marks(picture: Picture, assessment: Assessment, window: Window, thin_below_mm: float | None) -> Picture:
    """Draw everything that was found onto a picture of the frame.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
        The frame as `window` shows it; not changed.
    assessment : Assessment
    window : Window
    thin_below_mm : float or None
        Bone thinner than this gets a border, where there is a thickness map [mm].

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    drawn = picture.copy()
    labels: list[Label] = []
    cortex, needle = assessment.cortex, assessment.needle
    if cortex is not None:
        doubtful = doubtful_outline(assessment)
        dash_px = DOUBT_DASH * window.line_px if doubtful else 0.0
        for line in cortex.lines:
            stroke(drawn, window.place(line), SKY, window.line_px, dash_px=dash_px)
        if thin_below_mm is not None and not doubtful:  # nobody knows what bone such a map is of
            _draw_thin_border(drawn, cortex, window, thin_below_mm)
    before = drawn.copy()
    for number, other in enumerate(assessment.candidates):
        _draw_shaft(drawn, other, window, PURPLE, dashed=True)
        labels.append(Label(text=f"needle ({number + 1})?", at=_point(window, other.tip), colour=PURPLE))
    if needle is not None:
        for number, other in enumerate(needle.alternatives):
            _draw_shaft(drawn, other, window, PURPLE, dashed=True)
            labels.append(Label(text=f"or here ({number + 2})?", at=_point(window, other.tip), colour=PURPLE))
        _draw_shaft(drawn, needle, window, YELLOW)
        labels += _draw_lengths(drawn, assessment, window, _point(window, needle.tip))
        _draw_tip(drawn, needle, window)
    occupied = np.any(drawn != before, axis=2)
    return _write_labels(drawn, labels, occupied, window)


def doubtful_outline(assessment: Assessment) -> bool:
    """Whether the outline of a frame is so uncertain that it must not look like one that is trusted.

    Parameters
    ----------
    assessment : Assessment

    Returns
    -------
    bool
        Where the verdict says so, and where there is no verdict on it (no needle) an outline less likely right than wrong.
    """
    cortex = assessment.cortex
    if cortex is None:
        return False
    return Flag.LOW_CONFIDENCE_BONE in assessment.verdict.flags or cortex.confidence < LIKELY


def _draw_lengths(picture: Picture, assessment: Assessment, window: Window, tip: tuple[float, float]) -> list[Label]:
    placement = assessment.placement
    if placement is None:
        return []
    labels = _draw_distance(picture, window, tip, placement.nearest_thin, placement.thin_bone_margin, dashed=True)
    if assessment.verdict.code is not Code.AT_OR_BEYOND_CORTEX:
        # there a length would be read as a depth, which nobody knows
        labels += _draw_distance(picture, window, tip, placement.nearest_cortex, placement.tip_to_cortex)
    if assessment.frame.reference.modality in ULTRASOUND:
        labels += [Label(text=text, at=at, colour=ORANGE) for text, at in draw_sound_marks(picture, assessment, window)]
    if placement.entry is not None:
        _draw_entry(picture, _point(window, placement.entry), window.line_px)
    return labels


def _draw_shaft(picture: Picture, needle: Needle, window: Window, colour: Colour, *, dashed: bool = False) -> None:
    # two lines beside the shaft, from a little behind the tip on: neither the tip nor the metal is hidden
    tip, axis = np.asarray(needle.tip), np.asarray(needle.axis)
    across = np.asarray((-axis[1], axis[0]))
    start = min(2.5 * needle.width_px, 0.5 * needle.length_px)
    gap = needle.width_px / 2 + 1.5 * window.line_px / window.zoom
    dash_px = 5 * window.line_px if dashed else 0.0
    for side in (-gap, gap):
        ends = np.stack([tip + start * axis + side * across, tip + needle.length_px * axis + side * across])
        stroke(picture, window.place(ends), colour, window.line_px, dash_px=dash_px)


def _draw_tip(picture: Picture, needle: Needle, window: Window) -> None:
    # the 95 % ellipse and, outside of it, four short strokes that point at the tip
    centre, w = np.asarray(_point(window, needle.tip)), window.line_px
    axis = np.asarray(needle.axis)
    across = np.asarray((-axis[1], axis[0]))
    along_px = max(2 * needle.tip_sd_along_px * window.zoom, 2 * w)
    across_px = max(2 * needle.tip_sd_across_px * window.zoom, 2 * w)
    turn = np.linspace(0, 2 * np.pi, 49)
    ellipse = centre + np.outer(np.cos(turn) * along_px, axis) + np.outer(np.sin(turn) * across_px, across)
    stroke(picture, ellipse, WHITE, w)
    for direction, radius in ((-axis, along_px), (across, across_px), (-across, across_px)):
        stroke(picture, np.stack([centre + direction * (radius + 3 * w), centre + direction * (radius + 11 * w)]), WHITE, w)


def _draw_distance(
    picture: Picture,
    window: Window,
    tip: tuple[float, float],
    point: tuple[float, float] | None,
    distance: Measurement | None,
    *,
    dashed: bool = False,
) -> list[Label]:
    if point is None or distance is None:
        return []
    colour = VERMILLION if dashed else WHITE
    end = _point(window, point)
    if np.hypot(end[0] - tip[0], end[1] - tip[1]) > 1:
        stroke(picture, np.array([tip, end]), colour, 1.5 * window.line_px, dash_px=5 * window.line_px if dashed else 0.0)
    _dot(picture, end, colour, 2.2 * window.line_px)
    middle = ((tip[0] + end[0]) / 2, (tip[1] + end[1]) / 2)
    # a length on a line is positive; on which side of the bone it lies, the picture shows
    length = f"{abs(distance.value):.1f} {distance.unit}"
    words = f"thin bone {length}" if dashed else length
    return [Label(text=words, at=middle, colour=colour)]


def _draw_entry(picture: Picture, at: tuple[float, float], line_px: float) -> None:
    r = 4.5 * line_px
    diamond = np.array(at) + np.array([(-r, 0), (0, r), (r, 0), (0, -r)])
    stroke(picture, diamond, ORANGE, line_px, closed=True)


def _draw_thin_border(picture: Picture, cortex: Cortex, window: Window, thin_below_mm: float) -> None:
    for line in thin_borders(cortex, thin_below_mm):
        stroke(picture, window.place(line), VERMILLION, window.line_px, dash_px=4 * window.line_px)


def thin_borders(cortex: Cortex, thin_below_mm: float) -> list[Points]:
    """Where thin bone begins on the thickness map; where it ends at the outline, the outline itself is drawn already.

    Parameters
    ----------
    cortex : Cortex
    thin_below_mm : float
        [mm].

    Returns
    -------
    list of ndarray of shape (K, 2)
        Open lines, (row, column) of the frame [px]; empty without a map.
    """
    if cortex.thickness is None:
        return []
    rows, columns = cortex.bone.shape
    median = cv2.resize(cortex.thickness.median_mm, (columns, rows), interpolation=cv2.INTER_LINEAR)
    thin: Mask = (median > 0) & (median < thin_below_mm) & cortex.bone
    outlines, _ = cv2.findContours(thin.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # specks of a few cells are the grid's noise, no border a person could use
    smallest_px = rows * columns * 2e-4
    closed = [np.vstack([o, o[:1]]).reshape(-1, 2)[:, ::-1] for o in outlines if cv2.contourArea(o) > smallest_px]
    margin_px = max(3, round(max(rows, columns) / 150))
    within = (
        cv2.distanceTransform(np.pad(cortex.bone, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        > margin_px
    )
    return [run for line in closed for run in _runs(line, within[line[:, 0], line[:, 1]])]


def _runs(line: NDArray[np.int32], keep: Mask) -> list[Points]:
    # stretches of a line whose points are all kept
    edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]]).astype(np.int8)))
    return [line[a:b].astype(np.float64) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 8]


def _write_labels(picture: Picture, labels: list[Label], occupied: Mask, window: Window) -> Picture:
    if not labels:
        return picture
    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    size = round(11 * window.line_px)
    for label in labels:
        width, height = letters(size).getlength(plain(label.text)), size * 1.15
        corner = _free_corner(label.at, (height, width), occupied, size)
        if corner is None:
            continue
        write_text(
            draw, (corner[1], corner[0]), label.text, size, label.colour, halo_px=max(2, round(window.line_px * 1.5)), bold=True
        )
        r, c = round(corner[0]), round(corner[1])
        occupied[max(r - 2, 0) : r + round(height) + 2, max(c - 2, 0) : c + round(width) + 2] = True
    return np.asarray(page)


def _free_corner(at: tuple[float, float], size: tuple[float, float], occupied: Mask, step: float) -> tuple[float, float] | None:
    # the nearest place around the point where the words cover nothing that is drawn
    (height, width), (rows, columns) = size, occupied.shape
    if height >= rows or width >= columns or not (0 <= at[0] < rows and 0 <= at[1] < columns):
        return None
    covered = cv2.integral(occupied.astype(np.uint8))
    best: tuple[float, tuple[float, float]] | None = None
    for radius in np.arange(0.8, 9.0, 0.6) * step:
        for angle in np.arange(0, 360, 15) * np.pi / 180:
            r = at[0] + radius * np.sin(angle) - height / 2
            c = at[1] + (radius + width / 2) * np.cos(angle) - width / 2
            if not (2 <= r < rows - height - 2 and 2 <= c < columns - width - 2):
                continue
            top, left, bottom, right = int(r), int(c), int(r + height) + 1, int(c + width) + 1
            hidden = covered[bottom, right] - covered[top, right] - covered[bottom, left] + covered[top, left]
            cost = float(hidden) * 10 + radius
            if best is None or cost < best[0]:
                best = (cost, (r, c))
        if best is not None and best[0] <= radius:
            break
    return None if best is None else best[1]


def _point(window: Window, point: tuple[float, float]) -> tuple[float, float]:
    row, column = window.place(np.asarray(point))[0]
    return float(row), float(column)


def _dot(picture: Picture, at: tuple[float, float], colour: Colour, radius_px: float) -> None:
    centre = (round(at[1]), round(at[0]))
    cv2.circle(picture, centre, round(radius_px + 2), BLACK, -1, cv2.LINE_AA)
    cv2.circle(picture, centre, round(radius_px), colour, -1, cv2.LINE_AA)
