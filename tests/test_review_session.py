"""The list of a folder: lazy, sorted into states, known again, and analysed beside the window with a cache."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from build_dicom import make_dicom
from review_cases import PROFILE, assessment, frame, needle, provenance, reference

from marrowpoint.assess import assess_frame
from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import View, ViewKind
from marrowpoint.profile import parse_profile
from marrowpoint.read import ImageFile, find_images, read_frame
from marrowpoint.report.record import frame_record, record_line
from marrowpoint.review.cache import AssessmentCache, cache_key
from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.entry import Action, decide
from marrowpoint.review.export import reviewed_record
from marrowpoint.review.ledger import open_ledger
from marrowpoint.review.profiles import profile_form, profile_toml
from marrowpoint.review.session import Listed, Session, State, list_frames
from marrowpoint.review.worker import Analyst, analyse_frames, assess_row, work_list
from marrowpoint.verdict import Code, Severity

ANALYST = Analyst(profile=PROFILE)


def picture(seed: int, shape=(96, 96)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, shape).astype(np.uint16)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two stills, a run of three, a file cut short, a file that is no picture, a text."""
    home = tmp_path / "frames"
    (home / "sub").mkdir(parents=True)
    make_dicom(home / "a.dcm", picture(1), bits=12)
    make_dicom(home / "sub" / "b.dcm", picture(2), bits=12)
    make_dicom(home / "run.dcm", np.stack([picture(k) for k in (3, 4, 5)]), bits=12, frames=3)
    whole = make_dicom(home / "cut.dcm", picture(6), bits=12).read_bytes()
    (home / "cut.dcm").write_bytes(whole[:-3000])
    (home / "noise.dcm").write_bytes(b"\0" * 900)
    (home / "notes.txt").write_text("no picture")
    return home


def opened(folder, **more) -> Session:
    session = Session(profile=PROFILE, provenance=ANALYST.provenance, **more)
    for listed in list_frames(folder):
        session.add(listed)
    return session


def analysed(session, analyst=ANALYST, **more) -> Session:
    for result in analyse_frames(session.rows, analyst, begun=session.begin, **more):
        if result.assessment is None:
            session.fail(result.place, result.failure, result.text)
        else:
            session.finish(result.place, result.assessment)
    return session


def test_every_frame_and_every_bad_file_is_listed_with_its_reason(folder):
    session = opened(folder)
    assert [(row.name, row.state) for row in session.rows] == [
        ("frames/a.dcm", State.WAITING),
        ("frames/cut.dcm", State.FAILURE),
        ("frames/noise.dcm", State.FAILURE),
        ("frames/run.dcm 1/3", State.WAITING),
        ("frames/run.dcm 2/3", State.WAITING),
        ("frames/run.dcm 3/3", State.WAITING),
        ("frames/sub/b.dcm", State.WAITING),
    ]
    bad = [row for row in session.rows if row.state is State.FAILURE]
    assert [row.failure for row in bad] == ["truncated", "not_dicom"]
    assert all(len(row.text) > 20 and row.problem for row in bad)


def test_listing_reads_no_pixels_and_keeps_little(tmp_path):
    for k in range(12):
        make_dicom(tmp_path / f"{k:03d}.dcm", picture(k, (512, 512)), bits=12)
    opened(tmp_path)
    tracemalloc.start()
    session = opened(tmp_path)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(session) == 12
    assert kept < 12 * 8_000
    assert most < 3 * 512 * 512 * 2


def test_the_list_comes_bit_by_bit_and_stops_when_told(folder):
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2

    assert len(list(list_frames(folder, cancelled=cancelled))) == 2
    stream = list_frames(folder)
    assert next(stream).image.relative_path == "frames/a.dcm"  # before the rest is looked at
    stream.close()


def test_analysis_gives_every_frame_a_state_and_ends_when_told(folder):
    session = opened(folder)
    results = []
    for result in analyse_frames(session.rows, ANALYST, cancelled=lambda: len(results) >= 2):
        results.append(result)
    assert [(result.done, result.total) for result in results] == [(1, 5), (2, 5)]
    session = analysed(session)
    assert [row.state for row in session.rows].count(State.VERDICT) == 5
    row = session.row(0)
    assert row.key.pixel_sha256 == read_frame(row.image, 1, scale=PROFILE.scale).reference.pixel_sha256
    assert row.severity is Severity.UNKNOWN and row.problem
    assert session.found(0).frame.pixels.size == 0


