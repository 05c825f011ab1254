"""Results on their way to the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic

from marrowpoint.audit.task import Done, Event, Failed, FileTask, FrameDone, Job, Opened, RunDone
from marrowpoint.report.results import OVERLAYS, RUNS
from marrowpoint.report.write import whole_file

COMMIT_EVERY_S = 1.0  # so much work is lost where the machine stops


class Keeper:
    """Writes what workers found: the picture first, then the row, so that a row without its picture cannot be."""

    def __init__(self, db: sqlite3.Connection, out: Path, job: Job) -> None:
        self._db, self._out, self._job = db, out, job
        self._committed = monotonic()
        self.frames = self.failures = 0

    def keep(self, task: FileTask, event: Event) -> None:
        """Write what one event of a file says.

        Parameters
        ----------
        task : FileTask
        event : Event
        """
        db, path = self._db, task.image.relative_path
        if isinstance(event, Opened) and not event.same:
            self._forget(path)
            change = "UPDATE files SET sha256 = ?, key = NULL, done = 0, study_instance_uid = '' WHERE path = ?"
            db.execute(change, (event.sha256, path))
        elif isinstance(event, FrameDone):
            if event.overlay:
                with whole_file(self._out / OVERLAYS / event.overlay_name) as stream:
                    stream.write(event.overlay)
            row = (path, event.number, event.record, event.nouns)
            db.execute("INSERT OR REPLACE INTO frames (path, frame, record, nouns) VALUES (?, ?, ?, ?)", row)
            db.execute("INSERT OR REPLACE INTO timings VALUES (?, ?, ?)", (path, event.number, event.seconds))
            self._key(path, event.study_instance_uid)
            self.frames += 1
        elif isinstance(event, RunDone):
            self.keep_run(path, event)
        elif isinstance(event, Failed):
            if event.number == 0:
                db.execute("DELETE FROM failures WHERE path = ?", (path,))
            self.failed(path, event.number, event.record)
        elif isinstance(event, Done) and not event.more:
            (uid,) = db.execute("SELECT study_instance_uid FROM files WHERE path = ?", (path,)).fetchone()
            self._key(path, uid)
            db.execute("UPDATE files SET done = 1, size = ?, mtime_ns = ? WHERE path = ?", (task.size, task.mtime_ns, path))
        self.commit_now_and_then()

    def keep_run(self, path: str, event: RunDone, *, key: str = "", ordinal: int = 0) -> None:
        """Write a run, its film strip first; `path` is its file, or its first where stills make it, which have a `key`."""
        if event.strip:
            with whole_file(self._out / RUNS / event.strip_name) as stream:
                stream.write(event.strip)
        row = (path, event.record, key, ordinal)
        self._db.execute("INSERT OR REPLACE INTO runs (path, record, key, ordinal) VALUES (?, ?, ?, ?)", row)

    def failed(self, path: str, number: int, record: str) -> None:
        """Write a failure of a frame; `number` 0 for the whole file."""
        self._db.execute("INSERT OR REPLACE INTO failures (path, frame, record) VALUES (?, ?, ?)", (path, number, record))
        self.failures += 1

    def commit_now_and_then(self) -> None:
        """Commit if the last time is long enough ago: each costs a wait for the disk."""
        if monotonic() - self._committed >= COMMIT_EVERY_S:
            self._db.commit()
            self._committed = monotonic()

    def _key(self, path: str, uid: str) -> None:
        change = "UPDATE files SET key = ?, study_instance_uid = ? WHERE path = ?"
        self._db.execute(change, (self._job.key(uid), uid, path))

    def _forget(self, path: str) -> None:
        for table in ("frames", "runs", "failures", "timings"):
            self._db.execute(f"DELETE FROM {table} WHERE path = ?", (path,))
