"""Files dropped into napari: in a window they open a review; without one they are pictures with what was measured on them.

Never raises: what fails becomes a warning on screen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from marrowpoint.assess import assess_frame
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.read import ImageFile, find_images, read_profile
from napari_marrowpoint.layers import LayerData, assessment_layers, ground_of, picture_looks
from napari_marrowpoint.screen import window_on_screen
from napari_marrowpoint.stack import FrameStack

# napari's sign for "nothing to show"
NOTHING: list[LayerData] = [(None,)]  # type: ignore[list-item]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """A reader for DICOM files and folders, or None where there is nothing to read.

    Parameters
    ----------
    path : str or list of str

    Returns
    -------
    callable or None
    """
    paths = [path] if isinstance(path, str) else list(path)
    try:
        found = next(iter(find_images(paths)), None)
    except OSError:
        return None
    return None if found is None else open_or_read


def open_or_read(path: str | list[str]) -> list[LayerData]:
    """Open a review in the window on the screen; without a window, read the layers.

    Parameters
    ----------
    path : str or list of str

    Returns
    -------
    list of (data, attributes, kind)
        napari's empty layer where a review shows the files.
    """
    viewer = window_on_screen()
    if viewer is None:
        return read_layers(path)
    from napari_marrowpoint.window import open_review  # noqa: PLC0415 - needs Qt

    open_review(viewer, [Path(each) for each in ([path] if isinstance(path, str) else path)])
    return NOTHING


def read_layers(path: str | list[str]) -> list[LayerData]:
    """Read and translate each file: a single frame with what was measured on it, a run frame by frame as it is looked at.

    Parameters
    ----------
    path : str or list of str

    Returns
    -------
    list of (data, attributes, kind)
        napari's empty layer where no file could be read.
    """
    layers: list[LayerData] = []
    for image in find_images([path] if isinstance(path, str) else path):
        try:
            layers += _layers_of(image)
        except MarrowpointError as error:
            warnings.warn(f"{image.relative_path}: {error.text}", stacklevel=2)
        except Exception as error:  # a viewer must not fall over one file
            warnings.warn(f"{image.relative_path}: unexpected {type(error).__name__}; please report it", stacklevel=2)
    return layers or NOTHING


def _layers_of(image: ImageFile) -> list[LayerData]:
    profile = read_profile(None)
    stack = FrameStack([image], profile.scale)
    frame = stack.frame(1)
    if len(stack) == 1:
        return assessment_layers(assess_frame(frame, profile=profile, network=load_network()))
    ground = ground_of(frame.header_spacing).attributes(3)
    name = image.relative_path.rsplit("/", 1)[-1]
    return [(stack, ground | picture_looks(frame) | {"name": name}, "image")]
