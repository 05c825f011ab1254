"""The review ledger: an SQLite file to which decisions are added and from which nothing is taken away.

A rollback journal, not a write-ahead log: the log needs shared memory, which network folders do not have, leaves two files
beside the ledger, and cannot be read in a folder that cannot be written. One decision takes milliseconds either way.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from marrowpoint.assessment import Provenance
from marrowpoint.errors import MarrowpointError
from marrowpoint.report.record import printable
from marrowpoint.review.corrections import from_json, to_json
from marrowpoint.review.entry import Action, Entry, FrameKey, Said
from marrowpoint.review.place import FILE_NAME, LedgerPlace, place_ledger, user_data_folder

__all__ = ["FILE_NAME", "SCHEMA", "Ledger", "LedgerPlace", "open_ledger", "place_ledger", "read_entries", "user_data_folder"]

SCHEMA = 1
APPLICATION_ID = 0x4D505256  # "MPRV", in the file's header
BUSY_S = 20.0  # how long one window waits for another

_CREATE = (
    """CREATE TABLE decision (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        decided_at TEXT NOT NULL,
        rater TEXT NOT NULL CHECK (length(trim(rater)) > 0),
        action TEXT NOT NULL,
        path TEXT NOT NULL,
        frame_number INTEGER NOT NULL,
        pixel_sha256 TEXT NOT NULL,
        sop_instance_uid TEXT NOT NULL,
        study_instance_uid TEXT NOT NULL,
        verdict_before TEXT NOT NULL,
        verdict_after TEXT NOT NULL,
        said_before TEXT NOT NULL,
        said_after TEXT NOT NULL,
        corrections TEXT,
        reason TEXT NOT NULL,
        program TEXT NOT NULL,
        profile TEXT NOT NULL,
        profile_sha256 TEXT NOT NULL,
        model_sha256 TEXT
    )""",
    "CREATE INDEX decision_by_pixels ON decision (pixel_sha256)",
    """CREATE TRIGGER no_update BEFORE UPDATE ON decision
        BEGIN SELECT RAISE(ABORT, 'the review ledger is append-only'); END""",
    """CREATE TRIGGER no_delete BEFORE DELETE ON decision
        BEGIN SELECT RAISE(ABORT, 'the review ledger is append-only'); END""",
    """CREATE TRIGGER no_replace BEFORE INSERT ON decision
        WHEN NEW.number IS NOT NULL AND EXISTS (SELECT 1 FROM decision WHERE number = NEW.number)
        BEGIN SELECT RAISE(ABORT, 'the review ledger is append-only'); END""",
)
_COLUMNS = (
    "decided_at", "rater", "action", "path", "frame_number", "pixel_sha256", "sop_instance_uid", "study_instance_uid",
    "verdict_before", "verdict_after", "said_before", "said_after", "corrections", "reason", "program", "profile",
    "profile_sha256", "model_sha256",
)  # fmt: skip


class Ledger:
    """An open ledger. Each call opens the file anew, so that any thread and any window may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to close: no call leaves the file open."""

    def append(self, entry: Entry) -> Entry:
        """Write one decision; it is on disk when this returns.

        Parameters
        ----------
        entry : Entry

        Returns
        -------
        Entry
            With its number.

        Raises
        ------
        MarrowpointError
            ``ledger_unwritable``: the disk is full, the folder is gone, another window held the file too long.
        """
        row = _row(entry)
        marks = ", ".join("?" * len(_COLUMNS))
        with _named(self.path, "ledger_unwritable"), closing(_connect(self.path, "rw")) as base:
            _check(base, self.path)
            with _writing(base):
                number = base.execute(f"INSERT INTO decision ({', '.join(_COLUMNS)}) VALUES ({marks})", row).lastrowid
        return replace(entry, number=int(number or 0))

    def entries(self, *, after: int = 0) -> tuple[Entry, ...]:
        """All decisions in their order.

        Parameters
        ----------
        after : int
            Only those with a larger number: what other windows added since.

        Returns
        -------
        tuple of Entry
        """
        with _named(self.path, "ledger_unreadable"), closing(_connect(self.path, "rw")) as base:
            _check(base, self.path)
            return _read(base, after)


def open_ledger(path: Path) -> Ledger:
    """Open a ledger, made if it is not there yet.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Ledger

    Raises
    ------
    MarrowpointError
        ``ledger_newer`` (the file names its schema), ``ledger_foreign`` (no ledger at all), ``ledger_unwritable``.
    """
    with _named(path, "ledger_unwritable"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_connect(path, "rwc")) as base:
            if not _check(base, path, may_be_new=True):
                with _writing(base):
                    # another window may have been faster
                    if not base.execute("PRAGMA user_version").fetchone()[0]:
                        for statement in _CREATE:
                            base.execute(statement)
                        base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                        base.execute(f"PRAGMA user_version = {SCHEMA}")
    return Ledger(path)


def read_entries(path: Path) -> tuple[Entry, ...]:
    """Read a ledger without writing anything, also from a folder that cannot be written.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of Entry
        In the order in which they were decided; empty where there is no such file.

    Raises
    ------
    MarrowpointError
        ``ledger_newer``, ``ledger_foreign``, ``ledger_unreadable``.
    """
    if not path.exists():
        return ()
    with _named(path, "ledger_unreadable"):
        try:
            return _read_all(path, "ro")
        except sqlite3.OperationalError:
            # a window died in the middle of writing: what it left half done is taken back by the first that may write
            return _read_all(path, "rw")


def _read_all(path: Path, mode: str) -> tuple[Entry, ...]:
    with closing(_connect(path, mode)) as base:
        return _read(base) if _check(base, path, may_be_new=True) else ()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file: ``ro`` to read, ``rw`` to write, ``rwc`` to make it as well."""
    base = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", timeout=BUSY_S, isolation_level=None, uri=True)
    try:
        base.execute("PRAGMA trusted_schema = OFF")
        if mode != "ro":
            base.execute("PRAGMA synchronous = EXTRA")
            base.execute("PRAGMA recursive_triggers = ON")  # so that INSERT OR REPLACE meets the trigger too
    except BaseException:
        base.close()
        raise
    return base


