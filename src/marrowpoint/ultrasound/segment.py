"""Trace the bone surface: a bright line with a shadow behind it, one depth a beam, and no line where there is none.

What is traced is the first crest of the echo along the beam, not the middle of the bright band. The band behind it is the
pulse ringing on (several millimetres); the outer edge of the cortex is where it begins. A pulse has half its length before
the interface, so the crest of its envelope, not its first rise, marks the interface itself.

Sources: bright ridge, shadow and dynamic programming, Foroughi et al. 2007; local phase symmetry with a shadow term,
Hacihaliloglu et al. 2017; monogenic signal, Felsberg and Sommer 2001.
"""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.score import TAIL_MM, Echoes, bone_score, echoes_of
from marrowpoint.ultrasound.sector import ProbeKind
from marrowpoint.ultrasound.surface import Surface, length_mm, pieces, without_crumbs

MIN_RISE = 0.22  # grey value from the tissue to the crest of bone
MIN_RISE_SHARE = 0.7  # or of what the grey scale leaves above the tissue
RISE_MM = 2.4  # over which the echo of bone rises from tissue to its crest: a pulse of 2 to 5 MHz, widened by the logarithm
RISE_LINEAR_MM = 1.5  # of 6 to 15 MHz
SHADOW_SEEN_MM = 4.0  # of picture behind an echo's tail: with less there is no shadow to see
SHADOW_SHARE = 0.2  # of the beams of a piece that must have so much
FLANK_MM = 15.0  # a flank may fall so far from one beam to the next
NO_BONE = 0.34  # unary score below which "no bone" is the better explanation of a beam
SWITCH = 1.6  # cost of a surface that begins or ends, in beams of good bone
JUMP_PER_MM = 0.05  # a flank of the crest drops by more than a millimetre a beam
JUMP_CAP = 1.2  # one bone may stand in front of another
PLATEAU_MM = 0.5  # a saturated echo: the crest lies at most so far behind its first full sample
CREST_REACH_MM = 1.6  # from the path to the crest
FULL = 0.015  # grey values that count as the same


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
    # the crest is sought again at full resolution
    coarse = beams.coarser()
    echoes = echoes_of(coarse)
    score = bone_score(echoes, coarse)
    path = _best_path(score, slope=JUMP_PER_MM * coarse.mm_per_sample)
    sample, confidence = _refined(path, score, beams)
    sample = _without_layers(without_crumbs(sample, beams), beams, echoes)
    if sum(length_mm(sample, piece, beams) for piece in pieces(sample, beams)) < shortest_mm:
        raise NotAssessable("no_bone", "no bright line with a shadow behind it was found")
    return Surface(sample=sample, confidence=np.where(np.isfinite(sample), confidence, 0.0))


def _best_path(score: FloatImage, *, slope: float) -> np.ndarray:
    """Viterbi over beams with a state for no bone; -1 where that is the best."""
    count, depth = score.shape
    ramp = (slope * np.arange(depth)).astype(np.float32)
    gain = score - np.float32(NO_BONE)
    value, none = np.empty((count, depth), np.float32), np.empty(count)
    value[0], none[0] = gain[0] - SWITCH, 0.0
    highest = np.maximum.reduce
    best = float(highest(value[0]))
    down, up = np.empty(depth, np.float32), np.empty(depth, np.float32)
    for b in range(1, count):
        previous, here = value[b - 1], value[b]
        np.add(previous, ramp, out=down)
        np.maximum.accumulate(down, out=down)
        np.subtract(down, ramp, out=down)
        np.subtract(previous, ramp, out=up)
        np.maximum.accumulate(up[::-1], out=up[::-1])
        np.add(up, ramp, out=up)
        np.maximum(down, up, out=here)
        np.maximum(here, max(best - JUMP_CAP, none[b - 1] - SWITCH), out=here)
        np.add(here, gain[b], out=here)
        none[b] = max(none[b - 1], best - SWITCH)
        best = float(highest(here))
    return _traced_back(value, none, slope)


