"""The audit's database: opened, filled and read; every row is a record of the contract."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from marrowpoint.audit.nouns import plain
from marrowpoint.audit.schema import CURRENT, migrate, version_of
from marrowpoint.case import Site
from marrowpoint.errors import InvalidAudit

DATABASE = "audit.sqlite"
Record = dict[str, Any]


def open_audit(path: Path, *, create: bool = False, read_only: bool = False) -> sqlite3.Connection:
    """Open the database of an audit.

    Parameters
    ----------
    path : Path
        The file, or the folder that holds it as ``audit.sqlite``.
    create : bool
        Make it where it is missing.
    read_only : bool
        Change nothing, not even its version.

    Returns
    -------
    sqlite3.Connection
        With the tables of the current version. Several readers may look on while one audit writes.

    Raises
    ------
    InvalidAudit
        Where it is missing, cannot be opened, is no audit, or comes from a newer program.
    """
    file = path / DATABASE if path.is_dir() else path
    if not create and not file.is_file():
        raise InvalidAudit("no_audit", f"there is no audit at {file.name}: run an audit into this folder first")
    mode = "ro" if read_only else "rwc" if create else "rw"
    try:
        db = sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=30)
        if not read_only:
            migrate(db)
        elif version_of(db) < CURRENT:
            raise InvalidAudit("older_audit", "this audit was written by an older program: open it once for writing")
    except sqlite3.Error as error:
        raise InvalidAudit("audit_not_opened", f"the audit database cannot be opened: {error}") from error
    return db


def frame_records(db: sqlite3.Connection, study_instance_uid: str | None = None) -> Iterator[Record]:
    """Frame records in the order of the files.

    Parameters
    ----------
    db : sqlite3.Connection
    study_instance_uid : str or None
        Only those of this study.

    Yields
    ------
    dict
        As in the result file; one in memory at a time.
    """
    order = "SELECT frames.record FROM frames JOIN files USING (path) {} ORDER BY files.ordinal, frames.frame"
    if study_instance_uid is None:
        yield from _records(db, order.format(""))
    else:
        yield from _records(db, order.format("WHERE frames.study_instance_uid = ?"), study_instance_uid)


def run_records(db: sqlite3.Connection) -> Iterator[Record]:
    """Run records in the order of the files, then those that stills make."""
    yield from _records(db, "SELECT t.record FROM runs t JOIN files USING (path) ORDER BY t.ordinal, files.ordinal")


def study_records(db: sqlite3.Connection) -> Iterator[Record]:
    """Study records, one a needle position, in the order of the files."""
    yield from _records(db, "SELECT record FROM studies ORDER BY ordinal")


def failure_records(db: sqlite3.Connection) -> Iterator[Record]:
    """Failure records in the order of the files."""
    yield from _records(db, "SELECT f.record FROM failures f JOIN files USING (path) ORDER BY files.ordinal, f.frame")


def finding_records(db: sqlite3.Connection) -> Iterator[Record]:
    """Findings of the audit rules, as they were written."""
    yield from _records(db, "SELECT record FROM findings ORDER BY ordinal")


def ledger_records(db: sqlite3.Connection) -> Iterator[Record]:
    """Entries of the review ledger, as they were written."""
    yield from _records(db, "SELECT record FROM ledger ORDER BY ordinal")


def procedure_sites(db: sqlite3.Connection) -> dict[str, tuple[Site, ...]]:
    """The procedure sheet of the audit: sites by study instance UID, in the order of the sheet."""
    sites: dict[str, tuple[Site, ...]] = {}
    for record in _records(db, "SELECT record FROM sites ORDER BY ordinal"):
        site = Site(**record)
        sites[site.study_instance_uid] = (*sites.get(site.study_instance_uid, ()), site)
    return sites


def audit_facts(db: sqlite3.Connection) -> Record:
    """What is known of the audit as a whole: state, program, profile, model, counts of files."""
    return {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM facts ORDER BY name")}


def write_facts(db: sqlite3.Connection, facts: Mapping[str, Any]) -> None:
    """Add or replace facts of the audit; values are plain JSON."""
    with db:
        db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", ((k, _json(v)) for k, v in facts.items()))


def write_sites(db: sqlite3.Connection, procedure: Mapping[str, tuple[Site, ...]]) -> None:
    """Replace the procedure sheet."""
    rows = [(site.study_instance_uid, _json(asdict(site))) for sites in procedure.values() for site in sites]
    with db:
        db.execute("DELETE FROM sites")
        db.executemany("INSERT INTO sites (study_instance_uid, record) VALUES (?, ?)", rows)


def write_findings(db: sqlite3.Connection, findings: Iterable[Any]) -> None:
    """Replace the findings of the audit.

    Parameters
    ----------
    db : sqlite3.Connection
    findings : iterable of Finding
        Or any dataclass or mapping with the same fields; every field is kept.
    """
    rows = [(_json(plain(finding)),) for finding in findings]
    with db:
        db.execute("DELETE FROM findings")
        db.executemany("INSERT INTO findings (record) VALUES (?)", rows)


def write_ledger(db: sqlite3.Connection, entries: Iterable[Any]) -> None:
    """Replace the entries of the review ledger (dataclasses or mappings; every field is kept)."""
    rows = [(_json(plain(entry)),) for entry in entries]
    with db:
        db.execute("DELETE FROM ledger")
        db.executemany("INSERT INTO ledger (record) VALUES (?)", rows)


def _records(db: sqlite3.Connection, query: str, *values: str) -> Iterator[Record]:
    for (text,) in db.execute(query, values):
        yield json.loads(text)


def _json(value: Any) -> str:
    # a NaN is an error here, not a token in the file
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
