"""The needle as it lies in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from marrowpoint.frame import Mask


class TipVisibility(StrEnum):
    """How well the echo of a tip is seen by ultrasound."""

    CLEAR = "clear"  # the shaft is bright up to its end
    FAIR = "fair"  # weaker or broken toward its end
    FAINT = "faint"  # fades out: the true tip may lie further on, out of the plane of the picture
    HIDDEN = "hidden"  # runs into the echo of bone: the tip itself is not seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """A straight needle in one frame.

    Parameters
    ----------
    tip : tuple of float
        (row, column) of the tip's apex [px].
    axis : tuple of float
        Unit vector (row, column) from the tip **toward the hub**.
    width_px, width_sd_px : float
        Width of the shaft near the tip (true outer diameter, projected) and its standard deviation [px].
    tip_sd_along_px, tip_sd_across_px : float
        Standard uncertainty (k = 1) of the tip along and across the shaft [px].
    length_px : float
        Visible length of shaft from the tip [px].
    confidence : float
        0..1, chance that this is the needle and this end its tip.
    end_on : bool
        The needle points along the beam: a disc, no tip depth.
    second_instrument : bool
        Another straight metal object is in the field.
    alternatives : tuple of Needle
        Close runners-up (shown when the program abstains).
    located_by : str
        ``"classical"``, ``"classical+learned"``, or the name of a reader.
    tip_visibility : TipVisibility or None
        Ultrasound only.
    out_of_plane : bool
        Ultrasound: the shaft may leave the plane of the picture before its true end.
    """

    tip: tuple[float, float]
    axis: tuple[float, float]
    width_px: float
    width_sd_px: float
    tip_sd_along_px: float
    tip_sd_across_px: float
    length_px: float
    confidence: float
    end_on: bool = False
    second_instrument: bool = False
    alternatives: tuple[Needle, ...] = ()
    located_by: str = "classical"
    tip_visibility: TipVisibility | None = None
    out_of_plane: bool = False

    def footprint(self, shape: tuple[int, int], *, margin_px: float) -> Mask:
        """Pixels that the shaft hides.

        Parameters
        ----------
        shape : tuple of int
            (M, N) of the frame.
        margin_px : float
            Added on every side [px].

        Returns
        -------
        ndarray of shape (M, N), bool
        """
        r = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(self.tip[0])
        c = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(self.tip[1])
        along = r * np.float32(self.axis[0]) + c * np.float32(self.axis[1])
        across = np.abs(r * np.float32(self.axis[1]) - c * np.float32(self.axis[0]))
        inside: Mask = (
            (along > -margin_px)
            & (along < self.length_px + margin_px)
            & (across < self.width_px / 2 + margin_px)
        )
        return inside
