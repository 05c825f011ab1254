"""A shape for each severity, so that colour never speaks alone, and the key of the lines."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from marrowpoint.assess import ULTRASOUND
from marrowpoint.assessment import Assessment
from marrowpoint.report.ink import (
    BLACK,
    ORANGE,
    PURPLE,
    SEVERITY_COLOUR,
    SKY,
    VERMILLION,
    WHITE,
    YELLOW,
    Colour,
    letters,
    write_text,
)
from marrowpoint.report.marks import doubtful_outline
from marrowpoint.verdict import Severity


def severity_band(severity: Severity, size: tuple[int, int], stripe_px: int) -> Image.Image:
    """A field in the colour of a severity; hatched along its lower edge where the program abstains.

    Parameters
    ----------
    severity : Severity
    size : tuple of int
        (width, height) [px].
    stripe_px : int
        Width of the hatching's stripes [px].

    Returns
    -------
    Image
    """
    colour = SEVERITY_COLOUR[severity]
    page = Image.new("RGB", size, colour)
    if severity is Severity.UNKNOWN:
        draw = ImageDraw.Draw(page)
        top = size[1] - stripe_px // 2
        for x in range(-stripe_px, size[0], stripe_px):
            draw.polygon(
                [(x, size[1]), (x + stripe_px / 2, top), (x + stripe_px, top), (x + stripe_px / 2, size[1])], fill=BLACK
            )
    return page


def draw_icon(draw: ImageDraw.ImageDraw, severity: Severity, at: tuple[float, float], size_px: float) -> None:
    """Tick in a disc, exclamation mark in a triangle, cross in an octagon, question mark in a diamond.

    Parameters
    ----------
    draw : ImageDraw
    severity : Severity
    at : tuple of float
        (x, y) of the top left corner [px].
    size_px : float
    """
    middle = np.asarray(at) + size_px / 2
    pen = max(2, round(size_px / 10))
    colour = SEVERITY_COLOUR[severity]

    def place(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(float(middle[0] + x * size_px / 2), float(middle[1] + y * size_px / 2)) for x, y in points]

    if severity is Severity.GOOD:
        draw.ellipse(place([(-1, -1), (1, 1)]), fill=BLACK)
        draw.line(place([(-0.45, 0.05), (-0.1, 0.4), (0.5, -0.35)]), fill=colour, width=pen, joint="curve")
    elif severity is Severity.CAUTION:
        draw.polygon(place([(0, -0.95), (1, 0.85), (-1, 0.85)]), fill=BLACK)
        draw.line(place([(0, -0.35), (0, 0.3)]), fill=colour, width=pen)
        draw.ellipse(place([(-0.11, 0.48), (0.11, 0.7)]), fill=colour)
    elif severity is Severity.PROBLEM:
        turn = np.pi / 8 + np.arange(8) * np.pi / 4
        draw.polygon(place([(float(np.cos(t)), float(np.sin(t))) for t in turn]), fill=BLACK)
        draw.line(place([(-0.4, -0.4), (0.4, 0.4)]), fill=colour, width=pen)
        draw.line(place([(-0.4, 0.4), (0.4, -0.4)]), fill=colour, width=pen)
    else:
        draw.polygon(place([(0, -1), (1, 0), (0, 1), (-1, 0)]), fill=BLACK)
        font = letters(round(size_px * 0.55))
        draw.text(
            (float(middle[0]), float(middle[1])),
            "?",
            font=font,
            fill=colour,
            anchor="mm",
            stroke_width=pen // 3,
            stroke_fill=colour,
        )


def draw_key(page: Image.Image, at: tuple[float, float], size_px: int, assessment: Assessment) -> None:
    """Name the lines that are on the picture, each beside a piece of it.

    Parameters
    ----------
    page : Image
        Changed in place.
    at : tuple of float
        (x, y) of the top left corner [px].
    size_px : int
        Height of the letters [px].
    assessment : Assessment
    """
    draw = ImageDraw.Draw(page)
    x, y = at
    for name, colour, dashed in _key(assessment):
        pieces = ((0.0, 0.4), (0.7, 1.1), (1.4, 1.8)) if dashed else ((0.0, 1.8),)
        width = letters(size_px).getlength(name)
        if x + 2.2 * size_px + width > page.width:
            return
        for start, end in pieces:
            draw.line(
                (x + start * size_px, y + 0.6 * size_px, x + end * size_px, y + 0.6 * size_px),
                fill=colour,
                width=max(2, size_px // 7),
            )
        write_text(draw, (x + 2.1 * size_px, y), name, size_px, WHITE)
        x += 3.2 * size_px + width


def _key(assessment: Assessment) -> list[tuple[str, Colour, bool]]:
    key: list[tuple[str, Colour, bool]] = []
    cortex, needle, placement = assessment.cortex, assessment.needle, assessment.placement
    if cortex is not None:
        name = "bone surface" if assessment.frame.reference.modality in ULTRASOUND else "hip bone"
        doubtful = doubtful_outline(assessment)
        key.append((f"{name}, uncertain" if doubtful else name, SKY, doubtful))
    if needle is not None:
        key += [("needle", YELLOW, False), ("tip, 95 %", WHITE, False)]
    if placement is not None and placement.entry is not None:
        key.append(("entry" if placement.crest_peak is None else "entry, crest peak", ORANGE, False))
    if placement is not None and placement.gap_along_shaft is not None:
        key.append(("straight ahead", ORANGE, True))
    if cortex is not None and cortex.thickness is not None and not doubtful_outline(assessment):
        key.append(("thin bone", VERMILLION, True))
    if assessment.candidates or (needle is not None and needle.alternatives):
        key.append(("candidate", PURPLE, True))
    return key
