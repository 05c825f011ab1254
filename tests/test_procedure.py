"""The procedure sheet: what it may look like, and how a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from marrowpoint.case import Site
from marrowpoint.errors import InvalidProcedure
from marrowpoint.read import read_procedure

UID = "1.2.826.0.1"
HEADER = "study_instance_uid,site,side,needle,volume_ml,syringe_ml,entry_time,phase,operator_role,note"
ROW = f"{UID},PSIS 1,L,11G,60,50,10:15:00,harvest,attending,zweite Führung"
SITE = Site(
    study_instance_uid=UID, site="PSIS 1", side="L", needle_od_mm=3.05, volume_ml=60.0, syringe_ml=50.0,
    entry_time="10:15:00", phase="harvest", operator_role="attending", note="zweite Führung",
    needle="11G",
)  # fmt: skip


def sheet(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "procedure.csv"
    path.write_bytes(text.encode(encoding))
    return path


def mistake(tmp_path: Path, text: str) -> str:
    with pytest.raises(InvalidProcedure) as caught:
        read_procedure(sheet(tmp_path, text))
    assert caught.value.code == "invalid_procedure"
    return caught.value.text


def test_all_columns(tmp_path):
    assert read_procedure(sheet(tmp_path, f"{HEADER}\n{ROW}\n")) == {UID: (SITE,)}


def test_only_the_study_is_required(tmp_path):
    assert read_procedure(sheet(tmp_path, f"study_instance_uid\n{UID}")) == {UID: (Site(study_instance_uid=UID),)}
    assert read_procedure(sheet(tmp_path, f"{HEADER}\n{UID},,,,,,,,,\n")) == {UID: (Site(study_instance_uid=UID),)}


def test_sites_of_a_study_stay_together_in_order(tmp_path):
    text = f"study_instance_uid,site\n{UID},1\n1.2.3,a\n\n{UID},2\n"
    found = read_procedure(sheet(tmp_path, text))
    assert [site.site for site in found[UID]] == ["1", "2"]
    assert list(found) == [UID, "1.2.3"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheet_programs_write(tmp_path, encoding, mark, end):
    text = f"{HEADER}{end}{ROW}{end}".replace(",", mark)
    assert read_procedure(sheet(tmp_path, text, encoding)) == {UID: (SITE,)}


def test_what_an_audit_asks_beyond_the_needle(tmp_path):
    text = f"study_instance_uid,total_ml,site_kind,contrast,adverse_event\n{UID},60,Entry,yes,none\n"
    (site,) = read_procedure(sheet(tmp_path, text))[UID]
    assert (site.total_ml, site.site_kind, site.contrast, site.adverse_event) == (60.0, "entry", "yes", "none")


def test_decimal_comma_between_semicolons(tmp_path):
    found = read_procedure(sheet(tmp_path, f"study_instance_uid;needle;volume_ml\n{UID};3,05mm;12,5\n"))
    assert (found[UID][0].needle_od_mm, found[UID][0].volume_ml) == (3.05, 12.5)


def test_quoted_note_may_hold_the_separator(tmp_path):
    found = read_procedure(sheet(tmp_path, f'study_instance_uid,note\n{UID},"one, two"\n'))
    assert found[UID][0].note == "one, two"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("study_instance_uid,gauge\n1.2,11G\n", ["line 1", "column 2", "gauge"]),
        ("site,needle\n1,11G\n", ["line 1", "study_instance_uid"]),
        ("study_instance_uid,site,site\n1.2,1,1\n", ["line 1", "column 3", "twice"]),
        ("study_instance_uid,site\n1.2,1\n,2\n", ["line 3", "study_instance_uid"]),
        ("study_instance_uid\nDOE JOHN\n", ["line 2", "study_instance_uid"]),
        ("study_instance_uid,side\n1.2,left\n", ["line 2", "side", "LEFT"]),
        ("study_instance_uid,needle\n1.2,12G\n", ["line 2", "needle", "12G"]),
        ("study_instance_uid,needle\n1.2,3.05\n", ["line 2", "needle", "3.05"]),
        ("study_instance_uid,volume_ml\n1.2,much\n", ["line 2", "volume_ml", "much"]),
        ("study_instance_uid,volume_ml\n1.2,-3\n", ["line 2", "volume_ml", "-3"]),
        ("study_instance_uid,syringe_ml\n1.2,nan\n", ["line 2", "syringe_ml", "nan"]),
        ("study_instance_uid,phase\n1.2,lunch\n", ["line 2", "phase", "lunch"]),
        ("study_instance_uid,total_ml\n1.2,all\n", ["line 2", "total_ml", "all"]),
        ("study_instance_uid,site_kind\n1.2,hole\n", ["line 2", "site_kind", "hole"]),
        ("study_instance_uid,contrast\n1.2,some\n", ["line 2", "contrast", "some"]),
        ("study_instance_uid,note\n1.2,a,b\n", ["line 2", "3 values"]),
        ('study_instance_uid,note\n1.2,"open\n', ["line 2"]),
        ("study_instance_uid\n1.2\0\n", ["no text"]),
    ],
)
def test_mistakes_are_named_by_line_and_column(tmp_path, text, words):
    said = mistake(tmp_path, text)
    for word in words:
        assert word in said


def test_missing_sheet(tmp_path):
    with pytest.raises(InvalidProcedure, match="cannot be opened"):
        read_procedure(tmp_path / "missing.csv")
    with pytest.raises(InvalidProcedure, match="cannot be opened"):
        read_procedure(tmp_path)
