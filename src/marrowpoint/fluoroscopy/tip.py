"""The tip by a model, not a threshold.

A tapered tip fades into the background 1.5 to 2 mm beyond its half height. A needle that leans toward the beam has a second
trap: the rim of its shaft, seen as an ellipse, is cast *beyond* the apex where the cone is short. Both are in the model: the
thickness of a cylinder with a conical end, seen at an angle, shown with the display curve and the blur that the shaft's own
cross-section has. Cone and angle are not known, so all are tried, and their disagreement is the uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.section import Section
from marrowpoint.fluoroscopy.shadow import logged, shown
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float32]

CONES = (0.0, 0.3, 0.5, 0.7, 1.0, 1.4, 1.8)  # tried lengths of the cone, in diameters (thin needles: nearly two); 0 = blunt
LEANS_DEG = (90.0, 60.0, 45.0, 35.0, 27.0, 20.0)  # tried angles between needle and beam
SHAPES = tuple((cone, lean) for cone in CONES for lean in LEANS_DEG)
LEAST_POINT, MOST_POINT = 0.5, 4.0  # cone of a point; limit of its log evidence: real ends are neither cones nor flat
GRID, SIDE_GRID, BEAM_GRID = 0.1, 0.1, 0.05  # steps of the tabulated thickness along, across and in depth, in radii
CORRELATED = 20.0  # pixels that share their noise, and misfit of the model: the evidence is that much weaker
BLUNT = -3.0  # log prior of a flat end: needles for bone have a point
BLUR_REACH = 4  # of the kernel that blurs a model, in its samples
TINY = 1e-30
MODEL_SD = 0.07  # widths: tips are no perfect cones


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
    pointed : float
        Log evidence that the end is a point, not cut off; limited to +-`MOST_POINT`, 0 where only one of both was tried.
    """

    along_px: float
    sd_px: float
    taper_px: float
    contrast: float
    noise: float
    pointed: float


def fit_tip(
    attenuation: FloatImage,
    shaft: Shaft,
    section: Section,
    *,
    at_stop: bool,
    shapes: tuple[tuple[float, float], ...] = SHAPES,
    window_width_px: float | None = None,
    trust: FloatImage | None = None,
) -> Tip:
    """Fit the end of a shaft with tips of free taper and choose by evidence.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
    shaft : Shaft
    section : Section
        Its cross-section near this end.
    at_stop : bool
        Which end: the one at `stop_px` or at `start_px`.
    shapes : tuple of (float, float)
        Cones [diameters] and leans [deg] that are tried.
    window_width_px : float or None
        Width that sets the window; fits with different cross-sections can be compared where it is the same.
    trust : ndarray of shape (M, N), float32, or None
        Weight 0..1 of each pixel; without it all count alike.

    Returns
    -------
    Tip
    """
    width = 2 * section.radius_px if window_width_px is None else window_width_px
    rough, outward = (shaft.stop_px, 1.0) if at_stop else (shaft.start_px, -1.0)
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
    weight = np.ones_like(strip) if trust is None else sample_strip(trust, shaft.point(rough), axis, along, across)
    profile, level = _profile(excess, along, across, width)
    data = _Data(
        excess=excess[:, core],
        weight=weight[:, core],
        step=step,
        start=float(along[0]),
        across=across[core],
        section=section,
        texture=np.ones(1, np.float32),
    )
    plain = _models(np.array([-9.0 * width, -8.9 * width]), data, shapes[:1])[0, 0]
    # what the solid cylinder does not explain (an open bore, edge enhancement) is carried along to the tip
    data = replace(data, texture=np.clip(profile[core] / np.maximum(plain, 0.1), 0.6, 1.4).astype(np.float32))
    places = np.arange(-1.2 * width - 4, 1.4 * width + 5, step)
    cost = _costs(data, shapes, places)
    return _average(cost, places, data, shapes, (rough, outward, level))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    excess: Floats
    weight: Floats
    step: float
    start: float
    across: NDArray[np.float64]
    section: Section
    texture: Floats

    @property
    def along(self) -> NDArray[np.float64]:
        places: NDArray[np.float64] = self.start + self.step * np.arange(len(self.excess), dtype=np.float64)
        return places


def _less_flanks(strip: Floats, across: NDArray[np.float64], half: float) -> Floats:
    left, right = across < -half, across > half
    low, high = strip[:, left].mean(1), strip[:, right].mean(1)
    a, b = across[left].mean(), across[right].mean()
    slope = ((across - a) / (b - a)).astype(np.float32)
    base: Floats = low[:, None] + (high - low)[:, None] * slope[None, :]
    return strip - base


