"""What lies behind the needle: the same place in frames in which the tip had not come there yet.

Bone that begins behind a tip looks like more or less needle, and a fit that knows only what is seen beside the shaft errs with
it by up to two millimetres, the same in every frame that shows the tip there: a run's largest error, and no averaging takes it
away. A needle comes from outside, though, and its first frames show what it will stand in front of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage
from marrowpoint.needle import Needle
from marrowpoint.runs.register import Alignment

KEPT = 6  # frames that show what lies behind: their noise is averaged
CLEAR_WIDTHS, CLEAR_SDS = 1.0, 2.0  # ahead of a tip there is no metal of it: its blur and its doubt
BACK_WIDTHS = 1.0  # a frame whose tip stands so much farther back shows more

Vector = NDArray[np.float64]
Strips = list[tuple[FloatImage, NDArray[np.bool_]]]
Earlier = Callable[[Shaft, Vector, Vector], Strips]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kept:
    pixels: FloatImage
    pose: Alignment
    needle: Needle


class Before:
    """Keeps the frames of a view whose tip stands farthest back."""

    def __init__(self) -> None:
        self.kept: list[_Kept] = []

    def add(self, pixels: FloatImage, pose: Alignment, needle: Needle) -> None:
        """Keep a frame, where it shows more than those that are kept.

        Parameters
        ----------
        pixels : ndarray of shape (M, N), float32
            Larger = more attenuating.
        pose : Alignment
            Where the patient lies in it.
        needle : Needle
            In it.
        """
        new = _Kept(pixels=pixels, pose=pose, needle=needle)
        if len(self.kept) < KEPT:
            self.kept.append(new)
            return
        ways = [_ahead(kept, new) for kept in self.kept]
        most = int(np.argmax(ways))
        if ways[most] > BACK_WIDTHS * needle.width_px:
            self.kept[most] = new

    @property
    def shown(self) -> list[tuple[FloatImage, Needle]]:
        """The kept frames and the needle in each, once there are as many as are kept."""
        return [(kept.pixels, kept.needle) for kept in self.kept] if len(self.kept) == KEPT else []

    def seen_from(self, pose: Alignment) -> Earlier:
        """What the kept frames show in the place of a strip of another frame.

        Parameters
        ----------
        pose : Alignment
            Where the patient lies in that frame.

        Returns
        -------
        callable
            Takes a shaft and the coordinates along and across it; gives for each kept frame the strip of shape (S, K) and
            which of its rows lie ahead of that frame's tip, shape (S,).
        """

        def strips(shaft: Shaft, along: Vector, across: Vector) -> Strips:
            return [_strip(kept, pose, shaft, along, across) for kept in self.kept]

        return strips


def _ahead(kept: _Kept, new: _Kept) -> float:
    """How much farther the needle of a kept frame has come than that of a new one [px]."""
    tip = new.pose.move(kept.pose.back(kept.needle.tip))
    axis = new.needle.axis
    return -((tip[0] - new.needle.tip[0]) * axis[0] + (tip[1] - new.needle.tip[1]) * axis[1])


def _strip(kept: _Kept, pose: Alignment, shaft: Shaft, along: Vector, across: Vector) -> tuple[FloatImage, NDArray[np.bool_]]:
    origin = kept.pose.move(pose.back(shaft.origin))
    far = kept.pose.move(pose.back((shaft.origin[0] + 100 * shaft.axis[0], shaft.origin[1] + 100 * shaft.axis[1])))
    axis = (far[0] - origin[0]) / 100, (far[1] - origin[1]) / 100
    tip, width = kept.needle.tip, kept.needle.width_px
    stands = (tip[0] - origin[0]) * axis[0] + (tip[1] - origin[1]) * axis[1]
    clear = CLEAR_WIDTHS * width + CLEAR_SDS * kept.needle.tip_sd_along_px
    return sample_strip(kept.pixels, origin, axis, along, across), along < stands - clear
