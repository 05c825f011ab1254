"""Runs in the Structured Report: what the record says comes out again, and readers that are not ours find nothing wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from build_dicom import make_dicom
from pydicom import dcmread
from run_frames import disc, make_run

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.archive.material import DicomMaterial, Review, frame_key
from marrowpoint.archive.write import write_dicom
from marrowpoint.read import find_images, read_profile
from marrowpoint.report.results import write_results

pytest.importorskip("highdicom", reason="needs the extra archive")

COUNT, ONSET = 9, 4


def values_of(frames) -> np.ndarray:
    return np.stack([np.round(4000 * (1 - frame.pixels)) for frame in frames]).astype(np.uint16)


def contrast_frames():
    return make_run(COUNT, lambda k: None if k < ONSET else disc(128, 120, 4 + 2 * (k - ONSET), 0.15))


@pytest.fixture(scope="module")
def cine(tmp_path_factory):
    """A contrast run, its results and its objects."""
    place = tmp_path_factory.mktemp("cine")
    (place / "in").mkdir()
    told = {"Modality": "XA", "FrameTime": "250", "SOPInstanceUID": "1.2.77", "StudyInstanceUID": "1.9.7"}
    make_dicom(place / "in" / "cine.dcm", values_of(contrast_frames()), frames=COUNT, bits=12, **told)
    return made(place)


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    place = tmp_path_factory.mktemp("stills")
    (place / "in").mkdir()
    for k, pixels in enumerate(values_of(contrast_frames())):
        make_dicom(
            place / "in" / f"{k}.dcm", pixels, bits=12, Modality="XA", SOPInstanceUID=f"1.2.8.{k}", StudyInstanceUID="1.9.8",
            SeriesInstanceUID="1.8.8", AcquisitionDate="20260101", AcquisitionTime=f"1015{k:02d}",
        )  # fmt: skip
    return made(place)


def made(place: Path):
    images = list(find_images([place / "in"]))
    write_results(analyze_images(images, Request(profile=read_profile(None))), place / "out", masks=False)
    records = [json.loads(line) for line in (place / "out" / "results.jsonl").read_text("utf-8").splitlines()]
    material = DicomMaterial(records=records, sources={image.relative_path: image.path for image in images})
    written = write_dicom(place / "objects", material)
    assert written.left_out == ()
    (run,) = [record for record in records if record["record"] == "run"]
    return run, next(path for path in written.files if path.name == "SR.dcm"), material, place


def group_of(report: Path):
    """The items of the run's measurement group."""
    dataset = dcmread(report)
    (measured,) = [item for item in dataset.ContentSequence if code_of(item) == "126010"]
    groups = [item for item in measured.ContentSequence if code_of(item) == "125007"]
    (own,) = [group for group in groups if any(text(item).startswith("Run of") for item in group.ContentSequence)]
    return dataset, own.ContentSequence


def code_of(item) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def text(item) -> str:
    return str(item.get("TextValue", ""))


def numbers(items) -> dict[str, tuple[float, str]]:
    found = {}
    for item in items:
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            found[code_of(item)] = (float(value.NumericValue), str(value.MeasurementUnitsCodeSequence[0].CodeValue))
    return found


def test_onset_area_and_front_are_those_of_the_record(cine) -> None:
    run, report, *_ = cine
    _, items = group_of(report)
    found, contrast = numbers(items), run["contrast"]
    assert contrast["onset_frame"] == ONSET + 1
    assert found["ONSET_FRAME"] == (ONSET + 1, "{frame}")
    assert found["ONSET_TIME"] == (pytest.approx(0.25 * ONSET), "s")
    unit = contrast["unit"]
    square = {"mm": "mm2", "px": "{pixels}2"}[unit]
    assert found["CONTRAST_AREA"] == (pytest.approx(max(p["area"] for p in contrast["points"])), square)
    fronts = [point["front"] for point in contrast["points"] if point["front"] is not None]
    assert found["CONTRAST_FRONT"][0] == pytest.approx(max(fronts))
    values = {code_of(item): item.ConceptCodeSequence[0].CodeMeaning for item in items if item.ValueType == "CODE"}
    assert values["CONTRAST"] == "Seen"
    assert values["CONFIRMATION"] == "Awaiting confirmation by a person"
    assert run["verdict"]["text"] in [text(item) for item in items]


