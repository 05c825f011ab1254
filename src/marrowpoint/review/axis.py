"""Where the frames of a run lie along the axis of its curves: over true time, where the times are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

UNEVEN = 1.5  # a step so much longer than the middle one: a line alone would hide that nothing was seen meanwhile


def frame_places(count: int, seconds: tuple[float, ...] | None) -> tuple[float, ...]:
    """Place of each frame along the axis.

    Parameters
    ----------
    count : int
        Frames.
    seconds : tuple of float or None
        Time of each from the first.

    Returns
    -------
    tuple of float
        Seconds; numbers of frames from 0 where the times are not known or do not grow.
    """
    known = () if seconds is None else seconds[:count]
    grows = len(known) == count and all(a < b for a, b in pairwise(known))
    return tuple(known) if grows else tuple(float(frame) for frame in range(count))


def are_uneven(places: tuple[float, ...]) -> bool:
    """Whether some frames lie much farther apart than others."""
    steps = [b - a for a, b in pairwise(places)]
    return bool(steps) and max(steps) > UNEVEN * float(np.median(steps))
