"""Reading pixels: known pixels in, the same pixels out, in every way a file may store them."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, STUDY_UID, make_dataset, make_dicom, write_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedXAImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from marrowpoint.errors import UnreadableImage
from marrowpoint.frame import Frame, ViewKind
from marrowpoint.read import find_images, read_frame, read_frames, read_profile

SCALE = read_profile().scale
SHARED = Path(__file__).parents[1].parent / "shared"
needs_shared = pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="the evaluation data is not beside the checkout")


def frames_of(path: Path, **options) -> list[Frame]:
    (image,) = find_images([path])
    return list(read_frames(image, scale=SCALE, **options))


def frame_of(path: Path, **options) -> Frame:
    (frame,) = frames_of(path, **options)
    return frame


def ramp(top: int, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(0, top, 40 * 50).round().astype(dtype).reshape(40, 50)


def write_as(path: Path, dataset: Dataset, syntax: str) -> Path:
    if syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        dataset.compress(syntax)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    return write_dicom(path, dataset)


def test_stored_values_become_their_fraction_of_the_range(tmp_path):
    frame = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12))
    np.testing.assert_allclose(frame.pixels, ramp(4095) / 4095, atol=1e-6)
    assert frame.pixels.dtype == np.float32
    assert frame.valid.all()


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
)
def test_transfer_syntax_changes_nothing(tmp_path, syntax):
    plain = frame_of(make_dicom(tmp_path / "plain.dcm", ramp(4095), bits=12))
    other = frame_of(write_as(tmp_path / "other.dcm", make_dataset(ramp(4095), bits=12), syntax))
    np.testing.assert_array_equal(other.pixels, plain.pixels)
    assert other.reference.pixel_sha256 == plain.reference.pixel_sha256


def test_hash_is_of_the_stored_values(tmp_path):
    values = ramp(4095)
    frame = frame_of(make_dicom(tmp_path / "a.dcm", values, bits=12))
    assert frame.reference.pixel_sha256 == hashlib.sha256(values.astype("<u2").tobytes()).hexdigest()


@pytest.mark.parametrize(("top", "bits"), [(1023, 10), (4095, 12), (16383, 14), (65535, 16), (4095, 16), (1023, 16), (255, 16)])
def test_bit_depth_changes_nothing_but_rounding(tmp_path, top, bits):
    eight = frame_of(make_dicom(tmp_path / "8.dcm", ramp(255, np.uint8)))
    deep = frame_of(make_dicom(tmp_path / "deep.dcm", ramp(top), bits=bits))
    np.testing.assert_allclose(deep.pixels, eight.pixels, atol=1 / 255)


def test_monochrome1_is_not_undone(tmp_path):
    two = frame_of(make_dicom(tmp_path / "2.dcm", ramp(4095), bits=12))
    one = frame_of(make_dicom(tmp_path / "1.dcm", ramp(4095), bits=12, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(one.pixels, two.pixels)


def test_monochrome1_is_told(tmp_path):
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        make_dicom(tmp_path / f"{photometric}.dcm", np.eye(12, dtype=np.uint16), PhotometricInterpretation=photometric)
        assert frame_of(tmp_path / f"{photometric}.dcm").low_is_bright == (photometric == "MONOCHROME1")


def test_signed_values_span_the_range(tmp_path):
    frame = frame_of(make_dicom(tmp_path / "a.dcm", (ramp(4095).astype(np.int32) - 2048).astype(np.int16), bits=12))
    np.testing.assert_allclose(frame.pixels, ramp(4095) / 4095, atol=1e-6)


def test_values_beyond_bits_stored_are_not_cut_off(tmp_path):
    # Bits Stored 12 is a lie here only in the header; the decoder takes the low 12 bits, so lie with a depth it keeps
    frame = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=16))
    assert len(np.unique(frame.pixels)) == len(np.unique(ramp(4095)))


def test_rescale_with_negative_slope_inverts(tmp_path):
    plain = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12, RescaleSlope="2", RescaleIntercept="-1024"))
    turned = frame_of(make_dicom(tmp_path / "b.dcm", ramp(4095), bits=12, RescaleSlope="-1", RescaleIntercept="4095"))
    np.testing.assert_allclose(turned.pixels, 1 - plain.pixels, atol=1e-6)


def test_modality_table_is_looked_up(tmp_path):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [256, 0, 16])
    item.add_new("LUTData", "OW", (65535 - 257 * np.arange(256)).astype("<u2").tobytes())
    dataset = make_dataset(ramp(255, np.uint8), ModalityLUTSequence=Sequence([item]))
    frame = frame_of(write_dicom(tmp_path / "a.dcm", dataset))
    np.testing.assert_allclose(frame.pixels, 1 - ramp(255) / 255, atol=1e-4)


def test_palette_becomes_luminance(tmp_path):
    dataset = make_dataset(ramp(255, np.uint8), PhotometricInterpretation="PALETTE COLOR", Modality="OT")
    for colour in ("Red", "Green", "Blue"):
        dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", (257 * np.arange(256)).astype("<u2").tobytes())
    frame = frame_of(write_dicom(tmp_path / "a.dcm", dataset))
    np.testing.assert_allclose(frame.pixels, ramp(255) / 255, atol=1e-4)
    assert not frame.coloured.any()


def test_screenshot_is_reduced_to_luminance_and_its_colour_is_marked(tmp_path):
    picture = np.repeat(ramp(255, np.uint8)[:, :, None], 3, axis=2)
    picture[5:10, 5:10] = (255, 0, 0)
    frame = frame_of(make_dicom(tmp_path / "a.dcm", picture, Modality="OT"))
    np.testing.assert_allclose(frame.pixels[20:], ramp(255)[20:] / 255, atol=1e-5)
    assert frame.pixels[7, 7] == pytest.approx(0.299, abs=1e-4)
    assert frame.coloured[5:10, 5:10].all()
    assert frame.coloured.sum() == 25


def test_planes_of_colour_are_put_together(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    interleaved = frame_of(make_dicom(tmp_path / "a.dcm", picture))
    dataset = make_dataset(picture, PlanarConfiguration=1)
    dataset.PixelData = np.ascontiguousarray(picture.transpose(2, 0, 1)).tobytes()
    planes = frame_of(write_dicom(tmp_path / "b.dcm", dataset))
    np.testing.assert_array_equal(planes.pixels, interleaved.pixels)


def test_luminance_of_ybr_is_its_first_channel(tmp_path):
    picture = np.full((40, 50, 3), 128, np.uint8)
    picture[:, :, 0] = ramp(255, np.uint8)
    frame = frame_of(make_dicom(tmp_path / "a.dcm", picture, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(frame.pixels, ramp(255) / 255, atol=1e-5)
    assert not frame.coloured.any()


def test_file_without_preamble_is_read(tmp_path):
    whole = make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12)
    plain = frame_of(whole)
    bare = tmp_path / "bare"
    bare.write_bytes(whole.read_bytes()[132:])
    assert frame_of(bare).reference.pixel_sha256 == plain.reference.pixel_sha256


# ---- where there is no picture --------------------------------------------------------------------------------------------


def test_rectangular_shutter(tmp_path):
    edges = dict(
        ShutterLeftVerticalEdge=11, ShutterRightVerticalEdge=30, ShutterUpperHorizontalEdge=6, ShutterLowerHorizontalEdge=25
    )
    frame = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12, ShutterShape="RECTANGULAR", **edges))
    assert frame.valid[5:25, 10:30].all()
    assert frame.valid.sum() == 400


def test_circular_shutter(tmp_path):
    frame = frame_of(
        make_dicom(
            tmp_path / "a.dcm", ramp(4095), bits=12,
            ShutterShape="CIRCULAR", CenterOfCircularShutter=[21, 26], RadiusOfCircularShutter=10,
        )
    )  # fmt: skip
    assert frame.valid[20, 25]
    assert frame.valid[20, 35]
    assert not frame.valid[20, 36]
    assert frame.valid.sum() == pytest.approx(np.pi * 100, rel=0.05)


def test_polygonal_shutter_meets_the_others(tmp_path):
    frame = frame_of(
        make_dicom(
            tmp_path / "a.dcm", ramp(4095), bits=12, ShutterShape=["POLYGONAL", "RECTANGULAR"],
            VerticesOfThePolygonalShutter=[1, 1, 1, 50, 40, 50], ShutterLeftVerticalEdge=26, ShutterRightVerticalEdge=50,
            ShutterUpperHorizontalEdge=1, ShutterLowerHorizontalEdge=40,
        )
    )  # fmt: skip
    assert frame.valid[2, 40]
    assert not frame.valid[38, 10]
    assert not frame.valid[2, 10]


@pytest.mark.parametrize("edge", [0, None])
def test_shutter_that_would_hide_all_is_left_out(tmp_path, edge):
    edges = dict.fromkeys(("ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge"), 0)
    tags = {} if edge is None else {"ShutterLowerHorizontalEdge": edge}
    frame = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12, ShutterShape="RECTANGULAR", **edges, **tags))
    assert frame.valid.all()


def test_padding_hides_the_margin_but_not_black_metal(tmp_path):
    picture = np.full((200, 200), 800, np.uint16)
    picture[:, :40] = 0
    picture[100:106, 60:200] = 0
    frame = frame_of(make_dicom(tmp_path / "a.dcm", picture, bits=10, PixelPaddingValue=0))
    assert not frame.valid[:, :40].any()
    assert frame.valid[:, 40:].all()


def test_padding_value_does_not_change_the_range(tmp_path):
    values = ramp(1023)
    padded = values.copy()
    padded[:, :10] = 65535
    frame = frame_of(make_dicom(tmp_path / "a.dcm", padded, bits=16, PixelPaddingValue=65535))
    np.testing.assert_allclose(frame.pixels[:, 10:], values[:, 10:] / 1023, atol=1e-6)
    assert frame.pixels.max() <= 1


# ---- runs -----------------------------------------------------------------------------------------------------------------


def test_a_long_run_never_lies_in_memory(tmp_path):
    frames, side = 300, 128
    run = np.broadcast_to(np.arange(frames, dtype=np.uint16)[:, None, None], (frames, side, side))
    path = make_dicom(tmp_path / "run.dcm", np.ascontiguousarray(run), frames=frames, bits=10)
    (image,) = find_images([path])
    tracemalloc.start()
    numbers = [
        (frame.reference.frame_number, round(float(frame.pixels[0, 0]) * 1023)) for frame in read_frames(image, scale=SCALE)
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers == [(number, number - 1) for number in range(1, frames + 1)]
    assert peak < 20 * side * side * 4


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_frames_of_a_compressed_run_come_in_order(tmp_path, syntax):
    run = np.stack([np.full((40, 50), level, np.uint16) for level in (100, 900, 500, 1000)])
    dataset = make_dataset(run, frames=4, bits=10)
    dataset.compress(syntax)
    levels = [round(float(frame.pixels.mean()) * 1023) for frame in frames_of(write_dicom(tmp_path / "a.dcm", dataset))]
    assert levels == [100, 900, 500, 1000]


def test_frames_of_one_run_share_their_brightness(tmp_path):
    run = np.stack([np.full((8, 8), level, np.uint16) for level in (200, 1000, 60, 40, 500)])
    found = [float(frame.pixels[0, 0]) for frame in frames_of(make_dicom(tmp_path / "a.dcm", run, frames=5, bits=12))]
    np.testing.assert_allclose(np.array(found) / found[0], np.array([200, 1000, 60, 40, 500]) / 200, rtol=1e-5)


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_one_frame_alone_is_the_same_as_in_its_run(tmp_path, syntax):
    run = (np.arange(4 * 24 * 20).reshape(4, 24, 20) * 3).astype(np.uint16)
    dataset = make_dataset(run, frames=4, bits=12)
    if syntax is not None:
        dataset.compress(syntax)
    write_dicom(tmp_path / "run.dcm", dataset)
    (image,) = find_images([tmp_path / "run.dcm"])
    for number, frame in enumerate(read_frames(image, scale=SCALE), start=1):
        alone = read_frame(image, number, scale=SCALE)
        assert alone.reference == frame.reference
        assert np.array_equal(alone.pixels, frame.pixels)
    for number in (0, 5):
        with pytest.raises(UnreadableImage, match="1 to 4"):
            read_frame(image, number, scale=SCALE)


def test_enhanced_groups_hold_for_their_frame(tmp_path):
    def group(primary: float, spacing: float, laterality: str = "") -> Dataset:
        position, pixel, anatomy, content, item = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
        position.PositionerPrimaryAngle, position.PositionerSecondaryAngle = primary, 0.0
        pixel.ImagerPixelSpacing = [spacing, spacing]
        anatomy.FrameLaterality = "L"
        content.FrameAcquisitionDateTime = f"202601011015{int(abs(primary)):02d}.250"
        item.PositionerPositionSequence = Sequence([position])
        item.FramePixelDataPropertiesSequence = Sequence([pixel])
        item.FrameAnatomySequence = Sequence([anatomy])
        item.FrameContentSequence = Sequence([content])
        return item

    geometry, shared = Dataset(), Dataset()
    geometry.DistanceSourceToDetector, geometry.DistanceSourceToIsocenter = 1000.0, 700.0
    shared.XRayGeometrySequence = Sequence([geometry])
    run = np.stack([ramp(4095)] * 2)
    dataset = make_dataset(
        run, frames=2, bits=12, SOPClassUID=EnhancedXAImageStorage, Modality="XA",
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence([group(-45, 0.2), group(30, 0.4)]),
    )  # fmt: skip
    first, second = frames_of(write_dicom(tmp_path / "a.dcm", dataset))
    assert (first.view.kind, second.view.kind) == (ViewKind.TANGENTIAL, ViewKind.ILIAC_OBLIQUE)
    assert first.header_spacing.spacing.mm_per_px == pytest.approx(0.14)
    assert second.header_spacing.spacing.mm_per_px == pytest.approx(0.28)
    assert second.reference.acquired == datetime(2026, 1, 1, 10, 15, 30, 250_000)


# ---- where a frame comes from ----------------------------------------------------------------------------------------------


def test_reference_says_where_the_frame_comes_from_and_nothing_of_the_patient(tmp_path, capfd):
    frame = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12, ContentDate="20260203", ContentTime="101112"))
    assert frame.reference.acquired == datetime(2026, 2, 3, 10, 11, 12)
    assert frame.reference.study_instance_uid == STUDY_UID
    assert (frame.reference.rows, frame.reference.columns) == (40, 50)
    everything = repr([getattr(frame, field.name) for field in fields(frame)])
    assert PATIENT_ID not in everything
    assert PATIENT_NAME.split("^")[0] not in everything
    assert capfd.readouterr() == ("", "")


def test_frame_cannot_be_written_to(tmp_path):
    frame = frame_of(make_dicom(tmp_path / "a.dcm", ramp(4095), bits=12))
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 1


def test_warnings_of_the_dicom_library_stay_inside(tmp_path):
    # warnings are errors in this test run: an odd value would end it
    dataset = make_dataset(ramp(4095), bits=12)
    path = write_dicom(tmp_path / "a.dcm", dataset)
    path.write_bytes(path.read_bytes().replace(STUDY_UID.encode(), STUDY_UID.replace(".826.", ".x26.").encode()))
    assert frame_of(path).pixels.shape == (40, 50)


# ---- real files ------------------------------------------------------------------------------------------------------------


@needs_shared
def test_one_picture_in_five_lossless_syntaxes_has_one_hash():
    found = {
        frame_of(SHARED / "real" / "dicom" / f"XA1_{kind}.dcm").reference.pixel_sha256
        for kind in ("UNC", "RLE", "J2KR", "JLSL", "JPLL")
    }
    assert len(found) == 1


@needs_shared
def test_real_run_is_read_to_its_end():
    frames = frames_of(SHARED / "real" / "contrast" / "HasFragmentSequence.dcm")
    assert [frame.reference.frame_number for frame in frames] == list(range(1, 97))
    means = np.array([frame.pixels.mean() for frame in frames])
    # the description of the run: frame 0 is brighter
    assert means[0] > means[12:].max()
