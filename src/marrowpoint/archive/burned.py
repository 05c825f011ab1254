"""Pixels without identity: everything outside of the picture itself is blanked, and what looks like writing inside it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.archive.writing import find_writing
from marrowpoint.assess import ULTRASOUND
from marrowpoint.errors import ArchiveError, NotAssessable
from marrowpoint.fluoroscopy.field import find_field
from marrowpoint.frame import Frame, Mask
from marrowpoint.read.pixels import StoredFrame
from marrowpoint.ultrasound.field import find_sector

LEAST_PICTURE = 0.05  # of the frame: where less is left, the picture was not found
COLOUR, COLOUR_REACH_PX = 0.12, 7  # of the full range: lossy compression tints grey by less
ULTRASOUND_INK = 0.8  # the user interface writes in bright colours


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blank:
    """What is blanked in every frame of a file.

    Parameters
    ----------
    mask : ndarray of shape (M, N), bool
        True where nothing of the original stays.
    rows_of_writing : int
        Most rows of what looks like writing found inside the picture of one frame: a person should look at the copy.
    suspected : int
        Most rows inside the picture of one frame that may be writing and are not blanked, for they may be anatomy as well.
    grey : bool
        Anatomy has no colour in this kind of picture: what has is drawn, and goes.
    """

    mask: Mask
    rows_of_writing: int
    suspected: int = 0
    grey: bool = False


def find_blank(frame: Frame) -> Blank:
    """Decide what of a frame must go.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    Blank

    Raises
    ------
    ArchiveError
        ``no_picture``: where the picture ends was not found, so nothing can be said to lie outside of it.
    """
    if frame.reference.modality in ULTRASOUND:
        try:
            picture = find_sector(frame).picture
        except NotAssessable as error:
            raise ArchiveError(
                "no_picture", "the scanned area was not found: what lies outside of it cannot be blanked"
            ) from error
        writing = find_writing(frame.pixels, picture, least_ink=ULTRASOUND_INK)
    else:
        picture = find_field(frame.pixels, frame.valid)
        writing = find_writing(frame.pixels, frame.valid)
    mask: Mask = ~picture
    inside = sum(bool(picture[box].any()) for box in writing.found)
    for box in writing.found:
        mask[box] = True
    suspected = sum(not mask[box].all() for box in writing.suspected)
    if (~mask).mean() < LEAST_PICTURE:
        raise ArchiveError("no_picture", "the exposed field was not found: what lies outside of it cannot be blanked")
    grey = frame.reference.modality not in ULTRASOUND
    return Blank(mask=mask, rows_of_writing=inside, suspected=suspected, grey=grey)


def joined(blanks: Sequence[Blank]) -> Blank:
    """What goes in any frame of a file goes in all: writing that flickers is still writing."""
    mask: Mask = np.any([blank.mask for blank in blanks], axis=0)
    if (~mask).mean() < LEAST_PICTURE:
        raise ArchiveError("no_picture", "the frames of the file share no picture: what lies outside of it cannot be blanked")
    return Blank(
        mask=mask,
        rows_of_writing=max(blank.rows_of_writing for blank in blanks),
        suspected=max(blank.suspected for blank in blanks),
        grey=all(blank.grey for blank in blanks),
    )


def blanked(stored: StoredFrame, blank: Blank, *, bits_stored: int, signed: bool) -> NDArray[Any]:
    """Stored values of a frame without what must go.

    Parameters
    ----------
    stored : StoredFrame
    blank : Blank
    bits_stored : int
        Bits above these are cleared: old files keep overlays in them.
    signed : bool

    Returns
    -------
    ndarray of shape (M, N) or (M, N, 3)
        Blanked with the darkest or brightest value of the picture, whichever is nearer to what lay there.
    """
    values = _low_bits(stored.values, bits_stored, signed=signed).copy()
    if values.ndim == 3:
        mask = blank.mask | _coloured(values, stored.photometric) if blank.grey else blank.mask
        values[mask] = (0, 128, 128) if stored.photometric.startswith("YBR_FULL") else 0
        return values
    if not blank.mask.any():
        return values
    kept = values[~blank.mask]
    low, high = int(kept.min()), int(kept.max())
    outside = float(np.median(values[blank.mask]))
    values[blank.mask] = low if outside - low < high - outside else high
    return values


def _coloured(values: NDArray[Any], photometric: str) -> Mask:
    """Pixels with a colour, and those beside them: smooth edges of letters are nearly grey."""
    if photometric.startswith("YBR"):
        hue = np.abs(values[..., 1:].astype(np.float32) - 128).max(axis=2) / 128
    else:
        hue = np.ptp(values.astype(np.float32), axis=2) / float(np.iinfo(values.dtype).max)
    near = np.ones((COLOUR_REACH_PX, COLOUR_REACH_PX), np.uint8)
    coloured: Mask = cv2.dilate((hue > COLOUR).astype(np.uint8), near) > 0
    return coloured


def _low_bits(values: NDArray[Any], bits: int, *, signed: bool) -> NDArray[Any]:
    allocated = 8 * values.dtype.itemsize
    if bits >= allocated:
        return values
    shift = allocated - bits
    # up and down again: the sign comes back by itself
    kind = np.dtype(f"{'i' if signed else 'u'}{values.dtype.itemsize}")
    cleared: NDArray[Any] = (values.view(kind) << shift) >> shift
    return cleared
