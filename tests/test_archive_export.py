"""Copies without identity: whatever held the name, the copy does not, and what a reader needs is still there."""

from __future__ import annotations

import json
import stat
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from build_dicom import make_dataset, write_dicom
from pydicom import dcmread
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from marrowpoint.archive.burned import Blank, blanked
from marrowpoint.archive.deidentify import clean_header
from marrowpoint.archive.export import _fill
from marrowpoint.archive.pseudonym import Pseudonyms, forgotten_pseudonyms, kept_pseudonyms
from marrowpoint.archive.writing import Writing, find_writing
from marrowpoint.cli import app
from marrowpoint.errors import ArchiveError
from marrowpoint.read import find_images, read_frames, read_profile
from marrowpoint.read.pixels import StoredFrame

NAME, WORD, ID = "Leakowitz^Zacharias", "Leakowitz", "HOSP-778812"
SECRETS = [
    "leakowitz", "zacharias", ID.lower(), "778812", "19501203", "20260101", "stmaryhospital", "1.2.826.0.1.20260101101500",
]  # fmt: skip
SECRET = Pseudonyms(b"k" * 32)


def picture(side: int = 384) -> np.ndarray:
    """A round exposed field in a black border, 12 bits, smooth with a little noise."""
    rows, columns = np.indices((side, side))
    field = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (0.46 * side) ** 2
    smooth = 1200 + 900 * np.sin(rows / 90) * np.cos(columns / 70)
    noise = np.random.default_rng(3).normal(0, 8, (side, side))
    return np.where(field, np.clip(smooth + noise, 200, 3000), 0).astype(np.uint16)


def write_word(pixels: np.ndarray, at: tuple[int, int], value: int = 4000, size: float = 0.55) -> np.ndarray:
    canvas = np.zeros(pixels.shape, np.uint8)
    cv2.putText(canvas, WORD.upper(), at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1)
    return np.where(canvas > 0, value, pixels).astype(pixels.dtype)


def leaking(path, pixels: np.ndarray | None = None, **tags):
    """A file that holds the name everywhere a name was ever found."""
    dataset = make_dataset(picture() if pixels is None else pixels, bits=12)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, ID, "19501203"
    dataset.PatientAge, dataset.PatientSex = "093Y", "F"
    dataset.InstitutionName, dataset.AccessionNumber = "StMaryHospital", "ACC778812"
    dataset.ReferringPhysicianName = "Leakowitz^Doctor"
    dataset.StudyDescription = dataset.SeriesDescription = dataset.ImageComments = f"pelvis of {WORD}"
    dataset.StudyInstanceUID = "1.2.826.0.1.20260101101500.1"
    dataset.SOPInstanceUID = "1.2.826.0.1.20260101101500.3"
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20260101", "101530"
    dataset.ImagerPixelSpacing, dataset.PositionerPrimaryAngle = [0.3, 0.3], "-30.5"
    dataset.PixelSpacingCalibrationDescription = f"ruler of {WORD}"
    dataset.KVP, dataset.ShutterShape = "70", "CIRCULAR"
    dataset.CenterOfCircularShutter, dataset.RadiusOfCircularShutter = [192, 192], 180
    dataset.add_new((0x6000, 0x0010), "US", 8)
    dataset.add_new((0x6000, 0x0022), "LO", f"overlay {WORD}")
    dataset.add_new((0x6000, 0x3000), "OW", (WORD * 8).encode()[:64])
    dataset.add_new((0x5000, 0x3000), "OW", (WORD + " ").encode())
    block = dataset.private_block(0x0029, "VENDOR", create=True)
    block.add_new(0x01, "LO", NAME)
    block.add_new(0x02, "OB", NAME.encode() + b" ")
    icon, inner, original = Dataset(), Dataset(), Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.PixelRepresentation, icon.SamplesPerPixel = 2, 2, 8, 0, 1
    icon.add_new("PixelData", "OB", WORD[:4].encode())
    dataset.IconImageSequence = [icon]
    inner.PatientName = NAME
    original.ModifiedAttributesSequence = [inner]
    original.SourceOfPreviousValues = WORD
    dataset.OriginalAttributesSequence = [original]
    request = Dataset()
    request.RequestedProcedureDescription = f"aspirate {WORD}"
    request.RequestAttributesSequence = [inner]
    dataset.RequestAttributesSequence = [request]
    dataset.file_meta.SourceApplicationEntityTitle = WORD.upper()
    dataset.preamble = NAME.encode().ljust(128, b"\0")
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_dicom(path, dataset)


