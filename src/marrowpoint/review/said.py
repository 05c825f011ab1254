"""What was said of a frame, in a few hundred bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from marrowpoint.assessment import Assessment
from marrowpoint.placement import Placement
from marrowpoint.runs.run import RunAssessment

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
        By field of `Placement`: ``{"value": ..., "lower": ..., "upper": ..., "unit": "mm"}``. Of a run ``area``, and
        ``in_bone`` and ``in_target``, shares without an interval.
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


def said_of(found: Assessment | RunAssessment) -> Said:
    """What is said of a frame, or of a run: there the contrast at its peak, and the shares of it over bone and target."""
    if isinstance(found, Assessment):
        return Said.of(found)
    numbers: dict[str, dict[str, float | str]] = {}
    contrast = found.contrast
    peak = None if contrast is None else next((s for s in contrast.spreads if s.frame == contrast.peak), None)
    if contrast is not None and peak is not None:
        limits = {"value": peak.area, "lower": peak.area_lower, "upper": peak.area_upper}
        numbers["area"] = {**{key: round(float(value), 3) for key, value in limits.items()}, "unit": f"{contrast.unit}\u00b2"}
        for name, share in (("in_bone", contrast.in_bone), ("in_target", contrast.in_target)):
            if share is not None:
                numbers[name] = {"value": round(float(share), 3), "unit": "1"}
    return Said(code=found.verdict.code.value, text=found.verdict.text, numbers=numbers)


def _numbers(placement: Placement | None) -> dict[str, dict[str, float | str]]:
    found: dict[str, dict[str, float | str]] = {}
    for name in NUMBERS:
        measured = None if placement is None else getattr(placement, name)
        if measured is not None:
            limits = {key: round(float(getattr(measured, key)), 3) for key in ("value", "lower", "upper")}
            found[name] = {**limits, "unit": measured.unit.value}
    return found
