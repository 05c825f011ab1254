"""The side panel: numbers, what a person can set, what they can decide, and why the program says what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QPoint, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.case import OUTER_DIAMETER_MM
from marrowpoint.frame import ViewKind
from marrowpoint.report.words import VIEW_WORDS
from marrowpoint.review import Corrections, Entry
from napari_marrowpoint.hints import HINTS, Tool
from napari_marrowpoint.profile_form import ProfilePanel
from napari_marrowpoint.words import as_html, chapters, entry_words

BY_PROGRAM, OTHER = "as found", "other"
LONGEST_MM = 1000.0
REASONS = (
    "not the needle", "tip is wrong", "outline is wrong", "scale is wrong", "cannot be judged in this view", "wrong picture",
)  # fmt: skip
TOOL_BUTTONS = (
    (Tool.NEEDLE, "Draw needle  T"), (Tool.OUTLINE, "Outline  O"), (Tool.WIRE, "Live-wire  W"), (Tool.SCALE, "Scale  S"),
)  # fmt: skip


class Line(QLineEdit):
    """A line of words whose letters are no shortcuts while it is written in."""

    left = Signal()

    def event(self, event: QEvent) -> bool:
        """Keep every key for the words."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Esc leaves."""
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


class Panel(QWidget):
    """Widgets only; what they mean is decided in `review`."""

    tool_chosen = Signal(object)
    needle_set = Signal(object)
    view_set = Signal(object)
    side_set = Signal(object)
    pressed = Signal(str)
    """Name of what to do, as in `keys.KEYS`."""
    rejected = Signal(str)
    rater_set = Signal(str)

    def __init__(self, profile_panel: ProfilePanel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("marrowpoint panel")
        self._answered: Callable[[str], None] | None = None
        self.tools: dict[Tool, QPushButton] = {}
        self.why = QTextBrowser()
        self.why.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.tabs = QTabWidget()
        self.tabs.addTab(self._review_tab(), "Review")
        self.tabs.addTab(profile_panel, "Profile")
        self.tabs.tabBar().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs)
        self.reject_menu = QMenu(self)
        for number, reason in enumerate(REASONS, start=1):
            self.reject_menu.addAction(f"&{number}  {reason}", lambda reason=reason: self.rejected.emit(reason))
        other = len(REASONS) + 1
        self.reject_menu.addAction(f"&{other}  other \N{HORIZONTAL ELLIPSIS}", lambda: self.ask("Why?", self.rejected.emit))

    def show_assessment(self, shown: Assessment | None, corrections: Corrections, study: StudyAssessment | None) -> None:
        """Say why, and set the fields to what holds."""
        self.why.setHtml("" if shown is None else as_html(chapters(shown, corrections, study)))
        self._choose(self.needle, corrections.outer_diameter_mm, None if shown is None else shown.outer_diameter_mm)
        self._choose(self.view, corrections.view, None)
        self._choose(self.side, corrections.side, None)
        for box, name in ((self.needle, "outer_diameter_mm"), (self.view, "view"), (self.side, "side")):
            # what a person set is marked as theirs
            by = corrections.set_by(name)
            box.setStyleSheet("font-weight: bold" if by else "")
            box.setToolTip(f"set by {by}" if by else "")

    def show_history(self, entries: tuple[Entry, ...]) -> None:
        """What anyone decided about this frame, last first."""
        told = [entry_words(entry) for entry in reversed(entries[-4:])]
        self.history.setText("\n".join(told) or "No decision yet.")

    def show_tool(self, tool: Tool) -> None:
        """Which tool is in the hand."""
        for each, button in self.tools.items():
            button.setChecked(each is tool)
        self.hint.setText(HINTS[tool])
        self.hint.setVisible(bool(HINTS[tool]))

    def ask(self, question: str, answered: Callable[[str], None], suggestion: str = "") -> None:
        """Ask for a few words in the line of the panel; no window opens."""
        self._answered = answered
        self.line.setPlaceholderText(question)
        self.line.setText(suggestion)
        self.line.setVisible(True)
        self.line.setFocus()
        self.line.selectAll()

    def ask_mm(self, question: str, answered: Callable[[float], None]) -> None:
        """Ask for a length in mm."""

        def understood(text: str) -> None:
            try:
                length_mm = float(text.lower().replace("mm", "").replace(",", "."))
            except ValueError:
                length_mm = 0.0
            if 0 < length_mm < LONGEST_MM:
                answered(length_mm)
            else:
                self.hint.setText(f"{text!r} is no length: write a number of mm.")
                self.hint.setVisible(True)

        self.ask(question, understood)

    def leave(self) -> bool:
        """Stop asking; returns whether it was."""
        asked, self._answered = self._answered is not None, None
        self.line.clear()
        self.line.setVisible(False)
        return asked

    def offer_reasons(self) -> None:
        """The reasons for a rejection, each one key away."""
        self.reject_menu.popup(self.buttons["reject"].mapToGlobal(QPoint(0, 0)))

    def _answer(self) -> None:
        text, answered = self.line.text().strip(), self._answered
        if text and answered is not None:
            self.leave()
            answered(text)

    def _review_tab(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addLayout(self._signing())
        self.line = Line()
        self.line.setVisible(False)
        self.line.returnPressed.connect(self._answer)
        self.line.left.connect(self.leave)
        layout.addWidget(self.line)
        layout.addLayout(self._fields())
        layout.addLayout(self._tool_buttons())
        layout.addWidget(self.hint)
        layout.addWidget(self.why, 1)
        self.history = QLabel()
        self.history.setWordWrap(True)
        layout.addWidget(self.history)
        layout.addLayout(self._rater_line())
        return page

    def _signing(self) -> QGridLayout:
        grid = QGridLayout()
        self.buttons: dict[str, QPushButton] = {}
        named = (("accept", "Accept  A"), ("reject", "Reject  R"), ("flag", "Flag  F"), ("comment", "Comment  M"))
        for number, (does, words) in enumerate(named):
            button = self._button(words, does)
            self.buttons[does] = button
            grid.addWidget(button, number // 2, number % 2)
        return grid

    def _fields(self) -> QFormLayout:
        form = QFormLayout()
        self.needle, self.view, self.side = QComboBox(), QComboBox(), QComboBox()
        self.needle.addItem(BY_PROGRAM, None)
        for gauge, outer_mm in OUTER_DIAMETER_MM.items():
            self.needle.addItem(f"{gauge}  {outer_mm:g} mm", outer_mm)
        self.needle.addItem("another \N{HORIZONTAL ELLIPSIS}", OTHER)
        self.view.addItem(BY_PROGRAM, None)
        for kind in ViewKind:
            if kind is not ViewKind.UNKNOWN:
                self.view.addItem(VIEW_WORDS[kind], kind)
        for words, side in ((BY_PROGRAM, None), ("left", "L"), ("right", "R")):
            self.side.addItem(words, side)
        for words, box in (("Needle", self.needle), ("View", self.view), ("Side", self.side)):
            form.addRow(words, box)
        self.needle.activated.connect(lambda index: self._needle_chosen(self.needle.itemData(index)))
        self.view.activated.connect(lambda index: self.view_set.emit(self.view.itemData(index)))
        self.side.activated.connect(lambda index: self.side_set.emit(self.side.itemData(index)))
        return form

    def _needle_chosen(self, outer_mm: Any) -> None:
        if outer_mm == OTHER:
            self.ask_mm("Outer diameter of the needle in mm", self.needle_set.emit)
        else:
            self.needle_set.emit(outer_mm)

    def _tool_buttons(self) -> QGridLayout:
        grid = QGridLayout()
        for number, (tool, words) in enumerate(TOOL_BUTTONS):
            button = QPushButton(words)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda checked=False, tool=tool: self.tool_chosen.emit(tool))
            self.tools[tool] = button
            grid.addWidget(button, number // 2, number % 2)
        grid.addWidget(self._button("Undo", "undo"), 2, 0)
        grid.addWidget(self._button("Redo", "redo"), 2, 1)
        return grid

    def _rater_line(self) -> QHBoxLayout:
        self.rater = Line()
        self.rater.setPlaceholderText("who reviews")
        self.rater.editingFinished.connect(lambda: self.rater_set.emit(self.rater.text().strip()))
        self.rater.returnPressed.connect(self.rater.clearFocus)
        self.rater.left.connect(self.rater.clearFocus)
        line = QHBoxLayout()
        line.addWidget(QLabel("Reviewer"))
        line.addWidget(self.rater, 1)
        line.addWidget(self._button("Keys  F1", "show_keys"))
        return line

    def _button(self, words: str, does: str) -> QPushButton:
        button = QPushButton(words)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda checked=False: self.pressed.emit(does))
        return button

    @staticmethod
    def _choose(box: QComboBox, by_hand: Any, found: Any) -> None:
        wanted = by_hand if by_hand is not None else found
        index = box.findData(wanted) if wanted is not None else 0
        if index < 0:
            box.addItem(f"{wanted:g} mm", wanted)
            index = box.count() - 1
        box.setCurrentIndex(index)
