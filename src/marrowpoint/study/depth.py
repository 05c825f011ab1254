"""True insertion depth from projected ones: foreshortening taken out, and the tightest view believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.measurement import Bound, Measurement, Unit

# a needle nearly along the beam: its depth is no longer known to better than a factor
LEAST_SINE = 0.15


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
    """

    views: tuple[Measurement | None, ...]
    smallest: Measurement


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
        None where no view measured a depth in mm. Directions are drawn together for all views, which hang on the same doubt.
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


def _interval(drawn: Points) -> Measurement:
    lower, value, upper = (float(x) for x in np.percentile(drawn, [2.5, 50, 97.5]))
    method = "projected depth, foreshortening taken out"
    return Measurement(value=value, lower=lower, upper=upper, unit=Unit.MM, bound=Bound.UPPER, method=method)
