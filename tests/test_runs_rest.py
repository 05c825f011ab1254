"""Where a needle rests, and when it comes there: told by many frames, not by one."""

from __future__ import annotations

import numpy as np
import pytest

from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.phantom.runs_needle import advance
from marrowpoint.read import read_profile
from marrowpoint.runs.crossing import comes_to, lasting
from marrowpoint.runs.events import _depth_events
from marrowpoint.runs.rest import fit_rest, frame_noise
from marrowpoint.runs.run import RunTimes

PROFILE = read_profile(None)
SEEDS = range(12)


def noisy(depth: np.ndarray, seed: int, noise: float = 0.2) -> np.ndarray:
    return depth + np.random.default_rng(seed).normal(0, noise, len(depth))


def come_rest_go(rest: float, coming: float = 0.8, going: float = 0.4) -> np.ndarray:
    """Ten frames on the way, there at frame 10, still until frame 20, and on."""
    x = np.arange(31.0)
    return rest - coming * np.maximum(0, 10 - x) + going * np.maximum(0, x - 20)


@pytest.mark.parametrize("going", [0.4, -0.4])
def test_a_rest_is_told_by_all_its_frames(going: float) -> None:
    found = [fit_rest(np.arange(31.0), noisy(come_rest_go(2.0, going=going), seed), onward=np.sign(going)) for seed in SEEDS]
    rests = [rest for rest in found if rest is not None]
    assert len(rests) == len(SEEDS)
    # eleven frames of 0.2 mm noise
    assert max(abs(rest.depth - 2.0) for rest in rests) < 0.2
    assert max(abs(rest.begins - 10) for rest in rests) <= 1
    assert max(abs(rest.ends - 20) for rest in rests) <= 2
    assert np.mean([rest.after for rest in rests]) == pytest.approx(going, abs=0.04)


def test_tips_that_are_far_off_move_no_rest() -> None:
    depth = noisy(come_rest_go(2.0), 0)
    depth[[13, 14, 26]] += (-3.5, -3.0, 4.0)
    rest = fit_rest(np.arange(31.0), depth, onward=1.0)
    assert rest is not None
    assert abs(rest.depth - 2.0) < 0.2 and abs(rest.begins - 10) <= 1


def test_frames_that_are_missing_are_gone_through_evenly() -> None:
    frames = np.delete(np.arange(31.0), slice(4, 9))
    rest = fit_rest(frames, noisy(come_rest_go(2.0), 1)[frames.astype(int)], onward=1.0)
    assert rest is not None
    # 0.8 mm a frame: two and a half frames before the rest
    assert rest.comes_to(0.0) == pytest.approx(7.5, abs=0.7)


def test_a_level_that_the_curve_does_not_pass_is_not_told() -> None:
    assert fit_rest(np.arange(3.0), np.zeros(3), onward=1.0) is None
    still = fit_rest(np.arange(20.0), noisy(np.zeros(20), 2, 0.02), onward=1.0)
    assert still is not None and still.comes_to(1.0) is None and still.comes_to(-1.0) is None


def test_the_noise_of_frames_does_not_grow_with_the_speed() -> None:
    still, fast = (frame_noise(noisy(speed * np.arange(60.0), 3)) for speed in (0.0, 1.0))
    assert still == pytest.approx(0.2, rel=0.35) and fast == pytest.approx(still, rel=1e-6)


@pytest.mark.parametrize(("rest", "frame"), [(-0.2, 21), (0.2, 10)])
def test_a_rest_close_to_a_level_is_told_by_its_mean(rest: float, frame: int) -> None:
    """A fifth of a millimetre from the level in noise of 0.3 mm: the mean of eleven frames errs by a tenth."""
    right = 0
    for seed in range(30):
        depth = noisy(come_rest_go(rest), seed, 0.3)
        smooth = np.array([np.median(depth[max(0, i - 2) : i + 3]) for i in range(len(depth))])
        right += abs(comes_to(list(range(31)), depth, lasting(smooth >= 0), 0.0) - frame) <= 2
    # a line through nine frames is right in 20 to 25
    assert right >= 27


def test_the_deepest_place_is_reached_when_the_needle_stops() -> None:
    """Slow ways of 0.3 mm a frame in noise of 0.25 mm: a frame that happens to be as deep is not the stop."""
    depth = advance(((0.5, 0.0), (2.4, 3.0), (1.2, 0.0), (1.4, -3.0), (0.4, 0.0)), -1.0, 0.1)
    for seed in SEEDS:
        values = noisy(depth, seed, 0.25)
        curve = [
            (i, Measurement(value=v, lower=v - 1, upper=v + 1, unit=Unit.MM, bound=Bound.LOWER, method="test"))
            for i, v in enumerate(values.tolist())
        ]
        events = {e.code: e for e in _depth_events(curve, RunTimes(), PROFILE, "mm")}
        assert abs(events["deepest"].frame - 29) <= 2, seed
        # drawn back from frame 41 on, three millimetres at frame 51, more than that in the next
        assert abs(events["withdrawn"].frame - 52) <= 2, seed
