"""The frames of a run as an array that reads a frame when it is looked at; the same with the mask taken away."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import FloatImage, Frame
from marrowpoint.profile import ScaleLimits
from marrowpoint.read import ImageFile, read_frame
from marrowpoint.runs.pictures import RunPictures

# 1024 x 1024 frames in memory at once: about 40 MB
KEPT = 8


class LazyStack:
    """An array of shape (frames, M, N), float32, made picture by picture."""

    ndim = 3
    dtype = np.dtype(np.float32)
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of pixels of all frames."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> FloatImage:
        parts = key if isinstance(key, tuple) else (key,)
        along, rest = parts[0], parts[1:]
        if isinstance(along, int | np.integer):
            return self._pixels(int(along) % len(self))[rest]
        chosen = np.arange(len(self))[along]
        empty = np.zeros((0, *self.shape[1:]), np.float32)
        pictures = np.stack([self._pixels(int(index)) for index in chosen]) if len(chosen) else empty
        return np.asarray(pictures[(slice(None), *rest)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[:], dtype)

    @abstractmethod
    def _pixels(self, index: int) -> FloatImage:
        """The picture of a frame, from 0."""


class FrameStack(LazyStack):
    """Frames of a run; at most `KEPT` of them in memory.

    Parameters
    ----------
    images : sequence of ImageFile
        One file with all frames, or stills in order of time.
    scale : ScaleLimits
        Of the profile.
    first : int
        1-based; the frame whose size is that of all.

    Raises
    ------
    MarrowpointError
        Where that frame cannot be read.
    """

    def __init__(self, images: Sequence[ImageFile], scale: ScaleLimits, first: int = 1) -> None:
        self._images, self._scale = tuple(images), scale
        self._kept: OrderedDict[int, Frame] = OrderedDict()
        self.damaged: dict[int, str] = {}
        seen = self.frame(first)
        self.shape = (len(self._images) if self.stills else seen.reference.number_of_frames, *seen.pixels.shape)

    @property
    def stills(self) -> bool:
        """Whether each frame is a file of its own."""
        return len(self._images) > 1

    def frame(self, number: int) -> Frame:
        """A frame by its 1-based number in the run, read if it is not at hand."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        image, its_number = (self._images[number - 1], 1) if self.stills else (self._images[0], number)
        frame = read_frame(image, its_number, scale=self._scale)
        self._kept[number] = frame
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return frame

    def _pixels(self, index: int) -> FloatImage:
        try:
            return self.frame(index + 1).pixels
        except MarrowpointError as error:
            # a viewer must not fall over one frame: it is shown black and told in words
            self.damaged[index + 1] = error.text
            return np.zeros(self.shape[1:], np.float32)


class SubtractedStack(LazyStack):
    """Frames of a run with the picture before contrast taken away, made when they are looked at.

    Parameters
    ----------
    frames : FrameStack
    pictures : RunPictures
    """

    def __init__(self, frames: FrameStack, pictures: RunPictures) -> None:
        self.shape = frames.shape
        self._frames, self._pictures = frames, pictures

    def _pixels(self, index: int) -> FloatImage:
        blank = np.zeros(self.shape[1:], np.float32)
        try:
            made = self._pictures.subtracted(self._frames.frame(index + 1), index)
        except MarrowpointError:
            return blank
        return blank if made is None else made
