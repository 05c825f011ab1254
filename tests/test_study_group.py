"""Frames told apart into needle positions, and the reason of every split."""

from __future__ import annotations

import numpy as np
import pytest
from build_study import NEEDLE, PROFILE, frame

from marrowpoint.case import Site
from marrowpoint.study import group_positions

LIMITS = PROFILE.study
TURNED = np.array([-0.5, 0.8, -0.35]) / np.linalg.norm([-0.5, 0.8, -0.35])


def names(positions):
    return [[one.frame.reference.path for one in position.frames] for position in positions]


def codes(position):
    return [reason.code for reason in position.reasons]


def test_three_views_of_one_needle_are_one_position():
    frames = [frame(-50, 0), frame(25, 10), frame(92, -5)]
    (position,) = group_positions(frames, LIMITS)
    assert position.frames == tuple(frames)
    assert position.reasons == ()


def test_studies_are_never_mixed():
    positions = group_positions([frame(-50, 0, study="1"), frame(25, 0, study="2"), frame(92, 0, study="1")], LIMITS)
    assert [(position.study_instance_uid, len(position.frames)) for position in positions] == [("1", 2), ("2", 1)]


@pytest.mark.parametrize(
    ("second", "code"),
    [
        pytest.param({"acquired": "2026-01-01T10:30"}, "pause", id="a quarter of an hour later"),
        pytest.param({"side": "R"}, "other_side", id="the other side"),
        pytest.param({"needle": TURNED}, "redirected", id="same view, needle turned"),
        pytest.param({"depth_mm": 25.0}, "advanced", id="same view, needle deeper"),
    ],
)
def test_a_split_and_its_reason(second, code):
    first = frame(-50, 0, acquired="2026-01-01T10:15", side="L", path="a")
    changed = {"acquired": "2026-01-01T10:16", "side": "L", "path": "b", **second}
    one, two = group_positions([first, frame(-50, 0, **changed)], LIMITS)
    assert names([one, two]) == [["a"], ["b"]]
    assert codes(two) == [code]
    assert "b#1" in two.reasons[0].text


def test_the_same_view_again_does_not_split():
    frames = [frame(-50, 0, path="a", acquired="2026-01-01T10:15"), frame(-48, 2, path="b", acquired="2026-01-01T10:20")]
    assert len(group_positions(frames, LIMITS)) == 1


def test_a_view_that_no_one_direction_explains_splits():
    frames = [frame(-50, 0), frame(25, 10), frame(92, -5), frame(-5, 0, needle=np.array([0.2, 0.8, -0.55]))]
    assert [len(position.frames) for position in group_positions(frames, LIMITS)] == [3, 1]
    assert codes(group_positions(frames, LIMITS)[1]) == ["direction"]


def test_order_of_the_files_does_not_matter_where_times_are_known():
    frames = [frame(p, 0, path=str(p), acquired=f"2026-01-01T10:{15 + k}") for k, p in enumerate((-50, 0, 92))]
    assert names(group_positions(frames[::-1], LIMITS)) == names(group_positions(frames, LIMITS)) == [["-50", "0", "92"]]


def test_the_operator_who_lists_one_site_wins():
    frames = [frame(-50, 0, path="a"), frame(-50, 0, path="b", needle=TURNED)]
    (position,) = group_positions(frames, LIMITS, [Site(study_instance_uid="1.2.3", site="left crest")])
    assert position.site == "left crest"
    assert codes(position) == ["operator"]


def test_entry_times_share_the_frames_out():
    frames = [frame(-50, 0, path=clock, acquired=f"2026-01-01T{clock}") for clock in ("10:01", "10:04", "10:06")]
    sites = [Site(study_instance_uid="1.2.3", site=name, entry_time=clock) for name, clock in (("A", "10:00"), ("B", "10:05"))]
    positions = group_positions(frames, LIMITS, sites)
    assert [position.site for position in positions] == ["A", "B"]
    assert names(positions) == [["10:01", "10:04"], ["10:06"]]


def test_several_sites_without_times_leave_it_to_the_pictures_and_say_so():
    sites = [Site(study_instance_uid="1.2.3", site=name) for name in ("A", "B")]
    (position,) = group_positions([frame(-50, 0), frame(25, 10, needle=NEEDLE)], LIMITS, sites)
    assert codes(position) == ["sites_without_times"]


def test_no_frames_no_positions():
    assert group_positions([], LIMITS) == ()
