"""The pictures behind a contrast run, for a person: before contrast, any frame with that taken away, and the outline."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Frame, Mask, Points
from marrowpoint.runs.register import Alignment
from marrowpoint.runs.spread import SpreadSeries
from marrowpoint.runs.subtract import Subtraction

# noise SDs of the grid from no change to black; no change is drawn as this share of white
BLACK_SD, GREY = 12.0, 0.65


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunPictures:
    """What a subtraction was made of: enough to make it again for one frame at a time.

    Parameters
    ----------
    before : ndarray of shape (M, N), float32
        The mask, attenuation.
    inverted : bool
        Frames are bright where little attenuates.
    alignments : dict of int to Alignment
        Where the mask lies in each frame that was subtracted (from 0), for pictures of full size.
    refused : frozenset of int
        Frames whose residual motion is too large to be read.
    noise : float
        Median standard deviation of one value on the grid (k = 1).
    frames : tuple of int
        Frames on the grid, in order.
    series : SpreadSeries or None
        Where contrast was seen, on the grid.
    factor : float
        Pixels of the frame in one of the grid.
    inside : ndarray of shape (m, n), bool, or None
        Where the grid's values can be trusted.
    """

    before: FloatImage
    inverted: bool
    alignments: dict[int, Alignment] = field(default_factory=dict)
    refused: frozenset[int] = field(default_factory=frozenset)
    noise: float = 1.0
    frames: tuple[int, ...] = ()
    series: SpreadSeries | None = None
    factor: float = 1.0
    inside: Mask | None = None

    @classmethod
    def of(cls, subtraction: Subtraction, series: SpreadSeries | None, *, inverted: bool) -> RunPictures:
        """The pictures of a subtraction.

        Parameters
        ----------
        subtraction : Subtraction
        series : SpreadSeries or None
        inverted : bool
            As `Exposure.inverted`.

        Returns
        -------
        RunPictures
        """
        inside = subtraction.inside
        return cls(
            before=subtraction.picture,
            inverted=inverted,
            alignments=subtraction.alignments,
            refused=frozenset(subtraction.refused),
            noise=float(np.median(subtraction.noise[inside])) if inside.any() else 1.0,
            frames=subtraction.frames,
            series=series,
            factor=subtraction.factor,
            inside=inside,
        )

    @property
    def limits(self) -> tuple[float, float]:
        """Attenuation drawn white and black, so that no change is a light grey and contrast is dark."""
        black = BLACK_SD * self.noise
        return -black * (1 - GREY) / GREY, black

    @property
    def before_as_frame(self) -> FloatImage:
        """The mask with the frames' own values, shape (M, N)."""
        return np.asarray(1 - self.before if self.inverted else self.before, np.float32)

    def subtracted(self, frame: Frame, index: int) -> FloatImage | None:
        """A frame laid over the mask and the mask taken away.

        Parameters
        ----------
        frame : Frame
            Of this run.
        index : int
            Its place in the run, from 0: of stills the number in the file does not tell.

        Returns
        -------
        ndarray of shape (M, N), float32, or None
            Added attenuation, in the place of the mask, smoothed to the detail of the grid; 0 where it cannot be trusted. None
            for a frame that was not subtracted.
        """
        found = self.alignments.get(index)
        if found is None:
            return None
        attenuation = 1 - frame.pixels if self.inverted else frame.pixels
        added = cv2.GaussianBlur(found.apply(attenuation) - self.before, (0, 0), max(self.factor / 2, 0.5))
        if self.inside is None:
            return np.asarray(added, np.float32)
        size = added.shape[1], added.shape[0]
        trusted = cv2.resize(self.inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        return np.where(trusted, added, 0).astype(np.float32)

    def spread_lines(self, frame: int, *, in_frame: bool) -> list[Points]:
        """Outline of the contrast seen up to a frame.

        Parameters
        ----------
        frame : int
            From 0.
        in_frame : bool
            Where it lies in that frame; else where it lies in the mask, as in `subtracted`.

        Returns
        -------
        list of ndarray of shape (K, 2)
            Closed lines, (row, column) [px]; empty where nothing was seen yet.
        """
        if self.series is None:
            return []
        last = sum(1 for each in self.frames if each <= frame) - 1
        reached = self.series.reached
        seen = (self.series.seen & (reached >= 0) & (reached <= last)).astype(np.uint8)
        found, _ = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        half = (self.factor - 1) / 2
        lines = [np.asarray(line[:, 0, ::-1], np.float64) * self.factor + half for line in found]
        lines = [np.vstack([line, line[:1]]) for line in lines if len(line) > 2]
        pose = self.alignments.get(frame)
        if not in_frame or pose is None:
            return lines
        return [np.array([pose.move((float(r), float(c))) for r, c in line]) for line in lines]
