"""The audit's database: old files come up to date, foreign and newer ones are refused, what goes in comes out."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from audit_cases import a_job, audit_here, dump, make_folder
from drawn import drawn_assessment
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowpoint.assess import without_pixels
from marrowpoint.assessment import Assessment
from marrowpoint.audit.columns import TABLES
from marrowpoint.audit.nouns import pack, unpack
from marrowpoint.audit.schema import CURRENT
from marrowpoint.audit.store import (
    audit_facts,
    failure_records,
    finding_records,
    frame_records,
    ledger_records,
    open_audit,
    procedure_sites,
    run_records,
    study_records,
    write_findings,
    write_ledger,
    write_sites,
)
from marrowpoint.audit.tables import rows, write_tables
from marrowpoint.case import Site
from marrowpoint.errors import InvalidAudit
from marrowpoint.frame import FrameReference
from marrowpoint.report.record import frame_record, study_record
from marrowpoint.study import judge_studies

# The tables of version 1 as they were first written, frozen: what a file of that time looks like.
OLD = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE files (path TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, size INTEGER, mtime_ns INTEGER, sha256 TEXT,
    key TEXT, done INTEGER NOT NULL DEFAULT 0);
CREATE INDEX files_in_order ON files (ordinal);
CREATE TABLE frames (path TEXT NOT NULL, frame INTEGER NOT NULL, record TEXT NOT NULL, nouns TEXT NOT NULL,
    study_instance_uid TEXT AS (json_extract(record, '$.source.study_instance_uid')),
    pixel_sha256 TEXT AS (json_extract(record, '$.source.pixel_sha256')),
    verdict TEXT AS (json_extract(record, '$.verdict.code')), PRIMARY KEY (path, frame));
CREATE INDEX frames_by_study ON frames (study_instance_uid);
CREATE INDEX frames_by_pixels ON frames (pixel_sha256);
CREATE TABLE studies (ordinal INTEGER PRIMARY KEY, record TEXT NOT NULL,
    study_instance_uid TEXT AS (json_extract(record, '$.study_instance_uid')),
    site TEXT AS (json_extract(record, '$.site')), verdict TEXT AS (json_extract(record, '$.verdict.code')));
CREATE INDEX studies_by_uid ON studies (study_instance_uid);
CREATE TABLE failures (path TEXT NOT NULL, frame INTEGER NOT NULL, record TEXT NOT NULL,
    code TEXT AS (json_extract(record, '$.error.code')), PRIMARY KEY (path, frame));
CREATE TABLE sites (ordinal INTEGER PRIMARY KEY, study_instance_uid TEXT NOT NULL, record TEXT NOT NULL);
CREATE TABLE ledger (ordinal INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE findings (ordinal INTEGER PRIMARY KEY, record TEXT NOT NULL,
    study_instance_uid TEXT AS (json_extract(record, '$.study_instance_uid')),
    rule TEXT AS (json_extract(record, '$.rule')), outcome TEXT AS (json_extract(record, '$.outcome')));
PRAGMA application_id = 1297241936;
PRAGMA user_version = 1;
"""

# and what version 2 added
NEXT = """
ALTER TABLE files ADD COLUMN study_instance_uid TEXT NOT NULL DEFAULT '';
CREATE TABLE timings (path TEXT NOT NULL, frame INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (path, frame));
CREATE TABLE runs (ordinal INTEGER PRIMARY KEY, began TEXT NOT NULL, ended TEXT, workers TEXT NOT NULL, frames INTEGER);
INSERT INTO runs (began, workers) VALUES ('2026-03-02T10:00:00+00:00', 'two hands');
PRAGMA user_version = 2;
"""


