"""A picture on a page of the PDF, embedded as the JPEG it is."""

from __future__ import annotations

from io import BytesIO

from reportlab.lib.utils import ImageReader
from reportlab.platypus import Image


class _Undecoded(ImageReader):  # type: ignore[misc]
    """A JPEG whose own bytes name it: reportlab would decode every picture for its name, and keep the pixels until the end."""

    def __init__(self, jpeg: bytes) -> None:
        super().__init__(BytesIO(jpeg))
        self._jpeg = jpeg
        self._dataA = None  # no transparency

    def getRGBData(self) -> bytes:  # noqa: N802 (reportlab's name)
        return self._jpeg


def embedded(jpeg: bytes, width: float) -> Image:
    """A JPEG of a given width.

    Parameters
    ----------
    jpeg : bytes
    width : float
        On the page [pt].

    Returns
    -------
    reportlab.platypus.Image
    """
    reader = _Undecoded(jpeg)
    columns, rows = reader.getSize()
    image = Image(BytesIO(jpeg), width=width, height=width * rows / columns)
    image._img = reader
    return image
