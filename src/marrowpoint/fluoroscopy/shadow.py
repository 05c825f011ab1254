"""How the shadow of a metal shaft comes out: thickness of metal, what it takes from the light, blur, logarithm, display.

Detector and focal spot blur the light, before the logarithm. Behind metal the light does not go out: scatter and veiling glare
leave a floor. The lower it is, the more the logarithm bends the blurred edges, and the more of a shaft's shadow they lose.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLURS_PX = (0.7, 1.0, 1.4, 1.9)  # detector and motion
BORES = (0.0, 0.7)  # inner over outer radius; the stylet may be out
# Light left behind metal, of that beside it: scatter of a half to two primaries leaves 0.35 to 0.7, the noise of real C-arm
# frames (of the logarithm it falls with the root of the light) says 0.6 to 0.8. 1 = blurred after the logarithm.
FLOORS = (0.85, 0.6, 0.35)
FINE_PX = 0.25


def shown(thickness: Floats, curve: float) -> Floats:
    """Darkness by thickness: 0..1 (of the shaft's middle) to 0..1.

    Parameters
    ----------
    thickness : ndarray of float64
    curve : float

    Returns
    -------
    ndarray of float64
    """
    dark: Floats = np.expm1(-curve * thickness) / math.expm1(-curve)
    return dark


def logged(dark: Floats, floor: float) -> Floats:
    """Logarithm of the light, as the picture shows it.

    Parameters
    ----------
    dark : ndarray of float64
        Share of the light taken, over that in the middle of the shaft, 0..1.
    floor : float
        Light left in the middle of the shaft, 0 to 1; 1 leaves the values as they are.

    Returns
    -------
    ndarray of float64
        0..1.
    """
    if floor >= 1.0:
        return dark
    bright: Floats = np.log1p(-(1.0 - floor) * dark) / math.log(floor)
    return bright


def cross_sections(
    across: Floats, radii: Floats, curves: tuple[float, ...], floors: tuple[float, ...]
) -> tuple[Floats, Floats]:
    """Right halves of the profiles of solid and hollow rods for every floor, blur, curve, bore and radius.

    Parameters
    ----------
    across : ndarray of shape (2 H - 1,)
        Evenly spaced places across the shaft, 0 in the middle [px].
    radii : ndarray of shape (R,)
        Outer radii [px].
    curves, floors : tuple of float

    Returns
    -------
    profiles : ndarray of shape (K, H)
    keys : ndarray of shape (K, 4)
        Radius [px], blur [px], curve and floor of each.
    """
    half = across[len(across) // 2 :]
    fine = np.arange(0.0, float(across[-1]) + 4 + FINE_PX, FINE_PX)
    u = np.minimum(fine[None, :] / radii[:, None], 1.0)
    solid = np.sqrt(1.0 - u**2)
    bored = [solid - np.sqrt(np.clip(bore**2 - u**2, 0.0, None)) for bore in BORES]
    taken = np.concatenate([shown(thickness, curve) for curve in curves for thickness in bored])
    once = np.where(fine == 0, 0.5, 1.0)[:, None]  # the middle belongs to both halves
    blurred = []
    for blur in BLURS_PX:
        kernel = np.exp(-0.5 * ((fine[:, None] - half) / blur) ** 2) + np.exp(-0.5 * ((fine[:, None] + half) / blur) ** 2)
        kernel *= once
        blurred.append(taken @ (kernel / kernel.sum(0)))
    dark = np.concatenate(blurred)
    keys = np.array([(r, b, k, f) for f in floors for b in BLURS_PX for k in curves for _ in BORES for r in radii])
    return np.concatenate([logged(dark, floor) for floor in floors]), keys