@contextmanager
def _writing(base: sqlite3.Connection) -> Iterator[None]:
    base.execute("BEGIN IMMEDIATE")
    try:
        yield
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:
            base.execute("ROLLBACK")
        raise


def _check(base: sqlite3.Connection, path: Path, *, may_be_new: bool = False) -> bool:
    """Whether this is a ledger of ours; False for an empty file."""
    asked = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    base.execute("BEGIN")  # all in one look: another window may be making the ledger at this moment
    try:
        version, application, tables = (base.execute(each).fetchone()[0] for each in asked)
    finally:
        if base.in_transaction:
            base.execute("ROLLBACK")
    if application == APPLICATION_ID and version > SCHEMA:
        text = f"{path.name} is a review ledger of schema {version}; this program reads up to {SCHEMA}: update marrowpoint"
        raise MarrowpointError("ledger_newer", text)
    if application == APPLICATION_ID and version == SCHEMA:
        return True
    if may_be_new and not tables:
        return False
    raise MarrowpointError("ledger_foreign", f"{path.name} is no review ledger: choose another file")


@contextmanager
def _named(path: Path, code: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise MarrowpointError("ledger_foreign", f"{path.name} is no review ledger: choose another file") from error
        raise MarrowpointError(code, f"the review ledger {path.name} cannot be used ({error}): check its folder") from error
    except OSError as error:
        text = f"the review ledger {path.name} cannot be used ({error.strerror}): check its folder"
        raise MarrowpointError(code, text) from error


def _row(entry: Entry) -> tuple[Any, ...]:
    frame, made = entry.frame, entry.provenance
    corrections = None if entry.corrections is None else _json(to_json(entry.corrections))
    return (
        entry.decided_at.astimezone(UTC).isoformat(), printable(entry.rater), entry.action.value, printable(frame.path),
        frame.frame_number, frame.pixel_sha256, frame.sop_instance_uid, frame.study_instance_uid, entry.before.code,
        entry.after.code, _json(asdict(entry.before)), _json(asdict(entry.after)), corrections, entry.reason,
        made.marrowpoint, made.profile, made.profile_sha256, made.model_sha256,
    )  # fmt: skip


def _json(tree: dict[str, Any]) -> str:
    return json.dumps(tree, allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def _read(base: sqlite3.Connection, after: int = 0) -> tuple[Entry, ...]:
    rows = base.execute(f"SELECT number, {', '.join(_COLUMNS)} FROM decision WHERE number > ? ORDER BY number", (after,))
    return tuple(_entry(dict(zip(("number", *_COLUMNS), row, strict=True))) for row in rows)


def _entry(row: dict[str, Any]) -> Entry:
    try:
        return Entry(
            number=row["number"],
            frame=FrameKey(
                path=row["path"], frame_number=row["frame_number"], pixel_sha256=row["pixel_sha256"],
                sop_instance_uid=row["sop_instance_uid"], study_instance_uid=row["study_instance_uid"],
            ),
            action=Action(row["action"]),
            rater=row["rater"],
            decided_at=datetime.fromisoformat(row["decided_at"]),
            before=Said(**json.loads(row["said_before"])),
            after=Said(**json.loads(row["said_after"])),
            corrections=None if row["corrections"] is None else from_json(json.loads(row["corrections"])),
            reason=row["reason"],
            provenance=Provenance(
                marrowpoint=row["program"], profile=row["profile"], profile_sha256=row["profile_sha256"],
                model_sha256=row["model_sha256"],
            ),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        text = f"entry {row['number']} of the review ledger is damaged ({type(error).__name__}): keep the file and report it"
        raise MarrowpointError("ledger_damaged", text) from error
