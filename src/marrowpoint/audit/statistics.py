"""The few statistics of an audit: shares with their doubt, limits around a common share, agreement of two readers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with the limits of its 95 % interval."""

    value: float
    lower: float
    upper: float


def share(count: int, total: int) -> Interval | None:
    """Share of a count with its Wilson score interval (Wilson 1927).

    Parameters
    ----------
    count, total : int
        ``0 <= count <= total``.

    Returns
    -------
    Interval or None
        0..1; None without any case.
    """
    if total == 0:
        return None
    limits = stats.binomtest(count, total).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return Interval(value=count / total, lower=float(limits.low), upper=float(limits.high))


def limits_around(common: float, total: int, confidence: float) -> tuple[float, float]:
    """Between which shares a group of `total` cases falls by chance, where `common` is the true share.

    Exact binomial quantiles (Spiegelhalter 2005, Stat Med 24:1185), not interpolated, so that the limits rather lie too wide.

    Parameters
    ----------
    common : float
        0..1.
    total : int
        At least 1.
    confidence : float
        Two-sided, such as 0.95.

    Returns
    -------
    lower, upper : float
        Shares; a group on them is still within.
    """
    tail = (1 - confidence) / 2
    lower, upper = stats.binom.ppf([tail, 1 - tail], total, common)
    return max(0.0, float(lower)) / total, min(float(upper), total) / total


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Bland and Altman's limits of agreement.

    Parameters
    ----------
    count : int
    bias, lower, upper : Interval
        Mean difference and the limits between which 95 % of the differences lie, each with its 95 % interval.
    """

    count: int
    bias: Interval
    lower: Interval
    upper: Interval


def limits_of_agreement(differences: Sequence[float]) -> Agreement | None:
    """Bland and Altman (Lancet 1986;1:307): bias and limits of agreement with Student's t intervals.

    Parameters
    ----------
    differences : sequence of float
        One method minus the other, a pair each.

    Returns
    -------
    Agreement or None
        None for fewer than three pairs.
    """
    values = np.asarray(differences, float)
    n = len(values)
    if n < 3:
        return None
    bias, sd = float(values.mean()), float(values.std(ddof=1))
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    z = 1.96
    around_bias = t * sd / sqrt(n)
    # the paper's approximation for the standard error of a limit
    around_limit = t * sd * sqrt(1 / n + z**2 / (2 * (n - 1)))

    def interval(value: float, half: float) -> Interval:
        return Interval(value=value, lower=value - half, upper=value + half)

    return Agreement(
        count=n,
        bias=interval(bias, around_bias),
        lower=interval(bias - z * sd, around_limit),
        upper=interval(bias + z * sd, around_limit),
    )


def kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> Interval | None:
    """Cohen's kappa with the large-sample interval of Fleiss, Cohen and Everitt (1969).

    Parameters
    ----------
    pairs : sequence of (label, label)
        What the one and the other said of the same thing.

    Returns
    -------
    Interval or None
        None where it is not defined: no pair, or both always say the same one label.
    """
    labels = sorted({label for pair in pairs for label in pair}, key=str)
    if not pairs or len(labels) < 2:
        return None
    index = {label: number for number, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    for first, second in pairs:
        table[index[first], index[second]] += 1
    p = table / table.sum()
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    if expected >= 1:
        return None
    value = (observed - expected) / (1 - expected)
    # variance: eq. 13 of the paper
    diagonal = float(np.sum(np.diag(p) * (1 - (rows + columns) * (1 - value)) ** 2))
    outside = (columns[:, None] + rows[None, :]) ** 2
    beside = float((1 - value) ** 2 * np.sum((p * outside)[~np.eye(len(labels), dtype=bool)]))
    rest = (value - expected * (1 - value)) ** 2
    error = sqrt(max(0.0, diagonal + beside - rest) / len(pairs)) / (1 - expected)
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    return Interval(value=value, lower=max(-1.0, value - z * error), upper=min(1.0, value + z * error))
