"""Everything slow, beside the window: finding frames, analysing them, and the one that is looked at first of all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.qt.threading import thread_worker
from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork, load_network
from marrowpoint.review.session import Listed, State, list_frames
from marrowpoint.review.worker import Finished, analyse_frames, assess_row, work_list
from napari_marrowpoint.desk import Desk

# a person who leafs through frames stays on one at least this long before it is analysed [ms]
PAUSE_MS = 40
# threads of a window: all frames, the frame on the screen, and the run it belongs to; one more for the next window's
AT_ONCE = 4
# how often to look for decisions of other windows [ms]
ROUND_MS = 2000


def network_or_none(say: Callable[[str], None]) -> BoneNetwork | None:
    """The learned prior; without it the review goes on, and says so."""
    try:
        return load_network()
    except MarrowpointError as error:
        say(f"{error.text}; going on without the learned model")
        return None


class Analysis(QObject):
    """Threads of a review; their results reach the desk in the window's thread."""

    progressed = Signal(int, int)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.desk = desk
        seen = desk.analyst.network
        # a network holds the picture it was given: two threads on one would mix their frames
        self._network = None if seen is None else load_network(expected_sha256=seen.sha256)
        # on a computer with one core Qt would run one at a time, and they wait for one another
        pool = QThreadPool.globalInstance()
        pool.setMaxThreadCount(max(pool.maxThreadCount(), AT_ONCE))
        self._stop = threading.Event()
        self._urgent = threading.Event()
        self.held = threading.Event()
        """Set by others whose work goes first."""
        self._listing: Any = None
        self._batch: Any = None
        self._looking: int | None = None
        self._closed = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._look)
        self._round = QTimer(self)
        self._round.setInterval(ROUND_MS)
        self._round.timeout.connect(desk.look_around)
        self._round.start()
        desk.wanted.connect(self._want)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return self._listing is not None or self._batch is not None or self._looking is not None

    def open(self, paths: list[Path]) -> None:
        """Find the frames of files and folders, then analyse them all."""
        stop = self._stop

        def found() -> Iterator[Listed]:
            for path in paths:
                yield from list_frames(path, cancelled=stop.is_set)

        self._listing = thread_worker(found)()
        self._listing.yielded.connect(self._found)
        self._listing.finished.connect(self._listed)
        self._listing.start()

    def stop(self) -> None:
        """Stop after the frame at hand; what was found stays."""
        self._stop.set()

    def close(self) -> None:
        """Take no more results: the window is gone."""
        self._closed = True
        self.stop()
        self._pause.stop()
        self._round.stop()

    def go_on(self) -> None:
        """Analyse what still waits."""
        if self._batch is not None or self._listing is not None:
            return
        stop = self._stop = threading.Event()
        urgent, held, desk = self._urgent, self.held, self.desk

        def cancelled() -> bool:
            # the frame on the screen goes first, and the run it belongs to
            while (urgent.is_set() or held.is_set()) and not stop.is_set():
                time.sleep(0.02)
            return stop.is_set()

        rows = work_list(desk.session.rows, desk.place or 0)
        if not any(row.state in (State.WAITING, State.ANALYSING) for row in rows):
            return
        analyst = replace(desk.analyst, network=self._network)
        self._batch = thread_worker(analyse_frames)(rows, analyst, cancelled=cancelled)
        self._batch.yielded.connect(self._finished_one)
        self._batch.finished.connect(self._batch_done)
        self._batch.start()

    def _found(self, listed: Listed) -> None:
        if not self._closed:
            self.desk.list_frame(listed)

    def go_on_soon(self) -> None:
        """Begin anew as soon as what is under way has stopped."""
        if self._batch is None and self._listing is None:
            self.go_on()
        elif not self._closed:
            QTimer.singleShot(PAUSE_MS, self.go_on_soon)

    def _listed(self) -> None:
        self._listing = None
        if not self._closed:
            self.desk.listed_all()
            if not self._stop.is_set():
                self.go_on()

    def _finished_one(self, finished: Finished) -> None:
        if not self._closed:
            self.desk.take_finished(finished)
            self.progressed.emit(finished.done, finished.total)

    def _batch_done(self) -> None:
        self._batch = None
        if not self._closed:
            self.progressed.emit(0, 0)

    def _want(self, place: int) -> None:
        self._pause.start()

    def _look(self) -> None:
        """Analyse the frame on the screen, then read the next one ahead."""
        place = None if self._closed or self._looking is not None else self.desk.next_wanted()
        if place is None:
            return
        self._looking = place
        self._urgent.set()
        row, analyst = self.desk.session.row(place), self.desk.analyst

        def look() -> tuple[Any]:
            # an error is told in the list: raised or returned bare, the worker would raise it in the window
            try:
                return (assess_row(row, analyst),)
            except Exception as error:
                return (error,)

        worker = thread_worker(look)()
        worker.returned.connect(self._looked)
        worker.start()

    def _looked(self, found: tuple[Any]) -> None:
        (result,) = found
        place, self._looking = self._looking, None
        self._urgent.clear()
        if place is None or self._closed:
            return
        if isinstance(result, MarrowpointError):
            self.desk.fail(place, result.code, result.text)
        elif isinstance(result, Exception):
            text = f"an unexpected {type(result).__name__}: please report it"
            self.desk.fail(place, "internal_error", text)
        elif result.provenance.profile_sha256 == self.desk.profile.sha256:
            self.desk.take(place, result)
        if self.desk.next_wanted() is not None:
            self._pause.start()
