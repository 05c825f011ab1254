"""One thickness of the bone at the tip from what the thickness map says in each view.

How views are put together is no formula but a fit: a regression on simulated needles seen in several views, in hips that the
network never saw (`training/fuse.py`), so that errors common to the views stay in the interval. A fit holds for one network
only; for any other `pooled_thickness` serves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import sqrt

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.measurement import Bound, Measurement, Unit

FUSION_FILE = "thickness_fusion.json"

# errors of one method in several views of one bone go together; half of the variance is taken as shared
SHARED_VARIANCE = 0.5

# views beyond this many are put together as if they were so many
MOST_VIEWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """A fit of thickness on the readings of several views.

    Parameters
    ----------
    model_sha256 : str
        Hash of the network whose readings were fitted.
    quantiles : mapping of int to ndarray of shape (3, F)
        By number of views: weights of the features for lower limit, median and upper limit.
    """

    model_sha256: str
    quantiles: Mapping[int, Points]


def features(readings: Sequence[Measurement]) -> Points:
    """What the fit sees of the readings of several views.

    Parameters
    ----------
    readings : sequence of Measurement
        What the map says in each view [mm]; at least one.

    Returns
    -------
    ndarray of shape (5,)
        One, mean and range of the medians, mean distance down to the lower and up to the upper limits [mm].
    """
    lower, value, upper = np.array([(reading.lower, reading.value, reading.upper) for reading in readings]).T
    return np.array([1.0, value.mean(), np.ptp(value), (value - lower).mean(), (upper - value).mean()])


def fused_thickness(readings: Sequence[Measurement], widths: Sequence[Measurement], fusion: Fusion) -> Measurement | None:
    """One thickness with its 95 % interval from the map's readings.

    Parameters
    ----------
    readings : sequence of Measurement
        What the map says in each view, as it says it (`Placement.mapped_thickness`).
    widths : sequence of Measurement
        In-plane widths: upper bounds of the thickness.
    fusion : Fusion

    Returns
    -------
    Measurement or None
        None without readings. The limits are as wide as left-out hips asked for (locally weighted conformal prediction, Lei et
        al. 2018).
    """
    if not readings:
        return None
    weights = fusion.quantiles[min(len(readings), MOST_VIEWS)]
    caps = [width.upper for width in widths if width.unit is Unit.MM]
    low, middle, high = (float(x) for x in np.sort(np.maximum(weights @ features(readings), 0.0)))
    lower, value, upper = (min(x, *caps) if caps else x for x in (low, middle, high))
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
    """
    table = json.loads(text)
    quantiles = {int(count): np.array(rows, dtype=np.float64) for count, rows in table["quantiles"].items()}
    return Fusion(model_sha256=table["model_sha256"], quantiles=quantiles)


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
