"""The scanned area of a screen: its shape, and the direction of its beams."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from marrowpoint.frame import Mask


class ProbeKind(StrEnum):
    """Shape of the scanned area."""

    CURVILINEAR = "curvilinear"
    PHASED = "phased"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sector:
    """The scanned area and the direction of its beams.

    Lengths are in units of one column; a row counts `row_aspect` columns, so that circles are round.

    Parameters
    ----------
    kind : ProbeKind
    apex : tuple of float
        (row, column) where all beams meet [px]; for a linear probe the top-left corner.
    depth_from, depth_to : float
        Start and end of a beam from the apex (linear: from the top edge), in columns.
    across_from, across_to : float
        First and last beam: angle from the downward direction [rad]; linear: distance from the left edge, in columns.
    upward : bool
        True if the apex lies below: the picture stands on its head.
    row_aspect : float
        Height of a pixel over its width.
    picture : ndarray of shape (M, N), bool
        Pixels of the scanned area without what the user interface drew on it.
    """

    kind: ProbeKind
    apex: tuple[float, float]
    depth_from: float
    depth_to: float
    across_from: float
    across_to: float
    upward: bool
    row_aspect: float
    picture: Mask

    def covers(self, shape: tuple[int, int]) -> Mask:
        """Pixels of a frame between the first and last beam, from the beginning of a beam to its end.

        Parameters
        ----------
        shape : tuple of int
            (M, N) of the frame.

        Returns
        -------
        ndarray of shape (M, N), bool
        """
        rows = (np.arange(shape[0]) - self.apex[0]) * self.row_aspect * (-1.0 if self.upward else 1.0)
        columns = np.arange(shape[1]) - self.apex[1]
        dy, dx = rows.astype(np.float32)[:, None], columns.astype(np.float32)[None]
        if self.kind is ProbeKind.LINEAR:
            inside: Mask = (dy >= 0) & (dy <= self.depth_to) & (dx >= 0) & (dx <= self.across_to)
            return inside
        squared = dx * dx + dy * dy
        low, high = np.float32(np.tan(self.across_from)), np.float32(np.tan(self.across_to))
        inside = (squared >= self.depth_from**2) & (squared <= self.depth_to**2)
        inside &= (dx >= dy * low) & (dx <= dy * high) & (dy > 0)
        return inside
