"""What people said of whole runs beside what the program said: decisions and targets from the review ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marrowpoint.audit.facts import FrameFacts
from marrowpoint.audit.facts_run import DIFFERENT, REJECTED, RunFacts, RunReading
from marrowpoint.audit.statistics import Interval, kappa
from marrowpoint.review.entry import WHOLE_RUN, Entry, FrameKey, about_run, run_digest, standing


def run_readings(run: RunFacts, frames: Iterable[FrameFacts], entries: Sequence[Entry]) -> tuple[RunReading, ...]:
    """Every rater's standing decision about a run.

    Parameters
    ----------
    run : RunFacts
    frames : iterable of FrameFacts
        Of its procedure.
    entries : sequence of Entry
        About whole runs, in the order of the ledger.

    Returns
    -------
    tuple of RunReading
        Flags and comments decide nothing and are left out, and so is what was withdrawn.
    """
    if not entries or not run.paths:
        return ()
    places = {path: index for index, path in enumerate(run.paths)}
    held = [frame for frame in frames if frame.path in places]
    held.sort(key=lambda frame: (places[frame.path], frame.frame_number))
    digest = run_digest(frame.pixel_sha256 for frame in held)
    now = FrameKey(path=run.path, frame_number=WHOLE_RUN, pixel_sha256=digest)
    told = list(about_run(entries, now, set(run.paths)))
    return tuple(_reading(entry, digest) for entry in standing(told, now).values())


def _reading(entry: Entry, digest: str) -> RunReading:
    inside = entry.after.numbers.get("in_target")
    drawn = entry.corrections is not None and entry.corrections.target is not None
    return RunReading(
        rater=entry.rater,
        at=entry.decided_at,
        action=entry.action.value,
        program=entry.before.code,
        program_text=entry.before.text,
        reader=entry.after.code,
        reader_text=entry.after.text,
        target=drawn,
        in_target=float(inside["value"]) if drawn and inside is not None else None,
        same_pictures=entry.frame.pixel_sha256 == digest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStudy:
    """Readers against program, on whole runs.

    Parameters
    ----------
    runs : int
        All that were given, reviewed or not.
    reviewed : int
        Of them with a decision on the pictures that they are made of now.
    accepted, corrected, rejected, raters : int
        Decisions, and who took them.
    verdicts : tuple of (str, str)
        Program's and reader's verdict code, where the reader gave one.
    verdict_kappa : Interval or None
    in_target : tuple of float
        Share of the contrast inside of each target that a reader signed.
    by_program, after_review : tuple of (str, int)
        Runs by verdict code: as the program judges them, and as they stand after review, where ``rejected`` and
        ``readers_differ`` are no verdicts of the program.
    other_pictures : int
        Decisions on other pictures than those the runs are made of now: not counted above.
    """

    runs: int
    reviewed: int
    accepted: int
    corrected: int
    rejected: int
    raters: int
    verdicts: tuple[tuple[str, str], ...]
    verdict_kappa: Interval | None
    in_target: tuple[float, ...]
    by_program: tuple[tuple[str, int], ...]
    after_review: tuple[tuple[str, int], ...]
    other_pictures: int

    @property
    def same(self) -> int:
        """Pairs of `verdicts` that are equal."""
        return sum(program == reader for program, reader in self.verdicts)


def run_study(runs: Sequence[RunFacts]) -> RunStudy | None:
    """How far readers and program agree on whole runs, and what stands after review; None without a reading.

    Parameters
    ----------
    runs : sequence of RunFacts

    Returns
    -------
    RunStudy or None
    """
    if not any(run.readings for run in runs):
        return None
    readings = [reading for run in runs for reading in run.current_readings]
    verdicts = tuple((reading.program, reading.reader) for reading in readings if reading.action != "reject")
    count = Counter(reading.action for reading in readings)
    return RunStudy(
        runs=len(runs),
        reviewed=sum(bool(run.current_readings) for run in runs),
        accepted=count["accept"],
        corrected=count["correct"],
        rejected=count["reject"],
        raters=len({reading.rater for reading in readings}),
        verdicts=verdicts,
        verdict_kappa=kappa(verdicts),
        in_target=tuple(reading.in_target for reading in readings if reading.in_target is not None),
        by_program=tuple(Counter(run.verdict.code.value for run in runs).most_common()),
        after_review=tuple(Counter(run.after_review for run in runs).most_common()),
        other_pictures=sum(not reading.same_pictures for run in runs for reading in run.readings),
    )


def reading_words(reading: RunReading) -> str:
    """One decision in a sentence; the report prints no reader's name."""
    where = "" if reading.same_pictures else " This was on other pictures than these, and is not counted."
    match reading.action:
        case "accept":
            told = f"A reader accepted: {reading.reader_text}."
        case "reject":
            told = f"A reader rejected: {reading.program_text}."
        case _:
            inside = "" if reading.in_target is None else f" ({100 * reading.in_target:.0f} % of the contrast lies inside)"
            told = f"A reader drew a target{inside}: {reading.reader_text}. The program alone: {reading.program_text}."
    return told.replace("..", ".") + where


def run_reader_lines(study: RunStudy | None) -> list[str]:
    """What readers said of whole runs, in sentences; nothing without a reading."""
    if study is None:
        return []
    lines = [
        f"Runs: {study.reviewed} of {study.runs} reviewed by {study.raters} reader{'' if study.raters == 1 else 's'}; "
        f"{study.accepted} decisions accept what the program said, {study.corrected} correct it, {study.rejected} reject it."
    ]
    if study.verdicts:
        kappa_told = study.verdict_kappa
        more = "" if kappa_told is None else (
            f" Cohen's kappa {kappa_told.value:.2f} ({kappa_told.lower:.2f} to {kappa_told.upper:.2f})."
        )  # fmt: skip
        lines.append(f"Same verdict of a run in {study.same} of {len(study.verdicts)}; rejected runs have none.{more}")
    if study.in_target:
        shares = ", ".join(f"{100 * inside:.0f} %" for inside in sorted(study.in_target)[:20])
        lines.append(f"Contrast inside of the targets that readers drew: {shares}.")
    lines.append(f"Runs as the program judges them: {_counted(study.by_program)}.")
    lines.append(f"The same runs after review: {_counted(study.after_review)}.")
    if study.other_pictures:
        lines.append(f"{study.other_pictures} decisions were taken on other pictures than these and are not counted.")
    return lines


def _counted(found: Sequence[tuple[str, int]]) -> str:
    names = {REJECTED: "rejected by a reader", DIFFERENT: "readers differ"}
    return ", ".join(f"{count} {names.get(code, code.replace('_', ' '))}" for code, count in found)
