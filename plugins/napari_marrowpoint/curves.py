"""The curves of a run: drawn side by side, the frame on the screen marked, a click goes to a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from marrowpoint.report.ink import GREEN, ORANGE, QUIET, SKY, WHITE
from marrowpoint.review.axis import are_uneven, frame_places
from marrowpoint.review.runs import Curve, Moment
from napari_marrowpoint.layers import code_of

PAPER, FRAME, EVENT = "#1B1F24", "#454C55", "#F0E442"
SHADE = QColor(27, 31, 36, 190)  # behind the name of an event: the curve may run there
INKS = {"needle": (WHITE, ORANGE), "contrast": (SKY, ORANGE, GREEN)}
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX, GAP_PX = 46, 10, 22, 20, 8
MOST_NAMES = 0.45  # of the height of a plot, for the names of events
UNDER, NAME_GAP_PX = 24, 6  # places along a name that are looked at, and the room between it and the curve
SNAP_PX = 5.0  # a click so near to an event goes to it
LETTERS_PX = (12, 20)  # smallest and largest letters: a larger screen is read from farther away
LINES = 13  # of letters in the height of the curves


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Where one curve lies in the widget: its box, the values at its edges, and the place of each frame in time."""

    box: QRectF
    low: float
    high: float
    places: tuple[float, ...]

    def across(self, frame: float) -> float:
        """Column of a frame (from 0), or of a place between two."""
        place = float(np.interp(frame, np.arange(len(self.places)), self.places))
        return float(self.box.left() + self.box.width() * (place - self.places[0]) / self._length)

    def up(self, value: float) -> float:
        """Row of a value."""
        return float(self.box.bottom() - self.box.height() * (value - self.low) / (self.high - self.low))

    def line(self, frames: Sequence[int], values: Sequence[float]) -> list[QPointF]:
        """Points of a curve."""
        return [QPointF(self.across(frame), self.up(value)) for frame, value in zip(frames, values, strict=True)]

    def frame_at(self, column: float) -> int:
        """Frame under a column."""
        place = self.places[0] + self._length * (column - self.box.left()) / max(self.box.width(), 1)
        return int(np.argmin(np.abs(np.asarray(self.places) - place)))

    @property
    def _length(self) -> float:
        return self.places[-1] - self.places[0] or 1.0


