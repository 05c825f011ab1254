"""Worker processes on this machine, each on its own: one that dies or hangs costs one frame, never the others.

Why not a library: the executors of the standard library and loky give up every task in flight when one worker dies, and cannot
end one that hangs; pebble can, but reports a task only as a whole, so a limit a frame and a file half done are lost (and it
is LGPL). Here a worker is a plain child process at the two ends of a pipe.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from types import TracebackType
from typing import cast

from marrowpoint.audit.task import (
    A_RUN,
    A_STILL_RUN,
    Done,
    Event,
    FileTask,
    Following,
    FrameDone,
    Job,
    Opened,
    StillsTask,
    StudyTask,
    Task,
    failed,
    name_of,
)
from marrowpoint.audit.wire import Ready, receive, send
from marrowpoint.errors import InvalidAudit

START_LIMIT_S = 180.0  # imports and the model, on a machine under load
FALSE_STARTS = 3
FOLLOWED_LIMITS, FRAMES_A_LIMIT = 5, 5  # three frames of a run are assessed, the others only gone through, a few times
FRAMES_A_WORKER = 2000  # then a fresh process takes its place, whatever native libraries may have kept

GONE = "gone"


@dataclass(slots=True, kw_only=True)
class _Given:
    """A task in the hands of a worker, and what became of it so far."""

    task: Task
    sha256: str | None = None
    finished: set[int] = field(default_factory=set)
    retried: bool = False  # this is a second try after the worker died
    blamed: bool = False  # a frame was given up just before
    following: bool = False  # all frames are done


class _Worker:
    """One child process and the thread that hears it."""

    def __init__(self, job: Job, inbox: SimpleQueue[tuple[_Worker, object]]) -> None:
        # one thread each: a library that opens its own for every worker would fight the other workers
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "marrowpoint.audit.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **threads},
            start_new_session=True,  # Ctrl-C is the owner's to handle
        )  # fmt: skip
        self.given: _Given | None = None
        self.ready = False
        self.frames = 0
        self.deadline = monotonic() + START_LIMIT_S
        self._thread = Thread(target=self._hear, args=(inbox,), daemon=True)
        self._thread.start()
        self.tell(job)

    def _hear(self, inbox: SimpleQueue[tuple[_Worker, object]]) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                inbox.put((self, receive(self.process.stdout)))
        except Exception:  # its end, or words cut off by it
            inbox.put((self, GONE))

    def tell(self, message: object) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it died: that is heard
            send(self.process.stdin, message)

    def end(self) -> int:
        """Kill it, whatever it does; returns its exit status."""
        self.process.kill()
        status = self.process.wait()
        self._thread.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(OSError):  # what was still to be written goes nowhere
                stream.close()
        return status


class Pool:
    """A number of workers for one job.

    Parameters
    ----------
    job : Job
    workers : int
    limit_s : float
        Longest time for one frame [s].
    """

    def __init__(self, job: Job, workers: int, *, limit_s: float) -> None:
        self._job, self._wanted, self._limit_s = job, workers, limit_s
        self._inbox: SimpleQueue[tuple[_Worker, object]] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._again: deque[_Given] = deque()
        self._false_starts = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all workers at once."""
        while self._workers:
            self._workers.pop().end()

    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.process.pid for worker in self._workers)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Event]]:
        """Do tasks, as many at a time as there are workers.

        Parameters
        ----------
        tasks : iterable of Task
            Taken one by one when a worker is free.

        Yields
        ------
        task, event
            Events of one task in order, of several tasks mixed; the last of each task is `Done`.

        Raises
        ------
        InvalidAudit
            Where no worker can be started at all.
        OSError
            Where a worker cannot write an overlay.
        """
        upcoming = iter(tasks)
        waiting = next(upcoming, None)
        while True:
            while len(self._workers) < self._wanted and (waiting is not None or self._again):
                self._workers.append(_Worker(self._job, self._inbox))
            for worker in [each for each in self._workers if each.ready and each.given is None]:
                if self._again:
                    self._give(worker, self._again.popleft())
                elif waiting is not None:
                    self._give(worker, _Given(task=waiting))
                    waiting = next(upcoming, None)
            if waiting is None and not self._again and all(worker.given is None for worker in self._workers):
                return
            yield from self._listen()

    def _give(self, worker: _Worker, given: _Given) -> None:
        worker.given = given
        worker.deadline = monotonic() + self._limit_s * _parts(given.task)
        worker.tell(given.task)

    def _listen(self) -> Iterator[tuple[Task, Event]]:
        watched = [worker for worker in self._workers if worker.given is not None or not worker.ready]
        patience_s = max(min(worker.deadline for worker in watched) - monotonic(), 0.0)
        try:
            worker, message = self._inbox.get(timeout=patience_s)
        except Empty:
            for late in [each for each in watched if each.deadline <= monotonic()]:
                yield from self._lost(late, hung=True)
            return
        if worker not in self._workers:
            return  # a last word of one that was ended
        if isinstance(message, OSError):
            raise message
        if message == GONE:
            yield from self._lost(worker, hung=False)
        elif isinstance(message, Ready):
            if message.refusal:
                raise InvalidAudit("worker_refused", f"a worker cannot take part: {message.refusal}")
            worker.ready, self._false_starts = True, 0
        else:
            yield from self._heard(worker, cast(Event, message))

    def _heard(self, worker: _Worker, event: Event) -> Iterator[tuple[Task, Event]]:
        given = worker.given
        assert given is not None
        worker.deadline = monotonic() + self._limit_s
        if isinstance(event, Opened):
            given.sha256 = event.sha256
        elif isinstance(event, FrameDone):
            given.finished.add(event.number)
            worker.frames += 1
        elif isinstance(event, Following):
            given.following = True
            worker.deadline = monotonic() + self._limit_s * _of_run(event.frames)
        elif isinstance(event, Done):
            worker.given = None
            if worker.frames >= FRAMES_A_WORKER:
                self._workers.remove(worker)
                worker.end()
        yield given.task, event

    def _lost(self, worker: _Worker, *, hung: bool) -> Iterator[tuple[Task, Event]]:
        self._workers.remove(worker)
        status = worker.end()
        given = worker.given
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS:
                text = f"worker processes end as they start (exit status {status}): is marrowpoint installed completely?"
                raise InvalidAudit("workers_do_not_start", text)
        if given is not None:
            yield from self._after_loss(given, *(self._late() if hung else _crash(status)))

    def _late(self) -> tuple[str, str]:
        return "time_limit", f"took longer than {self._limit_s:g} s: look at the file, or give more time"

    def _after_loss(self, given: _Given, code: str, text: str) -> Iterator[tuple[Task, Event]]:
        task, progressed = given.task, bool(given.finished)
        if code == "crashed" and (progressed or not given.retried):
            # once more: it may have been the machine, not the file
            self._again.append(_Given(task=_rest(given), retried=True, blamed=given.blamed and not progressed))
        elif isinstance(task, StudyTask):
            yield task, failed(name_of(task), 0, code, text)
            yield task, Done(study_instance_uid=task.study_instance_uid)
        elif isinstance(task, StillsTask):
            yield task, failed(name_of(task), A_STILL_RUN, code, f"{text}; its frames were analysed, not the run they make")
            yield task, Done()
        elif given.following:
            text = f"{text}; its frames were analysed, not the run they make"
            yield task, failed(task.image.relative_path, A_RUN, code, text)
            yield task, Done()
        elif given.blamed and not progressed:
            yield task, failed(task.image.relative_path, 0, code, f"{text}; nothing after it was analysed")
            yield task, Done()
        else:
            rest = cast(FileTask, _rest(given))
            # frames come in order: the one at hand is the first that is not done
            number = next(number for number in count(1) if number not in rest.skip)
            yield task, failed(task.image.relative_path, number, code, text)
            self._again.append(_Given(task=replace(rest, skip=rest.skip | {number}, follow=False), blamed=True))


def _parts(task: Task) -> int:
    """How many frames' time the first answer may take: a study and a run of stills come as a whole."""
    if isinstance(task, StillsTask):
        return _of_run(len(task.images))
    return max(len(task.frames), 1) if isinstance(task, StudyTask) else 1


def _of_run(frames: int) -> int:
    return FOLLOWED_LIMITS + frames // FRAMES_A_LIMIT


def _rest(given: _Given) -> Task:
    task = given.task
    if not isinstance(task, FileTask):
        return task
    skip = task.skip if task.known_sha256 == given.sha256 or given.sha256 is None else frozenset[int]()
    known = task.known_sha256 if given.sha256 is None else given.sha256
    return replace(task, skip=skip | given.finished, known_sha256=known)


def _crash(status: int) -> tuple[str, str]:
    cause = f"exit status {status}"
    if status < 0:
        try:
            cause = signal.Signals(-status).name
        except ValueError:
            cause = f"signal {-status}"
    return "crashed", f"reading or analysing it ended the worker process twice ({cause})"
