"""Contrast runs: pools, veins, leaks, directions and refusals on drawn runs with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_frames import circle_field, disc, line, make_run, renumbered, shifted, source_of

from marrowpoint.errors import NotAssessable, UnreadableImage
from marrowpoint.needle import Needle
from marrowpoint.read import read_profile
from marrowpoint.report.run_record import run_record
from marrowpoint.runs.assess import assess_run
from marrowpoint.runs.contrast import Known, follow_contrast, onset_or_refusal
from marrowpoint.runs.directions import direction_words, known_orientation
from marrowpoint.runs.judge_spread import NEVER_ABSENT, judge_spread
from marrowpoint.runs.run import ContrastResult, RunAssessment
from marrowpoint.runs.scan import scan_run
from marrowpoint.runs.subtract import average_mask
from marrowpoint.verdict import Code, Flag, Severity, Verdict

PROFILE = read_profile(None)
TIP = (128.0, 120.0)
NEEDLE = Needle(
    tip=TIP,
    axis=(0.0, -1.0),
    width_px=5.0,
    width_sd_px=0.2,
    tip_sd_along_px=0.5,
    tip_sd_across_px=0.3,
    length_px=90.0,
    confidence=1.0,
)
MM = 0.6
VEIN = [(128.0, 124.0), (118.0, 140.0), (100.0, 152.0), (80.0, 160.0), (62.0, 176.0)]


def follow(frames, *, target=None, bone=None, orientation=()) -> tuple[ContrastResult, Verdict]:
    source = source_of(frames, orientation=orientation)
    scan = scan_run(source.frames())
    onset = onset_or_refusal(scan)
    assert not scan.exposure.inverted
    picture = average_mask(source.frames, scan, onset)
    known = Known(needle=NEEDLE, target=target, bone=bone, mm_per_px=MM)
    result, strip = follow_contrast(source, scan, onset, picture, known, PROFILE.run)
    assert strip
    return result, judge_spread(result, PROFILE.run)


def grown(index: int, start: int, radius: float, row: float, column: float) -> np.ndarray | None:
    return disc(row, column, min(radius, 3.0 + 2.0 * (index - start)), 0.12) if index >= start else None


def test_a_pool_is_measured() -> None:
    frames = make_run(24, lambda i: grown(i, 12, 11.0, 132.0, 126.0), shift=lambda i: (0.5 * np.sin(i / 4), 0.2 * i / 24))
    result, verdict = follow(frames)
    assert verdict.code is Code.LOCAL_POOL
    assert any(reason.text == NEVER_ABSENT for reason in verdict.reasons)
    peak = next(s for s in result.spreads if s.frame == result.peak)
    assert peak.area == pytest.approx(np.pi * 11.0**2 * MM**2, rel=0.15)
    truth = np.array([4.0, 6.0]) / np.hypot(4, 6)
    assert result.direction is not None
    assert np.degrees(np.arccos(np.clip(np.dot(result.direction, truth), -1, 1))) < 20
    assert result.motion.median_residual_px is not None and result.motion.median_residual_px < 0.3
    assert result.time_to_peak_s is not None and 0.2 < result.time_to_peak_s < 1.3


def test_a_vein_that_leaves_the_pool_is_seen_and_no_vein_is_not() -> None:
    def vein(index: int) -> np.ndarray | None:
        pool = grown(index, 10, 8.0, 128.0, 122.0)
        if pool is None:
            return None
        reach = min(len(VEIN), 2 + (index - 10))
        return np.maximum(pool, line(VEIN[:reach], 3, 0.07))

    result, verdict = follow(make_run(26, vein))
    assert verdict.code is Code.VASCULAR_PATTERN_SEEN and verdict.severity is Severity.PROBLEM
    assert result.branches[0].length > PROFILE.run.vein_from_mm
    end = np.array(result.branches[0].end)
    # a line reaches beyond its end by the length of the filter, at most 2 x 3.5 mm
    assert np.hypot(*(end - np.array(VEIN[-1]))) * MM < 9
    _, without = follow(make_run(26, lambda i: grown(i, 10, 8.0, 128.0, 122.0)))
    assert without.code is Code.LOCAL_POOL


def test_a_vein_that_leaves_the_field_says_so_in_the_record() -> None:
    """From the pool to the collimator, 40 px beyond it and on."""
    end = (20.0, 40.0)

    def vein(index: int) -> np.ndarray | None:
        pool = grown(index, 10, 7.0, 70.0, 80.0)
        return None if pool is None else np.maximum(pool, line([(70.0, 80.0), end], 3, 0.04))

    frames = make_run(26, vein)
    source = source_of(frames)
    scan = scan_run(source.frames())
    onset = onset_or_refusal(scan)
    known = Known(needle=replace(NEEDLE, tip=(70.0, 84.0), axis=(0.0, 1.0)), mm_per_px=MM)
    result, _ = follow_contrast(source, scan, onset, average_mask(source.frames, scan, onset), known, PROFILE.run)
    assert result.branches[0].cut_off
    assert judge_spread(result, PROFILE.run).code is Code.VASCULAR_PATTERN_SEEN
    plain = assess_run(source, profile=PROFILE)
    record = run_record(replace(plain, contrast=result))["contrast"]
    assert [branch["cut_off"] for branch in record["branches"]] == [branch.cut_off for branch in result.branches]


def test_no_contrast_is_never_called_absent() -> None:
    result, verdict = follow(make_run(20))
    assert verdict.code is Code.NO_CONTRAST_SEEN and verdict.severity is Severity.UNKNOWN
    assert "not: none" in verdict.text and result.least_density > 0
    assert any("Not seen is not absent" in reason.text for reason in verdict.reasons)
    assert Flag.CHANGE_ELSEWHERE not in verdict.flags
    # something that appears away from the tip is told, even where nothing at the tip is seen
    elsewhere = judge_spread(replace(result, onset=9), PROFILE.run)
    assert elsewhere.code is Code.NO_CONTRAST_SEEN and Flag.CHANGE_ELSEWHERE in elsewhere.flags
    assert "frame 10" in elsewhere.reasons[0].text


def test_target_and_bone_decide() -> None:
    frames = make_run(16, lambda i: grown(i, 8, 10.0, 130.0, 128.0))
    rows, columns = np.indices((256, 256))
    around = np.hypot(rows - 130, columns - 128) < 20
    assert follow(frames, target=around)[1].code is Code.SPREAD_AT_TARGET
    assert follow(frames, target=np.roll(around, 60, axis=0))[1].code is Code.SPREAD_AWAY
    assert follow(frames, bone=np.roll(around, 60, axis=0))[1].code is Code.SPREAD_AWAY


def test_a_leak_along_the_needle_is_no_vein() -> None:
    def leak(index: int) -> np.ndarray | None:
        pool = grown(index, 10, 6.0, 128.0, 124.0)
        if pool is None:
            return None
        back = min(6 + 5 * (index - 10), 46)
        return np.maximum(pool, line([(128.0, 120.0), (128.0, 120.0 - back)], 11, 0.1))

    _, verdict = follow(make_run(26, leak))
    assert verdict.code is not Code.VASCULAR_PATTERN_SEEN
    assert Flag.LEAK_ALONG_NEEDLE in verdict.flags


def test_moving_anatomy_is_refused() -> None:
    frames = make_run(22, lambda i: grown(i, 11, 10.0, 128.0, 128.0))
    torn = []
    for index, frame in enumerate(frames):
        way = 2.5 * np.sin(index * 1.3)
        halves = shifted(frame.pixels, way, 0)[:, :128], shifted(frame.pixels, -way, 0)[:, 128:]
        torn.append(replace(frame, pixels=circle_field(np.hstack(halves))))
    try:
        result, verdict = follow(torn)
    except NotAssessable as refused:
        assert refused.code in ("motion", "no_mask", "view_changed")
    else:
        assert verdict.code is Code.NOT_ASSESSABLE and result.refusal
        assert result.spreads and not any(s.seen_area for s in result.spreads)


def test_a_needle_that_moves_from_nowhere_is_not_taken_for_contrast() -> None:
    source = source_of(make_run(16, lambda i: grown(i, 8, 10.0, 128.0, 128.0)))
    scan = scan_run(source.frames())
    onset = onset_or_refusal(scan)
    picture = average_mask(source.frames, scan, onset)
    with pytest.raises(NotAssessable) as refused:
        follow_contrast(source, scan, onset, picture, Known(needle=None, mm_per_px=MM, travel_px=30.0), PROFILE.run)
    assert refused.value.code == "needle_moved"


ADVANCE_PX, MOVES_AT = 15.0, 10


def test_contrast_that_comes_beside_the_shaft_far_behind_the_tip_is_seen_and_does_not_reassure() -> None:
    """A leak, or a tip that was found too far ahead: 24 mm behind it contrast surrounds the shaft."""
    result, verdict = follow(make_run(24, lambda i: grown(i, 12, 11.0, 128.0, 80.0)))
    assert verdict.code is Code.SPREAD_AWAY
    assert max(s.seen_area for s in result.spreads) > 0.4 * np.pi * (11 * MM) ** 2
    # as far from the tip, but not at the needle: nothing that hangs together with it
    _, other = follow(make_run(24, lambda i: grown(i, 12, 11.0, 168.0, 120.0)))
    assert other.code is Code.NO_CONTRAST_SEEN


def beside_a_moving_needle(index: int, beside: np.ndarray) -> np.ndarray:
    """A shaft that goes on from `TIP` along its axis, and something else that comes while it does."""
    way = float(np.clip(1.5 * (index - MOVES_AT), 0, ADVANCE_PX))
    shaft = line([(TIP[0], TIP[1] + way), (TIP[0], 20.0)], 5, 0.3)
    return np.maximum(shaft, beside) if index > MOVES_AT + 2 else shaft


def follow_moving(beside: np.ndarray) -> Verdict:
    source = source_of(make_run(26, lambda i: beside_a_moving_needle(i, beside)))
    scan = scan_run(source.frames())
    onset = onset_or_refusal(scan)
    picture = average_mask(source.frames, scan, onset)
    known = Known(needle=NEEDLE, mm_per_px=MM, travel_px=ADVANCE_PX)
    result, _ = follow_contrast(source, scan, onset, picture, known, PROFILE.run)
    return judge_spread(result, PROFILE.run)


def test_while_the_needle_moves_only_what_hangs_together_with_its_tip_is_contrast() -> None:
    # 13 mm beside the tip and 28 mm long, as a table's edge that comes into the picture: a vein's length and width
    edge = line([(106.0, 122.0), (66.0, 150.0)], 3, 0.1)
    with pytest.raises(NotAssessable) as refused:
        follow_moving(edge)
    assert refused.value.code == "needle_moved"
    # the same line is contrast where it leaves a pool at the tip
    at_tip = np.maximum(disc(122.0, 128.0, 9.0, 0.12), line([(122.0, 128.0), (66.0, 150.0)], 3, 0.1))
    assert follow_moving(at_tip).code is Code.VASCULAR_PATTERN_SEEN


@pytest.mark.parametrize(
    ("vector", "orientation", "words"),
    [
        ((-1.0, 0.0), ("L", "F"), "toward the head"),
        ((0.0, 1.0), ("L", "F"), "to the patient's left"),
        ((0.7, -0.7), ("L", "F"), "to the patient's right and toward the feet"),
        ((-1.0, 0.1), (), "up in the picture"),
        ((0.0, 1.0), ("L", "R"), "right in the picture"),
        ((0.0, 1.0), ("X", "F"), "right in the picture"),
    ],
)
def test_directions_of_the_patient_only_where_known(
    vector: tuple[float, float], orientation: tuple[str, ...], words: str
) -> None:
    assert direction_words(vector, orientation) == words
    assert known_orientation(orientation) == ("patient" in words or "head" in words)


def assessed(frames, **options) -> RunAssessment:
    return assess_run(source_of(frames, **options), profile=PROFILE)


def test_bad_input_has_a_verdict_with_a_reason() -> None:
    one = assessed(make_run(1))
    assert one.verdict.code is Code.NOT_ASSESSABLE and one.verdict.reasons[0].code == "one_frame"
    nothing = assessed([])
    assert nothing.verdict.reasons[0].code == "no_frames"
    early = assessed(make_run(14, lambda i: grown(i, 1, 10.0, 128.0, 128.0)))
    assert "no_mask" in [reason.code for reason in early.verdict.reasons]
    frames = make_run(12)
    mixed = renumbered([*frames[:6], *make_run(12, seed=5)[6:]])
    assert "view_changed" in [reason.code for reason in assessed(mixed).verdict.reasons]


def test_missing_times_are_told() -> None:
    run = assessed(make_run(12), frame_s=None)
    assert Flag.TIMES_UNKNOWN in run.verdict.flags
    assert "frame_times_missing" in [reason.code for reason in run.verdict.reasons]


def test_nothing_seen_in_a_run_cut_short_is_no_answer() -> None:
    whole = source_of(make_run(12))
    cut = replace(whole, cut_short=lambda: UnreadableImage("truncated", "the file was cut short, export it again"))
    run = assess_run(cut, profile=PROFILE)
    assert run.verdict.code is Code.NOT_ASSESSABLE and Flag.RUN_INCOMPLETE in run.verdict.flags
    assert "truncated" in [reason.code for reason in run.verdict.reasons]
