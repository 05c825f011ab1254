"""One picture dressed up as two views, and a sheet that only names the needle: neither may make good news."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from build_study import PROFILE, frame

from marrowpoint.assessment import Assessment
from marrowpoint.case import Site
from marrowpoint.frame import View, ViewKind, ViewOrigin
from marrowpoint.study import judge_study
from marrowpoint.study.fuse import judge_studies
from marrowpoint.study.group import group_positions
from marrowpoint.study.same import is_same_picture
from marrowpoint.verdict import Code

OTHER_VIEW = View(kind=ViewKind.TANGENTIAL, origin=ViewOrigin.DICOM, primary_deg=-40.0, secondary_deg=10.0)
WITHIN = PROFILE.study.same_view_within_deg


def iliac(**more: object) -> Assessment:
    return frame(45.0, -8.0, kind=ViewKind.ILIAC_OBLIQUE, tip_mm=(14.0, -9.0, 6.0), sha="a", **more)


def tangential() -> Assessment:
    return frame(-40.0, 10.0, kind=ViewKind.TANGENTIAL, tip_mm=(14.0, -9.0, 6.0), sha="b")


def saved_anew(seen: Assessment, *, larger: float = 1.0, flip: tuple[int, int] = (1, 1), shake_px: float = 0.0) -> Assessment:
    """The same picture under the angles of another view, with other pixels."""
    reference, needle = seen.frame.reference, seen.needle
    assert needle is not None
    rows, columns = round(reference.rows * larger), round(reference.columns * larger)
    middle = np.array([reference.rows - 1, reference.columns - 1]) / 2
    tip = (np.asarray(needle.tip) - middle) * flip * larger + [(rows - 1) / 2, (columns - 1) / 2] + shake_px
    moved = replace(
        needle, tip=(float(tip[0]), float(tip[1])), axis=(needle.axis[0] * flip[0], needle.axis[1] * flip[1]),
        width_px=needle.width_px * larger, length_px=needle.length_px * larger,
    )  # fmt: skip
    other = replace(reference, rows=rows, columns=columns, pixel_sha256="other", path="copy.dcm")
    return replace(seen, frame=replace(seen.frame, reference=other, view=OTHER_VIEW), needle=moved)


@pytest.mark.parametrize("flip", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("larger", [1.0, 0.5, 2.0])
def test_a_picture_saved_anew_is_no_second_view(larger: float, flip: tuple[int, int]) -> None:
    seen = iliac()
    copy = saved_anew(seen, larger=larger, flip=flip, shake_px=4.0 * larger)
    assert is_same_picture(seen, copy, WITHIN)
    study = judge_study([seen, copy], PROFILE)
    assert study.verdict.code is Code.INDETERMINATE
    assert {"one_view", "same_picture"} <= {reason.code for reason in study.verdict.reasons}


def test_two_true_views_are_no_copies() -> None:
    assert not is_same_picture(iliac(), tangential(), WITHIN)
    study = judge_study([iliac(), tangential()], PROFILE)
    assert "same_picture" not in {reason.code for reason in study.verdict.reasons}
    assert study.verdict.code is Code.RIGHT_SPOT


def test_a_second_shot_of_the_same_view_may_look_alike() -> None:
    again = replace(iliac(), frame=replace(iliac().frame, reference=replace(iliac().frame.reference, pixel_sha256="c")))
    assert not is_same_picture(iliac(), again, WITHIN)


def test_a_right_spot_on_one_source_of_scale_says_so() -> None:
    reasons = {reason.code for reason in judge_study([iliac(), tangential()], PROFILE).verdict.reasons}
    assert "scale_from_one_source" in reasons


def test_a_row_that_only_names_the_needle_joins_no_positions() -> None:
    """Half an hour lies between the frames: by a named site they belong together, by a nameless row they do not."""
    early = iliac(acquired="2026-01-01T10:00:00")
    late = replace(tangential(), frame=replace(tangential().frame, reference=replace(
        tangential().frame.reference, acquired=datetime(2026, 1, 1, 10, 30))))  # fmt: skip
    uid = early.frame.reference.study_instance_uid
    row = Site(study_instance_uid=uid, needle_od_mm=3.05)
    apart = group_positions([early, late], PROFILE.study, [row])
    assert [len(position.frames) for position in apart] == [1, 1]
    assert apart[1].reasons[0].code == "pause"
    timed = replace(row, entry_time="09:50")
    assert len(group_positions([early, late], PROFILE.study, [timed, replace(timed, volume_ml=5.0)])) == 2
    assert [len(p.frames) for p in group_positions([early, late], PROFILE.study, [replace(row, site="left")])] == [2]
    assert all(study.verdict.code is not Code.RIGHT_SPOT for study in judge_studies([early, late], PROFILE, [row]))
