"""Contrast that leaves the field: its area is what the picture shows, and nothing reassuring is said of the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_frames import disc, make_run
from test_runs_contrast import TIP, follow, grown
from test_runs_shadow import LIMITS, SCALE, SIDE, around, result, subtraction

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Frame
from marrowpoint.runs.grid import field_rim
from marrowpoint.runs.judge_spread import judge_spread
from marrowpoint.runs.onset import find_onset
from marrowpoint.runs.scan import scan_run
from marrowpoint.runs.spread import follow_spread
from marrowpoint.verdict import Code, Flag


def cut_off(first_column: int, *, black_shaft: bool = False) -> bool:
    """Whether a pool of 9 px around (80, 76) is said to reach the edge of a field that begins at a column."""
    place = around(2.5)
    assert place.shadow is not None
    given = subtraction([disc(80.0, 76.0, 9.0, 0.12, SIDE)] * 4, place.shadow.mask)
    inside = np.zeros((SIDE, SIDE), bool)
    inside[4:-4, first_column:-4] = True
    if black_shaft:
        inside &= ~place.corridor
    series = follow_spread(replace(given, inside=inside), place, SCALE)
    assert series.spreads[series.peak].area > 0
    return series.spreads[series.peak].cut_off


def test_a_pool_at_the_collimator_is_cut_off_and_one_in_the_field_is_not() -> None:
    assert cut_off(74)
    assert not cut_off(20)


def test_a_needle_so_black_that_nothing_is_seen_behind_it_is_no_edge_of_the_field() -> None:
    """The shaft runs out of the field: the hole that it makes is open to the outside."""
    assert not cut_off(20, black_shaft=True)


def test_the_rim_lies_along_the_outer_border_only() -> None:
    inside = np.zeros((40, 40), bool)
    inside[5:35, 5:35] = True
    inside[18:22, 18:22] = False
    rim = field_rim(inside, np.zeros_like(inside), 2.0)
    rows, columns = np.nonzero(rim)
    assert rim.any() and not rim[10:30, 10:30].any()
    assert rows.min() == 5 and columns.max() == 34


def test_contrast_that_leaves_the_field_is_not_called_local() -> None:
    plain = result(0)
    assert judge_spread(plain, LIMITS).code is Code.LOCAL_POOL
    verdict = judge_spread(replace(plain, spreads=(replace(plain.spreads[0], cut_off=True),)), LIMITS)
    assert verdict.code is Code.NOT_ASSESSABLE
    assert verdict.reasons[0].code == "contrast_leaves_field"
    assert Flag.LEAVES_FIELD in verdict.flags
    assert any("beyond its edge" in reason.text for reason in verdict.reasons if reason.code == "area")


def near_white(frame: Frame, over: float) -> Frame:
    """A frame that is too bright: what attenuates least is shown compressed, and no darker than white."""
    pixels = np.where(frame.pixels > 0, 0.03 * np.logaddexp(0, (frame.pixels - over) / 0.03) + 0.02, 0)
    return replace(frame, pixels=pixels.astype(np.float32))


@pytest.mark.parametrize("start", [12, 15])
def test_first_frames_that_are_too_bright_are_not_taken_for_an_early_onset(start: int) -> None:
    frames = make_run(26, lambda i: grown(i, start, 11.0, 132.0, 126.0), shift=lambda i: (0.3 * i, 0.1 * i))
    bright = [near_white(frame, 0.48 * 0.5**i) if i < 5 else frame for i, frame in enumerate(frames)]
    onset = find_onset(scan_run(bright))
    assert onset.frame is not None and abs(onset.frame - start) <= 1
    assert min(onset.mask_frames) >= onset.settled > 0


def test_contrast_from_the_first_frames_is_still_told_where_they_are_too_bright() -> None:
    frames = make_run(26, lambda i: grown(i, 1, 22.0, 132.0, 126.0))
    bright = [near_white(frame, 0.48 * 0.5**i) if i < 5 else frame for i, frame in enumerate(frames)]
    with pytest.raises(NotAssessable) as refused:
        find_onset(scan_run(bright))
    assert refused.value.code == "no_mask"


def test_contrast_that_came_with_bright_frames_and_stays_is_not_taken_for_none() -> None:
    frames = make_run(26, lambda i: disc(132.0, 126.0, 12.0, 0.2) if i >= 2 else None)
    bright = [near_white(frame, 0.48 * 0.5**i) if i < 5 else frame for i, frame in enumerate(frames)]
    growing = make_run(26, lambda i: disc(132.0, 126.0, 12.0, 0.06 + 0.035 * min(i, 4)))
    for given in (frames, bright, growing):
        with pytest.raises(NotAssessable) as refused:
            find_onset(scan_run(given))
        assert refused.value.code == "no_mask"


def test_a_pool_in_the_field_stays_local_all_the_way() -> None:
    _, verdict = follow(make_run(24, lambda i: grown(i, 12, 11.0, TIP[0] + 4, TIP[1] + 6)))
    assert verdict.code is Code.LOCAL_POOL and Flag.LEAVES_FIELD not in verdict.flags
