"""A review in a napari window: opened for files, for drawn examples, and with nothing else on the screen."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDockWidget

from marrowpoint.assessment import Assessment
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.verdict import Code

if TYPE_CHECKING:
    from napari_marrowpoint.review import Review


def open_review(viewer: Any, paths: list[Path], request: ReviewRequest | None = None) -> Review:
    """Open files and folders for review in a napari window; the window's review if it has one.

    Parameters
    ----------
    viewer : napari.Viewer
    paths : list of Path
    request : ReviewRequest or None

    Returns
    -------
    Review
    """
    _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
    review.open(paths, request)
    found: Review = review
    return found


def open_examples(viewer: Any, chosen: dict[Code, Assessment]) -> None:
    """Show drawn examples in a napari window."""
    viewer.window.add_plugin_dock_widget("marrowpoint", "Review")[1].open_examples(chosen)


def make_room(viewer: Any) -> None:
    """Hide napari's own lists, which a review does not need; the View menu brings them back.

    napari searches the whole memory for garbage whenever a layer goes, so several times a frame: what is there at the start is
    left out of that search from now on.
    """
    window = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")[1].window()
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() in ("layer controls", "layer list"):
            dock.hide()
    gc.collect()
    gc.freeze()
