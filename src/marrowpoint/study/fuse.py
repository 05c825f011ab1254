"""The verdict of a study: what the views of one needle position may say together, every rule in the order it is asked.

Bad news from one adequate view is enough. Good news needs every view, and waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.case import Site
from marrowpoint.profile import Profile
from marrowpoint.study.evidence import Evidence, frame_name, gather, said
from marrowpoint.study.geometry import separation_deg
from marrowpoint.study.group import group_positions, zero_view_of
from marrowpoint.study.place import EXCLUDED, chance_of
from marrowpoint.study.rightspot import missing_for_right_spot
from marrowpoint.study.sight import sight_of
from marrowpoint.study.words import disagreement, no_thick_bone, proof, view_reasons
from marrowpoint.verdict import Code, Flag, Reason, Verdict

TEXTS = {
    Code.OUTSIDE_BONE: "Outside the bone",
    Code.BREACH_SUSPECTED: "May have gone through the bone",
    Code.AT_CORTEX: "At the cortex, not in the marrow",
    Code.THIN_BONE: "In thin bone: wrong spot",
    Code.RIGHT_SPOT: "Consistent with the right spot in all views; a person must confirm",
}

NOT_THICK = "Not the right spot: the tip lies in no thick bone, but in thin bone or outside of it"

# frame verdicts that settle the study, in the order they are asked
DECISIVE = {
    Code.OUTSIDE_BONE: Code.OUTSIDE_BONE,
    Code.BREACH_SUSPECTED: Code.BREACH_SUSPECTED,
    Code.AT_CORTEX: Code.AT_CORTEX,
    Code.PROJECTED_IN_THIN_BONE: Code.THIN_BONE,
}

# flags of frames that a reader of the study must see too
SHARED_FLAGS = (
    Flag.SHALLOW, Flag.NEAR_DEPTH_LIMIT, Flag.NEAR_THIN_BONE, Flag.SCALE_AT_DETECTOR_PLANE, Flag.SCALE_UNKNOWN,
    Flag.SCALE_CONFLICT, Flag.SECOND_INSTRUMENT, Flag.AMBIGUOUS_NEEDLE, Flag.LOW_CONFIDENCE_BONE, Flag.LOW_CONFIDENCE_NEEDLE,
)  # fmt: skip


def judge_studies(
    assessments: Iterable[Assessment], profile: Profile, sites: Sequence[Site] = (), reused: Iterable[str] = ()
) -> tuple[StudyAssessment, ...]:
    """Judge every needle position of every study.

    Parameters
    ----------
    assessments : iterable of Assessment
        Frames of one or more studies, in any order; their pixels are not needed.
    profile : Profile
    sites : sequence of Site
        Rows of the procedure sheet.
    reused : iterable of str
        Hashes of pictures known to stand in several studies, where not all studies are judged in one call.

    Returns
    -------
    tuple of StudyAssessment
        One a position. A picture that turns up in two studies refuses both; a study of two patients is refused as a whole.
    """
    frames = tuple(assessments)
    owners: dict[str, set[str]] = {}
    for frame in frames:
        owners.setdefault(frame.frame.reference.pixel_sha256, set()).add(frame.frame.reference.study_instance_uid)
    shared = frozenset(digest for digest, studies in owners.items() if digest and len(studies) > 1) | frozenset(reused)
    mixed = _mixed_studies(frames)
    return tuple(
        _judge(position.frames, profile, site=position.site, split=position.reasons, reused=shared, mixed=mixed)
        for position in group_positions(frames, profile.study, sites)
    )


def _mixed_studies(frames: Iterable[Assessment]) -> frozenset[str]:
    """Studies whose files name more than one patient."""
    people: dict[str, set[int]] = {}
    for frame in frames:
        if frame.frame.person is not None:
            people.setdefault(frame.frame.reference.study_instance_uid, set()).add(frame.frame.person)
    return frozenset(uid for uid, found in people.items() if len(found) > 1)


def judge_study(assessments: Sequence[Assessment], profile: Profile) -> StudyAssessment:
    """Judge the frames of one needle position together.

    Parameters
    ----------
    assessments : sequence of Assessment
        At least one frame; frames of two studies, or marked with both sides, are refused.
    profile : Profile

    Returns
    -------
    StudyAssessment
        The only result that may say ``right_spot``; it then carries the flag ``awaiting_confirmation``.

    Raises
    ------
    ValueError
        Without any frame.
    """
    if not assessments:
        raise ValueError("a study without frames cannot be judged")
    return _judge(assessments, profile, mixed=_mixed_studies(assessments))


def _judge(
    frames: Sequence[Assessment], profile: Profile, *, site: str = "", split: tuple[Reason, ...] = (),
    reused: frozenset[str] = frozenset(), mixed: frozenset[str] = frozenset(),
) -> StudyAssessment:  # fmt: skip
    refusal = _identity_refusal(frames, reused, mixed)
    evidence = None if refusal is not None else gather(frames, profile)
    verdict = _refused((refusal,) if refusal is not None else ()) if evidence is None else _verdict(evidence, profile)
    tip = evidence.tip if evidence is not None else None
    shaft = evidence.shaft if evidence is not None else None
    depth = evidence.depth if evidence is not None else None
    return StudyAssessment(
        study_instance_uid=frames[0].frame.reference.study_instance_uid,
        site=site,
        frames=tuple(frame_name(frame) for frame in frames),
        verdict=Verdict(code=verdict.code, text=verdict.text, flags=verdict.flags, reasons=(*verdict.reasons, *split)),
        tip_position_mm=None if tip is None else _triple(tip.position_mm),
        tip_sd_mm=None if tip is None else _triple(tip.covariance_mm2.diagonal() ** 0.5),
        tip_residual_mm=None if tip is None else tip.residual_mm,
        shaft_axis=None if shaft is None else _triple(shaft.direction),
        shaft_axis_sd_deg=None if shaft is None else shaft.sd_deg,
        insertion_depth=None if depth is None else depth.told,
        bone_thickness=None if evidence is None else evidence.thickness,
        thick_bone_chance=None if evidence is None or evidence.thick_logit is None else chance_of(evidence.thick_logit),
        provenance=frames[0].provenance,
    )


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _identity_refusal(frames: Sequence[Assessment], reused: frozenset[str], mixed: frozenset[str]) -> Reason | None:
    """Why these frames may not be judged as one needle position."""
    studies = {frame.frame.reference.study_instance_uid for frame in frames}
    if len(studies) > 1:
        text = f"The frames come from {len(studies)} studies; they may show several patients."
        return Reason(code="several_studies", text=text)
    if studies & mixed:
        return Reason(code="several_patients", text="The files of this study name more than one patient.")
    sides = {side for frame in frames for side in _sides(frame)}
    if len(sides) > 1:
        marked = ", ".join(f"{frame_name(frame)} {' and '.join(sorted(_sides(frame)))}" for frame in frames if _sides(frame))
        return Reason(code="contradictory_sides", text=f"Sheet and headers mark different sides: {marked}.")
    for frame in frames:
        if frame.frame.reference.pixel_sha256 in reused:
            text = f"{frame_name(frame)} turns up in another study too: whose picture it is, nobody can tell."
            return Reason(code="picture_in_two_studies", text=text)
    return None


def _sides(frame: Assessment) -> frozenset[str]:
    """What sheet and header say of the side; the sheet's word does not undo the header's."""
    return frozenset({frame.frame.side, frame.frame.documented.laterality} - {""})


def _refused(reasons: tuple[Reason, ...]) -> Verdict:
    text = f"Cannot tell: {reasons[0].text}" if reasons else "Cannot tell"
    return Verdict(code=Code.NOT_ASSESSABLE, text=text, reasons=reasons)


def _verdict(evidence: Evidence, profile: Profile) -> Verdict:
    if not evidence.usable:
        none = Reason(code="no_adequate_view", text="no view of this needle position could be assessed.")
        return _refused((none, *evidence.dropped))
    flags = tuple(flag for flag in SHARED_FLAGS if any(flag in frame.verdict.flags for frame in evidence.usable))
    shown = (*view_reasons(evidence), *evidence.dropped)
    for code, named in DECISIVE.items():
        telling = [frame for frame in evidence.usable if said(frame) is code]
        # one wide interval alone proves nothing: every fourth that said outside in held-out hips was on a wrong outline
        if len(telling) > 1 or any(frame in evidence.adequate for frame in telling):
            reasons = (*disagreement(evidence, telling), *shown)
            where = ", ".join(frame_name(frame) for frame in telling)
            return Verdict(code=named, text=f"{TEXTS[named]} ({where})", flags=flags, reasons=reasons)
    depth = evidence.depth
    if depth is not None and depth.smallest.upper < profile.study.depth_from_mm:
        reason = Reason(code="insertion_depth", text=f"Past the cortex by at most {depth.smallest}.")
        return Verdict(code=Code.AT_CORTEX, text=TEXTS[Code.AT_CORTEX], flags=flags, reasons=(reason, *shown))
    if evidence.thick_logit is not None and evidence.thick_logit <= EXCLUDED:
        reasons = (no_thick_bone(evidence.thick_logit, profile), *shown)
        return Verdict(code=Code.INDETERMINATE, text=NOT_THICK, flags=(*flags, Flag.NOT_IN_THICK_BONE), reasons=reasons)
    missing = (*_one_view_twice(evidence, profile), *missing_for_right_spot(evidence, profile))
    if missing:
        text = f"Cannot tell: {missing[0].text}"
        return Verdict(code=Code.INDETERMINATE, text=text, flags=flags, reasons=(*missing, *shown))
    flags = (*flags, Flag.AWAITING_CONFIRMATION)
    return Verdict(code=Code.RIGHT_SPOT, text=TEXTS[Code.RIGHT_SPOT], flags=flags, reasons=(*proof(evidence), *shown))


def _one_view_twice(evidence: Evidence, profile: Profile) -> tuple[Reason, ...]:
    if len(evidence.usable) == 1:
        return (Reason(code="one_view", text="one view proves no depth: a second view is needed."),)
    zero = zero_view_of(evidence.usable)
    sights = [sight for frame in evidence.usable if (sight := sight_of(frame, zero)) is not None]
    beams = [separation_deg(a.beam, b.beam) for a, b in combinations(sights, 2)]
    if len(sights) == len(evidence.usable) and max(beams) <= profile.study.same_view_within_deg:
        return (Reason(code="one_view_twice", text=f"all {len(sights)} frames show the same view: another view is needed."),)
    return ()
