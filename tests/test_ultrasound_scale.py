"""Scale and shape of the scanned area."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ultrasound_frames import PROFILE, frame_of, region_of, scanned

from marrowpoint.phantom.ultrasound import UltrasoundScene
from marrowpoint.ultrasound.beams import to_beams
from marrowpoint.ultrasound.field import find_sector, tissue_region
from marrowpoint.ultrasound.ruler import find_ruler
from marrowpoint.ultrasound.scale import scale_of_region
from marrowpoint.ultrasound.sector import ProbeKind

CONVEX = UltrasoundScene()
LINEAR = UltrasoundScene(radius_mm=0, depth_mm=50, mm_per_px=(0.14, 0.14), peak=(32.0, 0.0))


@pytest.mark.parametrize(("unit", "name"), [(4, "seconds"), (7, "cm/sec"), (0, "none"), (99, "unknown")])
def test_a_unit_that_is_no_length_is_refused_by_name(unit: int, name: str) -> None:
    said = scale_of_region(region_of(CONVEX, scanned(CONVEX), row_unit=unit), PROFILE.scale)
    assert said.spacing is None
    assert said.refusal is not None
    assert name in said.refusal
    assert str(unit) in said.refusal


@pytest.mark.parametrize("step", [0.0, float("nan"), 50.0])
def test_a_step_that_is_no_length_is_refused(step: float) -> None:
    assert scale_of_region(region_of(CONVEX, scanned(CONVEX), row_delta=step), PROFILE.scale).spacing is None


def test_oblong_and_negative_steps_are_read_in_millimetres() -> None:
    said = scale_of_region(region_of(CONVEX, scanned(CONVEX), row_delta=-0.02, column_delta=0.03), PROFILE.scale).spacing
    assert said is not None
    assert (said.row_mm, said.column_mm) == (pytest.approx(0.2), pytest.approx(0.3))


def test_the_region_of_tissue_is_chosen_among_several() -> None:
    tissue = region_of(CONVEX, scanned(CONVEX))
    trace = replace(tissue, spatial_format=4, data_type=10, row_unit=4)
    small = replace(tissue, bottom=tissue.top + 30)
    assert tissue_region((trace, small, tissue)) is tissue
    assert tissue_region((trace,)) is None


def test_the_sector_of_a_convex_probe() -> None:
    sector = find_sector(frame_of(CONVEX, scanned(CONVEX)))
    assert sector.kind is ProbeKind.CURVILINEAR
    # apex 50 mm behind the middle of the face, which is drawn at row 26, column 240
    assert sector.apex[0] == pytest.approx(26 - 50 / 0.22, abs=3)
    assert sector.apex[1] == pytest.approx(240, abs=2)
    assert sector.depth_from == pytest.approx(50 / 0.22, abs=3)
    assert sector.depth_to == pytest.approx(125 / 0.22, abs=3)
    assert np.degrees([sector.across_from, sector.across_to]) == pytest.approx([-30, 30], abs=0.6)


def test_the_sector_of_a_linear_probe() -> None:
    picture = scanned(LINEAR)
    sector = find_sector(frame_of(LINEAR, picture))
    assert sector.kind is ProbeKind.LINEAR
    top, left, _, right = picture.region
    assert sector.apex == pytest.approx((top, left), abs=2)
    assert sector.across_to == pytest.approx(right - left, abs=4)


@pytest.mark.parametrize("scene", [CONVEX, LINEAR])
def test_beams_lead_back_to_the_frame(scene: UltrasoundScene) -> None:
    frame = frame_of(scene, scanned(scene))
    beams = to_beams(frame.pixels, find_sector(frame), mm_per_column=0.2)
    points = np.array([[0.0, 10.0], [100.5, 50.25], [319.0, 200.0]])
    assert beams.from_frame(beams.to_frame(points)) == pytest.approx(points, abs=1e-6)


def test_texts_and_bars_are_no_picture() -> None:
    frame = frame_of(CONVEX, scanned(CONVEX))
    picture = find_sector(frame).picture
    assert not picture[:24, :95].any()
    assert not picture[40:140, 6:18].any()


@pytest.mark.parametrize("pitch", [0.15, 0.22, 0.31])
def test_the_ruler_is_read_to_half_a_percent(pitch: float) -> None:
    scene = replace(CONVEX, shape=(560, 720), mm_per_px=(pitch, pitch), depth_mm=60.0)
    frame = frame_of(scene, scanned(scene), region=False)
    ruler = find_ruler(frame, find_sector(frame))
    assert ruler is not None
    assert ruler.tick_mm / ruler.spacing_px == pytest.approx(pitch, rel=0.005)


def test_longer_ticks_are_the_centimetres() -> None:
    scene = replace(CONVEX, ruler=False)
    frame = frame_of(scene, scanned(scene), region=False)
    pixels = frame.pixels.copy()
    for k in range(17):
        pixels[round(30 + k * 2.5 / 0.22), 462 : 476 if k % 4 == 0 else 470] = 0.8
    ruler = find_ruler(replace(frame, pixels=pixels), find_sector(frame))
    assert ruler is not None
    assert ruler.tick_mm == pytest.approx(2.5)
    assert ruler.tick_mm / ruler.spacing_px == pytest.approx(0.22, rel=0.01)


def test_no_ruler_is_no_scale() -> None:
    scene = replace(CONVEX, ruler=False)
    frame = frame_of(scene, scanned(scene), region=False)
    assert find_ruler(frame, find_sector(frame)) is None
