"""Rules about what is documented beside the picture: scale, side, clock, dose, contrast (A15, A17 to A24, A28)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from marrowpoint.audit.facts import REINJECTION, FrameFacts, ProcedureFacts
from marrowpoint.audit.facts_run import REJECTED
from marrowpoint.audit.findings import Answer, Outcome, worst
from marrowpoint.audit.gather import entry_moments
from marrowpoint.audit.limits import limits_of
from marrowpoint.case import Site
from marrowpoint.frame import Documented, SpacingSource
from marrowpoint.measurement import Unit
from marrowpoint.profile import Profile
from marrowpoint.verdict import Flag

PRONE, SUPINE = frozenset({"HFP", "FFP"}), frozenset({"HFS", "FFS"})
POSTERIOR = ("psis", "posterior")
CAREFUL = ("not excluded", "not seen is not absent")
NO_PICTURES = "No picture of this study was given."
NOT_READ = "The records come from a program that did not read this from the header."


def scale_provenance(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A15."""
    measured = [frame for frame in procedure.frames if any(length.unit is Unit.MM for length in frame.measurements.values())]
    if not measured:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="No frame carries a length in millimetres.")
        return
    bare = sum(frame.scale == SpacingSource.NONE.value for frame in measured)
    detector = sum(frame.scale == SpacingSource.DETECTOR_PLANE.value for frame in measured)
    if bare:
        text = f"{bare} of {len(measured)} measured frames show millimetres without saying where they come from."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    elif detector:
        text = f"In {detector} of {len(measured)} measured frames the millimetres hold at the detector, not at the needle."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    elif doubted := sum(Flag.SCALE_CONFLICT in frame.verdict.flags for frame in measured):
        text = f"In {doubted} of {len(measured)} measured frames what is stated of scale is contradictory, or was refused."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    else:
        yield Answer(outcome=Outcome.PASS, sentence=f"Scale stated for all {len(measured)} measured frames.")


def laterality(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A17."""
    rows, conflicts = procedure.harvest_sites, []
    sheet_sides = {row.side for row in rows} - {""}
    named = {
        frame.key: {row.side for row in position.rows} - {""} for position in procedure.positions for frame in position.frames
    }
    for frame in procedure.frames:
        own = frame.documented.laterality if frame.documented is not None else "" if sheet_sides else frame.side
        stated = named.get(frame.key) or sheet_sides
        if own and stated and own not in stated and frame.phase != REINJECTION:
            conflicts.append(f"{frame.key} is marked {own}, the sheet says {' and '.join(sorted(stated))}")
    headers = {frame.documented.laterality for frame in procedure.frames if frame.documented is not None} - {""}
    if not rows and len(headers) > 1:
        conflicts.append("the headers name both sides and no sheet tells the sites apart")
    missing = sum(not row.side for row in rows) if rows else sum(not frame.side for frame in procedure.frames)
    if conflicts:
        yield Answer(outcome=Outcome.FAIL, sentence=f"Contradictory sides: {conflicts[0]}; {len(conflicts)} in all.")
    elif not rows and not procedure.frames:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="Neither sheet nor pictures.")
    elif missing:
        what = "rows of the sheet" if rows else "frames"
        yield Answer(outcome=Outcome.WARN, sentence=f"{missing} of {len(rows) or len(procedure.frames)} {what} state no side.")
    else:
        by_header = "the headers agree" if headers else "the headers state none" if rows else "by the header alone"
        yield Answer(outcome=Outcome.PASS, sentence=f"Side stated ({', '.join(sorted(sheet_sides or headers))}); {by_header}.")


def clock_order(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A18; whose pictures they are stands in no record, so only the clock is asked."""
    taken = sorted(frame.acquired for frame in procedure.frames if frame.acquired is not None)
    entered = {phase: entry_moments(rows) for phase, rows in _rows_by_phase(procedure).items()}
    if not taken and not any(entered.values()):
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="Neither pictures nor sheet carry a time.")
        return
    for phase, moments in entered.items():
        for before, after in pairwise(moments):
            if after < before:
                text = f"The sheet's clock goes backwards in the {phase}: {before:%H:%M}, then {after:%H:%M}."
                yield Answer(outcome=Outcome.FAIL, sentence=text)
                return
    backwards = _backwards(procedure.frames)
    if backwards:
        yield Answer(outcome=Outcome.FAIL, sentence=f"The clock goes backwards within {backwards}.")
        return
    gaps = [(after - before).total_seconds() / 60 for before, after in pairwise(taken)]
    undated = len(procedure.frames) - len(taken)
    if gaps and max(gaps) > limits_of(profile).gap_min:
        text = f"{max(gaps) / 60:.1f} hours between two pictures of one study."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    elif undated:
        yield Answer(outcome=Outcome.WARN, sentence=f"{undated} of {len(procedure.frames)} frames carry no time.")
    else:
        span = f"{taken[0]:%Y-%m-%d %H:%M} to {taken[-1]:%H:%M}" if taken else "the sheet alone carries times"
        yield Answer(outcome=Outcome.PASS, sentence=f"Times run forward: {span}.")


