"""A chart as a list of marks: drawn once as SVG for the page and once into the PDF, so that both show the same."""

from __future__ import annotations

from dataclasses import dataclass

from marrowpoint.report.ink import GREEN, ORANGE, PURPLE, SKY, VERMILLION, Colour


def hex_colour(colour: Colour) -> str:
    """``#rrggbb`` of an RGB colour."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


PASSED, WARNED, FAILED, UNKNOWN = (hex_colour(colour) for colour in (GREEN, ORANGE, VERMILLION, PURPLE))
BLUE, INK, QUIET, FAINT, PAPER = hex_colour(SKY), "#16191d", "#4d555e", "#d5d9de", "#ffffff"


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line or, with more points, a path; coordinates from the top left."""

    points: tuple[tuple[float, float], ...]
    colour: str = INK
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle; hatched where colour alone must not tell."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text on its baseline; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float = 13.0
    colour: str = INK
    anchor: str = "start"
    bold: bool = False


Mark = Line | Box | Dot | Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A chart.

    Parameters
    ----------
    title : str
        What it shows, in words: heading, and description for those who do not see it.
    note : str
        How to read it, in one or two sentences.
    width, height : float
        In units of its own; letters of 13 units stay readable on a phone.
    marks : tuple of Mark
    """

    title: str
    note: str
    width: float
    height: float
    marks: tuple[Mark, ...]
