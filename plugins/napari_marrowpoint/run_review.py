"""A run under review: followed beside the window, its curves and pictures tied to the frame on the screen."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Any

from napari.qt.threading import thread_worker
from qtpy.QtCore import QObject, Signal

from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import Points
from marrowpoint.read import ImageFile
from marrowpoint.review import Action
from marrowpoint.review.film import Film
from marrowpoint.review.runs import (
    CONTRAST,
    curves_of,
    moments_of,
    onto_mask,
    run_sentences,
    subjects,
    subtraction_words,
    told_film,
)
from marrowpoint.runs.collect import RunRequest
from marrowpoint.runs.run import RunAssessment
from napari_marrowpoint.canvas import Canvas
from napari_marrowpoint.desk import Desk
from napari_marrowpoint.layers import BEFORE, PICTURE, RUN, SUBTRACTED, TARGET, Line, followed_lines
from napari_marrowpoint.run_book import RunBook
from napari_marrowpoint.run_panel import RunPanel
from napari_marrowpoint.targets import target_marks
from napari_marrowpoint.words import run_history, run_state

# followed runs with their pictures, some 10 MB each
KEPT = 4
STOPPED = "Stopped: the run was not followed."
Key = tuple[tuple[ImageFile, ...], float | None, str, bytes]


class RunReview(QObject):
    """What the dock of a run shows, and the thread that follows the run.

    Parameters
    ----------
    canvas : Canvas
    panel : RunPanel
    """

    progressed = Signal(float)
    changed = Signal()
    """Another run is shown, or none, or more is known of it."""

    def __init__(self, canvas: Canvas, panel: RunPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.canvas, self.panel = canvas, panel
        self.desk: Desk | None = None
        self.book: RunBook | None = None
        self.film: Film | None = None
        self.run: RunAssessment | None = None
        self._files: tuple[ImageFile, ...] = ()
        self._subject = ""
        self._told: RunAssessment | str | None = None
        self._results: OrderedDict[Key, RunAssessment | str] = OrderedDict()
        self._hold, self._stop = threading.Event(), threading.Event()
        self._working: Key | None = None
        self.progressed.connect(panel.progress)
        panel.chosen.connect(self.go)
        panel.stopped.connect(self.stop_or_go_on)
        panel.subject_chosen.connect(self._choose_subject)

    @property
    def busy(self) -> bool:
        """Whether a run is being followed."""
        return self._working is not None

    @property
    def time_s(self) -> float | None:
        """Time of the frame on the screen from the first [s], where the file says."""
        row = None if self.desk is None else self.desk.row
        seconds = None if self.film is None else self.film.seconds
        return None if row is None or seconds is None or row.run_index >= len(seconds) else seconds[row.run_index]

    @property
    def note(self) -> str:
        """What must be known of a subtracted picture."""
        row = None if self.desk is None else self.desk.row
        if row is None or self.run is None or not self.canvas.shows(SUBTRACTED):
            return "before contrast" if self.canvas.shows(BEFORE) else ""
        return subtraction_words(self.run, row.run_index)

    def attach(self, desk: Desk, hold: threading.Event) -> None:
        """Follow a desk from now on.

        Parameters
        ----------
        desk : Desk
        hold : threading.Event
            Set while a run is followed: other work waits.
        """
        self.desk, self._hold, self.book = desk, hold, RunBook(desk)
        self.book.changed.connect(self._book_changed)
        desk.moved.connect(self._moved)
        desk.regrouped.connect(lambda: self._moved(desk.place))
        desk.shown_changed.connect(self._shown)

    def detach(self) -> None:
        """Let go of the desk; what is under way stops after the frame at hand."""
        self._stop.set()
        self.desk = self.book = None
        self._results.clear()
        self._leave()

    def go(self, frame: int) -> None:
        """Show a frame of the run, from 0."""
        row = None if self.desk is None else self.desk.row
        places = () if row is None or not self._files else row.run_places
        if self.desk is not None and row is not None and frame != row.run_index and frame < len(places):
            self.desk.go(places[frame])

    def go_event(self) -> bool:
        """Show the next event, round the end; returns whether there is one."""
        row = None if self.desk is None else self.desk.row
        frames = sorted({moment.frame for moment in self.panel.curves.moments})
        if row is None or not frames:
            return False
        self.go(next((frame for frame in frames if frame > row.run_index), frames[0]))
        return True

    def toggle(self, name: str) -> bool:
        """Show or hide one of the run's pictures; returns whether there is such a thing."""
        if name not in self.canvas.layers and not (name == RUN and self.run is not None):
            return False
        shown = self.canvas.toggle(name)
        other = {SUBTRACTED: BEFORE, BEFORE: SUBTRACTED}.get(name)
        if other is not None and shown:
            self.canvas.set_shown([other], False)
        self._draw()
        self.changed.emit()
        return True

    def stop_or_go_on(self) -> None:
        """Stop following, or begin anew what was stopped."""
        if self._working is not None:
            self._results[self._working] = STOPPED  # until a person says otherwise
            self._stop.set()
        elif (key := self._key()) is not None:
            self._results.pop(key, None)
            self._follow()

    def _moved(self, place: int | None) -> None:
        assert self.desk is not None
        row, files = self.desk.row, self.desk.film
        if row is not None and not files and (row.image,) == self._files:
            return  # one damaged frame is no other run
        if files != self._files:
            self._leave()
            if files:
                self._enter(files)
        if row is not None and self._files:
            self.panel.curves.show_frame(row.run_index)
            self._draw()

    def _shown(self, shown: Any) -> None:
        if shown is not None and self._files:
            self._follow()  # with another needle a run has another scale
            self.canvas.lay_pictures(self.run, None if self.desk is None else self.desk.picture)
            if RUN not in self.canvas.layers:  # another scale takes it away; a pull of the needle does not
                self._draw()

    def _enter(self, files: tuple[ImageFile, ...]) -> None:
        assert self.desk is not None and self.desk.place is not None
        self._files = files
        with suppress(MarrowpointError):  # what is wrong with the file stands in the list
            self.film = self.desk.session.film(self.desk.place)
        self._follow()

    def _leave(self) -> None:
        self._stop.set()
        self._files, self.film, self.run, self._told = (), None, None, None
        self._subject = ""  # what the next run is about comes first
        if self.book is not None:
            self.book.close()
        for name in (BEFORE, SUBTRACTED, RUN, TARGET):
            self.canvas.remove(name)
        self.panel.curves.say("")
        self.panel.tell_reviews("not reviewed", ())
        self.changed.emit()

    @property
    def followable(self) -> bool:
        """Whether what is on the screen is a run of projections."""
        return self.film is not None and self.film.followable

    def _key(self) -> Key | None:
        if self.desk is None or not self.followable:
            return None
        plain = self._files, self.desk.stated_needle_mm, self.desk.profile.sha256, b""
        target = None if self.book is None else self.book.target
        # the program's own verdict comes first: what a person drew is held beside it
        if target is None or not isinstance(self._results.get(plain), RunAssessment):
            return plain
        return (*plain[:3], target.tobytes())

    def _follow(self) -> None:
        key = self._key()
        if key is None:
            return
        found = self._results.get(key)
        if found is not None:
            if found is not self._told:
                self._show(found)
        elif self._working is None:
            self._start(key)
        elif self._working != key:
            self._stop.set()  # begins anew when that one has ended

    def _start(self, key: Key) -> None:
        assert self.desk is not None and self.film is not None
        film, (_, outer_mm, _, drawn) = self.film, key
        target = self.book.target if self.book is not None and drawn else None
        stop = self._stop = threading.Event()
        request = RunRequest(profile=self.desk.profile, network=self.desk.analyst.network, outer_diameter_mm=outer_mm)
        self._working, last = key, [0.0]
        self._hold.set()
        self._told = None
        self.panel.begin("Following the run again, with your target \N{HORIZONTAL ELLIPSIS}" if drawn else "")
        self.changed.emit()

        def progressed(share: float) -> None:
            if share - last[0] >= 0.01:
                last[0] = share
                self.progressed.emit(share)

        def follow() -> tuple[Key, RunAssessment | str | None]:
            return key, told_film(film, request, target=target, cancelled=stop.is_set, progressed=progressed)

        worker = thread_worker(follow)()
        worker.returned.connect(self._followed)
        worker.start()

    def _followed(self, found: tuple[Key, Any]) -> None:
        key, result = found
        self._working = None
        self._hold.clear()
        if self.desk is None:
            return
        if result is not None:
            self._results[key] = result
            while len(self._results) > KEPT:
                self._results.popitem(last=False)
        self._follow()

    def _show(self, found: RunAssessment | str) -> None:
        self._told = found
        if isinstance(found, str):
            self.run = None
            self.panel.refuse(found)
            self.panel.offer(subjects=(), shown="", pictures=False, followed=False)
            self.changed.emit()
            return
        self.run = found
        key = self._key()
        if self.book is not None and key is not None and not key[3]:
            self.book.open(found)
            key = self._key()  # a target that came back from the journal or the ledger is followed at once
            if key is not None and key[3]:
                self._follow()
                return
        told = subjects(found)
        self._subject = self._subject if self._subject in told else (told[0] if told else "")
        self.panel.tell(found.verdict, run_sentences(found))
        self._tell_book()
        self._show_curves()
        self.canvas.lay_pictures(self.run, None if self.desk is None else self.desk.picture)
        self._draw()
        self.changed.emit()

    def _show_curves(self) -> None:
        run = self.run
        if run is None:
            return
        told = subjects(run)
        if self._subject:
            before = run.contrast.mask_frames if run.contrast is not None and self._subject == CONTRAST else ()
            self.panel.curves.show_run(
                self._subject, curves_of(run, self._subject), moments_of(run, self._subject),
                count=len(run.references), seconds=run.times.seconds, before=before,
            )  # fmt: skip
        else:
            self.panel.curves.say("Nothing to draw: neither a needle nor contrast was followed.")
        self.panel.offer(subjects=told, shown=self._subject, pictures=run.pictures is not None, followed=bool(told))

    def _choose_subject(self, name: str) -> None:
        self._subject = name
        self._show_curves()

    def _draw(self) -> None:
        """Outline of the contrast and the followed tip, in the frame on the screen."""
        row = None if self.desk is None else self.desk.row
        self.panel.show_pictures({name for name in (SUBTRACTED, BEFORE, RUN) if self.canvas.wants(name)})
        if self.run is None or row is None or PICTURE not in self.canvas.layers:
            return
        in_frame = not (self.canvas.shows(SUBTRACTED) or self.canvas.shows(BEFORE))
        lines: list[Line] = followed_lines(self.run, row.run_index, in_frame=in_frame)
        self.canvas.draft(RUN, lines)
        self._draw_target(row.run_index, in_frame=in_frame)

    def take_target(self, corners: Points | None) -> None:
        """Take a region that was drawn on the frame on the screen; None takes the target away."""
        row = None if self.desk is None else self.desk.row
        if self.book is None or row is None or self.run is None:
            return
        if corners is not None and not (self.canvas.shows(SUBTRACTED) or self.canvas.shows(BEFORE)):
            corners = onto_mask(corners, self.run, row.run_index)
        self.book.set_target(corners)

    def sign(self, action: Action, reason: str = "") -> bool:
        """Write a decision about the run into the ledger; returns whether it stands there."""
        key = self._key()
        shown = None if key is None else self._results.get(key)
        known = shown if isinstance(shown, RunAssessment) else None
        return self.book is not None and self.book.decide(action, known, reason)

    def _book_changed(self) -> None:
        self._follow()
        self._tell_book()
        self._draw()

    def _tell_book(self) -> None:
        if self.book is not None:
            told = run_state(self.book.reviews(), self.book.corrections.set_by("target"), signed=not self.book.can_undo)
            self.panel.tell_reviews(told, run_history(self.book.entries()))

    def _draw_target(self, frame: int, *, in_frame: bool) -> None:
        """The region where the person wants the contrast, moved with the patient."""
        if self.book is None or self.book.target is None or self.run is None:
            self.canvas.remove(TARGET)
        else:
            by = self.book.corrections.set_by("target")
            self.canvas.draft(TARGET, *target_marks(self.book.target, self.run, frame, by, in_frame=in_frame))
