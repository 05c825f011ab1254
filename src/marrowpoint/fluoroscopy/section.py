"""Cross-section of a metal shaft: its radius, the blur, and how the display compresses metal.

The half-height width of a round bar is 4 to 35 % too small, depending on how its thickness is shown. Here the thickness of a
cylinder goes through a saturating display curve ``(1 - exp(-k t)) / (1 - exp(-k))`` and a blur; radius, blur and k are fitted
together. One picture does not fix all three, so all combinations are weighed by their fit and their spread becomes the
uncertainty. The width is that behind a thinner front, carried to the depth of the tip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.front import follow_width
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

BLURS_PX = (0.7, 1.0, 1.4, 1.9)  # detector and motion
CURVES = (0.05, 1.5, 3.0, 6.0, 12.0)  # k: 0 = brightness follows thickness, large = any metal is full height
BORES = (0.0, 0.7)  # inner over outer radius; the stylet may be out
FREE_SAMPLES = 14.0  # free samples of a cross-section: systematic misfit, not noise, limits it
FINE_PX = 0.25
NEAR, FAR = 1.3, 6.0  # widths behind the tip: past the cone, before the background has changed
LEAST_ROWS = 6
MODEL_SD = 0.03  # of the width: display curves are not exactly of this family
# A shaft seen over a shorter stretch than this may be front only, and a guide wire is ground down by 12 to 17 % there
STUB, STUB_SD = 5.0, 0.085  # widths, and of the width
CLIPPED, CLIPPED_SHARE = 0.004, 0.2  # attenuation at which air is burnt out, and the share of a row's flank that may be
# Attenuation at which metal is burnt in, and the share of a sample's rows that may be: such a flat top is the display's, not
# the shaft's
BURNT_METAL, BURNT_ROWS = 0.995, 0.1
CLIPPED_SD = 0.06  # of the width, where all of the shaft lies in burnt-out air


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A fitted cross-section.

    Parameters
    ----------
    radius_px : float
        Best-fitting outer radius [px].
    width_px, width_sd_px : float
        Outer diameter at the depth of the tip, the mean over all plausible fits behind a thinner front, and its standard
        deviation [px].
    blur_px : float
        Standard deviation of the blur [px].
    curve : float
        k of the display curve.
    """

    radius_px: float
    width_px: float
    width_sd_px: float
    blur_px: float
    curve: float


def fit_section(attenuation: FloatImage, shaft: Shaft, *, at_stop: bool) -> Section:
    """Fit the cross-section of a shaft near its tip.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
    shaft : Shaft
    at_stop : bool
        Which end is the tip.

    Returns
    -------
    Section
    """
    width = shaft.width_px
    rows = _rows(shaft, NEAR * width, FAR * width)
    course = follow_width(attenuation, shaft, at_stop=at_stop)
    across = _across(width)
    strip = _strip(attenuation, shaft, rows, at_stop=at_stop)
    near = _fit(strip[rows <= max(course.front_px, float(rows[0]) + LEAST_ROWS)], across, width)
    doubt = 0.0
    if course.full_px is not None:
        rows = _rows(shaft, course.full_px, course.full_px + (FAR - NEAR) * width)
        wide = _fit(_strip(attenuation, shaft, rows, at_stop=at_stop), across, width)
    else:
        wide, doubt = _unclipped(strip, across, width, near)
        doubt = float(np.hypot(doubt, STUB_SD if shaft.length_px < STUB * width else 0.0))
    lever = float(rows.mean()) / width
    doubt = float(np.hypot(doubt, lever * course.taper_sd)) * width
    return replace(
        near, width_px=wide.width_px * (1 - lever * course.taper), width_sd_px=float(np.hypot(wide.width_sd_px, doubt))
    )


def _rows(shaft: Shaft, first: float, last: float) -> Floats:
    """Places behind the tip from first to last, as far as the shaft is seen."""
    return np.arange(first, min(last, max(shaft.length_px - 0.5 * shaft.width_px, first + LEAST_ROWS)) + 1)


def _across(width: float) -> Floats:
    reach = np.ceil(1.2 * width + 4)
    return np.arange(-reach, reach + 0.5, 0.5)


def _strip(attenuation: FloatImage, shaft: Shaft, rows: Floats, *, at_stop: bool) -> FloatImage:
    end, inward = (shaft.stop_px, -1.0) if at_stop else (shaft.start_px, 1.0)
    return sample_strip(attenuation, shaft.origin, shaft.axis, end + inward * rows, _across(shaft.width_px))


def _unclipped(strip: FloatImage, across: Floats, width: float, whole: Section) -> tuple[Section, float]:
    """The section where the picture beside it is not burnt out, and the doubt where it is, of the width.

    Over clipped air the edges of a shaft are cut away with the air.
    """
    beside = np.abs(across) > 0.75 * width
    clipped = np.maximum(*((strip[:, beside & side] < CLIPPED).mean(1) for side in (across < 0, across > 0)))
    burnt = clipped > CLIPPED_SHARE
    if not burnt.any():
        return whole, 0.0
    if (~burnt).sum() >= max(LEAST_ROWS, 0.5 * width):
        return _fit(strip[~burnt], across, width), 0.0
    return whole, CLIPPED_SD


