"""Which view of the hip bone a frame is, from the C-arm's angles, the patient's position and the side.

Convention (DICOM PS3.3 C.8.7.5.1.2, and what mobile C-arms write relative to the table): a positive primary angle turns the
detector toward the patient's left. The wing of the left ilium runs from the middle of the back to the left front. So, with the
detector behind the patient (patient prone, detector above), a detector turned to the right looks along the left wing
(tangential) and one turned to the left looks across it (iliac oblique); for the right bone, or with the detector in front, the
other way round.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from marrowpoint.frame import View, ViewKind, ViewOrigin
from marrowpoint.read.groups import first_value, numbers

# Degrees of the folded primary angle (0 = vertical beam either way).
_AP_WITHIN_DEG = 15.0
_LATERAL_FROM_DEG = 70.0
# Nearer to the vertical than this, a beam that leans the tangential way does not run along the wing yet.
_TANGENTIAL_FROM_DEG = 30.0
# With more head or foot tilt the named views show other outlines (inlet, outlet).
_MAX_TILT_DEG = 35.0
# A C-arm that swings beyond a lateral by more than this has its tube above the table.
_BEYOND_LATERAL_DEG = 110.0


def frame_view(header: Dataset, index: int, side: str, stated: ViewKind | None) -> View:
    """Name the view of one frame.

    Parameters
    ----------
    header : Dataset
    index : int
        0-based number of the frame.
    side : {"L", "R", ""}
        Hip bone in question.
    stated : ViewKind or None
        What the operator says; it wins.

    Returns
    -------
    View
    """
    primary, secondary = _angles(header, index)
    if stated is not None:
        return View(kind=stated, origin=ViewOrigin.OPERATOR, primary_deg=primary, secondary_deg=secondary)
    if primary is None:
        return View()
    position = str(header.get("PatientPosition") or "").strip().upper()
    kind = name_view(primary, secondary or 0.0, side=side, position=position)
    origin = ViewOrigin.UNKNOWN if kind is ViewKind.UNKNOWN else ViewOrigin.DICOM
    return View(kind=kind, origin=origin, primary_deg=primary, secondary_deg=secondary)


def name_view(primary_deg: float, secondary_deg: float, *, side: str, position: str) -> ViewKind:
    """Name a view by its angles.

    Parameters
    ----------
    primary_deg, secondary_deg : float
        Positioner angles [deg], primary in -180..180.
    side : {"L", "R", ""}
        Hip bone in question; without it an oblique view has no name.
    position : str
        Patient Position (0018,5100): HFP, FFP prone; HFS, FFS supine; anything else leaves obliques without a name.

    Returns
    -------
    ViewKind
    """
    folded = primary_deg if abs(primary_deg) <= 90 else (180 - abs(primary_deg)) * (1 if primary_deg > 0 else -1)
    lean = abs(folded)
    if abs(secondary_deg) > _MAX_TILT_DEG or position[2:] not in ("", "P", "S"):
        return ViewKind.UNKNOWN
    if lean <= _AP_WITHIN_DEG:
        return ViewKind.AP
    if lean >= _LATERAL_FROM_DEG:
        return ViewKind.LATERAL
    behind = _detector_behind(primary_deg, position)
    if side not in ("L", "R") or behind is None:
        return ViewKind.UNKNOWN
    toward_own_side = (folded > 0) == (side == "L")
    if toward_own_side == behind:
        return ViewKind.ILIAC_OBLIQUE
    return ViewKind.TANGENTIAL if lean >= _TANGENTIAL_FROM_DEG else ViewKind.UNKNOWN


def _detector_behind(primary_deg: float, position: str) -> bool | None:
    if position.endswith("P"):
        # beyond a lateral, table angles and patient angles say opposite things
        return True if abs(primary_deg) < _BEYOND_LATERAL_DEG else None
    if position.endswith("S"):
        return abs(primary_deg) > 90
    return None


def _angles(header: Dataset, index: int) -> tuple[float | None, float | None]:
    if index > 0 and str(header.get("PositionerMotion") or "").upper() == "DYNAMIC":
        # the arm moved during the run; the angles of the header are those of its beginning
        return None, None
    found = []
    for keyword, limit in (("PositionerPrimaryAngle", 180.0), ("PositionerSecondaryAngle", 90.0)):
        try:
            value = numbers(first_value(header, keyword, index), 1)
        except ValueError:
            value = None
        found.append(value[0] if value is not None and abs(value[0]) <= limit else None)
    return found[0], found[1]
