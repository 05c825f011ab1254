"""The cone beam's distances as the header states them."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from marrowpoint.calibrate import HeaderGeometry
from marrowpoint.read.geometry import beam_geometry


def header(position="HFP"):
    dataset = Dataset()
    dataset.PatientPosition = position
    return dataset


def test_distances_and_position_are_taken_over():
    stated = HeaderGeometry(source_to_detector_mm=1000.0, source_to_object_mm=700.0, imager_pixel_spacing=(0.3, 0.3))
    found = beam_geometry(header(), stated)
    assert (found.sid_mm, found.sod_mm, found.imager_spacing_mm, found.patient_position) == (1000.0, 700.0, (0.3, 0.3), "HFP")


@pytest.mark.parametrize(
    ("sid", "sod"),
    [
        pytest.param(700.0, 1000.0, id="isocentre behind the detector"),
        pytest.param(-1000.0, 700.0, id="negative"),
        pytest.param(0.0, 0.0, id="zero"),
        pytest.param(None, 700.0, id="no detector"),
    ],
)
def test_distances_that_cannot_be_are_left_out(sid, sod):
    stated = HeaderGeometry(source_to_detector_mm=sid, source_to_object_mm=sod, imager_pixel_spacing=(0.0, 0.3))
    found = beam_geometry(header(), stated)
    assert (found.sid_mm, found.sod_mm, found.imager_spacing_mm) == (None, None, None)


def test_nothing_stated_is_none():
    assert beam_geometry(Dataset(), HeaderGeometry()) is None
    assert beam_geometry(header(), HeaderGeometry(ultrasound=True)) is None
