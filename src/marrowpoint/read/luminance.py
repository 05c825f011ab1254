"""From stored values to luminance 0..1: modality LUT, palette, colour, and the range the values really use.

The range is that of the smallest usual depth (8, 10, 12, 14, 16 bits) that holds the values, never more than the bits the
header says are stored: 12-bit pictures saved as "16 bits stored" are as bright as the same saved as 12. Frames of one file
share it, decided on the first, middle and last, so that brightness can be compared along a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from marrowpoint.errors import UnreadableImage
from marrowpoint.frame import FloatImage, Mask
from marrowpoint.read.groups import first_value
from marrowpoint.read.pixels import PixelDescription, StoredFrame
from marrowpoint.read.quiet import quiet

# Depths that detectors and programs really use.
_DEPTHS = (8, 10, 12, 14, 16)
# Weights of red, green and blue in luminance: ITU-R BT.601, those of the Y of DICOM's YBR.
_LUMA = (0.299, 0.587, 0.114)
# Between the largest and smallest of R, G, B: above this a pixel is coloured (see Frame.coloured).
_COLOURED_FROM = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How stored values become luminance.

    Parameters
    ----------
    depth : int
        Bits that the values of the file use.
    low_is_negative : bool
        Values are signed and some are below zero: the range is -2^(depth-1) .. 2^(depth-1)-1, else 0 .. 2^depth-1.
    """

    depth: int
    low_is_negative: bool

    @property
    def limits(self) -> tuple[float, float]:
        """Stored values that become 0 and 1."""
        if self.low_is_negative:
            return -float(2 ** (self.depth - 1)), float(2 ** (self.depth - 1) - 1)
        return 0.0, float(2**self.depth - 1)

    def widened(self, other: Scaling) -> Scaling:
        """The smallest range that holds both."""
        negative = self.low_is_negative or other.low_is_negative
        depths = [x.depth + (negative and not x.low_is_negative) for x in (self, other)]
        return Scaling(depth=max(depths), low_is_negative=negative)


def scaling_of(frames: Iterable[StoredFrame], described: PixelDescription, padding: tuple[int, int] | None) -> Scaling:
    """Range that the values of some frames use.

    Parameters
    ----------
    frames : iterable of StoredFrame
    described : PixelDescription
    padding : tuple of int or None
        Stored values from .. to that mean "no picture"; they do not count.

    Returns
    -------
    Scaling
    """
    low, high = 0, 0
    for frame in frames:
        values = frame.values
        if padding is not None:
            values = values[(values < padding[0]) | (values > padding[1])]
        if values.size:
            low, high = min(low, int(values.min())), max(high, int(values.max()))
    negative = low < 0
    needed = max(int(high).bit_length(), int(-low - 1).bit_length() if negative else 0) + negative
    usual = next((depth for depth in _DEPTHS if depth >= needed), described.bits_allocated)
    # a wrong Bits Stored must not cut values off: what is there wins over what is said
    return Scaling(depth=max(min(usual, described.bits_stored), needed), low_is_negative=negative)


def luminance(frame: StoredFrame, header: Dataset, index: int, scaling: Scaling) -> tuple[FloatImage, Mask | None]:
    """Luminance of one frame, and where it is coloured.

    Parameters
    ----------
    frame : StoredFrame
    header : Dataset
        With modality LUT or palette.
    index : int
        0-based number of the frame.
    scaling : Scaling
        Range of the file's values; widened where this frame exceeds it.

    Returns
    -------
    pixels : ndarray of shape (M, N), float32
        0..1.
    coloured : ndarray of shape (M, N), bool, or None
    """
    if frame.photometric == "PALETTE COLOR":
        return _colours(_palette(frame.values, header), 1.0)
    if frame.values.ndim == 3:
        return _colour_picture(frame, scaling)
    looked_up = _modality_lut(frame.values, header)
    if looked_up is not None:
        return looked_up, None
    low, high = scaling.limits
    pixels: FloatImage = (frame.values.astype(np.float32) - np.float32(low)) * np.float32(1 / (high - low))
    # the rescale is affine: after scaling to 0..1 only its sign is left
    if _slope(header, index) < 0:
        pixels = np.float32(1) - pixels
    return np.clip(pixels, 0, 1, out=pixels), None


def _slope(header: Dataset, index: int) -> float:
    try:
        slope = float(first_value(header, "RescaleSlope", index) or 1)
    except (TypeError, ValueError):
        return 1.0
    return slope if isfinite(slope) and slope != 0 else 1.0


def _colour_picture(frame: StoredFrame, scaling: Scaling) -> tuple[FloatImage, Mask | None]:
    scale = scaling.limits[1]
    if not frame.photometric.startswith("YBR"):
        return _colours(frame.values, scale)
    bits = np.float32(1 / scale)
    luma = frame.values[..., 0].astype(np.float32) * bits
    blue, red = (frame.values[..., i].astype(np.float32) * bits - np.float32(0.5) for i in (1, 2))
    # inverse of PS3.3 C.7.6.3.1.2, YBR_FULL
    channels = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    spread = np.maximum.reduce(channels) - np.minimum.reduce(channels)
    return np.clip(luma, 0, 1, out=luma), spread > _COLOURED_FROM


def _colours(colours: NDArray[Any], scale: float) -> tuple[FloatImage, Mask]:
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    pixels: FloatImage = red * np.float32(_LUMA[0] / scale)
    pixels += green * np.float32(_LUMA[1] / scale)
    pixels += blue * np.float32(_LUMA[2] / scale)
    return np.clip(pixels, 0, 1, out=pixels), spread > _COLOURED_FROM * scale


def _palette(values: NDArray[Any], header: Dataset) -> NDArray[Any]:
    try:
        with quiet():
            colours = apply_color_lut(values, header)
            bits = int(header.RedPaletteColorLookupTableDescriptor[2])
    except Exception as error:
        raise UnreadableImage("broken_palette", "the colour table of the picture is damaged: export it as grey") from error
    top = float(2**bits - 1) if bits in (8, 16) else float(np.iinfo(colours.dtype).max)
    # tables of 8-bit colours in 16-bit words are common: what is there wins over what is said
    largest = float(colours.max(initial=0))
    scale = 255.0 if largest <= 255 and bits == 8 else max(top, largest)
    return colours.astype(np.float32) / np.float32(scale)


def _modality_lut(values: NDArray[Any], header: Dataset) -> FloatImage | None:
    sequence = header.get("ModalityLUTSequence")
    if not sequence:
        return None
    try:
        count, first, bits = (int(x) for x in sequence[0].LUTDescriptor)
        table = _table(sequence[0], count or 65_536, bits)
    except Exception as error:
        raise UnreadableImage("broken_lut", "the modality table of the picture is damaged: export the file again") from error
    place = np.clip(values.astype(np.int32) - first, 0, len(table) - 1)
    pixels: FloatImage = np.clip(table[place] * np.float32(1 / (2**bits - 1)), 0, 1)
    return pixels


def _table(item: Dataset, count: int, bits: int) -> FloatImage:
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if bits > 8 or len(data) >= 2 * count else "u1")
    table: FloatImage = np.asarray(data).astype(np.float32)[:count]
    if not 8 <= bits <= 16 or len(table) != count:
        raise ValueError("impossible lookup table")
    return table
