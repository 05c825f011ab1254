"""One review without its window: which frame is shown, what a person changed on it, and where that is written down."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from psygnal import Signal

from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.frame import Frame
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile, read_profile
from marrowpoint.review import Action, Corrections, FrameKey, open_ledger, place_ledger, reassess
from marrowpoint.review.cache import AssessmentCache
from marrowpoint.review.entry import DECISIONS, decide, last_signed
from marrowpoint.review.journal import Journal, open_journal
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.review.session import Listed, Row, Session, State
from marrowpoint.review.worker import Analyst, Finished
from napari_marrowpoint.shelf import Shelf, StatedNeedles
from napari_marrowpoint.stack import FrameStack


class Desk:
    """A review at work. Everything here happens in the window's thread.

    Parameters
    ----------
    request : ReviewRequest
        Folder, ledger, profile and rater.
    network : BoneNetwork or None
        The learned prior.
    cache : AssessmentCache or None
        Keeps analyses between windows.
    data_folder : Path or None
        For ledger and journal where the folder cannot be written; the user's own if not given.
    """

    rows_changed = Signal(tuple)  # rows that were added or changed
    moved = Signal(int)  # another frame is shown
    shown_changed = Signal(object)  # what is said of it: an Assessment, or None as long as that is not known
    wanted = Signal(int)  # the frame at this place should be analysed now
    partner_changed = Signal(object)  # the other view of this needle: an Assessment, or None
    regrouped = Signal()  # the frame on the screen belongs to another run than before, or to none
    told = Signal(str)  # a sentence for the person

    def __init__(
        self,
        request: ReviewRequest,
        *,
        network: BoneNetwork | None = None,
        cache: AssessmentCache | None = None,
        data_folder: Path | None = None,
    ) -> None:
        self.request, self.rater = request, request.rater
        profile = read_profile(request.profile)
        self.analyst = Analyst(profile=profile, network=network, cache=cache, outer_diameter_mm=request.outer_diameter_mm)
        self.journal: Journal = open_journal(request.folder, data_folder=data_folder)
        found = place_ledger(request.folder, request.ledger, data_folder=data_folder)
        self.ledger_path, self.ledger_note = found.path, found.note
        self.session = Session(profile=profile, provenance=self.analyst.provenance, ledger=open_ledger(found.path))
        self.session.refresh()
        self.place: int | None = None
        self.frame: Frame | None = None
        self.base: Assessment | None = None
        self.shown: Assessment | None = None
        self.corrections = Corrections()
        self.partner_wanted = False
        self._needles = StatedNeedles(lambda study: self.session.needle_of(study, self.rater))
        self._shelf = Shelf()

    @property
    def profile(self) -> Profile:
        """Thresholds in force."""
        return self.analyst.profile

    @property
    def row(self) -> Row | None:
        """Row of the frame that is shown."""
        return None if self.place is None else self.session.row(self.place)

    @property
    def picture(self) -> Any:
        """What the screen shows: a frame's pixels, or its whole run."""
        if self.frame is None or self.row is None or self._shelf.example(self.place) is not None:
            return None if self.frame is None else self.frame.pixels
        stack = self._stack(self.row)
        return stack if len(stack) > 1 else self.frame.pixels

    @property
    def film(self) -> tuple[ImageFile, ...]:
        """Files of the run that the frame on the screen belongs to; none where it belongs to none."""
        return () if self.place is None else self.session.run_files(self.place)

    @property
    def stated_needle_mm(self) -> float | None:
        """Outer diameter stated for the study on the screen, else for all [mm]."""
        stated = None if self.frame is None else self._needles.of(self.frame.reference.study_instance_uid)
        return stated or self.analyst.outer_diameter_mm

    def close(self) -> None:
        """Give the journal free; a later window goes on from it."""
        self.journal.close()

    def list_frame(self, listed: Listed) -> None:
        """Take a frame that was found; the first one that can be read is shown at once."""
        row = self.session.add(listed)
        self.rows_changed.emit((row,))
        if self.place is None and row.state is not State.FAILURE:
            self.go(row.place)

    def give(self, name: str, assessment: Assessment) -> None:
        """Take an assessment that belongs to no file: an example."""
        row = self.session.add(Listed(image=ImageFile(path=Path(name), relative_path=name)))
        self._shelf.put_example(row.place, assessment)
        self.rows_changed.emit((self.session.finish(row.place, assessment),))
        if self.place is None:
            self.go(row.place)

    def listed_all(self) -> None:
        """All frames were found: read what stands in the ledger, and tell what came back."""
        self.rows_changed.emit(self.session.refresh())
        self._find_runs()
        if self.place is None and len(self.session):
            self.go(0)
        if left := len(self.journal.unsettled()):
            self.told.emit(f"Unsigned corrections of {left} frame{'s' if left > 1 else ''} were restored.")

    def go(self, place: int | None) -> None:
        """Show another frame."""
        if place is None or not 0 <= place < len(self.session):
            return
        self.place, self.base, self.shown, self.frame = place, None, None, None
        self.corrections = Corrections()
        row = self.session.row(place)
        if (example := self._shelf.example(place)) is not None:
            self.frame = example.frame
        elif row.state is not State.FAILURE:
            try:
                self.frame = self._stack(row).frame(row.run_index + 1)
            except MarrowpointError as error:
                self.fail(place, error.code, error.text)
        if self.frame is not None:
            self.corrections = self._standing_corrections(place, FrameKey.of(self.frame.reference))
        self.moved.emit(place)
        if self.frame is not None and (whole := self._shelf.whole(place)) is not None:
            self._set_base(whole)
            return
        self.shown_changed.emit(None)
        if self.frame is not None:
            self.wanted.emit(place)

    def take(self, place: int, assessment: Assessment) -> None:
        """Take a whole assessment of a frame."""
        self._shelf.put(place, assessment)
        row = self.session.row(place)
        if row.state is not State.VERDICT:
            self.rows_changed.emit((self.session.finish(place, assessment),))
        if place == self.place and self.base is None:
            self._set_base(assessment)
        if self.partner_wanted and place in (self.place, self.partner):
            self._show_partner()

    def fail(self, place: int, code: str, text: str) -> None:
        """A frame cannot be read; stills make a run without it."""
        belonged = self.session.row(place).stills
        self.rows_changed.emit((self.session.fail(place, code, text),))
        if belonged:
            self._find_runs()

    @property
    def partner(self) -> int | None:
        """Place of the other view of this needle."""
        return None if self.place is None else self.session.partner(self.place)

    def want_partner(self, *, wanted: bool) -> None:
        """Show the other view beside the frame, from now on."""
        self.partner_wanted = wanted
        if wanted:
            self._show_partner()

    def next_wanted(self) -> int | None:
        """Which frame should be analysed next: the one shown, the one beside it, the one after it."""
        if self.place is None:
            return None
        for place in (self.place, self.partner if self.partner_wanted else None, self.place + 1):
            there = place is not None and place < len(self.session)
            if place is not None and there and not self.holds(place) and self.session.row(place).state is not State.FAILURE:
                return place
        return None

    def _show_partner(self) -> None:
        partner = self.partner
        self.partner_changed.emit(None if partner is None else self._shelf.whole(partner))
        if partner is not None and not self.holds(partner):
            self.wanted.emit(partner)

    def take_finished(self, finished: Finished) -> None:
        """Take a result of the analysis in the background."""
        if finished.assessment is None:
            self.fail(finished.place, finished.failure, finished.text)
        elif self.session.row(finished.place).state is not State.VERDICT:
            self.rows_changed.emit((self.session.finish(finished.place, finished.assessment),))

    def look_around(self) -> None:
        """Take in what other windows wrote into the ledger."""
        with suppress(MarrowpointError):  # out of reach for now; a decision will say so
            if changed := self.session.refresh():
                self.rows_changed.emit(changed)

    def holds(self, place: int) -> bool:
        """Whether a frame can be shown without analysing it again."""
        return self._shelf.whole(place) is not None

    def preview(self, **fields: Any) -> None:
        """Show what a correction would make of the frame; nothing is kept."""
        if self.base is not None:
            self._show(self.corrections.changed(by=self._by(), **fields), quick=True)

    def correct(self, **fields: Any) -> None:
        """Take a correction; None gives a field back to the program."""
        if self.base is None or self.frame is None:
            return
        try:
            changed = self.corrections.changed(by=self._by(), **fields)
            self.journal.record(FrameKey.of(self.frame.reference), changed)
        except (ValueError, MarrowpointError) as error:
            self.told.emit(error.text if isinstance(error, MarrowpointError) else str(error))
            self.cancel()
            return
        self.corrections = changed
        self._show(changed)

    def declare_needle(self, outer_mm: float | None) -> None:
        """The needle of this study: stated once, it holds for the study's frames that are looked at from now on."""
        if self.frame is None or self.base is None or self.place is None:
            self.told.emit("This frame has no verdict yet.")
            return
        self.correct(outer_diameter_mm=outer_mm)
        study = self.frame.reference.study_instance_uid
        if study and self.corrections.outer_diameter_mm == outer_mm:  # frames without a name of their study may be anybody's
            self._needles.state(study, outer_mm, self.place)

    def cancel(self) -> None:
        """Show what stands; drops a correction that was only tried."""
        if self.base is not None:
            self._show(self.corrections)

    def undo(self) -> None:
        """Take the last correction of this frame back."""
        self._step(self.journal.undo, "Nothing to undo on this frame.")

    def redo(self) -> None:
        """Make an undone correction again."""
        self._step(self.journal.redo, "Nothing to do again on this frame.")

    def decide(self, action: Action, reason: str = "") -> bool:
        """Write a decision into the ledger; to accept what was corrected is to correct. Returns whether it stands there."""
        if self.place is None or self.base is None or self.shown is None:
            self.told.emit("This frame has no verdict yet.")
            return False
        if action is Action.ACCEPT and not self.corrections.empty:
            action = Action.CORRECT
        changed = not self.corrections.empty
        try:
            entry = decide(
                self.base, action, rater=self.rater, corrected=self.shown if changed else None,
                corrections=self.corrections, reason=reason,
            )  # fmt: skip
            row = self.session.decide(self.place, entry)
            if action in DECISIONS:
                self.journal.settle(entry.frame)
        except (ValueError, MarrowpointError) as error:
            self.told.emit(error.text if isinstance(error, MarrowpointError) else str(error))
            return False
        self.rows_changed.emit((row,))
        return True

    def study(self) -> StudyAssessment | None:
        """What all frames of this needle position say together."""
        return None if self.place is None else self.session.study(self.place)

    def use_profile(self, profile: Profile) -> None:
        """Go over to other thresholds: the frame on the screen at once, the others when they are analysed again."""
        self.analyst = replace(self.analyst, profile=profile)
        self.session.restate(self.analyst.provenance, profile)
        for row in self.session.rows:
            if row.state is State.VERDICT and self._shelf.example(row.place) is None:
                self.session.reset(row.place)
        self._shelf.clear()
        self.rows_changed.emit(self.session.rows)
        self.go(self.place)

    def _stack(self, row: Row) -> FrameStack:
        files = self.session.run_files(row.place) or (row.image,)
        return self._shelf.stack(files, self.profile.scale, row.run_index + 1 if row.stills else 1)

    def _find_runs(self) -> None:
        film = self.film
        if changed := self.session.find_runs():
            self.rows_changed.emit(changed)
        if self.frame is not None and self.film != film:
            self.regrouped.emit()

    def _by(self) -> str:
        return self.rater or "reader"

    def _step(self, step: Callable[[FrameKey], Corrections], otherwise: str) -> None:
        if self.frame is None or self.base is None:
            return
        before = self.corrections
        try:
            key = FrameKey.of(self.frame.reference)
            self.corrections = step(key)
            self._needles.forget(key.study_instance_uid, self.place)  # what is undone here no longer holds elsewhere
            self.corrections = self._needles.onto(self.corrections, key.study_instance_uid, self._by())
        except MarrowpointError as error:
            self.told.emit(error.text)
        if self.corrections == before:
            self.told.emit(otherwise)
        self._show(self.corrections)

    def _standing_corrections(self, place: int, key: FrameKey) -> Corrections:
        """What this person is at, else what they signed before."""
        if self.journal.can_undo(key) or self.journal.can_redo(key):
            return self.journal.current(key)
        return last_signed(self.session.entries(place), self.rater)

    def _set_base(self, assessment: Assessment) -> None:
        self.base, self.frame = assessment, assessment.frame
        key = FrameKey.of(assessment.frame.reference)
        if self.place is not None and self.corrections.empty:
            self.corrections = self._standing_corrections(self.place, key)
        self.corrections = self._needles.onto(self.corrections, key.study_instance_uid, self._by())
        self._show(self.corrections)

    def _show(self, corrections: Corrections, *, quick: bool = False) -> None:
        if self.base is None:
            return
        try:
            self.shown = reassess(self.base, corrections, self.profile, quick=quick)
        except ValueError as error:
            self.told.emit(str(error))
        self.shown_changed.emit(self.shown)
