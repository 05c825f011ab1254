"""What keys and buttons do with a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from marrowpoint.review import Action
from marrowpoint.review.launch import remember_name, suggested_name
from napari_marrowpoint.hints import Tool
from napari_marrowpoint.layers import BEFORE, RUN, SUBTRACTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_marrowpoint.review import Review


class RunCommands:
    """One method a key of `keys.KEYS` that is about a run.

    Parameters
    ----------
    review : Review
    """

    def __init__(self, review: Review) -> None:
        self.review = review
        self._undone_on_run = False

    def toggle_subtracted(self) -> None:
        """The run without what was there before contrast."""
        self._toggle_run(SUBTRACTED)

    def toggle_before(self) -> None:
        """The picture before contrast."""
        self._toggle_run(BEFORE)

    def toggle_followed(self) -> None:
        """What was followed through the run."""
        self._toggle_run(RUN)

    def go_event(self) -> None:
        """Next event of the run."""
        if not self.review.runs.go_event():
            self.review.say("No event of a run is known here.")

    def draw_target(self) -> None:
        """Where the contrast should be."""
        run = self.review.runs.run
        if run is None or run.contrast is None:
            self.review.say("No contrast was followed here: a target is held against the contrast of a run.")
        elif self.review.tools is not None:
            self.review.say("")  # what was decided before says nothing of the target to come
            self.review.tools.choose(Tool.TARGET)

    def accept_run(self) -> None:
        """Accept what is said of the run, or sign the target."""
        if self.review.tools is not None:
            self.review.tools.end_target()
        self.sign_run(Action.ACCEPT)

    def reject_run(self) -> None:
        """Ask why, then reject what is said of the run."""
        self._ask_run("Why is what is said of the run wrong?", Action.REJECT)

    def comment_run(self) -> None:
        """Ask for a comment on the run."""
        self._ask_run("Comment on the run", Action.COMMENT)

    def withdraw_run(self) -> None:
        """Take one's decision about the run back."""
        self.sign_run(Action.WITHDRAW)

    def sign_run(self, action: Action, reason: str = "") -> None:
        """Write a decision about the run."""
        if not self.review.runs.followable:
            self.review.say("This frame belongs to no run that is followed.")
        elif self.has_name(partial(self.sign_run, action, reason)) and self.review.runs.sign(action, reason):
            self.review.say("What you decided about the run stands in the ledger.")

    def has_name(self, then: Callable[[], None]) -> bool:
        """Whether it is known who reviews; asks, and then goes on with what was to be done."""
        desk = self.review.desk
        if desk is not None and not desk.rater:
            self.review.panel.ask("Your name, for the ledger", partial(self._named, then=then), suggested_name())
        return desk is not None and bool(desk.rater)

    def undo_on_run(self) -> bool:
        """Take the target back, where that is what was changed last; returns whether it was."""
        book, desk = self.review.runs.book, self.review.desk
        self._undone_on_run = False
        if book is not None and desk is not None and book.can_undo:
            times = [mark.at for mark in desk.corrections.marks.values()]
            self._undone_on_run = not times or book.changed_at is None or book.changed_at >= max(times)
            if self._undone_on_run:
                book.undo()
        return self._undone_on_run

    def redo_on_run(self) -> bool:
        """Draw the target again, where it was what was taken back last; returns whether it was."""
        book = self.review.runs.book
        if book is None or not self._undone_on_run or not book.can_redo:
            return False
        book.redo()
        return True

    def _named(self, name: str, *, then: Callable[[], None]) -> None:
        self.review.set_rater(name)
        remember_name(name)
        then()

    def _ask_run(self, question: str, action: Action) -> None:
        if self.review.runs.run is not None:
            self.review.panel.ask(question, partial(self.sign_run, action))

    def _toggle_run(self, name: str) -> None:
        if not self.review.runs.toggle(name):
            self.review.say("This frame has no such picture: it belongs to no followed run, or nothing could be subtracted.")
