"""Where frames show the very point that the first ones showed: over white bone, and against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from projected_needle import needle_picture

from marrowpoint.needle import Needle
from marrowpoint.runs.before import KEPT, Before
from marrowpoint.runs.likeness import Alike, Likeness, strip_shaft
from marrowpoint.runs.register import Alignment
from marrowpoint.runs.same import SameNeedle, middle_of, moved

WIDTH, TIP, ANGLE_DEG = 9.0, (250.0, 260.0), 25.0
AXIS = (float(np.sin(np.radians(ANGLE_DEG))), float(np.cos(np.radians(ANGLE_DEG))))
HERE = Alignment()


def back(px: float) -> tuple[float, float]:
    return TIP[0] + px * AXIS[0], TIP[1] + px * AXIS[1]


def needle_at(px: float, sd_px: float = 1.0) -> Needle:
    return Needle(
        tip=back(px), axis=AXIS, width_px=WIDTH, width_sd_px=0.3, tip_sd_along_px=sd_px, tip_sd_across_px=0.2, length_px=150.0,
        confidence=1.0,
    )  # fmt: skip


def picture(px: float, seed: int, *, bright: float = 0.0) -> np.ndarray:
    """The tip so far back, bone ahead of 2.5 widths behind `TIP`, and all of it brighter; a monitor has one white."""
    rows, columns = np.indices((512, 512))
    along = (rows - TIP[0]) * AXIS[0] + (columns - TIP[1]) * AXIS[1]
    bone = 0.4 * np.clip((2.5 * WIDTH - along) / 4 + 0.5, 0, 1)
    shown = needle_picture(tip=back(px), angle_deg=ANGLE_DEG, width=WIDTH, contrast=0.7, noise=0.015, seed=seed)
    return np.clip(shown + bone + bright, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def before() -> Before:
    kept = Before()
    for seed in range(KEPT):
        kept.add(picture(8 * WIDTH, seed), HERE, needle_at(8 * WIDTH))
    return kept


@pytest.mark.parametrize("off", [-6.0, 0.0, 7.0])
@pytest.mark.parametrize("bright", [0.0, 0.05])
def test_a_tip_over_almost_white_bone_is_found_where_the_point_is(before: Before, off: float, bright: float) -> None:
    """Bone leaves a tenth and less of the metal to be seen; the fit is off by so many pixels."""
    likeness = Likeness(before.shown)
    needle = needle_at(off)
    strips = before.seen_from(HERE)(strip_shaft(needle), likeness.along, likeness.across)
    found = likeness.find(picture(0.0, 20, bright=bright), needle, strips)
    assert found is not None
    best = min(found, key=lambda alike: alike.left)
    assert best.way_px == pytest.approx(-off, abs=1.2)
    assert best.sd_px < 1.5


def test_where_it_is_not_known_what_lies_behind_nothing_is_told(before: Before) -> None:
    likeness = Likeness(before.shown)
    needle = needle_at(7 * WIDTH)
    strips = before.seen_from(HERE)(strip_shaft(needle), likeness.along, likeness.across)
    assert likeness.find(picture(7 * WIDTH, 21), needle, strips) is None


def test_a_brighter_first_frame_is_no_likeness() -> None:
    """Automatic exposure: a first frame that is brighter by ten times the noise would blur height and noise of all."""
    frames = [(picture(8 * WIDTH, seed), needle_at(8 * WIDTH)) for seed in range(KEPT)]
    same = Likeness(frames).noise
    first = np.clip(frames[0][0] + 0.15, 0, 1).astype(np.float32)
    assert Likeness([(first, frames[0][1]), *frames[1:]]).noise == pytest.approx(same, rel=0.1)


def told(errors_px: list[float], zero: float = 3.0) -> dict[int, tuple[Needle, Alike]]:
    """A needle that stands at `TIP`, fits that err by so much toward the hub, and a likeness that knows."""
    return {i: (needle_at(error), Alike(way_px=zero - error, sd_px=0.4, left=1.0)) for i, error in enumerate(errors_px)}


def places(needles: dict[int, Needle]) -> list[float]:
    return [float(np.dot(np.subtract(needle.tip, TIP), AXIS)) for needle in needles.values()]


def test_tips_lie_to_each_other_as_the_likeness_says_and_their_middle_stays() -> None:
    pairs = told([-0.8, 0.3, 0.0, 1.0, -0.4, -0.2, 0.6])
    zero, shared = middle_of(pairs)
    assert zero == pytest.approx(3.0)
    assert places(moved(pairs, zero, shared, lambda _, point: point)) == pytest.approx([0.0] * 7, abs=1e-9)


def test_a_fit_that_is_far_off_goes_where_its_neighbours_are() -> None:
    pairs = told([0.0, 0.1, -0.1, -9.0, 0.1, 0.0, -0.1])
    needles = moved(pairs, *middle_of(pairs), lambda _, point: point)
    assert abs(places(needles)[3]) < 0.2
    # and carries some of what both differed by
    assert needles[3].tip_sd_along_px > 2.0 > needles[2].tip_sd_along_px


def test_a_likeness_that_is_far_off_is_not_followed_but_doubted() -> None:
    pairs = told([0.0, 0.1, -0.1, 0.0, 0.1, 0.0, -0.1])
    needle, alike = pairs[3]
    pairs[3] = needle, replace(alike, way_px=alike.way_px + 9.0)
    needles = moved(pairs, *middle_of(pairs), lambda _, point: point)
    assert abs(places(needles)[3]) < 0.2
    assert needles[3].tip_sd_along_px > 4.0


def test_first_frames_that_all_err_alike_are_put_right_by_the_later_ones(before: Before) -> None:
    """The first tips were found 6 px too far ahead: bone behind them was not known yet. Later ones tell."""
    same, kept = SameNeedle(), Before()
    fits = {i: needle_at(8 * WIDTH - 6.0, 3.0) for i in range(KEPT)}
    fits |= {KEPT + i: needle_at(3 * WIDTH - 3.0 * i) for i in range(8)}
    for index, needle in fits.items():
        true = 8 * WIDTH if index < KEPT else 3 * WIDTH - 3.0 * (index - KEPT)
        shown = picture(true, index)
        kept.add(shown, HERE, needle)
        same.add(index, shown, needle, kept, HERE)
    needles = same.correct([fits[i] for i in range(len(fits))], lambda _, point: point)
    first = [float(np.dot(np.subtract(needle.tip, TIP), AXIS)) - 8 * WIDTH for needle in needles[:KEPT] if needle is not None]
    assert len(first) == KEPT
    assert first == pytest.approx([0.0] * KEPT, abs=1.5)


def test_a_frame_that_shows_something_else_is_left_as_it_was_fitted(before: Before) -> None:
    """Two hundred noise variances are left over where a hand or a tool is in the way, and what was no needle is not asked."""
    same = SameNeedle()
    fits = [needle_at(error) for error in (0.0, 0.1, -0.1, 2.0, 0.1, 0.0, -0.1, 2.0)]
    for index, needle in enumerate(fits):
        way = 3.0 - float(np.dot(np.subtract(needle.tip, TIP), AXIS))
        same.views[-1].found[index] = (Alike(way_px=way, sd_px=0.4, left=200.0 if index == 3 else 1.0),)
    same.views[-1].first.append(0)
    same.drop(7)
    needles = same.correct(fits, lambda _, point: point)
    assert needles[3] == fits[3] and needles[7] == fits[7]
    assert needles[1] != fits[1]


def test_a_fit_that_fell_back_by_more_than_is_searched_at_once_is_found(before: Before) -> None:
    """White bone, and a shaft that is seen to end 25 px too early; 13.5 px to each side are searched at a time."""
    same = SameNeedle()
    for index in range(KEPT):
        same.add(index, before.kept[index].pixels, needle_at(8 * WIDTH), before, HERE)
    same.add(KEPT, picture(0.0, 30), needle_at(25.0), before, HERE)
    best = min(same.views[-1].found[KEPT], key=lambda alike: alike.left)
    assert best.way_px == pytest.approx(-25.0, abs=2.0)


def test_a_likeness_that_scatters_more_than_sure_fits_is_not_used() -> None:
    """A display whose white is unknown: sure fits move evenly, the likeness jumps by millimetres from frame to frame."""
    same = SameNeedle()
    jumps = (0.0, 2.5, -2.0, 2.0, -2.5, 1.5, -2.0, 2.5)
    fits = [needle_at(30.0 - 2.0 * index, sd_px=1.0) for index in range(len(jumps))]
    same.views[-1].first.append(0)
    for index, jump in enumerate(jumps):
        same.views[-1].found[index] = (Alike(way_px=jump, sd_px=0.4, left=1.0),)
    assert same.correct(fits, lambda _, point: point) == fits
    # where the fits are not sure of themselves, their even way is no evidence
    unsure = [replace(needle, tip_sd_along_px=15.0) for needle in fits]
    assert same.correct(unsure, lambda _, point: point) != unsure


@pytest.mark.parametrize("count", [2, 4, 6])
def test_first_frames_of_two_exposures_still_show_a_point(count: int) -> None:
    """Half of them brighter: the middle of all is no frame's brightness."""
    kept = [(picture(8 * WIDTH, seed, bright=0.1 * (seed % 2)), needle_at(8 * WIDTH)) for seed in range(count)]
    likeness = Likeness(kept)
    assert all(np.isfinite(point).all() and point.max() > 0.3 for point in likeness.points)
    assert np.isfinite(likeness.noise)
