"""What people said beside what the program said: readings from the review ledger, and how far both agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marrowpoint.audit.facts import Reading
from marrowpoint.audit.statistics import Agreement, Interval, kappa, limits_of_agreement
from marrowpoint.review.entry import Entry, Said, standing

MM = "mm"


def readings_of(entries: Iterable[Entry]) -> tuple[Reading, ...]:
    """Every rater's standing decision about every frame.

    Parameters
    ----------
    entries : iterable of Entry
        In the order of the ledger.

    Returns
    -------
    tuple of Reading
        Flags and comments decide nothing and are left out, and so is what was withdrawn, or said of a whole run.
    """
    by_frame: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        if entry.frame.whole_run:  # agreement_run
            continue
        by_frame.setdefault((entry.frame.path, entry.frame.frame_number), []).append(entry)
    return tuple(_reading(entry) for held in by_frame.values() for entry in standing(held, held[0].frame).values())


def _reading(entry: Entry) -> Reading:
    return Reading(
        key=f"{entry.frame.path}#{entry.frame.frame_number}",
        pixel_sha256=entry.frame.pixel_sha256,
        rater=entry.rater,
        at=entry.decided_at,
        action=entry.action.value,
        program=entry.before.code,
        reader=entry.after.code,
        program_mm=_tip(entry.before),
        reader_mm=_tip(entry.after),
    )


def _tip(said: Said) -> float | None:
    found = said.numbers.get("tip_to_cortex")
    return float(found["value"]) if found is not None and found["unit"] == MM else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderStudy:
    """Readers against program.

    Parameters
    ----------
    accepted, corrected, rejected : int
        Decisions.
    raters : int
    verdicts : tuple of (str, str)
        Program's and reader's verdict code, where the reader gave one.
    same : int
        Pairs of them that are equal.
    verdict_kappa : Interval or None
    lengths_mm : tuple of (float, float)
        Program's and reader's tip to cortex.
    agreement : Agreement or None
    corrected_agreement : Agreement or None
        The same of corrected frames alone: an accepted length differs from itself by nothing.
    """

    accepted: int
    corrected: int
    rejected: int
    raters: int
    verdicts: tuple[tuple[str, str], ...]
    same: int
    verdict_kappa: Interval | None
    lengths_mm: tuple[tuple[float, float], ...]
    agreement: Agreement | None
    corrected_agreement: Agreement | None


def reader_study(readings: Sequence[Reading]) -> ReaderStudy | None:
    """How far readers and program agree; None without a reading.

    Parameters
    ----------
    readings : sequence of Reading

    Returns
    -------
    ReaderStudy or None
        Readers saw the program's answer before they gave theirs: this is agreement, not accuracy, and rather too good.
    """
    if not readings:
        return None
    judged = [reading for reading in readings if reading.action != "reject"]
    verdicts = tuple((reading.program, reading.reader) for reading in judged)
    lengths = [_pair(reading) for reading in judged]
    corrected = [_pair(reading) for reading in judged if reading.action == "correct"]
    count = {action: sum(reading.action == action for reading in readings) for action in ("accept", "correct", "reject")}
    return ReaderStudy(
        accepted=count["accept"],
        corrected=count["correct"],
        rejected=count["reject"],
        raters=len({reading.rater for reading in readings}),
        verdicts=verdicts,
        same=sum(program == reader for program, reader in verdicts),
        verdict_kappa=kappa(verdicts),
        lengths_mm=tuple(pair for pair in lengths if pair is not None),
        agreement=limits_of_agreement([a - b for a, b in filter(None, lengths)]),
        corrected_agreement=limits_of_agreement([a - b for a, b in filter(None, corrected)]),
    )


def _pair(reading: Reading) -> tuple[float, float] | None:
    if reading.program_mm is None or reading.reader_mm is None:
        return None
    return reading.program_mm, reading.reader_mm
