"""An audit from files to a finished database: whatever ends it half-way, the next run goes on where it stood."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from marrowpoint.audit.keeper import Keeper
from marrowpoint.audit.plan import enter_files, file_tasks, study_tasks, study_uids
from marrowpoint.audit.stills import find_still_runs, keep_still_runs, still_tasks
from marrowpoint.audit.store import write_facts, write_sites
from marrowpoint.audit.task import A_STILL_RUN, Done, Event, Failed, FileTask, Job, RunDone, StillsTask, StudyTask, Task
from marrowpoint.audit.work import work
from marrowpoint.errors import InvalidAudit
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.read import ImageFile
from marrowpoint.report.results import OVERLAYS, RESULTS, RUNS
from marrowpoint.report.write import whole_file

Run = Callable[[Iterable[Task]], Iterator[tuple[Task, Event]]]

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
    for pictures in (OVERLAYS, RUNS):
        for part in (out / pictures).rglob(".*.part"):
            part.unlink(missing_ok=True)
    facts = {"state": "analysing", "program": job.program, "model_sha256": job.model_sha256}
    write_facts(db, facts | {"profile": asdict(job.profile), "outer_diameter_mm": job.outer_diameter_mm})
    write_sites(db, job.procedure)
    enter_files(db, images)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    with db:
        number = db.execute("INSERT INTO sessions (began, workers) VALUES (?, ?)", (began, workers)).lastrowid
    keeper = Keeper(db, out, job)
    try:
        _files(db, images, job, run, keeper, tell)
        _still_runs(db, images, job, run, keeper, tell)
        write_facts(db, {"state": "judging"})
        judge_all_studies(db, run, job, keeper, tell)
        write_results_file(db, out)
        write_facts(db, {"state": "finished"})
    finally:
        db.commit()
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        with db:
            db.execute("UPDATE sessions SET ended = ?, frames = ? WHERE ordinal = ?", (ended, keeper.frames, number))


def write_results_file(db: sqlite3.Connection, out: Path) -> None:
    """Write ``results.jsonl`` from the database: frames, runs, studies, failures, as ``analyze`` orders them.

    Parameters
    ----------
    db : sqlite3.Connection
    out : Path
    """
    queries = (
        "SELECT t.record FROM frames t JOIN files USING (path) ORDER BY files.ordinal, t.frame",
        "SELECT t.record FROM runs t JOIN files USING (path) ORDER BY t.ordinal, files.ordinal",
        "SELECT record FROM studies ORDER BY ordinal",
        "SELECT t.record FROM failures t JOIN files USING (path) ORDER BY files.ordinal, t.frame",
    )
    with whole_file(out / RESULTS) as stream:
        for query in queries:
            for (record,) in db.execute(query):
                stream.write(record.encode() + b"\n")


def _files(
    db: sqlite3.Connection, images: Sequence[ImageFile], job: Job, run: Run, keeper: Keeper,
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


def _still_runs(
    db: sqlite3.Connection, images: Sequence[ImageFile], job: Job, run: Run, keeper: Keeper,
    tell: Callable[[Progress], None],
) -> None:  # fmt: skip
    wanted = find_still_runs(db, job)
    missing = keep_still_runs(db, wanted)
    told = {each.paths[0]: each for each in missing}
    done = len(wanted) - len(missing)
    for task, event in run(still_tasks(db, missing, images)) if missing else ():
        assert isinstance(task, StillsTask)
        of = told[task.images[0].relative_path]
        if isinstance(event, RunDone):
            keeper.keep_run(of.paths[0], event, key=of.key, ordinal=of.ordinal)
        elif isinstance(event, Failed):
            keeper.failed(of.paths[0], A_STILL_RUN, event.record)
        elif isinstance(event, Done):
            done += 1
            tell(Progress(step="runs of stills", done=done, total=len(wanted), failures=keeper.failures))
        keeper.commit_now_and_then()
    db.commit()


def judge_all_studies(
    db: sqlite3.Connection, run: Run, job: Job, keeper: Keeper | None = None, tell: Callable[[Progress], None] = lambda _: None
) -> None:
    """Judge every study anew from its stored frames.

    Parameters
    ----------
    db : sqlite3.Connection
    run : callable
    job : Job
    keeper : Keeper or None
    tell : callable
    """
    keeper = keeper or Keeper(db, Path(), job)
    uids = study_uids(db)
    place = {uid: k for k, uid in enumerate(uids)}
    with db:
        db.execute("DELETE FROM studies")
        db.execute("DELETE FROM failures WHERE frame = ?", (A_STUDY,))
    done = 0
    # a few are judged sooner than a process starts
    judge = run if len(uids) > FEW_STUDIES else partial(run_here, job, None)
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
