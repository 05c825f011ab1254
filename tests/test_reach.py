"""Faint ends of shafts, and tips that burnt-in bone hides, on pictures of known truth."""

import numpy as np
import pytest
from projected_needle import frame_of, needle_picture

from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.fluoroscopy.reach import hidden_share, lengthen, tip_seen
from marrowpoint.fluoroscopy.shaft import Shaft

TIP, ANGLE = (250.0, 260.0), 25.0
AXIS = (float(np.sin(np.radians(ANGLE))), float(np.cos(np.radians(ANGLE))))


def exposure_of(pixels):
    return Exposure(attenuation=pixels, field=np.ones(pixels.shape, bool), inverted=False, polarity_confidence=1.0, bars=None)


def seen_from(start, width, length=190.0):
    """A shaft whose apex is at 0 but that was followed only down to `start`."""
    return Shaft(
        origin=TIP,
        axis=AXIS,
        start_px=start,
        stop_px=length,
        width_px=width,
        width_sd_px=0.5,
        angle_sd_rad=0.001,
        across_sd_px=0.1,
        support=3.0,
    )


def across_of(shape):
    r, c = np.indices(shape, dtype=np.float32)
    along = (r - TIP[0]) * AXIS[0] + (c - TIP[1]) * AXIS[1]
    return along, (r - TIP[0]) * AXIS[1] - (c - TIP[1]) * AXIS[0]


@pytest.mark.parametrize("width", [6.0, 10.0, 16.0])
@pytest.mark.parametrize("slope", [0.0, 0.004])
def test_a_shaft_fainter_than_its_grain_is_followed_to_its_end(width, slope):
    pixels = needle_picture(width=width, contrast=0.06, noise=0.04, cone=0.6)
    pixels = pixels + np.float32(slope) * across_of(pixels.shape)[1].clip(-60, 60)
    longer = lengthen(exposure_of(pixels), seen_from(6 * width, width), at_stop=False)
    assert abs(longer.start_px) < 1.5 * width
    assert longer.stop_px == 190.0


@pytest.mark.parametrize("seed", range(6))
def test_grain_lengthens_no_shaft(seed):
    width = 10.0
    pixels = needle_picture(width=width, contrast=0.06, noise=0.04, cone=0.6, seed=seed)
    same = lengthen(exposure_of(pixels), seen_from(0.0, width), at_stop=False)
    assert -0.8 * width < same.start_px <= 0.0


def test_an_edge_in_line_with_the_shaft_lengthens_it_not():
    width = 10.0
    pixels = needle_picture(width=width, contrast=0.15, noise=0.01, cone=0.6)
    along, across = across_of(pixels.shape)
    pixels = pixels + np.float32(0.15) * ((across < 0.5 * width) & (along < 2 * width))
    same = lengthen(exposure_of(pixels), seen_from(0.0, width), at_stop=False)
    assert same.start_px > -0.8 * width


def test_what_lies_in_line_beyond_a_gap_is_something_else():
    width = 10.0
    pixels = needle_picture(width=width, contrast=0.15, noise=0.01, cone=0.6)
    along, across = across_of(pixels.shape)
    pixels = pixels + np.float32(0.15) * ((np.abs(across) < 0.5 * width) & (along < -2.5 * width))
    same = lengthen(exposure_of(pixels), seen_from(0.0, width), at_stop=False)
    assert same.start_px > -0.8 * width


@pytest.mark.parametrize(("contrast", "believed"), [(0.2, True), (0.08, True), (0.004, False)])
def test_an_end_is_believed_where_its_shaft_stands_out(contrast, believed):
    width = 10.0
    pixels = needle_picture(width=width, contrast=contrast, noise=0.04, cone=0.6)
    seen = tip_seen(exposure_of(pixels), seen_from(0.0, width), 0.0, at_stop=False)
    assert (seen > 0.7) if believed else (seen < 0.3)


def test_a_shaft_that_fades_into_grain_has_no_tip_there():
    width = 10.0
    pixels = needle_picture(width=width, contrast=0.0, noise=0.0)
    shown = needle_picture(
        width=width, contrast=0.3, noise=0.0, tip=(TIP[0] - 120 * AXIS[0], TIP[1] - 120 * AXIS[1]), length=400.0
    )
    along, _ = across_of(pixels.shape)
    # the true tip lies 120 px further on, in grain that grows as the shaft fades
    fading = pixels + (shown - pixels) / (1 + np.exp(-(along - 20) / 15))
    grain = np.random.default_rng(3).normal(size=pixels.shape).astype(np.float32)
    assert tip_seen(exposure_of(fading + 0.1 * grain), seen_from(0.0, width), -10.0, at_stop=False) < 0.4
    assert tip_seen(exposure_of(shown + 0.1 * grain), seen_from(0.0, width), -120.0, at_stop=False) > 0.6


def test_a_shaft_that_runs_out_of_the_field_stops_there():
    width = 10.0
    pixels = needle_picture(width=width, length=900.0, contrast=0.2)
    exposure = exposure_of(pixels)
    longer = lengthen(exposure, seen_from(0.0, width, length=150.0), at_stop=True)
    row, column = longer.point(longer.stop_px)
    assert 0 <= row < 512
    assert 0 <= column < 512


def test_a_tip_in_burnt_in_bone_is_not_believed():
    pixels = needle_picture(width=12.0, length=900.0, contrast=0.3)
    along, _ = across_of(pixels.shape)
    white = np.where(along < 70, 1.0, pixels).astype(np.float32)
    clear, hidden = (locate_needle(find_exposure(frame_of(p))) for p in (pixels, white))
    assert clear.confidence > 0.8
    assert hidden.confidence < 0.5


def test_what_is_burnt_in_behind_a_tip_hides_nothing():
    pixels = needle_picture(width=12.0)
    along, _ = across_of(pixels.shape)
    pixels = np.where(along > 30, 1.0, pixels).astype(np.float32)
    assert hidden_share(exposure_of(pixels), TIP, AXIS, 12.0) == 0.0
    assert hidden_share(exposure_of(pixels), TIP, (-AXIS[0], -AXIS[1]), 40.0) > 0.5
