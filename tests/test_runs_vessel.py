"""Lines of contrast that leave a body: veins are found with their length, the ends of thick bodies are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_frames import disc, line

from marrowpoint.read import read_profile
from marrowpoint.runs import vessel
from marrowpoint.runs.grid import GridScale
from marrowpoint.runs.judge_spread import is_vein
from marrowpoint.runs.opacity import most_opaque, steadily_opaque
from marrowpoint.runs.run import ContrastResult, Motion
from marrowpoint.runs.shadow import cast_shadow
from marrowpoint.runs.spread import Spread, Surroundings, follow_spread
from marrowpoint.runs.subtract import Subtraction
from marrowpoint.runs.vessel import Branch, as_run, find_branches

LIMITS = read_profile(None).run
SIDE, MASKS, NOISE, MM = 160, 8, 0.003, 0.6
TIP, AXIS = (80.0, 80.0), (0.0, 1.0)
SCALE = GridScale(size=MM, unit="mm", filter_mm=MM)


def subtraction(shown: np.ndarray, seed: int = 0, frames: int = 8, first_column: int = 0) -> Subtraction:
    """Noise, and a picture that was added to all frames after the mask."""
    rng = np.random.default_rng(seed)
    stack = np.stack([share * shown + rng.normal(0, NOISE, shown.shape) for share in [0.0] * MASKS + [1.0] * frames]).astype(
        np.float32
    )
    level = np.full((SIDE, SIDE), 0.5, np.float32)
    return Subtraction(
        frames=tuple(range(len(stack))),
        stack=stack,
        noise=np.full((SIDE, SIDE), NOISE, np.float32),
        mask=level,
        picture=level,
        inside=np.broadcast_to(np.arange(SIDE) >= first_column, (SIDE, SIDE)).copy(),
        factor=1.0,
        residuals_px={},
        refused=(),
        shifts_px={0: (0.0, 0.0)},
        mask_frames=tuple(range(MASKS)),
    )


def branches(
    added: np.ndarray, seed: int = 0, frames: int = 8, first_column: int = 0, moves: bool = False
) -> tuple[Branch, ...]:
    """What is found in noise and the picture that was added to all frames after the mask, but for what the needle hides."""
    shadow = cast_shadow((SIDE, SIDE), TIP, AXIS, radius_px=2.5, edge_px=0.8, length_px=70.0)
    given = subtraction(np.where(shadow.mask, 0.0, added), seed, frames, first_column)
    ahead = cast_shadow((SIDE, SIDE), (80.0, 60.0), AXIS, radius_px=3.5, edge_px=0.8, length_px=90.0)
    place = Surroundings(tip=TIP, corridor=shadow.mask, shadow=shadow, swept=ahead.mask if moves else None)
    return find_branches(given, follow_spread(given, place, SCALE), place, SCALE)[0]


def called_veins(found: tuple[Branch, ...]) -> list[Branch]:
    spread = Spread(frame=9, area=60.0, seen_area=70.0, density=3.0)
    around = ContrastResult(
        onset=5, mask_frames=(0, 1), settled=0, tip=TIP, tip_is_needle=True, spreads=(spread,), branches=(), peak=9, unit="mm",
        motion=Motion(largest_shift=0.0, unit="mm"),
    )  # fmt: skip
    return [b for b in found if is_vein(as_run(b, TIP), around, LIMITS)]


def streak(row: float, column: float, half_mm: tuple[float, float], turn: float, dense: float) -> np.ndarray:
    """An ellipsoid seen from the side: half its length and half its width [mm], density in its middle."""
    rows, columns = np.indices((SIDE, SIDE), dtype=float)
    along = ((rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)) * MM / half_mm[0]
    across = ((rows - row) * np.cos(turn) - (columns - column) * np.sin(turn)) * MM / half_mm[1]
    return np.asarray(dense * np.sqrt(np.clip(1 - along**2 - across**2, 0, None)))


@pytest.mark.parametrize("turn", [0.3, 1.2, 2.1, 2.9])
@pytest.mark.parametrize("half_width_mm", [2.6, 3.6])
def test_the_ends_of_streaks_in_soft_tissue_are_no_veins(turn: float, half_width_mm: float) -> None:
    away = np.array([-np.sin(turn), -np.cos(turn)]) * 13 / MM
    side = np.array([np.cos(turn), -np.sin(turn)]) * 8 / MM
    first, second = np.array(TIP) + away, np.array(TIP) + 1.2 * away + side
    bundle = streak(*first, (14.0, half_width_mm), turn, 0.12) + streak(*second, (11.0, half_width_mm + 0.5), turn, 0.06)
    assert not called_veins(branches(bundle))


def test_a_pool_whose_middle_black_bone_hides_is_no_vein() -> None:
    ring = disc(80.0, 80.0, 13.0, 0.05, SIDE) - disc(80.0, 80.0, 8.0, 0.05, SIDE)
    assert not called_veins(branches(ring))


@pytest.mark.parametrize("turn", [0.0, 0.9, 1.9, 2.8, 3.7])
def test_a_vein_is_as_long_as_its_way_from_the_pool(turn: float) -> None:
    """25 mm beyond a pool of 4.8 mm radius, also close to the shaft (which leaves at 0); its fringe may hide 6 mm."""
    turn += 0.35
    end = 80 + (4.8 + 25) / MM * np.sin(turn), 80 + (4.8 + 25) / MM * np.cos(turn)
    vein = np.maximum(disc(80.0, 80.0, 8.0, 0.12, SIDE), line([TIP, end], 3, 0.03, SIDE))
    found = called_veins(branches(vein))
    assert len(found) == 1
    assert 25 - 6 <= found[0].length <= 25 + 2
    assert np.hypot(found[0].end[0] - end[0], found[0].end[1] - end[1]) * MM < 2


def test_a_vein_that_comes_out_from_behind_the_needle_is_seen() -> None:
    """It runs back behind the shaft for 20 mm and leaves it there, away from the pool."""
    vein = np.maximum(disc(80.0, 77.0, 6.0, 0.12, SIDE), line([TIP, (80.0, 112.0), (62.0, 150.0)], 3, 0.05, SIDE))
    found = called_veins(branches(vein))
    assert found and found[0].end[1] > 140


@pytest.mark.parametrize("seed", range(6))
def test_noise_around_a_pool_is_no_vein(seed: int) -> None:
    assert not called_veins(branches(disc(80.0, 76.0, 9.0, 0.1, SIDE), seed=seed))


@pytest.mark.parametrize(("inward_mm", "seen"), [(1.2, False), (6.0, True)])
def test_the_edge_of_the_field_is_no_vein(inward_mm: float, seen: bool) -> None:
    """A line along the collimator, beside the tip; the same line farther in is one."""
    first = 60
    column = first + inward_mm / MM
    edge = line([(40.0, column), (120.0, column)], 3, 0.05, SIDE)
    assert bool(called_veins(branches(edge, first_column=first))) is seen


def test_while_the_needle_moves_a_line_must_leave_contrast_beside_it() -> None:
    vein = line([(76.0, 70.0), (40.0, 40.0)], 3, 0.05, SIDE)
    pool = disc(80.0, 68.0, 10.0, 0.12, SIDE)
    assert called_veins(branches(vein))
    assert not called_veins(branches(vein, moves=True))
    assert called_veins(branches(np.maximum(vein, pool), moves=True))


@pytest.mark.parametrize(("length_mm", "first_column", "cut_off"), [(40.0, 50, True), (11.0, 20, False)])
def test_a_line_that_leaves_the_field_is_longer_than_what_is_seen(length_mm: float, first_column: int, cut_off: bool) -> None:
    """Both show about 11 mm beyond the pool's edge; only the one that reaches the edge of the field goes on."""
    away = (4.8 + length_mm) / MM
    end = 80 - 0.3 * away, 80 - 0.95 * away
    found = branches(
        np.maximum(disc(80.0, 80.0, 8.0, 0.12, SIDE), line([TIP, end], 3, 0.01, SIDE)), first_column=first_column
    )
    assert [b.cut_off for b in found] == [cut_off]
    assert bool(called_veins(found)) is cut_off
    assert found[0].length < LIMITS.vein_from_mm


