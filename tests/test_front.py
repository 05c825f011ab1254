"""The width of a shaft along its length: a thinner front, perspective, burnt-out air, and a piece too short to tell."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from marrowpoint.fluoroscopy.front import follow_width
from marrowpoint.fluoroscopy.section import fit_section
from marrowpoint.fluoroscopy.shaft import Shaft

WIDTH, SHAPE = 16.0, (160, 420)
TIP = (80.0, 60.0)
LEFT = 0.6  # light behind the middle of the shaft: scatter of one and a half primaries, blurred before the logarithm


def picture(width_at, *, seed=0, noise=0.012):
    """A shaft along the row of `TIP` whose width [px] is a function of the distance behind the tip, with a short cone."""
    fine = 4
    rows, columns = np.indices((SHAPE[0] * fine, SHAPE[1]), dtype=np.float32)
    across, along = (rows + 0.5) / fine - 0.5 - TIP[0], columns - TIP[1]
    radius = np.maximum(width_at(along), 1e-3) / 2 * np.clip(along / WIDTH, 0, 1)
    thickness = np.sqrt(np.clip(radius**2 - across**2, 0, None)) * 2 / WIDTH
    thickness = cv2.resize(thickness, SHAPE[::-1], interpolation=cv2.INTER_AREA)
    taken = (1 - np.exp(-3 * thickness)) / (1 - np.exp(-3))
    light = np.exp(-0.45) * (1 - (1 - LEFT) * taken)
    grain = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32), (0, 0), 0.6) * 2
    dark = -np.log(cv2.GaussianBlur(light.astype(np.float32), (0, 0), 1.1))
    return np.clip(dark + noise * grain, 0, 1).astype(np.float32)


def shaft(length=330.0, width=WIDTH):
    return Shaft(
        origin=TIP,
        axis=(0.0, 1.0),
        start_px=3.0,
        stop_px=length,
        width_px=0.95 * width,
        width_sd_px=0.4,
        angle_sd_rad=0.001,
        across_sd_px=0.1,
        support=4.0,
    )


def mirrored(pixels, one):
    start, stop = -one.stop_px, -one.start_px
    return np.ascontiguousarray(pixels[:, ::-1]), replace(
        one, origin=(TIP[0], SHAPE[1] - 1 - TIP[1]), start_px=start, stop_px=stop
    )


@pytest.mark.parametrize("at_stop", [False, True])
@pytest.mark.parametrize("share", [0.8, 0.87])
def test_the_declared_width_is_that_behind_a_thinner_front(share, at_stop):
    pixels, one = picture(lambda s: np.where(s < 48, share * WIDTH, WIDTH)), shaft()
    if at_stop:
        pixels, one = mirrored(pixels, one)
    course = follow_width(pixels, one, at_stop=at_stop)
    assert course.full_px == pytest.approx(48, abs=15)
    section = fit_section(pixels, one, at_stop=at_stop)
    assert section.width_px == pytest.approx(WIDTH, rel=0.06)
    # the tip is fitted with what is there
    assert 2 * section.radius_px == pytest.approx(share * WIDTH, rel=0.08)


def test_an_even_shaft_has_no_front():
    for seed in range(6):
        course = follow_width(picture(lambda s: WIDTH + 0 * s, seed=seed, noise=0.03), shaft(), at_stop=False)
        assert course.full_px is None
        assert abs(course.taper) < 3 * course.taper_sd


@pytest.mark.parametrize("taper", [-0.01, -0.006, 0.006, 0.01])
def test_perspective_is_no_front_and_the_width_is_that_at_the_tip(taper):
    pixels = picture(lambda s: WIDTH * (1 + taper * s / WIDTH))
    course = follow_width(pixels, shaft(), at_stop=False)
    assert course.full_px is None
    assert course.taper == pytest.approx(taper, abs=0.0025)
    assert fit_section(pixels, shaft(), at_stop=False).width_px == pytest.approx(WIDTH, rel=0.05)


def test_a_short_stub_may_be_front_only():
    pixels = picture(lambda s: 0.88 * WIDTH + 0 * s)
    stub = fit_section(pixels, shaft(length=60.0, width=0.88 * WIDTH), at_stop=False)
    assert abs(stub.width_px - WIDTH) < 2 * stub.width_sd_px
    long = fit_section(pixels, shaft(width=0.88 * WIDTH), at_stop=False)
    assert long.width_sd_px < 0.7 * stub.width_sd_px


def test_a_short_stub_may_be_front_only_or_not_and_is_never_too_wide():
    pictures = {share: picture(lambda s, share=share: share * WIDTH + 0 * s) for share in (1.0, 0.86)}
    even, front = (
        fit_section(pixels, shaft(length=60.0, width=share * WIDTH), at_stop=False) for share, pixels in pictures.items()
    )
    for stub in (even, front):
        assert abs(stub.width_px - WIDTH) < 2 * stub.width_sd_px
    # what lies behind a front is wider than it, never thinner
    assert front.width_px > 1.03 * 0.86 * WIDTH


def test_burnt_out_air_is_not_taken_for_perspective():
    pixels = picture(lambda s: WIDTH + 0 * s)
    air = np.clip((np.arange(SHAPE[1]) - TIP[1] - 90) / 80, 0, 1)[None, :]  # the air burns out away from the tip
    burnt = np.clip((1 + 1.2 * air) * pixels - 1.2 * air, 0, 1).astype(np.float32)
    course = follow_width(burnt, shaft(), at_stop=False)
    assert (burnt[30:50, -100:] < 0.004).mean() > 0.2
    assert abs(course.taper) < 3 * course.taper_sd
    assert fit_section(burnt, shaft(), at_stop=False).width_px == pytest.approx(WIDTH, rel=0.05)


def test_rows_in_burnt_out_air_do_not_make_a_shaft_thin():
    pixels = picture(lambda s: WIDTH + 0 * s)
    burnt = pixels.copy()
    burnt[:, 110:] = np.clip(2.2 * burnt[:, 110:] - 1.2, 0, 1)  # air at nothing, half of the shaft's height cut away
    whole, cut = (fit_section(each, shaft(), at_stop=False).width_px for each in (pixels, burnt))
    assert cut == pytest.approx(whole, rel=0.04)


def test_a_shaft_in_burnt_out_air_alone_is_doubted():
    lit = picture(lambda s: WIDTH + 0 * s)
    burnt = np.clip(2.2 * lit - 1.2, 0, 1).astype(np.float32)
    seen, cut = (fit_section(each, shaft(), at_stop=False) for each in (lit, burnt))
    assert cut.width_sd_px > 1.3 * seen.width_sd_px
    assert abs(cut.width_px - WIDTH) < 2 * cut.width_sd_px
