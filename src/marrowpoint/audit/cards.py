"""One card a procedure: its pictures, its sites, what each rule found; made one by one, so that thousands cost no memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import cv2

from marrowpoint.audit.cards_run import RunView, frames_of, run_view, shown_frames
from marrowpoint.audit.facts import FrameFacts, PositionFacts, ProcedureFacts
from marrowpoint.audit.findings import WORST_FIRST, Finding, Outcome, worst
from marrowpoint.audit.rules_sheet import drawn_sites
from marrowpoint.case import Site
from marrowpoint.report.words import FLAG_WORDS, VIEW_WORDS
from marrowpoint.verdict import Severity

JPEG_QUALITY = 74
OUTCOME_WORDS = {
    Outcome.FAIL: "fail",
    Outcome.WARN: "warn",
    Outcome.NOT_ASSESSABLE: "not assessable",
    Outcome.PASS: "pass",
}
SEVERITY_KIND = {
    Severity.PROBLEM: "fail",
    Severity.CAUTION: "warn",
    Severity.UNKNOWN: "not_assessable",
    Severity.GOOD: "pass",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One overlay on a card.

    Parameters
    ----------
    name : str
        File and frame.
    taken : str
        Date and time of acquisition in words.
    view : str
    words : str
        The verdict.
    kind : str
        How it is coloured.
    link : str
        Full-size overlay, relative to the page; empty where there is none.
    jpeg : bytes
        Small picture; empty where it cannot be read.
    """

    name: str
    taken: str
    view: str
    words: str
    kind: str
    link: str
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """One imaged site on a card."""

    site: str
    words: str
    kind: str
    flags: tuple[str, ...]
    reasons: tuple[str, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything printed of one procedure.

    Parameters
    ----------
    number : int
        From 1, in order of time.
    uid : str
    date, role : str
        In words.
    identity : str
        Name and id; empty unless the report identifies.
    kind : str
        Worst outcome.
    counts : tuple of (str, int)
        Outcomes of its rules.
    positions : tuple of PositionView
        Imaged sites.
    loose : tuple of Picture
        Frames of no imaged site.
    rows : tuple of tuple of str
        The sheet's rows in words.
    findings : tuple of Finding
        About the whole procedure, worst first.
    sites : tuple of Finding
        About single sites that did not pass.
    failures : tuple of str
    runs : tuple of RunView
    """

    number: int
    uid: str
    date: str
    role: str
    identity: str
    kind: str
    counts: tuple[tuple[str, int], ...]
    positions: tuple[PositionView, ...]
    loose: tuple[Picture, ...]
    rows: tuple[tuple[str, ...], ...]
    findings: tuple[Finding, ...]
    sites: tuple[Finding, ...]
    failures: tuple[str, ...]
    runs: tuple[RunView, ...] = ()


ROW_TITLES = ("Site", "Side", "Phase", "ml", "Syringe", "Needle", "Time", "Pictures", "Where the tip was")


def make_cards(
    procedures: Sequence[ProcedureFacts],
    findings: Mapping[str, Sequence[Finding]],
    *,
    pictures: Path,
    beside: Path,
    side_px: int,
    identities: Mapping[str, str],
) -> Iterator[Card]:
    """Make the cards one by one.

    Parameters
    ----------
    procedures : sequence of ProcedureFacts
        Numbered in this order.
    findings : mapping of str to sequence of Finding
        By study.
    pictures : Path
        Folder of the overlays' relative paths.
    beside : Path
        Folder of the page, from which links are counted.
    side_px : int
        Width of the small pictures [px]; 0 for none.
    identities : mapping of str to str
        Empty unless the report identifies.

    Yields
    ------
    Card
    """
    for number, procedure in enumerate(procedures, start=1):
        own = findings.get(procedure.study_instance_uid, ())
        whole = [finding for finding in own if finding.site is None]
        placed = {frame.key for position in procedure.positions for frame in position.frames}
        counts = [(OUTCOME_WORDS[outcome], sum(finding.outcome is outcome for finding in whole)) for outcome in WORST_FIRST]

        shown = shown_frames(procedure)

        def held(frames: Sequence[FrameFacts], shown: frozenset[str] = shown) -> tuple[Picture, ...]:
            return tuple(_picture(frame, pictures, beside, side_px) for frame in frames if frame.key in shown)

        yield Card(
            number=number,
            uid=procedure.study_instance_uid or "without UID",
            date=f"{procedure.acquired:%Y-%m-%d %H:%M}" if procedure.acquired else "no date",
            role=procedure.operator_role or "operator role not stated",
            identity=identities.get(procedure.study_instance_uid, ""),
            kind=worst(finding.outcome for finding in whole).value,
            counts=tuple((name, count) for name, count in counts if count),
            positions=tuple(_position(position, held(position.frames)) for position in procedure.positions),
            loose=held([frame for frame in procedure.frames if frame.key not in placed]),
            rows=tuple(_row(site, procedure) for site in procedure.sites),
            findings=tuple(sorted(whole, key=lambda finding: WORST_FIRST.index(finding.outcome))),
            sites=tuple(finding for finding in own if finding.site is not None and finding.outcome is not Outcome.PASS),
            failures=tuple(f"{failure.path}: {failure.text}" for failure in procedure.failures),
            runs=tuple(
                run_view(
                    run, sum(frame.key in shown for frame in frames_of(run, procedure.frames)),
                    pictures=pictures, beside=beside, draw=side_px > 0,
                )
                for run in procedure.runs
            ),
        )  # fmt: skip


def _position(position: PositionFacts, pictures: Sequence[Picture]) -> PositionView:
    return PositionView(
        site=position.site or "unnamed",
        words=position.verdict.text,
        kind=SEVERITY_KIND[position.verdict.severity],
        flags=tuple(FLAG_WORDS[flag] for flag in position.verdict.flags),
        reasons=tuple(reason.text for reason in position.verdict.reasons[:6]),
        pictures=tuple(pictures),
    )


def _picture(frame: FrameFacts, folder: Path, beside: Path, side_px: int) -> Picture:
    place = folder / frame.overlay
    link = quote(os.path.relpath(place, beside).replace(os.sep, "/")) if frame.overlay else ""
    view = next((words for kind, words in VIEW_WORDS.items() if kind.value == frame.view), frame.view)
    return Picture(
        name=frame.path if frame.frame_number == 1 else frame.key,
        taken=f"{frame.acquired:%Y-%m-%d %H:%M:%S}" if frame.acquired else "no acquisition date",
        view="ultrasound" if frame.ultrasound else view,
        words=frame.verdict.text,
        kind=SEVERITY_KIND[frame.verdict.severity],
        link=link,
        jpeg=small_jpeg(place, side_px) if frame.overlay and side_px else b"",
    )


def small_jpeg(path: Path, width_px: int) -> bytes:
    """A picture file made small.

    Parameters
    ----------
    path : Path
    width_px : int
        Of the result, unless the picture is narrower.

    Returns
    -------
    bytes
        JPEG; empty where the file is no picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return b""
    scale = min(1.0, width_px / picture.shape[1])
    size = (round(picture.shape[1] * scale), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _row(site: Site, procedure: ProcedureFacts) -> tuple[str, ...]:
    held = [position for position in procedure.positions if site in position.rows]
    pictures = sum(len(position.frames) for position in held)
    named = any(position.rows for position in procedure.positions) or len(drawn_sites(procedure)) == 1
    needle = site.needle or ("" if site.needle_od_mm is None else f"{site.needle_od_mm:g}mm")
    return (
        site.site or "-",
        site.side or "-",
        site.phase or "-",
        "-" if site.volume_ml is None else f"{site.volume_ml:g}",
        "-" if site.syringe_ml is None else f"{site.syringe_ml:g} ml",
        needle or "-",
        site.entry_time or "-",
        str(pictures) if named else "not told apart",
        "; ".join(position.verdict.text for position in held) or "-",
    )
