"""Colours, letters and lines of every picture: told apart without red and green, right on dark and on bright frames."""

from __future__ import annotations

import unicodedata
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from marrowpoint.frame import Points
from marrowpoint.verdict import Severity

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito, Color Universal Design (2008): told apart in every common kind of colour vision.
GREEN: Colour = (0, 158, 115)
ORANGE: Colour = (230, 159, 0)
VERMILLION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)
SKY: Colour = (86, 180, 233)
YELLOW: Colour = (240, 228, 66)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
PAPER: Colour = (17, 20, 24)
QUIET: Colour = (178, 186, 194)

SEVERITY_COLOUR: dict[Severity, Colour] = {
    Severity.GOOD: GREEN,
    Severity.CAUTION: ORANGE,
    Severity.PROBLEM: VERMILLION,
    Severity.UNKNOWN: PURPLE,
}

# OpenCV takes points in sixteenths of a pixel
SHIFT = 4

# signs that the built-in letters lack
PLAIN = str.maketrans(
    {"≥": ">=", "≤": "<=", "×": "x", "µ": "u", "–": "-", "—": "-", "−": "-", "→": "->", "’": "'", "‘": "'", "\n": " "}
)


@cache
def letters(size_px: int) -> ImageFont.FreeTypeFont:
    """The built-in letters at a height of about `size_px` [px]."""
    font = ImageFont.load_default(max(size_px, 8))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def plain(text: str) -> str:
    """Text in signs that the built-in letters have; accents are dropped, other scripts become ``?``."""
    flat = unicodedata.normalize("NFKD", text.translate(PLAIN))
    kept = (c for c in flat if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" or c in "±°" else "?" for c in kept)


def wrap(text: str, size_px: int, width_px: float, *, most_lines: int = 20) -> list[str]:
    """Break text into lines no wider than `width_px`; a word that is too long is cut.

    Parameters
    ----------
    text : str
    size_px : int
        Height of the letters [px].
    width_px : float
        Room [px].
    most_lines : int
        Further lines are left out and shown as ``...``.

    Returns
    -------
    list of str
        At least one line.
    """
    font = letters(size_px)
    lines = [""]
    for word in plain(text).split():
        rest = word
        joined = f"{lines[-1]} {rest}".strip()
        if font.getlength(joined) <= width_px:
            lines[-1] = joined
            continue
        while font.getlength(rest) > width_px and len(rest) > 1:
            count = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or font.getlength(rest[:n]) <= width_px)
            lines.append(rest[:count])
            rest = rest[count:]
        lines.append(rest)
    lines = [line for line in lines if line] or [""]
    if len(lines) > most_lines:
        lines = [*lines[: most_lines - 1], lines[most_lines - 1] + " ..."]
    return lines


def write_text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size_px: int,
    colour: Colour,
    *,
    halo_px: int = 0,
    bold: bool = False,
) -> None:
    """Write one line with its top left corner at (x, y) = `at` [px].

    Parameters
    ----------
    draw : ImageDraw
    at : tuple of float
        (x, y), as Pillow takes it.
    text : str
    size_px : int
    colour : tuple of int
    halo_px : int
        Width of a dark rim that keeps the letters readable on any grey.
    bold : bool
        Thicker strokes.
    """
    font, shown = letters(size_px), plain(text)
    if halo_px:
        draw.text(at, shown, font=font, fill=BLACK, stroke_width=halo_px, stroke_fill=BLACK)
    stroke_px = round(size_px / 48) if bold else 0
    draw.text(at, shown, font=font, fill=colour, stroke_width=stroke_px, stroke_fill=colour)


def stroke(
    picture: Picture, line: Points, colour: Colour, width_px: float, *, dash_px: float = 0.0, closed: bool = False
) -> None:
    """Draw a line with a dark rim into `picture`.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
        Changed in place.
    line : ndarray of shape (K, 2)
        (row, column) [px].
    colour : tuple of int
    width_px : float
    dash_px : float
        Length of a dash; 0 draws a whole line.
    closed : bool
        Join the last point to the first.
    """
    if len(line) < 2:
        return
    if closed:
        line = np.vstack([line, line[:1]])
    pieces = [line] if dash_px <= 0 else dashes(line, dash_px)
    corners = [np.round(piece[:, ::-1] * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2) for piece in pieces]
    inner = max(1, round(width_px))
    for tint, width in ((BLACK, inner + max(2, inner)), (colour, inner)):
        cv2.polylines(picture, corners, False, tint, width, cv2.LINE_AA, SHIFT)


def dashes(line: Points, dash_px: float) -> list[Points]:
    """Every second piece of length `dash_px` of a line.

    Parameters
    ----------
    line : ndarray of shape (K, 2)
    dash_px : float

    Returns
    -------
    list of ndarray of shape (k, 2)
    """
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    starts = np.arange(0.0, float(arc[-1]), 2 * dash_px)
    pieces = []
    for start in starts:
        at = np.concatenate([[start], arc[(arc > start) & (arc < start + dash_px)], [min(start + dash_px, float(arc[-1]))]])
        pieces.append(np.stack([np.interp(at, arc, line[:, k]) for k in (0, 1)], axis=1))
    return pieces
