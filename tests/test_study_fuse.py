"""What a study may say: bad news from one view, good news only from all, and refusals with their names."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from build_study import PROFILE, frame, mm
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowpoint.frame import Documented, ViewKind
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.study import judge_studies, judge_study
from marrowpoint.study.thickness import pooled_thickness
from marrowpoint.verdict import Code, Flag, Severity

GOOD = (
    {"primary": -50.0, "secondary": 0.0, "kind": ViewKind.TANGENTIAL},
    {"primary": 25.0, "secondary": 10.0, "kind": ViewKind.ILIAC_OBLIQUE},
    {"primary": 92.0, "secondary": -5.0, "kind": ViewKind.LATERAL},
)
RIGHT = (Code.PROJECTED_IN_THICK_BONE, Code.PROJECTED_INSIDE)


def study(*changes, **all_views):
    """The three good views, the k-th changed by the k-th of `changes`, all by `all_views`."""
    frames = [
        frame(**{**view, **all_views, **change}) for view, change in itertools.zip_longest(GOOD, changes, fillvalue={})
    ]  # fmt: skip
    return judge_study(frames, PROFILE)


def codes(result):
    return [reason.code for reason in result.verdict.reasons]


def test_three_good_views_are_the_right_spot_and_wait_for_a_person():
    result = study()
    assert result.verdict.code is Code.RIGHT_SPOT
    assert Flag.AWAITING_CONFIRMATION in result.verdict.flags
    assert "must confirm" in result.verdict.text
    assert result.insertion_depth.lower <= 12.0 <= result.insertion_depth.upper
    assert result.insertion_depth.value == pytest.approx(12.0, abs=2.0)
    assert result.bone_thickness.value == pytest.approx(16.0)
    assert result.frames == ("view_-50_0.dcm#1", "view_25_10.dcm#1", "view_92_-5.dcm#1")
    assert len(result.verdict.reasons) >= 5


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize(
    ("frame_code", "clearance_mm", "study_code"),
    [
        (Code.OUTSIDE_BONE, -5.0, Code.OUTSIDE_BONE),
        (Code.BREACH_SUSPECTED, 5.0, Code.BREACH_SUSPECTED),
        (Code.AT_CORTEX, 0.5, Code.AT_CORTEX),
        (Code.PROJECTED_IN_THIN_BONE, 8.0, Code.THIN_BONE),
    ],
)
def test_bad_news_from_any_one_view_is_enough_and_the_disagreement_is_shown(position, frame_code, clearance_mm, study_code):
    changes = [{} for _ in range(3)]
    changes[position] = {"code": frame_code, "clearance_mm": clearance_mm}
    result = study(*changes)
    assert result.verdict.code is study_code
    assert "views_disagree" in codes(result)
    assert sum(code == "view" for code in codes(result)) == 3


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        pytest.param(({}, {"code": Code.PROJECTED_IN_MARGINAL_BONE}, {}), "frame_disagrees", id="marginal in a view"),
        pytest.param(({}, {}, {"clearance_mm": 3.0}), "too_near_the_outline", id="no room for the needle in a view"),
        pytest.param(({"thickness_mm": 8.0},), "not_thick_in_a_view", id="thickness below the limit in a view"),
        pytest.param(({"thickness_mm": None},) * 3, "thickness_not_judged", id="no view judges thickness"),
        pytest.param(({"thickness_mm": 11.0},) * 3, "thickness_not_proven", id="thickness not certain"),
        pytest.param(({"depth_mm": 6.0},) * 3, "depth_not_proven", id="hardly past the cortex"),
        pytest.param(({"depth_mm": 40.0},) * 3, "may_be_through", id="deep enough to be through"),
        pytest.param(({"depth_mm": None},) * 3, "no_depth_view", id="entry in no view"),
        pytest.param(({"depth_mm": None}, {"depth_mm": None}, {}), "depth_from_one_view", id="entry in one view"),
        pytest.param(({"angles": False},) * 3, "no_angles", id="angles missing"),
        pytest.param(({"flags": (Flag.SCALE_CONFLICT,)},), "scale_conflict", id="scale contradictory"),
        pytest.param(({"flags": (Flag.SCALE_AT_DETECTOR_PLANE,)},), "scale_at_detector_plane", id="scale at the detector"),
        pytest.param(({"flags": (Flag.NO_LEARNED_PRIOR,)},), "no_learned_prior", id="bone found by grey values alone"),
    ],
)
def test_each_missing_proof_forbids_the_right_spot_and_is_named(changes, missing):
    result = study(*changes)
    assert result.verdict.code is Code.INDETERMINATE
    assert missing in codes(result)
    assert result.verdict.severity is Severity.UNKNOWN


def test_a_depth_on_which_no_views_agree_is_told_to_whoever_confirms():
    alone = study({"depth_mm": 40.0}, {"depth_mm": 40.0})
    assert alone.verdict.code is Code.RIGHT_SPOT
    assert "depth_only_bounded" in codes(alone)
    assert alone.insertion_depth.bound is Bound.UPPER
    assert "at most" in alone.verdict.reasons[1].text


# two views that see the needle nearly in plane, 55 degrees apart
APART = ({}, {}, {"primary": 75.0})


def test_a_depth_on_which_two_views_agree_is_a_measurement():
    together = study(*APART)
    assert together.verdict.code is Code.RIGHT_SPOT
    assert "depth_only_bounded" not in codes(together)
    assert together.insertion_depth.bound is Bound.ESTIMATE
    assert together.insertion_depth.value == pytest.approx(12.0, abs=2.0)
    assert together.insertion_depth.lower < 12.0 < together.insertion_depth.upper
    assert "at most" not in together.verdict.reasons[1].text


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(({}, {}, {"primary": 100.0}), id="beams close together"),
        pytest.param(({"depth_mm": 30.0}, {"depth_mm": 30.0}, {"primary": 75.0}), id="the others see it deeper"),
        pytest.param(({"depth_mm": 30.0}, {}, {"primary": 75.0, "depth_mm": 30.0}), id="the tightest lies along the beam"),
    ],
)
def test_views_that_cannot_confirm_each_other_only_bound_the_depth(changes):
    assert study(*changes).insertion_depth.bound is Bound.UPPER


def test_a_depth_beyond_twice_the_thickness_stays_a_bound():
    found = study(*({**change, "depth_mm": 40.0} for change in APART))
    assert found.insertion_depth.bound is Bound.UPPER
    assert "may_be_through" in codes(found)


@pytest.mark.parametrize(("u_mm", "forbidden"), [(1.0, False), (6.0, True)])
def test_a_depth_that_may_be_more_than_the_bone_is_thick_forbids_the_right_spot(u_mm, forbidden):
    frames = []
    for seen in (frame(**view, depth_mm=12.0, thickness_mm=16.0) for view in GOOD):
        depth = mm(seen.placement.insertion_depth.value, u_mm, Bound.LOWER)
        frames.append(replace(seen, placement=replace(seen.placement, insertion_depth=depth)))
    assert ("may_be_through" in codes(judge_study(frames, PROFILE))) == forbidden


@pytest.mark.parametrize(("kind", "forbidden"), [(ViewKind.ILIAC_OBLIQUE, True), (ViewKind.TANGENTIAL, False)])
def test_a_map_across_the_wing_that_does_not_exclude_thin_bone_forbids_the_right_spot(kind, forbidden):
    frames = [frame(**view) for view in GOOD]
    maps = [mm(21.0, 18.0 if seen.frame.view.kind is kind else 9.0) for seen in frames]
    frames = [
        replace(seen, placement=replace(seen.placement, mapped_thickness=said))
        for seen, said in zip(frames, maps, strict=True)
    ]  # fmt: skip
    found = judge_study(frames, PROFILE)
    assert ("thin_not_excluded" in codes(found)) is forbidden
    assert (found.verdict.code is Code.RIGHT_SPOT) is not forbidden


def test_one_view_never_suffices():
    result = judge_study([frame(**GOOD[0])], PROFILE)
    assert result.verdict.code is Code.INDETERMINATE
    assert codes(result)[0] == "one_view"


def test_views_that_do_not_complement_each_other_ask_for_the_right_one():
    frames = [frame(-50, 0, kind=ViewKind.TANGENTIAL), frame(-25, 10, kind=ViewKind.UNKNOWN)]
    result = judge_study(frames, PROFILE)
    assert result.verdict.code is Code.INDETERMINATE
    assert any("take an iliac oblique" in reason.text for reason in result.verdict.reasons)


def test_one_view_twice_is_named():
    result = judge_study([frame(25, 10, path="a"), frame(27, 8, path="b")], PROFILE)
    assert result.verdict.code is Code.INDETERMINATE
    assert codes(result)[0] == "one_view_twice"


def test_a_duplicate_picture_counts_once():
    result = judge_study([frame(**GOOD[0], path="a", sha="x"), frame(**GOOD[1], path="b", sha="x")], PROFILE)
    assert result.verdict.code is Code.INDETERMINATE
    assert {"one_view", "duplicate_picture"} <= set(codes(result))


def test_two_studies_are_refused():
    result = judge_study([frame(**GOOD[0], study="1"), frame(**GOOD[1], study="2")], PROFILE)
    assert result.verdict.code is Code.NOT_ASSESSABLE
    assert codes(result) == ["several_studies"]


def test_contradictory_sides_are_refused():
    result = study({"side": "L"}, {"side": "R"})
    assert result.verdict.code is Code.NOT_ASSESSABLE
    assert codes(result) == ["contradictory_sides"]


def test_a_picture_in_two_studies_refuses_both():
    frames = [frame(**view, study=uid, sha=f"{k}") for uid in ("1", "2") for k, view in enumerate(GOOD)]
    results = judge_studies(frames, PROFILE)
    assert [result.verdict.code for result in results] == [Code.NOT_ASSESSABLE] * 2
    assert all("picture_in_two_studies" in codes(result) for result in results)


def test_no_adequate_view_is_not_assessable_and_says_why():
    result = study({"code": Code.NOT_ASSESSABLE}, {"code": Code.NOT_ASSESSABLE}, {"code": Code.ABOVE_CORTEX})
    assert result.verdict.code is Code.NOT_ASSESSABLE
    assert codes(result).count("frame_not_assessable") == 2
    assert "ultrasound_frame" in codes(result)


def test_a_frame_that_failed_does_not_count_but_is_shown():
    result = study({}, {}, {"code": Code.NOT_ASSESSABLE})
    assert "frame_not_assessable" in codes(result)
    assert len(result.frames) == 3


def test_a_needle_hardly_past_the_cortex_in_the_tightest_view_is_at_the_cortex():
    assert study({"depth_mm": 1.0}, {"depth_mm": 1.0}, {"depth_mm": 1.0}).verdict.code is Code.AT_CORTEX


def test_a_study_without_frames_is_a_mistake():
    with pytest.raises(ValueError, match="without frames"):
        judge_study([], PROFILE)


def test_positions_carry_their_site_and_the_reason_of_their_split():
    frames = [
        frame(-50, 0, path="a", acquired="2026-01-01T10:00"), frame(-50, 0, path="b", acquired="2026-01-01T10:40"),
    ]  # fmt: skip
    first, second = judge_studies(frames, PROFILE)
    assert (first.site, second.site) == ("1", "2")
    assert "pause" in codes(second)


@settings(max_examples=25, deadline=None)
@given(
    st.permutations(range(3)),
    st.lists(st.sampled_from([*RIGHT, Code.AT_CORTEX, Code.OUTSIDE_BONE]), min_size=3, max_size=3),
)
def test_the_order_of_the_views_changes_nothing_and_bad_news_never_improves(order, view_codes):
    frames = [frame(**view, code=code) for view, code in zip(GOOD, view_codes, strict=True)]
    verdict = judge_study(frames, PROFILE).verdict.code
    assert judge_study([frames[k] for k in order], PROFILE).verdict.code is verdict
    if verdict is Code.RIGHT_SPOT:
        assert set(view_codes) <= set(RIGHT)


WIDE = {"code": Code.NOT_ASSESSABLE, "refusal": "too_uncertain"}


def test_intervals_too_wide_for_a_verdict_say_outside_only_together():
    outside = {**WIDE, "clearance_mm": -9.0, "clearance_u_mm": 5.0}
    one, two = study(outside), study(outside, outside)
    assert one.verdict.code is Code.INDETERMINATE
    assert "frame_disagrees" in codes(one)
    assert two.verdict.code is Code.OUTSIDE_BONE
    assert any("too uncertain for a verdict of its own" in reason.text for reason in two.verdict.reasons)


def test_a_tip_that_may_lie_on_either_side_says_nothing():
    result = study({**WIDE, "clearance_mm": 2.0, "clearance_u_mm": 5.0})
    assert "frame_not_assessable" in codes(result)
    assert study({**WIDE, "clearance_mm": -2.0, "clearance_u_mm": 5.0}).verdict.code is not Code.OUTSIDE_BONE


def test_a_wide_interval_that_leaves_room_for_the_needle_may_bear_witness_beside_others():
    wide = study({}, {}, {**WIDE, "clearance_mm": 12.0, "clearance_u_mm": 5.0})
    assert "frame_not_assessable" not in codes(wide)
    near = study({}, {}, {**WIDE, "clearance_mm": 7.0, "clearance_u_mm": 5.0})
    assert near.verdict.code is Code.INDETERMINATE
    assert "too_near_the_outline" in codes(near)


def test_a_frame_refused_for_another_reason_bears_no_witness_however_far_inside():
    result = study({"code": Code.NOT_ASSESSABLE, "refusal": "low_confidence_bone", "clearance_mm": 20.0})
    assert "frame_not_assessable" in codes(result)


def test_two_patients_in_one_study_refuse_all_of_it():
    people = itertools.cycle([3, 4])
    frames = [replace(seen, frame=replace(seen.frame, person=next(people))) for seen in (frame(**view) for view in GOOD)]
    assert [study.verdict.reasons[0].code for study in judge_studies(frames, PROFILE)] == ["several_patients"]


def test_a_header_that_contradicts_the_sheet_refuses_the_position():
    first, *others = (frame(**view, side="L") for view in GOOD)
    turned = replace(first, frame=replace(first.frame, documented=Documented(laterality="R")))
    result = judge_study([turned, *others], PROFILE)
    assert codes(result) == ["contradictory_sides"]


def test_pooling_narrows_but_not_as_if_views_were_independent():
    one, three = pooled_thickness([mm(16.0, 6.0)]), pooled_thickness([mm(16.0, 6.0)] * 3)
    assert one.lower == pytest.approx(10.0)
    assert 10.0 < three.lower < 16.0 - 6.0 / 3**0.5
    assert three.value == pytest.approx(16.0)


def test_pooling_does_not_average_a_contradiction_away():
    pooled = pooled_thickness([mm(18.0, 3.0), mm(17.0, 3.0), mm(5.0, 1.0)])
    assert pooled.lower <= 4.0


def test_an_upper_bound_caps_and_never_raises():
    cap = Measurement(value=7.0, lower=0.0, upper=8.0, unit=Unit.MM, bound=Bound.UPPER, method="given")
    assert pooled_thickness([mm(16.0, 4.0), cap]).upper <= 8.0
    assert pooled_thickness([cap]) is None
