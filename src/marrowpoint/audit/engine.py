"""An audit from files to a finished database: whatever ends it half-way, the next run goes on where it stood."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

from marrowpoint.audit.plan import enter_files, file_tasks, study_tasks, study_uids
from marrowpoint.audit.store import write_facts, write_sites
from marrowpoint.audit.task import Done, Event, Failed, FileTask, FrameDone, Job, Opened, StudyTask, Task
from marrowpoint.audit.work import work
from marrowpoint.errors import InvalidAudit
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.read import ImageFile
from marrowpoint.report.results import OVERLAYS, RESULTS
from marrowpoint.report.write import whole_file

Run = Callable[[Iterable[Task]], Iterator[tuple[Task, Event]]]

COMMIT_EVERY_S = 1.0  # so much work is lost where the machine stops
LOCK = ".audit.lock"

FEW_STUDIES = 20
A_STUDY = -1  # stands for the frame in a failure that is a study's


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an audit is: files or studies done, of how many, and failures so far."""

    step: str
    done: int
    total: int
    failures: int


@contextmanager
def only_audit(out: Path) -> Iterator[None]:
    """Hold the folder, so that no second audit writes into it; the hold ends with the process, however it ends.

    Parameters
    ----------
    out : Path

    Yields
    ------
    None

    Raises
    ------
    InvalidAudit
        Where another audit holds it.
    """
    with closing(sqlite3.connect(out / LOCK, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise InvalidAudit("audit_in_use", f"another audit holds this folder ({error}): wait for its end") from error
        try:
            yield
        finally:
            lock.rollback()


def run_audit(
    db: sqlite3.Connection, out: Path, images: Sequence[ImageFile], job: Job, run: Run, *, workers: str = "",
    tell: Callable[[Progress], None] = lambda _: None,
) -> None:  # fmt: skip
    """Analyse all files that are not done, judge all studies, write the result file.

    Parameters
    ----------
    db : sqlite3.Connection
        New, or of an audit that was interrupted or shall be brought up to date.
    out : Path
        Folder of the database; overlays and result file are written into it.
    images : sequence of ImageFile
    job : Job
    run : callable
        Takes tasks and yields their events, as `Pool.run`.
    workers : str
        Who does the work, in words.
    tell : callable
        Called with the progress.

    Raises
    ------
    OSError, sqlite3.Error
        Where the folder cannot be written; what was done before is kept.
    """
    (out / RESULTS).unlink(missing_ok=True)
    for part in (out / OVERLAYS).rglob(".*.part"):
        part.unlink(missing_ok=True)
    facts = {"state": "analysing", "program": job.program, "model_sha256": job.model_sha256}
    write_facts(db, facts | {"profile": asdict(job.profile), "outer_diameter_mm": job.outer_diameter_mm})
    write_sites(db, job.procedure)
    enter_files(db, images)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    with db:
        number = db.execute("INSERT INTO runs (began, workers) VALUES (?, ?)", (began, workers)).lastrowid
    keeper = _Keeper(db, out, job)
    try:
        _files(db, images, job, run, keeper, tell)
        write_facts(db, {"state": "judging"})
        _studies(db, run, keeper, tell)
        write_results_file(db, out)
        write_facts(db, {"state": "finished"})
    finally:
        db.commit()
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        with db:
            db.execute("UPDATE runs SET ended = ?, frames = ? WHERE ordinal = ?", (ended, keeper.frames, number))


def write_results_file(db: sqlite3.Connection, out: Path) -> None:
    """Write ``results.jsonl`` from the database: frames, studies, failures, as ``analyze`` orders them.

    Parameters
    ----------
    db : sqlite3.Connection
    out : Path
    """
    queries = (
        "SELECT t.record FROM frames t JOIN files USING (path) ORDER BY files.ordinal, t.frame",
        "SELECT record FROM studies ORDER BY ordinal",
        "SELECT t.record FROM failures t JOIN files USING (path) ORDER BY files.ordinal, t.frame",
    )
    with whole_file(out / RESULTS) as stream:
        for query in queries:
            for (record,) in db.execute(query):
                stream.write(record.encode() + b"\n")


def _files(
    db: sqlite3.Connection, images: Sequence[ImageFile], job: Job, run: Run, keeper: _Keeper,
    tell: Callable[[Progress], None],
) -> None:  # fmt: skip
    tasks = list(file_tasks(db, images, job))
    done = len(images) - len(tasks)
    tell(Progress(step="files", done=done, total=len(images), failures=0))
    for task, event in run(tasks):
        assert isinstance(task, FileTask)
        keeper.keep(task, event)
        if isinstance(event, Done):
            done += 1
            tell(Progress(step="files", done=done, total=len(images), failures=keeper.failures))
    db.commit()


def _studies(db: sqlite3.Connection, run: Run, keeper: _Keeper, tell: Callable[[Progress], None]) -> None:
    uids = study_uids(db)
    place = {uid: k for k, uid in enumerate(uids)}
    with db:
        db.execute("DELETE FROM studies")
        db.execute("DELETE FROM failures WHERE frame = ?", (A_STUDY,))
    done = 0
    # a few are judged sooner than a process starts
    judge = run if len(uids) > FEW_STUDIES else partial(run_here, keeper.job, None)
    for task, event in judge(study_tasks(db, uids)):
        assert isinstance(task, StudyTask)
        if isinstance(event, Failed):
            first = "SELECT path FROM frames JOIN files USING (path) WHERE frames.study_instance_uid = ? ORDER BY files.ordinal"
            (path,) = db.execute(first, (task.study_instance_uid,)).fetchone()
            keeper.failed(path, A_STUDY, event.record)
        elif isinstance(event, Done):
            rows = [(_ordinal(place[task.study_instance_uid], k), record) for k, record in enumerate(event.records)]
            db.executemany("INSERT INTO studies (ordinal, record) VALUES (?, ?)", rows)
            done += 1
            tell(Progress(step="studies", done=done, total=len(uids), failures=keeper.failures))
        keeper.commit_now_and_then()
    db.commit()


def run_here(job: Job, network: BoneNetwork | None, tasks: Iterable[Task]) -> Iterator[tuple[Task, Event]]:
    """Do tasks in this process: as `Pool.run`, but nothing is cut short and a crash takes all down."""
    for task in tasks:
        for event in work(task, job, network):
            yield task, event


def _ordinal(study: int, position: int) -> int:
    # room for the needle positions of one study
    return study * 1_000_000 + position


class _Keeper:
    """Writes what workers found: the overlay first, then the row, so that a row without its overlay cannot be."""

    def __init__(self, db: sqlite3.Connection, out: Path, job: Job) -> None:
        self._db, self._out, self.job = db, out, job
        self._committed = monotonic()
        self.frames = self.failures = 0

    def keep(self, task: FileTask, event: Event) -> None:
        db, path = self._db, task.image.relative_path
        if isinstance(event, Opened) and not event.same:
            self._forget(path)
            change = "UPDATE files SET sha256 = ?, key = NULL, done = 0, study_instance_uid = '' WHERE path = ?"
            db.execute(change, (event.sha256, path))
        elif isinstance(event, FrameDone):
            with whole_file(self._out / OVERLAYS / event.overlay_name) as stream:
                stream.write(event.overlay)
            row = (path, event.number, event.record, event.nouns)
            db.execute("INSERT OR REPLACE INTO frames (path, frame, record, nouns) VALUES (?, ?, ?, ?)", row)
            db.execute("INSERT OR REPLACE INTO timings VALUES (?, ?, ?)", (path, event.number, event.seconds))
            self._key(path, event.study_instance_uid)
            self.frames += 1
        elif isinstance(event, Failed):
            if event.number == 0:
                db.execute("DELETE FROM failures WHERE path = ?", (path,))
            self.failed(path, event.number, event.record)
        elif isinstance(event, Done) and not event.more:
            (uid,) = db.execute("SELECT study_instance_uid FROM files WHERE path = ?", (path,)).fetchone()
            self._key(path, uid)
            db.execute("UPDATE files SET done = 1, size = ?, mtime_ns = ? WHERE path = ?", (task.size, task.mtime_ns, path))
        self.commit_now_and_then()

    def failed(self, path: str, number: int, record: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO failures (path, frame, record) VALUES (?, ?, ?)", (path, number, record))
        self.failures += 1

    def commit_now_and_then(self) -> None:
        if monotonic() - self._committed >= COMMIT_EVERY_S:
            self._db.commit()
            self._committed = monotonic()

    def _key(self, path: str, uid: str) -> None:
        change = "UPDATE files SET key = ?, study_instance_uid = ? WHERE path = ?"
        self._db.execute(change, (self.job.key(uid), uid, path))

    def _forget(self, path: str) -> None:
        for table in ("frames", "failures", "timings"):
            self._db.execute(f"DELETE FROM {table} WHERE path = ?", (path,))
