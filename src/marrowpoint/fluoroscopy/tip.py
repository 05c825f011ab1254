"""The tip by a model, not a threshold: a tapered tip fades into the background 1.5 to 2 mm beyond its half height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

TAPERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.4, 1.9, 2.5)  # tried lengths of the taper, in widths; 0 = blunt
STEP_PX = 0.5
TAPER_COST = 2.0  # evidence a taper must add over blunt (one more free number, BIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """An end of a shaft.

    Parameters
    ----------
    along_px : float
        Place of the apex along the shaft's axis from its origin [px].
    sd_px : float
        Standard deviation, the choice of model included [px].
    taper_px : float
        Length of the taper; 0 for a blunt end [px].
    contrast : float
        Height of the shaft over its surroundings at the end.
    noise : float
        Spread of the residuals.
    """

    along_px: float
    sd_px: float
    taper_px: float
    contrast: float
    noise: float


def fit_tip(attenuation: FloatImage, shaft: Shaft, *, at_stop: bool) -> Tip:
    """Fit the end of a shaft with tips of free taper and choose by evidence.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
    shaft : Shaft
    at_stop : bool
        Which end: the one at `stop_px` or at `start_px`.

    Returns
    -------
    Tip
    """
    width = shaft.width_px
    rough = shaft.stop_px if at_stop else shaft.start_px
    outward = 1.0 if at_stop else -1.0
    inner = min(4.0 * width + 8, max(shaft.length_px - 2, width))
    outer = 2.2 * width + 8
    along = np.arange(-inner, outer, STEP_PX)  # outward from the rough end
    half = 0.5 * width + 2
    flank = half + max(3.0, 0.45 * width)
    across = np.arange(-flank, flank + STEP_PX, STEP_PX)
    axis = (shaft.axis[0] * outward, shaft.axis[1] * outward)
    strip = sample_strip(attenuation, shaft.point(rough), axis, along, across).astype(np.float64)
    excess = _less_flanks(strip, across, half)
    profile, level = _profile(excess, along, across, width)
    core = np.abs(across) <= half
    data, profile, n = excess[:, core], profile[core], across[core]
    places = np.arange(-1.2 * width - 4, 1.6 * width + 6, STEP_PX)
    cost = np.array([_costs(data, along, n, profile, width, taper * width, places) for taper in TAPERS])
    return _choose(cost, places, width, rough, outward, level, data.size)


def _less_flanks(strip: Floats, across: Floats, half: float) -> Floats:
    left, right = across < -half, across > half
    low, high = strip[:, left].mean(1), strip[:, right].mean(1)
    a, b = across[left].mean(), across[right].mean()
    base: Floats = low[:, None] + (high - low)[:, None] * ((across - a) / (b - a))[None, :]
    return strip - base


def _profile(excess: Floats, along: Floats, across: Floats, width: float) -> tuple[Floats, float]:
    """Symmetric cross-section of the shaft just behind the tip, and its height."""
    behind = along < -0.8 * width
    if behind.sum() < 4:
        behind = along < np.median(along)
    mean = excess[behind].mean(0)
    mean = 0.5 * (mean + mean[::-1])
    mean[np.abs(across) > 0.5 * width + 2] = 0
    level = float(mean[np.abs(across) < 0.3 * width + 0.5].mean())
    return mean / max(abs(level), 1e-6), level


def _costs(
    data: Floats, along: Floats, across: Floats, profile: Floats, width: float, taper: float, places: Floats
) -> Floats:
    """Sum of squares left by a shaft that ends at each place, height and its slope free."""
    model = _model(along[0] - places[-1], along[-1] - places[0], across, profile, taper, width)
    first = model[0]
    costs = np.empty(len(places))
    total = float((data**2).sum())
    scale = along / max(abs(along[0]), 1.0)
    tilted = data * scale[:, None]
    for k, place in enumerate(places):
        i = round((along[0] - place - first) / STEP_PX)
        shape = model[1][i : i + len(along)]
        power = np.einsum("ij,ij->i", shape, shape)
        m = np.array([[power.sum(), power @ scale], [power @ scale, power @ scale**2]])
        v = np.array([np.vdot(shape, data), np.vdot(shape, tilted)])
        m += np.diag([1e-9, 0.05 * m[0, 0] + 1e-9])  # the height may not turn round within the window
        gain = float(v @ np.linalg.solve(m, v))
        costs[k] = total - gain if v[0] > 0 else total
    return costs


def _model(low: float, high: float, across: Floats, profile: Floats, taper: float, width: float) -> tuple[float, Floats]:
    """Shaft with its apex at 0, solid toward negative places, blurred along like its edges."""
    first = np.floor(low / STEP_PX) * STEP_PX - STEP_PX
    s = np.arange(first, high + 2 * STEP_PX, STEP_PX)
    blur = max(0.9, 0.06 * width)
    if taper <= 0:
        radius = 1.0 / (1.0 + np.exp(np.clip(1.7 * s / blur, -50, 50)))
        return first, radius[:, None] * profile[None, :]
    share = np.clip(-s / taper, 0.0, 1.0)
    out = np.zeros((len(s), len(across)))
    for i, r in enumerate(share):
        if r > 0.02:
            out[i] = r * np.interp(across / r, across, profile, left=0, right=0)
    kernel = np.exp(-0.5 * (np.arange(-6, 7) * STEP_PX / blur) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(out, ((6, 6), (0, 0)), mode="edge")
    return first, np.apply_along_axis(lambda column: np.convolve(column, kernel, mode="valid"), 0, padded)


def _choose(
    cost: Floats, places: Floats, width: float, rough: float, outward: float, level: float, samples: int
) -> Tip:
    noise2 = float(cost.min()) / max(samples, 1)
    # samples are half a pixel apart and the detector correlates neighbours: about one free sample in six
    log = -0.5 * cost / max(noise2, 1e-12) / 6.0
    log[np.array(TAPERS) > 0] -= TAPER_COST
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = float((weight * places[None, :]).sum())
    var = float((weight * (places[None, :] - mean) ** 2).sum())
    k, j = np.unravel_index(int(np.argmax(log)), log.shape)
    return Tip(
        along_px=rough + outward * mean,
        sd_px=float(np.sqrt(var + 0.3**2 + (0.04 * width) ** 2)),
        taper_px=TAPERS[int(k)] * width,
        contrast=level,
        noise=float(np.sqrt(noise2)),
    )
