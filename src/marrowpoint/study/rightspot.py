"""What must hold before a study may be called ``right_spot``, and what to do where it does not."""

from __future__ import annotations

from collections.abc import Iterator

from marrowpoint.assessment import Assessment
from marrowpoint.frame import ViewKind
from marrowpoint.measurement import Measurement, Unit
from marrowpoint.profile import Profile
from marrowpoint.study.evidence import Evidence, frame_name, said, thickness_readings
from marrowpoint.verdict import Code, Flag, Reason

# flags of a frame that forbid good news: the scale or the needle itself is in doubt, or thin bone is near
FORBIDDING = {
    Flag.SCALE_UNKNOWN: "its scale is unknown",
    Flag.SCALE_AT_DETECTOR_PLANE: "its scale holds at the detector, not at the needle",
    Flag.SCALE_CONFLICT: "what it says of scale is contradictory",
    Flag.NEAR_THIN_BONE: "thin bone lies within a quarter of an inch of the tip, as far as the map tells",
    Flag.AMBIGUOUS_NEEDLE: "more than one object may be the needle",
    Flag.NO_LEARNED_PRIOR: "its outline comes from grey values alone",
}

# views that must show the entry: a needle that never entered passed every other rule in two of 700 held-out positions
DEPTH_VIEWS = 2

# frame verdicts that a right spot may be built from
INSIDE = frozenset({Code.PROJECTED_IN_THICK_BONE, Code.PROJECTED_INSIDE, Code.INDETERMINATE})


def missing_for_right_spot(evidence: Evidence, profile: Profile) -> tuple[Reason, ...]:
    """Everything that stands between this evidence and ``right_spot``.

    Parameters
    ----------
    evidence : Evidence
        Of frames none of which is decisive bad news.
    profile : Profile

    Returns
    -------
    tuple of Reason
        Empty if nothing is missing; each says what was found and what would settle it.
    """
    return tuple(reason for part in (_views, _frames, _thickness, _depth) for reason in part(evidence, profile))


def _views(evidence: Evidence, profile: Profile) -> Iterator[Reason]:
    kinds = {assessment.frame.view.kind for assessment in evidence.usable}
    if not evidence.complementary:
        wanted = "an iliac oblique" if ViewKind.TANGENTIAL in kinds else "an obturator (tangential) oblique"
        limit = profile.verdict.complementary_from_deg
        text = f"No two views complement each other: take {wanted}, or a view {limit:.0f} degrees or more from the others."
        yield Reason(code="no_complementary_views", text=text)
    if evidence.shaft is None:
        angles = [a.frame.view.primary_deg is not None and a.frame.view.secondary_deg is not None for a in evidence.usable]
        if not all(angles):
            text = "C-arm angles are missing, so foreshortening is unknown: save the angles with the pictures."
            yield Reason(code="no_angles", text=text)
        elif evidence.complementary:
            yield Reason(code="no_direction", text="The views do not give the needle's direction in space.")
    elif evidence.shaft.contradicted:
        text = (
            f"No needle direction explains all views (p = {evidence.shaft.p_value:.1g}): "
            "the needle moved between the shots or an angle is wrong. Repeat the views."
        )
        yield Reason(code="views_contradict", text=text)
    if evidence.tip is not None and evidence.tip.p_value < 1e-6:
        text = f"The tip's rays miss each other by {evidence.tip.residual_mm:.0f} mm, more than a re-centred C-arm explains."
        yield Reason(code="tip_moved", text=text)


def _frames(evidence: Evidence, profile: Profile) -> Iterator[Reason]:
    for assessment in evidence.usable:
        name, verdict = frame_name(assessment), assessment.verdict
        if said(assessment) not in INSIDE:
            yield Reason(code="frame_disagrees", text=f"{name}: {verdict.text}.")
        for flag in verdict.flags:
            if flag in FORBIDDING:
                yield Reason(code=str(flag), text=f"{name}: {FORBIDDING[flag]}.")
        clearance, room = _clearance(assessment), _room_mm(assessment, profile)
        if clearance is None:
            yield Reason(code="no_clearance", text=f"{name}: the distance to the cortex is not known in mm.")
        elif clearance.lower < room:
            text = f"{name}: the tip is {clearance} from the outline; {room:.1f} mm are needed for needle and cortex."
            yield Reason(code="too_near_the_outline", text=text)


