"""A needle along the beam: a disc, and what is none."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from projected_needle import frame_of, needle_picture

from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.disc import find_disc
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.phantom import ConeBeam, Exposition, HipBone, PhantomNeedle, Scene, render_scene

DIAMETER_MM = 4.19


@cache
def seen_end_on():
    """A needle in the wing that points exactly at the focal spot, drawn in three dimensions."""
    bone = HipBone()
    near, far = bone.surface_point(-42, 86, 0.0), bone.surface_point(-42, 86, 1.0)
    tip = near + (far - near) * 0.5 * bone.plate_thickness_mm(-42, 86)
    centre = 0.55 * tip + 0.45 * bone.surface_point(-50, 70)
    beam = ConeBeam(shape=(384, 384), pitch_mm=205 / 384, primary_deg=45.0, secondary_deg=-8.0)
    along = tip - (centre + beam.source)
    scene = Scene(
        beam=beam,
        needle=PhantomNeedle(tip=tuple(tip), toward_hub=tuple(along), outer_diameter_mm=DIAMETER_MM),
        centre=tuple(centre),
        exposition=Exposition(counts=220.0),
        seed=53,
    )
    return render_scene(scene)


def test_a_needle_along_the_beam_is_said_to_be_end_on():
    phantom = seen_end_on()
    exposure = find_exposure(frame_of(phantom.pixels.astype(np.float32) / phantom.pixels.max()))
    width = DIAMETER_MM / phantom.truth.mm_per_px
    disc = find_disc(exposure, expected_width_px=width)
    assert disc is not None
    assert np.hypot(*np.subtract(disc.centre, phantom.truth.tip)) < 2
    # the near end of the needle is magnified more than its tip
    assert 0.9 * width < disc.diameter_px < 1.5 * width
    with pytest.raises(NotAssessable) as caught:
        locate_needle(exposure, expected_width_px=width)
    assert caught.value.code == "end_on"


def seen_scene(toward_tube=True):
    """The same in 18 mm of bone, a degree beside the beam: a stretched spot under or over its hub."""
    bone = HipBone()
    near, far = bone.surface_point(-88, 80, 0.0), bone.surface_point(-88, 80, 1.0)
    tip = near + (far - near) * 0.5 * bone.plate_thickness_mm(-88, 80)
    centre = 0.55 * tip + 0.45 * bone.surface_point(-60, 74)
    beam = ConeBeam(shape=(384, 384), pitch_mm=205 / 384, primary_deg=-20.0, secondary_deg=5.0)
    along = tip - (centre + beam.source)
    along = (along / np.linalg.norm(along) + (0.012, -0.006, 0.01)) * (1 if toward_tube else -1)
    return Scene(
        beam=beam,
        needle=PhantomNeedle(tip=tuple(tip), toward_hub=tuple(along), outer_diameter_mm=DIAMETER_MM),
        centre=tuple(centre),
        exposition=Exposition(counts=180.0),
        seed=61,
    )


@cache
def seen_end_on_over_thick_bone(toward_tube):
    return render_scene(seen_scene(toward_tube))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("toward_tube", [True, False])
def test_a_needle_along_the_beam_is_seen_over_thick_bone(toward_tube, inverted):
    phantom = seen_end_on_over_thick_bone(toward_tube)
    pixels = phantom.pixels.astype(np.float32) / phantom.pixels.max()
    exposure = find_exposure(frame_of(1 - pixels if inverted else pixels))
    width = DIAMETER_MM / phantom.truth.mm_per_px
    disc = find_disc(exposure, expected_width_px=width)
    assert disc is not None
    assert np.hypot(*np.subtract(disc.centre, phantom.truth.tip)) < width


def test_without_its_needle_the_same_bone_has_no_disc():
    scene = replace(seen_scene(), needle=None)
    pixels = render_scene(scene).pixels
    exposure = find_exposure(frame_of(pixels.astype(np.float32) / pixels.max()))
    for width in (6.0, 9.0, 12.0, 16.0):
        assert find_disc(exposure, expected_width_px=width) is None


def picture_of_a_disc(radius=8.0, squash=1.0):
    pixels = needle_picture(contrast=0.0)
    rows, columns = np.indices(pixels.shape)
    disc = (np.hypot((rows - 200.0) * squash, columns - 300.0) < radius).astype(np.float32)
    return np.clip(pixels + 0.35 * cv2.GaussianBlur(disc, (0, 0), 1.0), 0, 1).astype(np.float32)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_drawn_disc_is_measured(inverted):
    pixels = picture_of_a_disc()
    disc = find_disc(find_exposure(frame_of(1 - pixels if inverted else pixels)), expected_width_px=16.0)
    assert disc is not None
    assert np.hypot(disc.centre[0] - 200, disc.centre[1] - 300) < 1
    assert disc.diameter_px == pytest.approx(16, rel=0.1)


def test_a_disc_of_another_size_than_declared_is_none():
    exposure = find_exposure(frame_of(picture_of_a_disc()))
    assert find_disc(exposure, expected_width_px=16.0) is not None
    assert find_disc(exposure, expected_width_px=30.0) is None
    assert find_disc(exposure, expected_width_px=8.0) is None


@pytest.mark.parametrize(
    "pixels",
    [needle_picture(), needle_picture(length=60.0), needle_picture(contrast=0.0), picture_of_a_disc(squash=0.5)],
    ids=["needle", "stub", "nothing", "ellipse"],
)
def test_what_is_not_round_is_no_disc(pixels):
    assert find_disc(find_exposure(frame_of(pixels))) is None
