"""What earlier frames show behind a needle: places of tips over bone that nothing beside the shaft lets expect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from projected_needle import needle_picture

from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.needle import Needle
from marrowpoint.runs.before import KEPT, Before
from marrowpoint.runs.display import CurveDoubt
from marrowpoint.runs.register import Alignment

WIDTH, TIP, ANGLE_DEG = 9.0, (250.0, 260.0), 25.0
AXIS = (float(np.sin(np.radians(ANGLE_DEG))), float(np.cos(np.radians(ANGLE_DEG))))
SHIFT = (3.4, -2.2)


def shaft() -> Shaft:
    return Shaft(
        origin=TIP, axis=AXIS, start_px=4.0, stop_px=190.0, width_px=0.95 * WIDTH, width_sd_px=0.5, angle_sd_rad=0.001,
        across_sd_px=0.1, support=4.0,
    )  # fmt: skip


def needle_at(tip: tuple[float, float]) -> Needle:
    return Needle(
        tip=tip, axis=AXIS, width_px=WIDTH, width_sd_px=0.3, tip_sd_along_px=0.5, tip_sd_across_px=0.2, length_px=150.0,
        confidence=1.0,
    )  # fmt: skip


def back(widths: float) -> tuple[float, float]:
    return TIP[0] + widths * WIDTH * AXIS[0], TIP[1] + widths * WIDTH * AXIS[1]


def bump(shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Bone as narrow as the shaft, from 0.2 to 2 widths ahead of the tip: it looks like more of it."""
    rows, columns = np.indices((512, 512))
    along = (rows - TIP[0] - shift[0]) * AXIS[0] + (columns - TIP[1] - shift[1]) * AXIS[1]
    across = (rows - TIP[0] - shift[0]) * AXIS[1] - (columns - TIP[1] - shift[1]) * AXIS[0]
    inside = np.clip((-0.2 * WIDTH - along) / 2, 0, 1) * np.clip((2 * WIDTH + along) / 2, 0, 1)
    return (0.2 * inside * np.clip((0.5 * WIDTH - np.abs(across)) / 2, 0, 1)).astype(np.float32)


def test_bone_that_looks_like_a_longer_needle_is_known_from_before_the_tip_came() -> None:
    before = Before()
    for seed in range(3):
        # where the patient lay elsewhere
        there = back(5)
        early = needle_picture(
            tip=(there[0] + SHIFT[0], there[1] + SHIFT[1]), angle_deg=ANGLE_DEG, width=WIDTH, seed=10 + seed
        ) + bump(SHIFT)
        before.add(early, Alignment(shift_px=SHIFT), needle_at((there[0] + SHIFT[0], there[1] + SHIFT[1])))
    now = needle_picture(tip=TIP, angle_deg=ANGLE_DEG, width=WIDTH) + bump()
    blind, _ = CurveDoubt().fit(now, shaft())
    seeing, _ = CurveDoubt().fit(now, shaft(), before.seen_from(Alignment()))
    plain, _ = CurveDoubt().fit(needle_picture(tip=TIP, angle_deg=ANGLE_DEG, width=WIDTH), shaft())
    assert abs(blind.along_px - plain.along_px) > 0.25 * WIDTH
    assert abs(seeing.along_px - plain.along_px) < 0.1 * WIDTH


def test_what_the_needle_covered_itself_is_not_taken_for_what_lies_behind() -> None:
    before = Before()
    before.add(needle_picture(tip=back(1), angle_deg=ANGLE_DEG, width=WIDTH), Alignment(), needle_at(back(1)))
    along = np.arange(-30.0, 60.0)
    ((_, clear),) = before.seen_from(Alignment())(shaft(), along, np.arange(-5.0, 6.0))
    # one width ahead of that tip, and its doubt
    assert along[clear].max() == pytest.approx(-1.0, abs=1.0)


def test_frames_whose_tip_stands_farther_back_are_kept() -> None:
    before = Before()
    picture = np.zeros((512, 512), np.float32)
    for step in range(KEPT + 3):
        before.add(picture, Alignment(), needle_at(back(3.0 * step)))
    ways = sorted(np.hypot(kept.needle.tip[0] - TIP[0], kept.needle.tip[1] - TIP[1]) / WIDTH for kept in before.kept)
    assert ways == pytest.approx([3.0 * step for step in range(3, KEPT + 3)])


def test_a_bright_line_ahead_does_not_take_the_tip_along() -> None:
    """A shaft that is seen to go on as a line of bone: its tip is looked for where it was expected, too."""
    picture = needle_picture(tip=TIP, angle_deg=ANGLE_DEG, width=WIDTH)
    rows, columns = np.indices(picture.shape)
    along = (rows - TIP[0]) * AXIS[0] + (columns - TIP[1]) * AXIS[1]
    across = (rows - TIP[0]) * AXIS[1] - (columns - TIP[1]) * AXIS[0]
    line = 0.05 * ((along < -0.5 * WIDTH) & (along > -4 * WIDTH) & (np.abs(across) < 0.2 * WIDTH))
    longer = replace(shaft(), start_px=-3.5 * WIDTH)
    shown = np.asarray(picture + line, dtype=np.float32)
    taken, _ = CurveDoubt().fit(shown, longer)
    expected, _ = CurveDoubt().fit(shown, longer, None, 0.5 * WIDTH)
    assert abs(taken.along_px) > WIDTH
    assert abs(expected.along_px) < 0.4 * WIDTH


def test_a_tip_is_not_held_where_it_was_wrongly_expected() -> None:
    """Expected four widths ahead, where nothing is: the tip that is seen counts, at once."""
    picture = needle_picture(tip=TIP, angle_deg=ANGLE_DEG, width=WIDTH)
    tip, _ = CurveDoubt().fit(picture, shaft(), None, -4.0 * WIDTH)
    assert abs(tip.along_px) < 0.4 * WIDTH


def test_metal_over_almost_white_bone_is_followed_to_its_end() -> None:
    """Bone leaves metal a tenth of its height from 2.5 widths behind the tip on; earlier frames showed it."""
    rows, columns = np.indices((512, 512))
    along = (rows - TIP[0]) * AXIS[0] + (columns - TIP[1]) * AXIS[1]
    bone = 0.46 * np.clip((2.5 * WIDTH - along) / 4 + 0.5, 0, 1)
    shown = [
        np.clip(needle_picture(tip=tip, angle_deg=ANGLE_DEG, width=WIDTH, contrast=0.6, noise=0.03, seed=seed) + bone, 0, 1)
        for seed, tip in enumerate((TIP, back(6), back(6), back(6)))
    ]
    before = Before()
    for picture in shown[1:]:
        before.add(picture.astype(np.float32), Alignment(), needle_at(back(6)))
    tip, _ = CurveDoubt().fit(shown[0].astype(np.float32), shaft(), before.seen_from(Alignment()))
    assert abs(tip.along_px) < 0.6 * WIDTH
