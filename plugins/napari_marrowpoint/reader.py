"""Files dropped into napari: frames with what was measured on them. Never raises: what fails becomes a warning on screen."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from marrowpoint.assess import assess_frame
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.read import ImageFile, find_images, read_frames, read_profile
from napari_marrowpoint.layers import LayerData, assessment_layers

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
    return None if found is None else read_layers


def read_layers(path: str | list[str]) -> list[LayerData]:
    """Read, assess and translate the first frame of each file.

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
            layers += _first_frame(image)
        except MarrowpointError as error:
            warnings.warn(f"{image.relative_path}: {error.text}", stacklevel=2)
        except Exception as error:  # a viewer must not fall over one file
            warnings.warn(f"{image.relative_path}: unexpected {type(error).__name__}; please report it", stacklevel=2)
    return layers or NOTHING


def _first_frame(image: ImageFile) -> list[LayerData]:
    profile = read_profile(None)
    frame = next(iter(read_frames(image, scale=profile.scale)))
    return assessment_layers(assess_frame(frame, profile=profile, network=load_network()))