def run(*arguments) -> object:
    return CliRunner().invoke(app, ["export", *(str(each) for each in arguments)])


def bytes_of(folder) -> bytes:
    return b"".join(path.read_bytes() + str(path.relative_to(folder)).encode() for path in folder.rglob("*") if path.is_file())


def the_copy(out):
    (path,) = out.rglob("*.dcm")
    return dcmread(path)


@pytest.fixture
def exported(tmp_path):
    leaking(tmp_path / "in" / f"{NAME}_19501203.dcm", write_word(picture(), (4, 14)))
    done = run(tmp_path / "in", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    return tmp_path / "out", done


def test_no_byte_of_the_export_tells_the_name_the_number_or_a_date(exported) -> None:
    out, done = exported
    everything = bytes_of(out).lower() + done.output.lower().encode()
    for secret in SECRETS:
        assert secret.encode() not in everything, secret


def test_the_second_folder_of_the_same_bytes_would_have_told(tmp_path) -> None:
    # the test above must be able to fail
    path = leaking(tmp_path / "in" / "x.dcm")
    assert all(secret.encode() in path.read_bytes().lower() for secret in SECRETS)


def test_overlays_curves_private_tags_icons_and_comments_are_gone(exported) -> None:
    copy = the_copy(exported[0])
    assert not [element for element in copy.iterall() if element.tag.group in range(0x5000, 0x6100) or element.tag.is_private]
    for keyword in ("IconImageSequence", "OriginalAttributesSequence", "ImageComments", "RequestAttributesSequence"):
        assert keyword not in copy
    assert copy.preamble == b"\0" * 128
    assert "SourceApplicationEntityTitle" not in copy.file_meta


def test_geometry_sex_and_the_statement_of_what_was_done_stay(exported) -> None:
    copy = the_copy(exported[0])
    assert list(copy.ImagerPixelSpacing) == [0.3, 0.3]
    assert copy.PositionerPrimaryAngle == -30.5
    assert (copy.KVP, copy.ShutterShape, copy.PatientSex) == (70, "CIRCULAR", "F")
    assert copy.PatientAge == "090Y"
    assert copy.PatientIdentityRemoved == "YES"
    assert "113100" in {item.CodeValue for item in copy.DeidentificationMethodCodeSequence}
    assert copy.LongitudinalTemporalInformationModified == "MODIFIED"


def test_writing_outside_of_the_field_is_blanked_and_the_field_is_untouched(exported) -> None:
    pixels = the_copy(exported[0]).pixel_array
    assert pixels[:20, :100].max() == pixels[0, -1]
    centre = (slice(150, 230), slice(150, 230))
    assert np.array_equal(pixels[centre], picture()[centre])


def test_writing_inside_of_the_field_is_blanked_and_flagged(tmp_path) -> None:
    leaking(tmp_path / "in" / "a.dcm", write_word(picture(), (110, 200)))
    done = run(tmp_path / "in", "--out", tmp_path / "out")
    line = json.loads((tmp_path / "out" / "export.json").read_text())["files"][0]
    assert line["suspected_writing"] >= 1
    assert line["blanked_writing"] >= 1
    assert "suspected inside 1 of them, and was blanked in 1" in done.output
    copy = the_copy(tmp_path / "out").pixel_array
    letters = write_word(picture(), (110, 200)) == 4000
    assert not np.any(copy[letters] == 4000)


def test_suspected_writing_can_hold_a_file_back_by_number_only(tmp_path) -> None:
    leaking(tmp_path / "in" / f"{WORD}.dcm", write_word(picture(), (110, 200)))
    done = run(tmp_path / "in", "--out", tmp_path / "out", "--hold-suspected")
    assert done.exit_code == 1
    assert "file 1 of 1 was held back: suspected_writing" in done.output
    assert WORD not in done.output
    assert not list((tmp_path / "out").rglob("*.dcm"))


def test_spare_bits_above_the_stored_ones_are_cleared(tmp_path) -> None:
    pixels = picture() | np.where(write_word(np.zeros((384, 384), np.uint16), (110, 200)) > 0, 0x8000, 0).astype(np.uint16)
    leaking(tmp_path / "in" / "a.dcm", pixels)
    run(tmp_path / "in", "--out", tmp_path / "out")
    assert the_copy(tmp_path / "out").pixel_array.max() < 4096


@pytest.mark.parametrize("signed", [False, True])
def test_clearing_spare_bits_keeps_values(signed) -> None:
    values = np.array([[-5, 7]] if signed else [[5, 4095]], np.int16 if signed else np.uint16)
    dirty = ((values.astype(np.int32) & 0x0FFF) | 0xA000).astype(np.uint16).view(values.dtype)
    blank = Blank(mask=np.zeros((1, 2), np.bool_), rows_of_writing=0)
    stored = StoredFrame(values=dirty, photometric="MONOCHROME2")
    assert np.array_equal(blanked(stored, blank, bits_stored=12, signed=signed), values)


def test_intervals_are_kept_and_days_and_clock_are_not() -> None:
    def header(time: str, uid: str) -> Dataset:
        dataset = make_dataset(None, StudyDate="20260101", StudyTime="235950", AcquisitionDateTime=f"202601{time}")
        dataset.SOPInstanceUID = uid
        return clean_header(dataset, SECRET)

    first, second = header("01235955.5", "1.2.3"), header("02000010", "1.2.4")
    moments = [datetime.strptime(each.AcquisitionDateTime, "%Y%m%d%H%M%S") for each in (first, second)]
    assert (moments[1] - moments[0]).total_seconds() == 15
    assert abs((datetime(2026, 1, 1, 23, 59, 55) - moments[0]).days) >= 364
    study = datetime.strptime(first.StudyDate + first.StudyTime, "%Y%m%d%H%M%S")
    assert (moments[0] - study).total_seconds() == 5


def test_uids_are_the_same_within_a_secret_and_different_without_it() -> None:
    other = Pseudonyms(b"o" * 32)
    assert SECRET.uid("1.2.3") == SECRET.uid("1.2.3") != other.uid("1.2.3")
    assert SECRET.uid("1.2.3") != SECRET.uid("1.2.4")
    assert SECRET.shift("a") != SECRET.shift("b")
    assert "k" * 8 not in repr(SECRET)
    assert forgotten_pseudonyms().uid("1") != forgotten_pseudonyms().uid("1")


AGES = [("089Y", "089Y"), ("090Y", "090Y"), ("104Y", "090Y"), ("011M", "011M"), ("old", "")]


@pytest.mark.parametrize(("age", "shown"), AGES)
def test_great_age_is_capped(age, shown) -> None:
    dataset = make_dataset(None)
    dataset.add_new("PatientAge", "LO", age)
    assert str(clean_header(dataset, SECRET).get("PatientAge", "")) == shown


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("ImageType", ["ORIGINAL", "PRIMARY", "LEAKOWITZ"]), ("Laterality", "LEAKOWITZ"), ("PatientPosition", "LEAKOWITZ")],
)
def test_a_word_in_a_closed_term_is_dropped(keyword, value) -> None:
    dataset = make_dataset(None, **{keyword: value})
    assert keyword not in clean_header(dataset, SECRET)


