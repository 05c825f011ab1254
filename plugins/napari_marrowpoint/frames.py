"""The frames of the folder: verdict as colour and sign, and how far each one's review is."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QItemSelectionModel, QModelIndex, Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QListView, QProgressBar, QPushButton, QVBoxLayout, QWidget

from marrowpoint.review.session import Row, State
from napari_marrowpoint.banner import list_icon
from napari_marrowpoint.words import SEVERITY_WORDS, row_mark, row_state, still_words

COUNT_MS = 60


class RowModel(QAbstractListModel):
    """The session's rows as Qt asks for them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []
        self._icons = {severity: list_icon(severity) for severity in (None, *SEVERITY_WORDS)}

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many."""
        return len(self.rows)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Name, sign, or the whole state in words."""
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            mark = "\N{WARNING SIGN}" if row.state is State.FAILURE else row_mark(row)
            name = row.name.split("/", 1)[-1] if "/" in row.image.relative_path else row.name
            return f"{name}   {still_words(row)}{mark}"
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icons[row.severity]
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{row.name}\n{row.text or 'no verdict yet'}\n{row_state(row)}"
        return None

    def put(self, rows: tuple[Row, ...]) -> None:
        """Add or change rows."""
        for row in rows:
            if row.place >= len(self.rows):
                self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows))
                self.rows.append(row)
                self.endInsertRows()
            else:
                self.rows[row.place] = row
                changed = self.index(row.place)
                self.dataChanged.emit(changed, changed)

    def empty(self) -> None:
        """Take all rows away."""
        self.beginResetModel()
        self.rows = []
        self.endResetModel()


class FrameList(QWidget):
    """List of frames with the progress of the analysis under it."""

    chosen = Signal(int)
    stopped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("marrowpoint frames")
        self.model = RowModel(self)
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setUniformItemSizes(True)
        self.view.setTextElideMode(Qt.TextElideMode.ElideLeft)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.selectionModel().currentChanged.connect(self._chosen)
        self.count = QLabel("no folder")
        self.count.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.stop = QPushButton("Stop")
        self.stop.clicked.connect(self.stopped)
        below = QHBoxLayout()
        below.addWidget(self.bar, 1)
        below.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.count)
        layout.addWidget(self.view, 1)
        layout.addLayout(below)
        self._counting = QTimer(self)
        self._counting.setSingleShot(True)
        self._counting.setInterval(COUNT_MS)
        self._counting.timeout.connect(self._count)
        self.progress(0, 0)

    def put(self, rows: tuple[Row, ...]) -> None:
        """Add or change rows; they are counted when the last of many has come."""
        self.model.put(rows)
        if not self._counting.isActive():
            self._counting.start()

    def _count(self) -> None:
        all_rows = self.model.rows
        problems = sum(row.problem for row in all_rows)
        open_rows = sum(not row.reviewed_by() and row.state is not State.FAILURE for row in all_rows)
        failed = sum(row.state is State.FAILURE for row in all_rows)
        told = f"{len(all_rows)} frames, {open_rows} not reviewed, {problems} problems"
        self.count.setText(f"{told}, {failed} unreadable" if failed else told)

    def progress(self, done: int, total: int, text: str = "") -> None:
        """How far the analysis is; hidden when it is done."""
        busy = total > 0 and done < total
        self.bar.setVisible(busy)
        self.stop.setVisible(busy)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.bar.setFormat(text or f"{done} of {total} analysed")

    def show_place(self, place: int) -> None:
        """Mark the frame that is shown."""
        index = self.model.index(place)
        if self.view.currentIndex().row() != place:
            self.view.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.view.scrollTo(index)

    def _chosen(self, index: QModelIndex, before: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(index.row())
