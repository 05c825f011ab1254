"""Outlines of drawn bones: found from a coarse prior, placed on the true edge, honest where there is none."""

from __future__ import annotations

from time import process_time

import cv2
import numpy as np
import pytest

from marrowpoint.cortex import BonePrior
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.segment import segment_bone
from marrowpoint.needle import Needle

SIZE = 512
CENTRE, RADIUS = (256.0, 256.0), 150.0
MM_PER_PX = 0.4


def depth_image(centre=CENTRE, radius=RADIUS, size=SIZE):
    rows, columns = np.indices((size, size))
    return radius - np.hypot(rows - centre[0], columns - centre[1])


def picture(depth, contrast=0.3, noise=0.01, seed=1):
    """A bone with a rounded rim in a slanting background: attenuation begins with the root of the depth; a shell of 1.3 mm."""
    mm = np.maximum(depth, 0) * MM_PER_PX
    inner = np.maximum(mm - 1.3, 0)
    chord = np.sqrt(mm) - 0.7 * np.sqrt(inner)
    rng = np.random.default_rng(seed)
    slope = np.linspace(0.2, 0.4, depth.shape[0])[:, None]
    blurred = cv2.GaussianBlur((slope + contrast * 0.3 * chord).astype(np.float32), (0, 0), 1.0)
    return np.clip(blurred + rng.normal(0, noise, depth.shape), 0, 1).astype(np.float32)


def exposure(attenuation, field=None):
    field = np.ones(attenuation.shape, bool) if field is None else field
    return Exposure(attenuation=attenuation, field=field, inverted=False, polarity_confidence=1.0)


def prior(depth, shift=(0, 0), cells=128, agreement=0.95, extra=None):
    mask = np.roll(depth > 0, shift, axis=(0, 1)).astype(np.float32)
    hip = cv2.GaussianBlur(cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    if extra is not None:
        hip = np.maximum(hip, extra)
    none = np.zeros_like(hip)
    return BonePrior(hip=hip, other_bone=none, shaft=none, tip=none, thickness=None, agreement=agreement,
                     frame_shape=depth.shape, model_sha256="0" * 64)  # fmt: skip


NEEDLE = Needle(tip=(256.0, 350.0), axis=(0.0, 1.0), width_px=8.0, width_sd_px=0.2, tip_sd_along_px=1.0, tip_sd_across_px=0.3,
                length_px=200.0, confidence=0.95)  # fmt: skip


def with_needle(attenuation, needle=NEEDLE):
    drawn = attenuation.copy()
    drawn[needle.footprint(attenuation.shape, margin_px=0)] = 1.0
    return drawn


def away_from_rim(cortex, centre=CENTRE, radius=RADIUS):
    points = np.concatenate(cortex.lines)
    return np.hypot(points[:, 0] - centre[0], points[:, 1] - centre[1]) - radius


def test_a_shifted_prior_is_moved_onto_the_true_surface():
    depth = depth_image()
    cortex = segment_bone(exposure(with_needle(picture(depth))), NEEDLE, prior(depth, shift=(3, 4)))
    error = away_from_rim(cortex)
    assert np.median(np.abs(error)) * MM_PER_PX < 0.25
    assert np.abs(error).max() * MM_PER_PX < 1.5
    assert cortex.edge_sd_px < 3
    assert cortex.confidence > 0.7


def test_mask_and_line_agree():
    depth = depth_image()
    cortex = segment_bone(exposure(picture(depth)), None, prior(depth))
    assert abs(cortex.bone.sum() / (np.pi * RADIUS**2) - 1) < 0.01
    inside = np.concatenate(cortex.lines) * 0.97 + np.array(CENTRE) * 0.03
    assert all(cortex.contains((r, c)) for r, c in inside)


def test_without_an_edge_the_prior_stays_and_says_how_vague_it_is():
    depth = depth_image()
    rng = np.random.default_rng(3)
    nothing = exposure((0.4 + rng.normal(0, 0.01, depth.shape)).astype(np.float32))
    cortex = segment_bone(nothing, NEEDLE, prior(depth))
    assert np.abs(away_from_rim(cortex)).max() < cortex.edge_sd_px
    seen = segment_bone(exposure(with_needle(picture(depth))), NEEDLE, prior(depth))
    assert cortex.edge_sd_px > 1.5 * seen.edge_sd_px


def test_the_edge_of_the_field_is_no_cortex():
    depth = depth_image(centre=(256.0, 480.0))
    field = np.ones((SIZE, SIZE), bool)
    field[:, 400:] = False
    cortex = segment_bone(exposure(picture(depth), field), None, prior(depth))
    points = np.concatenate(cortex.lines)
    assert points[:, 1].max() < 399
    assert not cortex.bone[:, 400:].any()
    assert np.median(np.abs(away_from_rim(cortex, (256.0, 480.0)))) < 1.0


def test_the_border_of_the_picture_is_no_cortex():
    depth = depth_image(centre=(256.0, 512.0))
    cortex = segment_bone(exposure(picture(depth)), None, prior(depth))
    assert np.concatenate(cortex.lines)[:, 1].max() < SIZE - 2
    assert cortex.bone[:, -1].any()


def test_specks_go_and_holes_fill():
    depth = depth_image()
    hip = prior(depth)
    speck = np.zeros((128, 128), np.float32)
    speck[5:9, 5:9] = 1.0
    hole = hip.hip.copy()
    hole[60:64, 60:64] = 0.0
    spotted = prior(depth, extra=speck)
    assert not segment_bone(exposure(picture(depth)), None, spotted).bone[:60, :60].any()
    hip.hip[:] = hole
    assert segment_bone(exposure(picture(depth)), None, hip).bone[240:256, 240:256].all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_prior_that_finds_nothing_or_everything_is_refused(value):
    depth = depth_image()
    flat = prior(depth)
    flat.hip[:] = value
    with pytest.raises(NotAssessable) as refusal:
        segment_bone(exposure(picture(depth)), NEEDLE, flat)
    assert refusal.value.code == "no_bone"


def test_without_a_prior_no_outline_is_made_up():
    with pytest.raises(NotAssessable) as refusal:
        segment_bone(exposure(picture(depth_image())), NEEDLE, None)
    assert refusal.value.code == "no_bone"


@pytest.mark.parametrize("turn", ["flip", "rotate"])
def test_turning_the_picture_turns_the_outline(turn):
    depth = depth_image(centre=(240.0, 280.0))
    attenuation, coarse = picture(depth), prior(depth, shift=(2, 3))
    change = np.fliplr if turn == "flip" else np.rot90
    turned_prior = prior(depth)
    turned_prior.hip[:] = change(coarse.hip)
    plain = segment_bone(exposure(attenuation), None, coarse)
    turned = segment_bone(exposure(np.ascontiguousarray(change(attenuation))), None, turned_prior)
    differs = turned.bone ^ change(plain.bone)
    assert differs.sum() < 0.005 * plain.bone.sum()


def test_gain_and_level_of_the_display_do_not_matter():
    depth = depth_image()
    plain = segment_bone(exposure(picture(depth)), None, prior(depth, shift=(3, 0)))
    dull = segment_bone(exposure(0.1 + 0.5 * picture(depth)), None, prior(depth, shift=(3, 0)))
    assert np.allclose(plain.lines[0], dull.lines[0], atol=0.05)


def test_it_is_quick():
    depth = depth_image((512.0, 512.0), 350.0, 1024)
    scene, coarse = exposure(picture(depth)), prior(depth)
    segment_bone(scene, NEEDLE, coarse)
    start = process_time()
    segment_bone(scene, NEEDLE, coarse)
    assert process_time() - start < 0.5
