"""The tip by a model, not a threshold.

A tapered tip fades into the background 1.5 to 2 mm beyond its half height. A needle that leans toward the beam has a second trap:
the rim of its shaft, seen as an ellipse, is cast *beyond* the apex. Both are in the model: a cylinder with a conical end, seen at an
angle, whose outline and depth along the axis follow from plane geometry; the cross-section is the shaft's own, so that solid, hollow and
display curve need not be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float32]

CONES = (0.0, 0.3, 0.5, 0.7, 1.0, 1.5)  # tried lengths of the cone, in needle diameters; 0 = blunt
LEANS_DEG = (90.0, 60.0, 45.0, 35.0, 27.0, 20.0)  # tried angles between needle and beam
POWERS = (0.35, 1.0)  # brightness of a thinner section: thickness to this power (display curves compress metal)
SHAPES = tuple((cone, lean, power) for cone in CONES for lean in LEANS_DEG for power in POWERS)
GRID = 0.05  # step of the tabulated outline, in radii
FINE = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)  # second pass: places between the samples
FINALISTS = 8  # shapes that reach the second pass
CORRELATED = 3.0  # neighbouring samples that share their noise (detector blur, interpolation)


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
    step = max(1.0, width / 16)
    inner = min(3.5 * width + 8, max(shaft.length_px - 2, width))
    along = np.arange(-inner, 2.0 * width + 8, step)  # outward from the rough end
    half = 0.5 * width + 2
    flank = half + max(3.0, 0.45 * width)
    across = np.arange(-np.ceil(flank / step), np.ceil(flank / step) + 1) * step
    axis = (shaft.axis[0] * outward, shaft.axis[1] * outward)
    strip = sample_strip(attenuation, shaft.point(rough), axis, along, across)
    excess = _less_flanks(strip, across, half)
    core = np.abs(across) <= half
    profile, level = _profile(excess, along, across, width)
    data = _Data(excess=excess[:, core], step=step, start=float(along[0]), across=across[core], profile=profile[core], width=width)
    places = np.arange(-1.2 * width - 4, 1.4 * width + 5, step)
    cost = np.array([_costs(data, shape, places) for shape in SHAPES])
    finalists = np.argsort(_log_evidence(cost, data).max(1))[-FINALISTS:]
    fine_cost, fine_places = [], []
    for k in finalists:
        near = places[int(cost[k].argmin())] + step * np.arange(-3, 4)
        for part in FINE:
            fine_cost.append(_costs(data, SHAPES[k], near + part * step))
            fine_places.append(near + part * step)
    # one row a finalist; its places overlap, which weights all finalists alike
    grid = np.array(fine_places).reshape(len(finalists), -1)
    fine = np.array(fine_cost).reshape(len(finalists), -1)
    return _average(fine, grid, finalists, data, (rough, outward, level))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    excess: Floats
    step: float
    start: float
    across: NDArray[np.float64]
    profile: Floats
    width: float

    @property
    def along(self) -> NDArray[np.float64]:
        return self.start + self.step * np.arange(len(self.excess))


def _less_flanks(strip: Floats, across: NDArray[np.float64], half: float) -> Floats:
    left, right = across < -half, across > half
    low, high = strip[:, left].mean(1), strip[:, right].mean(1)
    a, b = across[left].mean(), across[right].mean()
    slope = ((across - a) / (b - a)).astype(np.float32)
    base: Floats = low[:, None] + (high - low)[:, None] * slope[None, :]
    return strip - base


def _profile(
    excess: Floats, along: NDArray[np.float64], across: NDArray[np.float64], width: float
) -> tuple[Floats, float]:
    """Symmetric cross-section of the shaft just behind the tip, and its height."""
    behind = along < -0.8 * width
    if behind.sum() < 4:
        behind = along < np.median(along)
    mean = excess[behind].mean(0)
    mean = 0.5 * (mean + mean[::-1])
    level = float(mean[np.abs(across) < 0.3 * width + 0.5].mean())
    return mean / max(abs(level), 1e-6), level


def _costs(data: _Data, shape: tuple[float, float, float], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squares left by a shaft that ends at each place, its height and its slope free."""
    count = len(data.excess)
    part = (places[0] / data.step) % 1.0
    whole = np.round(places / data.step - part).astype(int)
    first = -int(whole.max()) - 1
    origin = data.start + first * data.step - part * data.step
    s = origin + data.step * np.arange(count + int(np.ptp(whole)) + 3)
    model = _model(s, data, shape)
    scale = (data.along / max(abs(data.start), 1.0)).astype(np.float32)
    rows = (-whole - first)[:, None] + np.arange(count)[None, :]
    product = np.take_along_axis(data.excess @ model.T, rows.T, axis=1).T
    power = (model**2).sum(1)[rows]
    m00, m01, m11 = power.sum(1), power @ scale, power @ scale**2
    m11 = m11 + 0.05 * m00 + 1e-9  # the height may not turn round within the window
    v0, v1 = product.sum(1), product @ scale
    gain = (v0**2 * m11 - 2 * v0 * v1 * m01 + v1**2 * m00) / np.maximum(m00 * m11 - m01**2, 1e-9)
    costs: NDArray[np.float64] = float((data.excess**2).sum()) - np.where(v0 > 0, gain, 0.0)
    return costs


