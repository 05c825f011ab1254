"""Where metal ends though its line goes on, and where it does not end though it looks fainter: pictures of known truth."""

import numpy as np
import pytest
from projected_needle import needle_picture
from test_reach import across_of, exposure_of, seen_from

from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.fluoroscopy.metal import end_of_metal

WIDTH, TIP = 14.0, (250.0, 260.0)


def ridge(shape, height, *, ahead=10.0):
    """Bone in line with the needle, as wide as it, from its tip on."""
    along, across = across_of(shape)
    soft = np.clip(WIDTH / 2 + 0.5 - np.abs(across), 0, 1)
    return (height * soft * ((along < 0.3 * WIDTH) & (along > -ahead * WIDTH))).astype(np.float32)


@pytest.mark.parametrize("share", [0.12, 0.22, 0.3])
def test_a_ridge_of_bone_on_its_line_does_not_lengthen_a_needle(share):
    pixels = needle_picture(width=WIDTH, contrast=0.4, noise=0.01, cone=0.8)
    pixels = pixels + ridge(pixels.shape, share * 0.4)
    cut = end_of_metal(pixels, seen_from(-10 * WIDTH, WIDTH), at_stop=False)
    assert abs(cut.start_px) < 1.2 * WIDTH
    assert cut.stop_px == 190.0
    # what of the ridge is taken for the point is less than a width; ten widths without the cut
    tip = locate_needle(exposure_of(pixels)).tip
    assert np.hypot(tip[0] - TIP[0], tip[1] - TIP[1]) < WIDTH


def test_the_other_end_is_cut_alike():
    pixels = needle_picture(width=WIDTH, contrast=0.4, noise=0.01, cone=0.0, length=120.0)
    longer = seen_from(0.0, WIDTH, length=210.0)
    cut = end_of_metal(pixels, longer, at_stop=True)
    assert abs(cut.stop_px - 120.0) < WIDTH
    assert cut.start_px == 0.0


@pytest.mark.parametrize("white", [0.0, 0.15, 0.3])
def test_metal_that_goes_on_over_dense_bone_is_not_cut(white):
    """Over bone shown almost white the same metal adds less and less: it is fainter, and still the darkest there is."""
    pixels = needle_picture(width=WIDTH, contrast=0.35, noise=0.0, cone=0.8)
    along, _ = across_of(pixels.shape)
    bone = (0.35 + white) / (1 + np.exp((along - 80) / 4))
    shown = np.tanh(1.4 * (pixels + bone)) / np.tanh(1.4)
    shown = shown + 0.01 * np.random.default_rng(1).normal(size=shown.shape)
    shaft = seen_from(0.0, WIDTH)
    assert end_of_metal(np.clip(shown, 0, 1).astype(np.float32), shaft, at_stop=False) == shaft


def test_metal_that_goes_on_over_air_is_not_cut():
    pixels = needle_picture(width=WIDTH, contrast=0.35, noise=0.01, cone=0.8)
    along, _ = across_of(pixels.shape)
    pixels = np.clip(pixels - 0.45 / (1 + np.exp((along - 80) / 4)), 0, 1).astype(np.float32)
    shaft = seen_from(0.0, WIDTH)
    assert end_of_metal(pixels, shaft, at_stop=False) == shaft


def test_a_ground_down_front_is_metal():
    """A front of half the thickness, as wires have it, keeps half of the height."""
    thick = needle_picture(width=WIDTH, contrast=0.4, noise=0.0, cone=0.0, tip=(TIP[0] + 25.36, TIP[1] + 54.38))
    thin = needle_picture(width=0.6 * WIDTH, contrast=0.24, noise=0.0, cone=0.8)
    pixels = np.maximum(thick, thin) + 0.01 * np.random.default_rng(2).normal(size=thick.shape)
    shaft = seen_from(0.0, WIDTH)
    assert end_of_metal(pixels.astype(np.float32), shaft, at_stop=False) == shaft


@pytest.mark.parametrize("seed", range(4))
def test_a_faint_needle_in_grain_is_not_cut(seed):
    pixels = needle_picture(width=WIDTH, contrast=0.12, noise=0.06, cone=0.8, seed=seed)
    shaft = seen_from(0.0, WIDTH)
    cut = end_of_metal(pixels, shaft, at_stop=False)
    assert cut.start_px < 0.5 * WIDTH
