"""The same work on a dask cluster: each dask worker keeps worker processes of ours, so that a crash costs it one frame too."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from marrowpoint.audit.pool import Pool
from marrowpoint.audit.task import Done, Event, FileTask, FrameDone, Job, Opened, Task, failed, name_of, program_fingerprint
from marrowpoint.errors import InvalidAudit

CONNECT_S = 15
FRAMES_A_MESSAGE = 16  # overlays travel with the frames: so many at a time
TASKS_A_THREAD = 3  # one at work, one on its way, one to spare: memory stays bounded, nobody waits

# In a dask worker: pools of one process that are not in use, for one job at a time; kept as a start takes seconds.
_idle: dict[str, list[Pool]] = {}
_guard = Lock()


class Cluster:
    """A dask cluster that somebody started.

    Parameters
    ----------
    address : str
        Of its scheduler.
    job : Job
    limit_s : float
        Longest time for one frame [s].

    Raises
    ------
    InvalidAudit
        Where dask is missing, or nobody answers.
    """

    def __init__(self, address: str, job: Job, *, limit_s: float) -> None:
        if find_spec("distributed") is None:
            raise InvalidAudit("missing_extra", "--scheduler needs dask: install it with  pip install 'marrowpoint[cluster]'")
        # heavy, and of an extra
        self._dask: Any = import_module("distributed")
        try:
            self._client = self._dask.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InvalidAudit("no_scheduler", f"no dask scheduler answers at {address}: start it first") from error
        self._job, self._limit_s = job, limit_s

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._client.close()

    @property
    def width(self) -> int:
        """Threads of all workers."""
        return int(sum(self._client.nthreads().values()))

    def check(self, path: Path) -> None:
        """Make sure that every worker runs this program and sees the files.

        Parameters
        ----------
        path : Path
            One of the files.

        Raises
        ------
        InvalidAudit
        """
        if not self.width:
            raise InvalidAudit("no_workers", "the dask scheduler has no workers: start some first")
        found = self._client.run(_look, str(path))
        for worker, (program, sees) in found.items():
            if program != self._job.program:
                text = f"the worker {worker} runs {program}, not {self._job.program}: install the same everywhere"
                raise InvalidAudit("other_program", text)
            if not sees:
                text = f"the worker {worker} does not see the files: share them with it at the same path"
                raise InvalidAudit("files_not_seen", text)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Event]]:
        """Do tasks; as `Pool.run`. A task whose worker dies is done again by another one."""
        upcoming = iter(tasks)
        queue = self._dask.as_completed(loop=self._client.loop)
        waiting: dict[str, Task] = {}
        most = TASKS_A_THREAD * max(self.width, 1)

        def submit(task: Task) -> None:
            future = self._client.submit(work_in_cluster, task, self._job, self._limit_s, pure=False, retries=0)
            waiting[future.key] = task
            queue.add(future)

        for task in upcoming:
            submit(task)
            if len(waiting) >= most:
                break
        while waiting:
            future = next(queue)
            task = waiting.pop(future.key)
            events = self._result(future, task)
            future.release()
            yield from ((task, event) for event in events)
            if isinstance(events[-1], Done) and events[-1].more:
                submit(_rest(task, events))
            elif (following := next(upcoming, None)) is not None:
                submit(following)

    def _result(self, future: Any, task: Task) -> list[Event]:
        try:
            events: list[Event] = future.result()
        except InvalidAudit:
            raise
        except self._dask.KilledWorker:
            text = "several workers of the cluster ended over it; nothing of it was analysed"
            return [failed(name_of(task), 0, "crashed", text), Done()]
        except Exception as error:  # a scheduler that is gone says nothing about the file
            text = f"the cluster is lost ({type(error).__name__}): start it again and go on with --resume"
            raise InvalidAudit("cluster_lost", text) from error
        return events


def work_in_cluster(task: Task, job: Job, limit_s: float) -> list[Event]:
    """Do one task inside a dask worker, in a process of its own.

    Parameters
    ----------
    task : Task
    job : Job
    limit_s : float

    Returns
    -------
    list of Event
        The last is `Done`.
    """
    name = hashlib.sha256(pickle.dumps((job, limit_s))).hexdigest()
    with _guard:
        for other in _idle.keys() - {name}:
            for pool in _idle.pop(other):
                pool.close()
        kept = _idle.setdefault(name, [])
        pool = kept.pop() if kept else Pool(job, 1, limit_s=limit_s)
    try:
        short = replace(task, most_frames=FRAMES_A_MESSAGE) if isinstance(task, FileTask) else task
        events = [event for _, event in pool.run([short])]
    except BaseException:
        pool.close()
        raise
    with _guard:
        _idle.setdefault(name, []).append(pool)
    return events


def _look(path: str) -> tuple[str, bool]:
    return program_fingerprint(), Path(path).exists()


def _rest(task: Task, events: list[Event]) -> FileTask:
    assert isinstance(task, FileTask)
    opened = next(event for event in events if isinstance(event, Opened))
    before = task.skip if opened.same else frozenset[int]()
    done = frozenset(event.number for event in events if isinstance(event, FrameDone))
    return replace(task, known_sha256=opened.sha256, skip=before | done)
