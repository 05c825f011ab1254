"""Where a point of one view must lie in another: the picture of its ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Points
from marrowpoint.study.geometry import ZeroView, picture_axes
from marrowpoint.study.sight import TYPICAL_DISTANCE_MM

# the hip lies within this of the isocentre, along the ray [mm]
HALF_DEPTH_MM = 120.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Camera:
    """One view in millimetres at its isocentre; patient axes, origin at the isocentre."""

    axes: Points
    sod_mm: float
    step_mm: Points  # length of one row and one column step
    centre: Points  # (row, column) of the principal ray [px]


def epipolar_line(point: tuple[float, float], first: Assessment, second: Assessment, zero: ZeroView) -> Points | None:
    """The line of the second view on which a point of the first must lie.

    Both views are taken as centred on one isocentre, without turn in their plane (Hartley and Zisserman 2004, chapter 9, for
    a pair of pinhole cameras); a C-arm moved between the pictures shifts the line.

    Parameters
    ----------
    point : tuple of float
        (row, column) in the first view [px].
    first, second : Assessment
        With scale and positioner angles.
    zero : ZeroView
        Convention of the angles.

    Returns
    -------
    ndarray of shape (2, 2), float64, or None
        Its ends, (row, column) in the second view [px], nearest to the tube first; None where a view lacks scale or angles.
    """
    seen, other = _camera(first, zero), _camera(second, zero)
    if seen is None or other is None:
        return None
    right, down, beam = seen.axes
    down_mm, right_mm = (np.asarray(point) - seen.centre) * seen.step_mm
    focus = -seen.sod_mm * beam
    ray = right_mm * right + down_mm * down + seen.sod_mm * beam
    shares = 1 + np.array([-HALF_DEPTH_MM, HALF_DEPTH_MM]) / seen.sod_mm
    return np.stack([_project(focus + share * ray, other) for share in shares])


def _camera(assessment: Assessment, zero: ZeroView) -> _Camera | None:
    view, spacing, geometry = assessment.frame.view, assessment.calibration.spacing, assessment.frame.geometry
    if spacing is None or view.primary_deg is None or view.secondary_deg is None:
        return None
    reference = assessment.frame.reference
    return _Camera(
        axes=picture_axes(view.primary_deg, view.secondary_deg, zero),
        sod_mm=(geometry.sod_mm if geometry is not None else None) or TYPICAL_DISTANCE_MM,
        step_mm=np.array([spacing.row_mm, spacing.column_mm]),
        centre=np.array([(reference.rows - 1) / 2, (reference.columns - 1) / 2]),
    )


def _project(place: Points, camera: _Camera) -> Points:
    right, down, along = camera.axes @ place
    magnified = camera.sod_mm / (camera.sod_mm + along)
    return np.asarray(camera.centre + np.array([down, right]) * magnified / camera.step_mm)
