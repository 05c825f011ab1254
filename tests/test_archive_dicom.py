"""Results as DICOM objects: what went in comes out again, and readers that are not ours find nothing wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, make_dicom
from drawn import bare_assessment, drawn_assessment, drawn_cortex, drawn_frame
from pydicom import dcmread
from typer.testing import CliRunner

from marrowpoint.archive import codes
from marrowpoint.archive.material import DicomMaterial, Review, frame_key
from marrowpoint.archive.readback import read_report
from marrowpoint.archive.source import read_source
from marrowpoint.archive.write import write_dicom
from marrowpoint.cli import app
from marrowpoint.cli.dicom import reviews_of
from marrowpoint.errors import ArchiveError
from marrowpoint.report.record import frame_record, record_line
from marrowpoint.review.entry import Action, decide
from marrowpoint.verdict import Code, Flag

pytest.importorskip("highdicom", reason="needs the extra archive")

NAME = "Müller^Zoë"


def tool(name: str, path: Path) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([name, str(path)], capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def record_of(assessment, source, path: str, number: int = 1, frames: int = 1):
    record = json.loads(record_line(frame_record(assessment)))
    record["source"] |= {
        "path": path, "frame": number, "number_of_frames": frames, "rows": int(source.Rows), "columns": int(source.Columns),
        "sop_instance_uid": str(source.SOPInstanceUID), "study_instance_uid": str(source.StudyInstanceUID),
    }  # fmt: skip
    return record


@pytest.fixture
def case(tmp_path):
    return make_case(tmp_path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The case written once, for tests that only look at it."""
    folder = tmp_path_factory.mktemp("plain")
    material = make_case(folder)
    return material, write_dicom(folder / "out", material)


def make_case(tmp_path):
    """One file with a measured frame, one multi-frame file where nothing could be said, and a study record over both."""
    assessment = drawn_assessment()
    rows, columns = assessment.frame.pixels.shape
    tags = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": NAME, "StudyID": "1", "WindowCenter": 500, "WindowWidth": 900}
    grey = np.full((rows, columns), 500, np.uint16)
    (tmp_path / "in").mkdir()
    one = make_dicom(tmp_path / "in" / "one.dcm", grey, **tags, InstanceNumber=4)
    many = make_dicom(
        tmp_path / "in" / "many.dcm", np.stack([grey] * 3), frames=3, SOPInstanceUID="1.2.826.0.1.3680043.8.498.9",
        FrameTime="33", FrameIncrementPointer=0x00181063, **tags,
    )  # fmt: skip
    bare = replace(bare_assessment(), frame=assessment.frame)
    records = [record_of(assessment, dcmread(one), "in/one.dcm"), record_of(bare, dcmread(many), "in/many.dcm", 2, 3)]
    study = {
        "record": "study", "schema": 1, "study_instance_uid": records[0]["source"]["study_instance_uid"],
        "frames": [frame_key(record) for record in records], "tip_3d": {"position_mm": [1, 2, 3], "residual_mm": 0.6},
        "measurements": {"insertion_depth": None, "bone_thickness": None}, "provenance": records[0]["provenance"],
        "verdict": {"code": "indeterminate", "text": "Cannot tell", "flags": ["second_view_needed"], "reasons": []},
    }  # fmt: skip
    overlays = {}
    for number, record in enumerate(records):
        overlays[frame_key(record)] = tmp_path / f"{number}.png"
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((301, 201, 3), (10 * number, 100, 200), np.uint8))
    return DicomMaterial(
        records=[*records, study],
        sources={"in/one.dcm": one, "in/many.dcm": many},
        overlays=overlays,
        pdfs={study["study_instance_uid"]: b"%PDF-1.4\n%%EOF\n"},
    )


def accepted(material, raters=("Reader One",), agrees=True, words=""):
    at = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    keys = [frame_key(record) for record in material.records if record["record"] == "frame"]
    return {key: Review(raters=raters, agrees=agrees, decided_at=at, words=words) for key in keys}


def one_file(written, kind: str) -> Path:
    return next(path for path in written.files if path.name.startswith(kind))


