#!/usr/bin/env python3
"""Make the pictures of docs/review.md from the real window: phantom pictures and drawn examples, no patient.

usage: xvfb-run -a -s "-screen 0 2600x1500x24" python scripts/make_screenshots.py [FOLDER [WIDTH HEIGHT]]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from phantom_runs import write_run, write_stills
from PIL import Image
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication

from marrowpoint.phantom.runs_contrast import SpreadKind
from marrowpoint.phantom.runs_scenes import contrast_run, needle_run, random_background
from marrowpoint.read import read_profile
from marrowpoint.review import Action
from marrowpoint.review.launch import ReviewRequest
from napari_marrowpoint.examples import examples
from napari_marrowpoint.hints import Tool
from napari_marrowpoint.review import Review
from napari_marrowpoint.window import make_room, open_review

ROOT = Path(__file__).parents[1]
STUDY = ("psis_iliac_oblique.dcm", "psis_tangential.dcm", "thin_wing.dcm", "advancing_multiframe.dcm", "us_above_cortex.dcm")
COLOURS = 256
PELVIS, RUN_SEED, TARGET_PX = 1, 1000, 60.0
STILLS, PAUSE_S = (4, 66, 5), 40.0  # frames of a run that are saved as stills: first, past the last, step


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "review"
    size = (int(sys.argv[2]), int(sys.argv[3])) if len(sys.argv) > 3 else (1280, 800)
    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="marrowpoint review")
    # from here on: napari's own icons stay where it put them
    with tempfile.TemporaryDirectory() as place:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
            os.environ[name] = place
        viewer.window.resize(*size)
        make_room(viewer)
        _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
        settle()
        draw_examples(review, out)
        draw_study(viewer, Path(place), out)
        draw_runs(viewer, Path(place), out)
        draw_stills(viewer, Path(place), out)
        viewer.close()


def draw_examples(review: Review, out: Path) -> None:
    review.open_examples(examples(read_profile()))
    review.set_rater("A. Reader")
    settle()
    shoot(review, out / "verdict.png")
    review.desk.go(2)
    review.commands.toggle_thickness()
    settle()
    shoot(review, out / "thin.png")
    review.commands.toggle_thickness()
    review.desk.go(0)
    row, column = review.desk.shown.needle.tip
    review.desk.correct(tip=(row + 2, column + 3))
    review.commands.edit_outline()
    settle()
    shoot(review, out / "correct.png")
    review.tools.put_down()
    review.commands.show_keys()
    settle()
    save(review.commands._card.grab().toImage(), out / "keys.png")
    review.commands.show_keys()


def draw_study(viewer: Any, place: Path, out: Path) -> None:
    folder = place / "phantom study"
    folder.mkdir()
    for name in STUDY:
        shutil.copy(ROOT / "sample_dicom" / name, folder / name)
    (folder / "torn.dcm").write_bytes(b"not a picture")
    review = open_review(viewer, [folder], ReviewRequest(folder=folder, rater="A. Reader"))
    wait(lambda: review.desk.place is not None and len(review.desk.session) == 8)
    wait(lambda: not review.analysis.busy)
    names = [row.name.rsplit("/", 1)[-1] for row in review.desk.session.rows]
    review.desk.go(names.index("psis_tangential.dcm"))
    wait(lambda: review.desk.shown is not None)
    review.commands.accept()
    review.desk.go(names.index("psis_tangential.dcm"))
    review.commands.show_partner()
    wait(lambda: review.partner.assessment is not None and review.desk.shown is not None)
    settle()
    shoot(review, out / "partner.png")
    review.commands.show_partner()
    review.shut()


def draw_runs(viewer: Any, place: Path, out: Path) -> None:
    background = random_background(PELVIS)
    runs = (
        (needle_run(background, RUN_SEED + 2), "run_needle.png", 40),
        (contrast_run(background, SpreadKind.VEIN, RUN_SEED, frames=40, vein_width_mm=2.5), "run_contrast.png", 28),
    )
    for run, picture, frame in runs:
        folder = place / picture.removesuffix(".png").replace("_", " ")
        folder.mkdir()
        write_run(run, folder / "phantom.dcm")
        review = open_review(viewer, [folder], ReviewRequest(folder=folder, rater="A. Reader"))
        wait(lambda review=review, frame=frame: len(review.desk.session) > frame)
        review.analysis.stop()
        wait(lambda review=review: review.runs.run is not None)
        review.runs.go(frame)
        wait(lambda review=review: review.desk.shown is not None)
        if picture == "run_contrast.png":
            review.commands.toggle_subtracted()
            review.commands.toggle_all()
            review.commands.toggle_followed()
        settle()
        shoot(review, out / picture)
        if picture == "run_contrast.png":
            draw_target(review, out / "run_target.png")
            review.commands.toggle_subtracted()
            review.commands.toggle_all()
        review.shut()


def draw_stills(viewer: Any, place: Path, out: Path) -> None:
    """A needle that goes deeper from still to still, a long pause among them."""
    folder = place / "stills"
    folder.mkdir()
    run = needle_run(random_background(PELVIS), RUN_SEED + 2)
    frames = range(*STILLS)
    seconds = np.cumsum([0.0, *(PAUSE_S if k == len(frames) // 2 else 2.0 + k % 3 for k in range(1, len(frames)))])
    write_stills(run, folder, dict(zip(frames, seconds, strict=True)))
    review = open_review(viewer, [folder], ReviewRequest(folder=folder, rater="A. Reader"))
    wait(lambda: review.desk.film != ())
    wait(lambda: review.runs.run is not None)
    wait(lambda: not review.analysis.busy)
    review.runs.go(len(frames) // 2)
    wait(lambda: review.desk.shown is not None)
    settle()
    shoot(review, out / "run_stills.png")
    review.shut()


def draw_target(review: Review, path: Path) -> None:
    """A region around the tip that a person calls the target."""
    plain = review.runs.run
    middle = np.array(plain.contrast.tip)
    turn = np.linspace(0, 2 * np.pi, 7)[:-1]
    review.runs.take_target(middle + TARGET_PX * np.column_stack([np.sin(turn), np.cos(turn)]))
    wait(lambda: not review.runs.busy and review.runs.run is not plain)
    review.commands.sign_run(Action.COMMENT, "the vein is real: stop")
    settle()
    shoot(review, path)


def shoot(review: Review, path: Path) -> None:
    assert review.tools.tool in Tool
    save(review.window().grab().toImage(), path)


def save(image: QImage, path: Path) -> None:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
    picture = Image.fromarray(rows.reshape(image.height(), image.width(), 3).copy())
    # rare colours are the verdicts': none may be lost
    picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def wait(until: Callable[[], Any], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the window did not get there")
        QApplication.processEvents()
        time.sleep(0.01)


def settle() -> None:
    for _ in range(25):
        QApplication.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
