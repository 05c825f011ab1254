"""What is drawn on an ultrasound picture only: the way ahead of the tip, depth that nobody can see, the peak of the crest."""

from __future__ import annotations

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Points
from marrowpoint.report.greys import Window
from marrowpoint.report.ink import ORANGE, WHITE, Picture, stroke
from marrowpoint.verdict import Code

# in line widths, so that they are seen from afar on any picture
DOT, PEAK, AHEAD, HALF_WIDTH, HATCH = 2.0, 6.0, 56.0, 20.0, 8.0


def draw_sound_marks(picture: Picture, assessment: Assessment, window: Window) -> list[tuple[str, tuple[float, float]]]:
    """Draw the way along the needle, the field of unknown depth and the peak of the crest.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
        Changed in place.
    assessment : Assessment
        Of an ultrasound frame; others are left alone, for they have none of these.
    window : Window

    Returns
    -------
    list of (str, tuple of float)
        Words and the (row, column) of the picture that they belong to [px].
    """
    needle, placement, pen = assessment.needle, assessment.placement, window.line_px
    if needle is None or placement is None:
        return []
    words: list[tuple[str, tuple[float, float]]] = []
    tip, forward = window.place(np.asarray(needle.tip))[0], -np.asarray(needle.axis)
    gap = placement.gap_along_shaft
    if gap is not None and placement.entry is not None:
        way = np.stack([tip, window.place(np.asarray(placement.entry))[0]])
        stroke(picture, way, ORANGE, 1.3 * pen, dash_px=DOT * pen)
        middle = way.mean(axis=0)
        words.append((f"ahead {gap.value:.1f} {gap.unit}", (float(middle[0]), float(middle[1]))))
    if placement.crest_peak is not None and not _together(window, placement.crest_peak, placement.entry):
        top = window.place(np.asarray(placement.crest_peak))[0]
        stroke(picture, top + PEAK * pen * np.array([(1.8, -0.8), (0.3, 0.0), (1.8, 0.8)]), ORANGE, pen)
    if assessment.verdict.code is Code.AT_OR_BEYOND_CORTEX:
        for line in hatching(tip, forward, AHEAD * pen, HALF_WIDTH * pen, HATCH * pen):
            stroke(picture, line, WHITE, pen)
        end = tip + AHEAD * pen * forward
        words.append(("depth unknown", (float(end[0]), float(end[1]))))
    return words


def _together(window: Window, peak: tuple[float, float], entry: tuple[float, float] | None) -> bool:
    """Whether the mark of the entry already stands where the mark of the peak would."""
    if entry is None:
        return False
    apart = window.place(np.asarray(peak))[0] - window.place(np.asarray(entry))[0]
    return float(np.hypot(*apart)) < 2 * PEAK * window.line_px


def hatching(tip: Points, forward: Points, length: float, half_width: float, step: float) -> list[Points]:
    """Slanting strokes that fill a strip ahead of the tip.

    Parameters
    ----------
    tip, forward : ndarray of shape (2,)
        Where the strip begins, and the unit vector along it.
    length, half_width, step : float
        Of the strip, and between its strokes [px].

    Returns
    -------
    list of ndarray of shape (2, 2)
    """
    across = np.array((-forward[1], forward[0]))
    lines = []
    for start in np.arange(step, length + half_width, step):
        # cut where a stroke would leave the strip at its far end or begin before the tip
        low, high = max(start - half_width, 1.5 * step), min(start + half_width, length)
        if high - low > step:
            lines.append(np.stack([tip + at * forward + (at - start) * across for at in (low, high)]))
    return lines