def test_a_file_that_breaks_between_list_and_analysis_costs_only_itself(folder):
    session = opened(folder)
    (folder / "a.dcm").write_bytes(b"gone")
    (folder / "run.dcm").unlink()
    analysed(session)
    states = {row.name: row.state for row in session.rows}
    assert states["frames/a.dcm"] is State.FAILURE
    assert states["frames/run.dcm 2/3"] is State.FAILURE
    assert states["frames/sub/b.dcm"] is State.VERDICT


def test_the_shown_frame_is_analysed_first():
    rows = tuple(Session_of(range(5)).rows)
    assert [row.place for row in work_list(rows, 3)] == [3, 4, 0, 1, 2]


def Session_of(numbers, **more) -> Session:
    session = Session(profile=PROFILE, provenance=provenance(), **more)
    for k in numbers:
        session.add(Listed(image=ImageFile(path=Path(f"/nowhere/{k}.dcm"), relative_path=f"folder/{k}.dcm")))
    return session


def shown(k, tip=(200.0, 330.0), **more):
    """Frame number k of a made-up study."""
    view = more.pop("view", View(kind=ViewKind.TANGENTIAL))
    given = {"path": f"folder/{k}.dcm", "pixel_sha256": f"{k:064x}", "sop_instance_uid": f"1.{k}"} | more
    return assessment(needle(tip), base=replace(frame(), reference=reference(**given), view=view))


def test_a_session_keeps_no_pixels_of_the_frames_it_went_through(tmp_path):
    for k in range(4):
        make_dicom(tmp_path / f"{k:03d}.dcm", picture(k, (128, 128)), bits=12)
    session = opened(tmp_path)
    for place in range(4):
        session.finish(place, replace(shown(place), frame=assess_row(session.row(place), ANALYST).frame))
    kept = len(pickle.dumps([session.rows, [session.found(place) for place in range(4)]]))
    assert kept < 4 * 6_000  # a frame of 128 x 128 floats alone would be 64 kB


