"""Bad input: each file ends in one of our errors with a short code, quickly and in little memory, never in anything else."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from build_dicom import PATIENT_NAME, make_dataset, make_dicom, write_dicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from marrowpoint.errors import MarrowpointError, UnreadableImage, UnsupportedImage
from marrowpoint.frame import Frame
from marrowpoint.read import find_images, read_frames, read_profile

SCALE = read_profile().scale
SHARED = Path(__file__).parents[1].parent / "shared"
needs_shared = pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="the evaluation data is not beside the checkout")
PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) % 4096
TEN_MB = 10_000_000


def read_all(path: Path) -> list[Frame]:
    (image,) = find_images([path])
    return list(read_frames(image, scale=SCALE))


def refused(path: Path, *, kind: type[MarrowpointError] = MarrowpointError) -> str:
    tracemalloc.start()
    begin = time.monotonic()
    with pytest.raises(kind) as caught:
        read_all(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - begin < 5
    assert peak < TEN_MB
    assert caught.value.text.isprintable()
    assert len(caught.value.text) < 200
    assert PATIENT_NAME.split("^")[0] not in caught.value.text
    return caught.value.code


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"PixelData": None}, "no_pixel_data"),
        ({"Rows": 65535, "Columns": 65535}, "absurd_size"),
        ({"Rows": 0}, "no_pixels"),
        ({"Rows": None}, "broken_header"),
        ({"NumberOfFrames": 0}, "zero_frames"),
        ({"NumberOfFrames": 2}, "truncated"),
        ({"NumberOfFrames": 2_000_000_000}, "absurd_size"),
        ({"Rows": 65}, "truncated"),
        ({"BitsAllocated": 32}, "unsupported_bits"),
        ({"BitsStored": 17}, "unsupported_bits"),
        ({"SamplesPerPixel": 4}, "unsupported_colour"),
        ({"PhotometricInterpretation": "HSV"}, "unsupported_colour"),
        ({"Modality": "MR"}, "unsupported_modality"),
    ],
)
def test_impossible_header_is_refused_before_memory_is_spent(tmp_path, tags, code):
    assert refused(make_dicom(tmp_path / "a.dcm", PIXELS, bits=12, **tags)) == code


def test_four_gigabytes_claimed_in_a_small_file(tmp_path):
    whole = make_dicom(tmp_path / "a.dcm", PIXELS, bits=12).read_bytes()
    place = whole.rindex(b"\xe0\x7f\x10\x00OW")
    (tmp_path / "b.dcm").write_bytes(whole[: place + 8] + struct.pack("<L", 0xFFFFFFF0) + bytes(100))
    assert refused(tmp_path / "b.dcm", kind=UnreadableImage) == "truncated"
    place = whole.index(b"\x28\x00\x10\x00US")
    claim = b"\x08\x00\x01\x99OB\0\0" + struct.pack("<L", 0xFFFFFFF0)
    (tmp_path / "c.dcm").write_bytes(whole[:place] + claim + bytes(100))
    refused(tmp_path / "c.dcm", kind=UnreadableImage)


def test_picture_larger_inside_than_outside(tmp_path):
    dataset = make_dataset(PIXELS, bits=12)
    dataset.compress(JPEG2000Lossless)
    place = dataset.PixelData.index(b"\xff\x4f\xff\x51") + 8
    dataset.PixelData = dataset.PixelData[:place] + struct.pack(">LL", 60_000, 60_000) + dataset.PixelData[place + 8 :]
    assert refused(write_dicom(tmp_path / "a.dcm", dataset)) == "size_mismatch"


def test_deflated_bomb(tmp_path):
    dataset = make_dataset(PIXELS, bits=12)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = write_dicom(tmp_path / "a.dcm", dataset).read_bytes()
    meta = whole[: 132 + 12 + struct.unpack("<L", whole[140:144])[0]]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(squeeze.compress(bytes(8_000_000)) for _ in range(4)) + squeeze.flush()
    (tmp_path / "b.dcm").write_bytes(meta + bomb)
    with pytest.raises(UnreadableImage) as caught:
        read_all(tmp_path / "b.dcm")
    assert caught.value.code == "absurd_size"


def test_script_in_a_header_reaches_neither_message_nor_result(tmp_path):
    path = make_dicom(tmp_path / "a.dcm", PIXELS, bits=12, Modality="SCRIPTXX", ImageLaterality="SCRIPTYY")
    path.write_bytes(path.read_bytes().replace(b"SCRIPTXX", b"<script>").replace(b"SCRIPTYY", b"<b>'\"&;%"))
    (frame,) = read_all(path)
    # the kind of the object still says what it is
    assert frame.reference.modality == "RF"
    assert frame.side == ""
    assert "<" not in repr(frame.reference)


@pytest.mark.parametrize("syntax", ["1.2.3.4.5", "1.2.840.10008.1.2.4.9999", "1.2.840.10008.1.2.4.100"])
def test_unknown_transfer_syntax(tmp_path, syntax):
    whole = make_dicom(tmp_path / "a.dcm", PIXELS, bits=12).read_bytes()
    old = b"1.2.840.10008.1.2.1\0"
    place = whole.index(old)
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    group = struct.pack("<L", struct.unpack("<L", whole[140:144])[0] + len(new) - len(old))
    changed = whole[:140] + group + whole[144 : place - 2] + struct.pack("<H", len(new)) + new + whole[place + len(old) :]
    (tmp_path / "b.dcm").write_bytes(changed)
    assert refused(tmp_path / "b.dcm", kind=UnreadableImage) in (
        "unknown_transfer_syntax",
        "no_decoder",
        "wrong_length",
        "no_pixel_data",
    )


def test_object_without_picture_is_named(tmp_path):
    path = make_dicom(tmp_path / "a.dcm", None, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    with pytest.raises(UnsupportedImage, match="Comprehensive SR") as caught:
        read_all(path)
    assert caught.value.code == "no_pixel_data"


def test_odd_values_of_other_tags_cost_nothing(tmp_path):
    dataset = make_dataset(PIXELS, bits=12)
    path = write_dicom(tmp_path / "a.dcm", dataset)
    path.write_bytes(path.read_bytes().replace(b"20260101", b"2026\xff\x00<>"))
    (frame,) = read_all(path)
    assert frame.reference.acquired is None


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_file_cut_anywhere_is_refused(tmp_path, syntax):
    dataset = make_dataset(PIXELS, bits=12)
    if syntax:
        dataset.compress(syntax)
    whole = write_dicom(tmp_path / "a.dcm", dataset).read_bytes()
    # the 16 bytes at the end are the delimiter of compressed pixels and padding; without them the picture is still whole
    for length in [n for n in [*range(0, 1200, 13), *range(1200, len(whole), 997)] if n < len(whole) - 16]:
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with pytest.raises((UnreadableImage, UnsupportedImage)):
            read_all(tmp_path / "cut.dcm")


def test_damaged_bytes_end_in_a_frame_or_one_of_our_errors(tmp_path):
    chance = random.Random(20260101)
    dataset = make_dataset(
        PIXELS, bits=12, ImagerPixelSpacing=[0.2, 0.2], ShutterShape="CIRCULAR", CenterOfCircularShutter=[32, 32]
    )
    whole = write_dicom(tmp_path / "a.dcm", dataset).read_bytes()
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(132, 1100)] = chance.randrange(256)
        (tmp_path / "b.dcm").write_bytes(damaged)
        try:
            (frame, *_) = read_all(tmp_path / "b.dcm")
            assert np.isfinite(frame.pixels).all()
            outcomes.add("frame")
        except MarrowpointError as error:
            outcomes.add(error.code)
    assert "frame" in outcomes
    assert len(outcomes) > 3


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_damaged_compressed_pixels_end_in_a_frame_or_one_of_our_errors(tmp_path, syntax):
    # a panic or an abort of a decoder would end the test run, as it would end an audit
    chance = random.Random(20260102)
    dataset = make_dataset(PIXELS, bits=12)
    dataset.compress(syntax)
    whole = write_dicom(tmp_path / "a.dcm", dataset).read_bytes()
    begin = whole.rindex(b"\xe0\x7f\x10\x00")
    refusals = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(begin + 12, len(whole))] = chance.randrange(256)
        (tmp_path / "b.dcm").write_bytes(damaged)
        try:
            (frame,) = read_all(tmp_path / "b.dcm")
            assert frame.pixels.shape == PIXELS.shape
        except UnreadableImage:
            refusals += 1
    assert refusals > 0


@needs_shared
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("2026-05-06-Deeply-Nested-Sequence", "nested_too_deep"),
        ("2026-05-26-oob-monochrome-65535", "absurd_size"),
        ("sample-pdf", "no_pixel_data"),
        ("MultiframeWindowing", "unsupported_modality"),
        ("XA1_JPLY", "cannot_decode"),
    ],
)
def test_real_hostile_files(name, code):
    assert refused(SHARED / "real" / "dicom" / f"{name}.dcm") == code
