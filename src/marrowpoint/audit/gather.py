"""From records and sheet to facts: one procedure a study, whatever order the records come in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import PurePosixPath

from marrowpoint.audit.agreement_run import run_readings
from marrowpoint.audit.facts import (
    HARVEST,
    REINJECTION,
    FailureFacts,
    FrameFacts,
    ProcedureFacts,
    Reading,
    SharedPicture,
)
from marrowpoint.audit.facts_run import RunFacts
from marrowpoint.audit.typed import failure_facts, frame_facts, position_facts
from marrowpoint.audit.typed_run import run_facts
from marrowpoint.case import Site
from marrowpoint.report.record import Record
from marrowpoint.review.entry import Entry

# The pictures alone were told apart: their positions have numbers, which are no names of the sheet.
NUMBERED = "sites_without_times"


@dataclass(slots=True)
class _Pile:
    frames: list[FrameFacts] = field(default_factory=list)
    studies: list[Record] = field(default_factory=list)
    runs: list[RunFacts] = field(default_factory=list)
    failures: list[FailureFacts] = field(default_factory=list)


def gather_procedures(
    records: Iterable[Record],
    sheet: Mapping[str, Sequence[Site]],
    readings: Sequence[Reading] = (),
    of_runs: Sequence[Entry] = (),
) -> tuple[ProcedureFacts, ...]:
    """Put the facts of every study together.

    Parameters
    ----------
    records : iterable of dict
        Frame, study, run and failure records as in the result file; outlines are not needed and not kept.
    sheet : mapping of str to sequence of Site
        From `read_procedure`; a study of which no file was given makes a procedure without frames.
    readings : sequence of Reading
        From the review ledger.
    of_runs : sequence of Entry
        Of the same ledger, in its order: those about whole runs.

    Returns
    -------
    tuple of ProcedureFacts
        In order of time, undated ones last.
    """
    piles: defaultdict[str, _Pile] = defaultdict(_Pile, {uid: _Pile() for uid in sheet})
    failures: list[FailureFacts] = []
    for record in records:
        kind = record["record"]
        if kind == "frame":
            facts = frame_facts(record)
            piles[facts.study_instance_uid].frames.append(facts)
        elif kind == "study":
            piles[record["study_instance_uid"]].studies.append(record)
        elif kind == "run":
            uid, run = run_facts(record)
            piles[uid].runs.append(run)
        elif kind == "failure":
            failures.append(failure_facts(record))
    _share_out(failures, piles)
    shared = _shared_pictures(piles)
    said = defaultdict(list)
    for reading in readings:
        said[reading.key].append(reading)
    for pile in piles.values():
        pile.runs = [replace(run, readings=run_readings(run, pile.frames, of_runs)) for run in pile.runs]
    procedures = [_procedure(uid, pile, tuple(sheet.get(uid, ())), shared, said) for uid, pile in piles.items()]
    return tuple(sorted(procedures, key=lambda each: (each.acquired is None, each.acquired or datetime.min)))


def _procedure(
    uid: str, pile: _Pile, sites: tuple[Site, ...], shared: Sequence[SharedPicture], said: Mapping[str, Sequence[Reading]]
) -> ProcedureFacts:
    frames = {frame.key: frame for frame in sorted(pile.frames, key=lambda each: each.acquired or datetime.min)}
    positions = []
    numbered = any(reason["code"] == NUMBERED for record in pile.studies for reason in record["verdict"]["reasons"])
    for record in pile.studies:
        rows = () if numbered else tuple(site for site in sites if site.site and site.site == record.get("site"))
        held = [frames[key] for key in record["frames"] if key in frames]
        phase = _phase(rows, held, sites)
        held = [replace(frame, phase=phase) for frame in held]
        frames.update({frame.key: frame for frame in held})
        positions.append(replace(position_facts(record, tuple(held)), rows=rows, phase=phase))
    loose = {key: replace(frame, phase=_phase((), [frame], sites)) for key, frame in frames.items() if not frame.phase}
    frames.update(loose)
    return ProcedureFacts(
        study_instance_uid=uid,
        frames=tuple(frames.values()),
        positions=tuple(positions),
        runs=tuple(replace(run, phase=_phase_of_run(run, frames.values())) for run in pile.runs),
        failures=tuple(pile.failures),
        sites=sites,
        shared=tuple(picture for picture in shared if uid in picture.studies),
        readings=tuple(reading for key in frames for reading in said.get(key, ())),
    )


def _phase(rows: Sequence[Site], frames: Sequence[FrameFacts], sites: Sequence[Site]) -> str:
    """Harvest or re-injection, as far as the sheet tells: by the row's name, by a sheet of one phase, by the clock."""
    named = {row.phase or HARVEST for row in rows}
    if len(named) == 1:
        return named.pop()
    phases = {site.phase or HARVEST for site in sites}
    if len(phases) == 1:
        return phases.pop()
    starts = [entry for site in sites if site.phase == REINJECTION and (entry := site.entered_at()) is not None]
    taken = [frame.acquired.time() for frame in frames if frame.acquired is not None]
    if not starts or not taken:
        return ""
    if max(taken) < min(starts):
        return HARVEST
    return REINJECTION if min(taken) >= min(starts) else ""


def _phase_of_run(run: RunFacts, frames: Iterable[FrameFacts]) -> str:
    phases = {frame.phase for frame in frames if frame.path in run.paths}
    return phases.pop() if len(phases) == 1 else ""


def entry_moment(text: str) -> datetime | None:
    """Date and time of a sheet's entry; without a date the first day of the calendar stands for it."""
    try:
        return (
            datetime.fromisoformat(text).replace(tzinfo=None)
            if "-" in text
            else datetime.combine(date.min, time.fromisoformat(text))
        )
    except ValueError:
        return None


def entry_moments(rows: Iterable[Site]) -> list[datetime]:
    """Entry times of rows in their order, comparable: dates count only where every one has its own."""
    found = [entered for row in rows if (entered := entry_moment(row.entry_time)) is not None]
    if all(entered.date() != date.min for entered in found):
        return found
    return [datetime.combine(date.min, entered.time()) for entered in found]


def _share_out(failures: Sequence[FailureFacts], piles: Mapping[str, _Pile]) -> None:
    # a file that cannot be read names no study: the folder it lies in may, where it holds files of one study alone
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for uid, pile in piles.items():
        for frame in pile.frames:
            owners[str(PurePosixPath(frame.path).parent)].add(uid)
    for failure in failures:
        found = owners.get(str(PurePosixPath(failure.path).parent), set())
        if len(found) == 1:
            piles[next(iter(found))].failures.append(failure)


def _shared_pictures(piles: Mapping[str, _Pile]) -> tuple[SharedPicture, ...]:
    places: defaultdict[str, list[FrameFacts]] = defaultdict(list)
    for pile in piles.values():
        for frame in pile.frames:
            if frame.pixel_sha256:
                places[frame.pixel_sha256].append(frame)
    used = {
        key: f"{uid}/{record.get('site', '')}"
        for uid, pile in piles.items()
        for record in pile.studies
        for key in record["frames"]
    }
    return tuple(
        SharedPicture(
            keys=tuple(frame.key for frame in frames),
            studies=tuple(dict.fromkeys(frame.study_instance_uid for frame in frames)),
            positions=tuple(dict.fromkeys(used[frame.key] for frame in frames if frame.key in used)),
            needle=any(frame.needle for frame in frames),
        )
        for frames in places.values()
        if len(frames) > 1
    )
