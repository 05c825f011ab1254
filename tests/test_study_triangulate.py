"""Needle direction, tip and depth recovered from views of a known needle, with the faults that real shots have."""

from __future__ import annotations

import numpy as np
import pytest
from build_study import NEEDLE, PROFILE, frame, mm, see

from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.study.depth import true_depth
from marrowpoint.study.geometry import ZeroView
from marrowpoint.study.sight import sight_of
from marrowpoint.study.triangulate import triangulate_shaft, triangulate_tip

STANDS = ((-50.0, 0.0), (25.0, 10.0), (92.0, -5.0))


def sights(*frames):
    return [sight_of(one, ZeroView.BACK) for one in frames]


def away_deg(first, second):
    return np.degrees(np.arccos(np.clip(first @ second, -1, 1)))


def test_three_true_views_give_the_direction():
    shaft = triangulate_shaft(sights(*(frame(p, s) for p, s in STANDS)), PROFILE.study)
    assert away_deg(shaft.direction, NEEDLE) < 3
    assert shaft.usual_hanging
    assert not shaft.contradicted
    for found, (p, s) in zip(shaft.beam_angles, STANDS, strict=True):
        assert found.value_deg == pytest.approx(see(NEEDLE, np.zeros(3), p, s)[3], abs=3)


def test_a_tip_off_the_centre_does_not_bend_the_direction():
    """Perspective leans the drawn shaft by several degrees there; the model must take it out."""
    shaft = triangulate_shaft(sights(*(frame(p, s, tip_mm=(40.0, -10.0, 50.0)) for p, s in STANDS)), PROFILE.study)
    assert away_deg(shaft.direction, NEEDLE) < 3


def test_angles_to_the_beam_hold_the_truth_with_turned_pictures_and_wrong_tags():
    rng = np.random.default_rng(5)
    held, missed = [], []
    for _ in range(25):
        needle = np.array([rng.uniform(-0.2, 0.6), 1.0, rng.uniform(-0.4, 0.4)])
        needle /= np.linalg.norm(needle)
        shots = []
        for p, s in STANDS:
            faults = {"roll_deg": rng.uniform(-12, 12), "tags_off": rng.uniform(-3, 3, 2), "tip_mm": rng.normal(0, 10, 3)}
            shots.append(frame(p, s, needle=needle, **faults))
        shaft = triangulate_shaft(sights(*shots), PROFILE.study)
        truth = [see(needle, np.zeros(3), p, s)[3] for p, s in STANDS]
        held += [a.lower_deg <= t <= a.upper_deg for a, t in zip(shaft.beam_angles, truth, strict=True)]
        missed.append(shaft.contradicted)
    assert np.mean(held) > 0.9
    assert not any(missed)


def test_a_needle_in_the_plane_of_the_swing_is_known_less_well():
    """All its pictures look alike there (the epipolar plane), so turned pictures leave its direction open: say so."""
    flat = np.array([0.3, 0.95, 0.0]) / np.linalg.norm([0.3, 0.95, 0.0])
    stands = ((-50.0, 0.0), (-15.0, 0.0), (92.0, 0.0))
    good, poor = (triangulate_shaft(sights(*(frame(p, s, needle=n) for p, s in stands)), PROFILE.study) for n in (NEEDLE, flat))
    assert poor.sd_deg > 1.5 * good.sd_deg
    truth = [see(flat, np.zeros(3), p, s)[3] for p, s in stands]
    for found, t in zip(poor.beam_angles, truth, strict=True):
        assert found.lower_deg <= t <= found.upper_deg


def test_a_mirrored_series_is_told_from_a_usual_one():
    shaft = triangulate_shaft(sights(*(frame(p, s, mirrored=True) for p, s in STANDS)), PROFILE.study)
    truth = [see(NEEDLE, np.zeros(3), p, s)[3] for p, s in STANDS]
    for found, t in zip(shaft.beam_angles, truth, strict=True):
        assert found.lower_deg <= t <= found.upper_deg


