"""Other thresholds on stored lengths say what a new analysis with these thresholds says."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from audit_cases import a_job, audit_here
from typer.testing import CliRunner

from marrowpoint.audit.engine import run_here
from marrowpoint.audit.rejudge import rejudge_audit
from marrowpoint.audit.store import frame_records, open_audit, study_records
from marrowpoint.cli import app
from marrowpoint.errors import InvalidAudit
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.profile import Profile

SAMPLES = Path(__file__).parents[1] / "sample_dicom"

# of each kind one; few, as every frame is analysed once a profile
CHOSEN = ("psis_tangential", "thin_wing", "outside_monochrome1", "us_above_cortex")


def profile(**verdict: float) -> Profile:
    base = a_job().profile
    digest = f"{abs(hash(tuple(sorted(verdict.items())))):064x}"
    return replace(base, name="other", sha256=digest, verdict=replace(base.verdict, **verdict))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A few sample frames."""
    place = tmp_path_factory.mktemp("rejudge") / "case"
    place.mkdir()
    for name in CHOSEN:
        (place / f"{name}.dcm").write_bytes((SAMPLES / f"{name}.dcm").read_bytes())
    return place


def analysed(folder: Path, out: Path, thresholds: Profile) -> Path:
    network = load_network()
    job = a_job(profile=thresholds, outer_diameter_mm=3.05, model_sha256=None if network is None else network.sha256)
    audit_here(folder, out, job, run=partial(run_here, job, network))
    return out


@pytest.fixture(scope="module")
def measured(folder, tmp_path_factory) -> Path:
    return analysed(folder, tmp_path_factory.mktemp("measured"), a_job().profile)


def said(out: Path) -> list[tuple]:
    with closing(open_audit(out)) as db:
        frames = [(r["source"]["path"], r["verdict"], r["measurements"]["bone_thickness"]) for r in frame_records(db)]
        return frames + [(r["study_instance_uid"], r["site"], r["verdict"]) for r in study_records(db)]


@pytest.mark.parametrize(
    "verdict",
    [
        {"thin_below_mm": 8.0, "thick_from_mm": 9.0, "abstain_above_u_mm": 6.0, "thin_margin_mm": 30.0},
        {"min_bone_confidence": 0.0, "abstain_above_u_mm": 50.0, "thick_from_mm": 5.6},
    ],
    ids=["thicker", "lenient"],
)
def test_the_same_is_said_as_by_a_new_analysis(folder, measured, tmp_path, verdict) -> None:
    other = profile(**verdict)
    rejudge_audit(measured, tmp_path / "again", other).close()
    assert said(tmp_path / "again") == said(analysed(folder, tmp_path / "fresh", other))


def test_the_same_thresholds_say_the_same(measured, tmp_path) -> None:
    rejudge_audit(measured, tmp_path, profile()).close()
    assert said(tmp_path) == said(measured)


def test_a_needle_that_is_too_doubtful_now_is_doubtful_again(folder, measured, tmp_path) -> None:
    rejudge_audit(measured, tmp_path, profile(min_needle_confidence=1.0)).close()
    with closing(open_audit(tmp_path)) as db:
        assert {r["verdict"]["code"] for r in frame_records(db)} == {"not_assessable"}
        assert all(r["needle"] is None for r in frame_records(db) if r["source"]["modality"] != "US")


def test_what_only_pixels_could_settle_says_so(measured, tmp_path) -> None:
    with closing(open_audit(measured)) as db:
        doubted = [
            r["source"]["path"]
            for r in frame_records(db)
            if r["needle"] is None and any(reason["code"] == "low_confidence_needle" for reason in r["verdict"]["reasons"])
        ]
    rejudge_audit(measured, tmp_path, profile(min_needle_confidence=0.0)).close()
    with closing(open_audit(tmp_path)) as db:
        found = {r["source"]["path"] for r in frame_records(db) if r["verdict"]["reasons"][0]["code"] == "needs_pixels"}
    assert found == set(doubted)


def test_records_say_what_they_were_measured_with(measured, tmp_path) -> None:
    before = (measured / "audit.sqlite").read_bytes()
    other = profile(thin_below_mm=7.0)
    rejudge_audit(measured, tmp_path, other).close()
    records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    frames = [record for record in records if record["record"] == "frame"]
    assert {record["provenance"]["profile_sha256"] for record in frames} == {other.sha256}
    assert {record["rejudged"]["measured_with"]["profile_sha256"] for record in frames} == {a_job().profile.sha256}
    # the picture shows the former verdict
    assert not [record for record in frames if record.get("overlay")]
    assert (measured / "audit.sqlite").read_bytes() == before


def test_a_profile_that_changes_the_measuring_is_refused(measured, tmp_path) -> None:
    base = a_job().profile
    for changed in (
        replace(base, scale=replace(base.scale, magnification_u=0.2)),
        profile(thin_below_mm=40.0),
    ):
        with pytest.raises(InvalidAudit) as caught:
            rejudge_audit(measured, tmp_path / "out", changed)
        assert caught.value.code == "needs_pixels"
    assert not (tmp_path / "out" / "audit.sqlite").exists()


def test_an_unfinished_or_rejudged_audit_is_refused(measured, tmp_path) -> None:
    rejudge_audit(measured, tmp_path / "once", profile()).close()
    with pytest.raises(InvalidAudit) as caught:
        rejudge_audit(tmp_path / "once", tmp_path / "twice", profile())
    assert caught.value.code == "audit_rejudged"
    half = tmp_path / "half"
    half.mkdir()
    (half / "audit.sqlite").write_bytes((measured / "audit.sqlite").read_bytes())
    with closing(sqlite3.connect(half / "audit.sqlite")) as db:
        db.execute("UPDATE facts SET value = '\"analysing\"' WHERE name = 'state'")
        db.commit()
    with pytest.raises(InvalidAudit) as caught:
        rejudge_audit(half, tmp_path / "third", profile())
    assert caught.value.code == "audit_unfinished"
    result = CliRunner().invoke(app, ["rejudge", str(half), "--out", str(tmp_path / "fourth")])
    assert result.exit_code == 2
    assert "not finished" in result.stderr
