"""What a header documents beside the picture, in the units an audit asks for."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from marrowpoint.frame import Documented
from marrowpoint.read.documented import documented


def test_a_silent_header_documents_nothing():
    assert documented(Dataset(), 0) == Documented()


def test_units():
    header = Dataset()
    header.ImageAndFluoroscopyAreaDoseProduct = "25"  # dGy cm2
    header.EntranceDoseInmGy = "1500"
    header.TotalTimeOfFluoroscopy = 90
    header.Laterality = "R"
    header.PatientPosition = "HFP"
    header.MechanicalIndex = "0.9"
    header.BoneThermalIndex = "0.4"
    found = documented(header, 0)
    assert found.dose_area_gy_cm2 == pytest.approx(2.5)
    assert found.air_kerma_gy == pytest.approx(1.5)
    assert found.fluoroscopy_min == pytest.approx(1.5)
    assert (found.laterality, found.body_position) == ("R", "HFP")
    assert (found.mechanical_index, found.thermal_index) == (0.9, 0.4)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nonsense_is_left_out():
    header = Dataset()
    header.EntranceDoseInmGy = "-3"
    header.MechanicalIndex = [0.5, 0.6]
    header.Laterality = "B"
    header.PatientPosition = "DOE^JOHN"
    assert documented(header, 0) == Documented()
