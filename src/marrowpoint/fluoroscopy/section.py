"""Cross-section of a metal shaft: its radius, the blur, and how the display compresses metal.

The half-height width of a round bar is 4 to 35 % too small, depending on how its thickness is shown. Here the shadow of a
cylinder (`shadow`) is fitted: radius, blur, display curve and the light left behind metal together. One picture does not fix
all of them, so all combinations are weighed by their fit and their spread becomes the uncertainty. The width is that behind a
thinner front, carried to the depth of the tip.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.front import burnt_out, follow_width
from marrowpoint.fluoroscopy.shadow import FLOORS, cross_sections
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

CURVES = (0.05, 1.5, 3.0, 6.0, 12.0)  # k: 0 = darkness follows thickness, large = any metal is full height
LIT_CURVES = CURVES[1:]  # light behind metal does not fall evenly with its thickness: 2 mm of steel take 0.8 of it and more
FREE_SAMPLES = 14.0  # free samples of a cross-section: systematic misfit, not noise, limits it
NEAR, FAR = 1.3, 6.0  # widths behind the tip: past the cone, before the background has changed
LEAST_ROWS = 6
MODEL_SD = 0.03  # of the width: display curves are not exactly of this family
# A shaft seen over a shorter stretch than this is as likely as not front only, which is ground down by 12 to 17 % at a guide
# wire: the shaft behind is 0 or 17 % wider than what is seen, never thinner
STUB, STUB_WIDER, STUB_SD = 5.0, 0.085, 0.085  # widths, and of the width
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
    floor : float
        Light left behind the middle of the shaft, of that beside it.
    rivals : tuple of (Section, float)
        The best cross-section for each display curve, and the logarithm of its weight against the best of all.
    """

    radius_px: float
    width_px: float
    width_sd_px: float
    blur_px: float
    curve: float
    floor: float = 1.0
    rivals: tuple[tuple[Section, float], ...] = field(default=(), repr=False)


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
    across = _across(width)
    course = follow_width(attenuation, shaft, at_stop=at_stop)
    rows = _rows(shaft, NEAR * width, FAR * width)
    strip = _strip(attenuation, shaft, rows, at_stop=at_stop)
    clear, doubt = _clear(strip, across, width)
    front = rows <= max(course.front_px, float(rows[0]) + LEAST_ROWS)
    near = _fit(strip[front & clear] if (front & clear).sum() >= LEAST_ROWS else strip[front], across, width)
    wider = 1.0
    if course.full_px is not None:
        rows = _rows(shaft, course.full_px, course.full_px + (FAR - NEAR) * width)
        strip = _strip(attenuation, shaft, rows, at_stop=at_stop)
        clear, doubt = _clear(strip, across, width)
    elif shaft.length_px < STUB * width:
        wider, doubt = 1.0 + STUB_WIDER, float(np.hypot(doubt, STUB_SD))
    wide = _fit(strip[clear], across, width)
    lever = float(rows[clear].mean()) / width
    doubt = float(np.hypot(doubt, lever * course.taper_sd)) * width
    found = wider * wide.width_px * (1 - lever * course.taper)
    return replace(near, width_px=found, width_sd_px=float(np.hypot(wide.width_sd_px, doubt)))


def _rows(shaft: Shaft, first: float, last: float) -> Floats:
    """Places behind the tip from first to last, as far as the shaft is seen."""
    return np.arange(first, min(last, max(shaft.length_px - 0.5 * shaft.width_px, first + LEAST_ROWS)) + 1)


def _across(width: float) -> Floats:
    reach = np.ceil(1.2 * width + 4)
    return np.arange(-reach, reach + 0.5, 0.5)


def _strip(attenuation: FloatImage, shaft: Shaft, rows: Floats, *, at_stop: bool) -> FloatImage:
    end, inward = (shaft.stop_px, -1.0) if at_stop else (shaft.start_px, 1.0)
    return sample_strip(attenuation, shaft.origin, shaft.axis, end + inward * rows, _across(shaft.width_px))


def _clear(strip: FloatImage, across: Floats, width: float) -> tuple[NDArray[np.bool_], float]:
    """Rows beside which the picture is not burnt out, or all where too few are; and the doubt of the width then, of it."""
    burnt = burnt_out(strip, across, width)
    if (~burnt).sum() >= max(LEAST_ROWS, 0.5 * width):
        return ~burnt, 0.0
    return np.ones_like(burnt), CLIPPED_SD if burnt.any() else 0.0


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
    # runs were tuned on pictures taken as blurred after their logarithm
    strip = _strip(attenuation, shaft, rows, at_stop=at_stop)
    return _by_curve(*_costs(strip, _across(width), width, curves=CURVES, floors=(1.0,)))


def _by_curve(keys: Floats, cost: Floats) -> tuple[tuple[Section, float], ...]:
    least = max(float(cost.min()), 1e-12)
    found = []
    for curve in np.unique(keys[:, 2]):
        at = int(np.where(keys[:, 2] == curve, cost, np.inf).argmin())
        section = _section(keys[at], float(keys[at, 0]), MODEL_SD * float(keys[at, 0]))
        found.append((section, -0.5 * FREE_SAMPLES * (float(cost[at]) / least - 1.0)))
    return tuple(found)


def _section(key: Floats, radius_px: float, radius_sd_px: float) -> Section:
    """The combination of a key, with the radius that all of them say together."""
    return Section(
        radius_px=float(key[0]),
        width_px=2 * radius_px,
        width_sd_px=2 * radius_sd_px,
        blur_px=float(key[1]),
        curve=float(key[2]),
        floor=float(key[3]),
    )


def _costs(
    strip: FloatImage,
    across: Floats,
    width: float,
    *,
    curves: tuple[float, ...] = LIT_CURVES,
    floors: tuple[float, ...] = FLOORS,
) -> tuple[Floats, Floats]:
    """Every combination (radius, blur, curve, floor), shape (K, 4), and the sum of squares that it leaves of a strip's mean.

    A profile is symmetric: only its right half is fitted, weighted with the square root of how often each sample occurs. Where
    metal is burnt in the display says nothing of its shape: such samples weigh nothing.
    """
    mean = strip.mean(0).astype(np.float64)
    profiles, keys = cross_sections(across, np.linspace(0.44, 0.80, 25) * width, curves, floors)
    half = across[len(across) // 2 :]
    even, odd = ((mean + sign * mean[::-1])[len(across) // 2 :] / 2 for sign in (1.0, -1.0))
    burnt = (strip > BURNT_METAL).mean(0)
    burnt = np.maximum(burnt, burnt[::-1])[len(across) // 2 :]
    fold = np.where(half == 0, 1.0, np.sqrt(2.0)) * (burnt <= BURNT_ROWS)
    ground = np.linalg.qr(np.column_stack([fold, fold * half**2]))[0]
    models = profiles * fold
    models -= (models @ ground) @ ground.T
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
    mid = float(weight @ radius)
    spread = float(np.sqrt(weight @ (radius - mid) ** 2))
    best = _section(keys[int(cost.argmin())], mid, float(np.hypot(spread, MODEL_SD * mid)))
    return replace(best, rivals=_by_curve(keys, cost))
