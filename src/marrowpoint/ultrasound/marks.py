"""Find what the user interface drew: text, grey-scale bars, coloured marks and boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Frame, Mask

Levels = NDArray[np.uint8]

LIT_LEVEL = 89  # of 255: parts of the screen are told apart at this level
LETTER_LEVEL = 102  # burned-in letters are near white, or grey on some screens
SHARPNESS = 0.75  # of a letter's own level: its edge is one pixel wide, that of speckle wider
LETTER_PX = (5, 40)  # height of letters on screens from 400 to 1200 rows
LINE_OF_TEXT = 3  # letters that make a text
BAR_PX = (8, 40)  # smallest width and height of a grey-scale bar
BAR_LEVEL, BAR_RANGE = 10, 77  # brighter than the screen, and from dark to bright
GROW_PX = 3  # anti-aliased rims of letters


def levels_of(pixels: FloatImage) -> Levels:
    """A picture of 0..1 in 256 grey levels.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32

    Returns
    -------
    ndarray of shape (M, N), uint8
    """
    return np.asarray(cv2.convertScaleAbs(np.clip(pixels, 0, 1), alpha=255.0), np.uint8)


def find_marks(frame: Frame, levels: Levels) -> Mask:
    """Pixels that the user interface drew.

    Parameters
    ----------
    frame : Frame
    levels : ndarray of shape (M, N), uint8
        Its grey levels.

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    marks = _letters(levels) | _bars(levels)
    if frame.coloured is not None:
        marks |= frame.coloured
    grown: Mask = cv2.dilate(marks.view(np.uint8), np.ones((2 * GROW_PX + 1, 2 * GROW_PX + 1), np.uint8)).view(bool)
    return grown


def _letters(levels: Levels) -> Mask:
    """Small, flat, bright, sharp-edged things that stand in a row."""
    tall = LETTER_PX[1]
    bright = (levels > LIT_LEVEL).view(np.uint8)
    _, labels, stats, centres = cv2.connectedComponentsWithStats(bright, connectivity=8)
    found = np.zeros(levels.shape, dtype=bool)
    height, width, area = stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_AREA]
    candidates = np.flatnonzero((height >= LETTER_PX[0]) & (height <= tall) & (width <= 1.6 * tall) & (area > 8))
    candidates = candidates[candidates > 0]
    if len(candidates) == 0 or len(candidates) > 4000:
        return found
    candidates = _sharp(levels, labels, candidates, area)
    for i in candidates:
        same_line = np.abs(centres[candidates, 1] - centres[i, 1]) < 0.5 * height[i]
        near = np.abs(centres[candidates, 0] - centres[i, 0]) < 5.0 * max(height[i], 8)
        alike = (height[candidates] > 0.6 * height[i]) & (height[candidates] < 1.7 * height[i])
        if np.count_nonzero(same_line & near & alike) >= LINE_OF_TEXT:
            x, y, w, h = (int(v) for v in stats[i, :4])
            found[y : y + h, x : x + w] |= labels[y : y + h, x : x + w] == i
    return found


def _sharp(levels: Levels, labels: np.ndarray, candidates: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Candidates of strokes so thin that most of their pixels touch a steep edge."""
    chosen = np.zeros(len(area), dtype=bool)
    chosen[candidates] = True
    lit = np.flatnonzero(chosen[labels])
    which = labels.ravel()[lit]
    edge = cv2.morphologyEx(levels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    inner = np.bincount(which, weights=levels.ravel()[lit], minlength=len(area))[candidates] / area[candidates]
    rim = np.bincount(which, weights=edge.ravel()[lit], minlength=len(area))[candidates] / area[candidates]
    sharp: np.ndarray = candidates[(rim > SHARPNESS * inner) & (inner > LETTER_LEVEL)]
    return sharp


def _bars(levels: Levels) -> Mask:
    """Grey-scale wedges: constant along rows over some width, over a long height."""
    width, height = BAR_PX
    found: Mask = np.zeros(levels.shape, dtype=bool)
    flat = np.zeros(levels.shape, np.uint8)
    flat[:, 1:-1] = (cv2.absdiff(levels[:, 2:], levels[:, :-2]) <= 1) & (levels[:, 1:-1] > BAR_LEVEL)
    run = cv2.erode(flat, np.ones((1, width), np.uint8))
    tall = cv2.erode(run, np.ones((height, 1), np.uint8))
    if not tall.any():
        return found
    seeds = cv2.dilate(tall, np.ones((height, width), np.uint8))
    outlines, _ = cv2.findContours(seeds, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for x, y, w, h in map(cv2.boundingRect, outlines):
        profile = levels[y : y + h, x : x + w].mean(axis=1)
        if np.ptp(profile) > BAR_RANGE and h > 1.5 * w and _monotone(profile):
            found[max(y - h, 0) : y + 2 * h, max(x - 3, 0) : x + w + 3] = True
    return found


def _monotone(profile: np.ndarray) -> bool:
    steps = np.diff(profile)
    up, down = int(np.sum(steps > 1)), int(np.sum(steps < -1))
    return min(up, down) <= 0.05 * max(up + down, 1)
