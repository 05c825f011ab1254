"""How the C-arm stood: from positioner angles to the directions of picture and beam in the patient.

Patient axes (DICOM LPS): x toward the patient's left, y toward the back, z toward the head. All angles in degrees.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from math import acos, cos, degrees, radians, sin

import numpy as np

from marrowpoint.frame import Points

# no C-arm swings its detector under the table for a posterior approach: a larger primary angle counts from the chest
TABLE_RELATIVE_UP_TO_DEG = 135.0

PRONE = frozenset({"HFP", "FFP"})


class ZeroView(StrEnum):
    """Where the detector stands when both angles are zero."""

    CHEST = "chest"
    """Before the chest: patient-relative angles (DICOM PS3.3 C.8.7.5.1.2)."""
    BACK = "back"
    """Above the back of a prone patient: the table-relative angles that mobile C-arms write."""


def zero_view(primary_deg: Iterable[float], patient_position: str) -> ZeroView:
    """Which convention a study's angles follow.

    Parameters
    ----------
    primary_deg : iterable of float
        Positioner Primary Angles of all its frames [deg].
    patient_position : str
        Patient Position (0018,5100).

    Returns
    -------
    ZeroView
        ``back`` for a prone patient whose angles stay within 135 degrees, else ``chest``. The two are mirror worlds: angles
        between beams, foreshortening and depth are the same in both, only named directions (front, back) differ.
    """
    near_zero = all(abs(angle) <= TABLE_RELATIVE_UP_TO_DEG for angle in primary_deg)
    return ZeroView.BACK if patient_position.upper() in PRONE and near_zero else ZeroView.CHEST


def picture_axes(primary_deg: float, secondary_deg: float, zero: ZeroView) -> Points:
    """Directions of the picture in the patient.

    Positive primary turns the detector toward the patient's left, positive secondary toward the head. An unturned picture
    shows the patient's left on its right, and the head up.

    Parameters
    ----------
    primary_deg, secondary_deg : float
        Positioner angles [deg].
    zero : ZeroView
        Convention.

    Returns
    -------
    ndarray of shape (3, 3), float64
        Rows: unit vectors toward growing columns, toward growing rows, and from the tube to the detector; patient axes.
    """
    p, s = radians(primary_deg), radians(secondary_deg)
    back = 1.0 if zero is ZeroView.BACK else -1.0
    beam = np.array([sin(p) * cos(s), back * cos(p) * cos(s), sin(s)])
    right = np.array([cos(p), -back * sin(p), 0.0])
    down = np.array([sin(p) * sin(s), back * cos(p) * sin(s), -cos(s)])
    return np.stack([right, down, beam])


def separation_deg(first: Points, second: Points) -> float:
    """Angle between two beams.

    Parameters
    ----------
    first, second : ndarray of shape (3,)
        Unit vectors.

    Returns
    -------
    float
        0 to 90 degrees: a beam and its opposite show the same silhouette.
    """
    return degrees(acos(min(1.0, abs(float(first @ second)))))
