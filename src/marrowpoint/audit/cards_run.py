"""A run on a card: its film strip cut into pictures, its curves, and which of its frames are worth a picture of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import cv2

from marrowpoint.audit.agreement_run import reading_words
from marrowpoint.audit.charts_run import draw_curve
from marrowpoint.audit.drawing import Drawing
from marrowpoint.audit.facts import FrameFacts, ProcedureFacts
from marrowpoint.audit.facts_run import RunFacts
from marrowpoint.report.run_strip import BAND_PX, SIDE_PX
from marrowpoint.report.words import FLAG_WORDS
from marrowpoint.verdict import Severity

FEW_FRAMES, MOST_KEYS = 6, 4  # a run of no more is shown whole; of others so many, the first and the worst frame
GUTTER_PX = 4
JPEG_QUALITY = 80
KINDS = {"contrast": "contrast seen", "contrast_not_seen": "contrast looked for", "needle": "needle"}
WORST_FIRST = (Severity.PROBLEM, Severity.UNKNOWN, Severity.CAUTION, Severity.GOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run on a card.

    Parameters
    ----------
    name : str
        File, or first and last still.
    about : str
        Frames, time, what was looked for.
    words : str
        The verdict.
    severity : Severity
    flags, reasons, events : tuple of str
    tiles : tuple of bytes
        Pictures of the film strip, JPEG; empty where there is none.
    link : str
        The whole strip, relative to the page.
    curves : tuple of Drawing
    reviews : tuple of str
        What readers decided; the words above stay the program's.
    shown : str
        How many of its frames stand on the card, where they are not all.
    """

    name: str
    about: str
    words: str
    severity: Severity
    flags: tuple[str, ...]
    reasons: tuple[str, ...]
    events: tuple[str, ...]
    tiles: tuple[bytes, ...]
    link: str
    curves: tuple[Drawing, ...]
    shown: str
    reviews: tuple[str, ...] = ()


def run_view(run: RunFacts, shown: int, *, pictures: Path, beside: Path, draw: bool) -> RunView:
    """What a card says of a run.

    Parameters
    ----------
    run : RunFacts
    shown : int
        Frames of it that have a picture of their own on the card.
    pictures, beside : Path
        Folder of the results, and folder of the page.
    draw : bool
        Whether pictures are wanted.

    Returns
    -------
    RunView
    """
    place = pictures / run.strip
    name = run.path if not run.stills else f"{len(run.paths)} stills, {run.paths[0]} to {run.paths[-1]}"
    when = f"{run.acquired:%Y-%m-%d %H:%M:%S}" if run.acquired else "no acquisition date"
    return RunView(
        name=name or "no frame could be read",
        about=f"{run.frames} frames, {when}, {KINDS[run.kind]}",
        words=run.verdict.text,
        severity=run.verdict.severity,
        flags=tuple(FLAG_WORDS[flag] for flag in run.verdict.flags),
        reasons=tuple(reason.text for reason in run.verdict.reasons[:6]),
        events=tuple(event.words for event in run.events),
        tiles=strip_tiles(place, run) if run.strip and draw else (),
        link=quote(os.path.relpath(place, beside).replace(os.sep, "/")) if run.strip else "",
        curves=tuple(draw_curve(curve, run.events, timed=run.timed) for curve in run.curves if curve.points),
        shown="" if shown >= run.frames else f"{shown} of its {run.frames} frames are shown; all are among the overlays.",
        reviews=tuple(reading_words(reading) for reading in run.readings),
    )


def strip_tiles(path: Path, run: RunFacts) -> tuple[bytes, ...]:
    """The pictures of a film strip, without the curves below them, which a page draws itself.

    Parameters
    ----------
    path : Path
        As `report.run_strip` writes it.
    run : RunFacts

    Returns
    -------
    tuple of bytes
        JPEG, left to right; empty where the file is no strip.
    """
    strip = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if strip is None:
        return ()
    rows, columns = run.tile_shape
    side = max(rows, columns, 1)
    strip = strip[: BAND_PX + round(SIDE_PX * rows / side)]
    tile_px = round(SIDE_PX * columns / side) + GUTTER_PX
    count = max(1, round(strip.shape[1] / tile_px))
    bounds = [round(k * strip.shape[1] / count) for k in range(count + 1)]
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    tiles = [strip[:, a : b - GUTTER_PX] for a, b in pairwise(bounds)]
    return tuple(cv2.imencode(".jpg", tile, quality)[1].tobytes() for tile in tiles)


def shown_frames(procedure: ProcedureFacts) -> frozenset[str]:
    """Frames that get a picture of their own: all but those of long runs, of which the telling and the worst one do.

    Parameters
    ----------
    procedure : ProcedureFacts

    Returns
    -------
    frozenset of str
        Keys.
    """
    shown = {frame.key for frame in procedure.frames}
    for run in procedure.runs:
        own = frames_of(run, procedure.frames)
        if len(own) > FEW_FRAMES:
            worst = min(own, key=lambda frame: WORST_FIRST.index(frame.verdict.severity))
            keys = run.key_frames[:: max(1, -(-len(run.key_frames) // MOST_KEYS))]
            shown -= {frame.key for frame in own} - {*keys, own[0].key, worst.key}
    return frozenset(shown)


def frames_of(run: RunFacts, frames: Sequence[FrameFacts]) -> list[FrameFacts]:
    """Frames of a run."""
    return [frame for frame in frames if frame.path in run.paths]
