"""Needle runs: the tip followed through motion and brightness jumps, and what happened when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_frames import bone_like, circle_field, disc, make_frame, shifted, source_of

from marrowpoint.audit.typed_run import run_facts
from marrowpoint.cortex import Cortex
from marrowpoint.frame import Calibration, Frame, PixelSpacing, SpacingSource
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.phantom.runs_needle import FlatNeedle, advance
from marrowpoint.read import read_profile
from marrowpoint.report.run_record import run_record
from marrowpoint.review.runs import needle_curves
from marrowpoint.runs.assess import assess_run
from marrowpoint.runs.events import find_events
from marrowpoint.runs.judge_needle import judge_needle
from marrowpoint.runs.needle import BoneOf, as_told, describe_needle, follow_needle
from marrowpoint.runs.run import NeedlePoint, NeedleResult, RunAssessment, RunTimes
from marrowpoint.runs.scan import Scan, scan_run
from marrowpoint.runs.track import Tracker
from marrowpoint.verdict import Code, Flag

PROFILE = read_profile(None)
MM, SIDE = 0.4, 320
AXIS = (-0.8, 0.6)
EDGE_ROW = 150  # bone lies below
SPACING = PixelSpacing(row_mm=MM, column_mm=MM, source=SpacingSource.MAGNIFICATION, relative_u=0.02)
CALIBRATION = Calibration(spacing=SPACING, rungs=(SPACING,))


def needle_frames(depth_mm: np.ndarray, shift, gain, seed: int = 0) -> tuple[list[Frame], list[tuple[float, float]]]:
    rng = np.random.default_rng(seed)
    needle = FlatNeedle(axis=AXIS, outer_diameter_mm=3.05, cone_mm=3.0, length_mm=120.0, lean_deg=90.0)
    base = 0.7 * bone_like(seed, SIDE)
    frames, tips = [], []
    for index, depth in enumerate(depth_mm):
        tip = EDGE_ROW - depth / MM * AXIS[0], 160 - depth / MM * AXIS[1]
        steel = needle.steel_mm(tip, (SIDE, SIDE), MM)
        picture = shifted(np.clip(base + 0.16 * steel, 0, 0.95).astype(np.float32), *shift(index))
        noisy = np.clip(picture + gain(index) + rng.normal(0, 0.008, picture.shape), 0.02, 0.98)
        frames.append(make_frame(circle_field(noisy.astype(np.float32)), index, len(depth_mm)))
        tips.append((tip[0] + shift(index)[0], tip[1] + shift(index)[1]))
    return frames, tips


def outline() -> Cortex:
    bone = np.zeros((SIDE, SIDE), bool)
    bone[EDGE_ROW:] = True
    line = np.stack([np.full(SIDE, EDGE_ROW - 0.5), np.arange(SIDE, dtype=float)], axis=1)
    return Cortex(bone=bone, lines=(line,), edge_sd_px=0.5, confidence=1.0)


@pytest.fixture(scope="module")
def run() -> tuple[np.ndarray, Scan, NeedleResult, list[tuple[float, float]], list[Frame]]:
    depth = advance(((0.6, 0.0), (1.5, 9.0), (0.5, 0.0), (1.0, -8.0), (0.4, 0.0)), -6.0, 0.1)
    frames, tips = needle_frames(
        depth, lambda i: (0.25 * i, -0.15 * i) if i < 20 else (5.0, -3.0), lambda i: 0.0 if i < 15 else 0.08
    )
    scan = scan_run(frames)
    track = follow_needle(frames, Tracker(scan))
    times = RunTimes(seconds=tuple(0.1 * i for i in range(len(frames))), origin="test", code="")
    result = describe_needle(track, scan, times, CALIBRATION, BoneOf(cortex=outline(), frame=0), PROFILE)
    assert result is not None
    return depth, scan, result, tips, frames


def test_the_way_of_the_tip_carries_the_doubt_of_the_scale(run) -> None:
    """A way measured with a ruler that is 6 % off is 6 % off, however well the tip is seen."""
    _, _, result, _, _ = run
    assert CALIBRATION.spacing is not None
    ways = [p.advance for p in result.points if p.advance is not None]
    farthest = max(ways, key=lambda way: abs(way.value))
    assert farthest.upper - farthest.value >= CALIBRATION.spacing.relative_u * abs(farthest.value) > 0.05


def test_the_tip_is_followed(run) -> None:
    _, _, result, tips, _ = run
    errors = [
        np.hypot(p.tip[0] - t[0], p.tip[1] - t[1]) * MM for p, t in zip(result.points, tips, strict=True) if p.tip is not None
    ]
    assert len(errors) >= 0.95 * len(tips)
    assert np.median(errors) < 1.0 and max(errors) < 3.0
    assert result.steady and judge_needle(result, PROFILE.run).code is Code.NEEDLE_FOLLOWED


def test_only_the_needle_moves_the_curve(run) -> None:
    depth, _, result, _, _ = run
    way = {p.frame: p.advance.value for p in result.points if p.advance is not None}
    frames = sorted(way)
    truth = depth[frames] - depth[frames[0]]
    # the table has gone 2.3 mm and the brightness has jumped; neither is a way of the needle
    assert np.median(np.abs(np.array([way[f] for f in frames]) - truth)) < 0.8


def test_events_come_within_two_frames(run) -> None:
    depth, _, result, _, _ = run
    found = {event.code: event for event in result.events}
    top = int(np.argmax(depth >= depth.max() - 1e-6))
    # distance to the outline, not depth along the shaft, passes the cortex
    truth = {
        "cortex_reached": int(np.argmax(depth >= 0)),
        "cortex_passed": int(np.argmax(-AXIS[0] * depth >= PROFILE.study.cortex_mm)),
        "deepest": top,
        "withdrawn": next(i for i in range(top, len(depth)) if depth[i] < depth.max() - PROFILE.run.withdrawn_mm),
    }
    for code, frame in truth.items():
        assert abs(found[code].frame - frame) <= 2, code
        assert found[code].time_s == pytest.approx(0.1 * found[code].frame)
    assert "brightness_jump" in found and abs(found["brightness_jump"].frame - 15) <= 1
    assert set(result.key_frames) >= {event.frame for event in result.events}


def test_a_needle_that_leaves_is_lost_and_found_again(run) -> None:
    _, _, _, _, frames = run
    rng = np.random.default_rng(3)
    empty = circle_field(np.clip(0.7 * bone_like(0, SIDE) + rng.normal(0, 0.008, (SIDE, SIDE)), 0, 1).astype(np.float32))
    mixed = [make_frame(empty, i) if 6 <= i < 14 else frame for i, frame in enumerate(frames[:24])]
    track = follow_needle(mixed, Tracker(scan_run(mixed)))
    assert all(needle is not None for needle in track.needles[:6])
    assert sum(needle is None for needle in track.needles[6:14]) >= 6
    assert sum(needle is not None for needle in track.needles[18:]) >= 4


def test_what_was_followed_in_doubt_gives_way_to_a_needle(run) -> None:
    _, scan, _, tips, frames = run
    tracker = Tracker(scan)
    tracker.add(0, frames[0])
    assert tracker.last is not None
    # an edge of bone was taken for it: thinner, elsewhere, across
    edge = replace(tracker.last, tip=(220.0, 90.0), axis=(0.6, 0.8), width_px=4.0, confidence=0.1)
    tracker.last, tracker.needles = edge, [edge]
    for index, frame in enumerate(frames[1:16], start=1):
        tracker.add(index, frame)
    assert tracker.needles[0] is None
    needles = tracker.done().needles
    found = [(needle.tip, tip) for needle, tip in zip(needles, tips, strict=False) if needle is not None]
    assert all(np.hypot(tip[0] - truth[0], tip[1] - truth[1]) * MM < 3 for tip, truth in found)
    assert len(found) >= 9


def test_first_frames_that_showed_something_else_are_gone_through_again(run) -> None:
    """A stub is missed, or an edge taken for it: the needle is followed back from where the run is sure of it."""
    _, scan, _, tips, frames = run
    tracker = Tracker(scan)
    for index, frame in enumerate(frames):
        tracker.add(index, frame)
    first = tracker.needles[0]
    assert first is not None
    edge = replace(first, tip=(220.0, 90.0), axis=(0.6, 0.8))
    tracker.needles[:8] = [edge] * 5 + [None] * 3
    needles = tracker.done().needles[:8]
    errors = [np.hypot(n.tip[0] - t[0], n.tip[1] - t[1]) * MM for n, t in zip(needles, tips, strict=False) if n is not None]
    assert len(errors) == 8 and max(errors) < 3


def test_one_width_far_off_does_not_lose_the_needle(run) -> None:
    _, scan, _, _, frames = run
    tracker = Tracker(scan)
    for index, frame in enumerate(frames[:5]):
        tracker.add(index, frame)
    good = tracker.needles[4]
    assert good is not None
    # as a shaft whose edge lies along an edge of bone in one frame
    wide = replace(good, width_px=2.0 * good.width_px)
    tracker._remember(5, wide)
    tracker.needles.append(wide)
    tracker.add(6, frames[6])
    found = tracker.needles[6]
    assert found is not None and 6 not in tracker.searched
    assert found.width_px < 1.3 * good.width_px


def test_what_is_found_elsewhere_in_few_frames_is_no_needle(run) -> None:
    _, scan, _, _, frames = run
    tracker = Tracker(scan)
    for index, frame in enumerate(frames):
        tracker.add(index, frame)
    there = tracker.needles[30]
    assert there is not None
    tracker.needles[30] = replace(there, tip=(60.0, 240.0), axis=(there.axis[1], -there.axis[0]))
    needles = tracker.done().needles
    assert needles[30] is None and needles[29] is not None and needles[31] is not None


def test_a_run_that_follows_no_one_needle_is_not_followed_back(run) -> None:
    _, scan, _, _, frames = run
    tracker = Tracker(scan)
    for index, frame in enumerate(frames[:20]):
        tracker.add(index, frame)
    kept = [
        n if n is None or i // 5 % 2 else replace(n, axis=(n.axis[1], -n.axis[0]), tip=(60.0, 240.0))
        for i, n in enumerate(tracker.needles)
    ]
    tracker.needles = list(kept)
    assert [n is None for n in tracker.done().needles] == [n is None for n in kept]


@pytest.mark.parametrize(("hidden", "frame", "within"), [("lost", 19 + 9 * 3 / 8, 1), ("copy", 28, 0)])
def test_an_event_while_nothing_new_is_seen(run, hidden: str, frame: float, within: int) -> None:
    """Eight frames hide the way from 9 mm to 1 mm: at even speed 3 mm back are reached after three of the nine steps.

    A needle that is lost is taken to go on evenly; copies show the picture before them, so that the first new one shows it.
    """
    _, scan, _, _, _ = run
    depth = np.concatenate([np.linspace(0, 9, 12), np.full(8, 9.0), np.full(8, np.nan), np.linspace(1, 0.8, 8)])
    points = tuple(
        NeedlePoint(frame=i, state=hidden)
        if np.isnan(d)
        else NeedlePoint(
            frame=i,
            state="found",
            advance=Measurement(value=d, lower=d - 1, upper=d + 1, unit=Unit.MM, bound=Bound.LOWER, method="test"),
        )
        for i, d in enumerate(depth)
    )
    still = replace(scan, poses=scan.poses[: len(depth)])
    events = {e.code: e for e in find_events(points, still, RunTimes(), PROFILE, "mm", mm_per_px=MM)}
    assert abs(events["withdrawn"].frame - frame) <= within
    assert events["withdrawn"].earliest <= events["withdrawn"].frame <= events["withdrawn"].latest


def test_what_is_found_now_here_now_there_is_no_needle(run) -> None:
    _, scan, _, _, frames = run
    track = follow_needle(frames, Tracker(scan))
    other = [
        None if needle is None else replace(needle, axis=(needle.axis[1], -needle.axis[0]), tip=(60.0, 240.0))
        for needle in track.needles
    ]
    mixed = tuple(other[index] if index // 5 % 2 else needle for index, needle in enumerate(track.needles))
    result = describe_needle(replace(track, needles=mixed), scan, RunTimes(), CALIBRATION, None, PROFILE)
    assert result is not None and not result.steady
    assert judge_needle(result, PROFILE.run).reasons[0].code == "no_needle"
    assert {event.code for event in result.events} >= {"brightness_jump", "withdrawn"}
    told = as_told(result)
    assert {event.code for event in told.events} == {"brightness_jump"}
    assert all(p.tip is p.advance is p.tip_to_cortex is None and p.state in ("lost", "copy") for p in told.points)
    assert (told.travel, told.followed_share, told.confidence) == (None, 0.0, 0.0)
    assert len(told.key_frames) >= 2 and told.key_frames[-1] == len(told.points) - 1
    assert not needle_curves(told), "no curve in the window, the report or the audit"


def test_what_is_one_needle_is_told_as_it_is(run) -> None:
    _, _, result, _, _ = run
    assert as_told(result) is result


def test_a_doubtful_needle_is_told(run) -> None:
    _, _, result, _, _ = run
    doubtful = replace(result, confidence=0.4)
    verdict = judge_needle(doubtful, PROFILE.run, PROFILE.verdict.min_needle_confidence)
    assert Flag.LOW_CONFIDENCE_NEEDLE in verdict.flags
    assert "low_confidence_needle" in [reason.code for reason in verdict.reasons]
    sure = judge_needle(result, PROFILE.run, 0.0)
    assert Flag.LOW_CONFIDENCE_NEEDLE not in sure.flags


def test_no_needle_no_curve() -> None:
    assert judge_needle(None, PROFILE.run).code is Code.NOT_ASSESSABLE


def assessed(depth_mm: np.ndarray) -> RunAssessment:
    frames, _ = needle_frames(depth_mm, lambda i: (0.02 * i, 0.0), lambda _: 0.0)
    return assess_run(source_of(frames), profile=PROFILE)


def test_a_needle_run_is_about_the_needle() -> None:
    run = assessed(advance(((0.8, 0.0), (1.5, 9.0), (0.5, 0.0), (1.0, -8.0), (0.4, 0.0)), -6.0, 0.1))
    assert run.verdict.code is Code.NEEDLE_FOLLOWED and "contrast" not in run.verdict.text.lower()
    codes = [reason.code for reason in run.verdict.reasons]
    assert codes[0] in {"deepest", "withdrawn"} and "no_contrast_seen" not in codes
    assert codes[-1] == "contrast_not_judged"
    # the film strip shows what the verdict is about
    assert any("deepest" in picture.label for picture in run.strip)


def test_a_needle_that_comes_and_then_stands_is_about_the_needle_too() -> None:
    run = assessed(advance(((0.3, 0.0), (1.0, 12.0), (2.6, 0.0)), -8.0, 0.1))
    assert run.verdict.code is Code.NEEDLE_FOLLOWED
    _, facts = run_facts(run_record(run))
    assert facts.kind == "needle"
    # what appeared was the needle
    assert run.contrast is None or run.contrast.onset is None


def test_contrast_is_looked_for_where_the_needle_stands_all_along() -> None:
    run = assessed(np.full(24, 8.0))
    assert run.verdict.code is Code.NO_CONTRAST_SEEN


@pytest.mark.parametrize("back_mm", [3.0, 5.0])
def test_the_mask_holds_no_frame_of_the_needles_earlier_place(back_mm: float) -> None:
    """Drawn back at frame 8, contrast from frame 21 on: a mask of both places would lack what the tip hid before."""
    depth = np.r_[np.full(8, 10.0), 10 - back_mm / 2, np.full(30, 10 - back_mm)]
    frames, tips = needle_frames(depth, lambda _: (0.0, 0.0), lambda _: 0.0)
    pool = [disc(*tips[-1], 6.0 / MM, 0.12 * min(1.0, max(0.0, (index - 20) / 4)), SIDE) for index in range(len(frames))]
    filled = [
        replace(frame, pixels=circle_field(np.clip(frame.pixels + more, 0.02, 0.98)))
        for frame, more in zip(frames, pool, strict=True)
    ]
    told = assess_run(source_of(filled), profile=PROFILE, outer_diameter_mm=3.05)
    assert told.contrast is not None and told.verdict.code is Code.LOCAL_POOL
    assert min(told.contrast.mask_frames) >= 8 and max(told.contrast.mask_frames) >= 17
    peak = max(spread.area for spread in told.contrast.spreads)
    assert peak * (1 if told.contrast.unit == "mm" else MM**2) == pytest.approx(np.pi * 6.0**2, rel=0.15)


def test_of_two_bars_in_turn_no_needle_is_told() -> None:
    rng = np.random.default_rng(3)
    base = 0.7 * bone_like(3, SIDE)
    bars = [
        FlatNeedle(axis=axis, outer_diameter_mm=3.05, cone_mm=3.0, length_mm=90.0, lean_deg=90.0).steel_mm(
            tip, (SIDE, SIDE), MM
        )
        for axis, tip in ((AXIS, (170.0, 150.0)), ((0.0, 1.0), (250.0, 120.0)))
    ]
    frames = [
        make_frame(
            circle_field(
                np.clip(base + 0.16 * bars[index // 5 % 2] + rng.normal(0, 0.008, base.shape), 0.02, 0.98).astype(np.float32)
            ),
            index,
            30,
        )
        for index in range(30)
    ]
    told = assess_run(source_of(frames), profile=PROFILE)
    assert told.needle is not None and not told.needle.steady
    assert told.needle.travel is None and all(point.tip is None for point in told.needle.points)
    record = run_record(told)["needle"]
    assert record["travel"] is None and record["followed_share"] == 0
    assert {event["code"] for event in record["events"]} <= {"table_moved", "brightness_jump"}
