"""The phantom against geometry and physics worked by hand."""

from __future__ import annotations

from dataclasses import replace
from math import atan, degrees, exp

import numpy as np
import pytest

from marrowpoint.phantom import ConeBeam, Display, Exposition, HipBone, PhantomNeedle, Scene, render_scene
from marrowpoint.phantom.clutter import Ellipsoid
from marrowpoint.phantom.march import march_bone, share_inside
from marrowpoint.phantom.needle import needle_paths_mm
from marrowpoint.phantom.physics import ATTENUATION, BIN_SHARE, transmission
from marrowpoint.phantom.truth import Silhouette, find_truth

BONE = HipBone()
CENTRE = np.zeros(3)


def small_scene(**changes: object) -> Scene:
    tip = BONE.surface_point(-92, 76, 9.0)
    needle = PhantomNeedle(tip=(tip[0], tip[1], tip[2]), toward_hub=(-0.35, 0.75, 0.55))
    beam = ConeBeam(shape=(72, 96), pitch_mm=2.1, primary_deg=40)
    return replace(Scene(beam=beam, needle=needle, centre=(60.0, 60.0, 75.0), seed=4), **changes)  # type: ignore[arg-type]


# ---- cone beam ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("primary_deg", "secondary_deg", "detector"),
    [(0, 0, (0, 1, 0)), (90, 0, (1, 0, 0)), (-90, 0, (-1, 0, 0)), (0, 90, (0, 0, 1))],
    ids=["detector above the back", "detector at the left", "detector at the right", "detector at the head"],
)
def test_detector_goes_where_the_angles_say(primary_deg: float, secondary_deg: float, detector: tuple[int, ...]) -> None:
    beam = ConeBeam(shape=(10, 10), pitch_mm=0.2, primary_deg=primary_deg, secondary_deg=secondary_deg)
    assert beam.axes()[2] == pytest.approx(detector, abs=1e-12)
    assert beam.axes() @ beam.axes().T == pytest.approx(np.eye(3), abs=1e-12)


def test_magnification_is_sid_over_depth() -> None:
    beam = ConeBeam(shape=(101, 201), pitch_mm=0.5, sid_mm=1000, sod_mm=700)
    # 10 mm left of the isocentre: 10 * 1000 / 700 / 0.5 = 28.57 px to the right of the middle
    assert beam.project(np.array([10.0, 0, 0])) == pytest.approx([50, 100 + 28.5714], abs=1e-3)
    # 100 mm nearer to the detector the magnification is 1000 / 800, toward the head is up
    assert beam.project(np.array([0.0, 100, 10])) == pytest.approx([50 - 25, 100], abs=1e-9)
    assert beam.mm_per_px(np.array([0.0, 100, 10])) == pytest.approx(0.4)


def test_ray_of_a_projected_point_meets_it() -> None:
    beam = ConeBeam(shape=(60, 80), pitch_mm=1.0, primary_deg=-37, secondary_deg=12, roll_deg=8)
    point = np.array([11.0, -23.0, 31.0])
    row, column = beam.project(point)
    directions, stretch = beam.rays(np.array([row]), np.array([column]))
    found = beam.source + beam.depth_mm(point) * directions[:, 0, 0]
    assert found == pytest.approx(point, abs=1e-3)
    assert stretch[0, 0] == pytest.approx(np.linalg.norm(directions[:, 0, 0]), rel=1e-6)


# ---- paths ----------------------------------------------------------------------------------------------------------


def test_needle_across_the_beam_has_its_projected_width_and_depth() -> None:
    beam = ConeBeam(shape=(201, 201), pitch_mm=0.1, sid_mm=1000, sod_mm=500)
    needle = PhantomNeedle(tip=(-6.0, 0, 0), toward_hub=(1, 0, 0), outer_diameter_mm=3.0, cone_mm=0.0, hub=False)
    steel, _ = needle_paths_mm(needle, beam, CENTRE)
    profile = steel[:, 150]
    assert profile.max() == pytest.approx(3.0, abs=0.01)
    # the tangents from a source 500 mm away: 2 * 1.5 * 1000 / sqrt(500^2 - 1.5^2) = 6.00003 mm at the detector
    assert (profile > 0).sum() == pytest.approx(60, abs=1)
    # the area of the shadow is that of the circle, magnified: pi * 1.5^2 * 2 / 0.1
    assert profile.sum() == pytest.approx(np.pi * 1.5**2 * 20, rel=0.005)


