"""The line of a point in another view: it holds the point's own picture, wherever along the ray the point lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import bare_assessment, drawn_frame

from marrowpoint.assessment import Assessment
from marrowpoint.frame import BeamGeometry, Calibration, PixelSpacing, SpacingSource, View
from marrowpoint.study.epipolar import epipolar_line
from marrowpoint.study.geometry import ZeroView, picture_axes

SOD_MM, STEP_MM, SHAPE = 700.0, 0.3, (400, 500)


def view(primary_deg: float, secondary_deg: float) -> Assessment:
    spacing = PixelSpacing(row_mm=STEP_MM, column_mm=STEP_MM, source=SpacingSource.MAGNIFICATION, relative_u=0.0)
    frame = replace(
        drawn_frame(SHAPE),
        view=View(primary_deg=primary_deg, secondary_deg=secondary_deg),
        geometry=BeamGeometry(sod_mm=SOD_MM),
    )
    return replace(bare_assessment(), frame=frame, calibration=Calibration(spacing=spacing))


def picture_of(place_mm: np.ndarray, primary_deg: float, secondary_deg: float) -> np.ndarray:
    """A pinhole camera written down independently: similar triangles."""
    right, down, beam = picture_axes(primary_deg, secondary_deg, ZeroView.BACK)
    depth = SOD_MM + place_mm @ beam
    centre = (np.array(SHAPE) - 1) / 2
    return centre + SOD_MM / depth * np.array([place_mm @ down, place_mm @ right]) / STEP_MM


@pytest.mark.parametrize("angles", [((0, 0), (60, 10)), ((-40, 35), (30, -5)), ((10, 20), (90, 0))])
def test_the_line_holds_the_points_own_picture(angles) -> None:
    rng = np.random.default_rng(7)
    for place_mm in rng.uniform(-50, 50, (20, 3)):
        seen = picture_of(place_mm, *angles[0])
        line = epipolar_line(tuple(seen), view(*angles[0]), view(*angles[1]), ZeroView.BACK)
        other = picture_of(place_mm, *angles[1])
        along = line[1] - line[0]
        away = abs(along[0] * (other - line[0])[1] - along[1] * (other - line[0])[0]) / np.hypot(*along)
        assert away < 1e-6
        assert 0 < (other - line[0]) @ along / (along @ along) < 1


def test_without_angles_or_scale_there_is_no_line() -> None:
    whole = view(0, 0)
    blind = replace(whole, calibration=Calibration())
    unturned = replace(whole, frame=replace(whole.frame, view=View()))
    for other in (blind, unturned):
        assert epipolar_line((1.0, 2.0), whole, other, ZeroView.BACK) is None
        assert epipolar_line((1.0, 2.0), other, whole, ZeroView.BACK) is None
