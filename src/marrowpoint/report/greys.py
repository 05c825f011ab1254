"""The frame as greys for a screen: the whole of it, or a part enlarged."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.frame import FloatImage, Frame, Mask, Points
from marrowpoint.report.ink import Picture

# Share of pixels that may be clipped at each end of the greys.
CLIPPED = 0.005
# Quantiles of a picture need no more pixels than this.
ENOUGH_PIXELS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a frame that a picture shows, and how large.

    Parameters
    ----------
    row, column : float
        Frame position of the picture's top left pixel centre [px].
    zoom : float
        Picture pixels a frame pixel.
    line_px : float
        Width of a thin line in this picture [px].
    """

    row: float
    column: float
    zoom: float
    line_px: float

    def place(self, points: Points) -> Points:
        """Frame points (row, column), shape (K, 2), as picture points."""
        placed: Points = (np.atleast_2d(np.asarray(points, np.float64)) - (self.row, self.column)) * self.zoom
        return placed


def grey_levels(assessment: Assessment) -> Picture:
    """The frame with a contrast that uses the whole range of greys inside the field.

    Parameters
    ----------
    assessment : Assessment

    Returns
    -------
    ndarray of shape (M, N), uint8
        In the polarity of the file.
    """
    frame = assessment.frame
    return _stretch(frame.pixels, _shown(frame, None if assessment.exposure is None else assessment.exposure.field))


def grey_limits(frame: Frame, field: Mask | None = None) -> tuple[float, float]:
    """Pixel values that a screen shows black and white.

    Parameters
    ----------
    frame : Frame
    field : ndarray of shape (M, N), bool, or None
        Where the picture is, if that was found.

    Returns
    -------
    low, high : float
        ``low < high``.
    """
    return _limits(frame.pixels, _shown(frame, field))


def _shown(frame: Frame, field: Mask | None) -> FloatImage:
    inside: Mask = frame.valid if field is None else frame.valid & field
    # a field that is next to nothing is a field that was not found
    return frame.pixels[inside] if np.count_nonzero(inside) > 0.02 * inside.size else frame.pixels


def cut_out(frame: Frame, window: Window, side_px: int) -> Picture:
    """A square part of the frame, enlarged, with a contrast of its own.

    Parameters
    ----------
    frame : Frame
    window : Window
        Where and how large.
    side_px : int
        Side of the square [px].

    Returns
    -------
    ndarray of shape (side_px, side_px), uint8
        Mid grey outside of the frame.
    """
    (rows, columns), span_px = frame.pixels.shape, side_px / window.zoom
    r, c = (int(np.clip(start, 0, end - 1)) for start, end in ((window.row, rows), (window.column, columns)))
    part = frame.pixels[r : int(window.row + span_px) + 2, c : int(window.column + span_px) + 2]
    if part.size == 0:
        part = frame.pixels
    onto = np.array([[window.zoom, 0, -window.column * window.zoom], [0, window.zoom, -window.row * window.zoom]])
    levels = _stretch(frame.pixels, part)
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_CONSTANT
    cut = cv2.warpAffine(levels, onto, (side_px, side_px), flags=flags, borderMode=border, borderValue=60)
    return np.asarray(cut, np.uint8)


def _stretch(pixels: FloatImage, shown: FloatImage) -> Picture:
    low, high = _limits(pixels, shown)
    levels: Picture = (np.clip((pixels - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return levels


def _limits(pixels: FloatImage, shown: FloatImage) -> tuple[float, float]:
    sample = shown.ravel()[:: max(1, shown.size // ENOUGH_PIXELS)]
    low, high = (float(x) for x in np.quantile(sample, [CLIPPED, 1 - CLIPPED]))
    if not high > low:
        low, high = float(pixels.min()), float(pixels.max())
    return low, max(high, low + 1e-6)
