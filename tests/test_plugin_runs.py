"""A run in a real napari window: slider, curves to click, subtracted view, outline, verdict and reasons, stop and go on."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_files import COUNT, FRAME_MS, PLACE, POOL_FRAME, RADIUS_PX, contrast_file, source_picture

from marrowpoint.review import Action
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.runs.judge_spread import NEVER_ABSENT
from marrowpoint.verdict import Code

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    pytest.skip("no screen", allow_module_level=True)

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget
from review_window import Mouse, begin, idle, key, wait

from napari_marrowpoint.layers import BEFORE, RUN, SUBTRACTED
from napari_marrowpoint.window import open_review

pytestmark = pytest.mark.gui
SAMPLES = Path(__file__).parents[1] / "sample_dicom"


def layer(viewer: Any, name: str) -> Any:
    return next(each for each in viewer.layers if each.name == name)


def test_a_contrast_run_is_followed_and_looked_at(viewer: Any, tmp_path: Path) -> None:
    review = begin(viewer, contrast_file(tmp_path / "run.dcm"))
    review.analysis.stop()  # the run alone
    assert review.run_dock.isVisible()
    assert review.pane.words.startswith(f"frame 1 of {COUNT}, 0.00 s")
    assert viewer.dims.axis_labels[0].strip() == f"1 of {COUNT}"
    from_zero = [each for each in review.window().findChildren(QWidget, "slice_label") if each.isVisible()]
    assert from_zero == []
    wait(lambda: review.runs.run is not None)
    run = review.runs.run
    assert run.verdict.text in review.run_panel.verdict.text()
    assert NEVER_ABSENT.split(":")[0] in review.run_panel.why.toPlainText()
    curves = review.run_panel.curves
    assert curves.subject == "contrast" and len(curves.curves) == 3

    target = COUNT - 3
    QTest.mouseClick(curves, Qt.MouseButton.LeftButton, pos=curves.place_of(target).toPoint())
    assert review.desk.row.frame_number == target + 1
    assert viewer.dims.current_step[0] == target
    assert curves.frame == target
    time_s = target * FRAME_MS / 1000
    assert review.pane.words.startswith(f"frame {target + 1} of {COUNT}, {time_s:.2f} s")
    wait(lambda: review.desk.shown is not None)

    assert not layer(viewer, SUBTRACTED).visible
    outline = layer(viewer, RUN).data[:, 0]
    key(review, Qt.Key.Key_5)
    assert layer(viewer, SUBTRACTED).visible
    assert "subtracted" in review.pane.words
    shown = np.asarray(layer(viewer, SUBTRACTED).data[target])
    low, high = layer(viewer, SUBTRACTED).contrast_limits
    assert shown[int(PLACE[0]), int(PLACE[1])] > high / 2 > 0 > low
    assert not np.allclose(layer(viewer, RUN).data[:, 0], outline), "the outline stayed where the patient lies in the frame"
    key(review, Qt.Key.Key_6)
    assert layer(viewer, BEFORE).visible and not layer(viewer, SUBTRACTED).visible
    key(review, Qt.Key.Key_6)
    key(review, Qt.Key.Key_7)
    assert not layer(viewer, RUN).visible
    key(review, Qt.Key.Key_7)

    key(review, Qt.Key.Key_J)
    first = min(moment.frame for moment in curves.moments)
    assert review.desk.row.frame_number == first + 1
    assert abs(first - POOL_FRAME) <= 2
    review.runs.go(0)
    assert RUN not in [each.name for each in viewer.layers], "an outline of contrast before there is any"
    idle(review)


def test_following_is_stopped_and_begun_again_and_a_still_has_no_dock(viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    contrast_file(folder / "a.dcm")
    shutil.copy(SAMPLES / "us_above_cortex.dcm", folder / "b.dcm")
    review = open_review(viewer, [folder], ReviewRequest(folder=folder, rater="A. Reader"))
    wait(lambda: review.desk.place is not None)
    assert review.runs.busy
    assert not review.run_panel.stop.isHidden()
    QTest.mouseClick(review.run_panel.stop, Qt.MouseButton.LeftButton)
    wait(lambda: not review.runs.busy and len(review.desk.session) == COUNT + 1)
    review.analysis.stop()
    assert "Stopped" in review.run_panel.verdict.text()
    assert review.runs.run is None
    key(review, Qt.Key.Key_5)
    assert "no such picture" in review.panel.hint.text()

    review.desk.go(COUNT)
    assert not review.run_dock.isVisible()
    assert viewer.dims.ndim == 2
    review.desk.go(2)
    assert review.run_dock.isVisible()
    wait(lambda: review.desk.shown is not None)
    assert "Stopped" in review.run_panel.verdict.text(), "it was begun again without being asked"
    assert not review.runs.busy
    QTest.mouseClick(review.run_panel.stop, Qt.MouseButton.LeftButton)
    wait(lambda: review.runs.run is not None)
    assert review.runs.run.verdict.code in (Code.LOCAL_POOL, Code.SPREAD_AWAY)
    idle(review)


def test_a_pull_on_a_frame_of_a_run_with_a_scale_goes_where_the_mouse_goes(viewer: Any, tmp_path: Path) -> None:
    path = contrast_file(tmp_path / "run.dcm", DistanceSourceToPatient="700", DistanceSourceToDetector="1000",
                         ImagerPixelSpacing=["0.4", "0.4"])  # fmt: skip
    review = begin(viewer, path)
    review.runs.stop_or_go_on()
    review.analysis.stop()
    idle(review)
    assert {str(unit) for each in viewer.layers for unit in each.units} == {"millimeter"}
    assert review.canvas.ground.scale[0] == pytest.approx(0.28)
    key(review, Qt.Key.Key_T)
    Mouse(review).pull((120.0, 130.0), (60.0, 90.0))
    assert review.desk.shown.needle.tip == pytest.approx((120.0, 130.0), abs=1)


def test_closing_while_a_run_is_followed_leaves_no_thread(viewer: Any, tmp_path: Path) -> None:
    path = contrast_file(tmp_path / "run.dcm")
    review = open_review(viewer, [path], ReviewRequest(folder=path))
    wait(lambda: review.desk.place is not None)
    assert review.runs.busy
    runs, analysis = review.runs, review.analysis
    review.shut()
    assert review.run_panel.curves.curves == ()
    wait(lambda: not runs.busy and not analysis.busy)
    QApplication.processEvents()
    assert runs.run is None
    review.commands.go_event()
    QTest.mouseClick(review.run_panel.curves, Qt.MouseButton.LeftButton, pos=QPoint(60, 60))


def test_a_target_is_drawn_undone_signed_and_found_again(viewer: Any, tmp_path: Path) -> None:
    path = contrast_file(tmp_path / "run.dcm")
    review = begin(viewer, path)
    review.analysis.stop()
    wait(lambda: review.runs.run is not None)
    found = review.runs.run
    assert found.verdict.code is not Code.SPREAD_AT_TARGET
    review.runs.go(COUNT - 2)
    wait(lambda: review.desk.shown is not None)
    review.analysis.stop()
    mouse, moved = Mouse(review), np.add(PLACE, source_picture(COUNT - 2)[1])
    corners = [tuple(moved + 2 * RADIUS_PX * np.array(way)) for way in ((-1, -1), (-1, 1), (1, 1), (1, -1))]

    key(review, Qt.Key.Key_D)
    mouse.click(corners[0])
    mouse.click(corners[1])
    key(review, Qt.Key.Key_Escape)
    assert not review.canvas.draws("draft")
    for corner in corners:
        mouse.click(corner)
    assert review.canvas.draws("draft")
    mouse.click(corners[0])  # on the first corner: closed
    assert not review.canvas.draws("draft")
    # where the patient lay before contrast, not where they lie in the frame that was drawn on
    assert np.allclose(review.runs.book.target.mean(axis=0), PLACE, atol=1.0)
    wait(lambda: not review.runs.busy and review.runs.run is not found)
    assert review.runs.run.verdict.code is Code.SPREAD_AT_TARGET
    assert "in the target that a person drew" in review.run_panel.why.toPlainText()
    assert "target, A. Reader" in dict(review.pane.label_boxes())
    assert "not signed yet" in review.run_panel.state.text()

    key(review, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert review.runs.book.target is None and review.runs.run is found
    assert not any("target" in text for text, _ in review.pane.label_boxes())
    key(review, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert review.runs.run.verdict.code is Code.SPREAD_AT_TARGET
    key(review, Qt.Key.Key_A, Qt.KeyboardModifier.ShiftModifier)
    (signed,) = review.runs.book.entries()
    assert (signed.action, signed.rater, signed.frame.whole_run) == (Action.CORRECT, "A. Reader", True)
    assert (signed.before.code, signed.after.code) == (found.verdict.code.value, Code.SPREAD_AT_TARGET.value)
    assert review.run_panel.state.text() == "Run: corrected by A. Reader"
    key(review, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClicks(review.panel.line, "seen twice")
    QTest.keyClick(review.panel.line, Qt.Key.Key_Return)
    assert "seen twice" in review.run_panel.why.toPlainText()
    assert "stands in the ledger" in review.panel.hint.text()
    key(review, Qt.Key.Key_D)
    assert "stands in the ledger" not in review.panel.hint.text()
    key(review, Qt.Key.Key_Escape)
    assert not review.desk.row.reviews, "the frame was not decided on"
    idle(review)

    again = begin(viewer, path)  # another window, another day
    again.analysis.stop()
    wait(lambda: again.runs.run is not None and again.runs.run.verdict.code is Code.SPREAD_AT_TARGET)
    assert np.allclose(again.runs.book.target, signed.corrections.target)
    assert again.run_panel.state.text() == "Run: corrected by A. Reader"
    key(again, Qt.Key.Key_D)
    key(again, Qt.Key.Key_Delete)
    wait(lambda: again.runs.run.verdict.code is found.verdict.code)
    assert again.runs.book.target is None
    idle(again)
