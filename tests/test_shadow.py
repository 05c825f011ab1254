"""The shadow of metal: attenuation, light, blur, logarithm."""

import numpy as np
import pytest

from marrowpoint.fluoroscopy.shadow import cross_sections, logged, shown


@pytest.mark.parametrize("k", [0.5, 1.5, 3.0])
def test_the_logarithm_undoes_attenuation_where_nothing_is_scattered(k):
    thickness = np.linspace(0, 1, 21)
    assert logged(shown(thickness, k), float(np.exp(-k))) == pytest.approx(thickness, abs=1e-12)


def test_where_metal_takes_hardly_any_light_the_logarithm_changes_nothing():
    dark = np.linspace(0, 1, 21)
    assert logged(dark, 1.0) == pytest.approx(dark)
    assert logged(dark, 0.999) == pytest.approx(dark, abs=1e-3)


def half_height(profile, step):
    rest = profile / profile[0]
    last = int(np.flatnonzero(rest > 0.5)[-1])
    return step * (last + (rest[last] - 0.5) / (rest[last] - rest[last + 1]))


def test_blur_eats_the_more_of_a_shadow_the_less_light_is_left_behind_metal():
    across, radius = np.arange(-40, 41) * 0.25, np.array([6.0])
    profiles, keys = cross_sections(across, radius, (3.0,), (1.0, 0.6, 0.35, 0.1))
    seen = {}
    for profile, (_, blur, _, floor) in zip(profiles[::2], keys[::2], strict=True):  # solid rods only
        seen[blur, floor] = half_height(profile, 0.25)
    for blur in (0.7, 1.4):
        widths = [seen[blur, floor] for floor in (1.0, 0.6, 0.35, 0.1)]
        assert widths == sorted(widths, reverse=True)
        assert max(widths) < radius[0]
    assert seen[1.4, 0.1] < seen[0.7, 0.1]


def test_the_profile_of_a_sharp_rod_is_its_chord():
    across, radius = np.arange(-60, 61) * 0.5, np.array([20.0])
    k = 0.05
    profile = cross_sections(across, radius, (k,), (float(np.exp(-k)),))[0][0]
    half = across[len(across) // 2 :]
    inside = half < 16
    assert profile[inside] == pytest.approx(np.sqrt(1 - (half[inside] / 20) ** 2), abs=0.01)
