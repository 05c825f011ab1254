"""Registration: known shifts, turns and gains come back; motion that is not rigid is told as residual."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import bone_like, disc, shifted

from marrowpoint.runs.register import Alignment, _solve, align, make_template

REGION = np.zeros((256, 256), bool)
REGION[30:-30, 30:-30] = True


@pytest.mark.parametrize(("down", "right", "turn"), [(0.3, -0.7, 0.0), (3.4, 1.2, 0.5), (-2.6, 4.1, -0.8)])
def test_finds_shift_and_turn(down: float, right: float, turn: float) -> None:
    picture = bone_like(1)
    rng = np.random.default_rng(5)
    template = make_template(picture, REGION)
    assert template is not None
    moved = shifted(picture, down, right, turn) + rng.normal(0, 0.01, picture.shape)
    found = align(template, moved.astype(np.float32))
    for point in ((60.0, 60.0), (128.0, 128.0), (190.0, 80.0)):
        middle, angle = 127.5, np.radians(turn)
        r, c = point[0] - middle, point[1] - middle
        # OpenCV turns counter-clockwise for positive angles
        truth = middle + down + r * np.cos(angle) - c * np.sin(angle), middle + right + r * np.sin(angle) + c * np.cos(angle)
        assert np.hypot(found.move(point)[0] - truth[0], found.move(point)[1] - truth[1]) < 0.1


def test_brightness_is_told_from_motion() -> None:
    picture = bone_like(2)
    template = make_template(picture, REGION)
    assert template is not None
    columns = np.arange(256, dtype=np.float32)[None, :]
    found = align(template, (1.2 * picture + 0.05 + 0.0002 * columns).astype(np.float32))
    assert np.hypot(*found.shift_px) < 0.02
    assert found.gain == pytest.approx(1.2, abs=0.01)
    assert np.abs(found.apply((1.2 * picture + 0.05 + 0.0002 * columns).astype(np.float32)) - picture)[REGION].max() < 0.005


def test_contrast_does_not_move_the_bone() -> None:
    picture = bone_like(3)
    template = make_template(picture, REGION)
    assert template is not None
    found = align(template, picture + disc(110, 140, 22, density=0.25))
    assert np.hypot(*found.shift_px) < 0.05


def test_motion_that_differs_from_place_to_place_is_residual() -> None:
    picture = bone_like(4)
    template = make_template(picture, REGION)
    assert template is not None
    still = align(template, picture)
    torn = np.vstack([shifted(picture, 0, 1.2)[:128], shifted(picture, 0, -1.2)[128:]])
    moved = align(template, torn)
    assert still.residual_px is not None and still.residual_px < 0.05
    # beyond what the default profile lets pass
    assert moved.residual_px is not None and moved.residual_px > 0.3


def test_the_normal_equations_are_those_of_weighted_least_squares() -> None:
    template = make_template(bone_like(6), REGION)
    assert template is not None
    rng = np.random.default_rng(2)
    truth = rng.normal(size=7) / template.scales
    weights = rng.uniform(0.2, 1.0, len(template.values))
    # what the unknowns make of the picture comes back, whatever the weights
    assert _solve(template, template.design @ truth, weights) * template.scales == pytest.approx(
        truth * template.scales, abs=1e-3
    )


def test_move_and_back_are_inverse() -> None:
    pose = Alignment(shift_px=(3.0, -2.0), turn_rad=0.05, centre=(100.0, 120.0))
    there = pose.move((40.0, 70.0))
    assert pose.back(there) == pytest.approx((40.0, 70.0))
    large = pose.scaled(3.0)
    # pixel (r, c) of the small picture covers (3 r + 1, 3 c + 1) of the large one
    assert large.move((121.0, 211.0)) == pytest.approx((3 * there[0] + 1, 3 * there[1] + 1))


def test_a_flat_region_gives_no_template() -> None:
    assert make_template(np.full((128, 128), 0.5, np.float32), np.ones((128, 128), bool)) is None
