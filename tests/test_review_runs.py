"""A run as it is reviewed, without a window: followed from a file, cancelled, its curves, moments, words and pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_files import PLACE, POOL_FRAME, RADIUS_PX, contrast_file, image_of, source_picture

from marrowpoint.assessment import Provenance
from marrowpoint.audit.agreement import readings_of
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.read import read_frame, read_profile
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.entry import WHOLE_RUN, Action, FrameKey, decide, stale_because, standing
from marrowpoint.review.ledger import open_ledger, read_entries
from marrowpoint.review.runs import (
    CONTRAST,
    NEEDLE,
    RunCancelled,
    curves_of,
    follow_file,
    frame_words,
    inside_of,
    moments_of,
    needle_curves,
    onto_frame,
    onto_mask,
    run_sentences,
    subjects,
)
from marrowpoint.runs.collect import RunRequest
from marrowpoint.runs.judge_spread import NEVER_ABSENT
from marrowpoint.runs.run import Motion, NeedlePoint, NeedleResult, RunAssessment, RunEvent, RunTimes
from marrowpoint.verdict import Code, Reason, Verdict

PROFILE = read_profile(None)
REQUEST = RunRequest(profile=PROFILE)
NOWHERE = Provenance(marrowpoint="0", profile="p", profile_sha256="0" * 64, model_sha256=None)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunAssessment, list[float]]:
    path = contrast_file(tmp_path_factory.mktemp("run") / "contrast.dcm")
    shares: list[float] = []
    return path, follow_file(image_of(path), REQUEST, progressed=shares.append), shares


def test_a_contrast_run_has_curves_that_rise_after_the_contrast_came(followed: tuple[Path, RunAssessment, list[float]]) -> None:
    _, run, shares = followed
    assert subjects(run)[0] == CONTRAST
    area, front, density = curves_of(run, CONTRAST)
    for curve in (area, front, density):
        before = [curve.at(frame) for frame in range(POOL_FRAME - 1) if curve.at(frame) is not None]
        assert before and max(before) == 0
        assert curve.values[-1] > 0
    first = next(moment for moment in moments_of(run, CONTRAST) if moment.title == "first seen")
    assert abs(first.frame - POOL_FRAME) <= 2
    assert frame_words(run, first.frame) in first.text
    assert all(a < b for a, b in itertools.pairwise(shares)) and shares[0] > 0 and shares[-1] < 1


def test_what_is_missing_of_a_run_is_said(followed: tuple[Path, RunAssessment, list[float]]) -> None:
    told = run_sentences(followed[1])
    assert NEVER_ABSENT in told
    assert any("Picture before contrast: mean of frames" in text for text in told)
    assert len(set(told)) == len(told)


def test_the_subtracted_picture_is_what_was_added(followed: tuple[Path, RunAssessment, list[float]]) -> None:
    path, run, _ = followed
    pictures = run.pictures
    assert pictures is not None
    last = len(run.references)
    made = pictures.subtracted(read_frame(image_of(path), last, scale=PROFILE.scale), last - 1)
    assert made is not None
    added, shift = source_picture(last - 1)
    inside = added > 0.9 * added.max()
    # the picture is laid over the mask, which is a mean over a small motion of its own
    assert np.median(made[inside]) == pytest.approx(added.max(), rel=0.2)
    assert np.abs(np.median(made[added == 0])) < 0.02
    low, high = pictures.limits
    assert low < 0 < high < added.max()
    (outline,) = pictures.spread_lines(last - 1, in_frame=False)
    assert outline.mean(axis=0) == pytest.approx(np.argwhere(added > 0).mean(axis=0), abs=3)
    (moved,) = pictures.spread_lines(last - 1, in_frame=True)
    assert (moved - outline).mean(axis=0) == pytest.approx(np.asarray(shift), abs=1.0)
    assert pictures.spread_lines(POOL_FRAME - 3, in_frame=False) == []


def test_a_run_keeps_no_pictures_unless_asked(followed: tuple[Path, RunAssessment, list[float]]) -> None:
    path, run, _ = followed
    frame = read_frame(image_of(path), 1, scale=PROFILE.scale)
    assert run.pictures is not None
    assert run.pictures.before_as_frame.shape == frame.pixels.shape
    assert replace(run.pictures, alignments={}).subtracted(frame, 0) is None


def test_following_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(RunCancelled):
        follow_file(image_of(contrast_file(tmp_path / "run.dcm")), REQUEST, cancelled=cancelled)
    assert len(asked) == 4


def depth(value: float) -> Measurement:
    return Measurement(value=value, lower=value - 1, upper=value + 2, unit=Unit.MM, bound=Bound.LOWER, method="test")


def needle_result() -> NeedleResult:
    """Found in frames 1, 2, 5 and 6; frame 3 repeats frame 2, frame 4 has lost it."""
    points = [NeedlePoint(frame=k, state="found", tip=(9.0, 9.0), advance=depth(float(k))) for k in range(6)]
    points[2] = NeedlePoint(frame=2, state="copy")
    points[3] = NeedlePoint(frame=3, state="lost")
    event = RunEvent(code="deepest", frame=5, earliest=4, latest=5, time_s=0.5, text="5.0 mm")
    return NeedleResult(
        points=tuple(points), events=(event,), followed_share=0.8, travel=5.0, unit="mm", key_frames=(0, 5),
        motion=Motion(largest_shift=0.0, unit="mm"),
    )  # fmt: skip


def test_a_needle_curve_breaks_where_the_needle_was_lost_and_not_at_a_copy() -> None:
    (curve,) = needle_curves(needle_result())
    assert curve.frames == (0, 1, 4, 5)
    assert curve.gaps == (2,)
    assert curve.at(3) is None
    assert (curve.lower[-1], curve.at(5), curve.upper[-1]) == (4.0, 5.0, 7.0)
    copied = replace(needle_result(), points=tuple(p for p in needle_result().points if p.state != "lost"))
    assert needle_curves(copied)[0].gaps == ()


def test_events_and_refusals_of_a_needle_run_are_told() -> None:
    verdict = Verdict(
        code=Code.NOT_ASSESSABLE, text="Needle lost", reasons=(Reason(code="needle_lost", text="Found in half of the frames."),)
    )
    run = RunAssessment(
        references=(), needle=needle_result(), verdict=verdict, provenance=NOWHERE, times=RunTimes(seconds=(0.0, 0.1)),
        copies=frozenset({2}), changes=((1, "zoom_changed"),),
    )  # fmt: skip
    assert subjects(run) == (NEEDLE,)
    (moment,) = moments_of(run, NEEDLE)
    assert (moment.earliest, moment.frame, moment.latest) == (4, 5, 5)
    assert "stands deepest at frame 6 (5 to 6)" in moment.text
    told = run_sentences(run)
    assert told[0] == "Found in half of the frames."
    assert "Zoom changed at frame 2, 0.10 s." in told
    assert "1 frames repeat the one before." in told
    assert moments_of(run, CONTRAST) == () and curves_of(run, CONTRAST) == ()


def square(centre: tuple[float, float], half: float) -> np.ndarray:
    return np.array([(-half, -half), (-half, half), (half, half), (half, -half)]) + centre


def test_a_target_is_the_pixels_inside_of_its_corners() -> None:
    inside = inside_of(square((20.0, 30.0), 5.0), (60, 80))
    rows, columns = np.nonzero(inside)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 25, 25, 35)
    assert inside.sum() == 11 * 11
    assert not inside_of(square((-50.0, -50.0), 5.0), (60, 80)).any()


def test_points_go_with_the_patient_and_come_back(followed: tuple[Path, RunAssessment, list[float]]) -> None:
    run, corners = followed[1], square(PLACE, 10.0)
    moved = onto_frame(corners, run, POOL_FRAME + 3)
    assert np.allclose((moved - corners).mean(axis=0), source_picture(POOL_FRAME + 3)[1], atol=0.5)
    assert np.allclose(onto_mask(moved, run, POOL_FRAME + 3), corners)
    assert np.allclose(onto_mask(corners, run, 10_000), corners), "a frame that is not laid on the mask"


def test_the_verdict_follows_the_target_that_a_person_drew(followed: tuple[Path, RunAssessment, list[float]]) -> None:
    path, plain, _ = followed
    assert plain.contrast is not None and plain.contrast.in_target is None
    around, beside = (
        follow_file(image_of(path), REQUEST, target=square((PLACE[0] + off, PLACE[1]), 2 * RADIUS_PX)) for off in (0.0, 90.0)
    )
    assert (around.verdict.code, beside.verdict.code) == (Code.SPREAD_AT_TARGET, Code.SPREAD_AWAY)
    assert around.contrast is not None and around.contrast.in_target == pytest.approx(1.0, abs=0.02)
    assert beside.contrast is not None and beside.contrast.in_target == pytest.approx(0.0, abs=0.02)
    assert any("in the target that a person drew" in text for text in run_sentences(around))


def test_a_decision_about_a_run_stands_beside_those_about_its_frames(
    followed: tuple[Path, RunAssessment, list[float]], tmp_path: Path
) -> None:
    path, run, _ = followed
    drawn = Corrections().changed(by="A. Reader", target=square(PLACE, 2 * RADIUS_PX))
    with_target = follow_file(image_of(path), REQUEST, target=drawn.target)
    made = decide(run, Action.CORRECT, rater="A. Reader", corrected=with_target, corrections=drawn)
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.append(made)
    ledger.append(decide(run, Action.REJECT, rater="B. Reader", reason="the bone moves"))
    entries = read_entries(tmp_path / "ledger.sqlite")
    key = FrameKey.of_run(run.references)
    assert key.frame_number == WHOLE_RUN and key.whole_run
    assert {rater: entry.action for rater, entry in standing(entries, key).items()} == {
        "A. Reader": Action.CORRECT, "B. Reader": Action.REJECT,
    }  # fmt: skip
    assert not any(standing(entries, FrameKey.of(reference)) for reference in run.references)
    assert readings_of(entries) == (), "the audit compares frames"
    assert (entries[0].before.code, entries[0].after.code) == (run.verdict.code.value, Code.SPREAD_AT_TARGET.value)
    assert entries[0].after.numbers["in_target"]["value"] == pytest.approx(1.0, abs=0.02)
    assert "in_target" not in entries[0].before.numbers
    assert np.allclose(entries[0].corrections.target, drawn.target, atol=1e-3)
    assert entries[0].corrections.set_by("target") == "A. Reader"
    assert stale_because(entries[0], key, run.provenance) == ()
    other = FrameKey.of_run((*run.references[:-1], replace(run.references[-1], pixel_sha256="0" * 64)))
    assert stale_because(entries[0], other, run.provenance) == ("image",)


def test_about_a_run_without_frames_nothing_can_be_decided() -> None:
    nothing = RunAssessment(references=(), verdict=Verdict(code=Code.NOT_ASSESSABLE, text="no frame"), provenance=NOWHERE)
    with pytest.raises(ValueError, match="nothing to decide"):
        decide(nothing, Action.ACCEPT, rater="A. Reader")