def test_the_report_reads_back_to_the_numbers_of_the_record(plain) -> None:
    case, written = plain
    record = case.records[0]
    groups = read_report(one_file(written, "SR"))
    assert [len(group.frames) for group in groups] == [1, 1, 2]
    measured = groups[0]
    found = {name: entry for name, entry in record["measurements"].items() if entry is not None}
    assert set(measured.lengths) == set(found)
    assert found
    for name, entry in found.items():
        read = measured.lengths[name]
        assert (read.value, read.lower, read.upper) == pytest.approx((entry["value"], entry["lower"], entry["upper"]), abs=1e-6)
        assert (read.unit, read.bound, read.judged) == (entry["unit"], entry["bound"], True)
    assert measured.tip_xy == pytest.approx(record["needle"]["tip_xy"], abs=1e-3)
    assert measured.verdict == codes.verdict_code(record["verdict"]["code"]).value


def test_what_could_not_be_measured_is_said_and_not_silent(plain) -> None:
    groups = read_report(one_file(plain[1], "SR"))
    nothing = groups[1]
    assert nothing.frames == (("1.2.826.0.1.3680043.8.498.9", 2),)
    assert nothing.verdict == "NOT_ASSESSABLE"
    assert nothing.lengths == {}
    assert set(nothing.failed) == {
        "tip_to_cortex", "insertion_depth", "bone_thickness", "thin_bone_margin", "far_cortex_reserve",
    }  # fmt: skip


def test_a_length_of_a_frame_that_was_not_judged_says_so(case, tmp_path) -> None:
    record = case.records[0]
    record["verdict"] = {"code": "not_assessable", "text": "Cannot tell", "flags": [], "reasons": []}
    lengths = read_report(one_file(write_dicom(tmp_path / "out", case), "SR"))[0].lengths
    assert lengths
    assert not any(length.judged for length in lengths.values())


def test_the_report_stays_partial_and_unverified_until_persons_accepted_every_frame(case, tmp_path) -> None:
    one = {key: review for key, review in list(accepted(case).items())[:1]}
    disputed = accepted(case) | {
        frame_key(case.records[1]): Review(raters=("R",), agrees=False, decided_at=datetime.now(UTC), words="R: rejected")
    }
    for number, reviews in enumerate(({}, one, disputed)):
        report = dcmread(one_file(write_dicom(tmp_path / f"{number}", replace(case, reviews=reviews)), "SR"))
        flags = (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag)
        assert flags == ("PARTIAL", "UNVERIFIED", "PRELIMINARY")
        assert "VerifyingObserverSequence" not in report


def test_an_accepted_report_names_who_verified_it_and_when(case, tmp_path) -> None:
    material = replace(case, reviews=accepted(case, raters=("Reader=One^x", "Zwei")))
    path = one_file(write_dicom(tmp_path / "out", material), "SR")
    report = dcmread(path)
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "VERIFIED")
    observers = report.VerifyingObserverSequence
    assert [str(item.VerifyingObserverName) for item in observers] == ["Reader One x^", "Zwei^"]
    assert {item.VerificationDateTime for item in observers} == {"20260203040500+0000"}
    assert [group.confirmation for group in read_report(path)] == ["CONFIRMED", "CONFIRMED", "AWAITING"]


def test_a_dispute_stands_in_the_report(case, tmp_path) -> None:
    material = replace(case, reviews=accepted(case, agrees=False, words="R: wrong tip"))
    path = one_file(write_dicom(tmp_path / "out", material), "SR")
    assert read_report(path)[0].confirmation == "DISPUTED"
    assert any("wrong tip" in str(item.value) for item in dcmread(path).iterall() if item.keyword == "TextValue")


def test_objects_belong_to_the_patients_study_and_file_names_tell_nothing(plain) -> None:
    case, written = plain
    assert sorted(path.name for path in written.files) == ["PDF.dcm", "PR_0001.dcm", "SC_0001.dcm", "SC_0002.dcm", "SR.dcm"]
    for path in written.files:
        made = dcmread(path)
        assert str(made.PatientName) == NAME
        assert made.PatientID == PATIENT_ID
        assert made.StudyInstanceUID == case.records[0]["source"]["study_instance_uid"]
        assert (made.StudyDate, made.StudyTime) == ("20260101", "101500")
        assert made.Manufacturer == "marrowpoint"
        assert PATIENT_ID not in str(path)
    assert len({dcmread(path).SOPInstanceUID for path in written.files}) == len(written.files)
    assert len({dcmread(path).SeriesInstanceUID for path in written.files}) == 4


