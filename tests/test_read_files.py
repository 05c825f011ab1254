"""Finding files: which are read, and what results call them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from build_dicom import make_dicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from marrowpoint.errors import UnreadableImage
from marrowpoint.read import find_images, read_frames, read_profile

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def names(*paths: Path | str) -> list[str]:
    return [image.relative_path for image in find_images(paths)]


def test_folder_is_searched_to_its_end_and_other_files_are_passed_over(tmp_path):
    root = tmp_path / "z009"
    (root / "study_001" / "deep").mkdir(parents=True)
    make_dicom(root / "study_001" / "view_1.dcm", PIXELS)
    make_dicom(root / "study_001" / "deep" / "IM0001", PIXELS)
    (root / "truth.json").write_text("[]")
    (root / "view.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert names(root) == ["z009/study_001/view_1.dcm", "z009/study_001/deep/IM0001"]


def test_relative_folder_keeps_its_name(tmp_path, monkeypatch):
    (tmp_path / "z009" / "study_001").mkdir(parents=True)
    make_dicom(tmp_path / "z009" / "study_001" / "view_1.dcm", PIXELS)
    monkeypatch.chdir(tmp_path)
    assert names("z009") == names("z009/") == ["z009/study_001/view_1.dcm"]
    monkeypatch.chdir(tmp_path / "z009")
    assert names(".") == ["z009/study_001/view_1.dcm"]


def test_single_file_is_named_from_here_or_by_its_last_parts(tmp_path, monkeypatch):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    file = make_dicom(tmp_path / "a" / "b" / "c" / "x.dcm", PIXELS)
    assert names(file) == ["b/c/x.dcm"]
    monkeypatch.chdir(tmp_path)
    assert names("a/b/c/x.dcm") == names(file) == ["a/b/c/x.dcm"]


def test_no_two_files_share_a_name_and_no_file_comes_twice(tmp_path):
    for side in ("left", "right"):
        (tmp_path / side / "case").mkdir(parents=True)
        make_dicom(tmp_path / side / "case" / "x.dcm", PIXELS)
    found = names(tmp_path / "left" / "case", tmp_path / "right" / "case", tmp_path / "left" / "case" / "x.dcm")
    assert len(found) == len(set(found)) == 2


def test_names_hold_nothing_that_breaks_a_path_or_a_page(tmp_path):
    (tmp_path / "set").mkdir()
    make_dicom(tmp_path / "set" / "a<b>\n\x1bé.dcm", PIXELS)
    make_dicom(Path(os.fsdecode(os.fsencode(tmp_path / "set") + b"/\xff.dcm")), PIXELS)
    found = names(tmp_path / "set")
    assert "set/a_b___é.dcm" in found
    assert all(name.isprintable() and name.encode("utf-8") for name in found)


def test_file_without_preamble_is_found(tmp_path):
    (tmp_path / "set").mkdir()
    whole = make_dicom(tmp_path / "whole.dcm", PIXELS).read_bytes()
    (tmp_path / "set" / "bare").write_bytes(whole[132:])
    (tmp_path / "set" / "notes").write_text("no picture, only words in a file without ending")
    assert names(tmp_path / "set") == ["set/bare"]


def test_broken_dcm_in_a_folder_is_not_hidden(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "cut.dcm").write_bytes(b"")
    assert names(tmp_path / "set") == ["set/cut.dcm"]


def test_named_file_that_is_no_dicom_is_an_error(tmp_path):
    (tmp_path / "words.txt").write_text("these are words and no picture " * 20)
    for path, code in ((tmp_path / "words.txt", "not_dicom"), (tmp_path / "missing.dcm", "no_such_file")):
        (image,) = find_images([path])
        with pytest.raises(UnreadableImage) as caught:
            next(read_frames(image, scale=read_profile().scale))
        assert caught.value.code == code


def write_dicomdir(path: Path, references: list[list[str]]) -> Path:
    records = []
    for reference in references:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = reference
        records.append(record)
    index = Dataset()
    index.file_meta = FileMetaDataset()
    index.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    index.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.9"
    index.DirectoryRecordSequence = Sequence(records)
    index.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("name", ["DICOMDIR", "index"])
def test_dicomdir_gives_the_files_it_refers_to(tmp_path, name):
    (tmp_path / "disc" / "IMAGES").mkdir(parents=True)
    make_dicom(tmp_path / "disc" / "IMAGES" / "IM1", PIXELS)
    make_dicom(tmp_path / "disc" / "IMAGES" / "NOTLISTED", PIXELS)
    index = write_dicomdir(tmp_path / "disc" / name, [["IMAGES", "IM1"]])
    assert names(index) == ["disc/IMAGES/IM1"]


def test_dicomdir_cannot_point_out_of_its_folder(tmp_path):
    (tmp_path / "disc").mkdir()
    make_dicom(tmp_path / "SECRET", PIXELS)
    make_dicom(tmp_path / "disc" / "IM1", PIXELS)
    index = write_dicomdir(tmp_path / "disc" / "DICOMDIR", [["XX", "SECRET"], ["IM1"]])
    index.write_bytes(index.read_bytes().replace(b"XX\\SECRET", b"..\\SECRET"))
    assert names(index) == ["disc/IM1"]


@pytest.mark.parametrize("name", ["DICOMDIR", "index"])
def test_folder_with_a_dicomdir_is_searched_like_any_other(tmp_path, name):
    (tmp_path / "disc").mkdir()
    make_dicom(tmp_path / "disc" / "IM1", PIXELS)
    write_dicomdir(tmp_path / "disc" / name, [["IM1"]])
    assert names(tmp_path / "disc") == ["disc/IM1"]
