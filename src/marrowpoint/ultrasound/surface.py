"""The bone surface in beam space, its pieces, and the same as lines of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.cortex import Cortex
from marrowpoint.frame import Mask
from marrowpoint.profile import UltrasoundLimits
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.plane import Line, Plane

STEEPEST, JUMP_MM = 8.0, (1.0, 3.0)  # neighbouring beams belong together to that slope, within those jumps
MIN_RUN_MM = 3.0  # a shorter piece is speckle
SHAFT_BAND_MM = (1.5, 4.5)  # a shaft and its copies: toward the probe, and away from it
SURE_BONE = 0.7  # confidence of a beam
ON_AXIS_MM, FOLLOWED_MM = 1.2, 12.0  # a line so near to the shaft's axis for so long is the shaft
AHEAD_MM, STEP_MM = 11.0, 1.2  # a gap in a shaft is no longer; bone is torn where neighbouring beams differ by so much
CROSSED_MM, CROSSING_MM = 0.6, 2.0  # bone that meets the axis at 31 degrees leaves that band within that length
STRAIGHT_LENGTH_MM, STRAIGHT_MM, ASKEW = 6.0, 0.7, 0.4  # a piece so long, so straight and rising by that share of its length
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


def pieces(sample: np.ndarray, beams: BeamSpace) -> list[np.ndarray]:
    """Runs of neighbouring beams without a gap or a jump.

    Parameters
    ----------
    sample : ndarray of shape (B,)
        Depth of each beam [samples], NaN where there is none.
    beams : BeamSpace

    Returns
    -------
    list of ndarray of int
        Indices of the beams of each piece.
    """
    seen = np.flatnonzero(np.isfinite(sample))
    if len(seen) == 0:
        return []
    jump = np.abs(np.diff(sample[seen])) * beams.mm_per_sample
    pitch_mm = beams.beam_pitch(sample[seen[1:]]) * beams.mm_per_sample
    # a surface steeper than that sends nothing back
    breaks = (np.diff(seen) > 1) | (jump > np.clip(STEEPEST * pitch_mm, *JUMP_MM))
    return np.split(seen, np.flatnonzero(breaks) + 1)


def length_mm(sample: np.ndarray, piece: np.ndarray, beams: BeamSpace) -> float:
    """Straight length of a piece, given as its beams [mm]."""
    across = float(beams.beam_pitch(np.mean(sample[piece]))) * (len(piece) - 1)
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
    on_shaft |= _follows(along, across, index, tip_mm - SHAFT_END_MM)
    if not on_shaft.any():
        return surface
    sample = surface.sample.copy()
    sample[index[on_shaft]] = np.nan
    sample = without_crumbs(sample, beams)
    return Surface(sample=sample, confidence=np.where(np.isfinite(sample), surface.confidence, 0.0))


def without_straight(surface: Surface, beams: BeamSpace, plane: Plane) -> Surface:
    """Drop straight pieces that lie askew to the beams: a needle that throws a shadow looks like that, bone seldom.

    Parameters
    ----------
    surface : Surface
    beams : BeamSpace
    plane : Plane

    Returns
    -------
    Surface
        The same object where nothing was dropped.
    """
    sample = surface.sample.copy()
    for piece in pieces(surface.sample, beams):
        points = plane.to_mm(beams.to_frame(np.column_stack([piece, surface.sample[piece]])))
        middle = points.mean(axis=0)
        _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
        off = np.abs((points - middle) @ axes[1])
        long_mm = float(np.ptp((points - middle) @ axes[0]))
        gained_mm = float(np.ptp(surface.sample[piece])) * beams.mm_per_sample
        if long_mm > STRAIGHT_LENGTH_MM and off.max() < STRAIGHT_MM and gained_mm > ASKEW * long_mm:
            sample[piece] = np.nan
    if np.array_equal(sample, surface.sample, equal_nan=True):
        return surface
    return Surface(sample=sample, confidence=np.where(np.isfinite(sample), surface.confidence, 0.0))


def _follows(along: np.ndarray, across: np.ndarray, index: np.ndarray, from_mm: float) -> Mask:
    """Points that keep to the axis for long not far ahead of the tip: the shaft behind a gap, which bone would only cross.

    Bone goes on where it leaves the axis; a piece of shaft begins with nothing beside it.
    """
    near = (along > from_mm) & (along < from_mm + AHEAD_MM) & (np.abs(across) < CROSSED_MM)
    follows = np.zeros(len(along), dtype=bool)
    for run in np.split(np.arange(len(along)), np.flatnonzero(np.diff(index) > 1) + 1):
        kept = run[near[run]]
        if len(kept) == 0 or np.ptp(along[kept]) <= CROSSING_MM:
            continue
        first_is_shallow = along[kept[0]] < along[kept[-1]]
        shallow, beyond = (kept[0], kept[0] - 1) if first_is_shallow else (kept[-1], kept[-1] + 1)
        inside = run[0] <= beyond <= run[-1]
        if not inside or np.hypot(along[shallow] - along[beyond], across[shallow] - across[beyond]) > STEP_MM:
            follows[kept] = True
    return follows


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
