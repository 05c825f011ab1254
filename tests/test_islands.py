"""Pieces of needle in burnt-out air."""

import cv2
import numpy as np
import pytest

from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.islands import find_island

WIDTH = 18.0


def burnt(*, angle_deg=10.0, tip=(250.0, 210.0), length=45.0, width=WIDTH, more=()):
    """Body right of column 260, burnt-out air left of it, and pieces of rod in the air whose axis runs away from the body."""
    rows, columns = np.indices((512, 512), dtype=np.float32)
    picture = np.clip((columns - 260) / 200, 0, 0.8)
    for (r0, c0), turn in (((tip), angle_deg), *more):
        a = np.radians(180 + turn)
        along = (rows - r0) * np.sin(a) + (columns - c0) * np.cos(a)
        across = (rows - r0) * np.cos(a) - (columns - c0) * np.sin(a)
        radius = np.clip(along / width, 0, 1) * width / 2
        rod = 2 * np.sqrt(np.clip(radius**2 - across**2, 0, None)) / width
        # the last soft tissue thins out: the rod's shadow sinks below what the detector shows
        picture = np.maximum(picture, np.clip(0.25 * rod - 0.25 * np.clip(along / length, 0, 1), 0, 1))
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.8)
    picture[picture < 0.01] = 0.0
    return Exposure(attenuation=picture, field=np.ones(picture.shape, bool), inverted=False, polarity_confidence=1.0, bars=None)


@pytest.mark.parametrize("angle_deg", [-50.0, 0.0, 10.0, 40.0])
def test_the_end_nearer_the_body_is_the_tip(angle_deg):
    needle = find_island(burnt(angle_deg=angle_deg), expected_width_px=WIDTH)
    assert needle is not None
    away = np.array(needle.tip) - (250.0, 210.0)
    axis = np.array([np.sin(np.radians(180 + angle_deg)), np.cos(np.radians(180 + angle_deg))])
    assert axis @ np.array(needle.axis) > 0.99
    assert abs(away @ axis) < 2 * needle.tip_sd_along_px
    assert needle.confidence > 0.5


def test_without_a_declared_width_it_is_a_suggestion():
    needle = find_island(burnt())
    assert needle is not None
    assert needle.confidence < 0.5


def test_another_width_is_another_thing():
    assert find_island(burnt(), expected_width_px=3 * WIDTH) is None
    assert find_island(burnt(), expected_width_px=0.3 * WIDTH) is None


def test_two_pieces_are_none():
    assert find_island(burnt(more=(((400.0, 210.0), 10.0),)), expected_width_px=WIDTH) is None


def test_a_piece_level_with_the_skin_has_no_end_nearer_the_body():
    assert find_island(burnt(angle_deg=90.0), expected_width_px=WIDTH) is None


@pytest.mark.parametrize("corner", [(0, 0), (511, 0), (3, 100), (508, 100)])
@pytest.mark.parametrize("turn", [-30.0, 0.0, 45.0, 90.0])
def test_a_piece_at_the_border_of_the_frame_does_no_harm(corner, turn):
    exposure = burnt(tip=corner, angle_deg=turn)
    needle = find_island(exposure)
    assert needle is None or np.isfinite(needle.tip).all()


def test_a_line_of_single_pixels_is_none():
    exposure = burnt(length=0.1)
    exposure.attenuation[250, 60:150] = 0.5
    assert find_island(exposure) is None


def test_a_letter_in_air_is_none():
    exposure = burnt(length=0.1)
    drawn = np.zeros(exposure.field.shape, np.uint8)
    cv2.putText(drawn, "H", (100, 250), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 8)
    exposure.attenuation[drawn > 127] = 0.6
    assert find_island(exposure, expected_width_px=WIDTH) is None


def test_shown_air_hides_nothing():
    exposure = burnt()
    exposure.attenuation[:] += np.float32(0.02)
    assert find_island(exposure, expected_width_px=WIDTH) is None
