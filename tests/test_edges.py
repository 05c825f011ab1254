"""Strips of known pictures."""

import numpy as np
import pytest

from marrowpoint.edges import peak_offset, sample_normals, sample_strip, smooth_along


def ramp(rows: int = 60, columns: int = 80) -> np.ndarray:
    r, c = np.indices((rows, columns), dtype=np.float32)
    return 0.3 * r - 0.2 * c + 5


@pytest.mark.parametrize("angle_deg", [0, 17, 90, 143, 271])
def test_a_strip_of_a_ramp_is_exact(angle_deg):
    a = np.radians(angle_deg)
    axis = (float(np.sin(a)), float(np.cos(a)))
    along, across = np.linspace(-9, 11, 33), np.linspace(-5, 5, 21)
    strip = sample_strip(ramp(), (30.3, 41.7), axis, along, across)
    r = 30.3 + along[:, None] * axis[0] - across[None, :] * axis[1]
    c = 41.7 + along[:, None] * axis[1] + across[None, :] * axis[0]
    assert np.allclose(strip, 0.3 * r - 0.2 * c + 5, atol=1e-4)


def test_outside_the_picture_the_border_goes_on():
    strip = sample_strip(ramp(), (0.0, 0.0), (-1.0, 0.0), np.array([0.0, 10.0]), np.array([0.0]))
    assert np.allclose(strip, 5.0, atol=0.01)


def test_normals_of_a_level_line_equal_a_strip():
    line = np.column_stack([np.full(9, 20.0), np.arange(30.0, 39.0)])
    normals = np.tile([-1.0, 0.0], (9, 1))
    across = np.linspace(-4, 4, 9)
    assert np.allclose(
        sample_normals(ramp(), line, normals, across), sample_strip(ramp(), (20.0, 30.0), (0.0, 1.0), np.arange(9.0), across)
    )


@pytest.mark.parametrize("place", [3.0, 4.3, 5.5, 6.9])
def test_the_peak_of_a_parabola_is_found_exactly(place):
    x = np.arange(11.0)
    assert peak_offset(-((x - place) ** 2)) == pytest.approx(place)


def test_a_peak_at_the_end_stays_there():
    assert peak_offset(np.arange(5.0)) == 4.0


def test_smoothing_keeps_the_mean_and_lowers_the_noise():
    noise = np.random.default_rng(1).normal(size=(400, 7)).astype(np.float32)
    smooth = smooth_along(noise, 5)
    assert smooth.shape == noise.shape
    assert smooth.std() == pytest.approx(noise.std() / np.sqrt(5), rel=0.1)
