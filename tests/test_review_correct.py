"""What a person sets is measured like everything else, carries their name and doubt, and bends no rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_cases import (
    CENTRE,
    MM,
    PROFILE,
    RADIUS,
    SHAPE,
    assessment,
    circle,
    cortex,
    disc_mask,
    frame,
    needle,
    without_needle,
)

from marrowpoint.cortex import ThicknessMap
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Calibration, SpacingSource, ViewKind, ViewOrigin
from marrowpoint.measurement import Unit
from marrowpoint.profile import parse_profile
from marrowpoint.report.record import frame_record, record_line
from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections, KnownLength
from marrowpoint.review.profiles import profile_form, profile_toml
from marrowpoint.verdict import Code, Flag

WHO = "A. Reader"


def by_hand(**fields) -> Corrections:
    return Corrections().changed(by=WHO, **fields)


def test_without_corrections_the_programs_own_comes_back():
    base = assessment()
    assert reassess(base, Corrections(), PROFILE) is base


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("offset", "inside_mm"), [(80.0, 8.0), (100.0, 4.0), (140.0, -4.0), (170.0, -10.0)])
def test_a_moved_tip_is_measured_to_the_outline_that_stays(offset, inside_mm, quick):
    base = assessment()
    found = reassess(base, by_hand(tip=(CENTRE[0], CENTRE[1] + offset)), PROFILE, quick=quick)
    assert found.placement.tip_to_cortex.value == pytest.approx(inside_mm, abs=0.02)
    assert found.cortex is base.cortex
    assert found.needle.located_by == f"reader {WHO}"
    assert found.verdict.code is (Code.PROJECTED_INSIDE if inside_mm > 0 else Code.OUTSIDE_BONE)


def test_the_shaft_turns_about_its_far_end_when_the_tip_is_dragged():
    base = assessment()
    far = np.array(base.needle.tip) + base.needle.length_px * np.array(base.needle.axis)
    found = reassess(base, by_hand(tip=(230.0, 320.0)), PROFILE).needle
    assert np.array(found.tip) + found.length_px * np.array(found.axis) == pytest.approx(far)


def test_while_the_mouse_moves_the_width_stays_what_the_program_found():
    base = assessment()
    elsewhere = by_hand(tip=(120.0, 150.0), far_end=(60.0, 150.0))
    moving, done = (reassess(base, elsewhere, PROFILE, quick=quick).needle for quick in (True, False))
    assert (moving.width_px, moving.width_sd_px) == (base.needle.width_px, base.needle.width_sd_px)
    assert (moving.tip, moving.axis) == (done.tip, done.axis)
    assert done.width_px != moving.width_px, "let go, the shaft that was drawn is measured"


def test_a_far_end_turns_the_shaft_and_leaves_the_tip_the_programs():
    base = assessment()
    found = reassess(base, by_hand(far_end=(300.0, 330.0)), PROFILE).needle
    assert found.tip == base.needle.tip
    assert found.axis == pytest.approx((1.0, 0.0))
    assert found.length_px == pytest.approx(100.0)
    assert (found.tip_sd_along_px, found.confidence) == (base.needle.tip_sd_along_px, base.needle.confidence)


def test_a_hand_has_the_doubt_that_the_profile_states_never_none():
    sd_px = PROFILE.review.hand_point_sd_mm / MM
    found = reassess(assessment(), by_hand(tip=(200.0, 331.0)), PROFILE).needle
    assert (found.tip_sd_along_px, found.tip_sd_across_px) == pytest.approx((sd_px, sd_px))
    coarse = assessment(base=frame(_scaled(2.0)))
    found = reassess(coarse, by_hand(tip=(200.0, 331.0)), PROFILE).needle
    assert found.tip_sd_along_px == pytest.approx(PROFILE.review.hand_point_sd_px)
    unscaled = assessment(base=frame(Calibration()))
    found = reassess(unscaled, by_hand(tip=(200.0, 331.0)), PROFILE)
    assert found.needle.tip_sd_along_px > PROFILE.review.hand_point_sd_px
    assert found.placement.tip_to_cortex.unit is Unit.PX


def _scaled(mm):
    rung = replace(frame().header_spacing.spacing, row_mm=mm, column_mm=mm)
    return Calibration(spacing=rung, rungs=(rung,))


def test_where_a_hand_errs_as_stated_its_interval_holds_the_truth():
    rng = np.random.default_rng(4)
    base = assessment(outline=cortex(edge_sd_px=0.3, confidence=0.99))
    truth = np.array([CENTRE[0], CENTRE[1] + 85.0])
    sd = PROFILE.review.hand_point_sd_mm / MM
    held = 0
    for _ in range(80):
        clicked = truth + rng.normal(0, sd, 2)
        distance = reassess(base, by_hand(tip=tuple(clicked)), PROFILE, quick=True).placement.tip_to_cortex
        held += distance.lower <= (RADIUS - 85.0) * MM <= distance.upper
    assert held >= 0.9 * 80


BASE = assessment()


@settings(max_examples=20)
@given(row=st.floats(60, 340), column=st.floats(110, 390), sure=st.booleans())
def test_no_hand_makes_one_frame_the_right_spot_or_a_doubtful_one_sure(row, column, sure):
    found = reassess(BASE, by_hand(tip=(row, column), outline_confirmed=sure or None), PROFILE, quick=True)
    assert found.verdict.code not in (Code.RIGHT_SPOT, Code.THIN_BONE)
    distance = found.placement.tip_to_cortex
    if distance is None:
        assert found.verdict.code is Code.NOT_ASSESSABLE
        return
    if distance.lower <= 0 <= distance.upper:
        assert found.verdict.code in (Code.AT_CORTEX, Code.INDETERMINATE, Code.NOT_ASSESSABLE)
    elif distance.lower > 0 and found.verdict.code is not Code.NOT_ASSESSABLE:
        assert Flag.SECOND_VIEW_NEEDED in found.verdict.flags


def test_a_doubtful_outline_stays_doubtful_when_only_the_tip_moves():
    base = assessment(outline=cortex(confidence=PROFILE.verdict.measure_bone_confidence - 0.1))
    found = reassess(base, by_hand(tip=(200.0, 320.0)), PROFILE)
    assert found.verdict.code is Code.NOT_ASSESSABLE
    assert found.placement.tip_to_cortex is None


def test_an_outline_likelier_right_than_wrong_shows_its_distance_without_a_verdict():
    base = assessment(outline=cortex(confidence=PROFILE.verdict.min_bone_confidence - 0.1))
    found = reassess(base, by_hand(tip=(200.0, 320.0)), PROFILE)
    assert found.verdict.code is Code.NOT_ASSESSABLE
    assert found.verdict.reasons[0].code == "low_confidence_bone"
    assert found.placement.tip_to_cortex is not None
    assert found.placement.insertion_depth is None
    assert found.placement.bone_thickness is None


def test_a_confirmed_outline_is_measured_on_with_a_persons_doubt():
    base = assessment(outline=cortex(confidence=0.5, edge_sd_px=0.5))
    found = reassess(base, by_hand(outline_confirmed=True), PROFILE)
    assert found.verdict.code is Code.PROJECTED_INSIDE
    assert found.cortex.confidence == PROFILE.review.hand_confidence
    assert found.cortex.edge_sd_px == pytest.approx(PROFILE.review.hand_point_sd_mm / MM)
    vague = assessment(outline=cortex(confidence=0.5, edge_sd_px=9.0))
    assert reassess(vague, by_hand(outline_confirmed=True), PROFILE).cortex.edge_sd_px == 9.0


def test_an_outlines_doubt_grows_with_the_way_to_the_arc_that_it_was_stated_for():
    base = assessment(outline=cortex(edge_sd_px=2.0, confidence=0.9))
    tips = ((205.0, 330.0), (250.0, 300.0), (200.0, 170.0))
    sd = [reassess(base, by_hand(tip=tip), PROFILE).cortex.edge_sd_px for tip in tips]
    assert sd[0] == 2.0 < sd[1] < sd[2]
    opposite = reassess(base, by_hand(tip=(200.0, 170.0)), PROFILE)
    assert opposite.cortex.confidence < 0.75  # ... and below what the profile measures on
    assert opposite.verdict.code is Code.NOT_ASSESSABLE
    confirmed = reassess(base, by_hand(tip=(200.0, 170.0), outline_confirmed=True), PROFILE)
    assert confirmed.verdict.code is Code.PROJECTED_INSIDE


def thick_everywhere(**more):
    grid = np.full((40, 50), 14.0, np.float32)
    there = ThicknessMap(median_mm=grid, lower_mm=grid - 1, upper_mm=grid + 1, frame_shape=SHAPE, method="model")
    return cortex(thickness=there, **more)


def test_a_hand_makes_no_thickness_of_a_model_that_did_not_know_the_bone():
    sure, unsure = (assessment(outline=thick_everywhere(confidence=c)) for c in (0.9, 0.4))
    assert sure.verdict.code is Code.PROJECTED_IN_THICK_BONE
    assert reassess(sure, by_hand(outline_confirmed=True), PROFILE).verdict.code is Code.PROJECTED_IN_THICK_BONE
    for wanted in (by_hand(outline_confirmed=True), by_hand(outline=(circle(radius=115.0),))):
        found = reassess(unsure, wanted, PROFILE)
        assert found.verdict.code is Code.PROJECTED_INSIDE
        assert Flag.THICKNESS_NOT_JUDGED in found.verdict.flags


def test_a_drawn_outline_moves_the_cortex_and_its_bone_side():
    found = reassess(assessment(), by_hand(outline=(circle(radius=100.0),)), PROFILE)
    assert found.placement.tip_to_cortex.value == pytest.approx(20 * MM, abs=0.05)
    assert (found.cortex.bone != disc_mask(radius=100.0)).sum() < 300  # pixels of the rim only
    assert found.cortex.located_by == f"reader {WHO}"
    assert found.cortex.confidence == pytest.approx(PROFILE.review.hand_confidence)
    outside = reassess(assessment(), by_hand(outline=(circle(radius=60.0),)), PROFILE)
    assert outside.verdict.code is Code.OUTSIDE_BONE


def test_an_outline_edited_far_from_the_tip_is_believed_no_more_near_it():
    base = assessment(outline=cortex(confidence=0.5))
    line = circle()
    away = line[:, 1] < CENTRE[1] - 60
    line[away, 1] += 10.0
    found = reassess(base, by_hand(outline=(line,)), PROFILE)
    assert found.verdict.code is Code.NOT_ASSESSABLE
    assert found.cortex.confidence == pytest.approx(0.5, abs=0.01)
    line = circle()
    line[line[:, 1] > CENTRE[1] + 60, 1] += 5.0
    assert reassess(base, by_hand(outline=(line,)), PROFILE).cortex.confidence > 0.9


def half_disc():
    """Bone that the right edge of the field cuts off: an open line from edge to edge."""
    field = np.zeros(SHAPE, bool)
    field[:, :300] = True
    line = circle(count=720)[:-1]
    line = np.roll(line, -int(np.argmin(np.abs(line[:, 1] - 300) + 1e3 * (line[:, 0] > 200))), axis=0)
    line = line[line[:, 1] < 298]
    order = np.argsort(np.arctan2(line[:, 0] - 200, -(line[:, 1] - 250)))
    return field, line[order], disc_mask() & field


def test_a_stretch_of_an_open_outline_changes_only_what_lies_between():
    field, line, bone = half_disc()
    from_the_left = needle(tip=(200.0, 160.0), axis=(0.0, -1.0), length_px=120.0)
    base = assessment(from_the_left, cortex(bone=bone, lines=(line,)), field=field)
    moved = line.copy()
    hollow = np.hypot(*(moved - (200.0, 130.0)).T) < 40
    moved[hollow, 1] += 15.0
    found = reassess(base, by_hand(outline=(moved,)), PROFILE)
    lost = base.cortex.bone & ~found.cortex.bone
    assert not (found.cortex.bone & ~base.cortex.bone).any()
    assert lost.any() and np.hypot(*(np.argwhere(lost) - (200.0, 130.0)).T).max() < 40 + 15 + 2
    assert lost[200, 138] and not lost[200, 150]
    reversed_line = reassess(base, by_hand(outline=(moved[::-1].copy(),)), PROFILE)
    assert (reversed_line.cortex.bone == found.cortex.bone).all()


def test_an_open_line_that_encloses_nothing_is_refused_with_what_to_do():
    loose = by_hand(outline=(np.array([[100.0, 100.0], [200.0, 200.0], [150.0, 300.0]]),))
    for base in (assessment(), without_cortex()):
        found = reassess(base, loose, PROFILE)
        assert found.verdict.code is Code.NOT_ASSESSABLE
        assert found.verdict.reasons[0].code == "open_outline"
        assert found.placement is None


def without_cortex():
    return replace(assessment(), cortex=None, placement=None)


def test_bone_drawn_from_nothing_ends_at_the_edge_of_the_field():
    field = np.zeros(SHAPE, bool)
    field[:, :300] = True
    base = replace(assessment(needle(tip=(200.0, 160.0), axis=(0.0, -1.0)), field=field), cortex=None, placement=None)
    found = reassess(base, by_hand(outline=(circle(),), tip=(200.0, 160.0)), PROFILE)
    assert (found.cortex.bone != (disc_mask() & field)).sum() < 300
    assert max(line[:, 1].max() for line in found.cortex.lines) < 298
    assert found.placement.tip_to_cortex.value == pytest.approx(30 * MM, abs=0.05)


def test_a_line_within_a_line_is_a_hole():
    found = reassess(assessment(), by_hand(outline=(circle(), circle(radius=40.0))), PROFILE)
    assert not found.cortex.bone[200, 250]
    assert found.cortex.bone[200, 320]


NO_NEEDLE = NotAssessable("no_needle", "No needle was found.")


def test_a_needle_needs_both_its_ends():
    base = without_needle(NO_NEEDLE)
    for half in ({"tip": (200.0, 330.0)}, {"far_end": (200.0, 430.0)}, {"tip": (200.0, 330.0), "far_end": (200.0, 331.0)}):
        found = reassess(base, by_hand(**half), PROFILE)
        assert (found.verdict.code, found.verdict.reasons[0].code) == (Code.NOT_ASSESSABLE, "needle_half_marked")
    found = reassess(base, by_hand(tip=(200.0, 330.0), far_end=(200.0, 430.0)), PROFILE)
    assert found.verdict.code is Code.PROJECTED_INSIDE
    assert found.placement.tip_to_cortex.value == pytest.approx(40 * MM, abs=0.02)


def test_a_tip_outside_the_picture_is_refused():
    found = reassess(assessment(), by_hand(tip=(200.0, 900.0)), PROFILE)
    assert found.verdict.reasons[0].code == "tip_outside_picture"


def test_still_no_needle_keeps_the_programs_words():
    base = without_needle(NO_NEEDLE)
    found = reassess(base, by_hand(view=ViewKind.AP, outline_confirmed=True), PROFILE)
    assert found.verdict == base.verdict
    assert found.cortex.confidence == PROFILE.review.hand_confidence


def test_a_known_length_sets_the_scale_and_names_the_contradiction():
    base = assessment()
    agrees = reassess(base, by_hand(scale=KnownLength(start=(10.0, 10.0), end=(10.0, 210.0), length_mm=40.0)), PROFILE)
    assert agrees.calibration.spacing.source is SpacingSource.OPERATOR
    assert agrees.calibration.spacing.mm_per_px == pytest.approx(0.2)
    assert agrees.calibration.conflicts == ()
    differs = reassess(base, by_hand(scale=KnownLength(start=(10.0, 10.0), end=(10.0, 210.0), length_mm=60.0)), PROFILE)
    assert differs.placement.tip_to_cortex.value == pytest.approx(40 * 0.3, abs=0.05)
    assert Flag.SCALE_CONFLICT in differs.verdict.flags


def test_two_clicks_near_one_another_make_a_vague_scale():
    base = assessment(base=frame(Calibration()))
    u = [
        reassess(base, by_hand(scale=KnownLength(start=(10.0, 10.0), end=(10.0, 10.0 + n), length_mm=0.2 * n)), PROFILE)
        .calibration.spacing.relative_u
        for n in (20, 400)
    ]
    assert u[0] > 2 * u[1] >= 2 * PROFILE.review.hand_scale_u
    assert u[0] == pytest.approx(np.hypot(2 * np.sqrt(2) / 20 * PROFILE.review.hand_point_sd_px, PROFILE.review.hand_scale_u))


def test_an_absurd_known_length_is_refused():
    found = reassess(assessment(), by_hand(scale=KnownLength(start=(10.0, 10.0), end=(10.0, 20.0), length_mm=500.0)), PROFILE)
    assert found.verdict.reasons[0].code == "absurd_scale"


def test_a_gauge_gives_the_scale_of_the_needle():
    base = assessment(base=frame(Calibration()))
    found = reassess(base, by_hand(outer_diameter_mm=3.0), PROFILE)
    assert found.calibration.spacing.source is SpacingSource.INSTRUMENT
    assert found.calibration.spacing.mm_per_px == pytest.approx(3.0 / 15.0)
    assert found.placement.tip_to_cortex.unit is Unit.MM


def test_a_width_that_nobody_fitted_is_no_ruler():
    base = without_needle(NO_NEEDLE)  # and the picture is even: no bar lies under the line
    found = reassess(base, by_hand(tip=(200.0, 330.0), far_end=(200.0, 430.0), outer_diameter_mm=3.0), PROFILE)
    assert found.calibration.spacing.source is SpacingSource.MAGNIFICATION


def test_view_and_side_are_the_operators():
    found = reassess(assessment(), by_hand(view=ViewKind.END_ON, side="L"), PROFILE)
    assert (found.frame.view.kind, found.frame.view.origin, found.frame.side) == (ViewKind.END_ON, ViewOrigin.OPERATOR, "L")
    assert Flag.END_ON in found.verdict.flags
    assert found.placement.tip_to_cortex == assessment().placement.tip_to_cortex


def test_a_needle_seen_end_on_has_no_depth():
    base = assessment()
    assert base.placement.insertion_depth is not None
    found = reassess(base, by_hand(end_on=True), PROFILE)
    assert found.placement.insertion_depth is None
    moved = reassess(base, by_hand(end_on=True, tip=(210.0, 340.0)), PROFILE).needle
    assert moved.axis == pytest.approx(base.needle.axis)


def test_quick_and_full_say_the_same_number():
    base, wanted = assessment(), by_hand(tip=(210.0, 335.0))
    full, quick = (reassess(base, wanted, PROFILE, quick=q).placement for q in (False, True))
    for name in ("tip_to_cortex", "insertion_depth", "far_cortex_reserve", "in_plane_width"):
        one, other = getattr(full, name), getattr(quick, name)
        assert one.value == other.value
        assert other.expanded_uncertainty == pytest.approx(one.expanded_uncertainty, rel=0.25)


def test_another_profile_judges_anew_and_stands_in_the_result():
    form = profile_form(None).changed("verdict", "abstain_above_u_mm", 0.1)
    strict = parse_profile(profile_toml(replace(form, name="strict")))
    found = reassess(assessment(), Corrections(), strict)
    assert found.verdict.reasons[0].code == "too_uncertain"
    assert (found.provenance.profile, found.provenance.profile_sha256) == ("strict@1", strict.sha256)


def test_who_set_a_part_stands_in_the_record():
    record = frame_record(reassess(assessment(), by_hand(tip=(200.0, 320.0), outline=(circle(radius=110.0),)), PROFILE))
    assert record["needle"]["located_by"] == record["bone"]["located_by"] == f"reader {WHO}"
    record_line(record)  # refuses NaN


def test_reassess_is_pure():
    base = assessment()
    before = base.cortex.bone.copy(), base.cortex.lines[0].copy()
    wanted = by_hand(outline=(circle(radius=100.0),), tip=(200.0, 300.0))
    first, second = reassess(base, wanted, PROFILE), reassess(base, wanted, PROFILE)
    assert first.verdict == second.verdict and first.placement == second.placement
    assert (base.cortex.bone == before[0]).all() and (base.cortex.lines[0] == before[1]).all()


def test_what_was_read_around_the_tip_goes_when_a_person_moves_it_and_stays_when_thresholds_change():
    base = replace(assessment(), tip_code=(0.5, -1.0))
    row, column = base.needle.tip
    assert reassess(base, by_hand(tip=(row + 4.0, column)), PROFILE).tip_code == ()
    other = reassess(base, Corrections(), replace(PROFILE, sha256="another"))
    assert other is not base
    assert other.tip_code == base.tip_code
