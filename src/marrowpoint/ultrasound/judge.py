"""The clinical page of ultrasound: above the bone, at it or deeper, or nothing said. Never marrow."""

from __future__ import annotations

import numpy as np

from marrowpoint.cortex import Cortex
from marrowpoint.frame import Calibration
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.profile import Profile
from marrowpoint.verdict import Code, Flag, Reason, Verdict


def judge_scan(
    needle: Needle, cortex: Cortex, placement: Placement, profile: Profile, *, meets_bone: bool, shadow_ahead: bool = False
) -> Verdict:
    """Say what one ultrasound frame shows, or why it cannot be said.

    Parameters
    ----------
    needle : Needle
    cortex : Cortex
    placement : Placement
    profile : Profile
    meets_bone : bool
        The echo of the shaft runs into that of bone.
    shadow_ahead : bool
        It is dark right ahead of the tip.

    Returns
    -------
    Verdict
        With at least one reason that holds the numbers.
    """
    flags = _flags(needle, cortex, placement, profile)
    distance = placement.tip_to_cortex
    assert distance is not None
    refusal = _refusal(needle, cortex, distance, profile)
    if refusal is not None:
        return Verdict(code=Code.NOT_ASSESSABLE, text=f"Cannot tell: {refusal.text}", flags=flags, reasons=(refusal,))
    reasons = (*_visibility(needle), *_entry(placement))
    if meets_bone:
        text = "At the bone surface or beyond it: depth unknown, ultrasound ends at bone"
        why = Reason(code="echo_meets_bone", text="The shaft can be followed into the echo of bone; nothing is seen behind it.")
        return Verdict(code=Code.AT_OR_BEYOND_CORTEX, text=text, flags=flags, reasons=(why, *reasons))
    if shadow_ahead:
        why = Reason(code="shadow_ahead", text="the shaft ends at a shadow whose surface is not seen: bone may be there")
        text = f"Cannot tell: {why.text}"
        return Verdict(code=Code.NOT_ASSESSABLE, text=text, flags=flags, reasons=(why, *reasons))
    why = Reason(code="tip_to_cortex", text=f"Tip to bone surface {distance} (negative = above the bone).")
    if distance.upper < 0:
        most = "at most " if distance.bound is Bound.UPPER else ""
        text = f"Above the bone: {most}{-distance.value:.1f} {distance.unit} between tip and surface"
        return Verdict(code=Code.ABOVE_CORTEX, text=text, flags=flags, reasons=(why, *reasons))
    text = "Cannot tell: just above the bone, or at it"
    return Verdict(code=Code.INDETERMINATE, text=text, flags=flags, reasons=(why, *reasons))


def _refusal(needle: Needle, cortex: Cortex, distance: Measurement, profile: Profile) -> Reason | None:
    limits = profile.verdict
    if needle.confidence < limits.min_needle_confidence:
        return Reason(code="low_confidence_needle", text=f"the needle has confidence {needle.confidence:.2f}")
    if cortex.confidence < limits.min_bone_confidence:
        return Reason(code="low_confidence_bone", text=f"the bone surface has confidence {cortex.confidence:.2f}")
    if distance.unit is Unit.MM and distance.expanded_uncertainty > limits.abstain_above_u_mm:
        return Reason(code="too_uncertain", text=f"tip to bone surface {distance} is too uncertain")
    return None


def _flags(needle: Needle, cortex: Cortex, placement: Placement, profile: Profile) -> tuple[Flag, ...]:
    found = {
        Flag.OUT_OF_PLANE: needle.out_of_plane,
        Flag.LOW_CONFIDENCE_NEEDLE: needle.confidence < profile.verdict.min_needle_confidence,
        Flag.LOW_CONFIDENCE_BONE: cortex.confidence < profile.verdict.min_bone_confidence,
    }
    return (*scale_flags(placement.calibration), *(flag for flag, raised in found.items() if raised))


def scale_flags(calibration: Calibration) -> tuple[Flag, ...]:
    """What is to be said of the scale: none, or a ruler that contradicts the header.

    Parameters
    ----------
    calibration : Calibration

    Returns
    -------
    tuple of Flag
    """
    if calibration.spacing is None:
        return (Flag.SCALE_UNKNOWN,)
    best = calibration.rungs[0]
    for rung in calibration.rungs[1:]:
        if abs(rung.row_mm / best.row_mm - 1) > float(np.hypot(best.relative_u, rung.relative_u)):
            return (Flag.SCALE_CONFLICT,)
    return ()


def _visibility(needle: Needle) -> tuple[Reason, ...]:
    if needle.tip_visibility is None:
        return ()
    return (Reason(code="tip_visibility", text=f"Tip visibility: {needle.tip_visibility}."),)


def _entry(placement: Placement) -> tuple[Reason, ...]:
    reasons = []
    if placement.gap_along_shaft is not None:
        reasons.append(Reason(code="gap_along_shaft", text=f"Straight ahead to the bone {placement.gap_along_shaft}."))
    if placement.entry_to_peak is not None:
        reasons.append(Reason(code="entry_to_peak", text=f"Point of entry to the peak of the crest {placement.entry_to_peak}."))
    return tuple(reasons)
