"""Rules about where the needle was: views, verdicts, depth, and what people confirmed (A12 to A14, A25 to A27)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import acos, degrees

import numpy as np

from marrowpoint.audit.facts import REINJECTION, FrameFacts, PositionFacts, ProcedureFacts
from marrowpoint.audit.findings import Answer, Outcome, worst
from marrowpoint.audit.limits import limits_of
from marrowpoint.frame import ViewKind
from marrowpoint.measurement import Bound, Unit
from marrowpoint.profile import Profile
from marrowpoint.study.geometry import ZeroView, picture_axes, separation_deg
from marrowpoint.verdict import Code, Flag

WRONG = frozenset({Code.OUTSIDE_BONE, Code.THIN_BONE, Code.PROJECTED_IN_THIN_BONE, Code.BREACH_SUSPECTED, Code.ABOVE_CORTEX})
DOUBTFUL = frozenset({Code.AT_CORTEX, Code.PROJECTED_IN_MARGINAL_BONE})
CAUTIONS = frozenset({Flag.SHALLOW, Flag.NEAR_DEPTH_LIMIT, Flag.NEAR_THIN_BONE})
INSIDE = frozenset(
    {Code.RIGHT_SPOT, Code.THIN_BONE, Code.PROJECTED_IN_THICK_BONE, Code.PROJECTED_IN_THIN_BONE, Code.PROJECTED_INSIDE}
)
ACROSS = frozenset({ViewKind.ILIAC_OBLIQUE.value, ViewKind.AP.value, ViewKind.LATERAL.value})
BACK = np.array([0.0, 1.0, 0.0])


def harvest_positions(procedure: ProcedureFacts) -> tuple[PositionFacts, ...]:
    """Needle positions that the sheet does not give to the re-injection."""
    return tuple(position for position in procedure.positions if position.phase != REINJECTION)


def complementary_views(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A12."""
    positions = [position for position in harvest_positions(procedure) if position.imaged]
    if not procedure.frames and not procedure.failures:
        yield Answer(outcome=Outcome.FAIL, sentence="No picture of a needle position in the files given.")
        return
    if not positions:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="In none of the pictures given did the program find the needle.")
        return
    from_deg = profile.verdict.complementary_from_deg
    paired = [position for position in positions if _complement(position.imaged, from_deg)]
    unknown = [position for position in positions if len(position.imaged) > 1 and not all(map(_known_view, position.imaged))]
    if paired:
        text = f"Two views that complement each other for {len(paired)} of {len(positions)} imaged sites."
        yield Answer(outcome=Outcome.PASS, sentence=text)
    elif unknown:
        text = f"{len(unknown)} of {len(positions)} imaged sites have several pictures, but their views are not stated."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
    else:
        text = f"One view, or views less than {from_deg:g} degrees apart, for each of {len(positions)} imaged sites."
        yield Answer(outcome=Outcome.WARN, sentence=text)


def _complement(frames: tuple[FrameFacts, ...], from_deg: float) -> bool:
    kinds = {frame.view for frame in frames}
    if ViewKind.TANGENTIAL.value in kinds and kinds & ACROSS:
        return True
    beams = [
        picture_axes(p, s, ZeroView.BACK)[2]
        for frame in frames
        if (p := frame.primary_deg) is not None and (s := frame.secondary_deg) is not None
    ]
    return any(separation_deg(a, b) >= from_deg for a, b in combinations(beams, 2))


def _known_view(frame: FrameFacts) -> bool:
    return frame.view != ViewKind.UNKNOWN.value or (frame.primary_deg is not None and frame.secondary_deg is not None)


def verdict_per_site(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A13."""
    positions = harvest_positions(procedure)
    if not positions:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="No needle position in the files given.")
        return
    answers = [
        Answer(outcome=_placed(position), sentence=f"{position.verdict.text}.".replace("..", "."), site=position.site)
        for position in positions
    ]
    counts = {outcome: sum(answer.outcome is outcome for answer in answers) for outcome in Outcome}
    text = (
        f"Of {len(positions)} imaged sites, {counts[Outcome.FAIL]} in the wrong spot, {counts[Outcome.WARN]} doubtful, "
        f"{counts[Outcome.PASS]} consistent with the right spot, {counts[Outcome.NOT_ASSESSABLE]} cannot be told."
    )
    yield Answer(outcome=worst(answer.outcome for answer in answers), sentence=text)
    yield from answers


def _placed(position: PositionFacts) -> Outcome:
    if position.verdict.code in WRONG or Flag.NOT_IN_THICK_BONE in position.verdict.flags:
        return Outcome.FAIL
    if position.verdict.code in DOUBTFUL or CAUTIONS & set(position.verdict.flags):
        return Outcome.WARN
    return Outcome.PASS if position.verdict.code is Code.RIGHT_SPOT else Outcome.NOT_ASSESSABLE


def share_not_assessable(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A14."""
    positions, allowed = harvest_positions(procedure), limits_of(profile).not_assessable_share
    if not positions:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="No needle position in the files given.")
        return
    silent = sum(position.verdict.code is Code.NOT_ASSESSABLE for position in positions)
    open_ = sum(
        position.verdict.code is Code.INDETERMINATE and Flag.NOT_IN_THICK_BONE not in position.verdict.flags
        for position in positions
    )
    text = f"{silent} of {len(positions)} imaged sites not assessable, {open_} more undecided."
    if silent == len(positions):
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    else:
        yield Answer(outcome=Outcome.WARN if silent > allowed * len(positions) else Outcome.PASS, sentence=text)


