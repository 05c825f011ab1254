"""The dock of a run: its verdict with the reasons, its curves, and which of its pictures is shown."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from marrowpoint.report.ink import SEVERITY_COLOUR
from marrowpoint.verdict import Verdict
from napari_marrowpoint.banner import severity_icon
from napari_marrowpoint.curves import CurveView
from napari_marrowpoint.layers import BEFORE, RUN, SUBTRACTED, code_of
from napari_marrowpoint.words import Chapter, as_html

ICON_PX = 34
WORDS_PX = (250, 560)
LINES, LETTERS_PX = 14, (14, 21)  # lines of letters in its height, and the smallest and largest of them
# name of the layer, words on its button, and what its key does
PICTURES = (
    (SUBTRACTED, "Subtracted  5", "toggle_subtracted"),
    (BEFORE, "Before contrast  6", "toggle_before"),
    (RUN, "Followed  7", "toggle_followed"),
)


class RunPanel(QWidget):
    """Widgets only; what they mean is decided in `run_review`."""

    chosen = Signal(int)
    stopped = Signal()
    pressed = Signal(str)
    subject_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("marrowpoint run")
        self._sentences: tuple[str, ...] = ()
        self._history: tuple[str, ...] = ()
        self.icon, self.verdict = QLabel(), QLabel()
        self.verdict.setWordWrap(True)
        self.tile = QWidget()
        head = QHBoxLayout(self.tile)
        head.setContentsMargins(6, 4, 6, 4)
        head.addWidget(self.icon)
        head.addWidget(self.verdict, 1)
        self.why = QTextBrowser()
        self.why.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.bar, self.stop = QProgressBar(), QPushButton("Stop")
        self.stop.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.stop.clicked.connect(self.stopped)
        self.curves = CurveView()
        self.curves.chosen.connect(self.chosen)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        words = QWidget()
        words.setMinimumWidth(WORDS_PX[0])
        words.setMaximumWidth(WORDS_PX[1])
        left = QVBoxLayout(words)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(3)
        left.addWidget(self.tile)
        left.addWidget(self.why, 1)
        left.addLayout(self._signing())
        below = QHBoxLayout()
        below.addWidget(self.bar, 1)
        below.addWidget(self.stop)
        left.addLayout(below)
        layout.addWidget(words, 1)
        right = QVBoxLayout()
        right.setSpacing(3)
        right.addLayout(self._row())
        right.addWidget(self.curves, 1)
        layout.addLayout(right, 3)

    def resizeEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Larger letters on a larger screen."""
        size_px = round(min(max(self.height() / LINES, LETTERS_PX[0]), LETTERS_PX[1]))
        self.verdict.setStyleSheet(f"font-weight: bold; font-size: {size_px}px; color: black;")
        self.why.setStyleSheet(f"font-size: {size_px - 1}px;")

    def begin(self, text: str = "") -> None:
        """A run is being followed."""
        self.stop.setText("Stop")
        self.offer(subjects=(), shown="", pictures=False, followed=False)
        self._paint(None, text or "Following the run \N{HORIZONTAL ELLIPSIS}")
        self._sentences = ()
        self.why.setHtml("")
        self.curves.say("The curves come when the whole run was gone through. The frames can be looked at meanwhile.")
        self.progress(0.0)

    def progress(self, share: float) -> None:
        """How far it is; hidden at 1."""
        busy = share < 1
        self.bar.setVisible(busy)
        self.stop.setVisible(busy)
        self.bar.setRange(0, 100)
        self.bar.setValue(round(100 * share))

    def tell(self, verdict: Verdict, sentences: Sequence[str]) -> None:
        """What is said of the run, and why."""
        self._paint(verdict, f"Run: {verdict.text}")
        self._sentences = tuple(sentences)
        self._show_why()
        self.progress(1.0)

    def tell_reviews(self, state: str, history: Sequence[str]) -> None:
        """How far the review of the run is, and what anyone decided."""
        self.state.setText(f"Run: {state}")
        self.state.setToolTip(state)
        self._history = tuple(history)
        self._show_why()

    def refuse(self, text: str) -> None:
        """Why there is nothing to say, and a button to try again."""
        self._paint(None, text)
        self._sentences = ()
        self.why.setHtml("")
        self.curves.say(text)
        self.progress(1.0)
        self.stop.setText("Follow")
        self.stop.setVisible(True)

    def offer(self, *, subjects: Sequence[str], shown: str, pictures: bool, followed: bool) -> None:
        """Which curves and which pictures there are."""
        for name, button in self.subjects.items():
            button.setVisible(len(subjects) > 1)
            button.setEnabled(name in subjects)
            button.setChecked(name == shown)
        for name, button in self.pictures.items():
            button.setEnabled(followed if name == RUN else pictures)
        self.target.setEnabled(pictures)

    def show_tool(self, *, drawing: bool) -> None:
        """Whether a target is being drawn."""
        self.target.setChecked(drawing)

    def show_pictures(self, shown: set[str]) -> None:
        """Which of them are on the screen."""
        for name, button in self.pictures.items():
            button.setChecked(name in shown)

    def _show_why(self) -> None:
        told = [Chapter(title="Why", sentences=self._sentences), Chapter(title="Decisions", sentences=self._history)]
        self.why.setHtml(as_html([chapter for chapter in told if chapter.sentences]))

    def _paint(self, verdict: Verdict | None, text: str) -> None:
        colour = "#9AA4AE" if verdict is None else code_of(SEVERITY_COLOUR[verdict.severity])
        self.tile.setStyleSheet(f"background: {colour}; color: black;")
        self.verdict.setText(text)
        self.icon.setVisible(verdict is not None)
        if verdict is not None:
            self.icon.setPixmap(severity_icon(verdict.severity, ICON_PX))

    def _row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.pictures: dict[str, QPushButton] = {}
        for name, words, does in PICTURES:
            self.pictures[name] = self._button(words)
            self.pictures[name].clicked.connect(lambda checked=False, does=does: self.pressed.emit(does))
            row.addWidget(self.pictures[name])
        self.target = self._button("Target  D")
        self.target.setToolTip("Draw the region where the contrast should be: click its corners, Return closes it.")
        self.target.clicked.connect(lambda checked=False: self.pressed.emit("draw_target"))
        row.addWidget(self.target)
        event = QPushButton("Next event  J")
        event.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        event.clicked.connect(lambda checked=False: self.pressed.emit("go_event"))
        row.addWidget(event)
        row.addStretch(1)
        self.subjects: dict[str, QPushButton] = {}
        for name in ("needle", "contrast"):
            self.subjects[name] = self._button(name.capitalize())
            self.subjects[name].clicked.connect(lambda checked=False, name=name: self.subject_chosen.emit(name))
            row.addWidget(self.subjects[name])
        return row

    def _signing(self) -> QVBoxLayout:
        """Decisions about the whole run; those about the frame are in the panel at the right."""
        self.state = QLabel("Run: not reviewed")
        self.state.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        buttons = QHBoxLayout()
        buttons.setSpacing(3)
        shift = "\N{UPWARDS WHITE ARROW}"
        for does, words in (
            ("accept_run", f"Accept {shift}A"),
            ("reject_run", f"Reject {shift}R"),
            ("comment_run", f"Note {shift}M"),
        ):
            button = QPushButton(words)
            button.setStyleSheet("padding: 3px;")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda checked=False, does=does: self.pressed.emit(does))
            buttons.addWidget(button)
        box = QVBoxLayout()
        box.setSpacing(3)
        box.addWidget(self.state)
        box.addLayout(buttons)
        return box

    def _button(self, words: str) -> QPushButton:
        button = QPushButton(words)
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return button


def show_counts(window: QWidget, *, shown: bool) -> None:
    """Show or hide the numbers of a napari slider, which count from 0 where frames count from 1."""
    for name in ("slice_label", "slice_label_sep"):
        for label in window.findChildren(QWidget, name):
            label.setVisible(shown)
