#!/usr/bin/env python3
"""Review frames whose tips were marked by hand beforehand, with real mouse and key events, and count what the hand must do.

usage: xvfb-run -a -s "-screen 0 1400x1000x24" python scripts/review_carm.py FOLDER TIPS.json [--needle MM] [--pictures DIR]

TIPS.json gives the tip of each frame as [x, y] px by the end of its file's name; files without a tip are left out. No person
sits here: nobody looks, thinks or hesitates. What is counted is the least that a new user's hand does on the way from the start
of the program to the last decision; times are of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from marrowpoint.review import read_entries
from marrowpoint.review.launch import ReviewRequest
from napari_marrowpoint.review import Review
from napari_marrowpoint.scene import camera_of
from napari_marrowpoint.window import make_room, open_review

FAR_PX = 3.0  # of the frame: a tip farther than this from its mark is pulled there
SHAFT_PX = 150.0  # a needle that was not found is drawn so long


class Hand:
    """Mouse and keys of one person, counted."""

    def __init__(self, review: Review) -> None:
        self.review, self.did = review, Counter()
        (self.canvas,) = [w for w in review.window().findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop"]

    def key(self, code: Any) -> None:
        """Press a key."""
        self.did["keys"] += 1
        window = self.review.window()
        window.activateWindow()
        wait(lambda: QApplication.activeWindow() is window)
        QTest.keyClick(window, code)
        QApplication.processEvents()

    def write(self, words: str) -> None:
        """Type words into the line that asks, and Return."""
        self.did["keys"] += len(words) + 1
        if words:
            QTest.keyClicks(self.review.panel.line, words)
        QTest.keyClick(self.review.panel.line, Qt.Key.Key_Return)
        QApplication.processEvents()

    def pull(self, start: Any, end: Any) -> None:
        """Press at one point of the frame and let go at another."""
        self.did["pulls"] += 1
        held = Qt.MouseButton.LeftButton
        self._send(QEvent.Type.MouseButtonPress, start, held, held)
        for share in (0.25, 0.5, 0.75, 1.0):
            self._send(QEvent.Type.MouseMove, np.add(start, share * np.subtract(end, start)), Qt.MouseButton.NoButton, held)
        self._send(QEvent.Type.MouseButtonRelease, end, held, Qt.MouseButton.NoButton)

    def _send(self, kind: Any, point: Any, button: Any, held: Any) -> None:
        camera, ground = camera_of(self.review.viewer), self.review.canvas.ground
        row, column = (np.multiply(point, ground.scale) - np.asarray(camera.center)[-2:]) * camera.zoom
        # a mouse knows whole pixels of the screen
        at = QPointF(round(self.canvas.width() / 2 + column), round(self.canvas.height() / 2 + row))
        there = QPointF(self.canvas.mapToGlobal(at.toPoint()))
        QApplication.sendEvent(self.canvas, QMouseEvent(kind, at, there, button, held, Qt.KeyboardModifier.NoModifier))
        QApplication.processEvents()


def main() -> None:
    asked = parsed()
    tips = {name: (at[1], at[0]) for name, at in json.loads(asked.tips.read_text()).items() if at}
    began, used = time.monotonic(), time.process_time()
    viewer = napari.Viewer(title="marrowpoint review")
    # from here on: napari's own icons stay where it put them
    with tempfile.TemporaryDirectory() as place:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
            os.environ[name] = place
        folder = Path(place) / "operation"
        folder.mkdir()
        for path in sorted(asked.folder.glob("*.dcm")):
            if any(path.stem.endswith(name) for name in tips):
                shutil.copy(path, folder / path.name)
        viewer.window.resize(1280, 800)
        make_room(viewer)
        review = open_review(viewer, [folder], ReviewRequest(folder=folder, outer_diameter_mm=asked.needle))
        wait(lambda: review.desk.shown is not None)
        hand = Hand(review)
        print(f"start to first verdict: {time.monotonic() - began:.0f} s, processor {time.process_time() - used:.0f} s\n")
        print("| frame | found tip off by | keys | pulls | then off by | ledger | wait | hand |")
        print("|---" * 8 + "|")
        for number in range(len(tips)):
            one_frame(hand, tips, number + 1, asked.pictures)
        print(f"\nall: {dict(hand.did)}, {time.monotonic() - began:.0f} s, processor {time.process_time() - used:.0f} s")
        wait(lambda: not review.analysis.busy and not review.runs.busy)
        viewer.close()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("tips", type=Path)
    parser.add_argument(
        "--needle", type=float, help="outer diameter [mm], as with marrowpoint review --needle"
    )
    parser.add_argument("--pictures", type=Path, help="where to save the window before each decision")
    return parser.parse_args()


def one_frame(hand: Hand, tips: dict[str, tuple[float, float]], number: int, pictures: Path | None) -> None:
    review, began = hand.review, time.monotonic()
    wait(lambda: review.desk.shown is not None)
    waited, before = time.monotonic() - began, hand.did.copy()
    began = time.monotonic()
    name = Path(review.desk.row.name).stem
    true = next(at for end, at in tips.items() if name.endswith(end))
    found = review.desk.shown.needle
    off = None if found is None else float(np.hypot(*np.subtract(found.tip, true)))
    if found is None:
        axis = next((each.axis for each in review.desk.shown.candidates), (-1.0, 0.0))
        hand.key(Qt.Key.Key_T)
        hand.pull(true, np.add(true, SHAFT_PX * np.asarray(axis)))
    elif off is not None and off > FAR_PX:
        hand.pull(found.tip, true)
    then = float(np.hypot(*np.subtract(review.desk.shown.needle.tip, true)))
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        review.window().grab().save(str(pictures / f"review_{number}.png"))
    hand.key(Qt.Key.Key_A)
    if review.panel.line.isVisible():  # the first time it asks who signs
        hand.write("")
    action = read_entries(review.desk.ledger_path)[-1].action.value
    did = hand.did - before
    told = "none" if off is None else f"{off:.1f} px"
    hand_s = time.monotonic() - began
    counts = f"{did['keys']} | {did['pulls']}"
    print(f"| {number} | {told} | {counts} | {then:.1f} px | {action} | {waited:.0f} s | {hand_s:.0f} s |", flush=True)


def wait(until: Callable[[], Any], seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the window did not get there")
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
