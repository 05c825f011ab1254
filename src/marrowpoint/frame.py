"""One picture as it was saved: pixels, where they come from, how the C-arm stood and what the header says of scale.

There is no field for a patient: identity cannot leak from what is not there. `Frame.person` only tells two patients apart.
Image points are (row, column) pixel coordinates; the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

MOST_MAGNIFICATION = 3.0  # of a tip 30 cm from the tube; beyond, one of two scales is wrong


class ViewKind(StrEnum):
    """What the beam direction shows of the hip bone (design section 4)."""

    AP = "ap"
    TANGENTIAL = "tangential"
    ILIAC_OBLIQUE = "iliac_oblique"
    LATERAL = "lateral"
    END_ON = "end_on"
    UNKNOWN = "unknown"


class ViewOrigin(StrEnum):
    """Who says which view it is."""

    DICOM = "dicom"
    OPERATOR = "operator"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Direction of the beam.

    Parameters
    ----------
    kind : ViewKind
        Named view.
    origin : ViewOrigin
        Where the name comes from.
    primary_deg, secondary_deg : float or None
        Positioner Primary and Secondary Angle [deg] (DICOM PS3.3 C.8.7.5).
    """

    kind: ViewKind = ViewKind.UNKNOWN
    origin: ViewOrigin = ViewOrigin.UNKNOWN
    primary_deg: float | None = None
    secondary_deg: float | None = None


class SpacingSource(StrEnum):
    """Rungs of the scale ladder, best first (design section 6); what a person set on this very picture stands above."""

    OPERATOR = "operator"
    FIDUCIAL = "fiducial"
    INSTRUMENT = "instrument"
    OBJECT_PLANE = "object_plane"
    MAGNIFICATION = "magnification"
    PATIENT_SPACING = "patient_spacing"
    REGION = "region"
    DETECTOR_PLANE = "detector_plane"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSpacing:
    """Millimetres a pixel, with where they come from.

    Parameters
    ----------
    row_mm, column_mm : float
        Distance between rows and between columns [mm] (DICOM order).
    source : SpacingSource
        Rung of the ladder.
    relative_u : float
        Expanded (k = 2) relative uncertainty, e.g. 0.03 = 3 %.
    note : str
        Which tags or which needle gave it.
    """

    row_mm: float
    column_mm: float
    source: SpacingSource
    relative_u: float
    note: str = ""

    @property
    def mm_per_px(self) -> float:
        """Geometric mean of both spacings [mm/px]; equal to each for square pixels."""
        return float(np.sqrt(self.row_mm * self.column_mm))


