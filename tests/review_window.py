"""What tests of the review's window share: waiting for it, real mouse and key events."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from marrowpoint.review.launch import ReviewRequest
from marrowpoint.review.session import State
from napari_marrowpoint.review import Review
from napari_marrowpoint.scene import camera_of
from napari_marrowpoint.window import open_review

LONG_S = 240  # on a machine that does other things as well


def wait(until: Callable[[], Any], *, seconds: float = LONG_S) -> None:
    """Let the window work until something holds."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "the window did not get there"
        QApplication.processEvents()
        time.sleep(0.005)
    QApplication.processEvents()


def begin(viewer: Any, folder: Path, rater: str = "A. Reader", **asked: Any) -> Review:
    """A review whose first frame has been measured."""
    review = open_review(viewer, [folder], ReviewRequest(folder=folder, rater=rater, **asked))
    wait(lambda: review.desk.place is not None)
    wait(lambda: review.desk.shown is not None or review.desk.row.state is State.FAILURE)
    return review


def idle(review: Review) -> None:
    """Wait for the threads, so that no test leaves one behind."""
    wait(lambda: not review.analysis.busy and not review.runs.busy)


class Mouse:
    """Real mouse events on the canvas, in pixels of the frame."""

    def __init__(self, review: Review) -> None:
        self.review = review
        self.held_keys = Qt.KeyboardModifier.NoModifier
        (self.widget,) = [w for w in review.window().findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop"]

    def place(self, point: tuple[float, float]) -> QPointF:
        camera, ground = camera_of(self.review.viewer), self.review.canvas.ground
        row, column = (np.multiply(point, ground.scale) - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPointF(self.widget.width() / 2 + column, self.widget.height() / 2 + row)

    def send(self, kind: QEvent.Type, point: tuple[float, float], button: Any, held: Any) -> None:
        at = self.place(point)
        there = QPointF(self.widget.mapToGlobal(at.toPoint()))
        QApplication.sendEvent(self.widget, QMouseEvent(kind, at, there, button, held, self.held_keys))
        QApplication.processEvents()

    def press(self, point: tuple[float, float]) -> None:
        self.send(QEvent.Type.MouseButtonPress, point, Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton)

    def move(self, point: tuple[float, float], *, held: bool = True) -> None:
        buttons = Qt.MouseButton.LeftButton if held else Qt.MouseButton.NoButton
        self.send(QEvent.Type.MouseMove, point, Qt.MouseButton.NoButton, buttons)

    def release(self, point: tuple[float, float]) -> None:
        self.send(QEvent.Type.MouseButtonRelease, point, Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton)

    def pull(self, start: tuple[float, float], end: tuple[float, float], steps: int = 4) -> None:
        self.press(start)
        for share in np.linspace(0, 1, steps + 1)[1:]:
            self.move(tuple(np.asarray(start) + share * np.subtract(end, start)))
        self.release(end)

    def click(self, point: tuple[float, float]) -> None:
        self.move(point, held=False)
        self.press(point)
        self.release(point)


def key(review: Review, code: Any, modifier: Any = None) -> None:
    """A real key press in the window."""
    window = review.window()
    if QApplication.activeWindow() is not window:
        window.activateWindow()
        wait(lambda: QApplication.activeWindow() is window)
    QTest.keyClick(window, code, modifier or Qt.KeyboardModifier.NoModifier)
    QApplication.processEvents()


def shifted(point: tuple[float, float], row: float, column: float) -> tuple[float, float]:
    return point[0] + row, point[1] + column
