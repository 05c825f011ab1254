"""Camera and scale bar of a viewer, wherever its version of napari keeps them, and what is written beside the bar."""

from __future__ import annotations

from typing import Any

from marrowpoint.frame import Calibration
from marrowpoint.report.words import scale_words

FIGURE_SPACE = "\u2007"


def camera_of(viewer: Any) -> Any:
    """The camera; napari 0.9 moved it."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def scale_bar_of(viewer: Any) -> Any:
    """The scale bar; napari 0.9 moved it."""
    canvas = getattr(viewer, "canvas", None)
    return viewer.scale_bar if canvas is None else canvas.overlays.scale_bar


def show_scale_bar(viewer: Any) -> None:
    """A scale bar in the units of the layers."""
    bar = scale_bar_of(viewer)
    bar.visible, bar.box, bar.font_size = True, True, 12


def scale_note(
    calibration: Calibration, place: tuple[int, int] = (1, 1), time_s: float | None = None, note: str = "", kind: str = "frame"
) -> str:
    """Where the scale comes from; in a run also which frame it is, and its time [s].

    Parameters
    ----------
    calibration : Calibration
    place : tuple of int
        Number of the frame, from 1, and how many the run has.
    time_s : float or None
        From the first frame, where the file says.
    note : str
        What else must be known of the picture.
    kind : str
        What a frame of the run is called.

    Returns
    -------
    str
        One or two lines.
    """
    which = f"{kind} {place[0]} of {place[1]}" if place[1] > 1 else ""
    time = "" if time_s is None else f"{time_s:.2f} s"
    head = ", ".join(part for part in (which, time, note) if part)
    return f"{head}\n{scale_words(calibration)}" if head else scale_words(calibration)


def count_frames(viewer: Any, place: tuple[int, int]) -> None:
    """Beside the slider of a run: which frame it is, counted from 1."""
    number, count = place
    if viewer.dims.ndim > 2 and count > 1:
        # as wide for the first frame as for the last: napari measures the room once
        padded = str(number).rjust(len(str(count)), FIGURE_SPACE)
        viewer.dims.set_axis_label(0, f"{padded} of {count}")
