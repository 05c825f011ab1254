"""A drift of brightness behind a display curve is taken away grey by grey; contrast stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import disc, line

from marrowpoint.runs.tone import Greys, level_greys

SIDE, MASKS, LATER, NOISE = 160, 10, 16, 0.01
TIP = (80.0, 90.0)
WHOLE, NOWHERE = np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
ROWS, COLUMNS = np.indices((SIDE, SIDE)).astype(float)
from_tip = np.hypot(ROWS - TIP[0], COLUMNS - TIP[1])


def stepped() -> np.ndarray:
    """A body over air: slow relief with a step at column 40, attenuation 0 to 1."""
    body = 0.35 + 0.3 * ROWS / SIDE + 0.2 * np.sin(6 * COLUMNS / SIDE)
    return np.where(COLUMNS < 40, 0.05 + 0.03 * ROWS / SIDE, body).astype(np.float32)


def peaked() -> np.ndarray:
    """Bone that is darkest at the tip: contrast covers nearly all that is as dark."""
    return (0.4 + 0.25 * np.exp(-0.5 * (from_tip / 25) ** 2)).astype(np.float32)


def shown(log: np.ndarray, curve: float) -> np.ndarray:
    """Through a display curve that is steeper in the middle."""
    return (0.5 + 0.5 * np.tanh(curve * (log - 0.5)) / np.tanh(curve / 2)).astype(np.float32)


def levelled(base: np.ndarray, added: np.ndarray, drift: float, near_px: float, inside: np.ndarray = WHOLE) -> np.ndarray:
    """Mean of the frames with contrast, behind the curve, after levelling."""
    rng = np.random.default_rng(0)
    mask = shown(base, 2.0)
    stack = np.stack(
        [shown(base + share * drift, 2.0) - mask + share * added + rng.normal(0, NOISE, mask.shape)
         for share in [0.0] * MASKS + [1.0] * LATER]
    ).astype(np.float32)  # fmt: skip
    level_greys(stack, mask, inside, from_tip < near_px, NOWHERE)
    return stack[MASKS:].mean(axis=0)


@pytest.mark.parametrize("drift", [0.03, -0.05])
def test_a_drift_behind_a_curve_leaves_no_step(drift: float) -> None:
    before = shown(stepped() + drift, 2.0) - shown(stepped(), 2.0)
    assert abs(before[:, 40:].mean() - before[:, :40].mean()) > 0.2 * abs(drift)
    left = levelled(stepped(), np.zeros((SIDE, SIDE)), drift, near_px=25.0)
    assert abs(float(left[:, 40:50].mean() - left[:, 30:40].mean())) < 0.05 * abs(drift)
    assert abs(float(left.mean())) < 0.05 * abs(drift)


@pytest.mark.parametrize("drift", [0.0, 0.03])
@pytest.mark.parametrize("radius_px", [16.0, 30.0])
def test_contrast_over_the_darkest_bone_keeps_its_height(radius_px: float, drift: float) -> None:
    """It covers whole classes of grey, and in the larger case reaches beyond where contrast is expected."""
    pool = disc(*TIP, radius_px, 0.06, SIDE)
    inside = np.hypot(ROWS - 80, COLUMNS - 80) < 75
    left = levelled(peaked(), pool, drift, near_px=26.0, inside=inside)
    flat = levelled(np.full((SIDE, SIDE), 0.5, np.float32), pool, drift, near_px=26.0, inside=inside)
    middle = from_tip < radius_px - 3
    # what lies beyond the darkest grey that is read has that one's drift
    assert left[middle].mean() == pytest.approx(0.06, abs=0.004 + 0.2 * drift)
    assert flat[middle].mean() == pytest.approx(0.06, abs=0.003)
    around = inside & (from_tip > radius_px + 3)
    assert abs(float(left[around].mean())) < 0.002


def test_a_faint_pool_draws_no_ring_around_itself() -> None:
    """Where a part of a class rises its median would follow, and the rest of the class would sink."""
    left = levelled(peaked(), disc(*TIP, 14.0, 0.03, SIDE), 0.0, near_px=26.0)
    ring = (from_tip > 17) & (from_tip < 26)
    assert abs(float(left[ring].mean())) < 0.0005


def test_a_vein_keeps_its_height() -> None:
    vein = line([TIP, (30.0, 120.0), (10.0, 150.0)], 3, 0.05, SIDE)
    left = levelled(stepped(), vein, 0.03, near_px=25.0)
    plain = levelled(stepped(), np.zeros((SIDE, SIDE)), 0.03, near_px=25.0)
    there = vein > 0.04
    assert (left - plain)[there].mean() == pytest.approx(vein[there].mean(), rel=0.02)


def test_black_metal_does_not_rise_with_the_bone() -> None:
    """Behind the curve a drift hardly shows where the display is at its end."""
    metal = (np.abs(ROWS - 80) < 4) & (COLUMNS > 90)
    base = np.where(metal, 3.0, stepped()).astype(np.float32)
    mask = shown(base, 4.0)
    stack = (shown(base + 0.03, 4.0) - mask)[None]
    assert np.abs(stack[0][metal]).max() < 0.001 < 0.02 < stack[0][~metal].mean()
    level_greys(stack, mask, WHOLE, NOWHERE, metal)
    assert np.abs(stack[0][metal]).max() < 0.001


def test_only_what_can_be_trusted_counts() -> None:
    """Beyond the field values say nothing of the drift."""
    mask = shown(stepped(), 2.0)
    inside = COLUMNS >= 20
    stack = np.where(inside, 0.02, 5.0).astype(np.float32)[None]
    level_greys(stack, mask, inside, NOWHERE, NOWHERE)
    assert np.abs(stack[0][inside]).max() < 1e-6


def test_where_hardly_anything_lies_away_from_the_tip_nothing_is_levelled() -> None:
    stack = np.random.default_rng(1).normal(0, 1, (3, SIDE, SIDE)).astype(np.float32)
    before = stack.copy()
    level_greys(stack, shown(stepped(), 2.0), from_tip < 28, from_tip < 26, NOWHERE)
    assert np.array_equal(stack, before)


def test_places_of_one_grey_have_one_level() -> None:
    """Classes of equal greys are bands of rows: none of them speaks for all."""
    difference = np.where(ROWS > 150, 0.3, 0.0).astype(np.float32)
    off = Greys.of(np.full((SIDE, SIDE), 0.5, np.float32), WHOLE).off(difference)
    assert np.ptp(off) == 0 and off[0, 0] < 0.03


def test_a_field_of_a_few_pixels_is_left_as_it_is() -> None:
    mask = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    assert not Greys.of(mask, np.ones_like(mask, bool)).off(np.ones((7, 7), np.float32)).any()
