"""Cross-section of a metal shaft: its radius, the blur, and how the display compresses metal.

The half-height width of a round bar is 4 to 35 % too small, depending on how its thickness is shown. Here the thickness of a
cylinder goes through a saturating display curve ``(1 - exp(-k t)) / (1 - exp(-k))`` and a blur; radius, blur and k are fitted
together. One picture does not fix all three, so all combinations are weighed by
their fit and their spread becomes the uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

BLURS_PX = (0.7, 1.0, 1.4, 1.9)  # detector and motion
CURVES = (0.05, 1.5, 3.0, 6.0, 12.0)  # k: 0 = brightness follows thickness, large = any metal is full height
BORES = (0.0, 0.7)  # inner over outer radius; the stylet may be out
FREE_SAMPLES = 14.0  # free samples of a cross-section: systematic misfit, not noise, limits it
FINE_PX = 0.25
NEAR, FAR = 1.3, 6.0  # widths behind the tip: past the cone, before perspective counts
# The curve family still leaves radii this much too small on simulated frames of known needles (docs/accuracy.md)
SHORTFALL, SHORTFALL_SD = 1.02, 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A fitted cross-section.

    Parameters
    ----------
    radius_px : float
        Best-fitting outer radius [px].
    width_px, width_sd_px : float
        Mean outer diameter over all plausible fits, corrected, and its standard deviation [px].
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
    keys, cost = _costs(attenuation, shaft, at_stop=at_stop)
    weight = np.exp(-0.5 * FREE_SAMPLES * (cost / max(float(cost.min()), 1e-12) - 1.0))
    weight /= weight.sum()
    radius = np.array([key[0] for key in keys])
    best = keys[int(cost.argmin())]
    mid = float(weight @ radius)
    spread = float(np.sqrt(weight @ (radius - mid) ** 2))
    return Section(
        radius_px=float(best[0]),
        width_px=2 * SHORTFALL * mid,
        width_sd_px=float(np.hypot(2 * spread, 2 * SHORTFALL_SD * mid)),
        blur_px=float(best[1]),
        curve=float(best[2]),
    )


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
        In the order of `CURVES`.
    """
    keys, cost = _costs(attenuation, shaft, at_stop=at_stop)
    least = max(float(cost.min()), 1e-12)
    curves = np.array([key[2] for key in keys])
    found = []
    for curve in CURVES:
        at = int(np.where(curves == curve, cost, np.inf).argmin())
        radius, blur = float(keys[at][0]), float(keys[at][1])
        section = Section(
            radius_px=radius,
            width_px=2 * SHORTFALL * radius,
            width_sd_px=2 * SHORTFALL_SD * radius,
            blur_px=blur,
            curve=curve,
        )
        found.append((section, -0.5 * FREE_SAMPLES * (float(cost[at]) / least - 1.0)))
    return tuple(found)


def _costs(attenuation: FloatImage, shaft: Shaft, *, at_stop: bool) -> tuple[list[tuple[float, float, float]], Floats]:
    """Every combination of radius, blur and curve, and the sum of squares that it leaves."""
    width = shaft.width_px
    end, inward = (shaft.stop_px, -1.0) if at_stop else (shaft.start_px, 1.0)
    far = min(FAR * width, max(shaft.length_px - 0.5 * width, NEAR * width + 6))
    along = end + inward * np.arange(NEAR * width, far + 1)
    reach = np.ceil(1.2 * width + 4)
    across = np.arange(-reach, reach + 0.5, 0.5)
    mean = sample_strip(attenuation, shaft.origin, shaft.axis, along, across).mean(0).astype(np.float64)
    radii = np.linspace(0.44, 0.80, 25) * width
    keys = [(float(r), b, k) for b in BLURS_PX for k in CURVES for _ in BORES for r in radii]
    ground = np.linalg.qr(np.column_stack([np.ones_like(across), across, across**2]))[0]
    data = mean - ground @ (ground.T @ mean)
    models, fold = _models(across, radii)
    match = models @ (fold * (data + data[::-1])[len(across) // 2 :] / 2)
    cost: Floats = float(data @ data) - np.where(match > 0, match**2 / np.maximum((models**2).sum(1), 1e-12), 0.0)
    return keys, cost


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


def _models(across: Floats, radii: Floats) -> tuple[Floats, Floats]:
    """Blurred profiles less their background, one for each blur, curve, bore and radius, and the weights of their samples.

    A profile is symmetric: only its right half is computed, weighted with the square root of how often each sample occurs.
    """
    half = across[len(across) // 2 :]
    fold = np.where(half == 0, 1.0, np.sqrt(2.0))
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
    return profiles - (profiles @ ground) @ ground.T, fold
