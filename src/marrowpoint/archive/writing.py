"""Find rows of small sharp marks in a picture: letters that somebody burned in, or what looks like them.

There is no certain test for burned-in text. This one asks for several thin marks of like height and colour side by side on
one line, bright or dark, level or upright; it rather finds too much than too little, for what it finds is blanked.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

Box = tuple[slice, slice]
Floats = NDArray[np.float64]

# Of the longer side of the picture: strokes are thinner, letters are between so high and so high.
STROKE, LOWEST, HIGHEST = 0.009, 0.009, 0.07
LOWEST_PX = 6  # nobody reads less
CONTRAST = 0.10  # of the full range; noise asks for more
NOISE = 7.0  # standard deviations of the finest structure nearby
NOISE_WINDOW = 21  # of every fourth pixel
IN_A_ROW = 4  # marks that stand side by side by chance are fewer
LIKE_HEIGHT = 0.6  # smaller over larger
LIKE_INK = 0.05  # of the full range: letters are drawn in one colour, and lossy compression spreads it
OFF_LINE, APART = 0.3, 0.9  # of the height
MARGIN = 0.6  # of the height, blanked around


@dataclass(frozen=True, slots=True)
class _Marks:
    # top, left, height, width of each mark [px], and its extreme value
    top: Floats
    left: Floats
    height: Floats
    width: Floats
    level: Floats


def find_writing(pixels: FloatImage, where: Mask, *, least_ink: float = 0.0) -> list[Box]:
    """Boxes around what looks like writing.

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
    list of tuple of slice
        Rows and columns, with a margin; inside the picture.
    """
    values = np.clip(pixels, 0, 1).astype(np.float32)
    side = max(values.shape)
    threshold = np.maximum(CONTRAST, NOISE * _noise(values))
    width = 2 * max(2, round(STROKE * side / 2)) + 3
    kernel = np.ones((width, width), np.uint8)
    found = []
    for hat in (cv2.MORPH_TOPHAT,) if least_ink else (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = (cv2.morphologyEx(values, hat, kernel) > threshold) & where & (values >= least_ink)
        for upright in (False, True):
            turned = (strokes.T, values.T) if upright else (strokes, values)
            marks = _marks(*turned, side, bright=hat == cv2.MORPH_TOPHAT)
            boxes = _rows(marks)
            found += [(x, y, w, h) if upright else (y, x, h, w) for y, x, h, w in boxes]
    return [_box(each, values.shape) for each in found]


def _noise(values: FloatImage) -> FloatImage:
    """Standard deviation of the finest structure around each pixel; a median, so that letters do not count as noise."""
    fine = np.abs(values - cv2.GaussianBlur(values, (0, 0), 1.2))
    # every fourth pixel and steps of 1/1000 are enough, and quick
    coarse = np.ascontiguousarray(np.minimum(1000 * fine[::4, ::4], 255).astype(np.uint8))
    local = cv2.medianBlur(coarse, NOISE_WINDOW) / np.float32(1000 * 0.6745)
    return np.asarray(cv2.resize(local, values.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _marks(strokes: Mask, values: FloatImage, side: int, *, bright: bool) -> _Marks:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(strokes, np.uint8), connectivity=8)
    level = np.full(count, 0.0 if bright else 1.0)
    (np.maximum if bright else np.minimum).at(level, labels.astype(np.intp)[strokes], values[strokes])
    left, top, width, height, area = stats[1:].astype(np.float64).T
    lowest = max(LOWEST_PX, LOWEST * side)
    # a stroke is thin: a letter fills little of its box, but for the l and the full stop
    kept = (height >= lowest) & (height <= HIGHEST * side) & (width <= 1.6 * height) & (area >= 0.12 * width * height)
    return _Marks(top[kept], left[kept], height[kept], width[kept], level[1:][kept])


def _rows(marks: _Marks) -> list[tuple[float, float, float, float]]:
    """Top, left, height, width of each row of at least `IN_A_ROW` marks."""
    order = np.argsort(marks.left)
    top, left, height, width, ink = (each[order] for each in (marks.top, marks.left, marks.height, marks.width, marks.level))
    row = list(range(len(order)))
    for i in range(len(order)):
        for j in range(i + 1, len(order)):
            gap = left[j] - (left[i] + width[i])
            if gap > APART * height[i]:
                # sorted by their left edges: all others are farther
                break
            alike = min(height[i], height[j]) > LIKE_HEIGHT * max(height[i], height[j])
            level = abs((top[i] + height[i]) - (top[j] + height[j])) < OFF_LINE * max(height[i], height[j])
            if alike and level and abs(ink[i] - ink[j]) < LIKE_INK and gap > -0.3 * height[i]:
                _join(row, i, j)
    roots = np.array([_root(row, i) for i in range(len(order))])
    boxes = []
    for root in np.unique(roots):
        own = np.flatnonzero(roots == root)
        if len(own) >= IN_A_ROW:
            bottom, right = (top[own] + height[own]).max(), (left[own] + width[own]).max()
            boxes.append((top[own].min(), left[own].min(), bottom - top[own].min(), right - left[own].min()))
    return boxes


def _root(row: list[int], i: int) -> int:
    while row[i] != i:
        i = row[i]
    return i


def _join(row: list[int], i: int, j: int) -> None:
    row[_root(row, j)] = _root(row, i)


def _box(each: tuple[float, float, float, float], shape: tuple[int, ...]) -> Box:
    y, x, h, w = each
    margin = MARGIN * min(h, w) + 2
    return (
        slice(max(0, int(y - margin)), min(shape[0], int(y + h + margin) + 1)),
        slice(max(0, int(x - margin)), min(shape[1], int(x + w + margin) + 1)),
    )
