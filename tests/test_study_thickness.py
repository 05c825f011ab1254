"""Thickness from several views: the fit that comes with the network, and what holds without it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from build_study import frame, mm

from marrowpoint.cortex import Cortex
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.study.evidence import joint_thickness
from marrowpoint.study.thickness import Fusion, features, fused_thickness, packaged_fusion, parse_fusion

# limits 4 mm off the mean of the medians, whatever else the views say
PLAIN = [[-4.0, 1, 0, 0, 0], [0.0, 1, 0, 0, 0], [4.0, 1, 0, 0, 0]]
FUSION = parse_fusion(json.dumps({"model_sha256": "m", "quantiles": {"1": PLAIN, "2": PLAIN, "3": PLAIN}}))


def mapped(*values, model="m"):
    """Frames whose maps say so much; their own thickness, which stands for no map, is 30 mm."""
    bone = Cortex(bone=np.zeros((0, 0), np.bool_), lines=(), edge_sd_px=1.0, confidence=0.9, model_sha256=model)
    seen = [frame(path=str(k), thickness_mm=30.0) for k in range(len(values))]
    return [
        replace(one, cortex=bone, placement=replace(one.placement, mapped_thickness=mm(value, 6.0)))
        for one, value in zip(seen, values, strict=True)
    ]  # fmt: skip


def test_features_are_the_mean_the_range_and_the_mean_spreads():
    low = replace(mm(10.0, 2.0), lower=5.0)
    assert features([low, mm(16.0, 4.0)]) == pytest.approx([1.0, 13.0, 6.0, 4.5, 3.0])


def test_the_order_of_the_views_changes_nothing():
    readings = [mm(9.0, 2.0), mm(15.0, 5.0), mm(12.0, 3.0)]
    assert features(readings) == pytest.approx(features(readings[::-1]))


def test_weights_are_applied_and_the_method_names_the_views():
    found = fused_thickness([mm(10.0), mm(14.0)], [], FUSION)
    assert (found.lower, found.value, found.upper) == pytest.approx((8.0, 12.0, 16.0))
    assert "2 view(s)" in found.method


def test_an_in_plane_width_caps_value_and_limits():
    found = fused_thickness([mm(14.0)], [mm(6.0, 1.0), mm(40.0, 3.0)], FUSION)
    assert (found.lower, found.value, found.upper) == pytest.approx((7.0, 7.0, 7.0))


def test_limits_never_cross_and_never_fall_below_zero():
    crossed = Fusion(model_sha256="m", quantiles={1: np.array([[9.0, 0, 0, 0, 0], [3.0, 0, 0, 0, 0], [-2.0, 0, 0, 0, 0]])})
    found = fused_thickness([mm(10.0)], [], crossed)
    assert (found.lower, found.value, found.upper) == pytest.approx((0.0, 3.0, 9.0))


def test_more_views_than_were_fitted_count_as_the_most_that_were():
    assert fused_thickness([mm(12.0)] * 5, [], FUSION).value == pytest.approx(12.0)


def test_no_reading_is_no_thickness():
    assert fused_thickness([], [mm(20.0)], FUSION) is None


def test_the_fit_serves_only_the_network_that_it_was_made_for():
    assert joint_thickness(mapped(12.0, 14.0), FUSION).value == pytest.approx(13.0)
    assert joint_thickness(mapped(12.0, 14.0, model="other"), FUSION).value == pytest.approx(30.0)
    assert joint_thickness(mapped(12.0, 14.0), None).value == pytest.approx(30.0)
    mixed = [*mapped(12.0), *mapped(14.0, model="other")]
    assert joint_thickness(mixed, FUSION).value == pytest.approx(30.0)


def test_a_packaged_fit_is_sound_and_belongs_to_the_packaged_network():
    fusion = packaged_fusion()
    if fusion is None:
        pytest.skip("this build has no fit: thickness is pooled")
    assert fusion.model_sha256 == load_network(None).sha256
    assert set(fusion.quantiles) == {1, 2, 3}
    thin, thick = (fused_thickness([mm(value, 3.0)] * 3, [], fusion) for value in (3.0, 22.0))
    assert thin.upper < thick.value
    assert thin.value < thick.lower
