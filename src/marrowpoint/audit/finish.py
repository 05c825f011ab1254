"""What follows when all is analysed: tables, findings, report, DICOM objects, teaching copies."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from marrowpoint.audit.tables import write_tables
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the caller asked for beside the tables and the report."""

    profile: Profile
    dicom: bool = False
    export: bool = False
    identify: bool = False
    tables: bool = False


def finish_audit(db: sqlite3.Connection, out: Path, images: Sequence[ImageFile], wanted: Wanted) -> Iterator[str]:
    """Write everything that is made from the database.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a finished audit.
    out : Path
    images : sequence of ImageFile
    wanted : Wanted

    Yields
    ------
    str
        A line for the person about each step.
    """
    yield from _summary(db)
    yield f"tables: {', '.join(sorted(path.name for path in write_tables(db, out / 'tables', rich=wanted.tables)))}"


def _summary(db: sqlite3.Connection) -> Iterator[str]:
    for table in ("frames", "studies"):
        counts = Counter(dict(db.execute(f"SELECT verdict, count(*) FROM {table} GROUP BY verdict")))
        found = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        words = {"frames": "frames", "studies": "needle positions"}[table]
        yield f"{counts.total()} {words}{': ' if found else ''}{found}"