@pytest.mark.parametrize("radius_px", [6.0, 10.0, 14.0])
def test_a_faint_line_to_contrast_apart_goes_on_to_it(radius_px: float) -> None:
    """20 mm from the pool's edge to another one, too faint for both to hang together; its ends lie in what is hidden."""
    away = (4.8 + 20.0) / MM
    end = np.array([80 - 0.6 * away, 80 - 0.8 * away])
    other = end - np.array([0.6, 0.8]) * radius_px
    both = np.maximum(disc(80.0, 80.0, 8.0, 0.12, SIDE), disc(*other, radius_px, 0.06, SIDE))
    found = branches(np.maximum(both, line([TIP, tuple(end)], 2, 0.002, SIDE)), frames=20)
    assert 16 < found[0].length < 21 and called_veins(found)


@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_a_faint_vein_that_stays_is_seen_in_more_frames(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seventh of one difference's noise; what comes and goes in a few frames cannot be told from noise so."""
    vein = np.maximum(disc(80.0, 80.0, 8.0, 0.12, SIDE), line([TIP, (40.0, 50.0), (20.0, 60.0)], 2, 0.14 * NOISE, SIDE))
    assert called_veins(branches(vein, seed=seed, frames=30))
    monkeypatch.setattr(vessel, "steadily_opaque", vessel.most_opaque)
    assert not called_veins(branches(vein, seed=seed, frames=30))


def test_both_pictures_tell_the_height_of_what_stays() -> None:
    """In noise SDs; what is there at once is a little more than what rises and stays, and the most is more by noise."""
    given = subtraction(np.full((SIDE, SIDE), 10 * NOISE), frames=40)
    assert np.median(steadily_opaque(given)) == pytest.approx(10, rel=0.06)
    assert np.median(most_opaque(given)) == pytest.approx(10, rel=0.15)
    assert steadily_opaque(given).std() < 0.75 * most_opaque(given).std()


def test_an_edge_laid_beside_itself_counts_less() -> None:
    """The noise of a place at a steep edge of the mask is larger by what 0.06 px of misregistration show."""
    level = np.full((SIDE, SIDE), 0.2, np.float32)
    level[:, 90:] = 0.6
    given = replace(subtraction(np.full((SIDE, SIDE), 0.01)), mask=level)
    shown = steadily_opaque(given)
    assert np.median(shown[:, 89:91]) < 0.5 * np.median(shown[:, :80])


def test_a_vein_that_forks_is_no_patch() -> None:
    """Its branches part by 16 degrees; where gaps are closed they are one piece, whose middle shows nothing."""

    def place(angle: float, way: float) -> tuple[float, float]:
        return 80 + way * float(np.sin(angle)), 80 + way * float(np.cos(angle))

    turn, length_px = -2.371, 57.7
    fork = place(turn + 0.14, 16.5)
    branching = [
        line([TIP, fork, place(angle, length_px)], width, density, SIDE)
        for angle, width, density in ((turn, 3, 0.03), (turn + 0.28, 2, 0.021))
    ]
    assert called_veins(branches(np.maximum.reduce([disc(80.0, 80.0, 8.0, 0.12, SIDE), *branching]), frames=16))