def test_cone_tapers_evenly_to_the_apex() -> None:
    beam = ConeBeam(shape=(161, 401), pitch_mm=0.05, sid_mm=1000, sod_mm=1000 - 1e-6)
    needle = PhantomNeedle(tip=(-5.0, 0, 0), toward_hub=(1, 0, 0), outer_diameter_mm=4.0, cone_mm=4.0, hub=False)
    steel, _ = needle_paths_mm(needle, beam, CENTRE)
    middle = steel[80]
    for along_mm in (1.0, 2.0, 3.0):
        assert middle[round(200 + (along_mm - 5.0) / 0.05)] == pytest.approx(along_mm, abs=0.06)
    assert middle[: 200 - 102].max() == 0


def test_tube_without_stylet_is_two_walls() -> None:
    beam = ConeBeam(shape=(101, 201), pitch_mm=0.1)
    needle = PhantomNeedle(tip=(-6.0, 0, 0), toward_hub=(1, 0, 0), outer_diameter_mm=3.0, stylet=False, hub=False)
    steel, _ = needle_paths_mm(needle, beam, CENTRE)
    assert steel[50, 150] == pytest.approx(2 * 0.11 * 3.0, abs=0.01)


def test_ellipsoid_chord_is_its_diameter_in_the_middle() -> None:
    beam = ConeBeam(shape=(3, 3), pitch_mm=0.1)
    chord = Ellipsoid(centre=(0, 20.0, 0), radii=(5, 7, 9)).chord_mm(beam.source, *beam.rays(np.arange(3), np.arange(3)))
    assert chord[1, 1] == pytest.approx(14.0, abs=1e-3)


def test_share_inside_places_the_surface_between_steps() -> None:
    first, second = np.float32([2, -1, 1, -3]), np.float32([2, -2, -3, 1])
    assert share_inside(first, second) == pytest.approx([1, 0, 0.25, 0.25])


def test_path_through_the_wing_is_its_thickness() -> None:
    """A ray along the normal of the thin wing crosses as much bone as the wing is thick there."""
    middle = BONE.surface_point(-42, 84, 1.8)
    w = BONE.axes()[2]
    beam = ConeBeam(shape=(2, 2), pitch_mm=0.01, primary_deg=degrees(atan(w[0] / w[1])), secondary_deg=degrees(np.arcsin(w[2])))
    assert abs(beam.axes()[2] @ w) == pytest.approx(1, abs=1e-6)
    rays = beam.rays(np.array([0.5]), np.array([0.5]))
    outer, inner, deepest = march_bone(BONE, beam.source + middle, rays, beam.axes()[2])
    full = BONE.plate_thickness_mm(-42, 84)
    assert outer[0, 0] == pytest.approx(full, rel=0.03)
    assert 0 < inner[0, 0] < outer[0, 0] - 2 * 0.8
    # the ray is looked at every millimetre, so the deepest look is at most half a millimetre off the middle
    assert full / 2 - 0.51 <= deepest[0, 0] <= full / 2 + 0.01


# ---- bone -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "low_mm", "high_mm"),
    [((-42, 84), 1.4, 5.0), ((-97, 80), 17.0, 22.0), ((20, 106), 14.0, 20.0), ((-20, 92), 2.0, 5.5)],
    ids=["wing is paper thin", "PSIS", "tubercle", "wing below the crest"],
)
def test_thickness_is_that_of_a_hip_bone(place: tuple[float, float], low_mm: float, high_mm: float) -> None:
    full = BONE.plate_thickness_mm(*place)
    assert low_mm <= BONE.local_thickness_mm(BONE.surface_point(*place, full / 2)) <= high_mm


def test_local_thickness_of_a_plate_is_its_thickness_at_every_depth() -> None:
    full = BONE.plate_thickness_mm(-25, 90)
    found = [BONE.local_thickness_mm(BONE.surface_point(-25, 90, share * full)) for share in (0.2, 0.5, 0.8)]
    assert found == pytest.approx([full] * 3, rel=0.12)


@pytest.mark.parametrize("depth_mm", [-5.0, -1.0, 0.5, 1.0])
def test_signed_distance_near_the_gluteal_surface(depth_mm: float) -> None:
    assert BONE.signed_distance_mm(BONE.surface_point(-40, 84, depth_mm)) == pytest.approx(depth_mm, rel=0.05, abs=0.05)


def test_no_thickness_outside_the_bone() -> None:
    assert BONE.local_thickness_mm(BONE.surface_point(-40, 84, -3.0)) == 0


def test_right_bone_mirrors_the_left() -> None:
    right = HipBone(origin=(-88.0, 0.0, 0.0), side="R")
    point = BONE.surface_point(-90, 78, 4.0)
    assert right.field_mm(point * np.array([-1, 1, 1])) == pytest.approx(BONE.field_mm(point), abs=1e-4)


