"""The other view of the same needle, beside the picture, with the line on which a point of the picture must lie in it."""

from __future__ import annotations

import cv2
import numpy as np
from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Points
from marrowpoint.report.greys import Window, grey_levels
from marrowpoint.report.ink import SEVERITY_COLOUR
from marrowpoint.report.marks import draw_marks
from marrowpoint.report.words import VIEW_WORDS, frame_name
from marrowpoint.study.epipolar import epipolar_line
from marrowpoint.study.group import zero_view_of
from napari_marrowpoint.banner import pixmap_of
from napari_marrowpoint.layers import code_of

LEAST_PX, FINER, LINE_PX = 120, 2.0, 2.2  # of its longer side; so much finer it is drawn than shown; of a line as drawn
WORDS_PX = 40


class PartnerView(QWidget):
    """A small picture of another frame; not to be worked on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("marrowpoint other view")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.assessment: Assessment | None = None
        self.line: Points | None = None
        self.why_empty = "No other view of this needle was found."
        self._picture: QPixmap | None = None
        self._zoom = 1.0

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Square, beside the list."""
        return QSize(300, 300)

    def show_frame(self, assessment: Assessment | None, why_empty: str = "") -> None:
        """Show a frame, or say why there is none."""
        self.assessment, self.line = assessment, None
        self.why_empty = why_empty or self.why_empty
        self._draw()

    def resizeEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Drawn for the room there is: letters of a picture that is shrunk cannot be read."""
        self._draw()

    def _draw(self) -> None:
        assessment, self._picture = self.assessment, None
        if assessment is not None:
            grey = grey_levels(assessment)
            if assessment.frame.low_is_bright:
                grey = np.asarray(255 - grey, np.uint8)
            rows, columns = grey.shape
            fits = min(self.width() / columns, (self.height() - WORDS_PX) / rows)
            self._zoom = zoom = FINER * max(fits, LEAST_PX / max(grey.shape))
            size = max(round(columns * zoom), 1), max(round(rows * zoom), 1)
            colour = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
            window = Window(row=0.5 / zoom - 0.5, column=0.5 / zoom - 0.5, zoom=zoom, line_px=LINE_PX)
            self._picture = pixmap_of(draw_marks(colour.astype(np.uint8), assessment, window, None))
        self.update()

    def show_line(self, line: Points | None) -> None:
        """Draw where a point of the other picture must lie; (row, column) [px]."""
        self.line = line
        self.update()

    def follow(self, point: tuple[float, float] | None, shown: Assessment) -> None:
        """Draw where a point (row, column) [px] of the frame on the screen must lie; that of its tip without one."""
        other = self.assessment
        if other is None or self.isHidden():
            return
        if point is None:
            point = None if shown.needle is None else shown.needle.tip
        self.show_line(None if point is None else epipolar_line(point, shown, other, zero_view_of((shown, other))))

    def paintEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Picture, line, and the frame's name and verdict under it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        if self.assessment is None or self._picture is None:
            painter.setPen(QColor("#B2BAC2"))
            painter.drawText(self.rect().adjusted(12, 12, -12, -12), int(Qt.TextFlag.TextWordWrap), self.why_empty)
            return
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        room = self.height() - WORDS_PX
        share = min(self.width() / self._picture.width(), room / self._picture.height())
        width, height = self._picture.width() * share, self._picture.height() * share
        left, top = (self.width() - width) / 2, (room - height) / 2
        painter.drawPixmap(round(left), round(top), round(width), round(height), self._picture)
        if self.line is not None:
            zoom = self._zoom * share
            ends = [QPointF(left + (c + 0.5) * zoom, top + (r + 0.5) * zoom) for r, c in self.line]
            painter.setClipRect(round(left), round(top), round(width), round(height))
            for colour, thick in (("black", 4.0), ("#FFFFFF", 1.8)):
                painter.setPen(QPen(QColor(colour), thick, Qt.PenStyle.DashLine))
                painter.drawLine(ends[0], ends[1])
            painter.setClipping(False)
        verdict = self.assessment.verdict
        painter.fillRect(0, room, self.width(), WORDS_PX, QColor(code_of(SEVERITY_COLOUR[verdict.severity])))
        painter.setPen(QColor("black"))
        reference = self.assessment.frame.reference
        name = f"{frame_name(reference).rsplit('/', 1)[-1]}, {VIEW_WORDS[self.assessment.frame.view.kind]}"
        metrics = painter.fontMetrics()
        for number, text in enumerate((verdict.text, name)):
            told = metrics.elidedText(text, Qt.TextElideMode.ElideRight, self.width() - 12)
            painter.drawText(6, room + 16 + 18 * number, told)