def _traced_back(value: FloatImage, none: np.ndarray, slope: float) -> np.ndarray:
    count, depth = value.shape
    cost = np.minimum(slope * np.abs(np.arange(-depth, depth)), JUMP_CAP).astype(np.float32)
    path = np.full(count, -1)
    state = int(np.argmax(value[-1])) if value[-1].max() - SWITCH > none[-1] else -1
    for b in range(count - 1, -1, -1):
        path[b] = state
        if b == 0:
            break
        if state < 0:
            top = int(value[b - 1].argmax())
            state = top if value[b - 1, top] - SWITCH > none[b - 1] else -1
        else:
            options = value[b - 1] - cost[depth - state : 2 * depth - state]
            top = int(options.argmax())
            state = top if options[top] > none[b - 1] - SWITCH else -1
    return path


def _refined(path: np.ndarray, score: FloatImage, beams: BeamSpace) -> tuple[np.ndarray, np.ndarray]:
    """Sub-pixel crest of the echo nearest to a coarse path, and a confidence for each beam."""
    mm, samples = beams.mm_per_sample, beams.echo.shape[1]
    sample, confidence = np.full(len(path), np.nan), np.zeros(len(path))
    at = np.flatnonzero(path >= 0)
    if len(at) == 0:
        return sample, confidence
    profile = cv2.GaussianBlur(beams.echo, (0, 0), sigmaX=max(0.2 / mm, 0.4), sigmaY=0.7)
    reach = max(int(CREST_REACH_MM / mm), 2)
    places = 2 * path[at, None] + np.arange(-reach, reach + 1)
    windows = np.where((places >= 0) & (places < samples), profile[at[:, None], np.clip(places, 0, samples - 1)], -1.0)
    sample[at] = places[:, 0] + _crests(windows, plateau=PLATEAU_MM / mm)
    near = np.clip(path[at, None] + np.arange(-reach // 2, reach // 2 + 1), 0, score.shape[1] - 1)
    confidence[at] = np.clip(score[at[:, None], near].max(axis=1) / 0.8, 0, 1)
    return sample, confidence


def _crests(windows: np.ndarray, *, plateau: float) -> np.ndarray:
    """Position of the first crest in each row; of a flat top no more than `plateau` behind its beginning."""
    rows, index = np.arange(len(windows)), np.arange(windows.shape[1])
    top = windows.argmax(axis=1)
    lower = windows < windows.max(axis=1, keepdims=True) - FULL
    start = np.where(lower & (index < top[:, None]), index, -1).max(axis=1) + 1
    end = np.where(lower & (index > top[:, None]), index, len(index)).min(axis=1) - 1
    inner = np.clip(top, 1, len(index) - 2)
    a, b, c = (windows[rows, inner + k] for k in (-1, 0, 1))
    curve = a - 2 * b + c
    shift = np.where(curve < -1e-6, 0.5 * (a - c) / np.minimum(curve, -1e-6), 0.0)
    pointed = (end - start < 2) & (top == inner)
    crests: np.ndarray = np.where(pointed, top + shift, start + np.minimum((end - start) / 2, plateau))
    return crests


def _without_layers(sample: np.ndarray, beams: BeamSpace, echoes: Echoes) -> np.ndarray:
    """Drop pieces that grow out of the tissue above without a step: layers of fat over a dark muscle, not bone."""
    rise_mm = RISE_LINEAR_MM if beams.sector.kind is ProbeKind.LINEAR else RISE_MM
    step = max(round(rise_mm / beams.mm_per_sample / 2), 1)
    # where the gain is high, little room is left above tissue
    needed = min(MIN_RISE, MIN_RISE_SHARE * (echoes.brightest - echoes.tissue))
    smooth = echoes.smooth
    out = np.full_like(sample, np.nan)
    found = pieces(sample, beams)
    weak = []
    for piece in found:
        at = np.clip(np.rint((sample[piece] - 0.5) / 2), 0, smooth.shape[1] - 1).astype(np.int64)
        if np.mean(_behind(piece, sample, beams) > TAIL_MM + SHADOW_SEEN_MM) < SHADOW_SHARE:
            weak.append(piece)
            continue
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


def _behind(piece: np.ndarray, sample: np.ndarray, beams: BeamSpace) -> np.ndarray:
    """How much of the picture lies behind the surface on each beam of a piece [mm]."""
    known = beams.known[piece]
    end = known.shape[1] - known[:, ::-1].argmax(axis=1)
    behind: np.ndarray = (end - sample[piece]) * beams.mm_per_sample
    return behind
