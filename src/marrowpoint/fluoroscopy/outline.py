"""From a mask to evenly spaced lines, with the edge of the field told from cortex."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import cv2
import numpy as np

from marrowpoint.frame import Mask, Points

FIELD_MARGIN = 1 / 128  # of the frame's longer side: an outline this near to the field's edge is that edge
LINE_STEP = 1 / 400  # of the frame's longer side, between the points of a line
LINE_SMOOTH = 3.0  # in steps: grid corners of the prior are no anatomy
MIN_LINE_POINTS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """Part of a border in one piece: cortex, or only the edge of the field.

    Parameters
    ----------
    points : ndarray of shape (S, 2), float64
        (row, column) [px].
    cortex : bool
        False where it is only the edge of the field.
    closed : bool
        The last point is a neighbour of the first.
    """

    points: Points
    cortex: bool
    closed: bool


def borders_of(rings: list[Points], field: Mask) -> list[list[Stretch]]:
    """Every border of the bone as its stretches, in order round the border.

    Parameters
    ----------
    rings : list of ndarray of shape (K, 2)
        Neighbouring pixels (row, column) all round the bone, and round each hole.
    field : ndarray of shape (M, N), bool

    Returns
    -------
    list of list of Stretch
        Cortex is smooth and evenly spaced; the edge of the field is left as it is.
    """
    size = max(field.shape)
    margin = max(round(FIELD_MARGIN * size), 2)
    padded = np.pad(field.astype(np.uint8), 1)  # the border of the picture is an edge of the field
    well_inside = cv2.erode(padded, np.ones((2 * margin + 1,) * 2, np.uint8), borderValue=0)[1:-1, 1:-1] > 0
    step = max(LINE_STEP * size, 1.0)
    borders = []
    for ring in rings:
        row, column = ring.astype(int).T
        stretches = _stretches(ring, well_inside[row, column])
        borders.append([_even(stretch, step) for stretch in stretches])
    return borders


def fill_rings(rings: list[Points], shape: tuple[int, int]) -> Mask:
    """Pixels whose centres lie inside an odd number of rings; exact, where drawing would count the border in.

    Parameters
    ----------
    rings : list of ndarray of shape (K, 2)
        (row, column) [px], each closed by itself.
    shape : tuple of int
        (M, N).

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    down = start[:, :1] <= end[:, :1]
    upper, lower = np.where(down, start, end), np.where(down, end, start)
    first = np.clip(np.ceil(upper[:, 0]), 0, shape[0]).astype(int)
    stop = np.clip(np.ceil(lower[:, 0]), 0, shape[0]).astype(int)  # half open: a shared corner counts once
    lines = np.repeat(np.arange(len(start)), stop - first)
    row = np.arange(len(lines)) - np.repeat(np.cumsum(stop - first) - (stop - first), stop - first) + first[lines]
    share = (row - upper[lines, 0]) / (lower - upper)[lines, 0]
    column = upper[lines, 1] + share * (lower - upper)[lines, 1]
    crossings = np.zeros((shape[0], shape[1] + 1), np.uint8)
    np.add.at(crossings, (row, np.clip(np.ceil(column), 0, shape[1]).astype(int)), 1)
    odd: Mask = (np.cumsum(crossings, axis=1, dtype=np.uint8)[:, :-1] & 1) > 0
    return odd


def _stretches(ring: Points, cortex: Mask) -> list[Stretch]:
    if cortex.all() or not cortex.any():
        return [Stretch(points=ring, cortex=bool(cortex.all()), closed=True)]
    start = int(np.flatnonzero(~cortex & np.roll(cortex, 1))[0])
    ring, cortex = np.roll(ring, -start, axis=0), np.roll(cortex, -start)
    cuts = [0, *(np.flatnonzero(np.diff(cortex.astype(np.int8))) + 1).tolist(), len(ring)]
    return [Stretch(points=ring[a:b], cortex=bool(cortex[a]), closed=False) for a, b in itertools.pairwise(cuts)]


def _even(stretch: Stretch, step: float) -> Stretch:
    """Smooth the pixels of a cortex and space them evenly."""
    chain, closed = stretch.points, stretch.closed
    if not stretch.cortex:
        return stretch
    if closed:
        chain = np.concatenate([chain, chain[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(chain, axis=0).T))])
    count = int(way[-1] / step)
    if count < MIN_LINE_POINTS:
        return replace(stretch, cortex=False)
    at = np.linspace(0, way[-1], count, endpoint=not closed)
    line = np.column_stack([np.interp(at, way, chain[:, k]) for k in (0, 1)])
    return replace(stretch, points=smooth_line(line, LINE_SMOOTH, closed))


def smooth_line(values: Points, sigma: float, closed: bool) -> Points:
    """Gaussian smoothing along a line; open ends stay where they are.

    Parameters
    ----------
    values : ndarray of shape (S, D)
    sigma : float
        In samples.
    closed : bool

    Returns
    -------
    ndarray of shape (S, D)
    """
    reach = int(3 * sigma)
    x = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    kernel /= kernel.sum()
    if closed:
        padded = np.take(values, np.arange(-reach, len(values) + reach), axis=0, mode="wrap")
    else:  # point reflection keeps the ends and their direction
        before = 2 * values[:1] - values[1 : reach + 1][::-1]
        after = 2 * values[-1:] - values[-reach - 1 : -1][::-1]
        padded = np.concatenate([before, values, after])
        if len(padded) < len(values) + 2 * reach:
            return values
    return np.column_stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(values.shape[1])])