class CurveView(QWidget):
    """Curves of one run."""

    chosen = Signal(int)
    """A frame, from 0."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("marrowpoint curves")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.curves: tuple[Curve, ...] = ()
        self.moments: tuple[Moment, ...] = ()
        self.frame, self.count = 0, 1
        self.seconds: tuple[float, ...] | None = None
        self.subject, self.empty = "", ""
        self._before: tuple[int, ...] = ()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Flat: the picture needs the room."""
        return QSize(600, 150)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Readable still."""
        return QSize(240, 110)

    def show_run(
        self,
        subject: str,
        curves: Sequence[Curve],
        moments: Sequence[Moment],
        *,
        count: int,
        seconds: tuple[float, ...] | None,
        before: tuple[int, ...] = (),
    ) -> None:
        """Show the curves of a run.

        Parameters
        ----------
        subject : str
            ``needle`` or ``contrast``.
        curves, moments : sequence
        count : int
            Frames of the run.
        seconds : tuple of float or None
        before : tuple of int
            Frames (from 0) of the picture before contrast.
        """
        self.subject, self.curves, self.moments = subject, tuple(curves), tuple(moments)
        self.count, self.seconds, self._before = count, seconds, before
        self.update()

    def say(self, text: str) -> None:
        """What stands there instead of curves."""
        self.curves, self.moments, self.empty = (), (), text
        self.update()

    def show_frame(self, frame: int) -> None:
        """Mark the frame on the screen, from 0."""
        if frame != self.frame:
            self.frame = frame
            self.update()

    @property
    def letters_px(self) -> int:
        """Height of the letters [px]."""
        return int(np.clip(self.height() / LINES, *LETTERS_PX))

    def plots(self) -> list[Plot]:
        """Where each curve is drawn."""
        grown = self.letters_px / LETTERS_PX[0]
        width = (self.width() - GAP_PX * (len(self.curves) - 1)) / max(len(self.curves), 1)
        found, places = [], frame_places(self.count, self.seconds)
        for number, curve in enumerate(self.curves):
            left, top = number * (width + GAP_PX) + LEFT_PX * grown, TOP_PX * grown
            box = QRectF(left, top, width - (LEFT_PX + RIGHT_PX) * grown, self.height() - top - BOTTOM_PX * grown)
            low, high = min(0.0, *curve.values, *curve.lower), max(0.0, *curve.values, *curve.upper)
            room = 0.06 * max(high - low, 1e-6)
            plot = Plot(box=box, low=low - (room if low < 0 else 0), high=high + room, places=places)
            found.append(self._below_names(plot, curve))
        return found

    def _below_names(self, plot: Plot, curve: Curve) -> Plot:
        """Room above, so that no name of an event lies on the curve: what is named is often its highest point."""
        metrics, high = QFontMetricsF(_letters(self.letters_px)), plot.high
        columns = [plot.across(frame) for frame in curve.frames]
        for moment, left, row in self._named(plot, metrics):
            under = np.linspace(left, left + metrics.horizontalAdvance(moment.title), UNDER)
            top = float(np.interp(under, columns, curve.values).max())
            taken = min((self.letters_px * (row + 1) + NAME_GAP_PX) / max(plot.box.height(), 1.0), MOST_NAMES)
            high = max(high, plot.low + (top - plot.low) / (1 - taken))
        return replace(plot, high=high)

    def place_of(self, frame: int, number: int = 0) -> QPointF:
        """Where a frame lies in a plot, at half its height."""
        plot = self.plots()[number]
        return QPointF(plot.across(frame), plot.box.center().y())

    def mousePressEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Go to the frame under the mouse."""
        self._go(event)

    def mouseMoveEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Run along with the mouse while it is pressed; else tell what is under it."""
        if event.buttons() & Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            self._go(event)
        else:
            self._tell(event)

    def paintEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Draw everything."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(PAPER))
        painter.setFont(_letters(self.letters_px))
        if not self.curves:
            painter.setPen(QColor(code_of(QUIET)))
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.rect().adjusted(16, 8, -16, -8), flags, self.empty)
            return
        inks = INKS.get(self.subject, INKS["needle"])
        for number, (plot, curve) in enumerate(zip(self.plots(), self.curves, strict=True)):
            ink = QColor(code_of(inks[number % len(inks)]))
            self._paint_ground(painter, plot)
            self._paint_moments(painter, plot)
            self._paint_curve(painter, plot, curve, ink)
            self._paint_words(painter, plot, curve, ink)

    def _paint_ground(self, painter: QPainter, plot: Plot) -> None:
        if self._before:
            left, right = plot.across(self._before[0] - 0.5), plot.across(self._before[-1] + 0.5)
            shade = QRectF(left, plot.box.top(), right - left, plot.box.height()) & plot.box
            painter.fillRect(shade, QColor(255, 255, 255, 28))
        painter.setPen(QPen(QColor(FRAME), 1))
        painter.drawRect(plot.box)
        if plot.low < 0:
            painter.setPen(QPen(QColor(code_of(QUIET)), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(plot.box.left(), plot.up(0.0)), QPointF(plot.box.right(), plot.up(0.0)))

    def _paint_moments(self, painter: QPainter, plot: Plot) -> None:
        for moment in self.moments:
            early, late = plot.across(moment.earliest), plot.across(moment.latest)
            painter.fillRect(QRectF(early, plot.box.top(), max(late - early, 0.0), plot.box.height()), QColor(240, 228, 66, 30))
            painter.setPen(QPen(QColor(EVENT), 1, Qt.PenStyle.DotLine))
            column = plot.across(moment.frame)
            painter.drawLine(QPointF(column, plot.box.top()), QPointF(column, plot.box.bottom()))

    def _paint_curve(self, painter: QPainter, plot: Plot, curve: Curve, ink: QColor) -> None:
        painter.save()
        painter.setClipRect(plot.box)
        starts = [0, *curve.gaps, len(curve.frames)]
        for start, stop in pairwise(starts):
            piece = slice(start, stop)
            frames = curve.frames[piece]
            if curve.lower:
                edge = plot.line(frames, curve.lower[piece]) + plot.line(frames, curve.upper[piece])[::-1]
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(ink.red(), ink.green(), ink.blue(), 55))
                painter.drawPolygon(QPolygonF(edge))
            points = plot.line(frames, curve.values[piece])
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ink, 2))
            painter.drawPolyline(QPolygonF(points))
            if len(points) == 1 or are_uneven(plot.places):
                painter.setBrush(ink)
                for point in points:
                    painter.drawEllipse(point, 2, 2)
        painter.setPen(QPen(QColor("white"), 1.5))
        column = plot.across(self.frame)
        painter.drawLine(QPointF(column, plot.box.top()), QPointF(column, plot.box.bottom()))
        value = curve.at(self.frame)
        if value is not None:
            painter.setBrush(ink)
            painter.drawEllipse(QPointF(column, plot.up(value)), 4, 4)
        painter.restore()

    def _paint_words(self, painter: QPainter, plot: Plot, curve: Curve, ink: QColor) -> None:
        metrics = QFontMetricsF(painter.font())
        painter.setPen(ink)
        title = metrics.elidedText(self._title(curve), Qt.TextElideMode.ElideRight, plot.box.width())
        painter.drawText(QPointF(plot.box.left(), plot.box.top() - 7), title)
        painter.setPen(QColor(code_of(QUIET)))
        for value, row in ((plot.high, plot.box.top() + self.letters_px - 2), (plot.low, plot.box.bottom())):
            told = _short(value)
            painter.drawText(QPointF(plot.box.left() - metrics.horizontalAdvance(told) - 4, row), told)
        for frame, right in ((0, False), (self.count - 1, True)):
            told = self._when(frame)
            shift = metrics.horizontalAdvance(told) if right else 0.0
            painter.drawText(QPointF(plot.across(frame) - shift, plot.box.bottom() + self.letters_px + 3), told)
        self._paint_names(painter, plot, metrics)

    def _paint_names(self, painter: QPainter, plot: Plot, metrics: QFontMetricsF) -> None:
        painter.setPen(QColor(EVENT))
        for moment, column, row in self._named(plot, metrics):
            top = plot.box.top() + self.letters_px * row + 2
            width = metrics.horizontalAdvance(moment.title)
            painter.fillRect(QRectF(column - 1, top, width + 2, self.letters_px), SHADE)
            painter.drawText(QPointF(column, top + self.letters_px - 2), moment.title)

    def _named(self, plot: Plot, metrics: QFontMetricsF) -> list[tuple[Moment, float, int]]:
        """The events with the column of their names, and each name's line of letters: the first that has room."""
        named: list[tuple[Moment, float, int]] = []
        taken: list[float] = []
        for moment in self.moments:
            width, column = metrics.horizontalAdvance(moment.title), plot.across(moment.frame) + 3
            if column + width > plot.box.right():
                column = plot.across(moment.frame) - width - 3
            row = next((k for k, end in enumerate(taken) if end < column), len(taken))
            if self.letters_px * (row + 2) <= plot.box.height():
                taken[row : row + 1] = [column + width + 6]
                named.append((moment, column, row))
        return named

    def _title(self, curve: Curve) -> str:
        value = curve.at(self.frame)
        unit = f" {curve.unit}" if curve.unit else ""
        if value is None:
            return f"{curve.title}: none here"
        told = f"{curve.title}: {_short(value)}{unit}"
        if curve.lower:
            place = curve.frames.index(self.frame)
            told += f" ({_short(curve.lower[place])} to {_short(curve.upper[place])})"
        return told

    def _when(self, frame: int) -> str:
        return str(frame + 1) if self.seconds is None else f"{frame + 1}: {self.seconds[frame]:.1f} s"

    def _under(self, event: object) -> tuple[int, Plot] | None:
        place = event.position()  # type: ignore[attr-defined]
        for plot in self.plots():
            if plot.box.left() - 4 <= place.x() <= plot.box.right() + 4:
                snap = 0.0 if are_uneven(plot.places) else SNAP_PX  # there each frame has its dot
                near = [m for m in self.moments if abs(plot.across(m.frame) - place.x()) <= snap]
                return (near[0].frame if near else plot.frame_at(place.x())), plot
        return None

    def _go(self, event: object) -> None:
        found = self._under(event)
        if found is not None:
            self.chosen.emit(found[0])

    def _tell(self, event: object) -> None:
        found = self._under(event)
        if found is None:
            return
        told = [f"frame {found[0] + 1}" + ("" if self.seconds is None else f", {self.seconds[found[0]]:.2f} s")]
        told += [moment.text for moment in self.moments if moment.frame == found[0]]
        QToolTip.showText(event.globalPosition().toPoint(), "\n".join(told), self)  # type: ignore[attr-defined]


def _short(value: float) -> str:
    """A tenth is enough below a hundred; no minus before a zero."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 1) + 0.0:.1f}"


def _letters(size_px: int) -> QFont:
    font = QFont()
    font.setPixelSize(size_px)
    return font
