"""What leaves the window: the result of the frame on the screen as a record, and its overlay as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marrowpoint.assessment import Assessment
from marrowpoint.profile import Profile
from marrowpoint.report import draw_overlay, frame_record
from marrowpoint.report.overlay import encode_png
from marrowpoint.report.write import whole_file
from marrowpoint.review import Corrections
from marrowpoint.review.corrections import to_json
from napari_marrowpoint.screen import window_on_screen


def write_frame(path: Path, shown: Assessment, corrections: Corrections, profile: Profile) -> list[str]:
    """Write the record and the overlay of a frame.

    Parameters
    ----------
    path : Path
        Of the record; the picture stands beside it with the ending ``.png``.
    shown : Assessment
        With what a person set.
    corrections : Corrections
        Beside the record, under ``corrections``; left out where there are none.
    profile : Profile
        For the border of thin bone.

    Returns
    -------
    list of str
        Paths written.
    """
    record = frame_record(shown)
    if not corrections.empty:
        record["corrections"] = to_json(corrections)
    picture = encode_png(draw_overlay(shown, thin_below_mm=profile.verdict.thin_below_mm))
    told, drawn = path.with_suffix(".json"), path.with_suffix(".png")
    for place, data in ((told, (json.dumps(record, allow_nan=False, indent=1) + "\n").encode()), (drawn, picture)):
        with whole_file(place) as stream:
            stream.write(data)
    return [str(told), str(drawn)]


def write_review(path: str, layers: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Napari's Save: the frame that is under review in the window on the screen.

    Parameters
    ----------
    path : str
    layers : list of (data, attributes, kind)
        Not used: layers are pictures of an assessment, not the assessment.

    Returns
    -------
    list of str
        Paths written; empty where nothing is under review.
    """
    viewer = window_on_screen()
    if viewer is None:
        return []
    _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
    desk = review.desk
    if desk is None or desk.shown is None:
        return []
    return write_frame(Path(path), desk.shown, desk.corrections, desk.profile)
