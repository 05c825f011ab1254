"""What a header documents beside the picture: side, position, radiation dose, ultrasound output; an audit asks for it."""

from __future__ import annotations

from pydicom.dataset import Dataset

from marrowpoint.frame import Documented
from marrowpoint.read.groups import first_value, numbers

# DICOM keyword to field, with the factor to its unit: dGy cm2, dGy cm2, mGy and s
_NUMBERS = (
    ("ImageAndFluoroscopyAreaDoseProduct", "dose_area_gy_cm2", 0.1),
    ("AcquiredImageAreaDoseProduct", "dose_area_gy_cm2", 0.1),
    ("EntranceDoseInmGy", "air_kerma_gy", 0.001),
    ("TotalTimeOfFluoroscopy", "fluoroscopy_min", 1 / 60),
    ("MechanicalIndex", "mechanical_index", 1.0),
    ("SoftTissueThermalIndex", "thermal_index", 1.0),
    ("BoneThermalIndex", "thermal_index", 1.0),
    ("CranialThermalIndex", "thermal_index", 1.0),
)
_SIDES = ("FrameLaterality", "ImageLaterality", "Laterality")


def documented(header: Dataset, index: int) -> Documented:
    """Collect what one frame's header documents.

    Parameters
    ----------
    header : Dataset
    index : int
        0-based number of the frame.

    Returns
    -------
    Documented
        Without what is absent, negative or no number.
    """
    found: dict[str, float] = {}
    for keyword, name, factor in _NUMBERS:
        try:
            value = numbers(first_value(header, keyword, index), 1)
        except ValueError:
            continue
        if value is not None and value[0] >= 0:
            found.setdefault(name, value[0] * factor)
    position = str(header.get("PatientPosition") or "").strip().upper()
    return Documented(
        laterality=header_side(header, index),
        body_position=position if position.isalnum() and len(position) <= 16 else "",
        dose_area_gy_cm2=found.get("dose_area_gy_cm2"),
        air_kerma_gy=found.get("air_kerma_gy"),
        fluoroscopy_min=found.get("fluoroscopy_min"),
        mechanical_index=found.get("mechanical_index"),
        thermal_index=found.get("thermal_index"),
    )


def header_side(header: Dataset, index: int) -> str:
    """The side the header itself states: ``L``, ``R`` or nothing."""
    stated = (str(first_value(header, keyword, index) or "").strip().upper() for keyword in _SIDES)
    return next((side for side in stated if side in ("L", "R")), "")