# ---- physics --------------------------------------------------------------------------------------------------------


def test_attenuation_follows_beer_and_lambert() -> None:
    paths = {"tissue": np.full((1, 1), 100.0, np.float32), "cortex": np.full((1, 1), 2.0, np.float32)}
    expected = sum(
        share * exp(-100 * ATTENUATION["tissue"][k] - 2 * ATTENUATION["cortex"][k]) for k, share in enumerate(BIN_SHARE)
    )
    assert transmission(paths)[0, 0] == pytest.approx(expected, rel=1e-5)
    assert sum(BIN_SHARE) == pytest.approx(1)


def test_beam_hardens_in_steel() -> None:
    """Twice the steel stops less than the square of what once the steel stops."""
    thin = transmission({"steel": np.full((1, 1), 1.0, np.float32)})[0, 0]
    thick = transmission({"steel": np.full((1, 1), 2.0, np.float32)})[0, 0]
    assert thin**2 < thick < thin


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_same_scene_same_picture_and_other_seed_other_noise() -> None:
    first, second = render_scene(small_scene()), render_scene(small_scene())
    assert np.array_equal(first.pixels, second.pixels)
    assert not np.array_equal(first.pixels, render_scene(small_scene(seed=5)).pixels)


def test_bone_is_bright_or_dark_as_asked() -> None:
    dark, bright = (render_scene(small_scene(display=Display(bone_bright=shown))) for shown in (False, True))
    shaft = tuple(np.rint(np.asarray(dark.truth.tip) + 8 * np.asarray(dark.truth.axis)).astype(int))
    assert dark.pixels[shaft] < np.median(dark.pixels[dark.field])
    assert bright.pixels[shaft] > np.median(bright.pixels[bright.field])
    assert dark.pixels.max() <= 4095


def test_truth_of_a_tip_beside_the_shadow_is_its_distance() -> None:
    """A half plane of bone: the outline runs down the middle between columns 49 and 50."""
    deepest = np.tile(np.arange(100, dtype=np.float32) - 49.5, (80, 1))
    beam = ConeBeam(shape=(80, 100), pitch_mm=0.5)
    exposed = np.ones((80, 100), dtype=bool)
    near = HipBone(origin=(0.0, 0.0, 0.0))
    for column, expected in ((59.5, 10.0), (39.5, -10.0)):
        # the point on the isocentre's plane that lands in this column
        x = (column - 49.5) * 0.5 * 0.7
        needle = PhantomNeedle(tip=(x, 0.0, 0.0), toward_hub=(0, 0, 1))
        truth = find_truth(Silhouette(deepest=deepest, stride=1), exposed, needle, near, beam, CENTRE)
        assert truth.tip == pytest.approx((39.5, column))
        assert truth.tip_to_cortex_mm == pytest.approx(expected * 0.35, abs=1e-6)
        assert truth.axis == pytest.approx((-1, 0), abs=1e-6)
        assert truth.beam_angle_deg == pytest.approx(90)


def test_two_views_agree_on_where_the_tip_is() -> None:
    """The rays of the projected tips of two views cross in the tip."""
    scenes = [small_scene(), small_scene(beam=ConeBeam(shape=(72, 96), pitch_mm=2.1, primary_deg=-32, secondary_deg=10))]
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for scene in scenes:
        needle = scene.needle
        assert needle is not None
        row, column = scene.beam.project(np.asarray(needle.tip) - np.asarray(scene.centre))
        ray = scene.beam.rays(np.array([row]), np.array([column]))[0][:, 0, 0].astype(float)
        ray /= np.linalg.norm(ray)
        across = np.eye(3) - np.outer(ray, ray)
        normal += across
        right += across @ (scene.beam.source + np.asarray(scene.centre))
    assert np.linalg.solve(normal, right) == pytest.approx(scenes[0].needle.tip, abs=0.02)  # type: ignore[union-attr]


def test_a_run_keeps_its_body_and_changes_its_noise() -> None:
    beam = ConeBeam(shape=(96, 96), pitch_mm=205 / 96)
    scene = Scene(beam=beam, exposition=Exposition(counts=1e6, electronic_counts=0.0), seed=3, noise_seed=0)
    one, next_frame, other_body = (
        render_scene(each).pixels.astype(float) for each in (scene, replace(scene, noise_seed=1), replace(scene, seed=4))
    )
    assert 0 < np.abs(one - next_frame).mean() < 0.1 * np.abs(one - other_body).mean()