def _contradict(used: PixelSpacing, other: PixelSpacing) -> bool:
    doubt, ratio = used.relative_u + other.relative_u, other.mm_per_px / used.mm_per_px
    if other.source is SpacingSource.DETECTOR_PLANE:  # another plane: magnification explains a larger one
        return not 1 - doubt <= ratio <= MOST_MAGNIFICATION * (1 + doubt)
    return not 1 / (1 + doubt) <= ratio <= 1 + doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The scale used and everything that was said about scale.

    Parameters
    ----------
    spacing : PixelSpacing or None
        The rung in use; None where nothing can be trusted (method ``none``).
    rungs : tuple of PixelSpacing
        All rungs that gave a value, best first.
    conflicts : tuple of str
        Sentences: tags refused by name, rungs that disagree beyond their uncertainty.
    """

    spacing: PixelSpacing | None = None
    rungs: tuple[PixelSpacing, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def rivals(self) -> tuple[PixelSpacing, ...]:
        """Rungs farther from the one in use than both doubts explain: which is true nobody knows, unless a person said so."""
        if self.spacing is None or self.spacing.source is SpacingSource.OPERATOR:
            return ()
        return tuple(rung for rung in self.rungs if _contradict(self.spacing, rung))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReference:
    """Where a frame comes from; everything here may stand in a report.

    Parameters
    ----------
    path : str
        Path relative to the folder that was given, with forward slashes.
    frame_number : int
        1-based.
    number_of_frames : int
        Frames in the file.
    pixel_sha256 : str
        SHA-256 of the decoded stored values, little endian, this frame only.
    acquired : datetime or None
        Acquisition (else content) date and time as written in the file.
    """

    path: str
    frame_number: int = 1
    number_of_frames: int = 1
    modality: str = "OT"
    rows: int
    columns: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    study_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    acquired: datetime | None = None
    pixel_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundRegion:
    """One item of the Sequence of Ultrasound Regions (0018,6011), as it stands in the file (DICOM PS3.3 C.8.5.5).

    Parameters
    ----------
    spatial_format : int
        0018,6012: 1 = a two-dimensional picture; 0 = none, 2 = M-mode, 3 = spectral, 4 = waveform, 5 = graphics.
    data_type : int
        0018,6014: 1 = tissue, 2 = colour flow, ...
    top, left, bottom, right : int
        Location in the frame [px], both ends included.
    row_unit, column_unit : int
        Codes of the physical units along rows and columns (0018,6026 and 0018,6024); 3 = cm, the only one of space.
    row_delta, column_delta : float
        Signed physical step from one row or column to the next (0018,602E and 0018,602C), in those units.
    """

    spatial_format: int
    data_type: int
    top: int
    left: int
    bottom: int
    right: int
    row_unit: int
    column_unit: int
    row_delta: float
    column_delta: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamGeometry:
    """Distances of the cone beam and how the patient lay, as the header states them.

    Parameters
    ----------
    sid_mm : float or None
        Distance Source to Detector (0018,1110) [mm].
    sod_mm : float or None
        Distance Source to Patient (0018,1111), taken as source to isocentre [mm].
    imager_spacing_mm : tuple of float or None
        Imager Pixel Spacing (0018,1164) at the detector, between rows and between columns [mm].
    patient_position : str
        Patient Position (0018,5100), for instance ``"HFP"``; empty where absent.
    """

    sid_mm: float | None = None
    sod_mm: float | None = None
    imager_spacing_mm: tuple[float, float] | None = None
    patient_position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """What the header documents beside the picture; None or empty where it is silent.

    Parameters
    ----------
    laterality : str
        The header's own side, ``L`` or ``R``; the sheet's side is no evidence for it.
    body_position : str
        Patient Position (0018,5100), such as ``HFP``.
    dose_area_gy_cm2, air_kerma_gy, fluoroscopy_min : float or None
        Dose area product, air kerma at the reference point and fluoroscopy time, as far as the header counts them.
    mechanical_index, thermal_index : float or None
        Output indices of ultrasound.
    """

    laterality: str = ""
    body_position: str = ""
    dose_area_gy_cm2: float | None = None
    air_kerma_gy: float | None = None
    fluoroscopy_min: float | None = None
    mechanical_index: float | None = None
    thermal_index: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One picture, read-only.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
        Luminance after the modality LUT, scaled to 0..1 over the stored range, as the file presents it (MONOCHROME1 is NOT
        undone: polarity is decided from the picture by `fluoroscopy.field`). Colour is reduced to luminance.
    valid : ndarray of shape (M, N), bool
        False where the header says there is no picture (display shutter, padding).
    reference : FrameReference
        Where it comes from.
    view : View
        Beam direction.
    header_spacing : Calibration
        The ladder as far as the header alone can climb it.
    side : {"L", "R", ""}
        Side of the patient the needle is in, as stated by operator or header.
    regions : tuple of UltrasoundRegion
        Ultrasound: the regions that hold for this frame, in the order of the file.
    coloured : ndarray of shape (M, N), bool, or None
        Where a colour picture is not grey (largest minus smallest of R, G, B above 0.15): colour Doppler, marks of the
        user interface. None for a picture without colour.
    geometry : BeamGeometry or None
        Distances of the cone beam; None where the header states none.
    documented : Documented
        Side, position, dose and output indices of the header, for an audit.
    low_is_bright : bool
        The header asks a screen to show low values bright (MONOCHROME1); `pixels` are as stored.
    person : int or None
        One byte of a hash of patient and study: pictures of one study with different bytes show different patients (one pair of
        patients in 256 goes unseen). It names nobody, means nothing beyond its study, and stands in no result.
    """

    pixels: FloatImage
    valid: Mask
    reference: FrameReference
    view: View = View()
    header_spacing: Calibration = Calibration()
    side: str = ""
    regions: tuple[UltrasoundRegion, ...] = ()
    coloured: Mask | None = None
    geometry: BeamGeometry | None = None
    low_is_bright: bool = False
    documented: Documented = Documented()
    person: int | None = None
