#!/usr/bin/env python3
"""Measure the review window: updates a second while the tip is pulled, memory along a run, a folder of 500 frames.

usage: xvfb-run -a -s "-screen 0 1400x1000x24" python scripts/bench_review.py [drag] [leaf] [memory] [folder]

Prints wall time and processor time: on a machine that does other things as well only the second one counts.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import napari
import numpy as np
import psutil
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget

from marrowpoint.assessment import Assessment
from marrowpoint.read import read_profile
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.verdict import Code
from napari_marrowpoint.examples import examples
from napari_marrowpoint.review import Review
from napari_marrowpoint.scene import camera_of
from napari_marrowpoint.window import make_room, open_review

WARM_UP, UPDATES, RUN_FRAMES, FOLDER_FRAMES, LEAVES = 15, 60, 300, 500, 7
LONGEST_S = 2.0  # to wait for one move to be painted
SAMPLES = Path(__file__).parents[1] / "sample_dicom"


def main() -> None:
    asked = sys.argv[1:] or ["drag", "leaf", "memory", "folder"]
    viewer = napari.Viewer()
    with tempfile.TemporaryDirectory() as place:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
            os.environ[name] = place
        viewer.window.resize(1280, 800)
        make_room(viewer)
        _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
        if "drag" in asked:
            drag(review)
        if "leaf" in asked:
            leaf(review)
        if "memory" in asked:
            memory(viewer, Path(place))
        if "folder" in asked:
            folder(viewer, Path(place))
        viewer.close()


def drag(review: Review) -> None:
    review.open_examples({Code.PROJECTED_IN_THICK_BONE: doubled(examples(read_profile())[Code.PROJECTED_IN_THICK_BONE])})
    settle()
    (canvas,) = [w for w in review.window().findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop"]
    tip = np.asarray(review.desk.shown.needle.tip)

    def send(kind: QEvent.Type, point: np.ndarray, button: Qt.MouseButton) -> None:
        camera = camera_of(review.viewer)
        row, column = (point * review.canvas.ground.scale - np.asarray(camera.center)[-2:]) * camera.zoom
        at = QPointF(canvas.width() / 2 + column, canvas.height() / 2 + row)
        there = QPointF(canvas.mapToGlobal(at.toPoint()))
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(canvas, QMouseEvent(kind, at, there, button, Qt.MouseButton.LeftButton, none))

    send(QEvent.Type.MouseButtonPress, tip, Qt.MouseButton.LeftButton)
    seen: set[str] = set()
    told, painted = [0], [0]
    review.desk.shown_changed.connect(lambda shown: told.__setitem__(0, told[0] + 1))
    canvas.frameSwapped.connect(lambda: painted.__setitem__(0, painted[0] + 1))
    wall, used, server, before = 0.0, 0.0, 0.0, (0, 0)
    for step in range(-WARM_UP, UPDATES):
        if step == 0:  # the first paints compile what the graphics card runs
            wall, used, server, before = time.perf_counter(), time.process_time(), server_s(), (told[0], painted[0])
        last = told[0], painted[0]
        send(QEvent.Type.MouseMove, tip + 20 * np.array([np.sin(step / 5), np.cos(step / 5) - 1]), Qt.MouseButton.NoButton)
        end = time.perf_counter() + LONGEST_S
        while (told[0] == last[0] or painted[0] == last[1]) and time.perf_counter() < end:
            QApplication.processEvents()  # measured, judged, written and painted
            time.sleep(0.0005)
        seen.add(review.banner.number + str(review.desk.shown.placement.tip_to_cortex.value))
    wall, used, server = time.perf_counter() - wall, time.process_time() - used, server_s() - server
    done = min(told[0] - before[0], painted[0] - before[1])
    send(QEvent.Type.MouseButtonRelease, tip + 2.0, Qt.MouseButton.LeftButton)
    shape = review.desk.shown.frame.pixels.shape
    print(f"drag on {shape[0]} x {shape[1]}: {done / wall:.1f} updates/s by the clock, {done / used:.1f} a second of processor "
          f"time, {done / (used + server):.1f} with that of the X server; of {UPDATES} moves {told[0] - before[0]} measured, "
          f"{painted[0] - before[1]} painted, {len(seen)} different numbers")  # fmt: skip


def leaf(review: Review) -> None:
    review.open_examples(examples(read_profile()))
    settle()
    for words, prepare in (("all of the memory searched", gc.unfreeze), ("what was there at the start left out", gc.freeze)):
        review.desk.go(0)
        settle()
        gc.collect()
        prepare()
        used, searched = time.thread_time(), [0.0]

        def note(phase: str, info: dict[str, int], searched: list[float] = searched) -> None:
            if info["generation"] == 2:
                searched[0] += -time.thread_time() if phase == "start" else time.thread_time()

        gc.callbacks.append(note)
        for place in range(1, LEAVES + 1):
            review.desk.go(place)
            settle(1)
        gc.callbacks.remove(note)
        used_s, searched_s = (time.thread_time() - used) / LEAVES, searched[0] / LEAVES
        print(f"next frame: {used_s:.2f} s of the window's processor time, {searched_s:.2f} s of it napari's search for "
              f"garbage ({words})")  # fmt: skip


def memory(viewer: napari.Viewer, place: Path) -> None:
    path = place / "run.dcm"
    make_run(path)
    review = open_review(viewer, [path], ReviewRequest(folder=path, rater="bench", ledger=place / "run.sqlite"))
    wait(lambda: len(review.desk.session) == RUN_FRAMES)
    review.analysis.close()  # the run and the stepping alone
    began, used, followed = time.perf_counter(), time.process_time(), [rss_mb()]
    while review.runs.busy:
        QApplication.processEvents()
        time.sleep(0.02)
        followed.append(rss_mb())
    print(f"following the run: {time.perf_counter() - began:.0f} s, processor {time.process_time() - used:.0f} s, "
          f"{followed[0]:.0f} MB before, most {max(followed):.0f} MB, {followed[-1]:.0f} MB after")  # fmt: skip
    sizes = []
    for number in range(RUN_FRAMES):
        review.desk.go(number)
        settle(1)
        sizes.append(rss_mb())
    print(f"memory along {RUN_FRAMES} frames of 1024 x 1024: {sizes[20]:.0f} MB after 20, {sizes[-1]:.0f} MB at the end, "
          f"most {max(sizes):.0f} MB")  # fmt: skip


def folder(viewer: napari.Viewer, place: Path) -> None:
    many = place / "many"
    many.mkdir()
    for number in range(FOLDER_FRAMES):
        shutil.copy(SAMPLES / "us_above_cortex.dcm", many / f"{number:03d}.dcm")
    # the first paint of each kind of layer compiles what the graphics card runs: not the folder's doing
    _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
    began = time.thread_time()
    review.open_examples({Code.PROJECTED_IN_THICK_BONE: examples(read_profile())[Code.PROJECTED_IN_THICK_BONE]})
    settle()
    print(f"first picture of the program: {time.thread_time() - began:.2f} s of the window's processor time")
    gaps, last = [(0.0, 0.0)], [(time.perf_counter(), time.thread_time())]

    def tick() -> None:
        now = time.perf_counter(), time.thread_time()
        gaps.append((now[0] - last[0][0], now[1] - last[0][1]))
        last[0] = now

    timer = QTimer()
    timer.timeout.connect(tick)
    start = time.perf_counter()
    review = open_review(viewer, [many], ReviewRequest(folder=many, rater="bench"))
    opened = time.perf_counter() - start
    timer.start(5)
    wait(lambda: review.desk.shown is not None)
    first = time.perf_counter() - start
    wait(lambda: len(review.desk.session) == FOLDER_FRAMES)
    listed = time.perf_counter() - start
    wait(lambda: time.perf_counter() - start > listed + 5)
    print(f"{FOLDER_FRAMES} frames: call returned after {opened:.2f} s, first verdict after {first:.1f} s, all listed after "
          f"{listed:.1f} s, longest time without the window answering {max(gap[0] for gap in gaps):.2f} s by the clock, "
          f"{max(gap[1] for gap in gaps):.2f} s of its own thread's processor time")  # fmt: skip
    review.shut()


def doubled(example: Assessment) -> Assessment:
    """The drawn example at twice its pixels."""
    needle, cortex, spacing = example.needle, example.cortex, example.calibration.spacing
    side = 2 * example.frame.pixels.shape[0]
    pixels = cv2.resize(example.frame.pixels, (side, side))
    finer = replace(spacing, row_mm=spacing.row_mm / 2, column_mm=spacing.column_mm / 2)
    calibration = replace(example.calibration, spacing=finer, rungs=(finer,))
    return replace(
        example,
        frame=replace(
            example.frame, pixels=pixels, valid=np.ones(pixels.shape, bool), header_spacing=calibration,
            reference=replace(example.frame.reference, rows=side, columns=side),
        ),
        exposure=replace(example.exposure, attenuation=1 - pixels, field=np.ones(pixels.shape, bool)),
        calibration=calibration,
        needle=replace(needle, tip=(2 * needle.tip[0], 2 * needle.tip[1]), width_px=2 * needle.width_px, length_px=300.0),
        cortex=replace(
            cortex, bone=cv2.resize(cortex.bone.astype(np.uint8), (side, side)) > 0, lines=(2 * cortex.lines[0],),
            thickness=replace(cortex.thickness, frame_shape=(side, side)),
        ),
    )  # fmt: skip


def make_run(path: Path) -> None:
    from pydicom import dcmread  # noqa: PLC0415
    from pydicom.uid import ExplicitVRLittleEndian  # noqa: PLC0415

    data = dcmread(SAMPLES / "outside_monochrome1.dcm")
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ramp = np.tile(np.linspace(0, 60000, 1024).astype(np.uint16), (1024, 1))
    data.Rows = data.Columns = 1024
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.NumberOfFrames = 15, RUN_FRAMES
    data.PixelData = b"".join((ramp // (1 + k % 7)).tobytes() for k in range(RUN_FRAMES))
    data.save_as(path)


def server_s() -> float:
    """Processor time of the X server that shows the window [s]; 0 where there is none of our own."""
    display = os.environ.get("DISPLAY", "")
    for each in psutil.process_iter(["name", "cmdline"]):
        if (each.info["name"] or "").startswith("X") and display in (each.info["cmdline"] or []):
            times = each.cpu_times()
            return float(times.user + times.system)
    return 0.0


def rss_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def wait(until: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:  # type: ignore[operator]
        QApplication.processEvents()
        time.sleep(0.002)


def settle(rounds: int = 10) -> None:
    for _ in range(rounds):
        QApplication.processEvents()


if __name__ == "__main__":
    main()
