"""A needle's shaft as it was measured, and what it is measured on."""

from __future__ import annotations

from dataclasses import dataclass

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.needle import TipVisibility
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.plane import Line, Plane
from marrowpoint.ultrasound.surface import Surface

FADING_SHARE, CLEAR_SHARE = 0.6, 0.8  # of the shaft's contrast that must be left at its end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shaft:
    """A needle as it was measured in the plane.

    Parameters
    ----------
    line : Line
        Through the shaft's first echo; position 0 is arbitrary.
    tip_mm, entry_mm : float
        Position of the tip, and of the end nearest to the skin, along the line [mm].
    tip_sd_mm : float
        Standard uncertainty of the tip along the shaft [mm].
    bone_mm : float or None
        Position where the line meets the bone surface, if it does.
    meets_bone : bool
        The echo of the shaft runs into the echo of bone: where in between it ends cannot be seen.
    visible_share : float
        Share of the way from edge to tip on which the shaft shows.
    visible_mm : float
        Length of shaft that shows [mm].
    depth_of_entry_mm : float
        From the edge of the picture to the first of the shaft [mm].
    entry_depth_share : float
        Depth at which the line enters the picture, as a share of the picture's depth.
    contrast : float
        Grey value of the shaft over tissue.
    width_mm : float
        Width of the first echo (not of the needle) [mm].
    tip_share : float
        Contrast of the last of the shaft as a share of `contrast`.
    shadow_ahead : bool
        Right ahead of the tip it is dark: what threw that shadow may be bone that shows no surface.
    leaves : bool
        It shows right to where it leaves the picture: a layer, or a needle whose tip is not in the picture.
    """

    line: Line
    tip_mm: float
    entry_mm: float
    tip_sd_mm: float
    bone_mm: float | None
    meets_bone: bool
    visible_share: float
    visible_mm: float
    depth_of_entry_mm: float
    entry_depth_share: float
    contrast: float
    width_mm: float
    tip_share: float
    shadow_ahead: bool
    leaves: bool

    @property
    def visibility(self) -> TipVisibility:
        """How well the end of the shaft is seen."""
        if self.meets_bone:
            return TipVisibility.HIDDEN
        if self.tip_share < FADING_SHARE:
            return TipVisibility.FAINT
        clear = self.tip_share >= CLEAR_SHARE and self.visible_share >= CLEAR_SHARE
        return TipVisibility.CLEAR if clear else TipVisibility.FAIR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What a shaft is measured on; `painted` is the frame with bone and marks painted over with tissue."""

    pixels: FloatImage
    painted: FloatImage
    clear: Mask
    beams: BeamSpace
    surface: Surface | None
    plane: Plane
