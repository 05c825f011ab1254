"""What the views of one needle position bring to the verdict: distinct views, geometry, depth and pooled thickness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

from marrowpoint.assessment import Assessment
from marrowpoint.frame import ViewKind
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.profile import Profile
from marrowpoint.study.depth import Depth, true_depth
from marrowpoint.study.geometry import separation_deg
from marrowpoint.study.group import zero_view_of
from marrowpoint.study.sight import sight_of
from marrowpoint.study.triangulate import Shaft, TipPoint, triangulate_shaft, triangulate_tip
from marrowpoint.verdict import Code, Reason

# errors of one method in several views of one bone go together; half of the variance is taken as shared
SHARED_VARIANCE = 0.5

# what the second view of a complementary pair may be, beside a tangential one (design section 4)
ACROSS = frozenset({ViewKind.AP, ViewKind.ILIAC_OBLIQUE, ViewKind.LATERAL})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """The views of one needle position together.

    Parameters
    ----------
    adequate : tuple of Assessment
        Distinct fluoroscopic frames with an answer.
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
    """

    adequate: tuple[Assessment, ...]
    dropped: tuple[Reason, ...]
    shaft: Shaft | None
    tip: TipPoint | None
    depth: Depth | None
    thickness: Measurement | None
    complementary: bool


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
    adequate, dropped = _adequate(assessments)
    zero = zero_view_of(adequate)
    seen = [(assessment, sight) for assessment in adequate if (sight := sight_of(assessment, zero)) is not None]
    sights = [sight for _, sight in seen]
    shaft = triangulate_shaft(sights, profile.study)
    depth = None
    if shaft is not None:
        projected = [assessment.placement.insertion_depth if assessment.placement else None for assessment, _ in seen]
        depth = true_depth(projected, shaft.sines)
    widths = [assessment.placement.bone_thickness for assessment in adequate if assessment.placement]
    return Evidence(
        adequate=adequate,
        dropped=dropped,
        shaft=shaft,
        tip=triangulate_tip(sights, profile.study),
        depth=depth,
        thickness=pooled_thickness([width for width in widths if width is not None]),
        complementary=_complementary(adequate, profile),
    )


def _adequate(assessments: Sequence[Assessment]) -> tuple[tuple[Assessment, ...], tuple[Reason, ...]]:
    kept: list[Assessment] = []
    dropped: list[Reason] = []
    hashes: dict[str, str] = {}
    for assessment in assessments:
        name, digest = frame_name(assessment), assessment.frame.reference.pixel_sha256
        if digest and digest in hashes:
            dropped.append(Reason(code="duplicate_picture", text=f"{name} is the same picture as {hashes[digest]}."))
            continue
        hashes[digest] = name
        if assessment.verdict.code in (Code.ABOVE_CORTEX, Code.AT_OR_BEYOND_CORTEX):
            text = f"{name} is an ultrasound frame, which cannot tell depth in bone."
            dropped.append(Reason(code="ultrasound_frame", text=text))
        elif assessment.verdict.code is Code.NOT_ASSESSABLE or assessment.placement is None:
            causes = "; ".join(reason.text for reason in assessment.verdict.reasons) or assessment.verdict.text
            dropped.append(Reason(code="frame_not_assessable", text=f"{name}: {causes}"))
        else:
            kept.append(assessment)
    return tuple(kept), tuple(dropped)


def pooled_thickness(widths: Sequence[Measurement]) -> Measurement | None:
    """One thickness from several views of the same bone.

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


def _complementary(adequate: Sequence[Assessment], profile: Profile) -> bool:
    zero = zero_view_of(adequate)
    kinds = {assessment.frame.view.kind for assessment in adequate}
    if ViewKind.TANGENTIAL in kinds and kinds & ACROSS:
        return True
    sights = [sight for assessment in adequate if (sight := sight_of(assessment, zero)) is not None]
    limit = profile.verdict.complementary_from_deg
    return any(separation_deg(a.beam, b.beam) >= limit for a, b in combinations(sights, 2))
