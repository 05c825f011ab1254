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
CORTEX_MM, RADIUS_MM, BLUR_MM = 1.3, 18.0, 0.35  # of a tangential table: thickness, radius across it, blur of the picture
MARROW = 0.3  # attenuation of cancellous bone relative to cortical bone
VISIBLE = 0.5  # chance that a stretch of cortex shows an edge of its own at all
TRUST = 0.1  # share of the samples that are independent, so that evidence is not counted twice
SMOOTH_POINTS = 5  # of neighbouring normals are averaged
CORRELATION_CELLS = 8.0  # a coarse outline errs alike over this many of its cells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefinedLine:
    """A line moved onto its edge.

    Parameters
    ----------
    offset_px, sd_px : ndarray of shape (S,)
        Displacement along the outward normal and its standard uncertainty [px].
    evidence : ndarray of shape (S,)
        0..1, chance that an edge of the cortex's kind is seen there.
    """

    offset_px: Floats
    sd_px: Floats
    evidence: Floats


def refine_line(
    attenuation: FloatImage, line: Points, normals: Points, hidden: Mask, *, sd_px: Floats, cell_px: float, mm_per_px: float
) -> RefinedLine:
    """Find how far an outline lies from the cortex.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
        Larger = more attenuating.
    line, normals : ndarray of shape (S, 2)
        Evenly spaced points (row, column) [px] and unit normals **out of** the bone.
    hidden : ndarray of shape (M, N), bool
        Pixels that say nothing of bone: needle, text, outside the field.
    sd_px : ndarray of shape (S,)
        Doubt of the prior's line (k = 1) [px].
    cell_px : float
        Width of a cell of the prior's grid [px].
    mm_per_px : float
        Rough scale; it only sets the width of the edge profile.

    Returns
    -------
    RefinedLine
    """
    spread = float(np.median(sd_px))
    reach = max(int(np.ceil(REACH_SD * spread)), 3)
    shifts = np.arange(-reach, reach + 1)
    ratio = _edge_likelihood(attenuation, line, normals, hidden, shifts, mm_per_px)
    step = float(np.median(np.hypot(*np.diff(line, axis=0).T)))
    rho = float(np.exp(-step / (CORRELATION_CELLS * cell_px)))
    prior = np.exp(-0.5 * (shifts / sd_px[:, None]) ** 2)
    weight = _walk(ratio, prior / prior.sum(axis=1, keepdims=True), shifts.astype(np.float64), spread, rho)
    offset = weight @ shifts
    variance = weight @ shifts.astype(np.float64) ** 2 - offset**2
    seen = VISIBLE * ratio / (VISIBLE * ratio + 1 - VISIBLE)
    return RefinedLine(offset_px=offset, sd_px=np.sqrt(np.maximum(variance, 0.25)), evidence=(weight * seen).sum(axis=1))


def _edge_likelihood(
    attenuation: FloatImage, line: Points, normals: Points, hidden: Mask, shifts: NDArray[np.int_], mm_per_px: float
) -> Floats:
    """How much likelier the profile is with the outer surface at each shift than without any edge, of shape (S, K)."""
    template = _template(round(mm_per_px, 3))
    outside = int(np.ceil(OUTSIDE_MM / mm_per_px))
    inside = len(template) - 1 - outside
    across = np.arange(shifts[0] - inside, shifts[-1] + outside + 1, dtype=np.float64)
    strip = sample_normals(attenuation, line, normals, across).astype(np.float64)
    blind = sample_normals(hidden.astype(np.float32), line, normals, across) > 0.05
    shows = (~blind).astype(np.float64)
    kernel = np.ones((SMOOTH_POINTS, 1))
    total = cv2.filter2D(strip * shows, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)
    count = cv2.filter2D(shows, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)
    strip = total / np.maximum(count, 1.0)
    # windows[s, k, j]: the profile about shift k, from inside to outside
    windows = np.lib.stride_tricks.sliding_window_view(strip, len(template), axis=1)
    whole = np.lib.stride_tricks.sliding_window_view(count > 0, len(template), axis=1).all(axis=2)
    n = len(template)
    t = np.arange(n) - (n - 1) / 2
    slope = t / np.sqrt((t**2).sum())
    energy = np.einsum("skj,skj->sk", windows, windows)
    background = windows.sum(axis=2) ** 2 / n + (windows @ slope) ** 2
    amplitude = windows @ template
    rest = np.maximum(energy - background - amplitude**2, 1e-9 + 1e-6 * energy)
    gain = np.where(amplitude > 0, TRUST * n / 2 * np.log1p(amplitude**2 / rest), 0.0)
    return np.where(whole, np.exp(np.minimum(gain, 30.0)) / _null_mean(n), 1.0)


def _null_mean(n: int) -> float:
    """Mean of that ratio where there is no edge, so that it is a likelihood ratio."""
    return float(1 / np.sqrt(max(1 - TRUST, 0.05)))


@lru_cache(maxsize=16)
def _template(mm_per_px: float) -> Floats:
    """Profile of a tangential cortex from inside to outside, free of level and slope, of unit length."""
    outside = int(np.ceil(OUTSIDE_MM / mm_per_px))
    inside = int(np.ceil(INSIDE_MM / mm_per_px))
    fine = 8
    x = (np.arange(-outside * fine - fine * 8, inside * fine + fine * 8) / fine) * mm_per_px  # depth under the surface

    def chord(depth: Floats) -> Floats:
        return np.asarray(2 * np.sqrt(2 * RADIUS_MM * np.maximum(depth, 0.0)))

    profile = chord(x) - (1 - MARROW) * chord(x - CORTEX_MM)
    sigma = np.hypot(BLUR_MM, 0.7 * mm_per_px)
    k = np.arange(-int(4 * sigma / mm_per_px * fine), int(4 * sigma / mm_per_px * fine) + 1) / fine * mm_per_px
    kernel = np.exp(-0.5 * (k / sigma) ** 2)
    smooth = np.convolve(profile, kernel / kernel.sum(), mode="same")
    wanted = (np.arange(inside, -outside - 1, -1)) * mm_per_px
    template = np.interp(wanted, x, smooth)
    basis = np.column_stack([np.ones_like(wanted), wanted])
    template = template - basis @ np.linalg.lstsq(basis, template, rcond=None)[0]
    return np.asarray(template / np.sqrt((template**2).sum()))


def _walk(ratio: Floats, prior: Floats, shifts: Floats, spread: float, rho: float) -> Floats:
    """Chance of every shift at every point, given all profiles: forward and backward over a stationary random walk."""
    sd = spread * np.sqrt(1 - rho**2)
    move = np.exp(-0.5 * ((shifts[None, :] - rho * shifts[:, None]) / max(sd, 0.6)) ** 2)
    move /= move.sum(axis=1, keepdims=True)
    seen = 1 - VISIBLE + VISIBLE * ratio
    seen /= seen.max(axis=1, keepdims=True)
    count = len(seen)
    forward, backward = np.empty_like(seen), np.ones_like(seen)
    state = prior[0]
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
