"""A length with its doubt: value, 95 % interval, unit, what kind of bound it is, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite


class Unit(StrEnum):
    """Unit of a length."""

    MM = "mm"
    PX = "px"


class Bound(StrEnum):
    """What a projected length says about the true one (design: one projection is one-sided)."""

    ESTIMATE = "estimate"
    LOWER = "lower_bound"
    UPPER = "upper_bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A length with its 95 % interval.

    Parameters
    ----------
    value, lower, upper : float
        Best value and the limits of the 95 % interval (k = 2), in `unit`; ``lower <= value <= upper``.
    unit : Unit
        Millimetres, or pixels where the frame has no scale.
    bound : Bound
        Whether the value is an estimate of the true length or only bounds it.
    method : str
        How it was found, in a few words.
    """

    value: float
    lower: float
    upper: float
    unit: Unit
    bound: Bound
    method: str

    def __post_init__(self) -> None:
        if not all(isfinite(x) for x in (self.value, self.lower, self.upper)):
            raise ValueError("a measurement must be finite")
        if not self.lower <= self.value <= self.upper:
            raise ValueError(f"{self.value} does not lie in [{self.lower}, {self.upper}]")

    @property
    def expanded_uncertainty(self) -> float:
        """Half the width of the 95 % interval, in `unit`."""
        return (self.upper - self.lower) / 2

    def __str__(self) -> str:
        return f"{self.value:.1f} {self.unit} [{self.lower:.1f}, {self.upper:.1f}]"
