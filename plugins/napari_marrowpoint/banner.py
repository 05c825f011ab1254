"""The verdict across the window: colour, sign and words that are read from two metres."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget

from marrowpoint.report.icons import draw_icon
from marrowpoint.report.ink import SEVERITY_COLOUR
from marrowpoint.verdict import Severity
from napari_marrowpoint.layers import code_of

WAITING = "#9AA4AE"  # no verdict yet: none of the verdicts' colours
HATCH_PX = 10
# the banner's height as a share of the window's, and its limits [px]; letters as shares of the banner
SHARE, LOWEST_PX, HIGHEST_PX = 0.148, 118, 200
LARGEST, SMALLEST, NOTE = 0.34, 0.17, 0.127


def severity_icon(severity: Severity, size_px: int) -> QPixmap:
    """The sign of a severity on its colour."""
    page = Image.new("RGB", (4 * size_px, 4 * size_px), SEVERITY_COLOUR[severity])
    draw_icon(ImageDraw.Draw(page), severity, (0.2 * size_px, 0.2 * size_px), 3.6 * size_px)
    return pixmap_of(np.asarray(page.resize((size_px, size_px), Image.Resampling.LANCZOS)))


def pixmap_of(picture: np.ndarray) -> QPixmap:
    """An RGB picture for Qt."""
    data = np.ascontiguousarray(picture)
    height, width = data.shape[:2]
    # a copy: Qt does not keep the array alive
    return QPixmap.fromImage(QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy())


def list_icon(severity: Severity | None) -> QIcon:
    """Sign of a frame in the list; a grey field as long as there is no verdict."""
    sign = QPixmap(22, 22)
    sign.fill(QColor(WAITING))
    sign = sign if severity is None else severity_icon(severity, 22)
    icon = QIcon(sign)
    icon.addPixmap(sign, QIcon.Mode.Selected)  # else Qt tints it, and the colour is the verdict
    return icon


class Banner(QWidget):
    """Verdict, the one length that matters, and where the review stands."""

    clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.severity: Severity | None = None
        self.text, self.number, self.note = "Open a folder of saved frames", "", ""
        self._icon: tuple[Severity, int, QPixmap] | None = None
        self._sizes: dict[tuple[str, int, int], int] = {}
        self.setObjectName("marrowpoint banner")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Why? Click, or press Y.")

    def tell(self, severity: Severity | None, text: str, number: str, note: str) -> None:
        """Show a verdict.

        Parameters
        ----------
        severity : Severity or None
            None where there is no verdict yet.
        text : str
            The verdict.
        number : str
            The length beside it.
        note : str
            The small line.
        """
        if (severity, text, number, note) == (self.severity, self.text, self.number, self.note):
            return
        self.severity, self.text, self.number, self.note = severity, text, number, note
        self.setAccessibleName(f"{text}. {number}. {note}")
        self.update()

    def fit(self, window_px: int) -> None:
        """As high as suits a window of this height: a larger screen is read from farther away."""
        self.setFixedHeight(round(min(max(SHARE * window_px, LOWEST_PX), HIGHEST_PX)))

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As high as two lines of large letters and a note."""
        return QSize(600, LOWEST_PX)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Never wider than the window."""
        return QSize(300, LOWEST_PX)

    def mouseReleaseEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Ask why."""
        self.clicked.emit()

    def paintEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Draw the words as large as they fit."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(WAITING if self.severity is None else code_of(SEVERITY_COLOUR[self.severity]))
        painter.fillRect(self.rect(), colour)
        if self.severity is Severity.UNKNOWN:
            self._hatch(painter)
        height, left = self.height(), 14.0
        note_px = round(NOTE * height)
        icon = round(0.66 * height)
        if self.severity is not None:
            painter.drawPixmap(round(left), round((height - note_px - 10 - icon) / 2), self._sign(self.severity, icon))
            left += icon + 16
        painter.setPen(QColor("black"))
        words = QRectF(left, 2, self.width() - left - 12, height - note_px - 12)
        if self.number:
            share = 0.36 if len(self.text) < 60 else 0.28
            number = QRectF(words.right() - share * words.width(), words.top(), share * words.width(), words.height())
            self._write(painter, number, self.number, Qt.AlignmentFlag.AlignRight)
            words.setRight(number.left() - 12)
        self._write(painter, words, self.text, Qt.AlignmentFlag.AlignLeft)
        painter.setFont(_letters(note_px, bold=False))
        line = QRectF(left, height - note_px - 11, self.width() - left - 12, note_px + 8)
        told = QFontMetricsF(painter.font()).elidedText(self.note, Qt.TextElideMode.ElideRight, line.width())
        painter.drawText(line, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), told)

    def _write(self, painter: QPainter, room: QRectF, text: str, side: Qt.AlignmentFlag) -> None:
        flags = int(side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap)
        # a pulled tip changes the digits at every move, never the room they need
        shape = "".join("0" if sign.isdigit() else sign for sign in text), round(room.width()), round(room.height())
        if shape not in self._sizes:
            self._sizes[shape] = self._largest(room, flags, shape[0])
        painter.setFont(_letters(self._sizes[shape], bold=True))
        painter.drawText(room, flags, text)

    def _largest(self, room: QRectF, flags: int, text: str) -> int:
        smallest: int = round(SMALLEST * self.height())
        for size in range(round(LARGEST * self.height()), smallest, -1):
            needed = QFontMetricsF(_letters(size, bold=True)).boundingRect(room, flags, text)
            if needed.width() <= room.width() and needed.height() <= room.height():
                return size
        return smallest

    def _sign(self, severity: Severity, size_px: int) -> QPixmap:
        if self._icon is None or self._icon[:2] != (severity, size_px):
            self._icon = severity, size_px, severity_icon(severity, size_px)
        return self._icon[2]

    def _hatch(self, painter: QPainter) -> None:
        # an abstention is told apart without its colour
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("black"))
        for x in range(0, self.width(), 2 * HATCH_PX):
            painter.drawRect(x, self.height() - 5, HATCH_PX, 5)


def _letters(size_px: int, *, bold: bool) -> QFont:
    font = QFont()
    font.setPixelSize(size_px)
    font.setBold(bold)
    return font
