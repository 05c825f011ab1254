"""True insertion depth from projected ones: always a bound, and an estimate where two views meet the same entry.

A shaft that lies over the bone before it enters makes a projected depth too long, never too short. How much too long, one view
does not show: on held-out hips with exact outlines the tightest of three views is 8 mm too long (median). Two beams far
apart that show the same depth are rarely both wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.study.geometry import separation_deg

# a needle nearly along the beam: its depth is no longer known to better than a factor
LEAST_SINE = 0.15

# Two views measure the depth together where all of this holds (exact outlines of held-out hips, docs/accuracy_studies.md).
AGREE_WITHIN_MM = 2.0  # noise of two measured depths, beside which their ratio is asked
APART_FROM_DEG = 45.0  # nearer beams look past the same bump
LEAST_AGREEING_SINE = 0.57  # 35 degrees to the beam: nearer to it a drawn depth is nearly doubled, and agrees by chance
LONGEST_PER_THICKNESS = 2.0  # two views along a thin wing agree on what lies before it

# two views that agree may still both be too long by so much, on those hips
TOO_LONG_BY_MM = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Length of needle past the entry cortex.

    Parameters
    ----------
    views : tuple of Measurement or None
        One a view: distance from the tip back to where the shaft leaves that view's outline, foreshortening taken out [mm].
        A shaft outside an outline is outside the bone, so each is an **upper bound** of the true depth.
    smallest : Measurement
        The tightest of them.
    estimate : Measurement or None
        A measurement of the depth [mm]; None where the views only bound it.
    """

    views: tuple[Measurement | None, ...]
    smallest: Measurement
    estimate: Measurement | None = None

    @property
    def told(self) -> Measurement:
        """The estimate where there is one, else the bound."""
        return self.estimate or self.smallest


def true_depth(projected: Sequence[Measurement | None], sines: Points) -> Depth | None:
    """Take the foreshortening out of projected depths.

    Parameters
    ----------
    projected : sequence of Measurement or None
        Insertion depth in each view [mm]; None where it was not measured.
    sines : ndarray of shape (views, draws)
        Sine of the angle between needle and beam in each view, for directions drawn together.

    Returns
    -------
    Depth or None
        Bounds only. None where no view measured a depth in mm. Directions are drawn together for all views, which hang on the
        same doubt.
    """
    drawn: dict[int, Points] = {}
    rng = np.random.default_rng(20)
    for view, length in enumerate(projected):
        noise = rng.standard_normal(sines.shape[1])
        if length is not None and length.unit is Unit.MM:
            spread = np.where(noise < 0, length.value - length.lower, length.upper - length.value) / 2
            drawn[view] = np.maximum(length.value + noise * spread, 0.0) / np.maximum(sines[view], LEAST_SINE)
    if not drawn:
        return None
    views = {view: _interval(values) for view, values in drawn.items()}
    tightest = min(views.values(), key=lambda depth: depth.value)
    # the least of several noisy lengths errs low: good for the lower limit, but value and upper limit stay the tightest view's
    together = _interval(np.min(list(drawn.values()), axis=0))
    method = f"tightest of {len(views)} view(s), foreshortening taken out"
    return Depth(
        views=tuple(views.get(view) for view in range(len(projected))),
        smallest=replace(tightest, lower=min(together.lower, tightest.lower), method=method),
    )


def measured_depth(
    depth: Depth, sines: Points, beams: Sequence[Points], thickness_mm: float, ratio: float
) -> Measurement | None:
    """The depth as a measurement, where a second view agrees with the tightest.

    Parameters
    ----------
    depth : Depth
    sines : ndarray of shape (views, draws)
        As in `true_depth`.
    beams : sequence of ndarray of shape (3,)
        Unit vector of each view's beam.
    thickness_mm : float
        Thickness of the bone at the tip, as read [mm].
    ratio : float
        How many times the tightest depth the other may be (and 2 mm), to agree with it.

    Returns
    -------
    Measurement or None
        Mean of the two views, weighted by their doubt, which is taken as shared. None where no second view agrees, the two look
        along nearly the same line or nearly along the needle, or the depth is more than the bone at the tip makes likely.
    """
    middle = np.median(sines, axis=1)
    found = [(value, view) for view, value in enumerate(depth.views) if value is not None]
    able = sorted((pair for pair in found if middle[pair[1]] >= LEAST_AGREEING_SINE), key=lambda pair: pair[0].value)
    if not able:
        return None
    first, i = able[0]
    # no view nearly along the needle may see it clearly shallower, vague as it is
    if any(_shallower(value, first, ratio) for value, _ in found):
        return None
    for second, k in able[1:]:
        if not _shallower(first, second, ratio) and separation_deg(beams[i], beams[k]) >= APART_FROM_DEG:
            mean = _mean(first, second)
            return mean if mean.value <= LONGEST_PER_THICKNESS * thickness_mm else None
    return None


def _shallower(one: Measurement, other: Measurement, ratio: float) -> bool:
    """Whether one depth is less than another by more than the noise of two that agree."""
    return other.value > ratio * one.value + AGREE_WITHIN_MM


def _mean(first: Measurement, second: Measurement) -> Measurement:
    doubts = [max(found.expanded_uncertainty, 0.1) for found in (first, second)]
    weights = [1 / doubt**2 for doubt in doubts]
    value = (first.value * weights[0] + second.value * weights[1]) / sum(weights)
    return Measurement(
        value=value, lower=max(value - min(doubts) - TOO_LONG_BY_MM, 0.0), upper=value + min(doubts), unit=Unit.MM,
        bound=Bound.ESTIMATE, method="two views that agree, foreshortening taken out",
    )  # fmt: skip


def _interval(drawn: Points) -> Measurement:
    lower, value, upper = (float(x) for x in np.percentile(drawn, [2.5, 50, 97.5]))
    method = "projected depth, foreshortening taken out"
    return Measurement(value=value, lower=lower, upper=upper, unit=Unit.MM, bound=Bound.UPPER, method=method)