def _model(s: NDArray[np.float64], data: _Data, shape: tuple[float, float, float]) -> Floats:
    """Shaft with its apex at 0, solid toward negative places, blurred along like its edges."""
    cone, lean, power = shape
    radius = data.width / 2
    grid, outline, depth = end_shape(cone, lean)
    half = np.interp(s / radius, grid, outline)
    height = np.interp(s / radius, grid, depth) ** power
    out = height.astype(np.float32)[:, None] * data.profile[None, :]
    part = (half > 0.03) & (half < 0.999)
    places = data.across[None, :] / half[part, None]
    thin = np.interp(places, data.across, data.profile, left=0.0, right=0.0)
    out[part] = (height[part, None] * thin).astype(np.float32)
    out[half <= 0.03] = 0.0
    kernel = cv2.getGaussianKernel(9, max(0.9, 0.06 * data.width) / data.step)
    smooth: Floats = cv2.sepFilter2D(out, -1, np.ones(1), kernel, borderType=cv2.BORDER_REPLICATE)
    return smooth


@cache
def end_shape(cone: float, lean_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Projected end of a cylinder with a conical tip, in units of its radius, apex at 0 and shaft at negative places.

    Parameters
    ----------
    cone : float
        Length of the cone in diameters.
    lean_deg : float
        Angle between needle and beam [deg]; 90 = seen from the side.

    Returns
    -------
    place, outline, depth : ndarray of shape (G,), float64
        Place along the projected axis, half width of the outline, and length of the beam's path in the needle on the axis over
        its length in the shaft.

    Notes
    -----
    The outline is the hull of the rim's ellipse (half axes 1 and cos(lean)) and the apex. The path is counted on a fine grid of the
    section through the needle's axis.
    """
    sine, cosine = float(np.sin(np.radians(lean_deg))), max(float(np.cos(np.radians(lean_deg))), 1e-3)
    place = np.arange(-8.0, 2.0, GRID)
    base = -2.0 * cone * sine  # where the middle of the rim is cast
    from_base = place - base
    outline = np.where(from_base <= 0, 1.0, np.sqrt(np.clip(1.0 - (from_base / cosine) ** 2, 0.0, None)))
    if -base > cosine:  # the apex stands out of the rim: tangents from it
        touch = cosine**2 / -base
        height = float(np.sqrt(1.0 - (touch / cosine) ** 2))
        outline = np.where(from_base > touch, height * np.clip(-place / (-base - touch), 0.0, None), outline)
    beam = np.arange(-8.0, 8.0, 0.04)  # along the beam, through the axis at `place`
    along = place[:, None] * sine + beam[None, :] * cosine
    radial = np.abs(-place[:, None] * cosine + beam[None, :] * sine)
    limit = np.clip(-along / (2.0 * cone), 0.0, 1.0) if cone > 0 else (along <= 0).astype(np.float64)
    depth = (radial < limit).sum(1) * 0.04 * sine / 2.0
    return place, outline, np.clip(depth, 0.0, 1.0)


def _log_evidence(cost: NDArray[np.float64], data: _Data) -> NDArray[np.float64]:
    noise2 = max(float(cost.min()) / data.excess.size, 1e-12)
    log: NDArray[np.float64] = -0.5 * cost / noise2 / max(1.0, CORRELATED / data.step**2)
    return log


def _average(
    cost: NDArray[np.float64],
    places: NDArray[np.float64],
    shapes: NDArray[np.intp],
    data: _Data,
    end: tuple[float, float, float],
) -> Tip:
    """Mean and spread of the place over all finalists, weighted by their evidence."""
    noise2 = max(float(cost.min()) / data.excess.size, 1e-12)
    log = -0.5 * cost / noise2 / max(1.0, CORRELATED / data.step**2)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = float((weight * places).sum())
    variance = float((weight * (places - mean) ** 2).sum())
    best = int(shapes[int(np.argmax(log.max(1)))])
    rough, outward, level = end
    return Tip(
        along_px=rough + outward * mean,
        sd_px=float(np.sqrt(variance + 0.3**2 + (0.04 * data.width) ** 2)),
        taper_px=SHAPES[best][0] * data.width * float(np.sin(np.radians(SHAPES[best][1]))),
        contrast=level,
        noise=float(np.sqrt(noise2)),
    )