def ultrasound_claims(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A25; applies where ultrasound alone shows the harvest."""
    positions = harvest_positions(procedure)
    frames = [frame for frame in procedure.frames if frame.phase != REINJECTION and frame.needle]
    if not frames or not all(frame.ultrasound for frame in frames):
        return
    inside = [
        frame.key
        for frame in frames
        if frame.verdict.code in INSIDE or {"insertion_depth", "bone_thickness"} & set(frame.measurements)
    ]
    inside += [position.site for position in positions if position.verdict.code in INSIDE or position.insertion_depth]
    if inside:
        text = f"Ultrasound alone, yet a depth inside bone is claimed: {', '.join(inside[:4])}."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    else:
        text = "Ultrasound alone: nothing is claimed below the bone's surface."
        yield Answer(outcome=Outcome.PASS, sentence=text)


def depth_along_path(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A26; does not apply where ultrasound alone shows the harvest."""
    if procedure.frames and all(frame.ultrasound for frame in procedure.frames):
        return
    answers = [answer for position in harvest_positions(procedure) if (answer := _deep(position, profile)) is not None]
    if not answers:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="No depth in space could be measured for any imaged site.")
        return
    text = f"Depth measured for {len(answers)} of {len(harvest_positions(procedure))} imaged sites."
    yield Answer(outcome=worst(answer.outcome for answer in answers), sentence=text)
    yield from answers


def _deep(position: PositionFacts, profile: Profile) -> Answer | None:
    depth, limits = position.insertion_depth, limits_of(profile)
    if depth is None or depth.unit is not Unit.MM:
        return None
    least, most = _off_straight_deg(position)
    # what may be straight in must pass as such; what may be oblique fails only as such
    warning = limits.straight_warning_mm if least <= limits.straight_within_deg else limits.path_warning_mm
    limit = limits.straight_limit_mm if most <= limits.straight_within_deg else limits.path_limit_mm
    path = "unknown path, taken as straight in" if position.axis is None else "straight in"
    if position.axis is not None and most > limits.straight_within_deg:
        path = "oblique path" if least > limits.straight_within_deg else "path straight in or oblique, not certain"
    shown = limits.path_limit_mm if least > limits.straight_within_deg else limits.straight_limit_mm
    deep = f"{'at most ' if depth.bound is Bound.UPPER else ''}{depth.value:.1f} mm past the cortex"
    told = f"{deep} ({depth.lower:.1f} to {depth.upper:.1f}), {path}; limit {shown:g} mm."
    if depth.upper < warning:
        return Answer(outcome=Outcome.PASS, sentence=told, site=position.site)
    # an upper bound, or a path that nobody knows, cannot prove that a needle went too deep
    proven = depth.lower > limit and depth.bound is not Bound.UPPER and position.axis is not None
    return Answer(outcome=Outcome.FAIL if proven else Outcome.WARN, sentence=told, site=position.site)


def _off_straight_deg(position: PositionFacts) -> tuple[float, float]:
    """Least and greatest angle between the needle and straight in; anything where that is not known."""
    if position.axis is None or position.axis_sd_deg is None:
        return 0.0, 90.0
    angle = degrees(acos(min(1.0, abs(float(BACK @ position.axis)))))
    return max(angle - 2 * position.axis_sd_deg, 0.0), min(angle + 2 * position.axis_sd_deg, 90.0)


def human_confirmation(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A27; does not apply without a positive verdict."""
    positive = [position for position in procedure.positions if position.verdict.code is Code.RIGHT_SPOT]
    if not positive:
        return
    agreed = {reading.key for reading in procedure.readings if reading.action in ("accept", "correct")}
    confirmed = [position for position in positive if {frame.key for frame in position.imaged} <= agreed]
    unmarked = [
        position
        for position in positive
        if position not in confirmed and Flag.AWAITING_CONFIRMATION not in position.verdict.flags
    ]
    text = f"A person confirmed {len(confirmed)} of {len(positive)} sites called consistent with the right spot."
    if len(confirmed) == len(positive):
        yield Answer(outcome=Outcome.PASS, sentence=text)
    elif unmarked:
        yield Answer(outcome=Outcome.FAIL, sentence=f"{text} {len(unmarked)} stand as if no person were needed.")
    else:
        yield Answer(outcome=Outcome.WARN, sentence=f"{text} The others await one.")
