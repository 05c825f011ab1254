"""Where the header says there is no picture: display shutters and pixel padding."""

from __future__ import annotations

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from marrowpoint.frame import Mask
from marrowpoint.read.groups import first_value, numbers
from marrowpoint.read.pixels import Stored

# A shutter that leaves less of the picture than this is a tag gone wrong.
_MIN_OPEN = 0.02
# Padding is a broad margin: thinner areas of the padding value are metal driven to black, not missing picture.
_PADDING_WIDTH = 0.05
_MIN_PADDING_WIDTH_PX = 3


def valid_area(values: Stored, header: Dataset, index: int, padding: tuple[int, int] | None) -> Mask:
    """Pixels that show a picture, as far as the header says.

    Parameters
    ----------
    values : ndarray of shape (M, N) or (M, N, 3)
        Stored values.
    header : Dataset
    index : int
        0-based number of the frame.
    padding : tuple of int or None
        Stored values from .. to that mean "no picture".

    Returns
    -------
    ndarray of shape (M, N), bool
        A shutter that would hide (nearly) all is left out.
    """
    shape = (values.shape[0], values.shape[1])
    valid = np.ones(shape, np.bool_)
    for one in _shutters(header, index, shape):
        if np.count_nonzero(valid & one) >= _MIN_OPEN * valid.size:
            valid &= one
    if padding is not None and values.ndim == 2:
        valid &= ~_padded(values, padding)
    return valid


def padding_range(header: Dataset, signed: bool, bits_allocated: int) -> tuple[int, int] | None:
    """Stored values that mean "no picture" (0028,0120 and 0028,0121).

    Parameters
    ----------
    header : Dataset
    signed : bool
    bits_allocated : int

    Returns
    -------
    tuple of int or None
        Smallest and largest.
    """
    try:
        first = header.get("PixelPaddingValue")
        last = header.get("PixelPaddingRangeLimit")
        if first is None:
            return None
        ends = [int(first), int(first if last is None else last)]
    except (TypeError, ValueError):
        return None
    if signed:
        # written as unsigned by many programs
        ends = [end - 2**bits_allocated if end >= 2 ** (bits_allocated - 1) else end for end in ends]
    return min(ends), max(ends)


def _shutters(header: Dataset, index: int, shape: tuple[int, int]) -> list[Mask]:
    kinds = first_value(header, "ShutterShape", index)
    if kinds is None:
        return []
    names = {str(kind).upper() for kind in (kinds if isinstance(kinds, MultiValue) else [kinds])}
    made = []
    for name, make in (("RECTANGULAR", _rectangle), ("CIRCULAR", _circle), ("POLYGONAL", _polygon)):
        if name in names:
            try:
                made.append(make(header, index, shape))
            except (TypeError, ValueError):
                # a shutter without its numbers hides nothing
                continue
    return made


def _required(header: Dataset, keyword: str, index: int, count: int) -> tuple[float, ...]:
    found = numbers(first_value(header, keyword, index), count)
    if found is None:
        raise ValueError(f"no {keyword}")
    return found


def _rectangle(header: Dataset, index: int, shape: tuple[int, int]) -> Mask:
    edges = ("ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge", "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge")
    top, bottom, left, right = (_required(header, edge, index, 1)[0] for edge in edges)
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    inside: Mask = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
    return inside


def _circle(header: Dataset, index: int, shape: tuple[int, int]) -> Mask:
    row, column = _required(header, "CenterOfCircularShutter", index, 2)
    (radius,) = _required(header, "RadiusOfCircularShutter", index, 1)
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    inside: Mask = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return inside


def _polygon(header: Dataset, index: int, shape: tuple[int, int]) -> Mask:
    value = first_value(header, "VerticesOfThePolygonalShutter", index)
    if not isinstance(value, MultiValue) or len(value) < 6 or len(value) % 2:
        raise ValueError("no polygon")
    flat = _required(header, "VerticesOfThePolygonalShutter", index, len(value))
    # DICOM counts from 1, row before column; OpenCV wants (x, y) from 0
    limit = 4 * max(shape)
    corners = np.clip(np.array(flat).reshape(-1, 2)[:, ::-1] - 1, -limit, limit)
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _padded(values: Stored, padding: tuple[int, int]) -> Mask:
    marked = ((values >= padding[0]) & (values <= padding[1])).astype(np.uint8)
    width = max(_MIN_PADDING_WIDTH_PX, round(_PADDING_WIDTH * min(values.shape)))
    width += 1 - width % 2
    # opening by a square, as two box sums: their cost does not grow with the square
    size, border = (width, width), cv2.BORDER_REPLICATE
    whole = cv2.boxFilter(marked, cv2.CV_32S, size, normalize=False, borderType=border) == width * width
    broad = cv2.boxFilter(whole.astype(np.uint8), cv2.CV_32S, size, normalize=False, borderType=cv2.BORDER_CONSTANT) > 0
    found: Mask = broad & marked.astype(np.bool_)
    return found
