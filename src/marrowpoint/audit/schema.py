"""The tables of an audit, every version of them: a new database walks the same road as an old one."""

from __future__ import annotations

import sqlite3

from marrowpoint.errors import InvalidAudit

# Marks the file as ours ("MRWP"), so that no other SQLite file is taken for an audit.
APPLICATION_ID = 0x4D525750

# Each row keeps the whole contract record as JSON; what is searched for is a column computed from it, so that the two cannot
# part. `key` says which file content, statement, program, thresholds and model a row comes from; `nouns` holds the assessment
# without its pixels, to the last digit, from which studies and other thresholds are judged.
VERSION_1 = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE files (
        path TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, size INTEGER, mtime_ns INTEGER, sha256 TEXT,
        key TEXT, done INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX files_in_order ON files (ordinal)",
    """CREATE TABLE frames (
        path TEXT NOT NULL, frame INTEGER NOT NULL, record TEXT NOT NULL, nouns TEXT NOT NULL,
        study_instance_uid TEXT AS (json_extract(record, '$.source.study_instance_uid')),
        pixel_sha256 TEXT AS (json_extract(record, '$.source.pixel_sha256')),
        verdict TEXT AS (json_extract(record, '$.verdict.code')),
        PRIMARY KEY (path, frame))""",
    "CREATE INDEX frames_by_study ON frames (study_instance_uid)",
    "CREATE INDEX frames_by_pixels ON frames (pixel_sha256)",
    """CREATE TABLE studies (
        ordinal INTEGER PRIMARY KEY, record TEXT NOT NULL,
        study_instance_uid TEXT AS (json_extract(record, '$.study_instance_uid')),
        site TEXT AS (json_extract(record, '$.site')),
        verdict TEXT AS (json_extract(record, '$.verdict.code')))""",
    "CREATE INDEX studies_by_uid ON studies (study_instance_uid)",
    """CREATE TABLE failures (
        path TEXT NOT NULL, frame INTEGER NOT NULL, record TEXT NOT NULL,
        code TEXT AS (json_extract(record, '$.error.code')),
        PRIMARY KEY (path, frame))""",
    "CREATE TABLE sites (ordinal INTEGER PRIMARY KEY, study_instance_uid TEXT NOT NULL, record TEXT NOT NULL)",
    "CREATE TABLE ledger (ordinal INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    """CREATE TABLE findings (
        ordinal INTEGER PRIMARY KEY, record TEXT NOT NULL,
        study_instance_uid TEXT AS (json_extract(record, '$.study_instance_uid')),
        rule TEXT AS (json_extract(record, '$.rule')), outcome TEXT AS (json_extract(record, '$.outcome')))""",
)

# Which sheet rows a file depends on is known by its study; what differs from run to run stands apart, so that two audits of the
# same pictures are equal in all other tables.
VERSION_2 = (
    "ALTER TABLE files ADD COLUMN study_instance_uid TEXT NOT NULL DEFAULT ''",
    """UPDATE files SET study_instance_uid =
        coalesce((SELECT study_instance_uid FROM frames WHERE frames.path = files.path), '')""",
    "CREATE TABLE timings (path TEXT NOT NULL, frame INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (path, frame))",
    "CREATE TABLE runs (ordinal INTEGER PRIMARY KEY, began TEXT NOT NULL, ended TEXT, workers TEXT NOT NULL, frames INTEGER)",
)

# Files as runs; the name was taken. A file that may be one is not done until it was gone through as such.
VERSION_3 = (
    "ALTER TABLE runs RENAME TO sessions",
    """CREATE TABLE runs (
        path TEXT PRIMARY KEY, record TEXT NOT NULL,
        study_instance_uid TEXT AS (json_extract(record, '$.source.study_instance_uid')),
        verdict TEXT AS (json_extract(record, '$.verdict.code')))""",
    """UPDATE files SET done = 0 WHERE path IN
        (SELECT path FROM frames WHERE json_extract(record, '$.source.number_of_frames') > 1)""",
)

# Runs that stills make stand after those of files, which have no key and no place of their own.
VERSION_4 = (
    "ALTER TABLE runs ADD COLUMN key TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE runs ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS = (VERSION_1, VERSION_2, VERSION_3, VERSION_4)
CURRENT = len(MIGRATIONS)

# tables that differ from one session of work to the next, and columns that differ from machine to machine
PASSING_TABLES = frozenset({"timings", "sessions"})
PASSING_COLUMNS = frozenset({"mtime_ns"})


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the current version, in one transaction.

    Parameters
    ----------
    db : sqlite3.Connection
        An empty database, or one of ours.

    Raises
    ------
    InvalidAudit
        Where the file is no audit, or was written by a newer program.
    """
    version = version_of(db)
    if version == CURRENT:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {CURRENT}")


def version_of(db: sqlite3.Connection) -> int:
    """Version of the tables; 0 for an empty file.

    Parameters
    ----------
    db : sqlite3.Connection

    Returns
    -------
    int

    Raises
    ------
    InvalidAudit
        Where the file is no audit, or was written by a newer program.
    """
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise InvalidAudit("no_audit", "this is no audit database, or it is damaged") from error
    if tables == 0 and version == 0:
        return 0
    if application != APPLICATION_ID:
        raise InvalidAudit("no_audit", "this database is no audit: give the audit.sqlite of an audit")
    if version > CURRENT:
        text = f"this audit has version {version}, newer than this program knows ({CURRENT}): update marrowpoint"
        raise InvalidAudit("newer_audit", text)
    return int(version)
