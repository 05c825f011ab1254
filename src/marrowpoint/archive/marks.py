"""Marks in a picture: pieces of strokes that may be letters, with what tells letters from the edges of anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

Floats = NDArray[np.float64]

LETTER = 0.75  # width over height of a letter: letters that touch count as several
WIDEST = 14.0  # width over height of letters that touch
FULL = 0.3, 0.85  # part of its box that such a word fills
SINGLE_WIDE, SINGLE_FULL = 1.6, 0.12  # width over height of one letter at most, part of its box that it fills at least


@dataclass(frozen=True, slots=True)
class Marks:
    """So many marks, one an element."""

    # top, left, height, width of each mark [px], its extreme value, its contrast, how many letters it may be, which part of
    # its box it fills, and its largest step from one pixel to the next over its contrast
    top: Floats
    left: Floats
    height: Floats
    width: Floats
    level: Floats
    contrast: Floats
    letters: Floats
    solid: Floats
    sharp: Floats

    def some(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> Marks:
        """Some of them."""
        return Marks(*(getattr(self, name)[kept] for name in self.__slots__))


def find_marks(strokes: Mask, values: FloatImage, rise: FloatImage, *, bright: bool) -> Marks:
    """Pieces that hang together.

    Parameters
    ----------
    strokes : ndarray of shape (M, N), bool
    values, rise : ndarray of shape (M, N), float32
        The picture, and how far it rises out of its surroundings.
    bright : bool
        Brighter than what surrounds them.

    Returns
    -------
    Marks
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(strokes, np.uint8), connectivity=8)
    where = labels.astype(np.intp)[strokes]
    level, contrast = np.full(count, 0.0 if bright else 1.0), np.zeros(count)
    (np.maximum if bright else np.minimum).at(level, where, values[strokes])
    np.maximum.at(contrast, where, rise[strokes])
    step = np.zeros(count)
    np.maximum.at(step, where, _steps(values)[strokes])
    left, top, width, height, area = stats[1:].astype(np.float64).T
    full = area / (width * height)
    single = (width <= SINGLE_WIDE * height) & (full >= SINGLE_FULL)
    word = (width > SINGLE_WIDE * height) & (width <= WIDEST * height) & (full >= FULL[0]) & (full <= FULL[1])
    letters = np.where(single, 1.0, np.where(word, np.floor(width / (LETTER * height)), 0.0))
    sharp = step[1:] / np.maximum(contrast[1:], 1e-6)
    return Marks(top, left, height, width, level[1:], contrast[1:], letters, full, sharp)


def _steps(values: FloatImage) -> FloatImage:
    """Largest difference of each pixel from those beside, above and below it."""
    out: FloatImage = np.zeros(values.shape, np.float32)
    for axis in (0, 1):
        step = np.abs(np.diff(values, axis=axis))
        low, high = [slice(None)] * 2, [slice(None)] * 2
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        np.maximum(out[tuple(low)], step, out=out[tuple(low)])
        np.maximum(out[tuple(high)], step, out=out[tuple(high)])
    return out
