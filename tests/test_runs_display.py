"""The display curve of a run: tips of needles shown through curves that nobody told."""

from __future__ import annotations

import numpy as np
import pytest
from projected_needle import needle_picture

from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.needle import Needle
from marrowpoint.runs.display import CurveDoubt

WIDTH, TIP, ANGLE_DEG = 9.0, (250.0, 260.0), 25.0
AXIS = (float(np.sin(np.radians(ANGLE_DEG))), float(np.cos(np.radians(ANGLE_DEG))))


def shaft() -> Shaft:
    return Shaft(
        origin=TIP, axis=AXIS, start_px=6.0, stop_px=190.0, width_px=0.95 * WIDTH, width_sd_px=0.5, angle_sd_rad=0.001,
        across_sd_px=0.1, support=4.0,
    )  # fmt: skip


def displayed(picture: np.ndarray, gamma: float) -> np.ndarray:
    """A monitor's curve over the whole picture: what is faint becomes fainter, or stronger."""
    return (np.clip(picture, 0, 1) ** gamma).astype(np.float32)


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("cone", [1.0, 1.8])
def test_the_tip_lies_in_its_doubt_whatever_the_curve(cone: float, gamma: float) -> None:
    curves = CurveDoubt()
    found = []
    for seed in range(3):
        picture = displayed(needle_picture(tip=TIP, angle_deg=ANGLE_DEG, width=WIDTH, cone=cone, seed=seed), gamma)
        tip, section = curves.fit(picture, shaft())
        place = TIP[0] + tip.along_px * AXIS[0], TIP[1] + tip.along_px * AXIS[1]
        found.append(
            Needle(
                tip=place, axis=AXIS, width_px=section.width_px, width_sd_px=0.3, tip_sd_along_px=tip.sd_px,
                tip_sd_across_px=0.2, length_px=180.0, confidence=1.0,
            )
        )  # fmt: skip
    for needle in map(curves.correct, found):
        off = (needle.tip[0] - TIP[0]) * AXIS[0] + (needle.tip[1] - TIP[1]) * AXIS[1]
        assert abs(off) < 2 * needle.tip_sd_along_px
        assert needle.tip_sd_along_px < 0.5 * WIDTH


def test_a_burnt_in_needle_does_not_end_where_the_bone_begins() -> None:
    picture = needle_picture(tip=TIP, angle_deg=ANGLE_DEG, width=WIDTH, cone=1.0, contrast=0.6)
    rows, columns = np.indices(picture.shape)
    along = (rows - TIP[0]) * AXIS[0] + (columns - TIP[1]) * AXIS[1]
    # bone so bright that metal hardly stands out of it, from 2.5 widths before the tip on
    bone = 0.4 * np.clip((2.5 * WIDTH - along) / 4 + 0.5, 0, 1)
    tip, _ = CurveDoubt().fit(np.clip(picture + bone, 0, 1).astype(np.float32), shaft())
    assert abs(tip.along_px) < 0.5 * WIDTH


def test_without_a_look_nothing_moves_but_the_doubt_stays() -> None:
    needle = Needle(
        tip=TIP, axis=AXIS, width_px=WIDTH, width_sd_px=0.3, tip_sd_along_px=0.4, tip_sd_across_px=0.2, length_px=180.0,
        confidence=1.0,
    )  # fmt: skip
    corrected = CurveDoubt().correct(needle)
    assert corrected.tip == pytest.approx(TIP)
    assert corrected.tip_sd_along_px > needle.tip_sd_along_px