def _profile(excess: Floats, along: NDArray[np.float64], across: NDArray[np.float64], width: float) -> tuple[Floats, float]:
    """Symmetric cross-section of the shaft just behind the tip, and its height."""
    behind = along < -0.8 * width
    if behind.sum() < 4:
        behind = along < np.median(along)
    mean = excess[behind].mean(0)
    mean = 0.5 * (mean + mean[::-1])
    level = float(mean[np.abs(across) < 0.3 * width + 0.5].mean())
    return mean / max(abs(level), 1e-6), level


def _costs(data: _Data, shapes: tuple[tuple[float, float], ...], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squares left by a shaft of each shape that ends at each place, its height and its slope free, shape (K, P)."""
    count = len(data.excess)
    part = (places[0] / data.step) % 1.0
    whole = np.round(places / data.step - part).astype(int)
    origin = data.start - (int(whole[-1]) + 1 + part) * data.step
    s = origin + data.step * np.arange(count + int(np.ptp(whole)) + 3)
    model = _models(s, data, shapes)
    flat = model.reshape(-1, model.shape[2])
    scale = (data.along / max(abs(data.start), 1.0)).astype(np.float32)
    lever = np.stack([np.ones_like(scale), scale, scale**2], axis=1)
    v0, v1, _ = _shifted((data.weight * data.excess) @ flat.T, len(s), len(places), lever)
    m00, m01, m11 = _shifted(data.weight @ (flat**2).T, len(s), len(places), lever)
    m11 = m11 + 0.05 * m00 + 1e-9  # the height may not turn round within the window
    gain = (v0**2 * m11 - 2 * v0 * v1 * m01 + v1**2 * m00) / np.maximum(m00 * m11 - m01**2, 1e-9)
    costs: NDArray[np.float64] = float((data.weight * data.excess**2).sum()) - np.where(v0 > 0, gain, 0.0)
    return costs


def _shifted(
    table: NDArray[np.floating], width: int, places: int, lever: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Sums over the data of `lever` (count, 3) times what each model shows with its end at each place, shape (3, K, P)."""
    down, right = table.strides
    shape = (table.shape[1] // width, places, len(table))
    # row i of the data meets row i + P - p of the model; its row 0 is beyond all of them
    view = np.lib.stride_tricks.as_strided(table[:, 1:], shape, (width * right, right, down + right), writeable=False)
    sums = np.ascontiguousarray(view[:, ::-1]).reshape(-1, len(table)) @ lever
    return np.moveaxis(sums.reshape(*shape[:2], 3), 2, 0)


def _models(s: NDArray[np.float64], data: _Data, shapes: tuple[tuple[float, float], ...]) -> Floats:
    """Shafts with their apex at 0, solid toward negative places, shown and blurred as the shaft itself is, shape (K, S, C)."""
    radius = data.section.radius_px
    value = _thickness(np.pad(s, BLUR_REACH, mode="edge") / radius, np.abs(data.across) / radius, shapes)
    dark = shown(value, data.section.curve)
    blur = max(0.4, data.section.blur_px / data.step)
    side = 2 * BLUR_REACH + 1
    # one below the other: what blurs across from the next is cut off again
    tall = cv2.GaussianBlur(dark.reshape(-1, dark.shape[2]), (side, side), blur, borderType=cv2.BORDER_REPLICATE)
    smooth = np.asarray(tall.reshape(dark.shape)[:, BLUR_REACH:-BLUR_REACH], np.float64)
    return np.asarray(logged(smooth, data.section.floor), np.float32) * data.texture


def _thickness(
    along: NDArray[np.float64], across: NDArray[np.float64], shapes: tuple[tuple[float, float], ...]
) -> NDArray[np.float64]:
    """Thickness of each end between the places of its table, distances in radii, shape (K, S, C)."""
    first, last, table = _tables(shapes)
    rows = np.clip((along - first[:, None]) / GRID, 0, last[:, None])
    r0 = rows.astype(int)
    part = (rows - r0)[:, :, None].astype(np.float32)
    shape = np.arange(len(shapes))[:, None]
    columns = np.clip(across / SIDE_GRID, 0, table.shape[2] - 1.001)
    c0 = columns.astype(int)
    share = np.zeros((table.shape[2], len(across)), np.float32)
    share[c0, np.arange(len(across))] = 1 - (columns - c0)
    share[c0 + 1, np.arange(len(across))] = columns - c0
    value: NDArray[np.float64] = (table[shape, r0] * (1 - part) + table[shape, r0 + 1] * part) @ share
    return value


@cache
def _tables(
    shapes: tuple[tuple[float, float], ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """First place and last row of each table, shape (K,), and the tables one behind the other, shape (K, G, H)."""
    ends = [end_thickness(*shape) for shape in shapes]
    table = np.zeros((len(ends), max(len(place) for place, _, _ in ends), len(ends[0][1])), np.float32)
    for one, (place, _, thickness) in zip(table, ends, strict=True):
        one[: len(place)] = thickness
    return np.array([place[0] for place, _, _ in ends]), np.array([len(place) - 1.001 for place, _, _ in ends]), table


@cache
def end_thickness(cone: float, lean_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Thickness of metal along the beam at the end of a cylinder with a conical tip, over that in the middle of its shaft.

    Parameters
    ----------
    cone : float
        Length of the cone in diameters.
    lean_deg : float
        Angle between needle and beam [deg]; 90 = seen from the side.

    Returns
    -------
    place : ndarray of shape (G,), float64
        Place along the projected axis in radii, apex at 0, shaft at negative places.
    side : ndarray of shape (H,), float64
        Distance from the projected axis in radii.
    thickness : ndarray of shape (G, H), float64

    Notes
    -----
    Counted on a fine grid along the beam. The rim of a leaning shaft is cast beyond the apex where the cone is short.
    """
    sine, cosine = float(np.sin(np.radians(lean_deg))), float(np.cos(np.radians(lean_deg)))
    base = -2.0 * cone * sine  # where the middle of the rim is cast
    place = np.arange(base - cosine - 3 * GRID, max(base + cosine, 0.0) + 4 * GRID, GRID)
    side = np.arange(0.0, 1.0 + 2.5 * SIDE_GRID, SIDE_GRID)
    reach = (abs(base) + 2.5) / sine
    beam = np.arange(-reach, reach, BEAM_GRID / sine)
    along = place[:, None] * sine + beam[None, :] * cosine
    normal = -place[:, None] * cosine + beam[None, :] * sine
    limit = np.clip(-along / (2.0 * cone), 0.0, 1.0) if cone > 0 else (along <= 0).astype(np.float64)
    filled = normal[:, None, :] ** 2 + side[None, :, None] ** 2 < (limit**2)[:, None, :]
    thickness = filled.sum(2) * BEAM_GRID / 2.0
    thickness[0] = np.sqrt(np.clip(1.0 - side**2, 0.0, None))
    return place, side, np.clip(thickness, 0.0, 1.0)


def _average(
    cost: NDArray[np.float64],
    places: NDArray[np.float64],
    data: _Data,
    shapes: tuple[tuple[float, float], ...],
    end: tuple[float, float, float],
) -> Tip:
    """Mean and spread of the place over all shapes, weighted by their evidence."""
    noise2 = max(float(cost.min()) / float(data.weight.sum()), 1e-12)
    log = -0.5 * cost / noise2 * data.step**2 / CORRELATED
    cones = np.array([cone for cone, _ in shapes])
    pointed = _pointed(log, cones)
    log += np.where(cones == 0, BLUNT, 0.0)[:, None]
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = float((weight * places[None, :]).sum())
    variance = float((weight * (places[None, :] - mean) ** 2).sum())
    cone, lean = shapes[int(np.argmax(log.max(1)))]
    rough, outward, level = end
    width = 2 * data.section.radius_px
    return Tip(
        along_px=rough + outward * mean,
        sd_px=float(np.sqrt(variance + 0.3**2 + (MODEL_SD * width) ** 2)),
        taper_px=cone * width * float(np.sin(np.radians(lean))),
        contrast=level,
        noise=float(np.sqrt(noise2)),
        pointed=pointed,
    )


def _pointed(log: NDArray[np.float64], cones: NDArray[np.float64]) -> float:
    cut, point = cones == 0, cones >= LEAST_POINT
    if not cut.any() or not point.any():
        return 0.0
    likely = np.exp(log - log.max())
    gain = np.log(likely[point].sum() + TINY) - np.log(likely[cut].sum() + TINY)
    return float(np.clip(gain, -MOST_POINT, MOST_POINT))
