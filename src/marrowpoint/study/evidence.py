"""What the views of one needle position bring to the verdict: distinct views, geometry, depth and pooled thickness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from marrowpoint.assessment import Assessment
from marrowpoint.frame import ViewKind
from marrowpoint.measurement import Measurement, Unit
from marrowpoint.profile import Profile
from marrowpoint.study.depth import Depth, measured_depth, true_depth
from marrowpoint.study.geometry import separation_deg
from marrowpoint.study.group import zero_view_of
from marrowpoint.study.place import packaged_reader
from marrowpoint.study.same import is_same_picture
from marrowpoint.study.sight import sight_of
from marrowpoint.study.surroundings import thick_bone
from marrowpoint.study.thickness import Fusion, Reading, fused_thickness, packaged_fusion, pooled_thickness
from marrowpoint.study.triangulate import Shaft, TipPoint, triangulate_shaft, triangulate_tip
from marrowpoint.verdict import Code, Reason

# what the second view of a complementary pair may be, beside a tangential one (design section 4)
ACROSS = frozenset({ViewKind.AP, ViewKind.ILIAC_OBLIQUE, ViewKind.LATERAL})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """The views of one needle position together.

    Parameters
    ----------
    adequate : tuple of Assessment
        Distinct fluoroscopic frames with an answer.
    wide : tuple of Assessment
        Distinct frames that were refused only because their distance is not known well enough, but whose whole interval lies
        inside the outline, or outside it: intervals decide, and so they may bear witness beside others.
    dropped : tuple of Reason
        Frames that do not count, and why.
    shaft : Shaft or None
        None without angles in two views far enough apart.
    tip : TipPoint or None
    depth : Depth or None
        One entry of its views for each adequate frame that has a sight.
    thickness : Measurement or None
        Pooled over the views that can see it [mm].
    complementary : bool
        Whether two of the views complement each other.
    thick_logit : float or None
        Logit of the chance that the tip lies in thick bone, from its surroundings in all views (`study.place`); None where
        fewer than two views can be read, or not all that is needed is known.
    """

    adequate: tuple[Assessment, ...]
    wide: tuple[Assessment, ...]
    dropped: tuple[Reason, ...]
    shaft: Shaft | None
    tip: TipPoint | None
    depth: Depth | None
    thickness: Measurement | None
    complementary: bool
    thick_logit: float | None = None

    @property
    def usable(self) -> tuple[Assessment, ...]:
        """Frames that may bear witness."""
        return (*self.adequate, *self.wide)


def frame_name(assessment: Assessment) -> str:
    """``"path#frame_number"``, as in the result file."""
    return f"{assessment.frame.reference.path}#{assessment.frame.reference.frame_number}"


def gather(assessments: Sequence[Assessment], profile: Profile) -> Evidence:
    """Collect what the frames of one needle position say.

    Parameters
    ----------
    assessments : sequence of Assessment
    profile : Profile

    Returns
    -------
    Evidence
    """
    distinct, twice = _distinct(assessments, profile.study.same_view_within_deg)
    adequate, wide, dropped = _sorted(distinct)
    usable = (*adequate, *wide)
    zero = zero_view_of(distinct)
    # a needle that is seen says its direction, whatever is known of the bone in that view
    seen = [(assessment, sight) for assessment in distinct if (sight := sight_of(assessment, zero)) is not None]
    sights = [sight for _, sight in seen]
    shaft = triangulate_shaft(sights, profile.study)
    thickness = joint_thickness(usable, packaged_fusion())
    depth = None
    if shaft is not None:
        projected = [_depth_of(assessment) if assessment in usable else None for assessment, _ in seen]
        depth = true_depth(projected, shaft.sines)
    if depth is not None and shaft is not None and thickness is not None:
        beams, ratio = [sight.beam for sight in sights], profile.study.depth_views_ratio
        depth = replace(depth, estimate=measured_depth(depth, shaft.sines, beams, thickness.value, ratio))
    return Evidence(
        adequate=adequate,
        wide=wide,
        dropped=(*twice, *dropped),
        shaft=shaft,
        tip=triangulate_tip(sights, profile.study),
        depth=depth,
        thickness=thickness,
        complementary=_complementary(usable, profile),
        thick_logit=thick_bone(seen, shaft, packaged_reader(), profile),
    )


def certain_side(assessment: Assessment) -> int:
    """1 where the whole interval of the distance to the outline lies inside it, -1 where it lies outside, 0 else."""
    distance = assessment.placement.tip_to_cortex if assessment.placement else None
    if distance is None or distance.unit is not Unit.MM or distance.lower <= 0 <= distance.upper:
        return 0
    return 1 if distance.lower > 0 else -1


def said(assessment: Assessment) -> Code:
    """Verdict of a frame, or what its wide interval says for sure."""
    if assessment.verdict.code is not Code.NOT_ASSESSABLE or assessment.placement is None:
        return assessment.verdict.code
    side = certain_side(assessment)
    if side < 0:
        return Code.BREACH_SUSPECTED if assessment.placement.shaft_crosses_bone else Code.OUTSIDE_BONE
    return Code.PROJECTED_INSIDE if side > 0 else Code.NOT_ASSESSABLE


def _depth_of(assessment: Assessment) -> Measurement | None:
    return assessment.placement.insertion_depth if assessment.placement else None


def _distinct(
    assessments: Sequence[Assessment], same_view_within_deg: float
) -> tuple[tuple[Assessment, ...], tuple[Reason, ...]]:
    kept: list[Assessment] = []
    dropped: list[Reason] = []
    hashes: dict[str, str] = {}
    for assessment in assessments:
        name, digest = frame_name(assessment), assessment.frame.reference.pixel_sha256
        twin = next((other for other in kept if is_same_picture(other, assessment, same_view_within_deg)), None)
        if digest and digest in hashes:
            dropped.append(Reason(code="duplicate_picture", text=f"{name} is the same picture as {hashes[digest]}."))
        elif twin is not None:
            text = f"{name} shows the needle exactly where {frame_name(twin)} does, though it is marked as another view."
            dropped.append(Reason(code="same_picture", text=f"{text} It is taken for a copy of that picture."))
        else:
            hashes[digest] = name
            kept.append(assessment)
    return tuple(kept), tuple(dropped)


def _sorted(
    distinct: Sequence[Assessment],
) -> tuple[tuple[Assessment, ...], tuple[Assessment, ...], tuple[Reason, ...]]:
    """Frames with an answer, frames whose interval is wide but certain, and why the others do not count."""
    kept: list[Assessment] = []
    wide: list[Assessment] = []
    dropped: list[Reason] = []
    for assessment in distinct:
        name, verdict = frame_name(assessment), assessment.verdict
        if verdict.code in (Code.ABOVE_CORTEX, Code.AT_OR_BEYOND_CORTEX):
            text = f"{name} is an ultrasound frame, which cannot tell depth in bone."
            dropped.append(Reason(code="ultrasound_frame", text=text))
        elif verdict.code is not Code.NOT_ASSESSABLE and assessment.placement is not None:
            kept.append(assessment)
        elif any(reason.code == "too_uncertain" for reason in verdict.reasons) and certain_side(assessment):
            wide.append(assessment)
        else:
            causes = "; ".join(reason.text for reason in verdict.reasons) or verdict.text
            dropped.append(Reason(code="frame_not_assessable", text=f"{name}: {causes}"))
    return tuple(kept), tuple(wide), tuple(dropped)


def joint_thickness(frames: Sequence[Assessment], fusion: Fusion | None) -> Measurement | None:
    """Thickness at the tip from all views: by the fit where it belongs to the network in use, else by formula."""
    placements = [assessment.placement for assessment in frames if assessment.placement]
    models = {assessment.cortex.model_sha256 for assessment in frames if assessment.cortex is not None}
    readings = thickness_readings(frames)
    if fusion is not None and readings and models == {fusion.model_sha256}:
        return fused_thickness(readings, widths_of(frames), fusion)
    return pooled_thickness([placement.bone_thickness for placement in placements if placement.bone_thickness is not None])


def thickness_readings(frames: Sequence[Assessment]) -> tuple[Reading, ...]:
    """What the thickness map says at the tip, in each frame where it speaks."""
    return tuple(
        Reading(mapped=frame.placement.mapped_thickness, along_wing=frame.frame.view.kind is ViewKind.TANGENTIAL)
        for frame in frames
        if frame.placement is not None and frame.placement.mapped_thickness is not None
    )


def widths_of(frames: Sequence[Assessment]) -> tuple[Measurement, ...]:
    """In-plane width at the tip, in each frame that has one."""
    return tuple(
        frame.placement.in_plane_width
        for frame in frames
        if frame.placement is not None and frame.placement.in_plane_width is not None
    )


def usable_frames(assessments: Sequence[Assessment], profile: Profile) -> tuple[Assessment, ...]:
    """Distinct frames of one needle position that may bear witness (`training/fuse.py` fits on what is used)."""
    adequate, wide, _ = _sorted(_distinct(assessments, profile.study.same_view_within_deg)[0])
    return (*adequate, *wide)


def _complementary(usable: Sequence[Assessment], profile: Profile) -> bool:
    zero = zero_view_of(usable)
    kinds = {assessment.frame.view.kind for assessment in usable}
    if ViewKind.TANGENTIAL in kinds and kinds & ACROSS:
        return True
    sights = [sight for assessment in usable if (sight := sight_of(assessment, zero)) is not None]
    limit = profile.verdict.complementary_from_deg
    return any(separation_deg(a.beam, b.beam) >= limit for a, b in combinations(sights, 2))