def test_the_picture_in_the_capture_is_the_overlay(plain) -> None:
    capture = dcmread(one_file(plain[1], "SC_0002"))
    assert tuple(capture.pixel_array[5, 5]) == (200, 100, 10)
    assert capture.pixel_array.shape == (301, 200, 3)
    assert capture.SourceImageSequence[0].ReferencedFrameNumber == 2
    assert capture.BurnedInAnnotation == "YES"


def test_written_again_from_the_same_material_an_object_keeps_its_uid_and_a_changed_one_does_not(case, tmp_path) -> None:
    def uids(folder, material):
        return {path.name: dcmread(path).SOPInstanceUID for path in write_dicom(tmp_path / folder, material).files}

    first = uids("a", case)
    assert uids("b", case) == first
    reviewed = uids("c", replace(case, reviews=accepted(case)))
    assert reviewed["SR.dcm"] != first["SR.dcm"]
    assert reviewed["SC_0001.dcm"] == first["SC_0001.dcm"]


def test_graphics_lie_where_the_record_says_half_a_pixel_on(plain) -> None:
    case, written = plain
    state = dcmread(one_file(written, "PR"))
    objects = state.GraphicAnnotationSequence[0].GraphicObjectSequence
    (point,) = [item for item in objects if item.GraphicType == "POINT"]
    x, y = case.records[0]["needle"]["tip_xy"]
    assert list(point.GraphicData) == pytest.approx([x + 0.5, y + 0.5], abs=1e-3)
    assert (
        state.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID
        == dcmread(case.sources["in/one.dcm"]).SOPInstanceUID
    )


@pytest.mark.parametrize("kind", ["SR", "SC_0001", "SC_0002", "PR", "PDF"])
def test_dciodvfy_finds_no_error(plain, kind) -> None:
    told = tool("dciodvfy", one_file(plain[1], kind))
    assert "Error" not in told, told
    assert {"SR": "ComprehensiveSR", "PR": "Grayscale", "PD": "EncapsulatedPDF", "SC": "SCImage"}[kind[:2]] in told


def test_dciodvfy_finds_no_error_in_a_verified_report(case, tmp_path) -> None:
    written = write_dicom(tmp_path / "out", replace(case, reviews=accepted(case), overlays={}))
    assert "Error" not in tool("dciodvfy", one_file(written, "SR"))


def test_dcmtk_prints_the_report_and_passes_the_presentation_state(plain) -> None:
    written = plain[1]
    printed = tool("dsrdump", one_file(written, "SR"))
    assert "UNVERIFIED" in printed
    assert "SCOORD" in printed
    assert codes.MEASUREMENTS["tip_to_cortex"].meaning in printed
    assert "Test passed" in tool("dcmpschk", one_file(written, "PR"))
    assert "application/pdf" in tool("dcmdump", one_file(written, "PDF"))


def test_two_patients_under_one_study_uid_are_not_filed(case, tmp_path) -> None:
    other = dcmread(case.sources["in/many.dcm"])
    other.PatientID = "ANOTHER"
    other.save_as(case.sources["in/many.dcm"])
    written = write_dicom(tmp_path / "out", case)
    assert written.files == ()
    assert "different patients" in written.left_out[0][1]
    assert "ANOTHER" not in str(written.left_out)


def test_a_missing_or_exchanged_source_is_left_out_and_named(case, tmp_path) -> None:
    exchanged = replace(case, sources={"in/one.dcm": case.sources["in/many.dcm"]})
    written = write_dicom(tmp_path / "out", exchanged)
    assert written.files == ()
    reasons = dict(written.left_out)
    assert "another one" in reasons["in/one.dcm#1"]
    assert "not in the folder" in reasons["in/many.dcm#2"]


def test_a_colour_picture_has_no_grayscale_state_and_that_is_no_failure(tmp_path) -> None:
    assessment = drawn_assessment()
    colour = np.zeros((*assessment.frame.pixels.shape, 3), np.uint8)
    path = make_dicom(tmp_path / "us.dcm", colour)
    material = DicomMaterial(records=[record_of(assessment, dcmread(path), "us.dcm")], sources={"us.dcm": path})
    written = write_dicom(tmp_path / "out", material)
    assert [path.name for path in written.files] == ["SR.dcm"]
    assert written.left_out == ()
    assert "colour" in written.notes[0][1]


