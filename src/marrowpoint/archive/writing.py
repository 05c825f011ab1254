"""Find rows of small sharp marks in a picture: letters that somebody burned in, or what looks like them.

There is no certain test for burned-in text. This one asks for several thin marks of like height and colour side by side on
one line, bright or dark, level or upright, small or large; it rather finds too much than too little. What it finds is blanked;
what is too faint, too short or too small for that is told as suspected, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.archive.marks import WIDEST, Marks, find_marks
from marrowpoint.frame import FloatImage, Mask

Box = tuple[slice, slice]
Rectangle = tuple[float, float, float, float]  # top, left, height, width

NOISE_WINDOW, NOISE_REACH = 21, 13  # of every fourth pixel
# Of the contrast, from one pixel to the next: what went through lens and detector is softer.
SOFT, SHARP, VERY_SHARP = 0.4, 0.6, 0.8
SOLID = 0.82  # of its box: a bar, as in l and I; pieces of a line are nothing else
CONTRAST = 0.05  # of the full range
NOISE = 5.5  # standard deviations of the finest structure nearby
IN_A_ROW, FEW = 4, 3  # letters; marks
SMALL_PX = 8  # smaller letters must be more
HALF_INK = 0.5  # of the brightest nearby: smooth edges of letters do not join them
LIKE_HEIGHT = 0.55  # smaller over larger: b beside a
LIKE_INK, LIKE_INK_SHARE = 0.05, 0.4  # of the full range, of the contrast: letters are drawn in one colour, fine ones in part
OFF_LINE, APART = 0.35, 0.9  # of the height
REACH, NEAR_LINE = 2.6, 0.45  # of the height: blanks between words, points and dashes
MARGIN = 0.6  # of the height, blanked around


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One look at the picture: letters from so high to so high [px], with strokes thinner than the kernel [px]."""

    lowest: float
    highest: float
    kernel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What looks like writing.

    Parameters
    ----------
    found : tuple of tuple of slice
        Rows and columns to be blanked, with a margin; inside the picture.
    suspected : tuple of tuple of slice
        Where a person should look.
    """

    found: tuple[Box, ...]
    suspected: tuple[Box, ...]


def find_writing(pixels: FloatImage, where: Mask, *, least_ink: float = 0.0) -> Writing:
    """Look for what may be writing.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
        0..1.
    where : ndarray of shape (M, N), bool
        Part of the picture to look at.
    least_ink : float
        Above 0 only bright marks count whose ink reaches this: speckle of ultrasound has rows of darker ones.

    Returns
    -------
    Writing
    """
    values = np.clip(pixels, 0, 1).astype(np.float32)
    noise = _noise(values)
    surely: list[Box] = []
    perhaps: list[Box] = []
    for look in _passes(max(values.shape)):
        for sure, each in _look(values, where, noise, look, least_ink):
            (surely if sure else perhaps).append(_box(each, values.shape))
    covered = np.zeros(values.shape, bool)
    for box in surely:
        covered[box] = True
    return Writing(found=tuple(surely), suspected=tuple(box for box in perhaps if not covered[box].mean() > 0.5))


def _passes(side: int) -> Iterator[_Pass]:
    large = 2 * max(2, round(0.0045 * side)) + 3
    yield _Pass(lowest=max(8, 0.008 * side), highest=0.07 * side, kernel=large)
    yield _Pass(lowest=4, highest=16, kernel=7)


def _look(
    values: FloatImage, where: Mask, noise: FloatImage, look: _Pass, least_ink: float
) -> Iterator[tuple[bool, Rectangle]]:
    threshold = np.maximum(CONTRAST, NOISE * noise)
    kernel = np.ones((look.kernel, look.kernel), np.uint8)
    for hat in (cv2.MORPH_TOPHAT,) if least_ink else (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        rise = np.asarray(cv2.morphologyEx(values, hat, kernel), np.float32)
        near = cv2.dilate(rise, kernel)
        drawn = (rise > threshold) & where & (values >= least_ink)
        strokes = drawn & (rise > HALF_INK * near)
        for upright in (False, True):
            turned = (strokes.T, values.T, rise.T) if upright else (strokes, values, rise)
            marks = find_marks(*turned, bright=hat == cv2.MORPH_TOPHAT)
            for sure, (y, x, h, w) in _rows(marks, look):
                yield sure, (x, y, w, h) if upright else (y, x, h, w)


def _noise(values: FloatImage) -> FloatImage:
    """Standard deviation of the finest structure around each pixel; a median, so that letters do not count as noise."""
    fine = np.abs(values - cv2.GaussianBlur(values, (0, 0), 1.2))
    # every fourth pixel and steps of 1/1000 are enough, and quick
    coarse = np.ascontiguousarray(np.minimum(1000 * fine[::4, ::4], 255).astype(np.uint8))
    local = cv2.medianBlur(coarse, NOISE_WINDOW) / np.float32(1000 * 0.6745)
    # beside a border the larger noise of both sides counts
    larger = cv2.dilate(local, np.ones((NOISE_REACH, NOISE_REACH), np.uint8))
    return np.asarray(cv2.resize(larger, values.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _rows(every: Marks, look: _Pass) -> Iterator[tuple[bool, Rectangle]]:
    """Top, left, height, width of each row of enough letters, with what belongs to it."""
    marks = every.some((every.letters > 0) & (every.height >= look.lowest) & (every.height <= look.highest))
    order = np.argsort(marks.left)
    marks = marks.some(order)
    row = _joined(marks)
    for root in np.unique(row):
        own = np.flatnonzero(row == root)
        held = marks.some(own)
        if _may_be(held):
            yield _surely(held), _grown(every, held)


def _may_be(own: Marks) -> bool:
    """Whether a row is worth a look: letters enough, drawn sharply, not bars alone."""
    sharp = float(np.median(own.sharp))
    if np.mean(own.solid > SOLID) > 0.5:
        return False
    return bool((own.letters.sum() >= IN_A_ROW and sharp >= SOFT) or (len(own.left) >= FEW and sharp >= VERY_SHARP))


def _surely(own: Marks) -> bool:
    """Whether a row is blanked: what hangs together in one or two pieces may be an edge."""
    small = np.median(own.height) < SMALL_PX
    return len(own.left) >= FEW and own.letters.sum() >= IN_A_ROW + small and float(np.median(own.sharp)) >= SHARP


def _joined(marks: Marks) -> NDArray[np.intp]:
    row = list(range(len(marks.left)))
    bottom, right = marks.top + marks.height, marks.left + marks.width
    for i in range(len(row)):
        last = int(np.searchsorted(marks.left, right[i] + APART * marks.height[i], side="right"))
        j = np.arange(i + 1, last)
        high = np.maximum(marks.height[i], marks.height[j])
        ink = np.maximum(LIKE_INK, LIKE_INK_SHARE * np.minimum(marks.contrast[i], marks.contrast[j]))
        alike = (
            (np.minimum(marks.height[i], marks.height[j]) > LIKE_HEIGHT * high)
            & (np.abs(bottom[i] - bottom[j]) < OFF_LINE * high)
            & (np.abs(marks.level[i] - marks.level[j]) < ink)
            & (marks.left[j] - right[i] > -0.3 * marks.height[i])
        )
        for k in j[alike]:
            _join(row, i, int(k))
    return np.array([_root(row, i) for i in range(len(row))], np.intp)


def _grown(every: Marks, own: Marks) -> Rectangle:
    """The row with the words, points and dashes that stand on its line."""
    top, bottom = own.top.min(), (own.top + own.height).max()
    left, right = own.left.min(), (own.left + own.width).max()
    height = float(np.median(own.height))
    middle = every.top + every.height / 2
    on_line = (every.height <= 1.7 * height) & (middle > top - NEAR_LINE * height) & (middle < bottom + NEAR_LINE * height)
    on_line &= every.width <= WIDEST * height
    ink = np.maximum(LIKE_INK, LIKE_INK_SHARE * np.minimum(every.contrast, np.median(own.contrast)))
    on_line &= np.abs(every.level - np.median(own.level)) < 1.5 * ink
    starts, ends = every.left[on_line], (every.left + every.width)[on_line]
    tops, bottoms = every.top[on_line], (every.top + every.height)[on_line]
    while True:
        near = (starts < right + REACH * height) & (ends > left - REACH * height) & ((starts < left) | (ends > right))
        if not near.any():
            return float(top), float(left), float(bottom - top), float(right - left)
        left, right = min(left, starts[near].min()), max(right, ends[near].max())
        top, bottom = min(top, tops[near].min()), max(bottom, bottoms[near].max())


def _root(row: list[int], i: int) -> int:
    while row[i] != i:
        row[i] = row[row[i]]
        i = row[i]
    return i


def _join(row: list[int], i: int, j: int) -> None:
    row[_root(row, j)] = _root(row, i)


def _box(each: Rectangle, shape: tuple[int, ...]) -> Box:
    y, x, h, w = each
    margin = MARGIN * min(h, w) + 2
    return (
        slice(max(0, int(y - margin)), min(shape[0], int(y + h + margin) + 1)),
        slice(max(0, int(x - margin)), min(shape[1], int(x + w + margin) + 1)),
    )
