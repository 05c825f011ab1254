"""Stills of one series in a real napari window: each a frame of its own, and together a run that is followed and signed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_files import COUNT, PLACE, POOL_FRAME, RADIUS_PX, STEPS_S, still_name, write_stills

from marrowpoint.review import Action
from marrowpoint.review.corrections import KnownLength
from marrowpoint.review.session import State
from marrowpoint.verdict import Code

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    pytest.skip("no screen", allow_module_level=True)

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from review_window import begin, idle, key, wait

from napari_marrowpoint.layers import PICTURE, SUBTRACTED
from napari_marrowpoint.review import Review

pytestmark = pytest.mark.gui
SHIFT = Qt.KeyboardModifier.ShiftModifier
SECONDS = [sum(STEPS_S[:index]) for index in range(COUNT)]


def begun(viewer: Any, folder: Path) -> Review:
    review = begin(viewer, folder)
    wait(lambda: review.desk.film != () or review.desk.row.state is State.FAILURE)
    review.analysis.stop()  # the run alone
    return review


def name_on_screen(review: Review) -> str:
    return review.desk.row.image.path.name


def test_stills_are_stepped_through_in_time_and_followed(viewer: Any, tmp_path: Path) -> None:
    write_stills(tmp_path / "study")
    review = begun(viewer, tmp_path / "study")
    assert name_on_screen(review) == still_name(0) == "still_00.dcm"
    assert review.run_dock.isVisible() and viewer.dims.ndim == 3
    assert review.pane.words.startswith(f"still 1 of {COUNT}, 0.00 s")
    assert viewer.dims.axis_labels[0].strip() == f"1 of {COUNT}"
    assert review.list.model.data(review.list.model.index(0)).split("   ")[1] == f"(1 of {COUNT})"
    wait(lambda: review.runs.run is not None)
    run = review.runs.run
    assert run.verdict.code in (Code.LOCAL_POOL, Code.SPREAD_AWAY)
    assert run.verdict.text in review.run_panel.verdict.text()

    curves = review.run_panel.curves
    plot = curves.plots()[0]
    shares = [(plot.across(frame) - plot.box.left()) / plot.box.width() for frame in range(COUNT)]
    assert np.allclose(shares, np.divide(SECONDS, SECONDS[-1])), "a pause is as long as it was"
    last = COUNT - 1
    QTest.mouseClick(curves, Qt.MouseButton.LeftButton, pos=curves.place_of(last).toPoint())
    assert name_on_screen(review) == still_name(last)
    assert viewer.dims.current_step[0] == last
    assert review.pane.words.startswith(f"still {COUNT} of {COUNT}, {SECONDS[last]:.2f} s")
    viewer.dims.set_current_step(0, 5)
    assert name_on_screen(review) == still_name(5)
    wait(lambda: review.desk.shown is not None)
    assert review.desk.shown.frame.reference.path.endswith(still_name(5))
    key(review, Qt.Key.Key_J)
    assert abs(review.desk.row.run_index - POOL_FRAME) <= 2

    review.runs.go(last)
    wait(lambda: review.desk.shown is not None)
    key(review, Qt.Key.Key_5)
    shown = np.asarray(review.canvas.layers[SUBTRACTED].data[last])
    assert shown[int(PLACE[0]), int(PLACE[1])] > review.canvas.layers[SUBTRACTED].contrast_limits[1] / 2
    assert "subtracted" in review.pane.words
    key(review, Qt.Key.Key_Right)  # the next of the list, wherever it lies in time
    assert review.desk.place == review.desk.session.row(0).stills[last] + 1
    assert viewer.dims.current_step[0] == review.desk.row.run_index != last
    idle(review)


def test_each_still_and_the_run_are_signed_apart_and_come_back(viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_stills(folder)
    review = begun(viewer, folder)
    wait(lambda: review.runs.run is not None)
    found = review.runs.run
    review.runs.go(3)
    wait(lambda: review.desk.shown is not None)
    key(review, Qt.Key.Key_A)
    (still,) = [row for row in review.desk.session.rows if row.reviews]
    assert still.key is not None and not still.key.whole_run
    assert still.image.path.name == still_name(3)
    assert review.runs.book.entries() == ()

    square = 2 * RADIUS_PX * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
    review.runs.go(0)  # lies in the picture as before contrast
    review.runs.take_target(np.add(PLACE, square))
    wait(lambda: not review.runs.busy and review.runs.run is not found)
    assert review.runs.run.verdict.code is Code.SPREAD_AT_TARGET
    idle(review)

    again = begun(viewer, folder)  # not signed yet: as after a crash
    wait(lambda: again.runs.run is not None and again.runs.run.verdict.code is Code.SPREAD_AT_TARGET)
    assert "not signed yet" in again.run_panel.state.text()
    key(again, Qt.Key.Key_A, SHIFT)
    (signed,) = again.runs.book.entries()
    assert (signed.action, signed.frame.whole_run) == (Action.CORRECT, True)
    assert (signed.frame.path, signed.before.code) == (f"study/{still_name(0)}", found.verdict.code.value)
    assert signed.after.code == Code.SPREAD_AT_TARGET.value
    idle(again)

    last = begun(viewer, folder)
    last.runs.go(7)
    wait(lambda: last.runs.run is not None and last.runs.run.verdict.code is Code.SPREAD_AT_TARGET)
    assert last.run_panel.state.text() == "Run: corrected by A. Reader"
    idle(last)


def test_what_was_made_of_a_run_stays_when_an_earlier_still_comes(viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    first = write_stills(folder)[0]
    first.rename(tmp_path / "later.dcm")
    review = begun(viewer, folder)
    wait(lambda: review.runs.run is not None)
    review.runs.sign(Action.REJECT, "seen too late")
    review.runs.take_target(np.add(PLACE, 2 * RADIUS_PX * np.array([(-1, -1), (-1, 1), (1, 1)])))
    drawn = review.runs.book.target
    idle(review)
    review.shut()

    (tmp_path / "later.dcm").rename(first)
    again = begun(viewer, folder)
    wait(lambda: again.runs.run is not None)
    assert len(again.runs.run.references) == COUNT
    assert "rejected by A. Reader (stale), target not signed yet" in again.run_panel.state.text()
    assert np.allclose(again.runs.book.target, drawn)
    idle(again)


def test_a_still_with_another_scale_stays_on_the_screen(viewer: Any, tmp_path: Path) -> None:
    write_stills(tmp_path / "study", scaled=(4, 6))
    review = begun(viewer, tmp_path / "study")
    review.runs.stop_or_go_on()
    for index, unit in ((4, "millimeter"), (5, "css_pixel"), (6, "millimeter"), (3, "css_pixel")):
        review.runs.go(index)
        wait(lambda: review.desk.shown is not None)
        assert {str(each) for layer in viewer.layers for each in layer.units} == {unit}
        assert (name_on_screen(review), viewer.dims.current_step[0]) == (still_name(index), index)
        assert "transform" not in viewer.help
        shown = review.canvas.layers[PICTURE]
        assert np.array_equal(shown.data[index], review.desk.frame.pixels)
    # a scale that a person gives makes millimetres of pixels, and a new picture of the same still
    review.desk.correct(scale=KnownLength(start=(50.0, 50.0), end=(50.0, 150.0), length_mm=40.0))
    assert {str(each) for layer in viewer.layers for each in layer.units} == {"millimeter"}
    assert (name_on_screen(review), viewer.dims.current_step[0]) == (still_name(3), 3)
    review.analysis.stop()
    idle(review)


def test_a_still_cut_short_is_told_and_the_others_are_followed(viewer: Any, tmp_path: Path) -> None:
    paths = write_stills(tmp_path / "study")
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[: len(whole) - 4000])
    review = begun(viewer, tmp_path / "study")
    assert len(review.desk.film) in (COUNT, COUNT - 1)  # a header may be whole where pixels are not
    review.desk.go(next(row.place for row in review.desk.session.rows if row.image.path == paths[2]))
    assert review.desk.row.state is State.FAILURE
    assert not review.run_dock.isVisible()
    review.desk.go(review.desk.session.rows[0].place)
    assert len(review.desk.film) == COUNT - 1
    wait(lambda: review.runs.run is not None)
    assert len(review.runs.run.references) == COUNT - 1
    assert review.pane.words.startswith(f"still 1 of {COUNT - 1}")
    idle(review)