def sections_by_curve(attenuation: FloatImage, shaft: Shaft, *, at_stop: bool) -> tuple[tuple[Section, float], ...]:
    """The best cross-section for each display curve, and the logarithm of its weight against the best of all.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
    shaft : Shaft
    at_stop : bool
        Which end is the tip.

    Returns
    -------
    tuple of (Section, float)
        In the order of `CURVES`; the width is that near the tip.
    """
    width = shaft.width_px
    rows = _rows(shaft, NEAR * width, FAR * width)
    keys, cost = _costs(_strip(attenuation, shaft, rows, at_stop=at_stop), _across(width), width)
    least = max(float(cost.min()), 1e-12)
    found = []
    for curve in CURVES:
        at = int(np.where(keys[:, 2] == curve, cost, np.inf).argmin())
        radius, blur = float(keys[at, 0]), float(keys[at, 1])
        section = Section(
            radius_px=radius, width_px=2 * radius, width_sd_px=2 * MODEL_SD * radius, blur_px=blur, curve=float(curve)
        )
        found.append((section, -0.5 * FREE_SAMPLES * (float(cost[at]) / least - 1.0)))
    return tuple(found)


def _costs(strip: FloatImage, across: Floats, width: float) -> tuple[Floats, Floats]:
    """Every combination (radius, blur, curve), shape (K, 3), and the sum of squares that it leaves of a strip's mean."""
    mean = strip.mean(0).astype(np.float64)
    radii = np.linspace(0.44, 0.80, 25) * width
    keys = np.array([(r, b, k) for b in BLURS_PX for k in CURVES for _ in BORES for r in radii])
    half = across[len(across) // 2 :]
    even, odd = ((mean + sign * mean[::-1])[len(across) // 2 :] / 2 for sign in (1.0, -1.0))
    burnt = (strip > BURNT_METAL).mean(0)
    burnt = np.maximum(burnt, burnt[::-1])[len(across) // 2 :]
    models, fold, ground = _models(across, radii, burnt <= BURNT_ROWS)
    data, lean = fold * even, fold * half
    data = data - ground @ (ground.T @ data)
    skew = fold * odd - lean * float(lean @ (fold * odd)) / max(float(lean @ lean), 1e-12)
    match = models @ data
    least = np.maximum((models**2).sum(1), 1e-12)
    cost = float(data @ data + skew @ skew) - np.where(match > 0, match**2 / least, 0.0)
    return keys, cost


def _fit(strip: FloatImage, across: Floats, width: float) -> Section:
    """Fit the mean cross-section of a strip."""
    keys, cost = _costs(strip, across, width)
    weight = np.exp(-0.5 * FREE_SAMPLES * (cost / max(float(cost.min()), 1e-12) - 1.0))
    weight /= weight.sum()
    radius = keys[:, 0]
    best = keys[int(cost.argmin())]
    mid = float(weight @ radius)
    spread = float(np.sqrt(weight @ (radius - mid) ** 2))
    return Section(
        radius_px=float(best[0]),
        width_px=2 * mid,
        width_sd_px=2 * float(np.hypot(spread, MODEL_SD * mid)),
        blur_px=float(best[1]),
        curve=float(best[2]),
    )


def shown(thickness: Floats, curve: float) -> Floats:
    """Display curve: thickness 0..1 (of the shaft's middle) to brightness 0..1.

    Parameters
    ----------
    thickness : ndarray of float64
    curve : float

    Returns
    -------
    ndarray of float64
    """
    bright: Floats = np.expm1(-curve * thickness) / np.expm1(-curve)
    return bright


def _models(across: Floats, radii: Floats, told: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Blurred profiles less their background, one for each blur, curve, bore and radius; weights of the samples; background.

    A profile is symmetric: only its right half is computed, weighted with the square root of how often each sample occurs.
    Where metal is burnt in the display says nothing of its shape: such samples weigh nothing.
    """
    half = across[len(across) // 2 :]
    fold = np.where(half == 0, 1.0, np.sqrt(2.0)) * told
    fine = np.arange(0.0, float(across[-1]) + 4 + FINE_PX, FINE_PX)
    u = np.minimum(fine[None, :] / radii[:, None], 1.0)
    solid = np.sqrt(1.0 - u**2)
    bored = [solid - np.sqrt(np.clip(bore**2 - u**2, 0.0, None)) for bore in BORES]
    seen = np.concatenate([shown(thickness, curve) for curve in CURVES for thickness in bored])
    once = np.where(fine == 0, 0.5, 1.0)[:, None]  # the middle belongs to both halves
    models = []
    for blur in BLURS_PX:
        kernel = np.exp(-0.5 * ((fine[:, None] - half) / blur) ** 2) + np.exp(-0.5 * ((fine[:, None] + half) / blur) ** 2)
        kernel *= once
        models.append(seen @ (kernel / kernel.sum(0)))
    profiles: Floats = np.concatenate(models) * fold
    ground = np.linalg.qr(np.column_stack([fold, fold * half**2]))[0]
    return profiles - (profiles @ ground) @ ground.T, fold, ground