def test_views_too_close_give_nothing():
    assert triangulate_shaft(sights(frame(0, 0), frame(15, 0)), PROFILE.study) is None
    assert triangulate_tip(sights(frame(0, 0), frame(15, 0)), PROFILE.study) is None
    assert triangulate_shaft(sights(frame(0, 0)), PROFILE.study) is None


def test_a_needle_turned_between_shots_contradicts():
    turned = np.array([0.2, 0.8, -0.55]) / np.linalg.norm([0.2, 0.8, -0.55])
    shots = [frame(-50, 0), frame(25, 10), frame(92, -5), frame(-5, 0, needle=turned)]
    assert triangulate_shaft(sights(*shots), PROFILE.study).contradicted


def test_a_steady_isocentre_gives_the_tip():
    truth = np.array([12.0, -20.0, 31.0])
    tip = triangulate_tip(sights(*(frame(p, s, tip_mm=truth) for p, s in STANDS)), PROFILE.study)
    np.testing.assert_allclose(tip.position_mm, truth, atol=1e-6)
    assert tip.residual_mm == pytest.approx(0, abs=1e-6)


def test_two_tips_keep_their_difference():
    a, b = np.array([5.0, 2.0, -8.0]), np.array([-11.0, 9.0, 14.0])
    found = [triangulate_tip(sights(*(frame(p, s, tip_mm=t) for p, s in STANDS)), PROFILE.study).position_mm for t in (a, b)]
    np.testing.assert_allclose(found[1] - found[0], b - a, atol=1e-6)


def test_moved_isocentres_are_inside_the_stated_doubt():
    rng = np.random.default_rng(3)
    held = []
    for _ in range(60):
        shots = [frame(p, s, tagged_mm=rng.normal(0, 10, 3), roll_deg=rng.uniform(-12, 12)) for p, s in STANDS]
        tip = triangulate_tip(sights(*shots), PROFILE.study)
        assert tip.p_value > 1e-6
        held.append(tip.position_mm @ np.linalg.solve(tip.covariance_mm2, tip.position_mm) < 7.81)  # 95 % of chi-square, 3 free
    assert np.mean(held) > 0.85


def test_a_tip_far_from_where_another_view_puts_it_is_no_isocentre_shift():
    shots = [frame(-50, 0), frame(25, 10), frame(92, -5, tip_mm=(0, 0, 120.0))]
    assert triangulate_tip(sights(*shots), PROFILE.study).p_value < 1e-6


def sines(*degrees, spread=0.0):
    away = np.linspace(-2, 2, 401) * spread / 2
    return np.sin(np.radians(np.array(degrees)[:, None] + away))


def test_foreshortening_by_hand():
    """10 mm drawn at 30 degrees to the beam are 20 mm of needle; at 90 degrees 10 mm are 10 mm."""
    depth = true_depth([mm(10.0, 0.0), mm(10.0, 0.0)], sines(30.0, 90.0))
    assert depth.views[0].value == pytest.approx(20.0)
    assert depth.views[1].value == pytest.approx(10.0)
    assert depth.smallest.value == pytest.approx(10.0)
    assert depth.smallest.bound is Bound.UPPER


def test_depth_interval_grows_with_the_doubt_of_the_angle_and_of_the_drawing():
    sure = true_depth([mm(10.0, 0.5)], sines(40.0, spread=1.0)).smallest
    for wider in (true_depth([mm(10.0, 0.5)], sines(40.0, spread=15.0)), true_depth([mm(10.0, 4.0)], sines(40.0, spread=1.0))):
        assert wider.smallest.upper > sure.upper
        assert wider.smallest.lower < sure.lower


def test_pixels_are_no_depth():
    pixels = Measurement(value=9.0, lower=8.0, upper=10.0, unit=Unit.PX, bound=Bound.LOWER, method="given")
    assert true_depth([pixels, None], sines(80.0, 80.0)) is None
