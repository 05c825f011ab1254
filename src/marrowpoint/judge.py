"""The clinical page: what may be said of one fluoroscopic frame, every rule in the order it is asked.

Classes are given on intervals, never on best values. One projection proves that a tip is outside; it never proves that it
is inside.
"""

from __future__ import annotations

from collections.abc import Iterator

from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Calibration, SpacingSource, View, ViewKind
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.profile import Profile, VerdictLimits
from marrowpoint.verdict import Code, Flag, Reason, Verdict

# views that may speak of depth (design section 4); an unknown view may warn, which errs on the careful side
DEPTH_VIEWS = frozenset({ViewKind.TANGENTIAL, ViewKind.ILIAC_OBLIQUE, ViewKind.LATERAL, ViewKind.UNKNOWN})

TEXTS: dict[Code, str] = {
    Code.OUTSIDE_BONE: "Outside the bone",
    Code.AT_CORTEX: "At the cortex in this view",
    Code.PROJECTED_IN_THIN_BONE: "Over thin bone: wrong spot",
    Code.PROJECTED_IN_MARGINAL_BONE: "Over bone of marginal thickness",
    Code.PROJECTED_IN_THICK_BONE: "Right spot in this view; a second view is needed",
    Code.PROJECTED_INSIDE: "Inside the outline in this view; thickness not judged",
    Code.BREACH_SUSPECTED: "May have gone through the bone",
}

# why thick bone at the tip is not called the right spot yet, worst first
BUT: dict[Flag, str] = {
    Flag.NEAR_THIN_BONE: "thin bone may be near",
    Flag.SCALE_CONFLICT: "scales disagree",
    Flag.SCALE_UNKNOWN: "the scale is unknown",
    Flag.SCALE_AT_DETECTOR_PLANE: "the scale is the detector's",
    Flag.END_ON: "the needle is end on",
}

REFUSALS: dict[str, str] = {
    "low_confidence_needle": "the needle is uncertain",
    "ambiguous_needle": "more than one object may be the needle; mark it by hand",
    "low_confidence_bone": "the bone's outline is uncertain",
    "no_cortex_in_field": "no cortex of the hip bone in the field",
    "too_uncertain": "tip to cortex is too uncertain",
}

REFUSED_FLAGS = (("ambiguous_needle", Flag.AMBIGUOUS_NEEDLE), ("end_on", Flag.END_ON))

THICKNESS_CODES = (Code.PROJECTED_IN_THIN_BONE, Code.PROJECTED_IN_MARGINAL_BONE, Code.PROJECTED_IN_THICK_BONE)
THICKNESS_NAMES = ("thin", "marginal", "thick")


def judge_frame(needle: Needle, cortex: Cortex, placement: Placement, view: View, profile: Profile) -> Verdict:
    """Say what one fluoroscopic frame shows, or why it cannot be said.

    Parameters
    ----------
    needle : Needle
    cortex : Cortex
    placement : Placement
        Measured on both.
    view : View
        Direction of the beam.
    profile : Profile
        Thresholds.

    Returns
    -------
    Verdict
        With at least one reason that holds the numbers.
    """
    limits = profile.verdict
    flags = tuple(_flags(needle, cortex, placement, view, limits))
    refusal = _refusal(needle, cortex, placement, limits)
    if refusal is not None:
        return _verdict(Code.NOT_ASSESSABLE, f"Cannot tell: {REFUSALS[refusal.code]}", flags, refusal)
    distance = placement.tip_to_cortex
    assert distance is not None
    if distance.lower <= 0:
        return _near_or_outside(placement, distance, needle, flags, limits)
    if placement.shaft_leaves_bone:
        text = f"{TEXTS[Code.BREACH_SUSPECTED]}: the shaft leaves its outline"
        reason = Reason(code="shaft_leaves_bone", text="Between tip and entry the shaft lies outside the outline.")
        return _verdict(Code.BREACH_SUSPECTED, text, flags, reason)
    return _inside(placement, distance, flags, limits)


def not_assessable(error: NotAssessable) -> Verdict:
    """Turn a refusal into a verdict that names its reason.

    Parameters
    ----------
    error : NotAssessable

    Returns
    -------
    Verdict
        ``not_assessable``; never a pass.
    """
    return Verdict(
        code=Code.NOT_ASSESSABLE,
        text=f"Cannot tell: {error.text}",
        flags=tuple(flag for code, flag in REFUSED_FLAGS if code == error.code),
        reasons=(Reason(code=error.code, text=error.text),),
    )


