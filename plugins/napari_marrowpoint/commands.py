"""What keys and buttons do in a review."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDialog, QFileDialog, QLabel, QVBoxLayout, QWidget

from marrowpoint.review import Action
from napari_marrowpoint.hints import Tool
from napari_marrowpoint.keys import FAR, KEYS, card
from napari_marrowpoint.layers import BONE, NEEDLE, RUN, THICKNESS, WORDS
from napari_marrowpoint.run_commands import RunCommands
from napari_marrowpoint.tools import Tools
from napari_marrowpoint.writer import write_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_marrowpoint.desk import Desk
    from napari_marrowpoint.review import Review

NUDGE_PX, FAR_NUDGE_PX = 0.1, 1.0
TIP_ZOOM = 6.0  # screen pixels a frame pixel when the tip is shown large


class Commands(RunCommands):
    """One method a key of `keys.KEYS`.

    Parameters
    ----------
    review : Review
    """

    def __init__(self, review: Review) -> None:
        super().__init__(review)
        self._card: QDialog | None = None
        self._bare = False

    @property
    def desk(self) -> Desk | None:
        """What is under review, if anything is."""
        return self.review.desk

    @property
    def tools(self) -> Tools | None:
        """The mouse's tools, if anything is under review."""
        return self.review.tools

    def bind(self) -> None:
        """Bind the keys in the whole window, wherever the mouse was last; lines of words keep their letters."""
        for key in KEYS:
            for sequence in key.keys:
                self._bind(sequence, getattr(self, key.does))
        for does, sequence in FAR.items():
            self._bind(sequence, partial(getattr(self, does), FAR_NUDGE_PX))

    def do(self, name: str) -> None:
        """Do what a button names."""
        getattr(self, name)()

    def go_next(self) -> None:
        """Next frame."""
        self._step(1)

    def go_previous(self) -> None:
        """Previous frame."""
        self._step(-1)

    def go_open(self) -> None:
        """Next frame that this person has not reviewed."""
        if self.desk is not None and self.desk.place is not None:
            self._go(self.desk.session.next_not_reviewed(self.desk.place, self.desk.rater), "Every frame is reviewed.")

    def go_problem(self) -> None:
        """Next frame that needs a look first."""
        if self.desk is not None and self.desk.place is not None:
            self._go(self.desk.session.next_problem(self.desk.place), "No other problem.")

    def go_partner(self) -> None:
        """The other view of this needle."""
        if self.desk is not None and self.desk.place is not None:
            self._go(self.desk.session.partner(self.desk.place), "No other view of this needle was found.")

    def accept(self) -> None:
        """Accept, or end a live-wire, or sign a correction."""
        if self.tools is not None and (self.tools.end_wire() or self.tools.end_target()):
            return
        self.sign(Action.ACCEPT)

    def reject(self) -> None:
        """Ask why, then reject."""
        if self.desk is not None and self.desk.shown is not None:
            self.review.panel.offer_reasons()

    def flag(self) -> None:
        """Flag the frame."""
        self.sign(Action.FLAG, go_on=False)

    def comment(self) -> None:
        """Ask for a comment."""
        if self.desk is not None and self.desk.shown is not None:
            self.review.panel.ask("Comment", lambda text: self.sign(Action.COMMENT, text, go_on=False))

    def withdraw(self) -> None:
        """Take one's decision back."""
        self.sign(Action.WITHDRAW, go_on=False)

    def place_needle(self) -> None:
        """Draw a needle."""
        self.choose(Tool.NEEDLE)

    def edit_outline(self) -> None:
        """Pull points of the outline."""
        self.choose(Tool.OUTLINE)

    def draw_wire(self) -> None:
        """Draw along the cortex."""
        self.choose(Tool.WIRE)

    def set_scale(self) -> None:
        """Scale by two points."""
        self.choose(Tool.SCALE)

    def delete_point(self) -> None:
        """Remove an outline point."""
        if self.tools is not None:
            self.tools.delete_point()

    def confirm_outline(self) -> None:
        """The outline near the tip is right, or no longer said to be."""
        if self.desk is not None:
            self.desk.correct(outline_confirmed=None if self.desk.corrections.outline_confirmed else True)

    def toggle_end_on(self) -> None:
        """Whether the needle points along the beam."""
        if self.desk is not None and self.desk.shown is not None and self.desk.shown.needle is not None:
            self.desk.correct(end_on=not self.desk.shown.needle.end_on)

    def nudge_up(self, step: float = NUDGE_PX) -> None:
        """Tip up."""
        self._nudge(-step, 0.0)

    def nudge_down(self, step: float = NUDGE_PX) -> None:
        """Tip down."""
        self._nudge(step, 0.0)

    def nudge_left(self, step: float = NUDGE_PX) -> None:
        """Tip left."""
        self._nudge(0.0, -step)

    def nudge_right(self, step: float = NUDGE_PX) -> None:
        """Tip right."""
        self._nudge(0.0, step)

    def undo(self) -> None:
        """Take the last correction back."""
        if self.desk is not None and self.tools is not None:
            self.tools.put_down()
            if not self.undo_on_run():
                self.desk.undo()

    def redo(self) -> None:
        """Make it again."""
        if self.desk is not None and self.tools is not None:
            self.tools.put_down()
            if not self.redo_on_run():
                self.desk.redo()

    def escape(self) -> None:
        """Drop what is half done; then the tool; then the question."""
        if self.tools is not None and not self.tools.drop():
            self.tools.put_down()
        elif self.tools is not None:
            self.tools.resume()
        self.review.panel.leave()
        self.review.say("")

    def toggle_outline(self) -> None:
        """Outline."""
        self.review.canvas.toggle(BONE)

    def toggle_needle(self) -> None:
        """Needle."""
        self.review.canvas.toggle(NEEDLE)

    def toggle_lengths(self) -> None:
        """Lengths."""
        self.review.canvas.toggle(WORDS)

    def toggle_thickness(self) -> None:
        """Thickness map."""
        shown = self.review.canvas.toggle(THICKNESS)
        if shown and THICKNESS not in self.review.canvas.layers:
            self.review.say("This frame has no thickness map.")

    def toggle_all(self) -> None:
        """Everything over the picture."""
        self._bare = not self._bare
        self.review.canvas.set_shown([BONE, NEEDLE, WORDS, RUN], not self._bare)

    def invert(self) -> None:
        """Black and white."""
        self.review.canvas.invert()

    def zoom_tip(self) -> None:
        """Tip large, or the whole picture."""
        needle = None if self.desk is None or self.desk.shown is None else self.desk.shown.needle
        if needle is None or self.review.canvas.px_per_pixel >= TIP_ZOOM * 0.99:
            self.review.viewer.reset_view()
        else:
            self.review.canvas.look_at(needle.tip, TIP_ZOOM)

    def show_why(self) -> None:
        """The reasons."""
        self.review.panel.tabs.setCurrentIndex(0)
        self.review.panel.why.verticalScrollBar().setValue(0)

    def show_partner(self) -> None:
        """The other view beside this one, or not."""
        self.review.partner.setVisible(not self.review.partner.isVisible())
        self.review.update_partner()

    def export(self) -> None:
        """Save record and overlay."""
        desk = self.desk
        if desk is None or desk.shown is None or desk.frame is None:
            return
        name = Path(desk.frame.reference.path).stem + f"_f{desk.frame.reference.frame_number:04d}.json"
        chosen, _ = QFileDialog.getSaveFileName(self.review, "Save record and overlay", name, "JSON (*.json)")
        if chosen:
            try:
                written = write_frame(Path(chosen), desk.shown, desk.corrections, desk.profile)
                self.review.say(f"Saved {' and '.join(Path(each).name for each in written)}.")
            except OSError as error:
                self.review.say(f"Not saved: {error.strerror or 'the disk refused'}. Choose another folder.")

    def show_keys(self) -> None:
        """The card of the keys."""
        if self._card is None:
            self._card = key_card(self.review)
        self._card.setVisible(not self._card.isVisible())

    def _go(self, place: int | None, otherwise: str) -> None:
        if place is None or self.desk is None:
            self.review.say(otherwise)
        else:
            self.desk.go(place)

    def _step(self, step: int) -> None:
        if self.desk is not None and self.desk.place is not None:
            place = self.desk.place + step
            there = 0 <= place < len(self.desk.session)
            self._go(place if there else None, "This is the last frame." if step > 0 else "This is the first frame.")

    def choose(self, tool: Tool) -> None:
        """Take a tool, or put it down."""
        if self.tools is not None and self.desk is not None and self.desk.base is not None:
            self.tools.choose(tool)

    def sign(self, action: Action, reason: str = "", *, go_on: bool = True) -> None:
        """Write a decision, then go to the next frame that waits for one."""
        named = self.has_name(partial(self.sign, action, reason, go_on=go_on))
        if named and self.desk is not None and self.desk.decide(action, reason) and go_on:
            self.go_open()

    def _nudge(self, rows: float, columns: float) -> None:
        if self.desk is not None and self.desk.shown is not None and self.desk.shown.needle is not None:
            row, column = self.desk.shown.needle.tip
            self.desk.correct(tip=(row + rows, column + columns))

    def _bind(self, sequence: str, does: Callable[[], None]) -> None:
        shortcut = QShortcut(QKeySequence(sequence), self.review)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(does)
        # napari's own menus know some of these keys; in a review they are ours
        shortcut.activatedAmbiguously.connect(does)


def key_card(parent: QWidget) -> QDialog:
    """A window with all keys."""
    dialog = QDialog(parent)
    dialog.setWindowTitle("Keys")
    columns = ["", ""]
    for number, (group, told) in enumerate(card()):
        rows = "".join(f"<tr><td><b>{keys}</b>&nbsp;&nbsp;</td><td>{what}</td></tr>" for keys, what in told)
        columns[number % 2] += f"<h3>{group}</h3><table>{rows}</table>"
    beside = "</td><td>&nbsp;&nbsp;</td><td valign=top>".join(columns)
    words = QLabel(f"<table><tr><td valign=top>{beside}</td></tr></table>")
    QVBoxLayout(dialog).addWidget(words)
    return dialog