def test_a_word_in_place_of_a_number_is_dropped() -> None:
    dataset = make_dataset(None)
    dataset.add_new("KVP", "LO", WORD)
    assert "KVP" not in clean_header(dataset, SECRET)


def test_the_key_never_lies_in_the_export_and_is_its_owners_only(tmp_path) -> None:
    leaking(tmp_path / "in" / "a.dcm")
    refused = run(tmp_path / "in", "--out", tmp_path / "out", "--key", tmp_path / "out" / "k")
    assert refused.exit_code == 2
    key = tmp_path / "secret.key"
    names = []
    for folder in ("a", "b"):
        assert run(tmp_path / "in", "--out", tmp_path / folder, "--key", key).exit_code == 0
        names.append(the_copy(tmp_path / folder).SOPInstanceUID)
        assert key.read_text().strip().encode() not in bytes_of(tmp_path / folder)
    assert names[0] == names[1]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (tmp_path / "bad").write_text("zz")
    with pytest.raises(ArchiveError, match="key file"):
        kept_pseudonyms(tmp_path / "bad")


def test_an_export_is_never_mixed_with_what_was_there(tmp_path) -> None:
    leaking(tmp_path / "in" / "a.dcm")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("x")
    assert run(tmp_path / "in", "--out", tmp_path / "out").exit_code == 2


