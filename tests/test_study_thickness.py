"""Thickness from several views: the fit that comes with the network, and what holds without it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from build_study import PROFILE, frame, mm
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowpoint.cortex import Cortex
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.study.evidence import joint_thickness
from marrowpoint.study.thickness import (
    FEATURES,
    NARROWEST_MM,
    WIDEST_MM,
    Reading,
    features,
    fused_thickness,
    packaged_fusion,
    parse_fusion,
)

# each millimetre that the medians lie above a rung adds one to the logit
RUNGS = [4.0, 8.0, 12.0]
PLAIN = [1.0, 0.0, 0.0, *(-rung for rung in RUNGS)]
TABLE = {
    "model_sha256": "m", "features": FEATURES, "ladder_mm": RUNGS, "margin": 0.0, "single": PLAIN, "several": PLAIN
}  # fmt: skip
FUSION = parse_fusion(json.dumps(TABLE))


def read(*lengths):
    """Readings of views across the wing."""
    return [Reading(mapped=length) for length in lengths]


def mapped(*values, model="m"):
    """Frames whose maps say so much; their own thickness, which stands for no map, is 30 mm."""
    bone = Cortex(bone=np.zeros((0, 0), np.bool_), lines=(), edge_sd_px=1.0, confidence=0.9, model_sha256=model)
    seen = [frame(path=str(k), thickness_mm=30.0) for k in range(len(values))]
    return [
        replace(one, cortex=bone, placement=replace(one.placement, mapped_thickness=mm(value, 6.0)))
        for one, value in zip(seen, values, strict=True)
    ]  # fmt: skip


def test_features_are_the_means_and_the_narrowest_width():
    low = replace(mm(10.0, 2.0), lower=5.0)
    assert features(read(low, mm(16.0, 4.0)), [mm(20.0), mm(30.0)]) == pytest.approx([13.0, 8.5, np.log(20.0)])


def test_a_view_along_the_wing_counts_only_where_no_other_is_there():
    along, across = Reading(mapped=mm(20.0, 4.0), along_wing=True), Reading(mapped=mm(10.0, 2.0))
    assert features([along, across], []) == pytest.approx(features([across], []))
    assert features([along], [])[:2] == pytest.approx([20.0, 16.0])


@pytest.mark.parametrize(("widths", "narrowest"), [([], WIDEST_MM), ([mm(90.0)], WIDEST_MM), ([mm(0.0)], NARROWEST_MM)])
def test_widths_that_bound_nothing_are_cut(widths, narrowest):
    assert features(read(mm(10.0)), widths)[2] == pytest.approx(np.log(narrowest))


def test_a_fit_of_other_features_is_refused():
    with pytest.raises(ValueError, match="range"):
        parse_fusion(json.dumps({**TABLE, "features": ["median", "lower", "range"]}))


def test_the_order_of_the_views_changes_nothing():
    readings, widths = read(mm(9.0, 2.0), mm(15.0, 5.0), mm(12.0, 3.0)), [mm(40.0), mm(30.0)]
    assert features(readings, widths) == pytest.approx(features(readings[::-1], widths[::-1]))


@pytest.mark.parametrize("mean_mm", [9.0, 10.5, 11.66])
def test_the_lower_limit_lies_where_the_chance_to_be_thicker_is_as_high_as_asked(mean_mm):
    found = fused_thickness(read(mm(mean_mm - 1), mm(mean_mm + 1)), [], FUSION)
    assert 1 / (1 + np.exp(-(mean_mm - found.lower))) == pytest.approx(0.975, abs=1e-4)
    assert found.value == pytest.approx(mean_mm)
    assert "2 view(s)" in found.method


def test_a_margin_asks_for_a_surer_lower_limit_and_leaves_the_upper_one():
    readings = read(mm(10.5))
    plain, careful = (fused_thickness(readings, [], fusion) for fusion in (FUSION, replace(FUSION, margin=1.0)))
    assert careful.lower == pytest.approx(plain.lower - 1.0)
    assert careful.upper == plain.upper


def test_a_thickness_that_may_lie_below_the_lowest_rung_has_no_lower_limit():
    assert fused_thickness(read(mm(7.0)), [], FUSION).lower == 0.0


def test_nothing_is_called_thicker_than_the_ladder_reaches():
    found = fused_thickness(read(mm(40.0)), [], FUSION)
    assert found.lower == pytest.approx(12.0)
    assert found.upper == pytest.approx(41.0)


def test_thin_bone_has_an_upper_limit_from_the_ladder():
    found = fused_thickness(read(mm(1.0, 0.5)), [], FUSION)
    assert 1 / (1 + np.exp(-(1.0 - found.upper))) == pytest.approx(0.025, abs=1e-4)


def test_an_in_plane_width_caps_value_and_limits():
    found = fused_thickness(read(mm(14.0)), [mm(6.0, 1.0), mm(40.0, 3.0)], FUSION)
    assert (found.lower, found.value, found.upper) == pytest.approx((7.0, 7.0, 7.0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.5, 30), min_size=1, max_size=4), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_limits_hold_the_value_whatever_the_weights(values, weights):
    odd = replace(FUSION, single=np.array(weights), several=np.array(weights))
    found = fused_thickness(read(*(mm(value, 0.5) for value in values)), [], odd)
    assert 0 <= found.lower <= found.value <= found.upper


def test_no_reading_is_no_thickness():
    assert fused_thickness(read(), [mm(20.0)], FUSION) is None


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
    thin, thick = (fused_thickness(read(mm(value, 0.5 * value)) * 3, [], fusion) for value in (3.0, 28.0))
    assert thin.lower < thick.lower
    assert thick.lower > PROFILE.verdict.thin_below_mm
