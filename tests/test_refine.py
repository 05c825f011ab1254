"""The edge model on drawn rims: the outer surface, not the steepest slope; and nothing where nothing is seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowpoint.fluoroscopy.outline import fill_rings
from marrowpoint.fluoroscopy.refine import CoarseLine, refine_line

MM_PER_PX = 0.2
ROWS, COLUMNS = 300, 240
RIM = 120.3  # column of the true surface; bone on the left of it


def rim(table_mm=1.3, under=0.3, noise=0.01, contrast=0.1, seed=0):
    """Straight rim: attenuation begins with the root of the depth."""
    depth = np.maximum(RIM - np.arange(COLUMNS), 0.0) * MM_PER_PX
    chord = np.sqrt(depth) - (1 - under) * np.sqrt(np.maximum(depth - table_mm, 0))
    row = cv2.GaussianBlur((0.3 + contrast * chord)[None].astype(np.float32), (0, 0), 0.3 / MM_PER_PX)
    noisy = row + np.random.default_rng(seed).normal(0, noise, (ROWS, COLUMNS))
    return noisy.astype(np.float32)


def coarse(offset, sd=8.0, correlation_px=80.0):
    rows = np.arange(20.0, ROWS - 20, 2.5)
    points = np.column_stack([rows, RIM + offset + 0 * rows])
    normals = np.tile([0.0, 1.0], (len(rows), 1))
    return CoarseLine(points=points, normals=normals, sd_px=np.full(len(rows), sd), correlation_px=correlation_px)


NOTHING_HIDDEN = np.zeros((ROWS, COLUMNS), bool)


@pytest.mark.parametrize("offset", [-12.0, -5.0, 0.0, 5.0, 12.0])
@pytest.mark.parametrize(("table_mm", "under"), [(1.0, 0.3), (1.3, 0.3), (1.3, 0.6), (1.8, 0.5)])
def test_the_outer_surface_is_found_to_a_quarter_of_a_millimetre(offset, table_mm, under):
    found = refine_line(rim(table_mm, under), NOTHING_HIDDEN, coarse(offset), MM_PER_PX)
    error_mm = (found.offset_px + offset) * MM_PER_PX
    assert abs(np.median(error_mm)) < 0.25
    assert np.median(found.evidence) > 0.5


def test_it_beats_the_steepest_slope():
    picture = rim(1.3, 0.3, noise=0.002)
    slope = np.diff(cv2.GaussianBlur(picture, (0, 0), 1.0), axis=1)
    steepest = np.median(slope[20:-20].argmin(axis=1)) + 0.5
    found = refine_line(picture, NOTHING_HIDDEN, coarse(4.0), MM_PER_PX)
    assert abs(np.median(found.offset_px) + 4.0) < abs(steepest - RIM)


def test_where_nothing_is_seen_the_prior_stays_with_its_own_doubt():
    flat = (0.4 + np.random.default_rng(1).normal(0, 0.01, (ROWS, COLUMNS))).astype(np.float32)
    found = refine_line(flat, NOTHING_HIDDEN, coarse(0.0), MM_PER_PX)
    assert np.abs(found.offset_px).max() < 4.0
    assert np.median(found.sd_px) > 6.0
    assert np.median(found.evidence) < 0.3


def test_hidden_pixels_say_nothing():
    found = refine_line(rim(), np.ones((ROWS, COLUMNS), bool), coarse(6.0), MM_PER_PX)
    assert np.abs(found.offset_px).max() < 0.2


def test_an_edge_of_the_wrong_direction_is_no_cortex():
    found = refine_line(0.8 - rim(), NOTHING_HIDDEN, coarse(6.0), MM_PER_PX)
    assert abs(np.median(found.offset_px) + 6.0) > 3.0


def test_it_never_moves_farther_than_the_prior_may_err():
    found = refine_line(rim(), NOTHING_HIDDEN, coarse(30.0, sd=3.0), MM_PER_PX)
    assert np.abs(found.offset_px).max() <= 2.5 * 3.0 + 1


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(0.7, 3.0), level=st.floats(-0.5, 0.5), tilt=st.floats(-0.001, 0.001))
def test_gain_level_and_slope_of_the_display_do_not_matter(gain, level, tilt):
    picture = rim()
    shown = (gain * picture + level + tilt * np.arange(COLUMNS)).astype(np.float32)
    plain = refine_line(picture, NOTHING_HIDDEN, coarse(5.0), MM_PER_PX).offset_px
    assert np.allclose(plain, refine_line(shown, NOTHING_HIDDEN, coarse(5.0), MM_PER_PX).offset_px, atol=0.2)


def test_the_truth_lies_within_two_standard_uncertainties_as_often_as_stated():
    """Priors drawn about the truth as they say of themselves, over rims from plain to invisible."""
    rng = np.random.default_rng(5)
    held = []
    for k in range(24):
        wander = np.convolve(rng.standard_normal(400), np.exp(-0.5 * (np.arange(-60, 61) / 20) ** 2), mode="valid")
        line = coarse(0.0)
        offset = (wander / wander.std())[: len(line.points)] * 8.0
        line = CoarseLine(points=line.points + offset[:, None] * line.normals, normals=line.normals, sd_px=line.sd_px,
                          correlation_px=80.0)  # fmt: skip
        found = refine_line(rim(contrast=0.1 * rng.random() ** 2, seed=k), NOTHING_HIDDEN, line, MM_PER_PX)
        held.append(np.abs(found.offset_px + offset) <= 2 * np.hypot(found.sd_px, 0.2 / MM_PER_PX))
    assert np.mean(held) > 0.93


def test_a_closed_line_has_no_seam():
    rows, columns = np.indices((240, 240))
    depth = np.maximum(80 - np.hypot(rows - 120, columns - 120), 0) * MM_PER_PX
    picture = (0.3 + 0.1 * np.sqrt(depth)).astype(np.float32)
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    normals = np.column_stack([np.sin(turn), np.cos(turn)])
    line = CoarseLine(points=120 + 84 * normals, normals=normals, sd_px=np.full(200, 6.0), correlation_px=40.0, closed=True)
    found = refine_line(picture, np.zeros((240, 240), bool), line, MM_PER_PX)
    assert abs(found.offset_px[0] - found.offset_px[-1]) < 0.5
    assert np.ptp(found.offset_px) < 1.5


def test_rings_are_filled_to_the_pixel_and_holes_stay_open():
    square = np.array([[2.0, 2.0], [2.0, 7.0], [7.0, 7.0], [7.0, 2.0]]) - 0.5
    hole = np.array([[4.0, 4.0], [4.0, 5.0], [5.0, 5.0], [5.0, 4.0]]) - 0.5
    filled = fill_rings([square, hole], (10, 10))
    expected = np.zeros((10, 10), bool)
    expected[2:7, 2:7] = True
    expected[4, 4] = False
    assert np.array_equal(filled, expected)
    assert fill_rings([square - 100], (10, 10)).sum() == 0
