"""Find what the user interface drew: text, grey-scale bars, coloured marks and boxes."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Frame, Mask

LETTER_LEVEL = 0.4  # burned-in letters are near white, or grey on some screens
SHARPNESS = 0.75  # of a letter's own level: its edge is one pixel wide, that of speckle wider
LETTER_PX = (5, 40)  # height of letters on screens from 400 to 1200 rows
LINE_OF_TEXT = 3  # letters that make a text
BAR_PX = (8, 40)  # smallest width and height of a grey-scale bar
GROW_PX = 3  # anti-aliased rims of letters


def find_marks(frame: Frame) -> Mask:
    """Pixels that the user interface drew.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    marks = _letters(frame.pixels) | _bars(frame.pixels)
    if frame.coloured is not None:
        marks |= frame.coloured
    grown: Mask = cv2.dilate(marks.astype(np.uint8), np.ones((2 * GROW_PX + 1, 2 * GROW_PX + 1), np.uint8)) > 0
    return grown


def _letters(pixels: FloatImage) -> Mask:
    """Small, flat, bright, sharp-edged things that stand in a row."""
    tall = LETTER_PX[1]
    bright = (pixels > 0.35).astype(np.uint8)
    edge = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    count, labels, stats, centres = cv2.connectedComponentsWithStats(bright, connectivity=8)
    found = np.zeros(pixels.shape, dtype=bool)
    height, width, area = stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_AREA]
    candidates = np.flatnonzero((height >= LETTER_PX[0]) & (height <= tall) & (width <= 1.6 * tall) & (area > 8))
    candidates = candidates[candidates > 0]
    if len(candidates) == 0 or len(candidates) > 4000:
        return found
    lit = np.flatnonzero(bright)
    flat = labels.ravel()[lit]
    inner = np.bincount(flat, weights=pixels.ravel()[lit], minlength=count)[candidates] / area[candidates]
    rim = np.bincount(flat, weights=edge.ravel()[lit], minlength=count)[candidates] / area[candidates]
    # a letter's stroke is so thin that most of its pixels touch a steep edge
    sharp = candidates[(rim > SHARPNESS * inner) & (inner > LETTER_LEVEL)]
    for i in sharp:
        same_line = np.abs(centres[sharp, 1] - centres[i, 1]) < 0.5 * height[i]
        near = np.abs(centres[sharp, 0] - centres[i, 0]) < 5.0 * max(height[i], 8)
        alike = (height[sharp] > 0.6 * height[i]) & (height[sharp] < 1.7 * height[i])
        if np.count_nonzero(same_line & near & alike) >= LINE_OF_TEXT:
            x, y, w, h = (int(v) for v in stats[i, :4])
            found[y : y + h, x : x + w] |= labels[y : y + h, x : x + w] == i
    return found


def _bars(pixels: FloatImage) -> Mask:
    """Grey-scale wedges: constant along rows over some width, over a long height."""
    width, height = BAR_PX
    flat = (np.abs(cv2.Sobel(pixels, cv2.CV_32F, 1, 0, ksize=1)) < 1.5 / 255) & (pixels > 0.04)
    run = cv2.erode(flat.astype(np.uint8), np.ones((1, width), np.uint8))
    tall = cv2.erode(run, np.ones((height, 1), np.uint8))
    seeds = cv2.dilate(tall, np.ones((height, width), np.uint8)) > 0
    found: Mask = np.zeros(pixels.shape, dtype=bool)
    count, _, stats, _ = cv2.connectedComponentsWithStats(seeds.astype(np.uint8))
    for i in range(1, count):
        x, y, w, h = (int(v) for v in stats[i, :4])
        profile = pixels[y : y + h, x : x + w].mean(axis=1)
        if np.ptp(profile) > 0.3 and h > 1.5 * w and _monotone(profile):
            found[max(y - h, 0) : y + 2 * h, max(x - 3, 0) : x + w + 3] = True
    return found


def _monotone(profile: np.ndarray) -> bool:
    steps = np.diff(profile)
    up, down = int(np.sum(steps > 0.004)), int(np.sum(steps < -0.004))
    return min(up, down) <= 0.05 * max(up + down, 1)
