"""Whole procedures with every answer worked out by hand, a good one and a bad one; and one of real files."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from build_audit import PROFILE, failure, frame, imaged_sites, length, procedure, reinjection, sheet, study, tip
from pydicom import dcmread
from typer.testing import CliRunner

from marrowpoint.audit.facts import Reading
from marrowpoint.audit.rules import judge_procedure
from marrowpoint.cli import app
from marrowpoint.verdict import Code, Flag

SHARED = Path(__file__).parents[1].parent / "shared" / "fluoro-dev" / "z009" / "study_000"
HEADER = {"laterality": "L", "body_position": "HFP", "dose_area_gy_cm2": 1.2}


def answers(facts) -> dict[str, str]:
    return {f.rule: f.outcome.value for f in judge_procedure(facts, PROFILE) if f.site is None}


def test_a_good_procedure():
    """Six sites of 10 ml, each imaged twice, all consistent and confirmed, re-injection with a picture."""
    records, readings = [], []
    for k in range(6):
        pair = [
            frame(f"s{k}/{view}.dcm", view=view, acquired=f"2026-03-02T10:{6 * k + 1:02d}:00", side="L", documented=HEADER,
                  measurements={"tip_to_cortex": length(8)})
            for view in ("tangential", "iliac_oblique")
        ]  # fmt: skip
        place, flags = tip(20 * k, 0, 0), (Flag.AWAITING_CONFIRMATION.value,)
        records += [*pair, study(str(k + 1), pair, Code.RIGHT_SPOT, flags=flags, tip=place, depth=length(18))]
        readings += [
            Reading(key=f"s{k}/{view}.dcm#1", pixel_sha256="", rater="r", action="accept", program="a", reader="a")
            for view in ("tangential", "iliac_oblique")
        ]
    back = frame("back.dcm", acquired="2026-03-02T13:05:00", documented=HEADER)
    rows = (
        *sheet(6, 10.0, total_ml=60.0, syringe_ml=10.0, site_kind="entry", adverse_event="none"),
        reinjection(contrast="no"),
    )
    found = answers(procedure([*records, back, study("disc", [back])], rows, readings=readings))
    # no contrast, no ultrasound: A22 to A25 do not apply
    applying = [f"A{number:02d}" for number in range(1, 31) if number not in (22, 23, 24, 25)]
    assert found == dict.fromkeys(applying, "pass")


def test_a_bad_procedure():
    """Sixty millilitres from one site through one big syringe, one picture of a needle outside of bone, re-injection first."""
    held = frame("a.dcm", Code.OUTSIDE_BONE, scale="detector_plane", measurements={"tip_to_cortex": length(-9)}, side="R",
                 documented={"laterality": "R", "body_position": "HFS", "fluoroscopy_min": 61.0})  # fmt: skip
    row = replace(sheet(1, 60.0)[0], syringe_ml=60.0, total_ml=90.0, needle="11G", note="PSIS", entry_time="11:00")
    facts = procedure([held, study("1", [held], Code.OUTSIDE_BONE)], (row, reinjection("10:30", contrast="yes")))
    assert answers(facts) == {
        "A01": "pass",  # there is a picture
        "A02": "fail",  # none of the re-injection
        "A03": "pass",
        "A04": "fail",  # 60 ml from one site
        "A05": "fail",  # one site
        "A06": "fail",  # 60 is not 90
        "A07": "pass",  # 90 ml
        "A08": "fail",  # 60 ml syringe
        "A09": "fail",
        "A11": "pass",
        "A12": "warn",  # one view
        "A13": "fail",
        "A14": "pass",  # it was assessed
        "A15": "warn",  # millimetres at the detector
        "A16": "warn",  # gauge only
        "A17": "fail",  # sheet L, header R
        "A18": "pass",
        "A19": "fail",  # supine, yet PSIS
        "A20": "warn",  # time, no dose
        "A21": "fail",  # 61 min
        "A22": "fail",  # contrast stated, nothing given
        "A26": "not_assessable",
        "A28": "pass",
        "A29": "warn",
        "A30": "fail",
    }


def test_a_sheet_without_files():
    found = answers(procedure(rows=sheet(6, 10.0)))
    assert {rule for rule, outcome in found.items() if outcome == "fail"} == {"A01", "A03", "A09", "A12"}
    assert {rule for rule, outcome in found.items() if outcome == "pass"} == {"A04", "A05", "A07", "A16", "A17", "A18"}


def test_files_without_a_sheet():
    found = answers(procedure([*imaged_sites(1, documented=HEADER, side="L"), failure("s0/lost.dcm")]))
    assert {rule for rule, outcome in found.items() if outcome == "fail"} == set()
    assert {rule for rule, outcome in found.items() if outcome == "pass"} >= {"A01", "A11", "A12", "A17", "A18", "A19", "A20"}
    assert all(
        found[rule] == "not_assessable" for rule in ("A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A16", "A29")
    )


def test_a_profile_without_audit_rules_is_refused_before_any_work(tmp_path):
    whole = files("marrowpoint").joinpath("profiles", "default.toml").read_text("utf-8")
    old = tmp_path / "old.toml"
    sections = re.split(r"(?m)^(?=\[)", whole)
    old.write_text("".join(part for part in sections if not part.startswith("[audit]")), "utf-8")
    folder = Path(__file__).parents[1] / "sample_dicom"
    ran = CliRunner().invoke(app, ["audit", str(folder), "--out", str(tmp_path / "out"), "--profile", str(old)])
    assert ran.exit_code == 2
    assert "[audit]" in ran.output
    assert not (tmp_path / "out").exists()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the evaluation data do not lie beside the checkout")
def test_real_files_through_the_command(tmp_path):
    """Three frames of one site; the sheet speaks of six sites and of a re-injection that nobody took a picture of."""
    uid = str(dcmread(SHARED / "view_1.dcm", stop_before_pixels=True).StudyInstanceUID)
    names = "study_instance_uid site side needle volume_ml syringe_ml entry_time phase total_ml contrast"
    rows = [[uid, str(k + 1), "L", "4.19mm", "10", "10", f"10:{10 + 5 * k}", "harvest", "60", ""] for k in range(6)]
    rows.append([uid, "disc", "", "", "", "", "13:00", "reinjection", "", "yes"])
    path = tmp_path / "procedure.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([names.split(), *rows])
    out = tmp_path / "audit"
    ran = CliRunner().invoke(app, ["audit", str(SHARED), "--out", str(out), "--procedure", str(path), "--workers", "1"])
    assert ran.exit_code == 0, ran.output
    with sqlite3.connect(out / "audit.sqlite") as db:
        told = [json.loads(record) for (record,) in db.execute("SELECT record FROM findings")]
    found = {finding["rule"]: finding["outcome"] for finding in told if finding["site"] is None}
    # all three frames were taken at 10:15, after the second site was entered: they show that one
    by_hand = {
        "A01": "pass", "A02": "fail", "A03": "warn", "A04": "pass", "A05": "pass", "A06": "pass", "A07": "pass", "A08": "pass",
        "A09": "fail", "A11": "pass", "A16": "pass", "A17": "pass", "A18": "pass", "A19": "pass", "A20": "fail",
        "A21": "not_assessable", "A22": "fail", "A28": "pass", "A29": "warn", "A30": "pass",
    }  # fmt: skip
    assert {rule: found[rule] for rule in by_hand} == by_hand
    sites = {finding["site"]: finding["outcome"] for finding in told if finding["rule"] == "A03" and finding["site"]}
    assert sites == {"1": "warn", "2": "pass", "3": "warn", "4": "warn", "5": "warn", "6": "warn"}
    page = (out / "report.html").read_text("utf-8")
    assert "SIM-z009" not in page
    assert "Simulated^" not in page
