"""One thickness of the bone at the tip from what the thickness map says in each view.

How views are put together is no formula but a fit on simulated needles seen in several views, in hips that the network never
saw (`training/fuse.py`), so that errors common to the views stay in the interval. A fit holds for one network
only; for any other `pooled_thickness` serves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import inf, log, sqrt

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.measurement import Bound, Measurement, Unit

FUSION_FILE = "thickness_fusion.json"

# errors of one method in several views of one bone go together; half of the variance is taken as shared
SHARED_VARIANCE = 0.5

# an outline wider than this bounds nothing; a narrower one than a needle is a mistake
WIDEST_MM, NARROWEST_MM = 60.0, 1.0

# what `features` holds: a fit of other features is not used
FEATURES = ("median", "lower", "log_width")

# logits of the limits of a 95 % interval: the chance to be thicker is 97.5 and 2.5 %
LIMITS = (3.664, -3.664)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one view says of the thickness at the tip.

    Parameters
    ----------
    mapped : Measurement
        What the map says, as it says it (`Placement.mapped_thickness`) [mm].
    along_wing : bool
        Whether the beam runs along the wing (a tangential view).
    """

    mapped: Measurement
    along_wing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """A fit of thickness on the readings of several views.

    Parameters
    ----------
    model_sha256 : str
        Hash of the network whose readings were fitted.
    ladder_mm : ndarray of shape (R,)
        Growing thicknesses.
    single, several : ndarray of shape (F + R,)
        For one view and for more: weights of the features, then one offset a rung; their sum is the logit of the chance that
        the bone is thicker than the rung.
    margin : float
        What unseen hips ask for on top of the logit of a lower limit.
    """

    model_sha256: str
    ladder_mm: Points
    single: Points
    several: Points
    margin: float = 0.0


def features(readings: Sequence[Reading], widths: Sequence[Measurement]) -> Points:
    """What the fit sees of the readings of several views.

    Parameters
    ----------
    readings : sequence of Reading
        At least one.
    widths : sequence of Measurement
        In-plane widths: upper bounds of the thickness.

    Returns
    -------
    ndarray of shape (3,)
        Mean of the medians and of the lower limits [mm] over the views across the wing (over all, where all look along it:
        there every ray passes as much bone as the wing is long, and the map hardly tells thick from thin); logarithm of the
        narrowest in-plane width in mm.
    """
    across = [reading for reading in readings if not reading.along_wing] or readings
    lower, value = np.array([(reading.mapped.lower, reading.mapped.value) for reading in across]).T
    narrowest = min([WIDEST_MM, *(width.value for width in widths if width.unit is Unit.MM)])
    return np.array([value.mean(), lower.mean(), log(max(narrowest, NARROWEST_MM))])


def limits(seen: Points, weights: Points, fusion: Fusion) -> tuple[float, float]:
    """Lower and upper limit of the thickness [mm] for what is seen.

    Parameters
    ----------
    seen : ndarray of shape (F,)
        As `features`.
    weights : ndarray of shape (F + R,)
        Of `fusion`.
    fusion : Fusion

    Returns
    -------
    tuple of float
        Where the chance to be thicker falls through 97.5 and 2.5 %, between the rungs by straight lines. The lower limit is 0
        below the lowest rung and no more than the highest; the upper is infinite where even the highest may be passed.
    """
    logit = np.minimum.accumulate(weights[: len(seen)] @ seen + weights[len(seen) :])
    sure, excluded = LIMITS[0] + fusion.margin, LIMITS[1]
    low, high = (float(np.interp(-at, -logit, fusion.ladder_mm)) for at in (sure, excluded))
    return (low if logit[0] >= sure else 0.0), (high if logit[-1] <= excluded else inf)


def fused_thickness(readings: Sequence[Reading], widths: Sequence[Measurement], fusion: Fusion) -> Measurement | None:
    """One thickness with its 95 % interval from the map's readings.

    Parameters
    ----------
    readings : sequence of Reading
    widths : sequence of Measurement
        In-plane widths: upper bounds of the thickness.
    fusion : Fusion

    Returns
    -------
    Measurement or None
        None without readings. Limits by ordinal regression (proportional odds, McCullagh 1980) as far as its ladder reaches,
        above it the highest upper limit of the views; the value is the mean of the medians, held between them.
    """
    if not readings:
        return None
    weights = fusion.single if len(readings) == 1 else fusion.several
    caps = [width.upper for width in widths if width.unit is Unit.MM]
    seen = features(readings, widths)
    lower, upper = limits(seen, weights, fusion)
    if upper == inf:
        upper = max(lower, *(reading.mapped.upper for reading in readings))
    middle = float(seen[0])
    lower, value, upper = (min([x, *caps]) for x in (lower, min(max(middle, lower), upper), upper))
    return Measurement(
        value=value, lower=lower, upper=upper, unit=Unit.MM, bound=Bound.ESTIMATE,
        method=f"thickness maps of {len(readings)} view(s) together",
    )  # fmt: skip


def parse_fusion(text: str) -> Fusion:
    """Read a fit as `training/fuse.py` writes it.

    Parameters
    ----------
    text : str
        JSON.

    Returns
    -------
    Fusion

    Raises
    ------
    ValueError
        If it weighs other features than `FEATURES`.
    """
    table = json.loads(text)
    if tuple(table["features"]) != FEATURES:
        raise ValueError(f"a fit of {table['features']}; this program offers {FEATURES}")
    arrays = {name: np.array(table[name], dtype=np.float64) for name in ("ladder_mm", "single", "several")}
    return Fusion(model_sha256=table["model_sha256"], margin=float(table["margin"]), **arrays)


@cache
def packaged_fusion() -> Fusion | None:
    """The fit that comes with the package's network; None where there is none."""
    file = resources.files("marrowpoint") / "models" / FUSION_FILE
    return parse_fusion(file.read_text("utf-8")) if file.is_file() else None


def pooled_thickness(widths: Sequence[Measurement]) -> Measurement | None:
    """One thickness from several views of the same bone, by a formula.

    Parameters
    ----------
    widths : sequence of Measurement
        Thickness at the tip in each view; those that are only upper bounds do not raise the pooled value.

    Returns
    -------
    Measurement or None
        Mean of the estimates. The doubt shrinks only as far as the views err independently (half of the variance), and reaches
        down to the lowest upper limit where the views disagree. None where no view estimates it in mm.
    """
    estimates = [width for width in widths if width.bound is Bound.ESTIMATE and width.unit is Unit.MM]
    caps = [width.upper for width in widths if width.unit is Unit.MM]
    if not estimates:
        return None
    count = len(estimates)
    shrink = sqrt((1 + (count - 1) * SHARED_VARIANCE) / count)
    mean = sum(width.value for width in estimates) / count
    below = shrink * sum(width.value - width.lower for width in estimates) / count
    above = shrink * sum(width.upper - width.value for width in estimates) / count
    value = min(mean, *caps)
    # disagreement is not averaged away: a view that ends below the others' mean pulls the lower limit down to its own
    lower = min([max(value - below, 0.0), *(width.lower for width in estimates if width.upper < mean)])
    return Measurement(
        value=value, lower=lower, upper=max(value, min(mean + above, *caps)), unit=Unit.MM,
        bound=Bound.ESTIMATE, method=f"pooled over {count} view(s): {estimates[0].method}",
    )  # fmt: skip
