"""A drift of brightness behind a display curve is taken away grey by grey; contrast stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import disc, line

from marrowpoint.runs.tone import Greys

SIDE = 128


def stepped() -> np.ndarray:
    """A body over air: slow relief with a step at column 40, attenuation 0 to 1."""
    rows, columns = np.indices((SIDE, SIDE)) / SIDE
    body = 0.35 + 0.3 * rows + 0.2 * np.sin(6 * columns)
    return np.where(columns * SIDE < 40, 0.05 + 0.03 * rows, body).astype(np.float32)


def shown(log: np.ndarray, curve: float) -> np.ndarray:
    """Through a display curve that is steeper in the middle."""
    return (0.5 + 0.5 * np.tanh(curve * (log - 0.5)) / np.tanh(curve / 2)).astype(np.float32)


@pytest.mark.parametrize("drift", [0.03, -0.05])
def test_a_drift_behind_a_curve_leaves_no_step(drift: float) -> None:
    mask = shown(stepped(), 2.0)
    difference = shown(stepped() + drift, 2.0) - mask
    inside = np.ones_like(mask, bool)
    step = difference[:, 40:].mean() - difference[:, :40].mean()
    assert abs(step) > 0.2 * abs(drift)
    left = Greys.of(mask, inside).level(difference)
    assert abs(float(left[:, 40:50].mean() - left[:, 30:40].mean())) < 0.05 * abs(drift)
    # the curve still bends within a class, most in the lightest and the darkest
    assert np.quantile(np.abs(left), 0.95) < 0.1 * abs(drift)


def test_contrast_keeps_its_height() -> None:
    mask = shown(stepped(), 2.0)
    contrast = np.maximum(disc(60.0, 80.0, 12.0, 0.2, SIDE), line([(60.0, 80.0), (110.0, 110.0)], 3, 0.05, SIDE))
    noise = np.random.default_rng(0).normal(0, 0.01, mask.shape)
    left = Greys.of(mask, np.ones_like(mask, bool)).level(
        (shown(stepped() + 0.03, 2.0) - mask + contrast + noise).astype(np.float32)
    )
    there = contrast > 0.19
    assert left[there].mean() == pytest.approx(contrast[there].mean(), rel=0.03)
    assert abs(float(left[contrast == 0].mean())) < 0.002


def test_only_what_can_be_trusted_counts() -> None:
    """Beyond the field values say nothing of the drift."""
    mask = shown(stepped(), 2.0)
    inside = np.zeros_like(mask, bool)
    inside[:, 20:] = True
    difference = np.where(inside, 0.02, 5.0).astype(np.float32)
    assert np.abs(Greys.of(mask, inside).level(difference)[inside]).max() < 1e-6


def test_a_field_of_a_few_pixels_is_left_as_it_is() -> None:
    mask = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    difference = np.random.default_rng(1).normal(0, 1, (7, 7)).astype(np.float32)
    assert np.array_equal(Greys.of(mask, np.ones_like(mask, bool)).level(difference), difference)