def test_the_farthest_contrast_lies_on_its_frame(cine) -> None:
    run, report, *_ = cine
    _, items = group_of(report)
    (front,) = [item for item in items if item.ValueType == "NUM" and code_of(item) == "CONTRAST_FRONT"]
    (place,) = [item for item in front.ContentSequence if item.ValueType == "SCOORD"]
    most = max((p for p in run["contrast"]["points"] if p["front"] is not None), key=lambda point: point["front"])
    assert list(place.GraphicData) == pytest.approx([value + 0.5 for value in most["front_xy"]], abs=0.01)
    image = place.ContentSequence[0].ReferencedSOPSequence[0]
    assert (image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber) == ("1.2.77", most["frame"])


def test_stills_are_named_each_by_its_own_file(stills) -> None:
    run, report, *_ = stills
    _, items = group_of(report)
    named = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items if item.ValueType == "IMAGE"
    }  # fmt: skip
    assert named
    assert named <= set(run["source"]["sop_instance_uids"])
    assert len(run["source"]["sop_instance_uids"]) == COUNT


def test_frames_that_were_accepted_confirm_no_run(cine, tmp_path) -> None:
    *_, material, _ = cine
    frames = [record for record in material.records if record["record"] == "frame"]
    review = Review(raters=("Reader One",), agrees=True, decided_at=datetime(2026, 5, 1, tzinfo=UTC))
    reviews = {frame_key(record): review for record in frames}

    def flags(records) -> tuple[str, str]:
        written = write_dicom(
            tmp_path / str(len(records)), DicomMaterial(records=records, sources=material.sources, reviews=reviews)
        )
        report = dcmread(next(path for path in written.files if path.name == "SR.dcm"))
        return report.CompletionFlag, report.VerificationFlag

    assert flags(frames) == ("COMPLETE", "VERIFIED")
    assert flags(material.records) == ("PARTIAL", "UNVERIFIED")


@pytest.mark.parametrize("case", ["cine", "stills"])
def test_dciodvfy_and_dcmtk_find_no_error(case, request) -> None:
    _, report, *_ = request.getfixturevalue(case)
    for name in ("dciodvfy", "dsrdump"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        done = subprocess.run([name, str(report)], capture_output=True, check=False)
        told = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert "Error" not in told
        assert "E: " not in told


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        ("no_contrast_seen", "no_contrast_seen", "Not seen, which does not exclude it"),
        ("needle_followed", "contrast_not_judged", "Measurement failure"),
        ("not_assessable", "no_contrast_seen", "Measurement failure"),
    ],
)
def test_what_was_not_looked_for_is_not_coded_as_not_seen(cine, tmp_path, code, reason, expected) -> None:
    """Neither is motion that cannot be told coded as none."""
    run, _, material, _ = cine
    verdict = run["verdict"] | {"code": code, "reasons": [{"code": reason, "text": "by hand"}]}
    motion = run["contrast"]["motion"] | {"median_residual_px": None}
    changed = run | {"verdict": verdict, "contrast": run["contrast"] | {"onset_frame": None, "motion": motion}}
    records = [changed if record["record"] == "run" else record for record in material.records]
    written = write_dicom(tmp_path, DicomMaterial(records=records, sources=material.sources))
    _, items = group_of(next(path for path in written.files if path.name == "SR.dcm"))
    values = {code_of(item): item.ConceptCodeSequence[0].CodeMeaning for item in items if item.ValueType == "CODE"}
    assert values["CONTRAST"] == expected
    assert "RESIDUAL" not in numbers(items)