def doubtful_needle(needle: Needle) -> Verdict:
    """Verdict of a frame whose best bar is too doubtful to be called a needle.

    Parameters
    ----------
    needle : Needle
        That bar.

    Returns
    -------
    Verdict
        ``not_assessable``.
    """
    flags = (Flag.LOW_CONFIDENCE_NEEDLE, *((Flag.AMBIGUOUS_NEEDLE,) if needle.alternatives else ()))
    reason = Reason(code="low_confidence_needle", text=f"The best candidate has confidence {needle.confidence:.2f}.")
    return _verdict(Code.NOT_ASSESSABLE, "Cannot tell: no needle is certain enough; mark it by hand", flags, reason)


def trusted_lengths(placement: Placement, cortex: Cortex, limits: VerdictLimits) -> Placement:
    """Leave out the lengths that would be believed although their outline is doubtful.

    Parameters
    ----------
    placement : Placement
    cortex : Cortex
        The outline it was measured on.
    limits : VerdictLimits

    Returns
    -------
    Placement
        Whole from ``min_bone_confidence`` on; down to ``measure_bone_confidence`` only the distance of the tip with its wide
        interval, so that a person sees what the refusal rests on; below that nothing but the scale.
    """
    if cortex.confidence >= limits.min_bone_confidence:
        return placement
    if cortex.confidence < limits.measure_bone_confidence:
        return Placement(calibration=placement.calibration)
    return Placement(
        calibration=placement.calibration, tip_to_cortex=placement.tip_to_cortex, nearest_cortex=placement.nearest_cortex
    )


def _refusal(needle: Needle, cortex: Cortex, placement: Placement, limits: VerdictLimits) -> Reason | None:
    """First reason why nothing may be said, if any."""
    if needle.confidence < limits.min_needle_confidence:
        return Reason(code="low_confidence_needle", text=f"The needle has confidence {needle.confidence:.2f}.")
    if needle.alternatives:
        chances = ", ".join(f"{each.confidence:.2f}" for each in (needle, *needle.alternatives))
        return Reason(code="ambiguous_needle", text=f"Objects that may each be the needle have confidence {chances}.")
    if cortex.confidence < limits.min_bone_confidence:
        return Reason(code="low_confidence_bone", text=f"The bone's outline has confidence {cortex.confidence:.2f}.")
    distance = placement.tip_to_cortex
    if distance is None:
        return Reason(code="no_cortex_in_field", text="No cortex of the hip bone lies inside the field.")
    limit, name = limits.abstain_above_u_mm, f"{limits.abstain_above_u_mm:.1f} mm"
    if distance.unit is Unit.PX:
        # without a scale the needle is the ruler: most are thinner than the limit in mm, so this errs on the careful side
        limit, name = needle.width_px, "the needle's own width"
    if distance.expanded_uncertainty > limit:
        return Reason(
            code="too_uncertain",
            text=f"Tip to cortex {distance}: its uncertainty (k = 2) exceeds {name}.",
        )
    return None


def _near_or_outside(
    placement: Placement, distance: Measurement, needle: Needle, flags: tuple[Flag, ...], limits: VerdictLimits
) -> Verdict:
    reason = Reason(code="tip_to_cortex", text=f"Tip to cortex {distance} (negative = outside).")
    if distance.upper < 0:
        if placement.shaft_crosses_bone:
            text = f"{TEXTS[Code.BREACH_SUSPECTED]}: the tip lies beyond its outline"
            return _verdict(Code.BREACH_SUSPECTED, text, flags, reason)
        text = f"{TEXTS[Code.OUTSIDE_BONE]} by at least {_length(-distance.upper, needle, distance)}"
        return _verdict(Code.OUTSIDE_BONE, text, flags, reason)
    near = limits.abstain_above_u_mm if distance.unit is Unit.MM else needle.width_px
    if -near <= distance.lower and distance.upper <= near:
        return _verdict(Code.AT_CORTEX, TEXTS[Code.AT_CORTEX], flags, reason)
    other = "outside the bone" if distance.lower < -near else "inside the outline"
    return _verdict(Code.INDETERMINATE, f"Cannot tell: at the cortex or {other}", flags, reason)


