"""Sample data: each verdict once on a drawn bone, and phantom pictures where the program's own samples are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import napari_marrowpoint
from marrowpoint.read import read_profile
from marrowpoint.verdict import Code
from napari_marrowpoint.examples import examples
from napari_marrowpoint.layers import LayerData, assessment_layers
from napari_marrowpoint.reader import NOTHING, open_or_read, window_on_screen

PHANTOMS = "sample_dicom"


def every_verdict() -> list[LayerData]:
    """All verdicts of a fluoroscopic frame, one after the other."""
    return _drawn(None)


def right_spot() -> list[LayerData]:
    """Right spot in this view."""
    return _drawn(Code.PROJECTED_IN_THICK_BONE)


def thin_bone() -> list[LayerData]:
    """Over thin bone."""
    return _drawn(Code.PROJECTED_IN_THIN_BONE)


def outside() -> list[LayerData]:
    """Outside the bone."""
    return _drawn(Code.OUTSIDE_BONE)


def breach() -> list[LayerData]:
    """May have gone through the bone."""
    return _drawn(Code.BREACH_SUSPECTED)


def cannot_tell() -> list[LayerData]:
    """The program abstains."""
    return _drawn(Code.NOT_ASSESSABLE)


def phantoms() -> list[LayerData]:
    """The program's phantom pictures, fluoroscopy and ultrasound; nothing where they were not installed."""
    folder = phantom_folder()
    return NOTHING if folder is None else open_or_read(str(folder))


def phantom_folder() -> Path | None:
    """Where the phantom pictures are: beside the source."""
    folder = Path(napari_marrowpoint.__file__).parents[2] / PHANTOMS
    return folder if folder.is_dir() else None


def _drawn(code: Code | None) -> list[LayerData]:
    found = examples(read_profile(None))
    chosen = found if code is None else {code: found[code]}
    viewer = window_on_screen()
    if viewer is None:
        return [layer for example in chosen.values() for layer in assessment_layers(example)]
    from napari_marrowpoint.window import open_examples  # noqa: PLC0415 - needs Qt

    open_examples(viewer, chosen)
    return NOTHING


SAMPLES: tuple[Callable[[], list[LayerData]], ...] = (
    every_verdict, right_spot, thin_bone, outside, breach, cannot_tell, phantoms,
)  # fmt: skip
