"""The review in a real napari window: real mouse, real keys, real ledger."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowpoint.assess import assess_frame
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.read import read_frame, read_profile
from marrowpoint.review import Action, read_entries
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.review.session import State
from marrowpoint.verdict import Code

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    pytest.skip("no screen", allow_module_level=True)

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from review_window import Mouse, begin, idle, key, shifted, wait

from napari_marrowpoint.hints import Tool
from napari_marrowpoint.layers import TIP
from napari_marrowpoint.profile_form import ProfilePanel
from napari_marrowpoint.scene import camera_of, scale_bar_of
from napari_marrowpoint.window import open_review

pytestmark = pytest.mark.gui
SAMPLES = Path(__file__).parents[1] / "sample_dicom"


def is_drawn(review: Any, point: tuple[float, float], colour: str) -> bool:
    """Whether a colour is on the screen near a point of the frame."""
    at = Mouse(review).place(point)
    corner = review.pane.mapTo(review.window(), at.toPoint())
    image = review.window().grab().toImage()
    around = [(corner.x() + dx, corner.y() + dy) for dx in range(-12, 13) for dy in range(-12, 13)]
    return any(image.pixelColor(x, y) == QColor(colour) for x, y in around)


def test_a_sample_is_opened_corrected_undone_signed_and_found_again(viewer: Any, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "psis_tangential.dcm", tmp_path / "view.dcm")
    viewer.open(str(tmp_path / "view.dcm"), plugin="marrowpoint")
    _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
    review.set_rater("A. Reader")
    wait(lambda: review.desk.shown is not None)
    found = review.desk.shown
    names = {layer.name for layer in viewer.layers}
    assert {"picture", "hip bone"} <= names
    length = f"{abs(found.placement.tip_to_cortex.value):.1f} mm"
    told = dict(review.pane.label_boxes())
    assert length in told
    assert all(review.pane.rect().contains(box.toAlignedRect()) for box in told.values())
    assert review.pane.size() == Mouse(review).widget.size()
    assert is_drawn(review, found.needle.tip, TIP), "the cross of the tip is not on the screen"
    assert review.banner.text == found.verdict.text
    assert len({str(layer.units) for layer in viewer.layers}) == 1
    assert scale_bar_of(viewer).visible
    assert "scale from" in review.pane.words
    assert review.pane.rect().contains(review.pane.words_box().toAlignedRect())
    assert review.pane.words_box().width() < review.pane.width() - 100, "the words lie under the scale bar"

    mouse, before = Mouse(review), found.placement.tip_to_cortex.value
    # the mouse presses and lets go at whole pixels of the screen
    within = 1.1 / review.canvas.px_per_pixel
    zoom = camera_of(viewer).zoom, tuple(camera_of(viewer).center)
    target = shifted(found.needle.tip, 12, -18)
    mouse.press(found.needle.tip)
    mouse.move(target)
    wait(lambda: review.desk.shown.needle.tip == pytest.approx(target, abs=within), seconds=10)
    assert review.desk.shown.placement.tip_to_cortex.value != before  # the number follows while the mouse still pulls
    assert review.desk.corrections.empty
    mouse.release(target)
    assert review.desk.corrections.fields_set == ("tip",)
    assert review.desk.shown.needle.located_by == "reader A. Reader"
    assert (camera_of(viewer).zoom, tuple(camera_of(viewer).center)) == zoom, "the pull moved the picture"
    assert "corrected by A. Reader" in review.banner.note
    assert "tip, by A. Reader" in review.panel.why.toPlainText()
    assert np.allclose(review.canvas.handle_places()[0], review.desk.shown.needle.tip)

    key(review, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert review.desk.shown.placement.tip_to_cortex.value == before
    key(review, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert review.desk.shown.needle.tip == pytest.approx(target, abs=within)
    key(review, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert review.desk.shown.needle.tip[0] == pytest.approx(target[0] - 0.1, abs=within)
    idle(review)
    key(review, Qt.Key.Key_A)
    (entry,) = read_entries(review.desk.ledger_path)
    assert entry.action is Action.CORRECT
    assert entry.rater == "A. Reader"
    assert entry.before.numbers["tip_to_cortex"]["value"] == pytest.approx(before, abs=1e-3)
    assert entry.after.numbers["tip_to_cortex"]["value"] != entry.before.numbers["tip_to_cortex"]["value"]

    review.open([tmp_path / "view.dcm"])
    wait(lambda: review.desk.shown is not None)
    wait(lambda: "corrected by A. Reader" in review.banner.note)
    assert review.desk.shown.needle.tip == pytest.approx(entry.corrections.tip)
    assert "corrected" in review.panel.history.text()
    idle(review)


def test_a_folder_is_reviewed_by_keys_alone(viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("advancing_multiframe.dcm", "no_needle.dcm", "us_above_cortex.dcm"):
        shutil.copy(SAMPLES / name, folder / name)
    (folder / "broken.dcm").write_bytes(b"no picture")
    review = begin(viewer, folder, ledger=tmp_path / "elsewhere" / "ledger.sqlite")
    wait(lambda: len(review.desk.session) == 6 and all(row.state is not State.WAITING for row in review.desk.session.rows))
    idle(review)
    wait(lambda: "1 unreadable" in review.list.count.text())
    assert viewer.dims.ndim == 3
    assert "1/3" in review.banner.note

    key(review, Qt.Key.Key_Right)
    assert viewer.dims.current_step[0] == 1
    assert "2/3" in review.banner.note
    viewer.dims.set_current_step(0, 2)  # the slider leads as well
    assert review.desk.row.frame_number == 3
    assert review.pane.words.startswith("frame 3 of 3")
    wait(lambda: review.desk.shown is not None)
    key(review, Qt.Key.Key_Right)
    assert review.desk.row.failure == "not_dicom"
    assert "Cannot be read" in review.banner.text
    assert "picture" not in [layer.name for layer in viewer.layers]
    key(review, Qt.Key.Key_Right)
    wait(lambda: review.desk.shown is not None)
    assert viewer.dims.ndim == 2
    assert review.desk.shown.verdict.code is Code.NOT_ASSESSABLE

    key(review, Qt.Key.Key_R)
    wait(review.panel.reject_menu.isVisible)
    QTest.keyClick(review.panel.reject_menu, Qt.Key.Key_6)
    wait(lambda: review.desk.row.name.endswith("us_above_cortex.dcm"))
    wait(lambda: review.desk.shown is not None)
    assert review.desk.shown.verdict.code is Code.ABOVE_CORTEX
    key(review, Qt.Key.Key_M)
    assert review.panel.line.isVisible()
    QTest.keyClicks(review.panel.line, "far away, n and b are letters here")
    QTest.keyClick(review.panel.line, Qt.Key.Key_Return)
    key(review, Qt.Key.Key_F)
    key(review, Qt.Key.Key_A)
    entries = read_entries(tmp_path / "elsewhere" / "ledger.sqlite")
    assert [entry.action for entry in entries] == [Action.REJECT, Action.COMMENT, Action.FLAG, Action.ACCEPT]
    assert [entry.reason for entry in entries] == ["wrong picture", "far away, n and b are letters here", "", ""]
    assert review.desk.row.frame_number == 1  # on to what is not reviewed
    wait(lambda: review.desk.shown is not None)
    key(review, Qt.Key.Key_4)
    key(review, Qt.Key.Key_1)
    assert not any(layer.visible for layer in viewer.layers if layer.name == "hip bone")
    assert all(layer.visible for layer in viewer.layers if layer.name == "bone thickness")
    key(review, Qt.Key.Key_F1)
    assert review.commands._card.isVisible()
    review.commands._card.close()
    idle(review)


def test_outline_needle_scale_and_gauge_are_set_by_hand(viewer: Any, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "marginal_ap.dcm", tmp_path / "view.dcm")
    review = begin(viewer, tmp_path / "view.dcm")
    idle(review)
    mouse = Mouse(review)
    assert review.desk.shown.calibration.spacing is None
    assert review.canvas.ground.units == "px"

    key(review, Qt.Key.Key_S)
    assert review.tools.tool is Tool.SCALE
    mouse.pull((100.0, 100.0), (100.0, 300.0))
    assert review.panel.line.isVisible()
    QTest.keyClicks(review.panel.line, "50")
    QTest.keyClick(review.panel.line, Qt.Key.Key_Return)
    assert review.desk.shown.calibration.spacing.mm_per_px == pytest.approx(0.25, rel=0.02)
    assert {str(layer.units[0]) for layer in viewer.layers} == {"millimeter"}
    assert review.tools.tool is Tool.LOOK

    key(review, Qt.Key.Key_O)
    line = review.tools._lines[0]
    vertex = tuple(line[len(line) // 2])
    mouse.pull(vertex, shifted(vertex, 9, 9))
    assert "outline" in review.desk.corrections.fields_set
    moved = np.concatenate(review.desk.corrections.outline)
    assert np.hypot(*(moved - shifted(vertex, 9, 9)).T).min() < 1
    count = len(moved)
    mouse.move(shifted(vertex, 9, 9), held=False)
    key(review, Qt.Key.Key_Delete)
    assert len(np.concatenate(review.desk.corrections.outline)) == count - 1
    key(review, Qt.Key.Key_Escape)
    assert review.tools.tool is Tool.LOOK

    key(review, Qt.Key.Key_T)
    mouse.pull((200.0, 220.0), (120.0, 200.0))
    assert review.desk.shown.needle.tip == pytest.approx((200.0, 220.0), abs=1)
    steps = len(review.desk.corrections.fields_set)
    key(review, Qt.Key.Key_T)
    mouse.press((150.0, 150.0))
    mouse.move((100.0, 150.0))
    key(review, Qt.Key.Key_Escape)
    mouse.release((100.0, 150.0))
    assert review.desk.shown.needle.tip == pytest.approx((200.0, 220.0), abs=1), "Esc did not cancel"
    assert len(review.desk.corrections.fields_set) == steps

    review.panel.needle.setCurrentIndex(review.panel.needle.findData(2.41))
    review.panel.needle.activated.emit(review.panel.needle.currentIndex())
    assert review.desk.shown.outer_diameter_mm == 2.41
    assert "set by A. Reader" in review.panel.needle.toolTip()

    key(review, Qt.Key.Key_W)
    edge = review.desk.shown.cortex.lines[0]
    for share in (0.3, 0.4, 0.5):
        mouse.click(tuple(edge[int(share * len(edge))]))
    before = review.desk.corrections
    key(review, Qt.Key.Key_Return)
    assert review.desk.corrections.marks["outline"].at > before.marks["outline"].at
    idle(review)


def test_no_pull_of_the_mouse_does_nothing_in_silence(viewer: Any, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "us_above_cortex.dcm", tmp_path / "view.dcm")
    review = begin(viewer, tmp_path / "view.dcm")
    idle(review)
    mouse, tip = Mouse(review), review.desk.shown.needle.tip
    one = 1 / review.canvas.px_per_pixel  # of the screen

    mouse.click(tip)
    assert review.desk.corrections.empty
    assert "Nothing is changed" in review.panel.hint.text()
    mouse.pull(tip, shifted(tip, one, 0), steps=1)
    assert review.desk.shown.needle.tip == pytest.approx(shifted(tip, one, 0), abs=1e-6), (
        "a pull of one pixel was taken for a click"
    )
    mouse.press(review.desk.shown.needle.tip)
    target = shifted(review.desk.shown.needle.tip, 0, 9 * one)
    mouse.release(target)  # so fast that no move was seen
    assert review.desk.shown.needle.tip == pytest.approx(target, abs=one)
    here = review.desk.shown.needle.tip
    mouse.held_keys = Qt.KeyboardModifier.ShiftModifier
    mouse.pull(here, shifted(here, 20 * one, 0))
    mouse.held_keys = Qt.KeyboardModifier.NoModifier
    assert review.desk.shown.needle.tip == pytest.approx(shifted(here, 2 * one, 0), abs=0.2 * one)
    here = review.desk.shown.needle.tip
    mouse.press(here)
    mouse.move(shifted(here, 30, 0))
    mouse.move(here)
    mouse.release(here)
    assert review.desk.shown.needle.tip == pytest.approx(here)
    assert "lies where it lay" in review.panel.hint.text()
    key(review, Qt.Key.Key_T)
    mouse.click((100.0, 100.0))
    assert "No needle is drawn" in review.panel.hint.text()
    assert review.tools.tool is Tool.NEEDLE


def test_a_needle_of_any_width_is_written_in_once(viewer: Any, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "marginal_ap.dcm", tmp_path / "view.dcm")
    review = begin(viewer, tmp_path / "view.dcm")
    idle(review)
    box = review.panel.needle
    box.setCurrentIndex(box.count() - 1)
    box.activated.emit(box.currentIndex())
    assert review.panel.line.isVisible()
    for words in ("thick", "2,5 mm"):
        review.panel.line.setText(words)
        QTest.keyClick(review.panel.line, Qt.Key.Key_Return)
        if words == "thick":
            assert "is no length" in review.panel.hint.text()
            box.activated.emit(box.count() - 1)
    assert review.desk.shown.outer_diameter_mm == 2.5
    assert box.currentText() == "2.5 mm"


def test_frames_analysed_at_once_say_what_each_says_alone(viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("psis_iliac_oblique.dcm", "psis_tangential.dcm"):
        shutil.copy(SAMPLES / name, folder / name)
    review = begin(viewer, folder)
    assert review.analysis._network is not review.desk.analyst.network, "two threads on one network mix their frames"
    review.desk.go(1)
    wait(lambda: review.desk.shown is not None)
    idle(review)
    network = load_network()
    for row in review.desk.session.rows:
        frame = read_frame(row.image, 1, scale=review.desk.profile.scale)
        alone = assess_frame(frame, profile=review.desk.profile, network=network)
        assert (row.code, row.text) == (alone.verdict.code, alone.verdict.text)
        if row.place == review.desk.place:
            assert review.desk.shown.placement == alone.placement


def test_a_fault_in_the_frame_on_the_screen_is_told_and_ends_nothing(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(SAMPLES / "us_above_cortex.dcm", tmp_path / "view.dcm")

    def fault(row: Any, analyst: Any) -> None:
        raise RuntimeError("never to be shown")

    def nothing(*rows: Any, **how: Any) -> Iterator[None]:
        yield from ()

    monkeypatch.setattr("napari_marrowpoint.analysis.assess_row", fault)
    monkeypatch.setattr("napari_marrowpoint.analysis.analyse_frames", nothing)
    review = begin(viewer, tmp_path / "view.dcm")
    assert review.desk.row.failure == "internal_error"
    assert "never to be shown" not in review.banner.text
    idle(review)


def test_the_profile_panel_writes_the_file_that_profile_reads(qtbot: Any, tmp_path: Path) -> None:
    panel = ProfilePanel()
    qtbot.addWidget(panel)
    told: list[str] = []
    panel.told.connect(told.append)
    panel.fields["verdict", "thin_below_mm"].setValue(6.0)
    assert not panel.save(tmp_path / "mine.toml")
    assert "name of its own" in told[-1]
    panel.name.setText("mine")
    with qtbot.waitSignal(panel.used) as used:
        assert panel.save(tmp_path / "mine.toml")
    written = read_profile(tmp_path / "mine.toml")
    assert written.verdict.thin_below_mm == 6.0
    assert written.scale == read_profile(None).scale
    assert used.args == [written]
    panel.load(None)
    assert panel.fields["verdict", "thin_below_mm"].value() == read_profile(None).verdict.thin_below_mm


def test_two_windows_on_one_ledger_and_a_crash(make_napari_viewer: Any, viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copy(SAMPLES / "us_above_cortex.dcm", folder / "a.dcm")
    first = begin(viewer, folder, "first")
    other = make_napari_viewer(show=True)
    second = begin(other, folder, "second")
    idle(first)
    idle(second)
    second.commands.accept()
    first.commands.accept()
    wait(lambda: "second" in first.banner.note and "first" in first.banner.note)
    assert [entry.rater for entry in read_entries(folder / "marrowpoint-review.sqlite")] == ["second", "first"]
    row, column = second.desk.shown.needle.tip
    second.desk.correct(tip=(row + 3, column))
    second.desk.journal._stream.close()  # the window dies without a word
    second.desk.journal._guard.close()
    second.open([folder])
    wait(lambda: second.desk.shown is not None)
    assert second.desk.shown.needle.tip == pytest.approx((row + 3, column), abs=1e-3)
    idle(second)


def test_closing_in_the_middle_of_an_analysis_leaves_nothing_behind(viewer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        shutil.copy(SAMPLES / "us_above_cortex.dcm", folder / f"{number:03d}.dcm")
    review = open_review(viewer, [folder], ReviewRequest(folder=folder, rater="x"))
    wait(lambda: len(review.desk.session) == 40)
    wait(lambda: any(row.state is State.VERDICT for row in review.desk.session.rows))
    analysis, journal = review.analysis, review.desk.journal
    review.shut()
    assert journal._stream.closed
    wait(lambda: not analysis.busy)
    assert review.desk is None
    review.commands.go_next()  # keys without a review do nothing
    review.commands.accept()
