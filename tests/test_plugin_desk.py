"""One review without its window: frames, corrections, undo, ledger, examples, profile."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marrowpoint.assess import assess_frame
from marrowpoint.assessment import Provenance
from marrowpoint.read import find_images, read_frame, read_profile
from marrowpoint.review import Action, read_entries
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.review.profiles import profile_form, save_profile
from marrowpoint.review.session import State, list_frames
from marrowpoint.runs.run import ContrastResult, Motion, RunAssessment
from marrowpoint.verdict import Code, Verdict

pytest.importorskip("psygnal", reason="napari is not installed")

import napari_marrowpoint
from napari_marrowpoint import samples
from napari_marrowpoint.desk import Desk
from napari_marrowpoint.examples import CODES, examples
from napari_marrowpoint.run_book import RunBook
from napari_marrowpoint.scans import scans
from napari_marrowpoint.shelf import KEPT
from napari_marrowpoint.writer import write_frame

SAMPLES = Path(__file__).parents[1] / "sample_dicom"
PROFILE = read_profile()
US = "us_above_cortex.dcm"


def desk_on(folder: Path, rater: str = "A. Reader") -> Desk:
    """A desk whose wanted frames are measured at once."""
    desk = Desk(ReviewRequest(folder=folder, rater=rater), data_folder=folder.parent / "user")

    def measure(place: int) -> None:
        row = desk.session.row(place)
        frame = read_frame(row.image, row.frame_number, scale=desk.profile.scale)
        desk.take(place, assess_frame(frame, profile=desk.profile))

    desk.wanted.connect(measure)
    for listed in list_frames(folder):
        desk.list_frame(listed)
    desk.listed_all()
    return desk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "study"
    place.mkdir()
    shutil.copy(SAMPLES / US, place / "a.dcm")
    (place / "b.dcm").write_bytes(b"no picture")
    shutil.copy(SAMPLES / "us_at_cortex_ruler.dcm", place / "c.dcm")
    return place


def test_a_correction_is_undone_and_done_again_exactly(folder: Path) -> None:
    desk = desk_on(folder)
    found = desk.shown
    row, column = found.needle.tip
    desk.preview(tip=(row + 5, column))
    assert desk.shown.needle.tip == (row + 5, column)
    assert desk.corrections.empty
    desk.cancel()
    assert desk.shown is found
    desk.correct(tip=(row + 5, column))
    changed = desk.shown
    assert changed.placement.tip_to_cortex.value != found.placement.tip_to_cortex.value
    desk.undo()
    assert desk.shown is found
    told: list[str] = []
    desk.told.connect(told.append)
    desk.undo()
    assert told == ["Nothing to undo on this frame."]
    desk.redo()
    assert desk.shown.placement.tip_to_cortex == changed.placement.tip_to_cortex
    desk.close()


def test_an_unreadable_file_is_listed_and_passed_by(folder: Path) -> None:
    desk = desk_on(folder)
    assert [row.state for row in desk.session.rows] == [State.VERDICT, State.FAILURE, State.WAITING]
    shown: list[object] = []
    desk.shown_changed.connect(shown.append)
    desk.go(1)
    assert shown == [None]
    assert not desk.decide(Action.ACCEPT)
    desk.go(2)
    assert desk.shown.verdict.code is Code.AT_OR_BEYOND_CORTEX
    desk.close()


def test_unsigned_corrections_come_back_in_the_next_window(folder: Path) -> None:
    desk = desk_on(folder)
    row, column = desk.shown.needle.tip
    desk.correct(tip=(row + 2, column))
    desk.journal._stream.close()  # a crash: nothing is settled, nothing is closed
    desk.journal._guard.close()
    told: list[str] = []
    again = Desk(ReviewRequest(folder=folder, rater="A. Reader"), data_folder=folder.parent / "user")
    again.told.connect(told.append)
    again.wanted.connect(lambda place: again.take(place, desk.base))
    for listed in list_frames(folder):
        again.list_frame(listed)
    again.listed_all()
    assert again.shown.needle.tip == pytest.approx((row + 2, column), abs=1e-3)
    assert told == ["Unsigned corrections of 1 frame were restored."]
    again.undo()
    assert again.shown.needle.tip == (row, column)
    again.close()


def test_what_was_signed_is_shown_to_its_rater_and_stands_beside_the_other_one(folder: Path) -> None:
    first = desk_on(folder, "first")
    row, column = first.shown.needle.tip
    first.correct(tip=(row + 4, column))
    assert first.decide(Action.ACCEPT)
    assert first.decide(Action.FLAG)
    second = desk_on(folder, "second")
    assert second.corrections.empty
    assert second.decide(Action.REJECT, "wrong picture")
    assert [entry.action for entry in read_entries(first.ledger_path)] == [Action.CORRECT, Action.FLAG, Action.REJECT]
    first.look_around()
    assert {review.rater for review in first.session.row(0).reviews} == {"first", "second"}
    again = desk_on(folder, "first")
    assert again.shown.needle.tip == pytest.approx((row + 4, column), abs=1e-3)
    for desk in (first, second, again):
        desk.close()


def test_nobody_signs_without_a_name_or_a_reason(folder: Path) -> None:
    desk = desk_on(folder, "")
    told: list[str] = []
    desk.told.connect(told.append)
    assert not desk.decide(Action.ACCEPT)
    desk.rater = "A. Reader"
    assert not desk.decide(Action.REJECT)
    assert not read_entries(desk.ledger_path)
    assert len(told) == 2
    desk.close()


def test_an_impossible_correction_is_told_and_changes_nothing(folder: Path) -> None:
    desk = desk_on(folder)
    told: list[str] = []
    desk.told.connect(told.append)
    before = desk.shown
    desk.correct(outer_diameter_mm=99.0)
    assert told
    assert desk.shown is before
    assert desk.corrections.empty
    desk.close()


def test_a_needle_is_stated_once_for_a_study_and_undone_where_it_was_stated(tmp_path: Path) -> None:
    place = tmp_path / "study"
    place.mkdir()
    shutil.copy(SAMPLES / "advancing_multiframe.dcm", place / "run.dcm")
    desk = desk_on(place)
    desk.declare_needle(4.19)
    assert desk.shown.outer_diameter_mm == 4.19
    desk.go(1)
    assert desk.shown.outer_diameter_mm == 4.19
    assert desk.corrections.set_by("outer_diameter_mm") == "A. Reader"
    desk.go(0)
    desk.undo()
    assert desk.corrections.empty
    desk.go(1)
    assert desk.corrections.empty
    desk.close()


def test_the_needle_of_a_study_is_remembered_for_its_rater_in_the_next_window(tmp_path: Path) -> None:
    place = tmp_path / "study"
    place.mkdir()
    shutil.copy(SAMPLES / "advancing_multiframe.dcm", place / "run.dcm")
    desk = desk_on(place)
    desk.declare_needle(3.9)
    assert desk.decide(Action.ACCEPT)
    desk.close()
    again = desk_on(place)
    again.go(1)
    assert again.stated_needle_mm == again.shown.outer_diameter_mm == 3.9
    again.declare_needle(None)
    again.go(2)
    assert again.stated_needle_mm is None, "what was taken back came back"
    again.close()
    other = desk_on(place, "B. Reader")
    assert other.stated_needle_mm is None
    other.close()


def test_an_impossible_needle_is_told_and_holds_nowhere(tmp_path: Path) -> None:
    place = tmp_path / "study"
    place.mkdir()
    shutil.copy(SAMPLES / "advancing_multiframe.dcm", place / "run.dcm")
    desk = desk_on(place)
    told: list[str] = []
    desk.told.connect(told.append)
    desk.declare_needle(99.0)
    assert told
    desk.go(1)
    assert desk.stated_needle_mm is None and desk.corrections.empty
    desk.close()


def test_another_profile_judges_the_frame_on_the_screen_anew(folder: Path, tmp_path: Path) -> None:
    desk = desk_on(folder)
    form = profile_form(None)
    mine = save_profile(type(form)(name="mine", version="1", fields=form.fields), tmp_path / "mine.toml")
    desk.use_profile(mine)
    assert desk.shown.provenance.profile == "mine@1"
    assert desk.session.row(2).state is State.WAITING
    desk.close()


def test_each_verdict_stands_once_among_the_examples() -> None:
    found = examples(PROFILE)
    assert tuple(found) == CODES
    assert all(example.verdict.code is code for code, example in found.items())


def test_samples_need_no_source_checkout_and_hold_each_verdict_of_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = scans(PROFILE)
    assert set(found) == {Code.ABOVE_CORTEX, Code.AT_OR_BEYOND_CORTEX, Code.NOT_ASSESSABLE}
    assert all(scan.verdict.code is code and scan.frame.reference.modality == "US" for code, scan in found.items())
    pictures = [layer for layer in samples.every_verdict() if layer[2] == "image"]
    assert len(pictures) == len(CODES) + 2
    assert samples.phantom_folder() == SAMPLES
    installed = tmp_path / "site-packages" / "napari_marrowpoint"
    (installed / "sample_dicom").mkdir(parents=True)
    monkeypatch.setattr(napari_marrowpoint, "__file__", str(installed / "__init__.py"))
    assert samples.phantom_folder() == installed / "sample_dicom"
    monkeypatch.setattr(napari_marrowpoint, "__file__", str(tmp_path / "a" / "b" / "__init__.py"))
    assert samples.phantom_folder() is None
    built = tomllib.loads((SAMPLES.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built["force-include"] == {"sample_dicom": "napari_marrowpoint/sample_dicom"}


def test_an_example_is_corrected_like_any_frame(tmp_path: Path) -> None:
    desk = Desk(ReviewRequest(rater="A. Reader", ledger=tmp_path / "l.sqlite"), data_folder=tmp_path)
    for code, example in examples(PROFILE).items():
        desk.give(f"examples/{code.value}", example)
    assert desk.shown.verdict.code is Code.PROJECTED_IN_THICK_BONE
    bone = desk.base.cortex.lines[0].mean(axis=0)
    desk.correct(tip=tuple(bone - 400 * np.array([0.62, 0.78])))
    assert desk.shown.verdict.code in (Code.OUTSIDE_BONE, Code.NOT_ASSESSABLE)
    desk.undo()
    assert desk.shown.verdict.code is Code.PROJECTED_IN_THICK_BONE
    assert desk.decide(Action.ACCEPT)
    desk.close()


def test_few_whole_assessments_are_kept(tmp_path: Path) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for number in range(KEPT + 4):
        shutil.copy(SAMPLES / US, place / f"{number:02d}.dcm")
    desk = desk_on(place)
    base = desk.base
    for number in range(KEPT + 4):
        desk.take(number, base)
    assert sum(desk.holds(number) for number in range(KEPT + 4)) == KEPT
    desk.close()


def test_record_and_overlay_are_written_side_by_side(folder: Path, tmp_path: Path) -> None:
    desk = desk_on(folder)
    row, column = desk.shown.needle.tip
    desk.correct(tip=(row + 1, column))
    told, drawn = write_frame(tmp_path / "out.json", desk.shown, desk.corrections, desk.profile)
    assert '"located_by": "reader A. Reader"' in Path(told).read_text()
    assert "corrections" in Path(told).read_text()
    assert Path(drawn).read_bytes().startswith(b"\x89PNG")
    desk.close()


def test_a_folder_that_cannot_be_written_has_its_ledger_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marrowpoint.review.place._can_hold", lambda home: False)  # root may write everywhere
    desk = desk_on(folder)
    assert desk.ledger_path.is_relative_to(tmp_path / "user")
    assert "cannot be written" in desk.ledger_note
    assert desk.decide(Action.ACCEPT)
    assert read_entries(desk.ledger_path)
    desk.close()


def contrast_run(folder: Path) -> RunAssessment:
    """What a run's book needs of a run: its frames, and that contrast was followed."""
    reference = read_frame(next(iter(find_images([folder / "a.dcm"]))), 1, scale=PROFILE.scale).reference
    contrast = ContrastResult(
        onset=4, mask_frames=(0, 1), settled=0, tip=(50.0, 50.0), tip_is_needle=True, spreads=(), branches=(), peak=None,
        unit="px", motion=Motion(largest_shift=0.0, unit="px", looked_at=9),
    )  # fmt: skip
    verdict = Verdict(code=Code.LOCAL_POOL, text="pools")
    made_with = Provenance(marrowpoint="0", profile=PROFILE.label, profile_sha256=PROFILE.sha256, model_sha256=None)
    return RunAssessment(references=(reference,), contrast=contrast, verdict=verdict, provenance=made_with)


