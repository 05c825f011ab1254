"""Ultrasound by hand, against the phantom's truth."""

from __future__ import annotations

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from ultrasound_frames import PROFILE, assessed, scanned

from marrowpoint.errors import NotAssessable
from marrowpoint.judge import not_assessable
from marrowpoint.measurement import Unit
from marrowpoint.needle import TipVisibility
from marrowpoint.phantom.ultrasound import UltrasoundScene
from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections, KnownLength
from marrowpoint.verdict import Code, Flag

SCENE = UltrasoundScene(tip=(34.0, 6.0))
MM = np.array(SCENE.mm_per_px)


def by_hand(**fields) -> Corrections:
    return Corrections().changed(by="A. Reader", **fields)


def true_gap_mm(tip) -> float:
    return float(np.hypot(*((scanned(SCENE).surface - np.array(tip)) * MM).T).min())


def test_a_tip_put_on_the_truth_gives_the_true_gap():
    base, tip = assessed(SCENE), tuple(map(float, scanned(SCENE).tip))
    found = reassess(base, by_hand(tip=tip), PROFILE)
    distance = found.placement.tip_to_cortex
    assert found.verdict.code is Code.ABOVE_CORTEX
    assert distance.lower <= -true_gap_mm(tip) <= distance.upper
    assert distance.value == pytest.approx(-true_gap_mm(tip), abs=0.8)
    assert found.cortex is base.cortex
    assert found.needle.tip_sd_along_px == pytest.approx(PROFILE.review.hand_point_sd_mm / np.sqrt(MM.prod()), rel=0.01)


def test_a_tip_at_the_bone_is_never_said_to_be_in_it():
    surface = scanned(SCENE).surface
    for deeper_mm in (0.5, 5.0):
        tip = surface[len(surface) // 2] + np.array([deeper_mm, 0.0]) / MM
        found = reassess(assessed(SCENE), by_hand(tip=tuple(map(float, tip))), PROFILE)
        assert found.verdict.code is Code.AT_OR_BEYOND_CORTEX
        assert found.placement.tip_to_cortex.value == 0.0


def test_a_surface_drawn_higher_is_nearer():
    base = assessed(SCENE)
    surface = scanned(SCENE).surface
    order = np.argsort(surface[:, 1])
    line = surface[order][:: max(len(order) // 40, 1)].astype(float)
    there = reassess(base, by_hand(outline=(line,)), PROFILE)
    gap = -there.placement.tip_to_cortex.value
    assert gap == pytest.approx(true_gap_mm(base.needle.tip), abs=0.5)
    higher = reassess(base, by_hand(outline=(line - np.array([3.0, 0.0]) / MM,)), PROFILE)
    assert -higher.placement.tip_to_cortex.value == pytest.approx(gap - 3.0, abs=1.0)
    middle = line[len(line) // 2]
    assert there.cortex.contains((middle[0] + 5, middle[1])) and not there.cortex.contains((middle[0] - 5, middle[1]))


def test_what_does_not_touch_the_measurement_changes_no_verdict():
    base = assessed(SCENE)
    found = reassess(base, by_hand(side="L"), PROFILE)
    assert (found.verdict, found.frame.side) == (base.verdict, "L")
    assert found.placement.tip_to_cortex == base.placement.tip_to_cortex


def test_a_turned_shaft_keeps_what_was_seen_of_its_tip():
    whole = assessed(SCENE)
    base = replace(whole, needle=replace(whole.needle, out_of_plane=True, tip_visibility=TipVisibility.FAINT))
    found = reassess(base, by_hand(far_end=(10.0, whole.needle.tip[1])), PROFILE)
    assert (found.needle.out_of_plane, found.needle.tip_visibility) == (True, TipVisibility.FAINT)
    assert Flag.OUT_OF_PLANE in found.verdict.flags
    assert reassess(base, by_hand(tip=whole.needle.tip), PROFILE).needle.tip_visibility is None


def test_a_known_length_scales_an_ultrasound_frame():
    base = assessed(SCENE)
    known = KnownLength(start=(100.0, 100.0), end=(300.0, 100.0), length_mm=200 * MM[0] * 1.1)
    found = reassess(base, by_hand(scale=known), PROFILE)
    assert found.placement.tip_to_cortex.unit is Unit.MM
    assert found.placement.tip_to_cortex.value == pytest.approx(1.1 * base.placement.tip_to_cortex.value, rel=0.01)


def test_what_is_still_missing_is_told():
    whole = assessed(SCENE)
    verdict = not_assessable(NotAssessable("no_needle", "no needle was found"))
    without = replace(whole, needle=None, cortex=None, placement=None, verdict=verdict)
    assert reassess(without, by_hand(side="L"), PROFILE).verdict == verdict
    tip = whole.needle.tip
    far = tuple(tip[k] + whole.needle.length_px * whole.needle.axis[k] for k in (0, 1))
    only_needle = reassess(without, by_hand(tip=tip, far_end=far), PROFILE)
    assert only_needle.verdict.reasons[0].code == "no_bone"
    only_bone = reassess(without, by_hand(outline=whole.cortex.lines), PROFILE)
    assert only_bone.verdict.reasons[0].code == "no_needle"
    both = reassess(without, by_hand(tip=tip, far_end=far, outline=whole.cortex.lines), PROFILE)
    assert both.placement.tip_to_cortex.value == pytest.approx(whole.placement.tip_to_cortex.value, abs=0.05)
    outside = reassess(without, by_hand(tip=tip, far_end=far, outline=(np.array([[-50.0, -50.0], [-50.0, -40.0]]),)), PROFILE)
    assert outside.verdict.reasons[0].code == "open_outline"


def test_a_drag_is_quick():
    base, tip = assessed(SCENE), assessed(SCENE).needle.tip
    reassess(base, by_hand(tip=tip), PROFILE, quick=True)
    start = process_time()
    for k in range(10):
        reassess(base, by_hand(tip=(tip[0] - k, tip[1])), PROFILE, quick=True)
    assert (process_time() - start) / 10 < 0.060