def _rows_by_phase(procedure: ProcedureFacts) -> dict[str, tuple[Site, ...]]:
    return {"harvest": procedure.harvest_sites, "re-injection": procedure.reinjection_sites}


def _backwards(frames: tuple[FrameFacts, ...]) -> str:
    files: defaultdict[str, list[tuple[int, datetime]]] = defaultdict(list)
    for frame in frames:
        if frame.acquired is not None:
            files[frame.path].append((frame.frame_number, frame.acquired))
    for path, times in files.items():
        if any(later < earlier for (_, earlier), (_, later) in pairwise(sorted(times))):
            return path
    return ""


def prone_position(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A19; does not apply to ultrasound alone, whose headers have no such tag."""
    frames = [frame for frame in procedure.frames if frame.phase != REINJECTION and not frame.ultrasound]
    if procedure.frames and not frames:
        return
    documented = _documented(frames)
    if not documented:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=NOT_READ if frames else NO_PICTURES)
        return
    positions = {entry.body_position.upper() for entry in documented} - {""}
    claims = [row for row in procedure.harvest_sites if any(word in f"{row.site} {row.note}".lower() for word in POSTERIOR)]
    if positions and positions <= PRONE:
        yield Answer(outcome=Outcome.PASS, sentence=f"Prone position recorded ({', '.join(sorted(positions))}).")
    elif positions & SUPINE and claims:
        text = f"Supine is recorded ({', '.join(sorted(positions))}), yet the sheet names a posterior site."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    else:
        said = f"recorded is {', '.join(sorted(positions))}" if positions else "no patient position is recorded"
        yield Answer(outcome=Outcome.WARN, sentence=f"Prone position is not documented: {said}.")


def dose_documented(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A20; does not apply to ultrasound alone."""
    frames = [frame for frame in procedure.frames if not frame.ultrasound]
    if procedure.frames and not frames:
        return
    documented = _documented(frames)
    if not documented:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=NOT_READ if frames else NO_PICTURES)
    elif any(entry.air_kerma_gy is not None or entry.dose_area_gy_cm2 is not None for entry in documented):
        yield Answer(outcome=Outcome.PASS, sentence="Air kerma or dose area product stands in the headers.")
    elif any(entry.fluoroscopy_min is not None for entry in documented):
        text = f"Fluoroscopy time and {len(frames)} pictures are documented, but no dose."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    else:
        text = "No radiation dose index in the headers of the files given; it may stand in a dose report elsewhere."
        yield Answer(outcome=Outcome.FAIL, sentence=text)


