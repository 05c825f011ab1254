"""Trace the bone surface: a bright line with a shadow behind it, one depth a beam, and no line where there is none.

What is traced is the first crest of the echo along the beam, not the middle of the bright band. The band behind it is the
pulse ringing on (several millimetres); the outer edge of the cortex is where it begins. A pulse has half its length before
the interface, so the crest of its envelope, not its first rise, marks the interface itself.

Sources: bright ridge, shadow and dynamic programming, Foroughi et al. 2007; local phase symmetry with a shadow term,
Hacihaliloglu et al. 2017; monogenic signal, Felsberg and Sommer 2001.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage, Mask
from marrowpoint.profile import UltrasoundLimits
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.plane import Line, Plane
from marrowpoint.ultrasound.score import CREST_MM, bone_score, brightest_echo, smoothed_echo

MIN_RISE = 0.22  # grey value from the tissue to the crest of bone
MIN_RISE_SHARE = 0.7  # or of what the grey scale leaves above the tissue
FLANK_MM = 15.0  # a flank may fall so far from one beam to the next
NO_BONE = 0.34  # unary score below which "no bone" is the better explanation of a beam
SWITCH = 1.6  # cost of a surface that begins or ends, in beams of good bone
JUMP_PER_MM = 0.05  # a flank of the crest drops by more than a millimetre a beam
JUMP_CAP = 1.2  # one bone may stand in front of another
MIN_RUN_MM = 3.0  # a shorter piece is speckle
SHAFT_BAND_MM = (1.5, 4.5)  # a shaft and its copies: toward the probe, and away from it
SURE_BONE = 0.7  # confidence of a beam
ON_AXIS_MM, FOLLOWED_MM = 1.2, 12.0  # a line so near to the shaft's axis for so long is the shaft
SHAFT_END_MM = 2.0  # nearer to the tip a line may well be bone
PLATEAU_MM = 0.5  # a saturated echo: the crest lies at most so far behind its first full sample


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


def trace_surface(beams: BeamSpace, *, shortest_mm: float) -> Surface:
    """Find the bone surface along each beam.

    Parameters
    ----------
    beams : BeamSpace
    shortest_mm : float
        Less bone than this in the whole picture is not called bone [mm].

    Returns
    -------
    Surface

    Raises
    ------
    NotAssessable
        Code ``no_bone`` if no beam shows a bright line with a shadow behind it.
    """
    score = bone_score(beams)
    path = _best_path(score, beams)
    sample, confidence = _refined(path, score, beams)
    sample = _without_layers(_without_crumbs(sample, beams), beams)
    if sum(_length_mm(sample, piece, beams) for piece in pieces(sample, beams)) < shortest_mm:
        raise NotAssessable("no_bone", "no bright line with a shadow behind it was found")
    return Surface(sample=sample, confidence=np.where(np.isfinite(sample), confidence, 0.0))


def _best_path(score: FloatImage, beams: BeamSpace) -> np.ndarray:
    """Viterbi over beams with a state for no bone; -1 where that is the best."""
    # every second sample is enough: the crest is sought again at full resolution
    score = np.maximum(score[:, : score.shape[1] // 2 * 2 : 2], score[:, 1::2])
    count, depth = score.shape
    slope = JUMP_PER_MM * beams.mm_per_sample * 2
    ramp = (slope * np.arange(depth)).astype(np.float32)
    gain = score - np.float32(NO_BONE)
    value = np.empty((count, depth + 1), np.float32)
    value[0, :depth], value[0, depth] = gain[0] - SWITCH, 0.0
    for b in range(1, count):
        previous = value[b - 1, :depth]
        down = np.maximum.accumulate(previous + ramp) - ramp
        up = (np.maximum.accumulate((previous - ramp)[::-1]))[::-1] + ramp
        stay = np.maximum(np.maximum(down, up), previous.max() - JUMP_CAP)
        value[b, :depth] = np.maximum(stay, value[b - 1, depth] - SWITCH) + gain[b]
        value[b, depth] = max(value[b - 1, depth], float(previous.max()) - SWITCH)
    path = _traced_back(value, ramp)
    return np.where(path >= 0, 2 * path, -1)


def _traced_back(value: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    count, depth = value.shape[0], value.shape[1] - 1
    path = np.full(count, -1)
    state = int(np.argmax(np.append(value[-1, :depth] - SWITCH, value[-1, depth])))
    for b in range(count - 1, -1, -1):
        path[b] = state if state < depth else -1
        if b == 0:
            break
        options = value[b - 1].copy()
        if state == depth:
            options[:depth] -= SWITCH
        else:
            options[:depth] -= np.minimum(ramp[np.abs(np.arange(depth) - state)], JUMP_CAP)
            options[depth] -= SWITCH
        state = int(np.argmax(options))
    return path


def _refined(path: np.ndarray, score: FloatImage, beams: BeamSpace) -> tuple[np.ndarray, np.ndarray]:
    """Sub-pixel crest of the echo nearest to the path, and a confidence for each beam."""
    mm = beams.mm_per_sample
    profile = cv2.GaussianBlur(beams.echo, (0, 0), sigmaX=max(0.2 / mm, 0.4), sigmaY=0.7)
    reach = max(int(1.6 / mm), 2)
    sample, confidence = np.full(len(path), np.nan), np.zeros(len(path))
    for b in np.flatnonzero(path >= 0):
        low, high = max(path[b] - reach, 0), min(path[b] + reach + 1, profile.shape[1])
        sample[b] = low + _crest(profile[b, low:high], plateau=PLATEAU_MM / mm)
        confidence[b] = np.clip(score[b, low:high].max() / 0.8, 0, 1)
    return sample, confidence


def _crest(profile: np.ndarray, *, plateau: float) -> float:
    """Position of the first crest; of a flat top no more than `plateau` behind its beginning."""
    top = int(np.argmax(profile))
    full = profile >= profile[top] - 0.015
    start = top
    while start > 0 and full[start - 1]:
        start -= 1
    end = top
    while end < len(profile) - 1 and full[end + 1]:
        end += 1
    if end - start < 2 and 0 < top < len(profile) - 1:
        a, b, c = (float(x) for x in profile[top - 1 : top + 2])
        curve = a - 2 * b + c
        return top + (0.5 * (a - c) / curve if curve < -1e-6 else 0.0)
    return start + min((end - start) / 2, plateau)


def _without_crumbs(sample: np.ndarray, beams: BeamSpace) -> np.ndarray:
    """Drop pieces too short to be bone; a piece ends at a gap or at a jump."""
    out = sample.copy()
    for piece in pieces(sample, beams):
        if _length_mm(sample, piece, beams) < MIN_RUN_MM:
            out[piece] = np.nan
    return out


def _without_layers(sample: np.ndarray, beams: BeamSpace) -> np.ndarray:
    """Drop pieces that grow out of the tissue above without a step: layers of fat over a dark muscle, not bone."""
    step = max(int(CREST_MM / beams.mm_per_sample), 1)
    smooth = smoothed_echo(beams)
    # where the gain is high, little room is left above tissue
    tissue = float(np.percentile(smooth[beams.known], 65)) if beams.known.any() else 0.0
    needed = min(MIN_RISE, MIN_RISE_SHARE * (brightest_echo(smooth, beams) - tissue))
    out = np.full_like(sample, np.nan)
    found = pieces(sample, beams)
    weak = []
    for piece in found:
        at = np.rint(sample[piece]).astype(np.int64)
        # the top of a crest stands out even where its flanks do not
        if np.percentile(smooth[piece, at] - smooth[piece, np.maximum(at - step, 0)], 80) >= needed:
            out[piece] = sample[piece]
        else:
            weak.append(piece)
    for piece in weak:
        # the far flank of a crest is faint too, but it goes on downward where a bone already stands
        for end, neighbour in ((piece[0], piece[0] - 1), (piece[-1], piece[-1] + 1)):
            if 0 <= neighbour < len(out) and 0 < (sample[end] - out[neighbour]) * beams.mm_per_sample < FLANK_MM:
                out[piece] = sample[piece]
    return out


def _length_mm(sample: np.ndarray, piece: np.ndarray, beams: BeamSpace) -> float:
    """Straight length of a piece."""
    across = beams.beam_pitch(float(np.mean(sample[piece]))) * (len(piece) - 1)
    return float(np.hypot(across, np.ptp(sample[piece]))) * beams.mm_per_sample


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
    sample = _without_crumbs(sample, beams)
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
