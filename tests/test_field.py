"""Field of view and polarity."""

import cv2
import numpy as np
import pytest
from projected_needle import collimated, frame_of, needle_picture

from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.candidates import find_bars
from marrowpoint.fluoroscopy.field import find_exposure, find_field

PICTURE = needle_picture()


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("kind", ["circle", "rectangle"])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_collimated_field_is_found(kind, level):
    pixels, field = collimated(PICTURE, kind, level)
    assert overlap(find_field(pixels, np.ones(field.shape, bool)), field) > 0.97


def test_all_four_blades_are_found():
    """The border has two points a row, left and right: a sample of them must not be all left."""
    rng = np.random.default_rng(3)
    pixels = np.ones((512, 512), np.float32)
    field = np.zeros(pixels.shape, bool)
    field[30:470, 40:500] = True
    pixels[field] = rng.uniform(0.2, 0.7, field.sum())
    assert overlap(find_field(pixels, np.ones(field.shape, bool)), field) > 0.98


def test_an_open_frame_is_all_field():
    assert find_field(PICTURE, np.ones(PICTURE.shape, bool)).all()


def test_saturated_air_that_fades_stays_field():
    columns = np.arange(512, dtype=np.float32)[None, :]
    pixels = np.clip(PICTURE * np.clip((columns - 120) / 250, 0, 1), 0, 1)
    assert find_field(pixels, np.ones(pixels.shape, bool))[:, :100].mean() > 0.95


def test_a_shutter_is_not_field():
    valid = np.ones(PICTURE.shape, bool)
    valid[:, :90] = False
    field = find_field(PICTURE, valid)
    assert not field[:, :90].any()
    assert field[:, 100:].mean() > 0.95


def test_burned_in_text_is_cut_out_and_the_needle_is_not():
    pixels = needle_picture(contrast=0.6, noise=0.03)
    drawn = np.zeros(pixels.shape, np.uint8)
    cv2.putText(drawn, "L", (430, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 4, cv2.LINE_8)
    pixels[drawn > 0] = 1.0
    field = find_field(pixels, np.ones(pixels.shape, bool))
    assert field[drawn > 0].mean() < 0.05
    assert field[250:330, 262:420].all()


@pytest.mark.parametrize("kind", ["open", "circle"])
def test_inverting_changes_only_the_word_inverted(kind):
    pixels = PICTURE if kind == "open" else collimated(PICTURE, kind)[0]
    one, other = find_exposure(frame_of(pixels)), find_exposure(frame_of(1 - pixels))
    assert not one.inverted
    assert other.inverted
    assert np.array_equal(one.field, other.field)
    assert np.allclose(one.attenuation[one.field], other.attenuation[one.field], atol=1e-5)


@pytest.mark.parametrize("turn", [1, 2, 3, "flip"])
def test_turning_turns_the_field(turn):
    pixels, _ = collimated(PICTURE, "circle")
    move = np.fliplr if turn == "flip" else lambda a: np.rot90(a, turn)
    one, other = find_exposure(frame_of(pixels)), find_exposure(frame_of(move(pixels)))
    assert one.inverted == other.inverted
    assert overlap(move(one.field), other.field) > 0.98


def test_eight_bits_are_enough():
    coarse = np.round(PICTURE * 255).astype(np.float32) / 255
    one, other = find_exposure(frame_of(PICTURE)), find_exposure(frame_of(coarse))
    assert one.inverted == other.inverted
    assert overlap(one.field, other.field) > 0.98


def test_an_empty_frame_is_not_assessable():
    with pytest.raises(NotAssessable) as caught:
        find_exposure(frame_of(np.zeros((256, 256), np.float32)))
    assert caught.value.code == "no_field"


@pytest.mark.parametrize("inverted", [False, True])
def test_the_bars_that_settled_the_polarity_are_those_of_the_attenuation(inverted):
    exposure = find_exposure(frame_of(1 - PICTURE if inverted else PICTURE))
    assert exposure.bars
    anew = find_bars(exposure.attenuation, exposure.field, signs=(True,))
    best, again = exposure.bars[0], anew[0]
    assert best.bright
    assert np.hypot(best.centre[0] - again.centre[0], best.centre[1] - again.centre[1]) < 4
    assert best.score == pytest.approx(again.score, abs=0.02)
    # 250, 260 is the tip and the shaft leaves it at 25 degrees
    along = np.array([np.sin(np.radians(25.0)), np.cos(np.radians(25.0))])
    assert abs(best.direction @ along) > np.cos(np.radians(5))
    gap = np.subtract(best.centre, (250.0, 260.0))
    assert abs(gap[0] * along[1] - gap[1] * along[0]) < 5
