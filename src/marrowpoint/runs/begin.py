"""The first frame with contrast, looked for once it is known where contrast begins.

A frame of its own must show contrast well above its noise to be called so. Going back in time from there, the question is
smaller: is there anything where contrast is about to be seen? The place and strength of the first contrast, as a filter, answer
it with the noise of a whole region instead of a pixel's.
"""

from __future__ import annotations

import numpy as np

from marrowpoint.runs.spread import SpreadSeries
from marrowpoint.runs.subtract import Subtraction

AHEAD = 2  # frames after the first seen one that shape the filter
SURE_SD, SURE_SHARE = 3.0, 0.08  # of the answer: noise SDs above the mask, and share of the answer where contrast is seen
QUIET_SHARE = 0.6  # of the mask frames, the earlier ones: the last may hold a first trace


def begin(subtraction: Subtraction, series: SpreadSeries) -> int | None:
    """First frame (from 0) that shows contrast where it is soon seen.

    Parameters
    ----------
    subtraction : Subtraction
    series : SpreadSeries

    Returns
    -------
    int or None
        None where none is ever seen.
    """
    seen = [k for k, spread in enumerate(series.spreads) if spread.seen_area > 0]
    if not seen:
        return None
    first = seen[0]
    last = min(first + AHEAD, len(subtraction.stack) - 1)
    region = series.seen & (series.reached >= 0) & (series.reached <= last)
    shape = np.maximum(subtraction.stack[last][region], 0)
    power = float((shape * shape).sum())
    if power <= 0:
        return subtraction.frames[first]
    answer = subtraction.stack[: last + 1][:, region] @ shape / power
    masks = [k for k, frame in enumerate(subtraction.frames) if frame in subtraction.mask_frames]
    quiet = masks[: max(2, round(QUIET_SHARE * len(masks)))]
    base, noise = float(answer[quiet].mean()), float(answer[quiet].std(ddof=1))
    limit = base + max(SURE_SD * noise, SURE_SHARE)
    at = first
    while at > quiet[-1] + 1 and answer[at - 1] > limit:
        at -= 1
    # contrast counts as seen by a mean over neighbours: the frame itself may not show it yet
    while at < last and answer[at] <= limit:
        at += 1
    return subtraction.frames[at]
