"""Camera, scale bar and words of a viewer, wherever its version of napari keeps them."""

from __future__ import annotations

from typing import Any

from marrowpoint.frame import Calibration, Frame
from marrowpoint.report.words import scale_words

FIGURE_SPACE = "\u2007"


def camera_of(viewer: Any) -> Any:
    """The camera; napari 0.9 moved it."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def overlays_of(viewer: Any) -> tuple[Any, Any]:
    """Scale bar and text overlay; napari 0.9 moved them."""
    canvas = getattr(viewer, "canvas", None)
    if canvas is None:
        return viewer.scale_bar, viewer.text_overlay
    return canvas.overlays.scale_bar, canvas.overlays.text


def show_scale_bar(viewer: Any) -> None:
    """A scale bar in the units of the layers."""
    bar, _ = overlays_of(viewer)
    bar.visible, bar.box, bar.font_size = True, True, 12


def tell_scale(viewer: Any, frame: Frame, calibration: Calibration, time_s: float | None = None, note: str = "") -> None:
    """Where the scale comes from, beside the bar; in a run also which frame it is, counted from 1, and its time [s].

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    frame : Frame
    calibration : Calibration
    time_s : float or None
        From the first frame, where the file says.
    note : str
        What else must be known of the picture.
    """
    _, text = overlays_of(viewer)
    number, count = frame.reference.frame_number, frame.reference.number_of_frames
    place = f"frame {number} of {count}" if count > 1 else ""
    time = "" if time_s is None else f"{time_s:.2f} s"
    head = ", ".join(part for part in (place, time, note) if part)
    told = f"{head}\n{scale_words(calibration)}" if head else scale_words(calibration)
    text.text, text.visible, text.font_size, text.position = told, True, 10 if head else 11, "bottom_left"


def count_frames(viewer: Any, frame: Frame) -> None:
    """Beside the slider of a run: which frame it is, counted from 1."""
    number, count = frame.reference.frame_number, frame.reference.number_of_frames
    if viewer.dims.ndim > 2 and count > 1:
        # as wide for the first frame as for the last: napari measures the room once
        padded = str(number).rjust(len(str(count)), FIGURE_SPACE)
        viewer.dims.set_axis_label(0, f"{padded} of {count}")
