"""Which files an audit goes through, what of them is done, and which studies follow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from marrowpoint.audit.task import FileTask, Job, StudyTask
from marrowpoint.read import ImageFile


def enter_files(db: sqlite3.Connection, images: Sequence[ImageFile]) -> None:
    """Make the table of files say what is in the folder now; results of files that are gone go with them.

    Parameters
    ----------
    db : sqlite3.Connection
    images : sequence of ImageFile
        In the order of the results.
    """
    with db:
        db.execute("CREATE TEMP TABLE present (path TEXT PRIMARY KEY, ordinal INTEGER)")
        db.executemany("INSERT INTO present VALUES (?, ?)", ((image.relative_path, k) for k, image in enumerate(images)))
        for table in ("frames", "runs", "failures", "timings", "files"):
            db.execute(f"DELETE FROM {table} WHERE path NOT IN (SELECT path FROM present)")
        db.execute("INSERT OR IGNORE INTO files (path, ordinal) SELECT path, ordinal FROM present")
        db.execute("UPDATE files SET ordinal = (SELECT ordinal FROM present WHERE present.path = files.path)")
        db.execute("DROP TABLE present")


def file_tasks(db: sqlite3.Connection, images: Sequence[ImageFile], job: Job) -> Iterator[FileTask]:
    """Tasks for all files whose results are missing, or belong to other bytes, another program, profile, model or statement.

    Parameters
    ----------
    db : sqlite3.Connection
        After `enter_files`.
    images : sequence of ImageFile
    job : Job

    Yields
    ------
    FileTask
        In the order of `images`. A file that looks untouched (size and time of change) is not even opened; one that was
        touched is read, and analysed only if its bytes differ.
    """
    met = names_that_may_meet(images)
    wanted = "SELECT size, mtime_ns, sha256, key, done, study_instance_uid FROM files WHERE path = ?"
    for image in images:
        path = image.relative_path
        size, mtime_ns, sha256, key, done, uid = db.execute(wanted, (path,)).fetchone()
        try:
            now = image.path.stat()
            stat = now.st_size, now.st_mtime_ns
        except OSError:
            stat = -1, -1
        valid = bool(sha256) and key == job.key(uid)
        if valid and done and stat == (size, mtime_ns):
            continue
        frames = db.execute("SELECT frame FROM frames WHERE path = ?", (path,)).fetchall() if valid else []
        if valid and not done:
            # what failed in a file that was not finished is tried again
            db.execute("DELETE FROM failures WHERE path = ?", (path,))
        yield FileTask(
            image=image, known_sha256=sha256 if valid else None, complete=bool(valid and done), own_name=path in met,
            skip=frozenset(number for (number,) in frames), size=stat[0], mtime_ns=stat[1],
        )  # fmt: skip


def study_uids(db: sqlite3.Connection) -> list[str]:
    """Studies in order of their first frame; a file without a study UID counts to the study without a name."""
    query = (
        "SELECT frames.study_instance_uid FROM frames JOIN files USING (path) GROUP BY frames.study_instance_uid "
        "ORDER BY min(files.ordinal)"
    )
    return [uid for (uid,) in db.execute(query)]


def study_tasks(db: sqlite3.Connection, uids: Sequence[str]) -> Iterator[StudyTask]:
    """Tasks for studies, with the frames in the order of the files.

    Parameters
    ----------
    db : sqlite3.Connection
    uids : sequence of str

    Yields
    ------
    StudyTask
        Only one study's frames are held.
    """
    twice = (
        "SELECT pixel_sha256 FROM frames WHERE pixel_sha256 <> '' "
        "GROUP BY pixel_sha256 HAVING count(DISTINCT study_instance_uid) > 1"
    )
    reused = {digest for (digest,) in db.execute(twice)}
    query = (
        "SELECT frames.nouns, frames.pixel_sha256 FROM frames JOIN files USING (path) "
        "WHERE frames.study_instance_uid = ? ORDER BY files.ordinal, frames.frame"
    )
    for uid in uids:
        rows = db.execute(query, (uid,)).fetchall()
        yield StudyTask(
            study_instance_uid=uid,
            frames=tuple(nouns for nouns, _ in rows),
            reused=frozenset(digest for _, digest in rows if digest in reused),
        )


def names_that_may_meet(images: Sequence[ImageFile]) -> set[str]:
    """Relative paths whose overlays could take the name of another file's.

    Parameters
    ----------
    images : sequence of ImageFile

    Returns
    -------
    set of str
        Known before anything is read, so that names do not depend on the order in which files are done.
    """
    names: dict[str, str] = {}
    met: set[str] = set()
    for image in images:
        name = _plain_name(image.relative_path)
        if name in names:
            met |= {image.relative_path, names[name]}
        names[name] = image.relative_path
    for name, path in names.items():
        of_a_run = re.fullmatch(r"(.+)_f\d{4,}", name)
        if of_a_run is not None and of_a_run[1] in names:
            met |= {path, names[of_a_run[1]]}
    return met


def _plain_name(path: str) -> str:
    # as `picture_name` for a single frame, without its ending
    return "/".join(part for part in PurePosixPath(path).parts if part not in ("/", "..", "."))
