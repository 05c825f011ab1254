"""What follows when all is analysed: tables, findings of the rules, report."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path

from pydicom import dcmread

from marrowpoint.assess import marrowpoint_version
from marrowpoint.audit.agreement import readings_of
from marrowpoint.audit.gather import gather_procedures
from marrowpoint.audit.material import ReportMaterial
from marrowpoint.audit.report import write_report
from marrowpoint.audit.rules import judge_procedures
from marrowpoint.audit.store import (
    failure_records,
    frame_records,
    procedure_sites,
    run_records,
    study_records,
    write_findings,
)
from marrowpoint.audit.tables import write_tables
from marrowpoint.audit.typed import failure_facts
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile
from marrowpoint.read.quiet import quiet
from marrowpoint.report.record import printable
from marrowpoint.review.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the report is made with.

    Parameters
    ----------
    profile : Profile
    entries : sequence of Entry
        Of the review ledger.
    identities : mapping of str to str
        From `identities_of`, where the caller asked for it.
    tables : bool
        Also Parquet and Excel.
    """

    profile: Profile
    entries: Sequence[Entry] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    tables: bool = False


def finish_audit(db: sqlite3.Connection, out: Path, wanted: Wanted) -> Iterator[str]:
    """Ask the rules, write findings, tables and report.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a finished audit.
    out : Path
        Its folder.
    wanted : Wanted

    Yields
    ------
    str
        A line for the person about each step.
    """
    yield from _counts(db)
    records = chain(frame_records(db), run_records(db), study_records(db), failure_records(db))
    of_runs = [entry for entry in wanted.entries if entry.frame.whole_run]
    procedures = gather_procedures(records, procedure_sites(db), readings_of(wanted.entries), of_runs)
    findings = judge_procedures(procedures, wanted.profile)
    write_findings(db, findings)
    outcomes = Counter(finding.outcome.value for finding in findings)
    yield f"{len(procedures)} procedures, rules: {', '.join(f'{count} {name}' for name, count in outcomes.most_common())}"
    written = write_tables(db, out / "tables", rich=wanted.tables)
    yield f"tables: {len(written)} files in {printable(str(out / 'tables'))}"
    material = ReportMaterial(
        procedures=procedures,
        findings=findings,
        profile=wanted.profile,
        pictures=out,
        failures=tuple(failure_facts(record) for record in failure_records(db)),
        made=datetime.now().astimezone(),
        program=marrowpoint_version(),
        identities=wanted.identities,
    )
    pages = write_report(out, material, identify=bool(wanted.identities))
    yield f"report: {', '.join(printable(str(page)) for page in pages)}"


def identities_of(db: sqlite3.Connection, images: Sequence[ImageFile]) -> dict[str, str]:
    """Name and id of the patient of each study, as its first file has them; never kept in the database.

    Parameters
    ----------
    db : sqlite3.Connection
    images : sequence of ImageFile

    Returns
    -------
    dict of str to str
        By study instance UID.
    """
    query = "SELECT study_instance_uid, path FROM files WHERE study_instance_uid <> '' ORDER BY ordinal DESC"
    first = dict(db.execute(query))
    places = {image.relative_path: image.path for image in images}
    found = {}
    for uid, path in first.items():
        with quiet():
            header = dcmread(places[path], stop_before_pixels=True, specific_tags=["PatientName", "PatientID"], force=True)
        found[uid] = printable(f"{header.get('PatientName', '')} ({header.get('PatientID', '')})")
    return found


def _counts(db: sqlite3.Connection) -> Iterator[str]:
    for table, words in (("frames", "frames"), ("runs", "runs"), ("studies", "needle positions")):
        counts = Counter(dict(db.execute(f"SELECT verdict, count(*) FROM {table} GROUP BY verdict")))
        found = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        yield f"{counts.total()} {words}{': ' if found else ''}{found}"