def test_next_and_previous_go_round_and_find_what_is_wanted(tmp_path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    session = Session_of(range(4), ledger=ledger)
    for k, tip in enumerate([(200.0, 330.0), (200.0, 450.0), (200.0, 325.0), (200.0, 320.0)]):
        session.finish(k, shown(k, tip))
    assert [row.code is Code.OUTSIDE_BONE for row in session.rows] == [False, True, False, False]
    assert (session.next(3), session.next(0, step=-1)) == (0, 3)
    assert session.next_problem(0) == session.next_problem(2) == 1
    assert session.next_problem(1) is None
    session.decide(1, decide(shown(1, (200.0, 450.0)), Action.ACCEPT, rater="A"))
    assert session.next_not_reviewed(0, "A") == 2
    assert session.next_not_reviewed(0, "B") == 1
    assert Session_of([]).next(0) is None


def test_a_decision_shows_in_every_window_and_each_rater_stands_alone(tmp_path):
    path = tmp_path / "ledger.sqlite"
    mine, theirs = (Session_of(range(2), ledger=open_ledger(path)) for _ in range(2))
    for session in (mine, theirs):
        for k in range(2):
            session.finish(k, shown(k))
        session.refresh()
    mine.decide(0, decide(shown(0), Action.ACCEPT, rater="A"))
    theirs.decide(0, decide(shown(0), Action.REJECT, rater="B", reason="not the tip"))
    (changed,) = mine.refresh()
    assert [(review.rater, review.action) for review in changed.reviews] == [("A", Action.ACCEPT), ("B", Action.REJECT)]
    assert mine.refresh() == ()
    assert mine.row(0).reviewed_by("A") and not mine.row(1).reviewed_by()
    mine.decide(0, decide(shown(0), Action.FLAG, rater="A"))
    assert mine.row(0).flags == ("A",) and mine.row(0).problem
    mine.decide(0, decide(shown(0), Action.WITHDRAW, rater="A"))
    assert not mine.row(0).reviewed_by("A") and mine.row(0).flags == ()
    assert [each.action for each in mine.entries(0)] == [Action.ACCEPT, Action.REJECT, Action.FLAG, Action.WITHDRAW]


def test_what_a_person_corrected_is_found_again_in_the_next_window(tmp_path):
    path = tmp_path / "ledger.sqlite"
    session = Session_of(range(1), ledger=open_ledger(path))
    base = shown(0)
    session.finish(0, base)
    wanted = Corrections().changed(by="A", tip=(200.0, 400.0))
    corrected = reassess(base, wanted, PROFILE)
    session.decide(0, decide(base, Action.CORRECT, rater="A", corrected=corrected, corrections=wanted))
    later = Session_of(range(1), ledger=open_ledger(path))
    later.finish(0, base)
    later.refresh()
    (review,) = later.row(0).reviews
    assert review.entry.corrections == wanted
    assert (review.entry.before.code, review.entry.after.code) == ("projected_inside", "outside_bone")


@pytest.mark.parametrize("change", ["program", "profile", "model", "image"])
def test_a_decision_on_something_else_is_stale_and_says_why(tmp_path, change):
    session = Session_of(range(1), ledger=open_ledger(tmp_path / "ledger.sqlite"))
    session.finish(0, shown(0))
    session.decide(0, decide(shown(0), Action.ACCEPT, rater="A"))
    assert session.row(0).stale == () and not session.row(0).problem
    made = {"program": {"marrowpoint": "2"}, "profile": {"profile_sha256": "0" * 64}, "model": {"model_sha256": None}}
    session.restate(provenance(**made.get(change, {})), PROFILE)
    if change == "image":
        session.finish(0, shown(0, pixel_sha256="e" * 64))
    assert session.row(0).stale == (change,)
    assert session.row(0).problem and not session.row(0).reviewed_by("A")
    assert session.next_not_reviewed(0, "A") is None  # it is the only one, and it is this one


def test_without_a_ledger_nothing_is_decided():
    session = Session_of(range(1))
    session.finish(0, shown(0))
    with pytest.raises(MarrowpointError, match="ledger"):
        session.decide(0, decide(shown(0), Action.ACCEPT, rater="A"))


def turned(primary) -> View:
    return View(kind=ViewKind.UNKNOWN, primary_deg=primary, secondary_deg=0.0)


def test_the_partner_is_the_most_turned_view_of_the_same_needle_position():
    session = Session_of(range(5))
    start = datetime(2026, 1, 1, 10, tzinfo=UTC)
    views = [turned(0.0), turned(20.0), turned(80.0), turned(85.0), View()]
    for k, view in enumerate(views):
        # the fourth was taken an hour later: another position; the fifth belongs to another study
        acquired = start + timedelta(minutes=k if k < 3 else 60)
        more = {"study_instance_uid": "9.9"} if k == 4 else {}
        session.finish(k, replace(shown(k, view=view, acquired=acquired, **more), needle=None))
    assert [session.partner(k) for k in range(5)] == [2, 2, 0, None, None]
    assert session.study(0).frames == ("folder/0.dcm#1", "folder/1.dcm#1", "folder/2.dcm#1")
    assert session.study(4).study_instance_uid == "9.9"
    session.fail(2, "gone", "The file is gone.")
    assert session.partner(0) == 1


def test_a_corrected_frame_speaks_in_its_study_as_corrected():
    session = Session_of(range(2))
    for k in range(2):
        session.finish(k, shown(k))
    before = session.study(0)
    session.correct(0, reassess(shown(0), Corrections().changed(by="A", tip=(200.0, 450.0)), PROFILE))
    assert session.study(0).verdict.code is Code.OUTSIDE_BONE is not before.verdict.code
    assert session.found(0).verdict.code is Code.PROJECTED_INSIDE  # the program's own stays to go back to
    session.correct(0, None)
    assert session.study(0).verdict == before.verdict


def test_no_single_frame_makes_a_study_the_right_spot():
    session = Session_of(range(1))
    session.finish(0, reassess(shown(0), Corrections().changed(by="A", tip=(200.0, 300.0), outline_confirmed=True), PROFILE))
    assert session.study(0).verdict.code is not Code.RIGHT_SPOT


def test_what_was_analysed_once_comes_from_the_cache_the_same(folder, tmp_path):
    cache = AssessmentCache(folder=tmp_path / "cache")
    (image,) = find_images([folder / "a.dcm"])
    read = read_frame(image, 1, scale=PROFILE.scale)
    base = replace(shown(0), frame=replace(read, header_spacing=shown(0).frame.header_spacing))
    cache.keep("key", base)
    found = cache.load("key", base.frame)
    assert found.verdict == base.verdict and found.needle == base.needle and found.placement == base.placement
    assert found.calibration == base.calibration and found.provenance == base.provenance
    assert (found.cortex.bone == base.cortex.bone).all() and (found.cortex.lines[0] == base.cortex.lines[0]).all()
    assert found.cortex.located_by == base.cortex.located_by
    assert found.frame is base.frame
    assert cache.load("another", base.frame) is None


def test_a_real_assessment_survives_the_cache_and_gives_the_same_corrections(folder, tmp_path):
    analyst = replace(ANALYST, cache=AssessmentCache(folder=tmp_path / "cache"))
    row = opened(folder).row(0)
    first, second = assess_row(row, analyst), assess_row(row, analyst)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert first is not second and second.verdict == first.verdict
    assert (second.exposure is None) == (first.exposure is None)
    assert (second.frame.pixels == first.frame.pixels).all()


def test_a_damaged_cache_is_analysed_anew(folder, tmp_path):
    analyst = replace(ANALYST, cache=AssessmentCache(folder=tmp_path / "cache"))
    row = opened(folder).row(0)
    first = assess_row(row, analyst)
    (kept,) = (tmp_path / "cache").iterdir()
    for damage in (b"", b"PK\x03\x04 torn", kept.read_bytes()[:-50], np.random.default_rng(0).bytes(400)):
        kept.write_bytes(damage)
        assert assess_row(row, analyst).verdict == first.verdict


def test_a_cache_that_cannot_be_written_is_no_error(folder, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    analyst = replace(ANALYST, cache=AssessmentCache(folder=tmp_path / "cache"))
    assert assess_row(opened(folder).row(0), analyst).verdict.code is Code.NOT_ASSESSABLE


def test_the_oldest_go_when_the_cache_is_full(tmp_path):
    cache = AssessmentCache(folder=tmp_path)
    for k in range(5):
        cache.keep(f"{k}", shown(k))
    assert cache.prune(most=2) == 3
    assert cache.prune(most=2) == 0


def test_everything_that_could_change_a_result_is_in_its_key():
    base = frame()
    other_profile = parse_profile(profile_toml(replace(profile_form(None), name="other")))
    keys = {
        cache_key(base, PROFILE, "m", None),
        cache_key(base, PROFILE, None, None),
        cache_key(base, PROFILE, "m", 3.05),
        cache_key(base, other_profile, "m", None),
        cache_key(replace(base, side="L"), PROFILE, "m", None),
        cache_key(replace(base, view=View(kind=ViewKind.AP)), PROFILE, "m", None),
        cache_key(replace(base, header_spacing=replace(base.header_spacing, spacing=None)), PROFILE, "m", None),
        cache_key(replace(base, reference=reference(pixel_sha256="0" * 64)), PROFILE, "m", None),
        cache_key(replace(base, valid=~base.valid), PROFILE, "m", None),
    }
    assert len(keys) == 9
    assert cache_key(base, PROFILE, "m", None) in keys


def test_the_worker_says_what_the_command_says(folder):
    row = opened(folder).row(0)
    direct = assess_frame(read_frame(row.image, 1, scale=PROFILE.scale), profile=PROFILE)
    found = assess_row(row, ANALYST)
    assert (found.verdict, found.provenance) == (direct.verdict, direct.provenance)


def test_a_reviewed_frames_record_holds_the_programs_fields_and_theirs(tmp_path):
    base = shown(0)
    wanted = Corrections().changed(by="A", tip=(200.0, 400.0))
    corrected = reassess(base, wanted, PROFILE)
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    entry = ledger.append(decide(base, Action.CORRECT, rater="A", corrected=corrected, corrections=wanted))
    record = reviewed_record(corrected, wanted, [entry])
    assert set(frame_record(corrected)) | {"corrections", "reviews"} == set(record)
    assert record["corrections"]["tip_xy"] == [400.0, 200.0]
    assert (record["reviews"][0]["rater"], record["reviews"][0]["verdict_before"]) == ("A", "projected_inside")
    record_line(record)
    assert reviewed_record(base)["corrections"] is None
