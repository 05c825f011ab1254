"""First look at a run: copies, changed views, onset and mask."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from run_frames import bone_like, circle_field, disc, make_frame, make_run, renumbered

from marrowpoint.errors import NotAssessable
from marrowpoint.phantom.runs_needle import FlatNeedle
from marrowpoint.runs.onset import find_onset
from marrowpoint.runs.scan import scan_run


def pool(start: int):
    return lambda index: disc(128, 128, min(16.0, 3.0 * (index - start + 1)), 0.15) if index >= start else None


def test_copies_are_told_from_new_frames() -> None:
    frames = make_run(12)
    frames[5] = replace(frames[5], pixels=frames[4].pixels)
    frames[6] = replace(frames[6], pixels=frames[4].pixels)
    assert scan_run(renumbered(frames)).copies == frozenset({5, 6})


@pytest.mark.parametrize("inverted", [False, True])
def test_a_needle_that_comes_late_tells_the_polarity(inverted: bool) -> None:
    rng = np.random.default_rng(0)
    nothing = [make_frame(np.clip(0.5 + rng.normal(0, 0.01, (320, 320)), 0, 1)) for _ in range(12)]
    needle = FlatNeedle(axis=(-0.8, 0.6), outer_diameter_mm=3.05, length_mm=120.0, lean_deg=90.0)
    metal = 0.7 * bone_like(0, 320) + 0.16 * needle.steel_mm((150.0, 160.0), (320, 320), 0.4)
    shown = [circle_field(np.clip(metal + rng.normal(0, 0.008, metal.shape), 0.02, 0.98)) for _ in range(24)]
    frames = [*nothing, *(make_frame(1 - picture if inverted else picture) for picture in shown)]
    assert scan_run(renumbered(frames)).exposure.inverted is inverted


def test_rough_motion_is_followed() -> None:
    frames = make_run(10, shift=lambda i: (1.5 * i, -0.8 * i))
    scan = scan_run(frames)
    down, right = scan.poses[9].shift_px
    assert (down * scan.factor, right * scan.factor) == pytest.approx((13.5, -7.2), abs=0.3)
    assert scan.changes == ()


def test_onset_and_mask() -> None:
    scan = scan_run(make_run(24, pool(12), shift=lambda i: (0.4 * np.sin(i / 3), 0.0)))
    onset = find_onset(scan)
    assert onset.frame is not None and abs(onset.frame - 12) <= 1
    assert len(onset.mask_frames) >= 6 and max(onset.mask_frames) < 12


def test_bright_first_frames_are_no_contrast_and_no_mask() -> None:
    scan = scan_run(make_run(24, pool(14), gain=lambda i: -0.12 if i < 2 else 0.0))
    onset = find_onset(scan)
    assert onset.frame is not None and abs(onset.frame - 14) <= 1
    assert min(onset.mask_frames) >= 2


def test_no_contrast_has_no_onset() -> None:
    assert find_onset(scan_run(make_run(20))).frame is None


def test_contrast_that_only_clears_has_no_mask() -> None:
    frames = make_run(20, lambda i: disc(128, 128, 16, max(0.0, 0.18 - 0.012 * i)))
    with pytest.raises(NotAssessable) as refused:
        find_onset(scan_run(frames))
    assert refused.value.code == "no_mask"


def test_contrast_from_the_beginning_has_no_mask() -> None:
    with pytest.raises(NotAssessable) as refused:
        find_onset(scan_run(make_run(20, pool(1))))
    assert refused.value.code == "no_mask"


def test_too_few_frames() -> None:
    with pytest.raises(NotAssessable) as refused:
        find_onset(scan_run(make_run(3)))
    assert refused.value.code == "too_few_frames"


def test_zoom_and_collimator_changes_are_named() -> None:
    frames = make_run(12)
    zoomed = [
        replace(f, pixels=cv2.resize(f.pixels[40:-40, 40:-40], (256, 256))) if i >= 6 else f for i, f in enumerate(frames)
    ]
    assert [change[0] for change in scan_run(zoomed).changes] == [6]
    other = make_run(12, seed=9)
    mixed = renumbered([*frames[:5], *other[5:]])
    assert scan_run(mixed).changes[0] == (5, "view_changed")


def test_frames_of_different_size_are_refused() -> None:
    frames = make_run(3)
    frames[2] = replace(frames[2], pixels=frames[2].pixels[:200], valid=frames[2].valid[:200])
    with pytest.raises(NotAssessable) as refused:
        scan_run(frames)
    assert refused.value.code == "size_changed"