def test_an_outline_in_pieces_and_points_beyond_the_frame_are_kept_inside(case, tmp_path) -> None:
    record = case.records[0]
    record["needle"]["length_px"] = 10_000.0
    record["bone"]["contour_xy"] = [[[0, 0], [5, 5], [9, 2]], [[20, 20], [-4, 30]]]
    report = dcmread(one_file(write_dicom(tmp_path / "out", case), "SR"))
    flat = [value for item in report.iterall() if item.keyword == "GraphicData" for value in np.ravel(item.value)]
    assert min(flat) >= 0
    assert max(flat) <= max(record["source"]["rows"], record["source"]["columns"])
    assert str(report).count("Outline of the cortex") == 2


@pytest.mark.parametrize("name", ["SECRET", "x" * 200])
def test_an_unreadable_source_is_said_without_quoting_it(tmp_path, name) -> None:
    path = tmp_path / "bad.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + name.encode())
    with pytest.raises(ArchiveError) as caught:
        read_source(path)
    assert name not in caught.value.text


def test_every_verdict_and_flag_has_a_code_of_its_own() -> None:
    values = [codes.verdict_code(verdict.value).value for verdict in Code]
    values += [codes.named_code(flag.value).value for flag in Flag]
    assert len(set(values)) == len(Code) + len(Flag)
    assert all(len(value) <= 16 for value in values)


def entry_for(record, action=Action.ACCEPT, **options):
    assessment = drawn_assessment(frame=drawn_frame(), cortex=drawn_cortex())
    entry = decide(assessment, action, rater=options.pop("rater", "R"), **options)
    source = record["source"]
    frame = replace(entry.frame, path=source["path"], frame_number=source["frame"], pixel_sha256=source["pixel_sha256"])
    before = replace(entry.before, code=record["verdict"]["code"])
    return replace(entry, frame=frame, before=before, after=before)


def test_the_ledgers_decisions_count_only_while_they_hold(case) -> None:
    record = case.records[0]
    key = frame_key(record)
    entry = entry_for(record)
    assert reviews_of([record], [entry])[key].agrees
    rejected = entry_for(record, Action.REJECT, rater="S", reason="tip is elsewhere")
    assert not reviews_of([record], [entry, rejected])[key].agrees
    other_profile = replace(entry, provenance=replace(entry.provenance, profile_sha256="f" * 64))
    other_pixels = replace(entry, frame=replace(entry.frame, pixel_sha256="0" * 64))
    other_verdict = replace(entry, before=replace(entry.before, code="breach_suspected"))
    for stale in (other_profile, other_pixels, other_verdict):
        assert reviews_of([record], [stale]) == {}


def test_the_command_writes_objects_and_names_no_patient(case, tmp_path) -> None:
    results = tmp_path / "results"
    (results / "overlays").mkdir(parents=True)
    for number, record in enumerate(case.records[:2]):
        shutil.copy(tmp_path / f"{number}.png", results / "overlays" / f"{number}.png")
        record["overlay"] = f"overlays/{number}.png"
    (results / "results.jsonl").write_text("".join(record_line(record) for record in case.records))
    done = CliRunner().invoke(app, ["dicom", str(results), str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "4 DICOM objects" in done.output
    assert PATIENT_NAME.split("^")[0] not in done.output
    assert PATIENT_ID not in done.output


def test_a_pdf_about_two_studies_is_refused(case, tmp_path) -> None:
    second = json.loads(json.dumps(case.records[0]))
    second["source"]["study_instance_uid"] = "1.2.3"
    (tmp_path / "results.jsonl").write_text("".join(record_line(record) for record in (*case.records, second)))
    pdf = tmp_path / "all.pdf"
    pdf.write_bytes(b"%PDF-1.4")
    asked = ["dicom", str(tmp_path), str(tmp_path / "in"), "--out", str(tmp_path / "o"), "--pdf", str(pdf)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2
    assert "one study" in done.output


def test_without_the_extra_one_sentence_says_what_to_install(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    with pytest.raises(ArchiveError, match=r"marrowpoint\[archive\]"):
        write_dicom(tmp_path / "out", case)
