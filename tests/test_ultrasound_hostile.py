"""Pictures that mislead: what is drawn over them, what throws no shadow, what is no needle and what is more than one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ultrasound_frames import assessed, bone_errors_mm, scanned, tip_error_mm

from marrowpoint.phantom.ultrasound import UltrasoundScene
from marrowpoint.verdict import Code

ABOVE = UltrasoundScene(tip=(34.0, 6.0), seed=11)
EMPTY = replace(ABOVE, tip=None)


def test_a_biopsy_guide_is_no_needle() -> None:
    assert scanned(replace(EMPTY, guide=(20.0, 30.0))).pixels.max() == 1.0
    a = assessed(replace(EMPTY, guide=(20.0, 30.0)))
    assert a.needle is None
    assert a.cortex is not None


def test_a_needle_beside_a_biopsy_guide_is_measured() -> None:
    scene = replace(ABOVE, guide=(20.0, 30.0))
    a = assessed(scene)
    assert a.verdict.code is Code.ABOVE_CORTEX
    assert tip_error_mm(scene, a) < 1.5


def test_gel_over_the_skin_hides_neither_bone_nor_needle() -> None:
    scene = replace(ABOVE, gel_mm=6.0)
    a = assessed(scene)
    assert a.cortex is not None
    assert bone_errors_mm(scene, a)[0] < 0.5
    assert a.needle is not None
    assert tip_error_mm(scene, a) < 1.0


def test_gel_without_bone_is_no_bone() -> None:
    assert assessed(replace(EMPTY, gel_mm=8.0, peak=None)).cortex is None


@pytest.mark.parametrize("gauge_mm", [1.83, 4.19])
def test_the_far_wall_of_a_thick_needle_is_no_second_needle(gauge_mm: float) -> None:
    scene = replace(ABOVE, gauge_mm=gauge_mm)
    a = assessed(scene)
    assert a.needle is not None
    assert tip_error_mm(scene, a) < 1.5
    assert a.verdict.code is Code.ABOVE_CORTEX


def test_layers_below_a_phased_probe_are_no_needle() -> None:
    scene = UltrasoundScene(
        radius_mm=2.0, half_angle_deg=42.0, depth_mm=120.0, mm_per_px=(0.3, 0.3), shape=(480, 640), peak=(65.0, 0.0),
        fascia_mm=(12.0, 20.0), seed=3,
    )  # fmt: skip
    a = assessed(scene)
    assert a.needle is None
    assert a.cortex is not None


def test_a_shaft_that_goes_on_to_the_bone_behind_a_gap_is_not_called_above_it() -> None:
    bone = UltrasoundScene(peak=(42.0, 0.0), slope=1.4, crest_mm=12.0)
    depth = float(bone.surface_depth(np.array([2.0]))[0])
    for gauge_mm, lean_deg in ((0.0, -20.0), (4.19, -20.0), (4.19, 35.0)):
        scene = replace(bone, tip=(depth + 0.3, 2.0), lean_deg=lean_deg, gauge_mm=gauge_mm, gaps=((4.5, 10.0),), seed=5)
        a = assessed(scene)
        assert a.verdict.code is not Code.ABOVE_CORTEX


def test_a_shaft_with_a_full_shadow_is_no_bone() -> None:
    scene = replace(ABOVE, needle_shadow=0.05, lean_deg=45.0)
    a = assessed(scene)
    assert a.needle is not None
    assert a.cortex is not None
    points = np.vstack(a.cortex.lines)
    axis = np.array(a.needle.axis)
    off = np.abs((points - a.needle.tip) @ np.array([-axis[1], axis[0]])) * 0.22
    along = (points - a.needle.tip) @ axis * 0.22
    assert not ((off < 1.5) & (along > 3.0)).any()


def test_the_picture_on_its_head_is_refused_also_as_it_is_scanned() -> None:
    a = assessed(replace(ABOVE, upside_down=True), region=False)
    assert a.verdict.code is Code.NOT_ASSESSABLE
    assert "upside_down" in [reason.code for reason in a.verdict.reasons]
