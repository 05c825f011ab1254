"""What the needle hides, when contrast begins, and motion that cannot be told: on drawn runs with a known answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from run_frames import disc, line

from marrowpoint.profile import RunLimits
from marrowpoint.read import read_profile
from marrowpoint.runs.begin import begin
from marrowpoint.runs.grid import GridScale
from marrowpoint.runs.judge_spread import judge_spread
from marrowpoint.runs.run import ContrastResult, Motion, Run
from marrowpoint.runs.shadow import cast_shadow
from marrowpoint.runs.spread import CORE_SHARE, Spread, Surroundings, follow_spread
from marrowpoint.runs.subtract import Subtraction
from marrowpoint.runs.vessel import find_branches
from marrowpoint.verdict import Code, Flag

PATH = [(80.0, 70.0), (70.0, 54.0), (54.0, 44.0), (36.0, 38.0), (18.0, 36.0)]
LIMITS: RunLimits = read_profile(None).run
SIDE, MASKS, NOISE = 160, 8, 0.003
TIP, AXIS = (80.0, 80.0), (0.0, 1.0)
SCALE = GridScale(size=0.6, unit="mm", filter_mm=0.6)


def subtraction(added: list[np.ndarray], hidden: np.ndarray | None, seed: int = 0) -> Subtraction:
    """Differences with noise; what is hidden shows nothing of what was added."""
    rng = np.random.default_rng(seed)
    empty = [np.zeros((SIDE, SIDE), np.float32)] * MASKS
    seen = 1.0 if hidden is None else np.where(hidden, 0.0, 1.0)
    stack = np.stack([x * seen + rng.normal(0, NOISE, x.shape) for x in [*empty, *added]]).astype(np.float32)
    return Subtraction(
        frames=tuple(range(len(stack))),
        stack=stack,
        noise=np.full((SIDE, SIDE), NOISE, np.float32),
        mask=np.full((SIDE, SIDE), 0.5, np.float32),
        picture=np.full((SIDE, SIDE), 0.5, np.float32),
        inside=np.ones((SIDE, SIDE), bool),
        factor=1.0,
        residuals_px={},
        refused=(),
        shifts_px={0: (0.0, 0.0)},
        mask_frames=tuple(range(MASKS)),
    )


def around(radius_px: float) -> Surroundings:
    shadow = cast_shadow((SIDE, SIDE), TIP, AXIS, radius_px=radius_px, edge_px=0.8, length_px=70.0)
    return Surroundings(tip=TIP, corridor=shadow.mask, shadow=shadow)


def peak(added: np.ndarray, radius_px: float = 3.0) -> Spread:
    place = around(radius_px)
    assert place.shadow is not None
    series = follow_spread(subtraction([added] * 4, place.shadow.mask), place, SCALE)
    return series.spreads[series.peak]


def true_area(added: np.ndarray) -> float:
    return float((added >= CORE_SHARE * added.max()).sum()) * SCALE.size**2


@pytest.mark.parametrize(
    "middle",
    [(80.0, 78.0), (80.0, 86.0), (86.0, 86.0), (72.0, 84.0)],
    ids=["ahead of the tip", "across the shaft", "below it", "its edge behind it"],
)
def test_a_pool_behind_the_needle_has_its_area(middle: tuple[float, float]) -> None:
    pool = disc(*middle, 11.0, 0.12, SIDE)
    found = peak(pool)
    assert found.area == pytest.approx(true_area(pool), rel=0.1)
    assert found.area_lower <= true_area(pool) <= found.area_upper


def test_a_sleeve_covers_the_shaft_up_to_its_end() -> None:
    leak = np.maximum(disc(80.0, 78.0, 7.0, 0.12, SIDE), line([(80.0, 80.0), (80.0, 112.0)], 13, 0.1, SIDE))
    found = peak(leak)
    assert found.area == pytest.approx(true_area(leak), rel=0.12)
    assert found.area_lower <= true_area(leak) <= found.area_upper


def test_more_is_in_doubt_where_more_is_hidden() -> None:
    pool = disc(80.0, 84.0, 11.0, 0.12, SIDE)
    thin, thick = peak(pool, radius_px=1.5), peak(pool, radius_px=5.0)
    beside = peak(disc(80.0, 66.0, 11.0, 0.12, SIDE))
    assert thick.area_upper - thick.area_lower > thin.area_upper - thin.area_lower
    assert beside.area_lower > 0.75 * beside.area and beside.area_upper < 1.25 * beside.area


def test_the_direction_is_not_drawn_away_from_the_shaft() -> None:
    """A pool whose one half is hidden: its middle stays on the shaft's axis."""
    pool = disc(80.0, 92.0, 9.0, 0.12, SIDE)
    found = peak(pool, radius_px=4.0)
    assert found.centroid is not None
    assert found.centroid == pytest.approx((80.0, 92.0), abs=0.7)


def test_contrast_begins_before_single_pixels_show_it() -> None:
    pool = disc(80.0, 70.0, 8.0, 1.0, SIDE)
    # noise SDs of one pixel: 0.3, 1, 4, 10, 20
    added = [np.zeros((SIDE, SIDE), np.float32)] * 3 + [pool * share for share in (0.005, 0.01, 0.02, 0.04, 0.08, 0.08)]
    given = subtraction(added, None)
    series = follow_spread(given, replace(around(3.0), shadow=None), SCALE)
    start = begin(given, series)
    assert start is not None and abs(start - (MASKS + 3)) <= 1


