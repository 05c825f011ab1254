"""A run: one bad file costs nothing but itself, and what is left behind is whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, STUDY_UID, make_dicom
from drawn import bare_assessment, drawn_assessment, drawn_frame
from PIL import Image

from marrowpoint.analyze import Failure, Request, analyze_images
from marrowpoint.assess import assess_frame, without_pixels
from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.case import Site
from marrowpoint.frame import FrameReference
from marrowpoint.read import find_images, read_profile
from marrowpoint.report.results import write_results
from marrowpoint.report.write import picture_name, whole_file
from marrowpoint.verdict import Code

PROFILE = read_profile(None)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(100, 3000, shape).astype(np.uint16)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two pictures of noise, one run of two frames, one broken file."""
    root = tmp_path / "case"
    root.mkdir()
    make_dicom(root / "a.dcm", noise(128, 128))
    make_dicom(root / "b.dcm", noise(2, 128, 128), frames=2, SOPInstanceUID="1.2.3.4")
    (root / "broken.dcm").write_bytes(b"this is no picture")
    return root


def run(folder: Path, **request) -> list:
    return list(analyze_images(find_images([folder]), Request(profile=PROFILE, **request)))


def test_a_broken_file_is_a_failure_and_the_others_are_analysed(folder) -> None:
    outcomes = run(folder)
    frames = [outcome for outcome in outcomes if isinstance(outcome, Assessment)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [(a.frame.reference.path, a.frame.reference.frame_number) for a in frames] == [
        ("case/a.dcm", 1), ("case/b.dcm", 1), ("case/b.dcm", 2),
    ]  # fmt: skip
    assert [failure.path for failure in failures] == ["case/broken.dcm"]
    assert failures[0].text


def test_studies_follow_the_frames_and_name_them(folder) -> None:
    outcomes = run(folder)
    studies = [outcome for outcome in outcomes if isinstance(outcome, StudyAssessment)]
    assert outcomes[-len(studies) :] == studies
    assert {study.study_instance_uid for study in studies} == {STUDY_UID}
    assert {name for study in studies for name in study.frames} == {"case/a.dcm#1", "case/b.dcm#1", "case/b.dcm#2"}


def test_a_fault_of_ours_in_one_file_is_a_failure_that_can_be_reported(folder) -> None:
    outcomes = run(folder, network=SimpleNamespace(sha256="0" * 64))
    faults = [outcome for outcome in outcomes if isinstance(outcome, Failure) and outcome.code == "internal_error"]
    assert [fault.path for fault in faults] == ["case/a.dcm", "case/b.dcm"]
    assert "AttributeError" in faults[0].text


def test_the_sheet_gives_needle_and_side_to_its_study(folder) -> None:
    site = Site(study_instance_uid=STUDY_UID, side="L", needle_od_mm=3.05)
    frames = [a for a in run(folder, procedure={STUDY_UID: (site,)}, outer_diameter_mm=2.0) if isinstance(a, Assessment)]
    assert {a.outer_diameter_mm for a in frames} == {3.05}
    assert {a.frame.side for a in frames} == {"L"}
    elsewhere = {"9.9": (replace(site, study_instance_uid="9.9"),)}
    frames = [a for a in run(folder, procedure=elsewhere, outer_diameter_mm=2.0) if isinstance(a, Assessment)]
    assert {a.outer_diameter_mm for a in frames} == {2.0}


def test_needles_of_two_sizes_give_no_scale_but_a_conflict(folder) -> None:
    sites = tuple(Site(study_instance_uid=STUDY_UID, site=str(od), needle_od_mm=od) for od in (3.05, 2.41))
    frames = [a for a in run(folder, procedure={STUDY_UID: sites}) if isinstance(a, Assessment)]
    assert {a.outer_diameter_mm for a in frames} == {None}
    assert all(any("different size" in text for text in a.calibration.conflicts) for a in frames)


def test_ultrasound_never_meets_the_fluoroscopic_road() -> None:
    assessment = assess_frame(drawn_frame(modality="US"), profile=PROFILE)
    assert assessment.exposure is None
    assert assessment.verdict.code in {Code.NOT_ASSESSABLE, Code.ABOVE_CORTEX, Code.AT_OR_BEYOND_CORTEX}
    assert assessment.verdict.reasons


def test_parts_that_a_person_gave_are_kept() -> None:
    given = drawn_assessment()
    assessment = assess_frame(given.frame, profile=PROFILE, needle=given.needle, cortex=given.cortex)
    assert assessment.needle is given.needle
    assert assessment.cortex is given.cortex
    assert assessment.placement is not None
    assert assessment.placement.tip_to_cortex is not None
    # 50 px to the upper border of the square, and no scale
    assert assessment.placement.tip_to_cortex.lower <= 50 <= assessment.placement.tip_to_cortex.upper


def test_without_pixels_little_is_left_but_the_words() -> None:
    light = without_pixels(drawn_assessment())
    assert light.frame.pixels.size == 0
    assert light.cortex is not None
    assert light.cortex.bone.size == 0
    assert light.placement == drawn_assessment().placement
    assert light.frame.reference == drawn_assessment().frame.reference


def test_results_stand_in_the_order_of_the_contract(folder, tmp_path) -> None:
    out = tmp_path / "out"
    write_results(analyze_images(find_images([folder]), Request(profile=PROFILE)), out, masks=True)
    text = (out / "results.jsonl").read_text("utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    kinds = [record["record"] for record in records]
    assert kinds == sorted(kinds, key=["frame", "run", "study", "failure"].index)
    assert {"frame", "run", "study", "failure"} == set(kinds)
    family, given = PATIENT_NAME.split("^")
    assert not any(word in text + (out / "index.html").read_text("utf-8") for word in (family, given, PATIENT_ID))


def test_pictures_lie_under_the_frames_own_path(folder, tmp_path) -> None:
    out = tmp_path / "out"
    write_results(analyze_images(find_images([folder]), Request(profile=PROFILE)), out, masks=True)
    wanted = {"case/a.dcm.png", "case/b.dcm_f0001.png", "case/b.dcm_f0002.png"}
    for kind in ("overlays", "masks"):
        assert {path.relative_to(out / kind).as_posix() for path in (out / kind).rglob("*") if path.is_file()} == wanted


def test_a_mask_is_the_bone_pixel_by_pixel(tmp_path) -> None:
    write_results([drawn_assessment()], tmp_path, masks=True)
    mask = np.asarray(Image.open(tmp_path / "masks" / "folder" / "view_1.dcm.png"))
    assert np.array_equal(mask, drawn_assessment().cortex.bone * np.uint8(255))


def stopped(outcome):
    yield outcome
    raise KeyboardInterrupt


def test_a_stopped_run_leaves_no_result_file(tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text("of a former run\n")
    with pytest.raises(KeyboardInterrupt):
        write_results(stopped(drawn_assessment()), tmp_path, masks=False)
    assert [path.name for path in tmp_path.iterdir()] == ["overlays"]


def test_a_file_appears_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "deep" / "x.bin"
    with pytest.raises(ZeroDivisionError), whole_file(path) as stream:
        stream.write(b"half")
        _ = 1 / 0
    assert list(path.parent.iterdir()) == []
    with whole_file(path) as stream:
        stream.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize(
    "path", ["../../etc/x.dcm", "/etc/x.dcm", "a/../../x.dcm", "", "..", "a\\..\\x.dcm", "x" * 300 + ".dcm", "\udcff.dcm"]
)
def test_no_path_leads_out_of_the_folder(path) -> None:
    name = picture_name(FrameReference(path=path, rows=1, columns=1))
    assert not name.is_absolute()
    assert ".." not in name.parts
    assert all(len(part.encode()) < 250 for part in name.parts)


def test_frames_of_one_name_do_not_overwrite_each_other(tmp_path) -> None:
    written = write_results([drawn_assessment(), bare_assessment()], tmp_path, masks=False)
    overlays = {record["overlay"] for record in written.frames}
    assert len(overlays) == 2
    assert all((tmp_path / overlay).is_file() for overlay in overlays)
