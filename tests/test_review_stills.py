"""Stills that make a run, as a review lists and follows them: the same run as `analyze` makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from run_files import COUNT, STEPS_S, still_moments, still_name, write_stills

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.read import find_images, read_frame, read_profile
from marrowpoint.report.run_record import run_record
from marrowpoint.review.axis import are_uneven, frame_places
from marrowpoint.review.entry import FrameKey
from marrowpoint.review.listing import State, list_frames
from marrowpoint.review.runs import follow_film, run_sentences, subtraction_words
from marrowpoint.review.session import Session
from marrowpoint.review.worker import Analyst
from marrowpoint.runs.collect import RunRequest
from marrowpoint.runs.run import RunAssessment

PROFILE = read_profile()


def listed(folder: Path, profile=PROFILE) -> Session:
    session = Session(profile=profile, provenance=Analyst(profile=profile).provenance)
    for found in list_frames(folder):
        session.add(found)
    session.find_runs()
    return session


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("stills") / "study"
    write_stills(home)
    return home


def test_the_window_follows_the_run_that_analyze_follows(folder: Path) -> None:
    session = listed(folder)
    runs = [each for each in analyze_images(find_images([folder]), Request(profile=PROFILE)) if isinstance(each, RunAssessment)]
    film = session.film(0)
    assert film is not None and film.followable
    followed = follow_film(film, RunRequest(profile=PROFILE))
    assert [run_record(run) for run in runs] == [run_record(followed)]
    record = run_record(followed)
    key = FrameKey.of_run(followed.references)
    assert (key.path, key.sop_instance_uid) == (record["source"]["paths"][0], record["source"]["sop_instance_uids"][0])
    assert key.path.endswith(still_name(0)) and key.whole_run
    # each still is laid over the picture before contrast by its place in the run, not by its number in its file
    assert followed.pictures is not None
    last = read_frame(film.images[-1], 1, scale=PROFILE.scale)
    added = followed.pictures.subtracted(last, COUNT - 1)
    assert added is not None and added.max() > followed.pictures.limits[1]
    assert subtraction_words(followed, COUNT - 1) == "subtracted"
    assert "16 stills over 84 s, up to 40 s apart: what was between is not known." in run_sentences(followed)


def test_stills_lie_in_order_of_time_at_their_true_times(folder: Path) -> None:
    session = listed(folder)
    names = [session.row(place).image.path.name for place in session.row(0).stills]
    assert names == [still_name(index) for index in range(COUNT)]
    assert all(row.stills == session.row(0).stills == row.run_places for row in session.rows)
    assert sorted(row.run_index for row in session.rows) == list(range(COUNT))
    film = session.film(3)
    assert film is not None and film.moments == tuple(still_moments())
    assert film.seconds is not None and film.seconds[:4] == (0.0, 2.0, 3.0, 4.5)
    assert frame_places(COUNT, film.seconds)[-1] == sum(STEPS_S)


def test_a_head_is_what_the_frame_says_without_its_pixels(folder: Path) -> None:
    row = listed(folder).row(0)
    frame = read_frame(row.image, 1, scale=PROFILE.scale)
    assert row.head is not None
    assert row.head.reference == replace(frame.reference, pixel_sha256="")
    assert row.head.view == frame.view


def test_a_still_that_cannot_be_read_leaves_the_run_and_the_others_make_it(folder: Path) -> None:
    session = listed(folder)
    third = session.row(0).stills[2]
    session.fail(third, "cut_short", "The file is cut short.")
    changed = session.find_runs()
    assert {row.place for row in changed} == set(range(COUNT))
    assert session.row(third).stills == () and session.run_files(third) == ()
    assert all(len(row.stills) == COUNT - 1 for row in session.rows if row.state is not State.FAILURE)
    assert session.find_runs() == ()


def test_three_stills_are_no_run_and_another_series_is_apart(tmp_path: Path) -> None:
    for path in write_stills(tmp_path / "few")[3:]:
        path.unlink()
    assert [row.stills for row in listed(tmp_path / "few").rows] == [()] * 3
    home = tmp_path / "two series"
    for index, path in enumerate(write_stills(home)):
        if index >= 6:
            path.unlink()
    for index, path in enumerate(write_stills(tmp_path / "other", SeriesInstanceUID="1.2.826.0.1.3680043.8.498.22")):
        if index < 3:
            path.rename(home / f"other_{index}.dcm")
    rows = listed(home).rows
    assert sorted(len(row.stills) for row in rows) == [0, 0, 0, 6, 6, 6, 6, 6, 6]


def test_a_profile_that_judges_no_runs_makes_none(folder: Path) -> None:
    assert not any(row.stills for row in listed(folder, replace(PROFILE, run=None)).rows)


def test_the_axis_is_time_where_times_grow_else_frames() -> None:
    assert frame_places(3, (0.0, 1.0, 30.0)) == (0.0, 1.0, 30.0)
    assert frame_places(2, (0.0, 1.0, 30.0)) == (0.0, 1.0)
    assert frame_places(3, (0.0, 1.0, 1.0)) == frame_places(3, None) == frame_places(3, (0.0,)) == (0.0, 1.0, 2.0)
    assert are_uneven((0.0, 1.0, 2.0, 30.0)) and not are_uneven((0.0, 1.0, 2.0)) and not are_uneven((0.0,))
