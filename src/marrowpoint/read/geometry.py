"""What the header says of scale and of ultrasound regions, taken as it stands; `calibrate` judges it."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from marrowpoint.calibrate import HeaderGeometry
from marrowpoint.frame import BeamGeometry, UltrasoundRegion
from marrowpoint.read.groups import first_value, numbers
from marrowpoint.read.header import OpenFile

# Physical units of ultrasound regions, DICOM PS3.3 C.8.5.5.1.15.
_UNITS = {
    0: "none", 1: "percent", 2: "dB", 3: "cm", 4: "seconds", 5: "hertz", 6: "dB/seconds",
    7: "cm/sec", 8: "cm2", 9: "cm2/sec", 10: "cm3", 11: "cm3/sec", 12: "degrees",
}  # fmt: skip
_CM, _TISSUE, _PICTURE = 3, 1, 1
# Regions side by side whose steps differ by more than this show two scales.
_SAME_SCALE = 0.01


def header_geometry(file: OpenFile, index: int, *, ultrasound: bool) -> HeaderGeometry:
    """Collect the tags of scale for one frame.

    Parameters
    ----------
    file : OpenFile
    index : int
        0-based number of the frame.
    ultrasound : bool
        The picture is an ultrasound one.

    Returns
    -------
    HeaderGeometry
    """
    header = file.dataset
    regions, refused = ultrasound_regions(header)
    notes = list(refused)

    def read(keyword: str, name: str, count: int) -> Any:
        try:
            found = numbers(first_value(header, keyword, index), count)
            if found is None and keyword in file.damaged:
                raise ValueError("damaged")
        except ValueError:
            notes.append(f"{name} is not {'a number' if count == 1 else 'a pair of numbers'}: refused")
            return None
        return found if found is None or count > 1 else found[0]

    isocentre = read("DistanceSourceToIsocenter", "Distance Source to Isocenter (0018,9402)", 1)
    patient = read("DistanceSourceToPatient", "Distance Source to Patient (0018,1111)", 1)
    return HeaderGeometry(
        pixel_spacing=read("PixelSpacing", "Pixel Spacing (0028,0030)", 2),
        calibration_type=str(header.get("PixelSpacingCalibrationType") or ""),
        imager_pixel_spacing=read("ImagerPixelSpacing", "Imager Pixel Spacing (0018,1164)", 2),
        object_pixel_spacing=read("ObjectPixelSpacingInCenterOfBeam", "Object Pixel Spacing in Center of Beam (0018,9404)", 2),
        source_to_detector_mm=read("DistanceSourceToDetector", "Distance Source to Detector (0018,1110)", 1),
        source_to_object_mm=isocentre if patient is None else patient,
        magnification=read("EstimatedRadiographicMagnificationFactor", "Radiographic Magnification Factor (0018,1114)", 1),
        region_spacing=_tissue_step(regions, notes),
        ultrasound=ultrasound,
        refused=tuple(notes),
    )


def beam_geometry(header: Dataset, geometry: HeaderGeometry) -> BeamGeometry | None:
    """Distances of the cone beam, where they are positive and in order; what is not is left out.

    Parameters
    ----------
    header : Dataset
    geometry : HeaderGeometry
        Its tags of scale.

    Returns
    -------
    BeamGeometry or None
        None for ultrasound, and where the header states neither a distance nor how the patient lay.
    """
    sid, sod, pitch = geometry.source_to_detector_mm, geometry.source_to_object_mm, geometry.imager_pixel_spacing
    position = str(header.get("PatientPosition") or "").strip().upper()
    if sid is None or sod is None or not 0 < sod < sid:
        # one of the two cannot be true; which one, the header does not say
        sid, sod = (sid, None) if sod is None and sid is not None and sid > 0 else (None, None)
    pitch = pitch if pitch is not None and min(pitch) > 0 else None
    if geometry.ultrasound or (sid is None and pitch is None and not position):
        return None
    return BeamGeometry(sid_mm=sid, sod_mm=sod, imager_spacing_mm=pitch, patient_position=position[:16])


def ultrasound_regions(header: Dataset) -> tuple[tuple[UltrasoundRegion, ...], tuple[str, ...]]:
    """Read the Sequence of Ultrasound Regions (0018,6011).

    Parameters
    ----------
    header : Dataset

    Returns
    -------
    regions : tuple of UltrasoundRegion
        In the order of the file.
    refused : tuple of str
        Sentences about items that could not be read.
    """
    regions, refused = [], []
    for number, item in enumerate(header.get("SequenceOfUltrasoundRegions") or (), start=1):
        try:
            region = _region(item)
        except (TypeError, ValueError, AttributeError):
            refused.append(f"ultrasound region {number} (0018,6011) lacks its bounds, units or steps: refused")
            continue
        odd = {unit for unit in (region.row_unit, region.column_unit) if unit not in _UNITS}
        if odd:
            codes = ", ".join(str(unit) for unit in sorted(odd))
            refused.append(f"ultrasound region {number} (0018,6011) has the unknown physical unit {codes}: refused")
            continue
        regions.append(region)
    return tuple(regions), tuple(refused)


def _region(item: Dataset) -> UltrasoundRegion:
    def whole(keyword: str) -> int:
        return int(item[keyword].value)

    def step(keyword: str) -> float:
        found = numbers(item[keyword].value, 1)
        if found is None:
            raise ValueError(f"no {keyword}")
        return found[0]

    try:
        return UltrasoundRegion(
            spatial_format=whole("RegionSpatialFormat"),
            data_type=whole("RegionDataType"),
            top=whole("RegionLocationMinY0"),
            left=whole("RegionLocationMinX0"),
            bottom=whole("RegionLocationMaxY1"),
            right=whole("RegionLocationMaxX1"),
            row_unit=whole("PhysicalUnitsYDirection"),
            column_unit=whole("PhysicalUnitsXDirection"),
            row_delta=step("PhysicalDeltaY"),
            column_delta=step("PhysicalDeltaX"),
        )
    except KeyError as error:
        raise ValueError("incomplete region") from error


def _tissue_step(regions: tuple[UltrasoundRegion, ...], notes: list[str]) -> tuple[float, float] | None:
    tissue = [region for region in regions if region.spatial_format == _PICTURE and region.data_type == _TISSUE]
    spatial = [region for region in tissue if region.row_unit == region.column_unit == _CM]
    for region in tissue:
        if region not in spatial:
            units = f"{_UNITS[region.row_unit]} by {_UNITS[region.column_unit]}"
            notes.append(f"an ultrasound tissue region (0018,6011) is measured in {units}, not in cm: not used for scale")
    if not spatial:
        return None
    largest = max(spatial, key=lambda region: (region.bottom - region.top) * (region.right - region.left))
    # a step may be negative: it says which way the axis runs
    step = (abs(largest.row_delta) * 10, abs(largest.column_delta) * 10)
    for region in spatial:
        if abs(abs(region.row_delta) * 10 - step[0]) > _SAME_SCALE * step[0]:
            notes.append("ultrasound tissue regions (0018,6011) of different scale in one picture: the largest is used")
            break
    return step
