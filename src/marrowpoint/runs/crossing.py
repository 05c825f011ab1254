"""When a curve crosses a level: told by lines through the frames around it, not by a single frame.

A needle that rests close to a level is seen to cross it again and again by the noise of its frames. Whether it has come to the
level before the rest or does so only after it is told by where it rests, by all frames of the rest together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marrowpoint.runs.rest import fit_rest

Floats = NDArray[np.float64]

AROUND = 4  # frames to each side that tell when a level is crossed: a needle keeps its speed for half a second
LEAST_FRAMES = 4
LEAST_SLOPE = 0.05  # of the unit a frame: a slower curve rests, and its line crosses anywhere
ROUNDS, HUBER = 5, 1.5  # of the reweighting; spreads from which on a frame counts less
LEAST_SPREAD = 0.05
LASTS = 3  # frames in a row beyond the level
REST_AROUND, MOST_TRIES = 8, 40  # frames to each side that tell of a rest; places at which it is asked


def crossed(frames: list[int], values: Floats, index: int, level: float) -> int:
    """The frame in which a level is crossed, by a robust line through the values around a first guess.

    Parameters
    ----------
    frames : list of int
        Numbers of the frames, which may have gaps (copies, a lost needle): at even speed the line runs through them.
    values : ndarray of shape (F,)
    index : int
        Where in `frames` the level seems to be crossed.
    level : float

    Returns
    -------
    int
        The first frame after the crossing, among the frames that were asked.
    """
    near = slice(max(0, index - AROUND), index + AROUND + 1)
    x, y = np.array(frames[near], dtype=np.float64), values[near]
    if len(x) < LEAST_FRAMES:
        return frames[index]
    slope, offset = robust_line(x, y)
    if abs(slope) < LEAST_SLOPE:
        return frames[index]
    return int(np.clip(np.ceil((level - offset) / slope), x[0], x[-1]))


def robust_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and offset of a line by least squares with Huber's weights.

    Parameters
    ----------
    x, y : ndarray of shape (K,)

    Returns
    -------
    tuple of float
    """
    weights = np.ones_like(x)
    slope = offset = 0.0
    for _ in range(ROUNDS):
        slope, offset = (float(part) for part in np.polyfit(x, y, 1, w=np.sqrt(weights)))
        rest = np.abs(y - slope * x - offset)
        spread = max(1.4826 * float(np.median(rest)), LEAST_SPREAD)
        weights = 1 / np.maximum(1.0, rest / (HUBER * spread))
    return slope, offset


def lasting(above: NDArray[np.bool_]) -> list[int]:
    """Places from the second on from which on a condition holds for some frames.

    Parameters
    ----------
    above : ndarray of shape (F,), bool

    Returns
    -------
    list of int
    """
    return [i for i in range(1, len(above)) if above[i : i + LASTS].all()]


def comes_to(frames: list[int], values: Floats, places: list[int], level: float) -> int:
    """The frame in which a needle comes to a level, a rest near the level being one place.

    Parameters
    ----------
    frames : list of int
        Numbers of the frames, as for `crossed`.
    values : ndarray of shape (F,)
        [mm].
    places : list of int
        Where in `frames` it seems to have come, in order, at least one.
    level : float
        [mm].

    Returns
    -------
    int
    """
    for index in places[:MOST_TRIES]:
        near = slice(max(0, index - REST_AROUND), index + REST_AROUND + 1)
        x = np.array(frames[near], dtype=np.float64)
        rest = fit_rest(x, values[near], onward=1.0)
        when = None if rest is None else rest.comes_to(level)
        if when is not None and x[0] < when <= x[-1]:
            return int(np.ceil(when))
    return crossed(frames, values, places[0], level)