def _clearance(assessment: Assessment) -> Measurement | None:
    distance = assessment.placement.tip_to_cortex if assessment.placement else None
    return distance if distance is not None and distance.unit is Unit.MM else None


def _room_mm(assessment: Assessment, profile: Profile) -> float:
    """Half the needle and one table: a tip nearer than that to any outline is not in marrow all round."""
    spacing, needle = assessment.calibration.spacing, assessment.needle
    radius_mm = (assessment.outer_diameter_mm or 0.0) / 2
    if not radius_mm and spacing is not None and needle is not None:
        radius_mm = needle.width_px * spacing.mm_per_px / 2
    return radius_mm + profile.study.cortex_mm


def _thickness(evidence: Evidence, profile: Profile) -> Iterator[Reason]:
    thick = profile.verdict.thick_from_mm
    if evidence.thickness is None:
        text = "No view tells how thick the bone is at the tip: take an iliac oblique in which the tip lies free of the sacrum."
        yield Reason(code="thickness_not_judged", text=text)
    elif evidence.thickness.lower < thick:
        text = f"The bone at the tip is {evidence.thickness} thick; thick bone begins at {thick:.1f} mm."
        yield Reason(code="thickness_not_proven", text=text)
    thin = profile.verdict.thin_below_mm
    for assessment in evidence.usable:
        name = frame_name(assessment)
        for reading in thickness_readings([assessment]):
            # the views together may be sure of thick bone while one of them knows nothing; that was wrong on held-out hips
            if not reading.along_wing and reading.mapped.lower < thin:
                text = (
                    f"{name}: bone {reading.mapped} thick by its map, which does not exclude thin bone (below {thin:.1f} mm)."
                )
                yield Reason(code="thin_not_excluded", text=text)
        width = assessment.placement.bone_thickness if assessment.placement else None
        if width is not None and width.unit is Unit.MM and width.value < thick:
            text = f"{name}: bone {width} thick, below {thick:.1f} mm in this view."
            yield Reason(code="not_thick_in_a_view", text=text)


def _depth(evidence: Evidence, profile: Profile) -> Iterator[Reason]:
    limits, depth = profile.study, evidence.depth
    shaft = evidence.shaft
    angles = () if depth is None or shaft is None else zip(depth.views, shaft.beam_angles, strict=True)
    if depth is None or not any(view and angle.value_deg >= limits.depth_view_from_deg for view, angle in angles):
        if shaft is not None:
            text = "No view shows the needle near the plane of the picture: take one across it (lateral or iliac oblique)."
            yield Reason(code="no_depth_view", text=text)
        return
    if sum(view is not None for view in depth.views) < DEPTH_VIEWS:
        text = (
            "Only one view shows where the needle enters: there the shaft may run over the bone before it enters, or never "
            "enter. Take another view that shows the entry."
        )
        yield Reason(code="depth_from_one_view", text=text)
    found = depth.smallest
    if found.lower < limits.depth_from_mm:
        text = f"Depth past the cortex is at most {found}; {limits.depth_from_mm:.0f} mm must be certain."
        yield Reason(code="depth_not_proven", text=text)
    # the value is an upper bound already: no outline can show the needle shallower than it is
    thickness_mm = float("inf") if evidence.thickness is None else evidence.thickness.value
    run = limits.depth_per_thickness * thickness_mm
    # each view bounds the depth: what the tightest upper limit allows may not be more than the bone is thick
    allowed_mm = min(view.upper for view in depth.views if view is not None)
    if found.value > min(run, limits.deepest_mm) or allowed_mm > thickness_mm:
        text = (
            f"The needle may lie {found} deep along its shaft; beyond {min(run, limits.deepest_mm):.0f} mm it may have come "
            "out through the far cortex, which no outline shows. Check with a view along the needle."
        )
        yield Reason(code="may_be_through", text=text)
