"""What follows the mouse, drawn by Qt over napari's canvas: needle, handles, lengths, and what a tool is drawing.

A layer of napari that changes makes it send, compile and paint the whole picture anew, which takes several times as long as
measuring the frame; what is drawn here leaves the picture as it is, and keeps its size on the screen at every zoom.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QLineF, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QPolygonF
from qtpy.QtWidgets import QMainWindow, QWidget

from marrowpoint.frame import Points
from napari_marrowpoint.canvas import Canvas
from napari_marrowpoint.layers import NEEDLE, WORDS, Label, Line
from napari_marrowpoint.scene import camera_of

LINE_PX = 2.0
CROSS_PX, RING_PX = (4.0, 11.0), 7.5  # inner and outer end of a cross's strokes, radius of a ring and a diamond
HALO_PX, GAP_PX = 3.5, 14.0
# letters as a share of the pane's height, and their limits: a larger screen is read from farther away [px]
LETTER_SHARE, LETTERS_PX = 1 / 38, (18, 32)
EDGE_PX, PAD_PX, BAR_PX = 8, 5, 150  # of the words at the lower left: from the edge, around them, and what the scale bar needs
SHADE = QColor(0, 0, 0, 170)
LEVEL = 0.35  # a direction less steep than this counts as level
MARGIN_PX = 14  # around what was drawn: handles reach so far
CANVAS = "CanvasBackendDesktop"  # vispy's name for the widget that napari draws on


class Pane(QWidget):
    """A pane over the canvas of a window; the mouse goes through it.

    Parameters
    ----------
    window : QMainWindow
        With napari's canvas in it.
    canvas : Canvas
        Knows what to draw, and how pixels of the frame lie on the screen.
    """

    def __init__(self, window: QMainWindow, canvas: Canvas) -> None:
        below = next(each for each in window.findChildren(QWidget) if type(each).__name__ == CANVAS)
        super().__init__(below)
        self.setObjectName("marrowpoint pane")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.canvas = canvas
        self.words = ""
        self._font, self._small = QFont(), QFont()
        self._font.setBold(True)
        self._covered: list[QRectF] = []
        below.installEventFilter(self)
        self._fit()
        events = camera_of(canvas.viewer).events
        events.zoom.connect(self.follow)
        events.center.connect(self.follow)
        canvas.viewer.dims.events.ndisplay.connect(self.follow)
        canvas.over_changed.connect(self.follow)
        self.show()

    def tell(self, words: str) -> None:
        """Words at the lower left, in a box as large as they are."""
        if words != self.words:
            self.words = words
            self.update()

    def words_box(self) -> QRectF:
        """Where these words lie, without the room around them."""
        room = QRectF(0, 0, max(self.width() - BAR_PX - 2 * EDGE_PX, BAR_PX), self.height())
        box = QFontMetricsF(self._small).boundingRect(room, int(Qt.TextFlag.TextWordWrap), self.words)
        box.moveBottomLeft(QPointF(EDGE_PX + PAD_PX, self.height() - EDGE_PX - PAD_PX))
        return box

    def follow(self, event: Any = None) -> None:
        """Paint anew where something was drawn, and where it is to be drawn now."""
        if not self.canvas.picture_shape[0]:
            self.update()  # the words go with the picture
        old, self._covered = self._covered, self._boxes()
        for box in (*old, *self._covered):
            self.update(box.toAlignedRect())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """As large as the canvas."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
            self.follow()
        return bool(super().eventFilter(watched, event))

    def paintEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Lines, then handles, then words."""
        if not self._flat:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._write_words(painter)
        for line in self.canvas.lines_over():
            self._draw_line(painter, line)
        if self.canvas.wants(NEEDLE):
            for symbol, colour, at in self.canvas.handles_over():
                painter.setPen(_pen(colour))
                _draw_handle(painter, symbol, self._at(at))
        for label, box in self._labels():
            path = QPainterPath()
            path.addText(box.left() + HALO_PX, box.top() + HALO_PX + QFontMetricsF(self._font).ascent(), self._font, label.text)
            # a black border, so that it is read on bright and on dark
            painter.strokePath(path, QPen(QColor("black"), HALO_PX, join=Qt.PenJoinStyle.RoundJoin))
            painter.fillPath(path, QColor(label.colour))

    def label_boxes(self) -> list[tuple[str, QRectF]]:
        """The words on the pane, and where they lie."""
        return [(label.text, box) for label, box in self._labels()]

    @property
    def _flat(self) -> bool:
        """Whether the canvas shows a plane: in space nothing of this would lie where it belongs."""
        return bool(self.canvas.viewer.dims.ndisplay == 2)

    def _boxes(self) -> list[QRectF]:
        found = [self._screen(line.points) for line in self.canvas.lines_over()]
        if self.canvas.wants(NEEDLE):
            found += [self._screen(np.atleast_2d(at)) for _, _, at in self.canvas.handles_over()]
        around = [
            QRectF(QPointF(*each.min(axis=0)[::-1]), QPointF(*each.max(axis=0)[::-1])).adjusted(
                -MARGIN_PX, -MARGIN_PX, MARGIN_PX, MARGIN_PX
            )
            for each in found
        ]
        return around + [box for _, box in self._labels()]

    def _fit(self) -> None:
        self.setGeometry(self.parentWidget().rect())
        size_px = round(min(max(LETTER_SHARE * self.height(), LETTERS_PX[0]), LETTERS_PX[1]))
        self._font.setPixelSize(size_px)
        self._small.setPixelSize(round(0.9 * size_px))

    def _write_words(self, painter: QPainter) -> None:
        if self.words and self.canvas.picture_shape[0]:
            box = self.words_box()
            painter.fillRect(box.adjusted(-PAD_PX, -PAD_PX, PAD_PX, PAD_PX), SHADE)
            painter.setFont(self._small)
            painter.setPen(QColor("white"))
            painter.drawText(box.adjusted(0, 0, 1, 1), int(Qt.TextFlag.TextWordWrap), self.words)

    def _draw_line(self, painter: QPainter, line: Line) -> None:
        painter.setPen(_pen(line.colour))
        if line.dashed:
            starts, steps = line.segments()[:, 0], line.segments()[:, 1]
            ends = self._screen(starts), self._screen(starts + steps)
            painter.drawLines([QLineF(a[1], a[0], b[1], b[0]) for a, b in zip(*ends, strict=True)])
        else:
            painter.drawPolyline(QPolygonF([QPointF(column, row) for row, column in self._screen(line.points)]))

    def _labels(self) -> list[tuple[Label, QRectF]]:
        """Each label where it is drawn: inside the picture, of two at one place the later one under the first."""
        if not self.canvas.wants(WORDS) or not self.canvas.labels or not self._flat:
            return []
        told: list[tuple[Label, QRectF]] = []
        picture = self._picture()
        for label in self.canvas.labels:
            box = _inside(self._beside(label), picture)
            for _, other in told:
                if box.intersects(other):
                    box.moveTop(other.bottom())
            told.append((label, box))
        return told

    def _beside(self, label: Label) -> QRectF:
        """On the side to which the label shall lie: nothing at its point is covered."""
        metrics = QFontMetricsF(self._font)
        size = np.array([metrics.height(), metrics.horizontalAdvance(label.text)]) + 2 * HALO_PX
        toward = np.asarray(label.toward)
        quadrant = np.where(np.abs(toward) < LEVEL, 0.0, np.sign(toward))
        row, column = self._screen(np.array([label.at]))[0] + GAP_PX * toward + size / 2 * (quadrant - 1)
        return QRectF(column, row, size[1], size[0])

    def _picture(self) -> QRectF:
        """The part of the picture that is seen."""
        rows, columns = self.canvas.picture_shape
        (top, left), (bottom, right) = self._screen(np.array([(-0.5, -0.5), (rows - 0.5, columns - 0.5)]))
        return QRectF(QPointF(left, top), QPointF(right, bottom)).intersected(QRectF(self.rect()))

    def _screen(self, points: Points) -> Points:
        """Points of the frame, shape (K, 2), as (row, column) of the pane."""
        camera = camera_of(self.canvas.viewer)
        away = points * self.canvas.ground.scale - np.asarray(camera.center)[-2:]
        return np.asarray(np.array([self.height(), self.width()]) / 2 + away * camera.zoom)

    def _at(self, point: Points) -> QPointF:
        row, column = self._screen(np.atleast_2d(point))[0]
        return QPointF(column, row)


def _pen(colour: str) -> QPen:
    return QPen(QColor(colour), LINE_PX)


def _draw_handle(painter: QPainter, symbol: str, at: QPointF) -> None:
    if symbol == "cross":  # points at the tip and leaves it free
        for way in (QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1)):
            painter.drawLine(at + CROSS_PX[0] * way, at + CROSS_PX[1] * way)
    elif symbol == "ring":
        painter.drawEllipse(at, RING_PX, RING_PX)
    else:
        corners = [QPointF(0, -RING_PX), QPointF(RING_PX, 0), QPointF(0, RING_PX), QPointF(-RING_PX, 0)]
        painter.drawPolygon(QPolygonF([at + corner for corner in corners]))


def _inside(box: QRectF, room: QRectF) -> QRectF:
    """The same box, moved into the room as far as it goes."""
    left = min(max(box.left(), room.left()), max(room.right() - box.width(), room.left()))
    top = min(max(box.top(), room.top()), max(room.bottom() - box.height(), room.top()))
    return QRectF(left, top, box.width(), box.height())
