"""The scale ladder: which rung wins, what is refused, and by what name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from build_dicom import make_dataset, make_dicom, write_dicom
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from marrowpoint.calibrate import HeaderGeometry, reconcile, spacing_from_header, spacing_from_needle
from marrowpoint.frame import Calibration, SpacingSource
from marrowpoint.needle import Needle
from marrowpoint.read import find_images, read_frames, read_profile

LIMITS = read_profile().scale
NEEDLE = Needle(
    tip=(100.0, 100.0), axis=(0.0, 1.0), width_px=20.0, width_sd_px=0.1,
    tip_sd_along_px=1.0, tip_sd_across_px=0.3, length_px=300.0, confidence=0.9,
)  # fmt: skip


def climb(**tags) -> Calibration:
    return spacing_from_header(HeaderGeometry(**tags), LIMITS)


def sources(calibration: Calibration) -> list[str]:
    return [str(rung.source) for rung in calibration.rungs]


def test_nothing_known_is_nothing_claimed():
    assert climb() == Calibration()


def test_imager_spacing_alone_is_at_the_detector():
    calibration = climb(imager_pixel_spacing=(0.3, 0.3))
    assert sources(calibration) == ["detector_plane"]
    assert calibration.spacing.mm_per_px == pytest.approx(0.3)


def test_magnification_is_source_detector_over_source_patient():
    calibration = climb(imager_pixel_spacing=(0.3, 0.3), source_to_detector_mm=1000, source_to_object_mm=750)
    assert calibration.spacing.source is SpacingSource.MAGNIFICATION
    assert calibration.spacing.mm_per_px == pytest.approx(0.225)
    assert calibration.conflicts == ()


def test_tags_that_agree_are_no_conflict():
    # the numbers of a published file: 650 / 623 = 1.04334
    calibration = climb(
        imager_pixel_spacing=(0.085, 0.085), source_to_detector_mm=650, source_to_object_mm=623, magnification=1.0433386837881
    )
    assert calibration.spacing.source is SpacingSource.MAGNIFICATION
    assert calibration.spacing.mm_per_px == pytest.approx(0.085 * 623 / 650, rel=1e-4)
    assert calibration.conflicts == ()


def test_tags_that_contradict_are_both_refused_by_name():
    # the numbers of a file that exists: 700 / 617 = 1.1345 beside a factor of 1.073
    calibration = climb(
        imager_pixel_spacing=(0.1, 0.1), source_to_detector_mm=700, source_to_object_mm=617, magnification=1.073
    )
    assert sources(calibration) == ["detector_plane"]
    (conflict,) = calibration.conflicts
    for word in ("(0018,1114)", "1.073", "700", "617", "1.1345", "refused"):
        assert word in conflict


@pytest.mark.parametrize("bad", [(0.0, 0.0), (-0.2, -0.2), (1.0, 1.0), (0.2, -0.2), (25.0, 25.0), (0.0001, 0.0001), (0.1, 0.9)])
@pytest.mark.parametrize(
    ("field", "tag"),
    [
        ("pixel_spacing", "(0028,0030)"),
        ("imager_pixel_spacing", "(0018,1164)"),
        ("object_pixel_spacing", "(0018,9404)"),
    ],
)
def test_bogus_spacing_is_refused_by_name(field, tag, bad):
    calibration = climb(**{field: bad}, calibration_type="FIDUCIAL")
    assert calibration.spacing is None
    assert len(calibration.conflicts) == 1
    assert tag in calibration.conflicts[0]


@pytest.mark.parametrize("factor", [0.0, -1.2, 1.0, 0.7, 40.0, float("inf")])
def test_bogus_magnification_is_refused_by_name(factor):
    calibration = climb(imager_pixel_spacing=(0.3, 0.3), magnification=factor)
    assert sources(calibration) == ["detector_plane"]
    assert "(0018,1114)" in calibration.conflicts[0]


@pytest.mark.parametrize(
    ("sid", "sod", "tag"), [(0, 700, "1110"), (1000, 0, "1111"), (1000, -5, "1111"), (700, 1000, "1110"), (1, 0.7, "1110")]
)
def test_bogus_distances_are_refused_by_name(sid, sod, tag):
    calibration = climb(imager_pixel_spacing=(0.3, 0.3), source_to_detector_mm=sid, source_to_object_mm=sod)
    assert sources(calibration) == ["detector_plane"]
    assert f"(0018,{tag})" in " ".join(calibration.conflicts)


# DICOM PS3.3 10.7.1: when Pixel Spacing is a patient's
def test_pixel_spacing_with_a_type_is_believed():
    geometry = climb(pixel_spacing=(0.2, 0.2), calibration_type="GEOMETRY")
    fiducial = climb(pixel_spacing=(0.2, 0.2), calibration_type="FIDUCIAL")
    assert geometry.spacing.source is SpacingSource.PATIENT_SPACING
    assert fiducial.spacing.source is SpacingSource.FIDUCIAL
    assert fiducial.spacing.relative_u < geometry.spacing.relative_u


def test_pixel_spacing_different_from_the_imagers_is_corrected():
    calibration = climb(pixel_spacing=(0.2, 0.2), imager_pixel_spacing=(0.3, 0.3))
    assert sources(calibration) == ["patient_spacing", "detector_plane"]
    assert calibration.conflicts == ()


def test_pixel_spacing_equal_to_the_imagers_is_at_the_detector():
    plain = climb(pixel_spacing=(0.3, 0.3), imager_pixel_spacing=(0.3, 0.3))
    claimed = climb(pixel_spacing=(0.3, 0.3), imager_pixel_spacing=(0.3, 0.3), calibration_type="FIDUCIAL")
    assert sources(plain) == sources(claimed) == ["detector_plane"]
    assert plain.conflicts == ()
    assert "FIDUCIAL" in claimed.conflicts[0]


def test_pixel_spacing_larger_than_the_imagers_is_refused():
    calibration = climb(pixel_spacing=(0.4, 0.4), imager_pixel_spacing=(0.3, 0.3), calibration_type="GEOMETRY")
    assert sources(calibration) == ["detector_plane"]
    assert "(0028,0030)" in calibration.conflicts[0]


def test_pixel_spacing_of_unknown_plane_is_not_used():
    calibration = climb(pixel_spacing=(0.2, 0.2))
    assert calibration.spacing is None
    assert "plane unknown" in calibration.conflicts[0]


def test_rungs_stand_in_the_order_of_the_ladder():
    calibration = climb(
        object_pixel_spacing=(0.21, 0.21), imager_pixel_spacing=(0.3, 0.3), magnification=1.4,
        pixel_spacing=(0.215, 0.215), calibration_type="GEOMETRY",
    )  # fmt: skip
    assert sources(calibration) == ["object_plane", "magnification", "patient_spacing", "detector_plane"]
    assert calibration.spacing == calibration.rungs[0]
    assert calibration.conflicts == ()


def test_rungs_that_disagree_are_named_with_both_numbers():
    calibration = climb(
        pixel_spacing=(0.15, 0.15), calibration_type="FIDUCIAL", imager_pixel_spacing=(0.3, 0.3), magnification=1.3
    )
    assert calibration.spacing.source is SpacingSource.FIDUCIAL
    (conflict,) = calibration.conflicts
    for word in ("fiducial", "0.1500", "magnification", "0.2308"):
        assert word in conflict


@given(st.floats(0.05, 0.6), st.floats(1.01, 2.9), st.floats(320, 1500))
def test_factor_and_distances_say_the_same(pitch, factor, sid):
    by_factor = climb(imager_pixel_spacing=(pitch, pitch), magnification=factor)
    by_distance = climb(imager_pixel_spacing=(pitch, pitch), source_to_detector_mm=sid, source_to_object_mm=sid / factor)
    if by_factor.spacing is not None:
        assert by_distance.spacing.mm_per_px == pytest.approx(by_factor.spacing.mm_per_px, rel=1e-9)


# ---- the needle as a ruler -----------------------------------------------------------------------


def test_needle_gives_diameter_over_width():
    rung = spacing_from_needle(NEEDLE, 3.05, LIMITS)
    assert rung.source is SpacingSource.INSTRUMENT
    assert rung.mm_per_px == pytest.approx(3.05 / 20)
    # half a pixel of 20 is 2.5 %; the scatter of 0.1 px adds to it in square
    assert rung.relative_u == pytest.approx((0.025**2 + 0.01**2) ** 0.5)


def test_thinner_needle_is_a_worse_ruler_until_it_is_none():
    wide = spacing_from_needle(replace(NEEDLE, width_px=30.0), 3.05, LIMITS)
    narrow = spacing_from_needle(replace(NEEDLE, width_px=LIMITS.instrument_min_width_px), 3.05, LIMITS)
    assert wide.relative_u < narrow.relative_u
    assert spacing_from_needle(replace(NEEDLE, width_px=LIMITS.instrument_min_width_px - 0.01), 3.05, LIMITS) is None


@pytest.mark.parametrize("width", [float("nan"), float("inf"), 0.0, -3.0])
def test_impossible_width_is_no_ruler(width):
    assert spacing_from_needle(replace(NEEDLE, width_px=width), 3.05, LIMITS) is None


@pytest.mark.parametrize("diameter", [0.0, -1.0, float("nan")])
def test_impossible_diameter_is_an_error(diameter):
    with pytest.raises(ValueError, match="diameter"):
        spacing_from_needle(NEEDLE, diameter, LIMITS)


def test_needle_beats_the_header_and_the_header_stays_on_record():
    header = climb(imager_pixel_spacing=(0.2, 0.2), magnification=1.3)
    calibration = reconcile(header, spacing_from_needle(NEEDLE, 3.05, LIMITS))
    assert sources(calibration) == ["instrument", "magnification", "detector_plane"]
    assert calibration.spacing.source is SpacingSource.INSTRUMENT
    assert calibration.conflicts == ()


def test_wrong_gauge_is_noticed():
    header = climb(imager_pixel_spacing=(0.2, 0.2), magnification=1.3)
    calibration = reconcile(header, spacing_from_needle(NEEDLE, 2.41, LIMITS))
    (conflict,) = calibration.conflicts
    for word in ("instrument", "0.1205", "magnification", "0.1538"):
        assert word in conflict


def test_needle_coarser_than_the_detector_cannot_be():
    header = climb(imager_pixel_spacing=(0.1, 0.1))
    (conflict,) = reconcile(header, spacing_from_needle(NEEDLE, 3.05, LIMITS)).conflicts
    assert "cannot be" in conflict


def test_no_needle_leaves_the_header_as_it_is():
    header = climb(imager_pixel_spacing=(0.2, 0.2), magnification=1.0)
    assert reconcile(header, None) == header


def test_refusals_of_the_header_survive():
    header = climb(imager_pixel_spacing=(0.2, 0.2), magnification=1.0)
    assert header.conflicts
    assert reconcile(header, spacing_from_needle(NEEDLE, 3.05, LIMITS)).conflicts[: len(header.conflicts)] == header.conflicts


# ---- through a file ------------------------------------------------------------------------------


def read(path) -> Calibration:
    (image,) = find_images([path])
    (frame,) = read_frames(image, scale=LIMITS)
    return frame.header_spacing


PIXELS = np.arange(600, dtype=np.uint8).reshape(20, 30)


def test_tags_of_a_file_reach_the_ladder(tmp_path):
    calibration = read(
        make_dicom(
            tmp_path / "a.dcm", PIXELS,
            ImagerPixelSpacing=[0.3, 0.2], DistanceSourceToDetector=1000, DistanceSourceToPatient=800,
        )
    )  # fmt: skip
    assert (calibration.spacing.row_mm, calibration.spacing.column_mm) == pytest.approx((0.24, 0.16))


def test_words_in_a_number_are_refused_by_name(tmp_path):
    path = make_dicom(
        tmp_path / "a.dcm", PIXELS, ImagerPixelSpacing=[0.3, 0.3], DistanceSourceToDetector=1234, DistanceSourceToPatient=800
    )
    path.write_bytes(path.read_bytes().replace(b"1234", b"far!"))
    calibration = read(path)
    assert sources(calibration) == ["detector_plane"]
    assert any("(0018,1110)" in text for text in calibration.conflicts)


def region(unit: int = 3, delta: float = 0.02, size: int = 15) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = 0, 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = size, size
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = unit
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, delta / 2
    return item


def ultrasound(path, *regions: Dataset, **tags):
    dataset = make_dataset(PIXELS, Modality="US", SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1", **tags)
    dataset.SequenceOfUltrasoundRegions = Sequence(regions)
    return read(write_dicom(path, dataset))


def test_ultrasound_region_gives_its_step_in_mm(tmp_path):
    calibration = ultrasound(tmp_path / "a.dcm", region())
    assert calibration.spacing.source is SpacingSource.REGION
    assert (calibration.spacing.row_mm, calibration.spacing.column_mm) == pytest.approx((0.1, 0.2))


def test_region_of_time_or_of_no_known_unit_gives_no_scale(tmp_path):
    time = ultrasound(tmp_path / "a.dcm", region(unit=4))
    odd = ultrasound(tmp_path / "b.dcm", region(unit=99))
    assert time.spacing is odd.spacing is None
    assert "seconds" in time.conflicts[0]
    assert "99" in odd.conflicts[0]


def test_ultrasound_ignores_pixel_spacing_and_says_so(tmp_path):
    calibration = ultrasound(tmp_path / "a.dcm", PixelSpacing=[1.0, 1.0])
    assert calibration.spacing is None
    assert "(0028,0030)" in calibration.conflicts[0]


def test_larger_of_two_regions_is_used_and_the_other_named(tmp_path):
    calibration = ultrasound(tmp_path / "a.dcm", region(delta=0.04, size=5), region(delta=0.02, size=15))
    assert calibration.spacing.column_mm == pytest.approx(0.2)
    assert "different scale" in calibration.conflicts[0]
