"""One view of the needle, reduced to what triangulation needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, hypot

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Points, SpacingSource
from marrowpoint.study.geometry import ZeroView, picture_axes

# middle of what clinical C-arms use for the pelvis (600 to 750 mm); only a small perspective term hangs on it
TYPICAL_DISTANCE_MM = 680.0

# rungs that measure at the needle's depth; the others say nothing of how far the tip is from the tube
MEASURED_AT_NEEDLE = frozenset({SpacingSource.FIDUCIAL, SpacingSource.INSTRUMENT})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """One view of the needle in millimetres at the depth of its tip.

    Parameters
    ----------
    axes : ndarray of shape (3, 3)
        As `geometry.picture_axes`: right, down, beam.
    tip_mm : tuple of float
        Tip, to the right of and below the picture's centre, at the depth of the tip [mm].
    shaft : tuple of float
        Unit vector (right, down) from the tip toward the hub.
    shaft_sd_deg : float
        Standard uncertainty of its direction in the picture.
    visible_mm : float
        Visible length of the shaft, projected [mm].
    distance_mm, distance_sd_mm : float
        From the focal spot to the plane of the tip along the beam, and its standard uncertainty.
    sod_mm : float or None
        Focal spot to isocentre; None where the header does not say.
    """

    axes: Points
    tip_mm: tuple[float, float]
    shaft: tuple[float, float]
    shaft_sd_deg: float
    visible_mm: float
    distance_mm: float
    distance_sd_mm: float
    sod_mm: float | None

    @property
    def beam(self) -> Points:
        """Unit vector from the tube to the detector."""
        return np.asarray(self.axes[2])


def sight_of(assessment: Assessment, zero: ZeroView) -> Sight | None:
    """Reduce an assessment to a sight.

    Parameters
    ----------
    assessment : Assessment
    zero : ZeroView
        Convention of the angles.

    Returns
    -------
    Sight or None
        None without needle, scale or angles, and for a needle seen end on (its shaft has no direction in the picture).
    """
    needle, spacing, view = assessment.needle, assessment.calibration.spacing, assessment.frame.view
    if needle is None or needle.end_on or spacing is None or view.primary_deg is None or view.secondary_deg is None:
        return None
    reference = assessment.frame.reference
    down, right = needle.axis[0] * spacing.row_mm, needle.axis[1] * spacing.column_mm
    length = hypot(right, down)
    centre = (reference.rows - 1) / 2, (reference.columns - 1) / 2
    distance, distance_sd = _distance(assessment)
    turned = needle.tip_sd_across_px * 2**0.5 / max(needle.length_px, 1.0)
    return Sight(
        axes=picture_axes(view.primary_deg, view.secondary_deg, zero),
        tip_mm=((needle.tip[1] - centre[1]) * spacing.column_mm, (needle.tip[0] - centre[0]) * spacing.row_mm),
        shaft=(right / length, down / length),
        shaft_sd_deg=degrees(turned),
        visible_mm=needle.length_px * length,
        distance_mm=distance,
        distance_sd_mm=distance_sd,
        sod_mm=assessment.frame.geometry.sod_mm if assessment.frame.geometry else None,
    )


def _distance(assessment: Assessment) -> tuple[float, float]:
    """Focal spot to tip [mm], k = 1: from the needle's known width where it gave the scale, else from the isocentre."""
    spacing, geometry = assessment.calibration.spacing, assessment.frame.geometry
    if geometry is None or spacing is None:
        return TYPICAL_DISTANCE_MM, 60.0
    if spacing.source in MEASURED_AT_NEEDLE and geometry.sid_mm and geometry.imager_spacing_mm:
        pitch = float(np.sqrt(geometry.imager_spacing_mm[0] * geometry.imager_spacing_mm[1]))
        distance = spacing.mm_per_px / pitch * geometry.sid_mm
        return distance, distance * spacing.relative_u / 2
    # a tip within about 4 cm (k = 2) of the isocentre, as the scale ladder assumes
    return (geometry.sod_mm, 20.0) if geometry.sod_mm else (TYPICAL_DISTANCE_MM, 60.0)