def dose_exceeded(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A21; does not apply to ultrasound alone."""
    limits = limits_of(profile)
    if procedure.frames and all(frame.ultrasound for frame in procedure.frames):
        return
    documented = _documented(procedure.frames)
    asked = (
        ("air kerma", "Gy", limits.air_kerma_gy, [entry.air_kerma_gy for entry in documented]),
        ("dose area product", "Gy cm2", limits.dose_area_gy_cm2, [entry.dose_area_gy_cm2 for entry in documented]),
        ("fluoroscopy time", "min", limits.fluoroscopy_min, [entry.fluoroscopy_min for entry in documented]),
    )
    # a header counts up over the study: the largest value is the last
    highest = [
        (name, unit, limit, max(known)) for name, unit, limit, found in asked if (known := [x for x in found if x is not None])
    ]
    if not highest:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="No radiation dose index is known.")
        return
    told = ", ".join(f"{name} {value:.3g} {unit}" for name, unit, _, value in highest)
    if any(value >= limit for _, _, limit, value in highest):
        yield Answer(outcome=Outcome.FAIL, sentence=f"Substantial radiation dose: {told}.")
    else:
        yield Answer(outcome=Outcome.PASS, sentence=f"Below the notification levels: {told}.")


def contrast_series(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A22; does not apply where nothing tells of contrast or of a re-injection."""
    seen = [run for run in procedure.runs if run.kind == "contrast"]
    runs = [run for run in seen if run.after_review != REJECTED]
    unseen = [run for run in procedure.runs if run.kind == "contrast_not_seen"]
    said = {row.contrast for row in procedure.reinjection_sites}
    if not runs and said <= {"no"}:
        return
    if seen and not runs:
        text = f"What the program calls contrast in {len(seen)} run(s) was rejected by a reader; no other run shows any."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
        return
    if not runs and "yes" not in said:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="The sheet does not say whether contrast was used.")
        return
    needed = limits_of(profile).contrast_frames
    whole = [run for run in runs if run.mask and run.timed_frames >= needed and not run.stills]
    if whole:
        text = f"{len(whole)} contrast run(s) with a picture from before and at least {needed:g} timed frames."
        left_out = f" {len(seen) - len(runs)} more were rejected by a reader." if len(runs) < len(seen) else ""
        yield Answer(outcome=Outcome.PASS, sentence=text + left_out)
    elif runs or any(frame.phase == REINJECTION for frame in procedure.frames):
        text = "Contrast is documented by stills, or by frames without mask or times: its way cannot be followed."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    elif unseen:
        text = f"The sheet states contrast; in {len(unseen)} run(s) given the program sees none, which does not exclude it."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
    else:
        text = "The sheet states contrast; no picture of it is in the files given."
        yield Answer(outcome=Outcome.FAIL, sentence=text)


def contrast_wording(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A23; does not apply without a contrast run."""
    runs = [run for run in procedure.runs if run.kind != "needle"]
    if not runs:
        return
    bold = [run for run in runs if "no vascular" in run.text.lower() and not any(word in run.text.lower() for word in CAREFUL)]
    if bold:
        text = f"{bold[0].path} states the absence of vascular uptake as a fact; pictures cannot exclude it."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    else:
        yield Answer(outcome=Outcome.PASS, sentence=f"{len(runs)} contrast finding(s) worded within what pictures can tell.")


def ultrasound_documented(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A24; does not apply without ultrasound."""
    frames = [frame for frame in procedure.frames if frame.ultrasound]
    if not frames:
        return
    outcomes = [_ultrasound(frame) for frame in frames]
    counts = {outcome: outcomes.count(outcome) for outcome in Outcome}
    text = (
        f"Of {len(frames)} ultrasound frames, {counts[Outcome.PASS]} have calibrated region, MI/TI and side, "
        f"{counts[Outcome.WARN]} have only part of it, {counts[Outcome.FAIL]} have no scale."
    )
    yield Answer(outcome=worst(outcomes), sentence=text)


def _ultrasound(frame: FrameFacts) -> Outcome:
    if frame.scale == SpacingSource.NONE.value:
        return Outcome.FAIL
    indices = frame.documented is not None and None not in (frame.documented.mechanical_index, frame.documented.thermal_index)
    return Outcome.PASS if frame.scale == SpacingSource.REGION.value and indices and frame.side else Outcome.WARN


def report_provenance(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A28."""
    if not procedure.frames:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=NO_PICTURES)
        return
    whole = [
        frame
        for frame in procedure.frames
        if frame.pixel_sha256 and frame.provenance.marrowpoint and frame.provenance.profile and frame.provenance.profile_sha256
    ]
    text = f"Versions, profile hash and picture hash are recorded for {len(whole)} of {len(procedure.frames)} frames."
    yield Answer(outcome=Outcome.PASS if len(whole) == len(procedure.frames) else Outcome.FAIL, sentence=text)


def _documented(frames: list[FrameFacts] | tuple[FrameFacts, ...]) -> list[Documented]:
    return [frame.documented for frame in frames if frame.documented is not None]