def _inside(placement: Placement, distance: Measurement, flags: tuple[Flag, ...], limits: VerdictLimits) -> Verdict:
    reason = Reason(code="tip_to_cortex", text=f"Tip to cortex {distance}; one view proves no depth.")
    flags = (*flags, Flag.SECOND_VIEW_NEEDED)
    width = placement.bone_thickness
    classes = _thickness_classes(width, limits)
    if width is None or len(classes) == len(THICKNESS_CODES):
        text = "Inside the outline; thin bone may be near" if Flag.NEAR_THIN_BONE in flags else TEXTS[Code.PROJECTED_INSIDE]
        return _verdict(Code.PROJECTED_INSIDE, text, (*flags, Flag.THICKNESS_NOT_JUDGED), reason)
    thickness = Reason(code="bone_thickness", text=f"Bone at the tip {width} thick ({width.bound}; {width.method}).")
    if len(classes) == 1:
        code = THICKNESS_CODES[classes[0]]
        but = next((words for flag, words in BUT.items() if flag in flags), None)
        text = TEXTS[code]
        if but is not None and code is Code.PROJECTED_IN_THICK_BONE:
            text = f"Thick bone, but {but}; second view needed"
        return _verdict(code, text, flags, thickness, reason)
    names = " or ".join(THICKNESS_NAMES[k] for k in classes)
    return _verdict(Code.INDETERMINATE, f"Inside the outline; cannot tell {names} bone", flags, thickness, reason)


def _thickness_classes(width: Measurement | None, limits: VerdictLimits) -> tuple[int, ...]:
    """Which of thin, marginal, thick the interval touches; an upper bound reaches down to thin."""
    if width is None or width.unit is not Unit.MM:
        return (0, 1, 2)
    lower = 0.0 if width.bound is Bound.UPPER else width.lower
    touched = (
        lower < limits.thin_below_mm,
        width.upper >= limits.thin_below_mm and lower < limits.thick_from_mm,
        width.upper >= limits.thick_from_mm,
    )
    return tuple(k for k, touches in enumerate(touched) if touches)


def _flags(needle: Needle, cortex: Cortex, placement: Placement, view: View, limits: VerdictLimits) -> Iterator[Flag]:
    yield from scale_flags(placement.calibration)
    if needle.confidence < limits.min_needle_confidence:
        yield Flag.LOW_CONFIDENCE_NEEDLE
    if cortex.confidence < limits.min_bone_confidence:
        yield Flag.LOW_CONFIDENCE_BONE
    if needle.alternatives:
        yield Flag.AMBIGUOUS_NEEDLE
    if needle.second_instrument:
        yield Flag.SECOND_INSTRUMENT
    if cortex.model_sha256 is None and cortex.located_by == "classical":
        yield Flag.NO_LEARNED_PRIOR
    end_on = needle.end_on or view.kind is ViewKind.END_ON
    if end_on:
        yield Flag.END_ON
    elif view.kind in DEPTH_VIEWS:
        yield from _depth_flags(placement, limits)
    margin = _in_mm(placement.thin_bone_margin)
    if placement.thin_bone_near or (margin is not None and margin.lower < limits.thin_margin_mm):
        yield Flag.NEAR_THIN_BONE


def _depth_flags(placement: Placement, limits: VerdictLimits) -> Iterator[Flag]:
    depth, reserve = _in_mm(placement.insertion_depth), _in_mm(placement.far_cortex_reserve)
    if depth is not None and depth.upper < limits.shallow_below_mm:
        yield Flag.SHALLOW
    deep = depth is not None and depth.upper > limits.depth_warning_mm
    if deep or (reserve is not None and reserve.lower < limits.far_reserve_mm):
        yield Flag.NEAR_DEPTH_LIMIT


def scale_flags(calibration: Calibration) -> Iterator[Flag]:
    """What must be said of the scale beside every length in mm: none, at the detector, contradictory.

    Parameters
    ----------
    calibration : Calibration

    Yields
    ------
    Flag
    """
    spacing = calibration.spacing
    if spacing is None:
        yield Flag.SCALE_UNKNOWN
    elif spacing.source is SpacingSource.DETECTOR_PLANE:
        yield Flag.SCALE_AT_DETECTOR_PLANE
    if calibration.conflicts:
        yield Flag.SCALE_CONFLICT


def _in_mm(measurement: Measurement | None) -> Measurement | None:
    """The measurement, or None where it is missing or has no scale."""
    return measurement if measurement is not None and measurement.unit is Unit.MM else None


def _length(value: float, needle: Needle, measurement: Measurement) -> str:
    """A length for a banner: mm, or needle widths where there is no scale."""
    if measurement.unit is Unit.MM:
        return f"{value:.1f} mm"
    return f"{value / needle.width_px:.1f} needle widths"


def _verdict(code: Code, text: str, flags: tuple[Flag, ...], *reasons: Reason) -> Verdict:
    return Verdict(code=code, text=text, flags=flags, reasons=reasons)
