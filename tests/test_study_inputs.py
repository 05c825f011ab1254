"""Studies that should not be judged, through the whole program: each is named and refused, never passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from marrowpoint.cli import app
from marrowpoint.fluoroscopy.prior import load_network

SAMPLES = Path(__file__).parents[1] / "sample_dicom"
ILIAC, TANGENTIAL = "psis_iliac_oblique.dcm", "psis_tangential.dcm"


def copy(source, target, **changes):
    """A DICOM copy with its own instance UID and changed elements."""
    data = dcmread(SAMPLES / source)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    data.save_as(target)


@pytest.fixture
def studies(tmp_path):
    """What ``marrowpoint analyze`` says of the studies of a folder."""

    def said(*, sheet=True):
        options = ["--procedure", str(SAMPLES / "procedure.csv")] if sheet else ["--needle", "3.05mm"]
        result = CliRunner().invoke(app, ["analyze", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *options])
        assert result.exit_code == 0, result.output
        lines = (tmp_path / "out/results.jsonl").read_text("utf-8").splitlines()
        return [record for record in map(json.loads, lines) if record["record"] == "study"]

    (tmp_path / "in").mkdir()
    said.folder = tmp_path / "in"
    return said


def reasons(study):
    return [reason["code"] for reason in study["verdict"]["reasons"]]


def test_one_picture_three_times_is_one_view(studies):
    for k in range(3):
        copy(ILIAC, studies.folder / f"{k}.dcm")
    (study,) = studies()
    assert reasons(study).count("duplicate_picture") == 2
    assert study["verdict"]["code"] in ("indeterminate", "not_assessable")
    assert study["tip_3d"] is None


def test_two_patients_in_one_study_are_named_and_refused(studies):
    copy(ILIAC, studies.folder / "a.dcm")
    copy(TANGENTIAL, studies.folder / "b.dcm", PatientID="SOMEBODY-ELSE", PatientName="Else^Somebody")
    (study,) = studies()
    assert study["verdict"]["code"] == "not_assessable"
    assert reasons(study)[0] == "several_patients"
    assert "else" not in json.dumps(study).casefold()


def test_one_picture_in_the_studies_of_two_patients_refuses_both(studies):
    copy(ILIAC, studies.folder / "a.dcm")
    copy(ILIAC, studies.folder / "b.dcm", StudyInstanceUID=generate_uid(), PatientID="SOMEBODY-ELSE")
    found = studies()
    assert [study["verdict"]["code"] for study in found] == ["not_assessable"] * 2
    assert all(reasons(study)[0] == "picture_in_two_studies" for study in found)


def test_one_view_twice_is_named_and_no_right_spot(studies):
    copy(ILIAC, studies.folder / "a.dcm")
    data = dcmread(SAMPLES / ILIAC)
    data.decompress()
    pixels = data.pixel_array.copy()
    pixels[0, 0] += 1  # taken again: the same view, not the same picture
    data.PixelData, data.SOPInstanceUID = pixels.tobytes(), generate_uid()
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(studies.folder / "b.dcm")
    (study,) = studies()
    assert study["verdict"]["code"] in ("indeterminate", "not_assessable")
    assert {"one_view_twice", "no_adequate_view"} & set(reasons(study))
    assert "duplicate_picture" not in reasons(study)


@pytest.mark.parametrize("sheet", [True, False])
def test_contradictory_sides_are_never_one_needle(studies, sheet):
    copy(ILIAC, studies.folder / "a.dcm", ImageLaterality="L")
    copy(TANGENTIAL, studies.folder / "b.dcm", ImageLaterality="R")
    found = studies(sheet=sheet)
    if sheet:  # the sheet says one needle in the left hip; a header says right
        assert [study["verdict"]["code"] for study in found] == ["not_assessable"]
        assert reasons(found[0])[0] == "contradictory_sides"
    else:  # nobody says it is one needle: two positions, and why
        assert len(found) == 2
        assert "other_side" in reasons(found[1])
        assert all(study["verdict"]["code"] in ("indeterminate", "not_assessable") for study in found)


@pytest.mark.skipif(load_network() is None, reason="the model of the learned prior is not installed")
def test_two_views_of_a_needle_in_the_thin_wing_say_that_it_lies_in_no_thick_bone(studies):
    for name in ("thin_wing.dcm", "thin_wing_ap.dcm"):
        copy(name, studies.folder / name)
    (study,) = studies()
    assert "not_in_thick_bone" in study["verdict"]["flags"]
    assert study["verdict"]["severity"] == "problem"
    assert "no_thick_bone" in reasons(study)


@pytest.mark.skipif(load_network() is None, reason="the model of the learned prior is not installed")
def test_two_views_of_a_needle_in_thick_bone_do_not(studies):
    for name in (ILIAC, TANGENTIAL):
        copy(name, studies.folder / name)
    (study,) = studies()
    assert "not_in_thick_bone" not in study["verdict"]["flags"]
    assert study["thick_bone_chance"] > 0.5