def test_documents_and_damaged_files_are_held_back(tmp_path) -> None:
    leaking(tmp_path / "in" / "a.dcm")
    report = make_dataset(None, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    write_dicom(tmp_path / "in" / "b.dcm", report)
    (tmp_path / "in" / "c.dcm").write_bytes(b"\0" * 128 + b"DICM" + WORD.encode() * 50)
    done = run(tmp_path / "in", "--out", tmp_path / "out")
    assert done.exit_code == 1
    lines = json.loads((tmp_path / "out" / "export.json").read_text())["files"]
    assert [bool(line["held_back"]) for line in lines] == [False, True, True]
    assert WORD.lower().encode() not in bytes_of(tmp_path / "out").lower()


def test_results_are_exported_without_paths_uids_moments_and_readers(tmp_path) -> None:
    path = leaking(tmp_path / "in" / f"{WORD}.dcm")
    (image,) = find_images([tmp_path / "in"])
    (frame,) = read_frames(image, scale=read_profile(None).scale)
    reference = frame.reference
    source = {
        "path": reference.path, "frame": 1, "number_of_frames": 1, "modality": "RF", "rows": 384, "columns": 384,
        "sop_class_uid": reference.sop_class_uid, "sop_instance_uid": reference.sop_instance_uid,
        "series_instance_uid": reference.series_instance_uid, "study_instance_uid": reference.study_instance_uid,
        "transfer_syntax_uid": "x", "acquired": "2026-01-01T10:15:30", "pixel_sha256": reference.pixel_sha256,
    }  # fmt: skip
    record = {
        "record": "frame", "schema": 1, "source": source, "view": {"kind": "ap", "comment": WORD},
        "overlay": f"overlays/{WORD}.png",
        "needle": {"tip_xy": [1.5, 2.5], "located_by": f"Dr {WORD}"}, "calibration": {"note": f"from {WORD}", "mm_per_px": 0.2},
        "bone": None, "measurements": {}, "points": {}, "needle_candidates": [], "new": WORD,
        "verdict": {"code": "at_cortex", "text": "At the cortex", "flags": [], "reasons": []},
        "provenance": {"marrowpoint": "1", "profile": f"{WORD}@1", "profile_sha256": "a", "model_sha256": None},
    }  # fmt: skip
    study = {
        "record": "study", "schema": 1, "study_instance_uid": reference.study_instance_uid, "site": WORD,
        "frames": [f"{reference.path}#1", f"in/{WORD}2.dcm#1"], "tip_3d": None, "verdict": record["verdict"],
        "measurements": {}, "provenance": record["provenance"],
    }  # fmt: skip
    failure = {"record": "failure", "source": {"path": f"{WORD}.dcm"}, "error": {"code": "x", "text": WORD}}
    (tmp_path / "results.jsonl").write_text("\n".join(json.dumps(each) for each in (record, study, failure)))
    done = run(tmp_path / "in", "--out", tmp_path / "out", "--results", tmp_path)
    assert done.exit_code == 0, done.output
    everything = bytes_of(tmp_path / "out").lower()
    for secret in [*SECRETS, "2026-01-01", reference.pixel_sha256]:
        assert secret.encode() not in everything, secret
    frame_line, study_line = (json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines())
    copy = the_copy(tmp_path / "out")
    assert frame_line["source"]["sop_instance_uid"] == copy.SOPInstanceUID
    moment = datetime.fromisoformat(frame_line["source"]["acquired"])
    assert moment.strftime("%Y%m%d%H%M%S") == copy.AcquisitionDate + copy.AcquisitionTime
    assert frame_line["needle"] == {"tip_xy": [1.5, 2.5], "located_by": "reader"}
    assert frame_line["verdict"]["text"] == "At the cortex"
    assert study_line["frames"] == [f"{frame_line['source']['path']}#1", "held back"]
    (again,) = find_images([tmp_path / "out" / "frames"])
    (read,) = read_frames(again, scale=read_profile(None).scale)
    assert read.reference.pixel_sha256 == frame_line["source"]["pixel_sha256"]
    assert path.exists()


def test_plain_anatomy_is_no_writing_and_a_word_is() -> None:
    plain = (picture() / 4095).astype(np.float32)
    everywhere = np.ones(plain.shape, np.bool_)
    assert find_writing(plain, everywhere) == Writing(found=(), suspected=())
    word = (write_word(picture(), (110, 200)) / 4095).astype(np.float32)
    upright = np.ascontiguousarray(word.T)
    for each in (word, 1 - word, upright):
        assert find_writing(each, everywhere).found


@pytest.mark.parametrize(
    ("height_px", "contrast"), [(8, 0.1), (10, 0.1), (12, 0.15), (8, 0.5), (12, 0.5), (20, 0.2), (20, 0.5)]
)
def test_small_and_faint_writing_is_found_whole(height_px, contrast) -> None:
    plain = (picture() / 4095).astype(np.float32)
    letters = np.zeros(plain.shape, np.uint8)
    cv2.putText(letters, "KRAUSE 4471, F 75Y", (90, 200), cv2.FONT_HERSHEY_SIMPLEX, height_px / 21, 255, 1, cv2.LINE_AA)
    ink = letters / np.float32(255)
    found = find_writing(np.asarray(plain + contrast * ink, np.float32), np.ones(plain.shape, np.bool_)).found
    gone = np.zeros(plain.shape, np.bool_)
    for box in found:
        gone[box] = True
    assert gone[letters > 128].mean() > 0.95
    assert gone.mean() < 0.15


def test_a_shaft_and_a_ruler_are_not_blanked() -> None:
    plain = (picture() / 4095).astype(np.float32)
    drawn = plain.copy()
    cv2.line(drawn, (120, 150), (260, 190), 0.05, 6, cv2.LINE_AA)
    cv2.line(drawn, (150, 250), (280, 240), 0.9, 1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(drawn, (0, 0), 1.0)  # as everything that went through the detector
    assert find_writing(soft, np.ones(plain.shape, np.bool_)).found == ()


def test_a_short_word_is_suspected_and_held_back_on_request(tmp_path) -> None:
    pixels = picture()
    canvas = np.zeros(pixels.shape, np.uint8)
    cv2.putText(canvas, "407", (150, 200), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1)
    leaking(tmp_path / "in" / "a.dcm", np.where(canvas > 0, 4000, pixels).astype(np.uint16))
    assert run(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    (line,) = json.loads((tmp_path / "out" / "export.json").read_text())["files"]
    assert (line["suspected_writing"] >= 1, line["blanked_writing"]) == (True, 0)
    done = run(tmp_path / "in", "--out", tmp_path / "held", "--hold-suspected")
    assert "held back: suspected_writing" in done.output


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_what_has_a_colour_goes_where_anatomy_has_none(photometric) -> None:
    grey = (picture() / 16).astype(np.uint8)
    values = np.stack([grey] * 3, axis=-1)
    values[200:204, 150:250] = (0, 0, 255)
    if photometric == "YBR_FULL":
        values = cv2.cvtColor(values, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    stored = StoredFrame(values=values, photometric=photometric)
    nothing = np.zeros(grey.shape, np.bool_)
    black = (0, 128, 128) if photometric == "YBR_FULL" else (0, 0, 0)
    clean = blanked(stored, Blank(mask=nothing, rows_of_writing=0, grey=True), bits_stored=8, signed=False)
    assert np.all(clean[200:204, 150:250] == black)
    assert np.array_equal(clean[:190], values[:190])
    sound = blanked(stored, Blank(mask=nothing, rows_of_writing=0), bits_stored=8, signed=False)
    assert np.array_equal(sound, values)


CARM = Path(__file__).parents[1].parent / "shared" / "real" / "carm" / "IM-0001-0020.dcm"


@pytest.mark.skipif(not CARM.exists(), reason="needs the shared real frames beside the checkout")
def test_a_real_frame_with_the_leak_it_once_had_does_not_leak(tmp_path) -> None:
    """The name drawn in overlay planes of every group and told in their labels, as in the published originals."""
    dataset = dcmread(CARM)
    canvas = np.zeros((dataset.Rows, dataset.Columns), np.uint8)
    cv2.putText(canvas, WORD.upper(), (300, 500), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 1, 2)
    plane = np.packbits(canvas.ravel(), bitorder="little").tobytes()
    for group in range(0x6000, 0x601F, 2):
        for element, kind, value in (
            (0x0010, "US", dataset.Rows), (0x0011, "US", dataset.Columns), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]),
            (0x0100, "US", 1), (0x0102, "US", 0), (0x1500, "LO", NAME), (0x3000, "OW", plane),
        ):  # fmt: skip
            dataset.add_new((group, element), kind, value)
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "a.dcm")
    assert run(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    copy = the_copy(tmp_path / "out")
    assert [element for element in copy.iterall() if 0x5000 <= element.tag.group < 0x7000] == []
    (line,) = json.loads((tmp_path / "out" / "export.json").read_text())["files"]
    whole = (tmp_path / "out" / line["path"]).read_bytes()
    assert b"leakowitz" not in whole.lower()
    rows = np.flatnonzero(canvas.any(axis=1))
    band = plane[rows[0] * dataset.Columns // 8 : rows[-1] * dataset.Columns // 8]
    assert band not in whole
    # what was drawn over the picture was never part of it
    kept = copy.pixel_array == dcmread(CARM).pixel_array
    assert kept.mean() > 0.5


def test_colour_of_half_width_is_written_whole_and_reads_the_same(tmp_path) -> None:
    dataset = make_dataset(np.zeros((4, 4, 3), np.uint8))
    (image,) = [write_dicom(tmp_path / "a.dcm", dataset)]
    source = dcmread(image)
    source.PhotometricInterpretation = "YBR_FULL_422"
    # two luminances, then both colour differences, for each pair of pixels (PS3.3 C.7.6.3.1.2)
    source.PixelData = bytes([10, 20, 128, 140]) * 8
    source.save_as(image)
    clean = Dataset()
    blank = Blank(mask=np.zeros((4, 4), np.bool_), rows_of_writing=0)
    _fill(clean, next(iter(find_images([image]))), blank)
    assert clean.PhotometricInterpretation == "YBR_FULL"
    assert clean.PixelData == bytes([10, 128, 140, 20, 128, 140]) * 8