def test_no_contrast_does_not_begin() -> None:
    given = subtraction([np.zeros((SIDE, SIDE), np.float32)] * 6, None)
    assert begin(given, follow_spread(given, around(3.0), SCALE)) is None


def test_a_thick_fork_does_not_cut_a_vein_in_two() -> None:
    place = around(3.0)
    assert place.shadow is not None
    vein = np.maximum(disc(80.0, 74.0, 8.0, 0.12, SIDE), line(PATH, 3, 0.06, SIDE))
    vein = np.maximum(vein, disc(54.0, 44.0, 4.5, 0.07, SIDE))
    given = subtraction([vein.astype(np.float32)] * 5, place.shadow.mask)
    branches, _ = find_branches(given, follow_spread(given, place, SCALE), place, SCALE)
    way = sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in pairwise(PATH)) * SCALE.size
    # the first millimetres lie in the pool and its fringe
    assert branches and branches[0].length > 0.6 * way


def result(untold: int, branches: tuple[Run, ...] = ()) -> ContrastResult:
    spread = Spread(frame=9, area=60.0, area_lower=50.0, area_upper=70.0, seen_area=70.0, density=3.0, front=6.0)
    motion = Motion(largest_shift=0.5, unit="mm", untold=untold, looked_at=10)
    return ContrastResult(
        onset=5, mask_frames=(0, 1, 2), settled=0, tip=(50.0, 50.0), tip_is_needle=True, spreads=(spread,),
        branches=branches, peak=9, unit="mm", words="up in the picture", motion=motion,
    )  # fmt: skip


VEIN = Run(length=40.0, width=2.0, end=(10.0, 10.0), washout=0.3, outruns=True, strength=9.0)


def test_motion_that_cannot_be_told_reassures_nobody() -> None:
    assert judge_spread(result(0), LIMITS).code is Code.LOCAL_POOL
    few = judge_spread(result(3), LIMITS)
    assert few.code is Code.LOCAL_POOL and "motion_untold" in [reason.code for reason in few.reasons]
    most = judge_spread(result(8), LIMITS)
    assert most.code is Code.NOT_ASSESSABLE and most.reasons[0].code == "motion_untold"


def test_an_alarm_stays_where_motion_cannot_be_told() -> None:
    verdict = judge_spread(result(10, (VEIN,)), LIMITS)
    assert verdict.code is Code.VASCULAR_PATTERN_SEEN
    assert "motion_untold" in [reason.code for reason in verdict.reasons]


def test_a_thin_line_that_leaves_the_field_is_a_vein_from_half_its_length_on() -> None:
    """What is seen of it is the least that it is long."""
    leaving = replace(VEIN, length=9.0, cut_off=True)
    verdict = judge_spread(result(0, (leaving,)), LIMITS)
    assert verdict.code is Code.VASCULAR_PATTERN_SEEN
    assert "at least 9 mm long" in verdict.reasons[0].text and "edge of the field" in verdict.reasons[0].text
    assert judge_spread(result(0, (replace(leaving, cut_off=False),)), LIMITS).code is Code.LOCAL_POOL


@pytest.mark.parametrize("seen", [True, False])
def test_what_leaves_the_field_reassures_nobody(seen: bool) -> None:
    """A line too short for a vein, with a pool and without one."""
    given = result(0, (replace(VEIN, length=6.0, cut_off=True),))
    given = given if seen else replace(given, spreads=(), onset=None, peak=None)
    verdict = judge_spread(given, LIMITS)
    assert verdict.code is Code.NOT_ASSESSABLE and Flag.LEAVES_FIELD in verdict.flags
    assert verdict.reasons[0].code == "contrast_leaves_field"


@pytest.mark.parametrize(("row", "linked"), [(86.0, True), (100.0, False)])
def test_contrast_that_comes_out_beside_the_shaft_hangs_together_with_the_tip(row: float, linked: bool) -> None:
    """24 mm back: beside the shaft it may have come behind it, 10 mm from it not."""
    place = around(3.0)
    assert place.shadow is not None
    pool = np.maximum(disc(80.0, 78.0, 9.0, 0.12, SIDE), disc(row, 122.0, 4.0, 0.08, SIDE))
    series = follow_spread(subtraction([pool] * 4, place.shadow.mask), place, SCALE)
    far = series.spreads[series.peak].front
    assert (far > 20) is linked
    assert series.apart[round(row) + 1, 122] != linked
    nothing_at_the_tip = follow_spread(subtraction([disc(row, 122.0, 4.0, 0.08, SIDE)] * 4, place.shadow.mask), place, SCALE)
    assert not nothing_at_the_tip.seen.any()


def test_the_area_is_said_with_its_interval() -> None:
    texts = [reason.text for reason in judge_spread(result(0), LIMITS).reasons if reason.code == "area"]
    assert len(texts) == 1 and "60" in texts[0] and "50 to 70" in texts[0]