def test_a_target_survives_a_crash_and_is_signed_for_the_run_alone(folder: Path) -> None:
    first, run = desk_on(folder), contrast_run(folder)
    book = RunBook(first)
    told: list[str] = []
    first.told.connect(told.append)
    book.set_target(np.array([(1.0, 1.0), (1.0, 40.0), (40.0, 20.0)]))
    assert book.target is None and "No contrast was followed" in told[-1]
    book.open(run)
    book.set_target(np.array([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]))
    assert book.target is None and "no inside" in told[-1]
    book.set_target(np.array([(1.0, 1.0), (1.0, 40.0), (40.0, 20.0)]))
    book.set_target(np.array([(1.0, 1.0), (1.0, 60.0), (60.0, 20.0)]))
    book.undo()
    assert book.target[1].tolist() == [1.0, 40.0]
    book.redo()
    assert book.target[1].tolist() == [1.0, 60.0]
    first.close()  # the window is gone, nothing was signed

    second = RunBook(desk_on(folder))
    second.open(run)
    assert second.target[1].tolist() == [1.0, 60.0]
    assert second.corrections.set_by("target") == "A. Reader"
    assert second.can_undo
    assert not second.decide(Action.ACCEPT, None), "accepted before it was known what comes of the target"
    shown = replace(run, verdict=Verdict(code=Code.SPREAD_AT_TARGET, text="at the target"))
    assert second.decide(Action.ACCEPT, shown)
    (signed,) = second.entries()
    assert (signed.action, signed.before.code, signed.after.code) == (Action.CORRECT, "local_pool", "spread_at_target")
    assert [review.rater for review in second.reviews()] == ["A. Reader"]
    assert not second.can_undo
    assert not second.desk.row.reviews, "the run's decision is not the frame's"
    other = RunBook(desk_on(folder, rater="B. Reader"))
    other.open(run)
    assert other.target is None, "what another person drew is theirs"
    assert len(other.entries()) == 1
    for each in (second, other):
        each.desk.close()
