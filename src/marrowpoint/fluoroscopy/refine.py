"""Move a coarse outline onto the cortex at full resolution, only as far as its own doubt and the picture justify.

Along every normal of the coarse line the picture is compared with the profile of a tangential cortex, whose attenuation begins
at the outer surface with the root of the depth and peaks only deeper: the onset is placed, not the steepest slope. The
displacement along the line is a smooth random walk with the prior's own spread; forward and backward passes give its mean and
spread at every point, so where the picture shows no edge the prior's line stays, with the prior's doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_normals
from marrowpoint.frame import FloatImage, Mask, Points

Floats = NDArray[np.float64]

REACH_SD = 2.5  # an edge farther from the prior's line than this is not its edge
INSIDE_MM, OUTSIDE_MM = 5.0, 4.0  # stretch of profile that is compared
# two kinds of cortex that the beam grazes: thickness of the table, and attenuation under it (marrow, and the table itself at a
# slant) relative to the table's; no single pair fits wing, crest and foramen
CORTEX_MM, MARROW = (1.3, 1.8), (0.3, 0.6)
BLUR_MM = 0.3  # of the picture
VISIBLE = 0.8  # chance that a stretch of cortex shows an edge of its own at all
TRUST = 0.03  # share of the samples that are independent, so that evidence is not counted twice
MAX_GAIN = 12.0  # no single profile proves an edge beyond doubt
MIN_NOISE = 0.001  # of the display range: half a grey level of 8 bits
MIN_SD_PX = 0.5
SMOOTH_POINTS = 5  # of neighbouring normals are averaged


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseLine:
    """An outline as the prior draws it, with its doubt.

    Parameters
    ----------
    points, normals : ndarray of shape (S, 2)
        Evenly spaced points (row, column) [px] and unit normals **out of** the bone.
    sd_px : ndarray of shape (S,)
        Doubt of the line along its normals (k = 1) [px].
    correlation_px : float
        Length over which the line errs alike [px].
    closed : bool
        The last point is a neighbour of the first.
    """

    points: Points
    normals: Points
    sd_px: Floats
    correlation_px: float
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefinedLine:
    """A line moved onto its edge.

    Parameters
    ----------
    offset_px, sd_px : ndarray of shape (S,)
        Displacement along the outward normal and its standard uncertainty [px].
    evidence : ndarray of shape (S,)
        0..1, share of the prior's variance that the picture took away.
    """

    offset_px: Floats
    sd_px: Floats
    evidence: Floats


def refine_line(attenuation: FloatImage, hidden: Mask, coarse: CoarseLine, mm_per_px: float) -> RefinedLine:
    """Find how far an outline lies from the cortex.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
        Larger = more attenuating.
    hidden : ndarray of shape (M, N), bool
        Pixels that say nothing of bone: needle, text, outside the field.
    coarse : CoarseLine
    mm_per_px : float
        Rough scale; it only sets the width of the edge profile.

    Returns
    -------
    RefinedLine
        Posterior mean and spread of a stationary random walk along the line, observed through the profiles.
    """
    count = len(coarse.points)
    step = float(np.median(np.hypot(*np.diff(coarse.points, axis=0).T)))
    rho = float(np.exp(-step / coarse.correlation_px))
    spread = float(np.sqrt(np.mean(coarse.sd_px**2)))
    reach = max(int(np.ceil(REACH_SD * spread)), 3)
    shifts = np.arange(-reach, reach + 1)
    # where the prior is surer or vaguer than on average: the same correction over one correlation length
    local = np.exp(-0.5 * shifts**2 * (1 / coarse.sd_px**2 - 1 / spread**2)[:, None] * (1 - rho))
    seen = 1 - VISIBLE + VISIBLE * _edge_likelihood(attenuation, hidden, coarse, shifts, mm_per_px)
    lap = min(int(2 * coarse.correlation_px / step), count) if coarse.closed else 0
    trip = np.arange(-lap, count + lap) % count  # a closed line is walked a little more than once
    chance = _walk((seen * local)[trip], shifts.astype(np.float64), spread, rho)[lap : lap + count]
    offset = chance @ shifts
    variance = np.maximum(chance @ shifts.astype(np.float64) ** 2 - offset**2, MIN_SD_PX**2)
    evidence = np.clip(1 - variance / coarse.sd_px**2, 0.0, 1.0)
    return RefinedLine(offset_px=offset, sd_px=np.sqrt(variance), evidence=evidence)


def _edge_likelihood(
    attenuation: FloatImage, hidden: Mask, coarse: CoarseLine, shifts: NDArray[np.int_], mm_per_px: float
) -> Floats:
    """How much likelier the profile is with the outer surface at each shift than without any edge, of shape (S, K)."""
    templates = _templates(round(mm_per_px, 3))
    outside = int(np.ceil(OUTSIDE_MM / mm_per_px))
    n = templates.shape[1]
    inside = n - 1 - outside
    across = np.arange(shifts[0] - inside, shifts[-1] + outside + 1, dtype=np.float64)
    strip = sample_normals(attenuation, coarse.points, coarse.normals, across).astype(np.float64)
    strip -= strip.mean(axis=1, keepdims=True)
    shows = (sample_normals(hidden.astype(np.float32), coarse.points, coarse.normals, across) < 0.05).astype(np.float64)
    kernel = np.ones((SMOOTH_POINTS, 1))
    total = cv2.filter2D(strip * shows, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)
    count = cv2.filter2D(shows, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)
    strip = total / np.maximum(count, 1.0)
    t = np.arange(n) - (n - 1) / 2
    total, energy = _windowed(strip, np.ones(n)), _windowed(strip * strip, np.ones(n))
    free = energy - total**2 / n - _windowed(strip, t / np.sqrt((t**2).sum())) ** 2  # of level and slope
    ratios = []
    for template in templates:
        amplitude = _windowed(strip, template)
        rest = np.maximum(free - amplitude**2, n * MIN_NOISE**2)
        gain = np.where(amplitude > 0, TRUST * n / 2 * np.log1p(amplitude**2 / rest), 0.0)
        ratios.append(np.exp(np.minimum(gain, MAX_GAIN)))
    blind = _windowed((count == 0).astype(np.float64), np.ones(n)) > 0.5
    return np.where(blind, 1.0, np.mean(ratios, axis=0))


def _windowed(strip: Floats, kernel: Floats) -> Floats:
    """Inner product of a kernel with every full stretch of each row, of shape (S, W - n + 1)."""
    n = len(kernel)
    full = cv2.filter2D(strip, cv2.CV_64F, kernel[None, :], anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(full[:, : strip.shape[1] - n + 1], dtype=np.float64)


@lru_cache(maxsize=16)
def _templates(mm_per_px: float) -> Floats:
    """Profiles of cortex that the beam grazes, of shape (2, n)."""
    return np.stack([_template(mm_per_px, table, under) for table, under in zip(CORTEX_MM, MARROW, strict=True)])


def _template(mm_per_px: float, table_mm: float, under: float) -> Floats:
    """Profile of a tangential cortex from inside to outside, free of level and slope, of unit length."""
    outside = int(np.ceil(OUTSIDE_MM / mm_per_px))
    inside = int(np.ceil(INSIDE_MM / mm_per_px))
    fine = 8
    x = (np.arange(-outside * fine - fine * 8, inside * fine + fine * 8) / fine) * mm_per_px  # depth under the surface

    def chord(depth: Floats) -> Floats:
        return np.asarray(np.sqrt(np.maximum(depth, 0.0)))

    profile = chord(x) - (1 - under) * chord(x - table_mm)
    sigma = np.hypot(BLUR_MM, 0.7 * mm_per_px)
    k = np.arange(-int(4 * sigma / mm_per_px * fine), int(4 * sigma / mm_per_px * fine) + 1) / fine * mm_per_px
    kernel = np.exp(-0.5 * (k / sigma) ** 2)
    smooth = np.convolve(profile, kernel / kernel.sum(), mode="same")
    wanted = (np.arange(inside, -outside - 1, -1)) * mm_per_px
    template = np.interp(wanted, x, smooth)
    basis = np.column_stack([np.ones_like(wanted), wanted])
    template = template - basis @ np.linalg.lstsq(basis, template, rcond=None)[0]
    return np.asarray(template / np.sqrt((template**2).sum()))


def _walk(seen: Floats, shifts: Floats, spread: float, rho: float) -> Floats:
    """Chance of every shift at every point, given all profiles: forward and backward over a stationary random walk."""
    sd = spread * np.sqrt(1 - rho**2)
    move = np.exp(-0.5 * ((shifts[None, :] - rho * shifts[:, None]) / max(sd, 0.6)) ** 2)
    move /= move.sum(axis=1, keepdims=True)
    seen = seen / seen.max(axis=1, keepdims=True)
    count = len(seen)
    forward, backward = np.empty_like(seen), np.ones_like(seen)
    state = np.exp(-0.5 * (shifts / spread) ** 2)
    for s in range(count):
        state = seen[s] * (state @ move if s else state)
        state = state / state.sum()
        forward[s] = state
    state = np.ones(len(shifts))
    for s in range(count - 2, -1, -1):
        state = move @ (state * seen[s + 1])
        state = state / state.max()
        backward[s] = state
    both = forward * backward
    return np.asarray(both / both.sum(axis=1, keepdims=True))
