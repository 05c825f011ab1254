"""Which views of a needle position can be read together for the place of its tip, and what each brings (`study.place`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import radians, sin

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.measurement import Unit
from marrowpoint.profile import Profile
from marrowpoint.study.place import PlaceReader, ViewFacts, thick_logit, thickness_logits
from marrowpoint.study.sight import Sight
from marrowpoint.study.triangulate import Shaft
from marrowpoint.verdict import Flag

# a view whose millimetres or whose needle may be another's says nothing of the tip's surroundings
UNREADABLE = frozenset({Flag.SCALE_CONFLICT, Flag.SCALE_AT_DETECTOR_PLANE, Flag.AMBIGUOUS_NEEDLE})
END_ON_DEG = 12.0  # a needle nearer to the beam has no upright in the picture; the reader has learnt from none


def thick_bone(
    seen: Sequence[tuple[Assessment, Sight]], shaft: Shaft | None, reader: PlaceReader | None, profile: Profile
) -> float | None:
    """Logit of the chance that the tip lies in thick bone, from what all views show around it.

    Parameters
    ----------
    seen : sequence of (Assessment, Sight)
        Distinct frames with a sight.
    shaft : Shaft or None
        Triangulated from these sights.
    reader : PlaceReader or None
    profile : Profile

    Returns
    -------
    float or None
        None where the views contradict each other, the side is not known or fewer than two views can be read.
    """
    sides = {assessment.frame.side or assessment.frame.documented.laterality for assessment, _ in seen}
    if reader is None or shaft is None or shaft.contradicted or len(sides) != 1 or not sides <= {"L", "R"}:
        return None
    mirrored = sides == {"L"}
    views = [
        _facts(assessment, sight, angle.value_deg, mirrored)
        for (assessment, sight), angle in zip(seen, shaft.beam_angles, strict=True)
        if _readable(assessment, reader) and angle.value_deg > END_ON_DEG
    ]
    return thick_logit(thickness_logits(views, reader), reader, profile.verdict.thick_from_mm) if len(views) > 1 else None


def _readable(assessment: Assessment, reader: PlaceReader) -> bool:
    same = assessment.provenance.model_sha256 == reader.model_sha256 and len(assessment.tip_code) == reader.code_length
    return same and not UNREADABLE & set(assessment.verdict.flags)


def _facts(assessment: Assessment, sight: Sight, beam_angle_deg: float, mirrored: bool) -> ViewFacts:
    placement, cortex, spacing = assessment.placement, assessment.cortex, assessment.calibration.spacing
    distance = placement.tip_to_cortex if placement else None
    depth = placement.insertion_depth if placement else None
    left, back, head = sight.beam
    return ViewFacts(
        code=assessment.tip_code,
        sine=sin(radians(beam_angle_deg)),
        beam=np.array([-left if mirrored else left, back, head]),
        confidence=cortex.confidence if cortex else 0.0,
        distance_mm=distance.value if distance and distance.unit is Unit.MM else None,
        edge_sd_mm=cortex.edge_sd_px * spacing.mm_per_px if cortex and spacing else 0.0,
        depth_mm=depth.value if depth and depth.unit is Unit.MM else None,
    )
