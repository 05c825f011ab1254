"""What the picture of an ultrasound frame shows, and what its record says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ultrasound_frames import assessed, scanned

from marrowpoint.phantom.ultrasound import UltrasoundScene
from marrowpoint.report.greys import Window
from marrowpoint.report.marks import draw_marks
from marrowpoint.report.overlay import draw_overlay
from marrowpoint.report.record import frame_record, record_line
from marrowpoint.report.sound import hatching
from marrowpoint.report.words import in_words
from marrowpoint.verdict import Code

ABOVE = UltrasoundScene(tip=(34.0, 6.0))
AT_BONE = UltrasoundScene(tip=(42.2, 2.0))
WINDOW = Window(row=-0.25, column=-0.25, zoom=2.0, line_px=2.0)


def test_the_record_holds_the_way_ahead_and_the_peak() -> None:
    record = frame_record(assessed(ABOVE))
    lengths, points = record["measurements"], record["points"]
    # straight ahead is never shorter than the shortest way
    assert lengths["gap_along_shaft"]["upper"] >= -lengths["tip_to_cortex"]["value"] - 0.01
    peak = np.array(points["crest_peak_xy"])
    true_peak = np.array([0.0, 42.0]) / 0.22 + (240.0, 26.0)
    # the top of a crest is flat: its height is known well, its place across less
    assert abs(peak[1] - true_peak[1]) * 0.22 < 1.0
    assert abs(peak[0] - true_peak[0]) * 0.22 < 4.0
    entry = np.array(points["entry_xy"])
    assert lengths["entry_to_peak"]["value"] == pytest.approx(np.hypot(*(entry - peak)) * 0.22, abs=0.02)
    assert record["needle"]["tip_visibility"] in ("clear", "fair")
    assert record["needle"]["out_of_plane"] is False
    assert "NaN" not in record_line(record)


def test_at_the_bone_nothing_is_said_of_the_way_ahead() -> None:
    a = assessed(AT_BONE)
    record = frame_record(a)
    assert record["measurements"]["gap_along_shaft"] is None
    assert record["needle"]["tip_visibility"] == "hidden"
    assert a.placement is not None
    assert a.placement.tip_to_cortex is not None
    assert in_words("tip_to_cortex", a.placement.tip_to_cortex, sound=True) == ("at surface or deeper", "depth unknown")


def test_a_piece_in_the_plane_is_a_candidate_and_no_needle() -> None:
    record = frame_record(assessed(replace(ABOVE, shown_mm=6.0)))
    assert record["needle"] is None
    if "out_of_plane" in record["verdict"]["flags"]:
        assert record["needle_candidates"]
    else:
        assert not record["needle_candidates"]


def test_the_bone_line_is_open_and_leaves_gaps_open() -> None:
    # the outer beams of the blind stretch have bone on either side
    scene = replace(ABOVE, tip=None, fascia_shadow_deg=(-12.0, -6.0))
    a, truth = assessed(scene), scanned(scene)
    assert a.cortex is not None
    angle = np.degrees(np.arctan2((truth.surface[:, 1] - 240) * 0.22, (truth.surface[:, 0] - 26) * 0.22 + 50))
    blind = truth.surface[(angle > -11) & (angle < -7)]
    line = np.vstack(a.cortex.lines)
    assert np.hypot(*(line[:, None] - blind.mean(axis=0)).reshape(-1, 2).T).min() * 0.22 > 1.0
    contour = frame_record(a)["bone"]["contour_xy"]
    assert all(piece[0] != piece[-1] for piece in contour)


def test_hatching_ahead_of_the_tip_only_where_depth_is_unknown() -> None:
    for scene, hatched in ((ABOVE, False), (AT_BONE, True)):
        a = assessed(scene)
        assert (a.verdict.code is Code.AT_OR_BEYOND_CORTEX) is hatched
        assert a.needle is not None
        plain = np.zeros((840, 960, 3), np.uint8)
        drawn = draw_marks(plain, replace(a, cortex=None), WINDOW, None)
        ahead = np.array(a.needle.tip) - 20.0 * np.array(a.needle.axis)
        row, column = np.rint(WINDOW.place(ahead)[0]).astype(int)
        near = drawn[row - 12 : row + 13, column - 12 : column + 13].reshape(-1, 3)
        white = (near > 200).all(axis=1).any()
        if hatched:
            assert white


def test_strokes_stay_in_the_strip_ahead() -> None:
    forward = np.array([0.6, 0.8])
    tip = np.array([100.0, 50.0])
    lines = hatching(tip, forward, 60.0, 20.0, 8.0)
    points = np.vstack(lines) - tip
    along, across = points @ forward, points @ np.array([-0.8, 0.6])
    assert along.min() > 8.0
    assert along.max() < 60.0 + 1e-9
    assert np.abs(across).max() < 20.0 + 1e-9


@pytest.mark.parametrize("scene", [ABOVE, AT_BONE])
def test_the_overlay_is_drawn(scene: UltrasoundScene) -> None:
    a = assessed(scene)
    picture = draw_overlay(a)
    assert picture.shape[2] == 3
    assert min(picture.shape[:2]) >= 600