# and version 3
THEN = """
ALTER TABLE runs RENAME TO sessions;
CREATE TABLE runs (path TEXT PRIMARY KEY, record TEXT NOT NULL,
    study_instance_uid TEXT AS (json_extract(record, '$.source.study_instance_uid')),
    verdict TEXT AS (json_extract(record, '$.verdict.code')));
UPDATE files SET done = 0 WHERE path IN
    (SELECT path FROM frames WHERE json_extract(record, '$.source.number_of_frames') > 1);
PRAGMA user_version = 3;
"""


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_a_former_version_comes_up_to_date(tmp_path, version) -> None:
    folder, out = make_folder(tmp_path / "case"), tmp_path / "new"
    audit_here(folder, out)
    old = tmp_path / "old"
    old.mkdir()
    with closing(sqlite3.connect(old / "audit.sqlite")) as db:
        db.executescript(OLD)
        db.execute("ATTACH ? AS new", (str(out / "audit.sqlite"),))
        kept = {
            "facts": "name, value", "files": "path, ordinal, size, mtime_ns, sha256, key, done",
            "frames": "path, frame, record, nouns", "studies": "ordinal, record", "failures": "path, frame, record",
        }  # fmt: skip
        for table, columns in kept.items():
            db.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table}")
        db.commit()
        if version > 1:
            db.executescript(NEXT)
            uid = "SELECT n.study_instance_uid FROM new.files n WHERE n.path = files.path"
            db.execute(f"UPDATE files SET study_instance_uid = ({uid})")
            db.commit()
        if version > 2:
            db.executescript(THEN)
    with closing(open_audit(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (CURRENT,)
        assert db.execute("SELECT workers FROM sessions").fetchall() == [("two hands",)] * (version > 1)
        assert list(run_records(db)) == []
    # an audit goes on with it: the run that was not asked for at that time is all there is to do
    counted: list = []
    (old / "overlays").mkdir()
    audit_here(folder, old, counted=counted)
    (task,) = [task for task in counted if hasattr(task, "image")]
    assert (task.image.relative_path, task.skip) == ("case/b.dcm", {1, 2})
    assert dump(old) == dump(out)
    with closing(open_audit(old)) as db:
        assert [record["source"]["paths"] for record in run_records(db)] == [["case/b.dcm"]]


@pytest.fixture
def base(tmp_path) -> Path:
    with closing(open_audit(tmp_path, create=True)):
        pass
    return tmp_path / "audit.sqlite"


def refusal(path: Path, **options: bool) -> str:
    with pytest.raises(InvalidAudit) as caught, closing(open_audit(path, **options)):
        pass
    return caught.value.code


def test_a_newer_file_is_refused_and_left_alone(base) -> None:
    with closing(sqlite3.connect(base)) as db:
        db.execute(f"PRAGMA user_version = {CURRENT + 1}")
    before = base.read_bytes()
    assert refusal(base) == "newer_audit"
    assert refusal(base, create=True) == "newer_audit"
    assert base.read_bytes() == before


def test_what_is_no_audit_is_refused(tmp_path) -> None:
    assert refusal(tmp_path) == "no_audit"
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE patients (name TEXT)")
    assert refusal(other) == "no_audit"
    text = tmp_path / "text.sqlite"
    text.write_text("This is no database at all. " * 50)
    assert refusal(text) == "no_audit"


def test_an_old_file_that_may_not_be_written_says_so(base) -> None:
    with closing(sqlite3.connect(base)) as db:
        db.execute("PRAGMA user_version = 1")
    assert refusal(base, read_only=True) == "older_audit"


def test_a_reader_changes_nothing(base) -> None:
    with closing(open_audit(base, read_only=True)) as db, pytest.raises(sqlite3.OperationalError):
        write_findings(db, [])


@dataclass
class Spoken:
    rule: str
    outcome: str
    study_instance_uid: str
    site: str | None
    sentence: str
    source: str


HOSTILE = "<script>alert(\"é\u202e\")</script>\n=cmd()|'x'; DROP TABLE frames"


def test_findings_sites_and_ledger_come_back_as_they_went_in(base) -> None:
    found = Spoken("A01", "warn", "1.2", None, HOSTILE, "nobody")
    site = Site(study_instance_uid="1.2", site=HOSTILE, side="L", needle_od_mm=3.05, volume_ml=8.5)
    with closing(open_audit(base)) as db:
        for _ in range(2):
            write_findings(db, [found])
            write_sites(db, {"1.2": (site, replace(site, site="b"))})
            write_ledger(db, [{"rater": HOSTILE}])
        assert list(finding_records(db)) == [found.__dict__]
        assert procedure_sites(db) == {"1.2": (site, replace(site, site="b"))}
        assert list(ledger_records(db)) == [{"rater": HOSTILE}]
        assert db.execute("SELECT rule, outcome, study_instance_uid FROM findings").fetchall() == [("A01", "warn", "1.2")]


def test_records_are_read_in_the_order_of_the_files(tmp_path) -> None:
    audit_here(make_folder(tmp_path / "case", singles=3), tmp_path / "out")
    with closing(open_audit(tmp_path / "out")) as db:
        frames = [(r["source"]["path"], r["source"]["frame"]) for r in frame_records(db)]
        assert frames == [(f"case/a{k}.dcm", 1) for k in range(3)] + [("case/b.dcm", k) for k in (1, 2)]
        assert [r["source"]["path"] for r in frame_records(db, "1.9.1")] == ["case/a2.dcm"]
        assert [r["study_instance_uid"] for r in study_records(db)] == ["1.9.0", "1.9.1", "1.9.99"]
        assert [r["source"]["path"] for r in failure_records(db)] == ["case/broken.dcm"]
        assert audit_facts(db)["state"] == "finished"
        assert audit_facts(db)["profile"]["sha256"] == a_job().profile.sha256


def test_an_assessment_survives_its_journey() -> None:
    light = without_pixels(DRAWN)
    back = unpack(Assessment, pack(light))
    assert pack(back) == pack(light)
    assert frame_record(back) == frame_record(light)
    studies = [[study_record(s) for s in judge_studies([a], a_job().profile)] for a in (light, back)]
    assert studies[0] == studies[1]


DRAWN = drawn_assessment()


@settings(max_examples=40, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text(), st.integers(1, 10**9))
def test_numbers_and_text_survive_to_the_last_digit(number, text, whole) -> None:
    assessment = DRAWN
    assert assessment.needle is not None
    needle = replace(assessment.needle, tip=(number, np.float32(number) if abs(number) < 1e30 else 0.0), located_by=text)
    reference = FrameReference(path=text, rows=whole, columns=whole)
    light = replace(without_pixels(assessment), needle=needle, frame=replace(assessment.frame, reference=reference))
    back = unpack(Assessment, pack(light))
    assert back.needle == needle
    assert back.frame.reference == reference


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    """An audit with hostile text wherever text may stand; only read."""
    tmp_path = tmp_path_factory.mktemp("told")
    audit_here(make_folder(tmp_path / "case"), tmp_path / "out")
    with closing(open_audit(tmp_path / "out")) as db:
        write_findings(db, [Spoken("A01", "warn", "1.2", HOSTILE, HOSTILE, "x")])
        write_sites(db, {"1.2": (Site(study_instance_uid="1.2", site="=1+1", note="\x0bbell"),)})
        write_ledger(db, [{"frame": {"path": "a"}, "rater": "-cmd", "before": {"code": "x"}}])
    return tmp_path / "out"


def test_the_tables_say_what_the_records_say(told, tmp_path) -> None:
    with closing(open_audit(told)) as db:
        written = write_tables(db, tmp_path / "tables")
        records = list(frame_records(db))
    assert {path.name for path in written} == {f"{name}.csv" for name in (*TABLES, "data_dictionary")}
    with (tmp_path / "tables" / "frames.csv").open(encoding="utf-8-sig", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [(row["path"], int(row["frame"]), row["verdict"], row["pixel_sha256"]) for row in read] == [
        (r["source"]["path"], r["source"]["frame"], r["verdict"]["code"], r["source"]["pixel_sha256"]) for r in records
    ]
    with (tmp_path / "tables" / "data_dictionary.csv").open(encoding="utf-8-sig", newline="") as stream:
        told_of = [(row["table"], row["column"]) for row in csv.DictReader(stream)]
    assert told_of == [(table, column.name) for table, columns in TABLES.items() for column in columns]


def test_no_cell_is_a_formula(told, tmp_path) -> None:
    with closing(open_audit(told)) as db:
        write_tables(db, tmp_path)
    for path in tmp_path.glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.reader(stream):
                assert not [cell for cell in row if cell.startswith(("=", "+", "@")) or (cell.startswith("-") and "c" in cell)]


def test_every_column_of_a_measured_frame_is_found(tmp_path) -> None:
    record = frame_record(drawn_assessment()) | {"overlay": "overlays/x.png"}
    with closing(open_audit(tmp_path, create=True)) as db:
        db.execute("INSERT INTO files (path, ordinal) VALUES ('x', 0)")
        db.execute("INSERT INTO frames (path, frame, record, nouns) VALUES ('x', 1, ?, '{}')", (json.dumps(record),))
        (row,) = rows(db, "frames")
    found = dict(zip([column.name for column in TABLES["frames"]], row, strict=True))
    measured = record["measurements"]["tip_to_cortex"]
    assert found["tip_to_cortex"] == measured["value"]
    assert (found["tip_to_cortex_lower"], found["tip_to_cortex_unit"]) == (measured["lower"], measured["unit"])
    assert [found["tip_x"], found["tip_y"]] == record["needle"]["tip_xy"]
    assert found["verdict"] == record["verdict"]["code"]
    assert (found["flags"] or "").split() == record["verdict"]["flags"]


def test_parquet_and_excel_hold_the_same(told, tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra [tables] is not installed")
    openpyxl = pytest.importorskip("openpyxl", reason="the extra [tables] is not installed")
    with closing(open_audit(told)) as db:
        write_tables(db, tmp_path, rich=True)
        expected = {name: list(rows(db, name)) for name in TABLES}
    for name in TABLES:
        assert [tuple(row.values()) for row in parquet.read_table(tmp_path / f"{name}.parquet").to_pylist()] == expected[name]
    book = openpyxl.load_workbook(tmp_path / "audit.xlsx", read_only=True)
    assert book.sheetnames == [*TABLES, "data_dictionary"]
    assert [row[0] for row in book["frames"].iter_rows(min_row=2, values_only=True)] == [row[0] for row in expected["frames"]]
    assert [cell for row in book["sites"].iter_rows(min_row=2) for cell in row if cell.data_type == "f"] == []
    book.close()
