"""What was said of a frame, in a few hundred bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from marrowpoint.assessment import Assessment
from marrowpoint.placement import Placement

NUMBERS = (
    "tip_to_cortex", "insertion_depth", "bone_thickness", "thin_bone_margin", "far_cortex_reserve", "in_plane_width",
    "gap_along_shaft", "entry_to_peak",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said of a frame: the verdict and its key numbers.

    Parameters
    ----------
    code, text : str
        Verdict's code and sentence.
    numbers : dict of str to dict
        By field of `Placement`: ``{"value": ..., "lower": ..., "upper": ..., "unit": "mm"}``.
    confidence : dict of str to float
        Of ``needle`` and ``bone``, where found.
    """

    code: str
    text: str
    numbers: dict[str, dict[str, float | str]] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, assessment: Assessment) -> Said:
        """What an assessment says, in a few hundred bytes."""
        confidence = {}
        if assessment.needle is not None:
            confidence["needle"] = round(float(assessment.needle.confidence), 3)
        if assessment.cortex is not None:
            confidence["bone"] = round(float(assessment.cortex.confidence), 3)
        return cls(
            code=assessment.verdict.code.value,
            text=assessment.verdict.text,
            numbers=_numbers(assessment.placement),
            confidence=confidence,
        )


def _numbers(placement: Placement | None) -> dict[str, dict[str, float | str]]:
    found: dict[str, dict[str, float | str]] = {}
    for name in NUMBERS:
        measured = None if placement is None else getattr(placement, name)
        if measured is not None:
            limits = {key: round(float(getattr(measured, key)), 3) for key in ("value", "lower", "upper")}
            found[name] = {**limits, "unit": measured.unit.value}
    return found
