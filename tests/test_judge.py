"""Every rule of the clinical page, on its own and at its border."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import marrowpoint
from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Calibration, PixelSpacing, SpacingSource, View, ViewKind
from marrowpoint.judge import judge_frame, not_assessable
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.profile import parse_profile
from marrowpoint.verdict import Code, Flag, Severity

PROFILE = parse_profile((Path(marrowpoint.__file__).parent / "profiles" / "default.toml").read_bytes())
NEEDLE = Needle(tip=(50.0, 50.0), axis=(0.0, 1.0), width_px=15.0, width_sd_px=0.2, tip_sd_along_px=1.0, tip_sd_across_px=0.3,
                length_px=200.0, confidence=0.95)  # fmt: skip
CORTEX = Cortex(bone=np.ones((100, 100), bool), lines=(), edge_sd_px=1.0, confidence=0.95, located_by="learned+refined",
                model_sha256="0" * 64)  # fmt: skip
SPACING = PixelSpacing(row_mm=0.2, column_mm=0.2, source=SpacingSource.MAGNIFICATION, relative_u=0.06)
OBLIQUE = View(kind=ViewKind.ILIAC_OBLIQUE)


def mm(lower, value, upper, bound=Bound.ESTIMATE, unit=Unit.MM) -> Measurement:
    return Measurement(value=value, lower=lower, upper=upper, unit=unit, bound=bound, method="drawn")


def placed(distance, thickness=None, **more) -> Placement:
    calibration = more.pop("calibration", Calibration(spacing=SPACING))
    return Placement(calibration=calibration, tip_to_cortex=distance, bone_thickness=thickness, **more)


def judge(placement, needle=NEEDLE, cortex=CORTEX, view=OBLIQUE):
    return judge_frame(needle, cortex, placement, view, PROFILE)


INSIDE = mm(6.0, 7.0, 8.0, Bound.UPPER)


@pytest.mark.parametrize(
    ("distance", "code"),
    [
        (mm(-5, -4, -3), Code.OUTSIDE_BONE),
        (mm(-0.3, -0.2, -0.1), Code.OUTSIDE_BONE),
        (mm(-1, 0, 1), Code.AT_CORTEX),
        (mm(-0.5, 1, 2.5), Code.AT_CORTEX),
        (mm(-3.5, -1.5, 0.5), Code.INDETERMINATE),
        (mm(-0.5, 1.5, 3.5), Code.INDETERMINATE),
        (mm(-1, 4, 9), Code.NOT_ASSESSABLE),
        (mm(0.1, 1, 2), Code.PROJECTED_INSIDE),
    ],
)
def test_distance_rules(distance, code):
    assert judge(placed(distance)).code is code


@pytest.mark.parametrize(
    ("thickness", "code"),
    [
        (mm(3, 4, 5.4), Code.PROJECTED_IN_THIN_BONE),
        (mm(5.5, 7, 9.5), Code.PROJECTED_IN_MARGINAL_BONE),
        (mm(9.6, 14, 18), Code.PROJECTED_IN_THICK_BONE),
        (mm(9.5, 14, 18), Code.INDETERMINATE),
        (mm(4, 5, 6), Code.INDETERMINATE),
        (mm(4, 8, 12), Code.PROJECTED_INSIDE),
        (mm(0, 4, 5, Bound.UPPER), Code.PROJECTED_IN_THIN_BONE),
        (mm(0, 8, 9, Bound.UPPER), Code.INDETERMINATE),
        (mm(10, 30, 40, Bound.UPPER), Code.PROJECTED_INSIDE),
        (mm(10, 30, 40, unit=Unit.PX), Code.PROJECTED_INSIDE),
        (None, Code.PROJECTED_INSIDE),
    ],
)
def test_thickness_rules(thickness, code):
    assert judge(placed(INSIDE, thickness)).code is code


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"thin_bone_near": True}, "thin bone may be near"),
        ({"calibration": Calibration(spacing=SPACING, conflicts=("contradiction",))}, "scales disagree"),
        ({"calibration": Calibration()}, "scale is unknown"),
        ({"calibration": Calibration(spacing=replace(SPACING, source=SpacingSource.DETECTOR_PLANE))}, "detector"),
    ],
)
def test_thick_bone_with_a_caveat_is_not_called_the_right_spot(more, words):
    verdict = judge(placed(INSIDE, mm(9.6, 14, 18), **more))
    assert verdict.code is Code.PROJECTED_IN_THICK_BONE
    assert verdict.severity is Severity.CAUTION
    assert words in verdict.text
    assert "ight spot" not in verdict.text
    assert judge(placed(INSIDE, mm(9.6, 14, 18))).severity is Severity.GOOD


def test_two_objects_that_may_be_the_needle_give_no_verdict():
    """Both are shown; a person says which one it is."""
    torn = replace(NEEDLE, confidence=0.6, alternatives=(replace(NEEDLE, tip=(20.0, 20.0), confidence=0.4),))
    verdict = judge(placed(INSIDE, mm(9.6, 14, 18)), needle=torn)
    assert verdict.code is Code.NOT_ASSESSABLE
    assert verdict.reasons[0].code == "ambiguous_needle"
    assert Flag.AMBIGUOUS_NEEDLE in verdict.flags
    assert Flag.AMBIGUOUS_NEEDLE not in judge(placed(INSIDE)).flags


def test_an_indeterminate_thickness_names_both_candidates():
    verdict = judge(placed(INSIDE, mm(4, 5, 6)))
    assert "thin or marginal" in verdict.text


def test_indeterminate_position_names_both_candidates():
    assert "at the cortex or outside" in judge(placed(mm(-3.5, -1.5, 0.5))).text
    assert "at the cortex or inside" in judge(placed(mm(-0.5, 1.5, 3.5))).text


@pytest.mark.parametrize(
    ("needle", "cortex", "code", "flag"),
    [
        (replace(NEEDLE, confidence=0.4), CORTEX, "low_confidence_needle", Flag.LOW_CONFIDENCE_NEEDLE),
        (NEEDLE, replace(CORTEX, confidence=0.4), "low_confidence_bone", Flag.LOW_CONFIDENCE_BONE),
    ],
)
def test_low_confidence_abstains_whatever_was_measured(needle, cortex, code, flag):
    verdict = judge(placed(INSIDE, mm(12, 14, 16)), needle, cortex)
    assert verdict.code is Code.NOT_ASSESSABLE
    assert verdict.reasons[0].code == code
    assert flag in verdict.flags


def test_no_cortex_in_the_field_abstains():
    assert judge(placed(None)).reasons[0].code == "no_cortex_in_field"


def test_inside_always_asks_for_a_second_view():
    for thickness in (None, mm(3, 4, 5), mm(6, 7, 8), mm(12, 14, 16), mm(4, 5, 6)):
        assert Flag.SECOND_VIEW_NEEDED in judge(placed(INSIDE, thickness)).flags


def test_breach_where_the_tip_lies_beyond_crossed_bone():
    assert judge(placed(mm(-5, -4, -3), shaft_crosses_bone=True)).code is Code.BREACH_SUSPECTED
    assert judge(placed(mm(-1, 0, 1), shaft_crosses_bone=True)).code is Code.AT_CORTEX


def test_breach_where_the_shaft_leaves_and_comes_back():
    assert judge(placed(INSIDE, mm(12, 14, 16), shaft_leaves_bone=True)).code is Code.BREACH_SUSPECTED


def test_without_a_scale_the_needle_is_the_ruler():
    none = Calibration()
    px = Unit.PX
    outside = judge(placed(mm(-50, -45, -40, unit=px), calibration=none))
    assert outside.code is Code.OUTSIDE_BONE
    assert "needle widths" in outside.text
    assert Flag.SCALE_UNKNOWN in outside.flags
    assert judge(placed(mm(-5, 0, 5, unit=px), calibration=none)).code is Code.AT_CORTEX
    assert judge(placed(mm(20, 30, 40, unit=px), calibration=none)).code is Code.PROJECTED_INSIDE
    assert judge(placed(mm(20, 60, 100, unit=px), calibration=none)).code is Code.NOT_ASSESSABLE


def test_shallow_is_flagged_in_views_that_speak_of_depth():
    placement = placed(INSIDE, insertion_depth=mm(5, 7, 9, Bound.LOWER))
    assert Flag.SHALLOW in judge(placement).flags
    assert Flag.SHALLOW not in judge(placement, view=View(kind=ViewKind.AP)).flags
    assert Flag.SHALLOW not in judge(placed(INSIDE, insertion_depth=mm(7, 9, 11, Bound.LOWER))).flags


def test_near_the_far_cortex_and_near_thin_bone_are_flagged():
    assert Flag.NEAR_DEPTH_LIMIT in judge(placed(INSIDE, far_cortex_reserve=mm(4, 7, 10))).flags
    assert Flag.NEAR_DEPTH_LIMIT in judge(placed(INSIDE, insertion_depth=mm(50, 52, 54))).flags
    assert Flag.NEAR_DEPTH_LIMIT not in judge(placed(INSIDE, far_cortex_reserve=mm(30, 40, 50))).flags
    assert Flag.NEAR_THIN_BONE in judge(placed(INSIDE, thin_bone_margin=mm(4, 6, 8))).flags
    assert Flag.NEAR_THIN_BONE in judge(placed(INSIDE, thin_bone_margin=mm(6, 7, 8))).flags  # may be nearer than the limit
    assert Flag.NEAR_THIN_BONE not in judge(placed(INSIDE, thin_bone_margin=mm(6.4, 7, 8))).flags
    suspected = judge(placed(INSIDE, thin_bone_near=True))
    assert Flag.NEAR_THIN_BONE in suspected.flags
    assert "thin bone" in suspected.text


def test_scale_flags():
    plane = Calibration(spacing=replace(SPACING, source=SpacingSource.DETECTOR_PLANE), conflicts=("two tags disagree",))
    flags = judge(placed(INSIDE, calibration=plane)).flags
    assert {Flag.SCALE_AT_DETECTOR_PLANE, Flag.SCALE_CONFLICT} <= set(flags)


def test_other_flags():
    classical = replace(CORTEX, model_sha256=None, located_by="classical")
    flags = judge(placed(INSIDE), replace(NEEDLE, second_instrument=True), classical).flags
    assert {Flag.SECOND_INSTRUMENT, Flag.NO_LEARNED_PRIOR} <= set(flags)
    end_on = judge(placed(INSIDE, insertion_depth=mm(5, 7, 9)), replace(NEEDLE, end_on=True)).flags
    assert Flag.END_ON in end_on
    assert Flag.SHALLOW not in end_on


def test_a_refusal_keeps_its_code_and_is_no_pass():
    verdict = not_assessable(NotAssessable("no_needle", "No needle was found in the field."))
    assert verdict.code is Code.NOT_ASSESSABLE
    assert verdict.reasons[0].code == "no_needle"
    assert "No needle" in verdict.text


limits = st.lists(st.floats(-30, 30, allow_nan=False), min_size=3, max_size=3).map(sorted)
widths = st.lists(st.floats(0, 40, allow_nan=False), min_size=3, max_size=3).map(sorted)


@given(distance=limits, thickness=widths, bound=st.sampled_from(Bound), confidence=st.floats(0, 1))
def test_safety_whatever_is_measured(distance, thickness, bound, confidence):
    width = mm(*thickness, bound=bound)
    verdict = judge(placed(mm(*distance), width), cortex=replace(CORTEX, confidence=confidence))
    assert verdict.reasons
    if verdict.code is Code.OUTSIDE_BONE:
        assert distance[2] < 0
    if verdict.code.startswith("projected"):
        assert distance[0] > 0
    if verdict.code is Code.PROJECTED_IN_THICK_BONE:
        assert bound is not Bound.UPPER
        assert thickness[0] >= PROFILE.verdict.thick_from_mm
        assert confidence >= PROFILE.verdict.min_bone_confidence
    if verdict.code is not Code.NOT_ASSESSABLE:
        assert (distance[2] - distance[0]) / 2 <= PROFILE.verdict.abstain_above_u_mm
    assert verdict.code is not Code.RIGHT_SPOT


def test_every_banner_is_short():
    texts = {
        judge(placed(d, w, shaft_leaves_bone=leaves, shaft_crosses_bone=leaves)).text
        for d, w, leaves in itertools.product(
            (None, mm(-5, -4, -3), mm(-1, 0, 1), mm(-9, 0, 9), mm(-3.5, -1.5, 0.5), INSIDE),
            (None, mm(4, 5, 6), mm(12, 14, 16)),
            (False, True),
        )
    }
    assert len(texts) > 6
    assert max(map(len, texts)) <= 72


def test_the_thresholds_come_from_the_profile():
    strict = replace(PROFILE, verdict=replace(PROFILE.verdict, thick_from_mm=15.0))
    placement = placed(INSIDE, mm(10, 12, 14))
    assert judge(placement).code is Code.PROJECTED_IN_THICK_BONE
    assert judge_frame(NEEDLE, CORTEX, placement, OBLIQUE, strict).code is Code.PROJECTED_IN_MARGINAL_BONE


@pytest.mark.parametrize(("code", "flag"), [("end_on", Flag.END_ON), ("ambiguous_needle", Flag.AMBIGUOUS_NEEDLE)])
def test_a_refusal_that_has_a_flag_carries_it(code, flag):
    assert not_assessable(NotAssessable(code, "why")).flags == (flag,)
