"""One audit of everything that goes wrong in a clinic's folder and sheet, through the command: said, and ending nothing."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from audit_cases import noise
from build_dicom import make_dicom
from typer.testing import CliRunner

from marrowpoint.audit.store import failure_records, finding_records, frame_records, open_audit
from marrowpoint.cli import app

pytestmark = pytest.mark.timeout(900)

TWICE, SUMS, UNKNOWN, OTHER = "1.9.1", "1.9.2", "1.9.3", "1.9.4"
HOSTILE = "<script>alert(1)</script>"
SHEET = f"""study_instance_uid,site,volume_ml,total_ml,entry_time,phase,operator_role
{TWICE},1,8,16,10:20,harvest,{HOSTILE}
{TWICE},2,8,16,10:05,harvest,{HOSTILE}
{SUMS},1,8,60,10:00,harvest,Ärztin
{SUMS},2,8,60,10:10,harvest,Ärztin
{UNKNOWN},1,10,10,09:00,harvest,fellow
"""


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    case, out = root / "case", root / "out"
    case.mkdir()
    told = {"AcquisitionDate": "20260301", "AcquisitionTime": "102100", "PatientName": HOSTILE}
    first = make_dicom(case / "a.dcm", noise(1), StudyInstanceUID=TWICE, SOPInstanceUID="1.2.1", **told)
    (case / "a copy.dcm").write_bytes(first.read_bytes())
    make_dicom(case / "b.dcm", noise(2), StudyInstanceUID=SUMS, SOPInstanceUID="1.2.2", **told)
    make_dicom(case / "other patient.dcm", noise(2), StudyInstanceUID=OTHER, SOPInstanceUID="1.2.3", **told)
    (case / "käse & <b>.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"cut short")
    (root / "sheet.csv").write_text(SHEET, encoding="utf-8")
    words = ["audit", case, "--out", out, "--procedure", root / "sheet.csv", "--identify", "--workers", "1"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 1, done.output  # one file could not be read
    return out


def outcomes(out: Path, rule: str) -> dict[str, str]:
    with closing(open_audit(out, read_only=True)) as db:
        found = [each for each in finding_records(db) if each["rule"] == rule and each["site"] is None]
    return {each["study_instance_uid"]: each["outcome"] for each in found}


def test_the_bad_file_is_a_row_and_the_others_are_analysed(audited) -> None:
    with closing(open_audit(audited, read_only=True)) as db:
        assert [record["source"]["path"] for record in failure_records(db)] == ["case/käse & _b_.dcm"]
        assert len(list(frame_records(db))) == 4


def test_a_file_that_is_there_twice_and_a_picture_of_two_patients(audited) -> None:
    found = outcomes(audited, "A11")
    # pictures without a needle may repeat for good reasons: a copy passes, two studies warn
    assert found == {TWICE: "pass", SUMS: "warn", OTHER: "warn", UNKNOWN: "not_assessable"}


def test_a_clock_that_runs_backwards_and_volumes_that_do_not_add_up(audited) -> None:
    assert outcomes(audited, "A18")[TWICE] == "fail"
    assert outcomes(audited, "A18")[SUMS] == "pass"
    assert outcomes(audited, "A06")[SUMS] == "fail"
    assert outcomes(audited, "A06")[TWICE] == "pass"


def test_a_study_of_the_sheet_alone_is_told_and_not_accused(audited) -> None:
    assert outcomes(audited, "A01")[UNKNOWN] == "fail"
    page = (audited / "report.html").read_text("utf-8")
    assert "On the sheet, but no picture given (1)" in page
    assert not re.search(r"\b(not guided|unguided|blind(ly)?|negligen)", page)


def test_hostile_text_is_shown_and_never_run(audited) -> None:
    page = (audited / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "Ärztin" in page
    lines = [json.loads(line) for line in (audited / "results.jsonl").read_text("utf-8").splitlines()]
    # the name of the patient stands in the report that was asked to identify, nowhere else
    assert HOSTILE not in json.dumps(lines)
    for table in (audited / "tables").glob("*.csv"):
        assert (HOSTILE in table.read_text("utf-8-sig")) == (table.name == "sites.csv"), table.name
