"""The words beside and under the picture: lengths with their doubt, reasons, what is missing and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from marrowpoint.assess import ULTRASOUND
from marrowpoint.assessment import Assessment
from marrowpoint.measurement import Measurement
from marrowpoint.needle import TipVisibility
from marrowpoint.report.ink import PAPER, QUIET, WHITE, YELLOW, Colour, Picture, letters, plain, wrap, write_text
from marrowpoint.report.words import FLAG_WORDS, LARGE, MEASUREMENT_WORDS, VISIBILITY_WORDS, in_words, next_view

LINE_HEIGHT = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of words: height of its letters and room above it [px]."""

    text: str
    size_px: int
    colour: Colour = WHITE
    bold: bool = False
    space_px: float = 0.0


def number_lines(assessment: Assessment, width_px: int, unit_px: float) -> list[Line]:
    """The lengths of a frame, the missing ones of the large two said to be missing.

    Parameters
    ----------
    assessment : Assessment
    width_px : int
        Room [px].
    unit_px : float
        A thousandth of the picture's longer side [px].

    Returns
    -------
    list of Line
    """
    small = round(25 * unit_px)
    seen_by_sound = assessment.frame.reference.modality in ULTRASOUND  # sound sees no thickness: it is not missing
    lines: list[Line] = []
    for name, title in MEASUREMENT_WORDS.items():
        measurement: Measurement | None = None if assessment.placement is None else getattr(assessment.placement, name)
        if measurement is None:
            if name == "tip_to_cortex" or (name in LARGE and not seen_by_sound):
                lines.append(Line(text=f"{title}: not measured", size_px=small, colour=QUIET, space_px=small * 0.5))
            continue
        value, interval = in_words(name, measurement, sound=seen_by_sound)
        if name in LARGE:
            lines.append(Line(text=title, size_px=small, colour=QUIET, space_px=small * 0.5))
            lines.append(Line(text=value, size_px=_fitting_size(value, round(50 * unit_px), width_px), bold=True))
            unit = f" {measurement.unit}" if interval[-1].isdigit() else ""
            doubt = f"95 %: {interval}{unit}" if interval[0].isdigit() or interval[0] == "-" else interval
            lines += [Line(text=part, size_px=small, colour=QUIET) for part in wrap(doubt, small, width_px)]
        else:
            parts = wrap(f"{title}: {value} ({interval})", small, width_px)
            lines += [Line(text=part, size_px=small, space_px=small * 0.4 if k == 0 else 0) for k, part in enumerate(parts)]
    return lines + _visibility_lines(assessment, width_px, small)


def _visibility_lines(assessment: Assessment, width_px: int, size_px: int) -> list[Line]:
    needle = assessment.needle
    if needle is None or needle.tip_visibility is None:
        return []
    parts = wrap(f"Tip visibility: {VISIBILITY_WORDS[needle.tip_visibility]}", size_px, width_px)
    doubtful = needle.tip_visibility is not TipVisibility.CLEAR
    colour, space_px = YELLOW if doubtful else WHITE, size_px * 0.4
    return [Line(text=part, size_px=size_px, colour=colour, space_px=0 if k else space_px) for k, part in enumerate(parts)]


def reason_lines(assessment: Assessment, width_px: int, size_px: int) -> list[Line]:
    """Why the verdict was given, what is missing, and the next view.

    Parameters
    ----------
    assessment : Assessment
    width_px : int
        Room [px].
    size_px : int
        Height of the letters [px].

    Returns
    -------
    list of Line
    """
    verdict = assessment.verdict
    told: list[tuple[str, Colour]] = [(reason.text, WHITE) for reason in verdict.reasons[:4] if reason.text not in verdict.text]
    if verdict.flags:
        told.append(("!  " + "; ".join(FLAG_WORDS[flag] for flag in verdict.flags), YELLOW))
    told += [(conflict, QUIET) for conflict in assessment.calibration.conflicts[:3]]
    told.append((next_view(assessment.frame.view, verdict), WHITE))
    return [
        Line(text=part, size_px=size_px, colour=colour, space_px=0.4 * size_px if number == 0 else 0)
        for text, colour in told
        if text
        for number, part in enumerate(wrap(text, size_px, width_px, most_lines=5))
    ]


def write_lines(lines: list[Line], width_px: int) -> Picture:
    """Write lines under each other.

    Parameters
    ----------
    lines : list of Line
    width_px : int

    Returns
    -------
    ndarray of shape (H, width_px, 3), uint8
    """
    height_px = round(sum(line.space_px + LINE_HEIGHT * line.size_px for line in lines)) + 4
    page = Image.new("RGB", (width_px, height_px), PAPER)
    draw = ImageDraw.Draw(page)
    y = 2.0
    for line in lines:
        y += line.space_px
        write_text(draw, (2, y), line.text, line.size_px, line.colour, bold=line.bold)
        y += LINE_HEIGHT * line.size_px
    return np.asarray(page)


def _fitting_size(text: str, size_px: int, width_px: int) -> int:
    return next((size for size in range(size_px, 8, -1) if letters(size).getlength(plain(text)) <= 0.97 * width_px), 8)
