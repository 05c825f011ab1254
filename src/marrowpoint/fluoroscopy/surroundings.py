"""What the prior shows around the tip, as a short code that several views are judged by together (`study.place`).

The prior's maps are laid out in millimetres with the needle upright, so that the code does not hang on how the picture was
turned or mirrored; a small network makes a few numbers of them. They mean nothing alone.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from threading import Lock

import cv2
import numpy as np

from marrowpoint.cortex import BonePrior
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import THICKNESS_UNIT_MM
from marrowpoint.frame import FloatImage, PixelSpacing
from marrowpoint.needle import Needle

ENCODER_FILE = "tip_encoder.onnx"
CELLS, CELL_MM = 48, 2.5
HUB_SIDE_MM = 70.0  # of the 120 mm shown along the needle so much lies on the hub's side of the tip
CODE_DIGITS = 5

_LOCK = Lock()  # one cv2 network keeps one picture


def tip_surroundings(prior: BonePrior, needle: Needle, spacing: PixelSpacing) -> FloatImage:
    """The prior's maps around the tip, the needle upright with its hub at the top.

    Parameters
    ----------
    prior : BonePrior
    needle : Needle
    spacing : PixelSpacing
        At the needle's depth.

    Returns
    -------
    ndarray of shape (6, CELLS, CELLS), float32
        Hip bone, other bone, median and limits of the thickness (in units of 20 mm), and where there is a picture. The tip
        lies `HUB_SIDE_MM` below the upper edge, midway between left and right.
    """
    shape = np.array(prior.frame_shape)
    step = np.array([spacing.row_mm, spacing.column_mm])
    axis = np.asarray(needle.axis) * step
    axis = axis / np.hypot(*axis)
    centre = np.arange(CELLS) + 0.5
    up, aside = HUB_SIDE_MM - CELL_MM * centre, (centre - CELLS / 2) * CELL_MM
    across = np.array([-axis[1], axis[0]])
    points = np.asarray(needle.tip) + (up[:, None, None] * axis + aside[None, :, None] * across) / step
    seen = ((points >= 0) & (points <= shape - 1)).all(axis=-1)
    on_grid = ((points + 0.5) * np.array(prior.hip.shape) / shape - 0.5).astype(np.float32)
    thickness = prior.thickness
    none = np.zeros_like(prior.hip)
    lengths = (none,) * 3 if thickness is None else (thickness.median_mm, thickness.lower_mm, thickness.upper_mm)
    maps = (prior.hip, prior.other_bone, *(each / np.float32(THICKNESS_UNIT_MM) for each in lengths))
    laid = [
        cv2.remap(
            np.asarray(each, np.float32), on_grid[..., 1], on_grid[..., 0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        for each in maps
    ]
    return np.stack([*laid, seen.astype(np.float32)]).astype(np.float32)


def tip_code(prior: BonePrior, needle: Needle, spacing: PixelSpacing) -> tuple[float, ...]:
    """The code of a tip's surroundings, the same for a picture and its mirror image.

    Parameters
    ----------
    prior : BonePrior
    needle : Needle
    spacing : PixelSpacing

    Returns
    -------
    tuple of float
        `PlaceReader.code_length` numbers without a unit; empty where the package was installed without the encoder.

    Raises
    ------
    MarrowpointError
        ``model_unreadable``: the encoder's file is damaged.
    """
    encoder = _encoder()
    if encoder is None:
        return ()
    planes = tip_surroundings(prior, needle, spacing)
    both = np.ascontiguousarray(np.stack([planes, planes[:, :, ::-1]]))
    with _LOCK:
        encoder.setInput(both)
        codes = np.asarray(encoder.forward(), np.float64)
    return tuple(round(float(each), CODE_DIGITS) for each in codes.mean(axis=0))


@cache
def _encoder() -> cv2.dnn.Net | None:
    file = resources.files("marrowpoint") / "models" / ENCODER_FILE
    return _parsed(file.read_bytes()) if file.is_file() else None


def _parsed(data: bytes) -> cv2.dnn.Net:
    try:
        return cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    except cv2.error as error:
        text = f"model {ENCODER_FILE} is no network that OpenCV can run: install marrowpoint again"
        raise MarrowpointError("model_unreadable", text) from error
