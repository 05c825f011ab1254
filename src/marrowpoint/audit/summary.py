"""What stands at the head of the report: shares with their denominators, and the charts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from marrowpoint.audit.agreement import ReaderStudy, reader_study
from marrowpoint.audit.agreement_run import RunStudy, run_study
from marrowpoint.audit.drawing import Drawing
from marrowpoint.audit.facts import FailureFacts, FrameFacts, PositionFacts, ProcedureFacts
from marrowpoint.audit.findings import Finding, Outcome
from marrowpoint.audit.rules_placement import harvest_positions
from marrowpoint.audit.statistics import share
from marrowpoint.audit.summary_charts import (
    draw_distances,
    draw_funnel,
    draw_months,
    draw_readers,
    draw_roles,
    draw_rules,
    draw_run,
    draw_scales,
    draw_silent,
    draw_thickness,
    is_silent,
)
from marrowpoint.profile import Profile
from marrowpoint.verdict import Severity

WRONG = "imaged sites in the wrong spot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number at the head of the report.

    Parameters
    ----------
    label : str
    count, total : int
    interval : str
        95 % interval of the share in words; empty without a case.
    kind : {"pass", "warn", "fail", "not_assessable"}
        How it is coloured.
    """

    label: str
    count: int
    total: int
    interval: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The head of the report.

    Parameters
    ----------
    tiles : tuple of Tile
    rules, placement, groups, lengths, reasons, readers : tuple of Drawing
    reading : ReaderStudy or None
    run_reading : RunStudy or None
    first, last : datetime or None
        Of the dated frames.
    frames : int
    """

    tiles: tuple[Tile, ...]
    rules: tuple[Drawing, ...]
    placement: tuple[Drawing, ...]
    groups: tuple[Drawing, ...]
    lengths: tuple[Drawing, ...]
    reasons: tuple[Drawing, ...]
    readers: tuple[Drawing, ...]
    reading: ReaderStudy | None
    run_reading: RunStudy | None
    first: datetime | None
    last: datetime | None
    frames: int


def summarize(
    procedures: Sequence[ProcedureFacts], findings: Sequence[Finding], failures: Sequence[FailureFacts], profile: Profile
) -> Summary:
    """Count everything and draw it.

    Parameters
    ----------
    procedures : sequence of ProcedureFacts
    findings : sequence of Finding
    failures : sequence of FailureFacts
    profile : Profile
        Its thresholds stand in the charts.

    Returns
    -------
    Summary
    """
    placed = [(procedure, position) for procedure in procedures for position in harvest_positions(procedure)]
    frames = [frame for procedure in procedures for frame in procedure.frames]
    dates = [frame.acquired for frame in frames if frame.acquired is not None]
    study = reader_study([reading for procedure in procedures for reading in procedure.readings])
    return Summary(
        tiles=_tiles(procedures, findings, [position for _, position in placed], frames, failures),
        rules=(draw_rules(findings, len(procedures)),),
        placement=(draw_months(placed), draw_roles(placed)),
        groups=tuple(draw(placed, bad) for bad in (Severity.PROBLEM, Severity.UNKNOWN) for draw in (draw_run, draw_funnel)),
        lengths=(draw_distances(frames), draw_thickness(procedures, profile)),
        reasons=(draw_silent(frames), draw_scales(frames)),
        readers=draw_readers(study),
        reading=study,
        run_reading=run_study([run for procedure in procedures for run in procedure.runs]),
        first=min(dates, default=None),
        last=max(dates, default=None),
        frames=len(frames),
    )


def worst_by_procedure(findings: Iterable[Finding]) -> dict[str, Counter[Outcome]]:
    """Outcomes of the whole-procedure findings by study."""
    counted: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
    for finding in findings:
        if finding.site is None:
            counted[finding.study_instance_uid][finding.outcome] += 1
    return counted


def _tiles(
    procedures: Sequence[ProcedureFacts],
    findings: Sequence[Finding],
    positions: Sequence[PositionFacts],
    frames: Sequence[FrameFacts],
    failures: Sequence[FailureFacts],
) -> tuple[Tile, ...]:
    worst = worst_by_procedure(findings)
    documented = sum(finding.rule == "A01" and finding.outcome is Outcome.PASS and finding.site is None for finding in findings)
    severities = Counter(position.verdict.severity for position in positions)
    failed = sum(counter[Outcome.FAIL] > 0 for counter in worst.values())
    counts = (
        ("procedures with harvest imaging in the files", documented, len(procedures), "pass"),
        ("procedures with a failed rule: look at them", failed, len(procedures), "fail"),
        (WRONG, severities[Severity.PROBLEM], len(positions), "fail"),
        ("imaged sites that cannot be told", severities[Severity.UNKNOWN], len(positions), "not_assessable"),
        ("imaged sites consistent with the right spot", severities[Severity.GOOD], len(positions), "pass"),
        ("frames without an answer", sum(is_silent(frame) for frame in frames), len(frames), "not_assessable"),
    )
    untold = {WRONG: severities[Severity.UNKNOWN]}
    tiles = [
        Tile(label=label, count=k, total=n, interval=_interval(k, n), kind=_kind(kind, k, n, untold.get(label, 0)))
        for label, k, n, kind in counts
    ]
    if failures:
        label, total = "files or frames that could not be read or analysed", len(failures) + len(frames)
        tiles.append(Tile(label=label, count=len(failures), total=total, interval="", kind="fail"))
    return tuple(tiles)


def _kind(kind: str, count: int, total: int, untold: int) -> str:
    """The colour of a count: none of a bad thing is good unless some cannot be told, and good news that many lack is none."""
    if total == 0:
        return "not_assessable"
    if kind != "pass":
        return kind if count else "not_assessable" if untold else "pass"
    return "pass" if count == total else "warn" if count else "not_assessable"


def _interval(count: int, total: int) -> str:
    found = share(count, total)
    return "" if found is None else f"{100 * found.value:.0f} % ({100 * found.lower:.0f} to {100 * found.upper:.0f})"
