"""A run in the PDF: its film strip, three pictures a row, and its curves side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from reportlab.platypus import Flowable, Table, TableStyle

from marrowpoint.audit.cards_run import RunView
from marrowpoint.audit.pdf_chart import Chart
from marrowpoint.audit.pdf_picture import embedded

TILES_A_ROW, CURVES_A_ROW = 3, 2
_TIGHT: list[Any] = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 1), ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
]  # fmt: skip


def run_parts(run: RunView, width: float, small: Callable[[str], Flowable]) -> Iterator[Flowable]:
    """What stands below the heading of a run.

    Parameters
    ----------
    run : RunView
    width : float
        Of the page [pt].
    small : callable
        Makes a paragraph.

    Yields
    ------
    Flowable
    """
    yield small(f"{run.name}. {run.about}. {run.shown}")
    if run.flags:
        yield small("; ".join(run.flags))
    for review in run.reviews:
        yield small(f"After review: {review}")
    yield from _rows([_tile(tile, width / TILES_A_ROW - 4) for tile in run.tiles], TILES_A_ROW, width)
    room = width / CURVES_A_ROW - 8
    yield from _rows([[small(curve.title), Chart(curve, room)] for curve in run.curves], CURVES_A_ROW, width)
    for number, event in enumerate(run.events, start=1):
        yield small(f"{number}: {event}")


def _tile(jpeg: bytes, width: float) -> list[Flowable]:
    return [embedded(jpeg, width)]


def _rows(cells: list[list[Flowable]], a_row: int, width: float) -> Iterator[Flowable]:
    for first in range(0, len(cells), a_row):
        row: list[Any] = cells[first : first + a_row]
        yield Table([row + [""] * (a_row - len(row))], colWidths=[width / a_row] * a_row, style=TableStyle(_TIGHT))
