"""Sample data: each verdict once, on a drawn bone and on ultrasound of a phantom, and the program's phantom pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import napari_marrowpoint
from marrowpoint.assessment import Assessment
from marrowpoint.read import read_profile
from marrowpoint.review.launch import ReviewRequest
from marrowpoint.review.place import user_data_folder
from marrowpoint.verdict import Code
from napari_marrowpoint.examples import examples
from napari_marrowpoint.layers import LayerData, assessment_layers
from napari_marrowpoint.reader import NOTHING, read_layers
from napari_marrowpoint.scans import scans
from napari_marrowpoint.screen import window_on_screen

PHANTOMS = "sample_dicom"


def every_verdict() -> list[LayerData]:
    """All verdicts of a frame, fluoroscopy then ultrasound, one after the other."""
    profile = read_profile(None)
    drawn = examples(profile)
    return _shown(drawn | {code: scan for code, scan in scans(profile).items() if code not in drawn})


def ultrasound() -> list[LayerData]:
    """All verdicts of an ultrasound frame."""
    return _shown(scans(read_profile(None)))


def right_spot() -> list[LayerData]:
    """Right spot in this view."""
    return _one(Code.PROJECTED_IN_THICK_BONE)


def thin_bone() -> list[LayerData]:
    """Over thin bone."""
    return _one(Code.PROJECTED_IN_THIN_BONE)


def outside() -> list[LayerData]:
    """Outside the bone."""
    return _one(Code.OUTSIDE_BONE)


def breach() -> list[LayerData]:
    """May have gone through the bone."""
    return _one(Code.BREACH_SUSPECTED)


def cannot_tell() -> list[LayerData]:
    """The program abstains."""
    return _one(Code.NOT_ASSESSABLE)


def phantoms() -> list[LayerData]:
    """The program's phantom pictures, fluoroscopy and ultrasound; decisions on them go to the user's own folder."""
    folder, viewer = phantom_folder(), window_on_screen()
    if folder is None:
        return NOTHING
    if viewer is None:
        return read_layers(str(folder))
    from napari_marrowpoint.window import open_review  # noqa: PLC0415 - needs Qt

    open_review(viewer, [folder], ReviewRequest(folder=folder, ledger=user_data_folder() / "samples.sqlite"))
    return NOTHING


def phantom_folder() -> Path | None:
    """Where the phantom pictures are: with the plugin where it was installed, beside the source in a checkout."""
    here = Path(napari_marrowpoint.__file__).parent
    return next((folder for folder in (here / PHANTOMS, here.parents[1] / PHANTOMS) if folder.is_dir()), None)


def _one(code: Code) -> list[LayerData]:
    return _shown({code: examples(read_profile(None))[code]})


def _shown(chosen: dict[Code, Assessment]) -> list[LayerData]:
    viewer = window_on_screen()
    if viewer is None:
        return [layer for example in chosen.values() for layer in assessment_layers(example)]
    from napari_marrowpoint.window import open_examples  # noqa: PLC0415 - needs Qt

    open_examples(viewer, chosen)
    return NOTHING


SAMPLES: tuple[Callable[[], list[LayerData]], ...] = (
    every_verdict, ultrasound, right_spot, thin_bone, outside, breach, cannot_tell, phantoms,
)  # fmt: skip
