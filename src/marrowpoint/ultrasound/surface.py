"""The bone surface in beam space, its pieces, and the same as lines of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.cortex import Cortex
from marrowpoint.frame import Mask
from marrowpoint.profile import UltrasoundLimits
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.plane import Line, Plane

MIN_RUN_MM = 3.0  # a shorter piece is speckle
SHAFT_BAND_MM = (1.5, 4.5)  # a shaft and its copies: toward the probe, and away from it
SURE_BONE = 0.7  # confidence of a beam
ON_AXIS_MM, FOLLOWED_MM = 1.2, 12.0  # a line so near to the shaft's axis for so long is the shaft
SHAFT_END_MM = 2.0  # nearer to the tip a line may well be bone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """The bone surface in beam space.

    Parameters
    ----------
    sample : ndarray of shape (B,), float64
        Depth of the surface along each beam [samples]; NaN where no bone is seen. Never leaves the ultrasound package.
    confidence : ndarray of shape (B,), float64
        0..1 for each beam.
    """

    sample: np.ndarray
    confidence: np.ndarray

    @property
    def seen(self) -> Mask:
        """Beams that meet bone."""
        seen: Mask = np.isfinite(self.sample)
        return seen

    @property
    def depth(self) -> np.ndarray:
        """`sample`, infinitely deep where no bone is seen."""
        return np.where(self.seen, self.sample, np.inf)


def pieces(sample: np.ndarray, beams: BeamSpace, *, jump_mm: float = 3.0) -> list[np.ndarray]:
    """Runs of neighbouring beams without a gap or a jump.

    Parameters
    ----------
    sample : ndarray of shape (B,)
        Depth of each beam [samples], NaN where there is none.
    beams : BeamSpace
    jump_mm : float
        Neighbouring beams further apart than this belong to different pieces [mm].

    Returns
    -------
    list of ndarray of int
        Indices of the beams of each piece.
    """
    seen = np.flatnonzero(np.isfinite(sample))
    if len(seen) == 0:
        return []
    breaks = (np.diff(seen) > 1) | (np.abs(np.diff(sample[seen])) * beams.mm_per_sample > jump_mm)
    return np.split(seen, np.flatnonzero(breaks) + 1)


def length_mm(sample: np.ndarray, piece: np.ndarray, beams: BeamSpace) -> float:
    """Straight length of a piece, given as its beams [mm]."""
    across = beams.beam_pitch(float(np.mean(sample[piece]))) * (len(piece) - 1)
    return float(np.hypot(across, np.ptp(sample[piece]))) * beams.mm_per_sample


def without_crumbs(sample: np.ndarray, beams: BeamSpace) -> np.ndarray:
    """Drop pieces too short to be bone; a piece ends at a gap or at a jump."""
    out = sample.copy()
    for piece in pieces(sample, beams):
        if length_mm(sample, piece, beams) < MIN_RUN_MM:
            out[piece] = np.nan
    return out


def without_shaft(surface: Surface, line: Line, tip_mm: float, beams: BeamSpace, plane: Plane) -> Surface:
    """Drop what passed for bone but is the needle's shaft or a copy of it below.

    Parameters
    ----------
    surface : Surface
    line : Line
        The shaft's.
    tip_mm : float
        Position of the tip along it [mm].
    beams : BeamSpace
    plane : Plane

    Returns
    -------
    Surface
        The same object where nothing was dropped.
    """
    index = np.flatnonzero(surface.seen)
    points = plane.to_mm(beams.to_frame(np.column_stack([index, surface.sample[index]]))) - line.origin
    along, across = points @ np.asarray(line.direction), points @ np.asarray(line.normal)
    on_shaft = (across > -SHAFT_BAND_MM[0]) & (across < SHAFT_BAND_MM[1]) & (along < tip_mm - SHAFT_END_MM)
    # a shaft grazing the crest has true bone beside it, with a full shadow; but a shaft that throws one is followed for long
    followed = along[(np.abs(across) < ON_AXIS_MM) & (along < tip_mm - SHAFT_END_MM)]
    if len(followed) == 0 or np.ptp(followed) < FOLLOWED_MM:
        on_shaft &= surface.confidence[index] < SURE_BONE
    if not on_shaft.any():
        return surface
    sample = surface.sample.copy()
    sample[index[on_shaft]] = np.nan
    sample = without_crumbs(sample, beams)
    return Surface(sample=sample, confidence=np.where(np.isfinite(sample), surface.confidence, 0.0))


def to_cortex(surface: Surface, beams: BeamSpace, limits: UltrasoundLimits) -> Cortex:
    """The surface as lines of the frame, with everything at or behind it.

    Parameters
    ----------
    surface : Surface
    beams : BeamSpace
    limits : UltrasoundLimits

    Returns
    -------
    Cortex
        One line a piece; gaps between pieces are gaps of sight, not of bone.
    """
    lines = []
    for piece in pieces(surface.sample, beams):
        if len(piece) > 1:
            lines.append(beams.to_frame(np.column_stack([piece, surface.sample[piece]])))
    bone = beams.sector.picture & ~beams.above(surface.depth, by=0.0)
    return Cortex(
        bone=bone,
        lines=tuple(lines),
        edge_sd_px=limits.surface_sd_mm / beams.mm_per_sample * beams.step,
        confidence=float(np.median(surface.confidence[surface.seen])),
        located_by="classical",
    )
