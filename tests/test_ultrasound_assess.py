"""Whole ultrasound frames: what is found, what is said, and what must not be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ultrasound_frames import PROFILE, assessed, bone_errors_mm, frame_of, region_of, scanned, tip_error_mm

from marrowpoint.assess import assess_frame
from marrowpoint.frame import SpacingSource
from marrowpoint.measurement import Bound, Unit
from marrowpoint.phantom.ultrasound import UltrasoundScene
from marrowpoint.verdict import Code, Flag

ABOVE = UltrasoundScene(tip=(34.0, 6.0))
VARIANTS = {
    "plain": ABOVE,
    "steep": UltrasoundScene(tip=(36.0, 1.0), lean_deg=12.0),
    "from_left": UltrasoundScene(tip=(36.0, -5.0), lean_deg=-35.0),
    "gaps": replace(ABOVE, gaps=((8.0, 13.0), (22.0, 26.0))),
    "low_gain": replace(ABOVE, gain_db=-10.0),
    "saturated_gain": replace(ABOVE, gain_db=12.0),
    "no_contact": replace(ABOVE, fascia_shadow_deg=(-30.0, -14.0)),
    "doppler": replace(ABOVE, doppler=(15.0, -30.0, 38.0, -8.0)),
    "shaft_with_shadow": replace(ABOVE, needle_shadow=0.05),
    "linear": UltrasoundScene(
        radius_mm=0, depth_mm=50, mm_per_px=(0.14, 0.14), peak=(32.0, 0.0), tip=(24.0, 3.0), lean_deg=35.0
    ),
    "oblong_pixels": replace(ABOVE, mm_per_px=(0.2, 0.26)),
    "flipped": replace(ABOVE, flip=True),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_tip_and_gap_lie_inside_what_is_stated(name: str) -> None:
    scene = VARIANTS[name]
    a, truth = assessed(scene), scanned(scene)
    assert a.verdict.code is Code.ABOVE_CORTEX
    assert a.needle is not None
    assert a.placement is not None
    d = a.placement.tip_to_cortex
    assert d is not None
    assert d.unit is Unit.MM
    assert truth.tip_to_cortex_mm is not None
    assert d.lower <= truth.tip_to_cortex_mm <= d.upper
    assert tip_error_mm(scene, a) < 1.0
    mean, complete = bone_errors_mm(scene, a)
    assert mean < 0.5
    assert complete > 0.75


def test_a_tip_at_the_bone_is_at_or_beyond_it_and_never_deeper() -> None:
    a = assessed(UltrasoundScene(tip=(42.2, 2.0)))
    assert a.verdict.code is Code.AT_OR_BEYOND_CORTEX
    assert "depth unknown" in a.verdict.text
    assert a.placement is not None
    assert a.placement.tip_to_cortex is not None
    assert a.placement.tip_to_cortex.bound is Bound.LOWER
    assert a.placement.insertion_depth is None
    assert a.placement.bone_thickness is None


def test_layers_without_a_shadow_are_no_bone() -> None:
    a = assessed(UltrasoundScene(peak=None, fascia_mm=(12.0, 28.0, 40.0), tip=(30.0, 5.0)))
    assert a.cortex is None
    assert a.verdict.code is Code.NOT_ASSESSABLE
    assert "no_bone" in [reason.code for reason in a.verdict.reasons]


def test_a_shadow_of_the_probe_is_no_bone() -> None:
    a = assessed(UltrasoundScene(peak=None, fascia_shadow_deg=(-15.0, 10.0)))
    assert a.cortex is None


@pytest.mark.parametrize("scene", [UltrasoundScene(), UltrasoundScene(seed=2, gain_db=8.0), UltrasoundScene(seed=3, peak=None)])
def test_a_picture_without_a_needle_stays_without(scene: UltrasoundScene) -> None:
    a = assessed(scene)
    assert a.needle is None
    assert a.verdict.code is Code.NOT_ASSESSABLE
    assert a.verdict.reasons


def test_a_short_bright_piece_is_no_tip() -> None:
    a = assessed(replace(ABOVE, shown_mm=6.0))
    assert a.needle is None
    assert a.verdict.code is Code.NOT_ASSESSABLE


def test_no_scale_gives_pixels_and_says_so() -> None:
    a = assessed(replace(ABOVE, ruler=False), region=False)
    assert a.calibration.spacing is None
    assert Flag.SCALE_UNKNOWN in a.verdict.flags
    assert a.placement is not None
    assert a.placement.tip_to_cortex is not None
    assert a.placement.tip_to_cortex.unit is Unit.PX


def test_the_ruler_steps_in_and_says_how_sure_it_is() -> None:
    a = assessed(ABOVE, region=False)
    assert a.calibration.spacing is not None
    assert a.calibration.spacing.source is SpacingSource.INSTRUMENT
    assert a.calibration.spacing.relative_u >= PROFILE.ultrasound.ruler_u
    assert a.calibration.spacing.row_mm == pytest.approx(ABOVE.mm_per_px[0], rel=0.01)


def test_a_region_that_contradicts_the_ruler_is_a_conflict() -> None:
    picture = scanned(ABOVE)
    wrong = region_of(ABOVE, picture, row_delta=0.026, column_delta=0.026)
    a = assess_frame(replace(frame_of(ABOVE, picture), regions=(wrong,)), profile=PROFILE)
    assert Flag.SCALE_CONFLICT in a.verdict.flags


def test_the_mirrored_picture_gives_the_mirrored_result() -> None:
    a, b = assessed(ABOVE), assessed(replace(ABOVE, flip=True))
    assert a.needle is not None
    assert b.needle is not None
    columns = scanned(ABOVE).pixels.shape[1]
    assert b.needle.tip[0] == pytest.approx(a.needle.tip[0], abs=1.5)
    assert columns - 1 - b.needle.tip[1] == pytest.approx(a.needle.tip[1], abs=1.5)
    assert a.verdict.code is b.verdict.code


def test_a_picture_on_its_head_is_refused_by_name() -> None:
    frame = frame_of(ABOVE, scanned(ABOVE), region=False)
    a = assess_frame(replace(frame, pixels=np.ascontiguousarray(frame.pixels[::-1])), profile=PROFILE)
    assert a.verdict.code is Code.NOT_ASSESSABLE
    assert a.verdict.reasons[0].code == "upside_down"


def test_a_person_s_tip_is_taken_as_it_is() -> None:
    frame = frame_of(ABOVE, scanned(ABOVE))
    found = assessed(ABOVE)
    assert found.needle is not None
    moved = replace(found.needle, tip=(found.needle.tip[0] - 10.0, found.needle.tip[1]), located_by="reader 1")
    a = assess_frame(frame, profile=PROFILE, needle=moved)
    assert a.needle is moved
    assert a.placement is not None
    assert found.placement is not None
    assert a.placement.tip_to_cortex is not None
    assert found.placement.tip_to_cortex is not None
    assert a.placement.tip_to_cortex.value < found.placement.tip_to_cortex.value


def test_an_empty_screen_is_refused() -> None:
    frame = frame_of(ABOVE, scanned(ABOVE), region=False)
    a = assess_frame(replace(frame, pixels=np.zeros_like(frame.pixels)), profile=PROFILE)
    assert a.verdict.code is Code.NOT_ASSESSABLE
    assert a.verdict.reasons[0].code == "no_ultrasound_picture"
