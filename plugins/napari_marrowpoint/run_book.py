"""What a person set and decided about the run on the screen, without its window: target, undo, journal, ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from psygnal import Signal

from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import FrameReference, Points
from marrowpoint.review import Action, Corrections, FrameKey
from marrowpoint.review.entry import DECISIONS, Entry, decide, last_signed
from marrowpoint.review.listing import Review
from marrowpoint.runs.run import RunAssessment
from napari_marrowpoint.desk import Desk


class RunBook:
    """The book of one run at a time.

    Parameters
    ----------
    desk : Desk
        Of the review: its journal, its ledger, its rater.
    """

    changed = Signal()
    """Another target holds, or another decision."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.key: FrameKey | None = None
        self.base: RunAssessment | None = None
        self.corrections = Corrections()
        self.changed_at: datetime | None = None

    @property
    def target(self) -> Points | None:
        """Corners of the region where the person wants the contrast, (row, column) in the picture before contrast [px]."""
        return self.corrections.target

    @property
    def can_undo(self) -> bool:
        """Whether there is a target to take back."""
        return self.key is not None and self.desk.journal.can_undo(self.key)

    @property
    def can_redo(self) -> bool:
        """Whether there is one to draw again."""
        return self.key is not None and self.desk.journal.can_redo(self.key)

    def open(self, base: RunAssessment) -> None:
        """Take a run as the program judged it, with what this person is at or signed before."""
        if base is self.base:
            return
        self.base, self.changed_at = base, None
        self.key = FrameKey.of_run(base.references) if base.references else None
        self.corrections = Corrections() if self.key is None else self._standing(self.key, base.references)
        if "target" in self.corrections.marks:
            self.changed_at = self.corrections.marks["target"].at
        self.changed.emit()

    def close(self) -> None:
        """No run is on the screen."""
        self.key, self.base, self.corrections, self.changed_at = None, None, Corrections(), None

    def set_target(self, corners: Points | None) -> None:
        """Take a target, or None for no target."""
        if self.key is None or self.base is None or self.base.contrast is None:
            self.desk.told.emit("No contrast was followed in this run: there is nothing to hold against a target.")
            return
        try:
            changed = self.corrections.changed(by=self.desk.rater or "reader", target=corners)
            self.desk.journal.record(self.key, changed)
        except (ValueError, MarrowpointError) as error:
            self.desk.told.emit(error.text if isinstance(error, MarrowpointError) else str(error))
            return
        self._take(changed)

    def undo(self) -> None:
        """Take the last change of the target back."""
        if self.key is not None:
            self._take(self.desk.journal.undo(self.key))

    def redo(self) -> None:
        """Make it again."""
        if self.key is not None:
            self._take(self.desk.journal.redo(self.key))

    def decide(self, action: Action, shown: RunAssessment | None, reason: str = "") -> bool:
        """Write a decision about the run into the ledger; to accept it with a target of one's own is to correct it.

        Parameters
        ----------
        action : Action
        shown : RunAssessment or None
            As judged with what the person set; None where that is not known yet.
        reason : str

        Returns
        -------
        bool
            Whether it stands in the ledger.
        """
        if self.base is None or shown is None:
            self.desk.told.emit("This run has no verdict yet.")
            return False
        changed = not self.corrections.empty
        if action is Action.ACCEPT and changed:
            action = Action.CORRECT
        try:
            entry = decide(
                self.base, action, rater=self.desk.rater, corrected=shown if changed else None, corrections=self.corrections,
                reason=reason,
            )  # fmt: skip
            self.desk.session.write(entry)
            if action in DECISIONS:
                self.desk.journal.settle(entry.frame)
        except (ValueError, MarrowpointError) as error:
            self.desk.told.emit(error.text if isinstance(error, MarrowpointError) else str(error))
            return False
        self.changed.emit()
        return True

    def entries(self) -> tuple[Entry, ...]:
        """What anyone wrote about the run, in order."""
        return () if self.key is None or self.base is None else self.desk.session.entries_about_run(self.base.references)

    def reviews(self) -> tuple[Review, ...]:
        """The standing decision of each rater."""
        return () if self.key is None else self.desk.session.reviews_of(self.key, self.entries())

    def _take(self, corrections: Corrections) -> None:
        self.corrections, self.changed_at = corrections, datetime.now(UTC)
        self.changed.emit()

    def _standing(self, key: FrameKey, references: Sequence[FrameReference]) -> Corrections:
        if self.desk.journal.can_undo(key) or self.desk.journal.can_redo(key):
            return self.desk.journal.current(key)
        for before in self.desk.journal.unsettled():
            if before.whole_run and any(before.path == reference.path for reference in references):  # other stills since
                self.desk.journal.record(key, self.desk.journal.current(before))
                self.desk.journal.settle(before)
                return self.desk.journal.current(key)
        return last_signed(self.entries(), self.desk.rater)
