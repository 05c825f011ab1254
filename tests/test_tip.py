"""Tip and cross-section on needles of known size."""

import numpy as np
import pytest
from projected_needle import needle_picture

from marrowpoint.fluoroscopy.point import fit_point
from marrowpoint.fluoroscopy.section import fit_section
from marrowpoint.fluoroscopy.shadow import shown
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.fluoroscopy.tip import end_thickness


def rough_shaft(width, angle_deg=25.0, tip=(250.0, 260.0), length=190.0, late=6.0):
    a = np.radians(angle_deg)
    return Shaft(
        origin=tip,
        axis=(float(np.sin(a)), float(np.cos(a))),
        start_px=late,
        stop_px=length,
        width_px=0.9 * width,
        width_sd_px=0.5,
        angle_sd_rad=0.001,
        across_sd_px=0.1,
        support=4.0,
    )


@pytest.mark.parametrize("width", [9.0, 15.0, 24.0])
@pytest.mark.parametrize("cone", [0.4, 0.8, 1.2])
def test_the_apex_is_found_whatever_the_taper(width, cone):
    picture = needle_picture(width=width, cone=cone)
    shaft = rough_shaft(width, late=0.3 * cone * width)
    section = fit_section(picture, shaft, at_stop=False)
    tip = fit_point(picture, shaft, section, at_stop=False)
    assert abs(tip.along_px) < max(1.5, 0.2 * width)
    assert abs(tip.along_px) < 2.5 * tip.sd_px


def test_a_threshold_would_be_short():
    picture = needle_picture(width=15, cone=1.2, noise=0.0)
    shaft = rough_shaft(15)
    section = fit_section(picture, shaft, at_stop=False)
    tip = fit_point(picture, shaft, section, at_stop=False)
    a = np.radians(25.0)
    along = np.arange(-20, 60)
    rows, columns = np.round(250 + along * np.sin(a)).astype(int), np.round(260 + along * np.cos(a)).astype(int)
    line = picture[rows, columns]
    half = (line[:10].mean() + line[-20:].mean()) / 2
    assert along[np.argmax(line > half)] > 3
    assert abs(tip.along_px) < 3


@pytest.mark.parametrize("scatter", [0.15, 0.5, 2.0, 6.0])
@pytest.mark.parametrize("width", [9.0, 15.0, 24.0])
def test_the_width_is_found_whatever_light_scatter_leaves_behind_metal(width, scatter):
    # primary light of exp(-2) passes the middle of the shaft; light is blurred, then its logarithm is shown
    contrast = float(np.log((1 + scatter) / (np.exp(-2) + scatter)))
    picture = needle_picture(width=width, contrast=contrast, noise=0.05 * contrast, soft=0.1)
    section = fit_section(picture, rough_shaft(width), at_stop=False)
    assert section.width_px == pytest.approx(width, rel=0.12 if width < 10 else 0.06)
    assert abs(section.width_px - width) < 2.5 * section.width_sd_px


def test_a_half_height_width_is_too_small():
    width = 16.0
    picture = needle_picture(width=width, noise=0.0, angle_deg=0.0, contrast=0.4)
    profile = picture[230:271, 300:360].mean(1) - picture[200, 300:360].mean()
    above = np.flatnonzero(profile > profile.max() / 2)
    seen = float(above[-1] - above[0] + 1)
    section = fit_section(picture, rough_shaft(width, angle_deg=0.0), at_stop=False)
    assert seen < 0.97 * width
    assert section.width_px == pytest.approx(width, rel=0.05)


def test_a_needle_from_the_side_ends_at_its_apex():
    place, _, thickness = end_thickness(1.0, 90.0)
    assert thickness[place > 0.1].max() == 0
    middle = thickness[:, 0]
    assert np.interp(-1.0, place, middle) == pytest.approx(0.5, abs=0.06)


def test_the_rim_of_a_leaning_blunt_needle_reaches_beyond_the_middle_of_its_end():
    place, _, thickness = end_thickness(0.0, 30.0)
    assert place[thickness[:, 0] > 0.05].max() == pytest.approx(np.cos(np.radians(30)), abs=0.15)


def test_the_display_curve_runs_from_nothing_to_one():
    x = np.linspace(0, 1, 11)
    for k in (0.05, 3.0, 12.0):
        y = shown(x, k)
        assert y[0] == pytest.approx(0)
        assert y[-1] == pytest.approx(1)
        assert (np.diff(y) > 0).all()


@pytest.mark.parametrize("width", [9.0, 15.0, 24.0])
def test_a_point_is_told_from_a_cut(width):
    ends = {}
    for cone in (0.0, 1.2):
        picture = needle_picture(width=width, cone=cone)
        shaft = rough_shaft(width)
        ends[cone] = fit_point(picture, shaft, fit_section(picture, shaft, at_stop=False), at_stop=False).pointed
    assert ends[1.2] > 2.0
    assert ends[0.0] < -2.0
