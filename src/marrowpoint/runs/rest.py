"""A needle that comes, rests and goes on: one curve through many frames tells where it rests, and when it came and left.

A frame's tip is off by a few tenths of a millimetre, as much as a slow needle goes in a frame. A needle keeps its speed for
half a second and more, or stands still. Two straight ways and a rest between them are told by twenty frames together: how deep
it rests to some hundredths, and its coming and leaving to a frame. A few tips that are far off do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_SPEED = 0.05  # mm a frame: slower is rest
LEAST_FRAMES = 5
ROUNDS, HUBER = 4, 1.5  # of the reweighting; spreads from which on a frame counts less
LEAST_SPREAD, LEAST_NOISE = 0.05, 0.1  # mm
MAD, TRIPLE = 1.4826, 1.2247  # SD over median deviation; spread of a value less the mean of its neighbours, over its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A rest between two ways, either of which may lack.

    Parameters
    ----------
    depth : float
        Where the needle rests [mm].
    begins, ends : float
        First and last frame of it; the same where the needle only turns or changes its speed.
    before, after : float
        Speed of coming (0 or more) and of going on (of either sign) [mm a frame]; 0 where there is no such way.
    """

    depth: float
    begins: float
    ends: float
    before: float
    after: float

    def comes_to(self, level: float) -> float | None:
        """When the needle passes a level from below on its way to the rest or, going on deeper, after it.

        Parameters
        ----------
        level : float
            [mm].

        Returns
        -------
        float or None
            Frame; None where this curve does not tell.
        """
        if self.depth >= level:
            return self.begins - (self.depth - level) / self.before if self.before >= LEAST_SPEED else None
        return self.ends + (level - self.depth) / self.after if self.after >= LEAST_SPEED else None


def fit_rest(frames: Floats, depths: Floats, *, onward: float) -> Rest | None:
    """Fit a way in, a rest, and a way on.

    Parameters
    ----------
    frames : ndarray of shape (K,)
        Numbers of the frames, rising, with gaps where nothing new was seen. Every pair of them is tried as begin and end of the
        rest, so that K should stay below fifty.
    depths : ndarray of shape (K,)
        [mm].
    onward : float
        1 where the needle goes on deeper after the rest, -1 where it is drawn back.

    Returns
    -------
    Rest or None
        None where too few frames are given or no such curve goes through them.
    """
    if len(frames) < LEAST_FRAMES:
        return None
    first, last = np.triu_indices(len(frames))
    begins, ends = frames[first], frames[last]
    basis = np.stack(
        [
            np.ones((len(begins), len(frames))),
            -np.maximum(0.0, begins[:, None] - frames[None, :]),
            np.maximum(0.0, frames[None, :] - ends[:, None]),
        ],
        axis=2,
    )
    found, left = _robust(basis, depths)
    limit = HUBER * frame_noise(depths)
    cost = np.where(left < limit, left**2 / 2, limit * (left - limit / 2)).sum(axis=1)
    comes, goes = begins > frames[0], ends < frames[-1]
    wrong = (comes & (found[:, 1] < LEAST_SPEED)) | (goes & (onward * found[:, 2] < LEAST_SPEED))
    if wrong.all():
        return None
    best = int(np.argmin(np.where(wrong, np.inf, cost)))
    return Rest(
        depth=float(found[best, 0]),
        begins=float(begins[best]),
        ends=float(ends[best]),
        before=float(found[best, 1]) if comes[best] else 0.0,
        after=float(found[best, 2]) if goes[best] else 0.0,
    )


def frame_noise(depths: Floats) -> float:
    """Spread of a frame's depth against its neighbours, whatever the speed [mm]."""
    if len(depths) < LEAST_FRAMES:
        return LEAST_NOISE
    bent = np.abs(depths[1:-1] - (depths[:-2] + depths[2:]) / 2)
    return max(MAD * float(np.median(bent)) / TRIPLE, LEAST_NOISE)


def _robust(basis: Floats, depths: Floats) -> tuple[Floats, Floats]:
    """Least squares with Huber's weights for many curves at once: coefficients (C, P), what is left of each value (C, K)."""
    weights = np.ones(basis.shape[:2])
    found: Floats = np.zeros((len(basis), basis.shape[2]))
    left: Floats = np.zeros(basis.shape[:2])
    for _ in range(ROUNDS):
        weighted = basis * weights[:, :, None]
        normal = weighted.transpose(0, 2, 1) @ basis + 1e-9 * np.eye(basis.shape[2])
        found = np.asarray(np.linalg.solve(normal, (weighted.transpose(0, 2, 1) @ depths)[:, :, None])[:, :, 0], np.float64)
        left = np.abs(depths[None, :] - (basis @ found[:, :, None])[:, :, 0])
        spread = np.maximum(MAD * np.median(left, axis=1), LEAST_SPREAD)[:, None]
        weights = 1 / np.maximum(1.0, left / (HUBER * spread))
    return found, left
