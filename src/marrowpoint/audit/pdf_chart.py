"""A drawing on a page of a PDF: the same marks that the page shows as SVG."""

from __future__ import annotations

from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable

from marrowpoint.audit.drawing import Box, Dot, Drawing, Line, Words
from marrowpoint.report.ink import plain


class Chart(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A drawing on a page.

    Parameters
    ----------
    drawing : Drawing
    width : float
        In points.
    """

    def __init__(self, drawing: Drawing, width: float) -> None:
        super().__init__()
        self.drawing = drawing
        self.scale = width / drawing.width
        self.width, self.height = width, drawing.height * self.scale

    def wrap(self, *_: float) -> tuple[float, float]:
        """Size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw every mark; the PDF counts from below."""
        canvas = self.canv
        canvas.saveState()
        canvas.scale(self.scale, self.scale)
        for mark in self.drawing.marks:
            _draw(canvas, mark, self.drawing.height)
        canvas.restoreState()


def _draw(canvas: Any, mark: Line | Box | Dot | Words, top: float) -> None:
    if isinstance(mark, Line):
        canvas.setStrokeColor(HexColor(mark.colour))
        canvas.setLineWidth(mark.width)
        canvas.setDash([5, 4] if mark.dashed else [])
        path = canvas.beginPath()
        for number, (x, y) in enumerate(mark.points):
            (path.lineTo if number else path.moveTo)(x, top - y)
        canvas.drawPath(path)
        canvas.setDash([])
    elif isinstance(mark, Box):
        canvas.setFillColor(HexColor(mark.colour))
        canvas.rect(mark.x, top - mark.y - mark.height, mark.width, mark.height, stroke=0, fill=1)
        if mark.hatched:
            _hatch(canvas, mark, top)
    elif isinstance(mark, Dot):
        canvas.setFillColor(HexColor(mark.colour))
        canvas.circle(mark.x, top - mark.y, mark.radius, stroke=0, fill=1)
    else:
        canvas.setFillColor(HexColor(mark.colour))
        canvas.setFont("Helvetica-Bold" if mark.bold else "Helvetica", mark.size)
        write = {"start": canvas.drawString, "middle": canvas.drawCentredString, "end": canvas.drawRightString}[mark.anchor]
        write(mark.x, top - mark.y, plain(mark.text))


def _hatch(canvas: Any, box: Box, top: float) -> None:
    canvas.saveState()
    path = canvas.beginPath()
    path.rect(box.x, top - box.y - box.height, box.width, box.height)
    canvas.clipPath(path, stroke=0)
    canvas.setStrokeColor(HexColor("#ffffff"), alpha=0.45)
    canvas.setLineWidth(3)
    x = box.x - box.height
    while x < box.x + box.width:
        canvas.line(x, top - box.y - box.height, x + box.height, top - box.y)
        x += 9
    canvas.restoreState()
