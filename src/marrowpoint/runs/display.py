"""The tip under a display curve that nobody told: the same in every frame of a run, so that the run is asked as a whole.

How a monitor compresses metal moves the fitted tip by up to a millimetre: a cone that is shown faintly toward its point looks
like a shorter one. One frame hardly tells the curves apart, and a fit that takes the best curve of each frame jumps with it.
Here every frame is fitted with one middle curve; in some frames all curves are tried, and what they say together moves the tip
of all frames and widens its doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from marrowpoint.fluoroscopy.section import CURVES, Section, sections_by_curve
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.fluoroscopy.tip import Tip, fit_tip
from marrowpoint.frame import FloatImage
from marrowpoint.needle import Needle
from marrowpoint.runs.before import Earlier
from marrowpoint.runs.headroom import even_strip

MIDDLE = len(CURVES) // 2
CONES = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0)  # in needle diameters: thin needles have points of two diameters
LEANS_DEG = (90.0, 60.0, 40.0, 25.0)
SHAPES = tuple((cone, lean) for cone in CONES for lean in LEANS_DEG)
EVERY, MOST = 5, 8  # all curves are tried in every so many frames, at most so often
FRAMES_OF_EVIDENCE = 2.0  # frames show the same shaft: together they say no more than so many alone
# Left over on drawn needles of known place (seeds below 1000) when curve and taper are averaged: what lies behind a thin point
LEFT_WIDTHS = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One frame with every curve: places of the tip from that with the middle curve [px], and log weights."""

    places_px: NDArray[np.float64]
    weights: NDArray[np.float64]


class CurveDoubt:
    """Gathers what the frames say of the display curve."""

    def __init__(self) -> None:
        self.looks: list[_Look] = []
        self.since = EVERY

    def fit(self, pixels: FloatImage, shaft: Shaft, earlier: Earlier | None = None) -> tuple[Tip, Section]:
        """Tip at the shaft's beginning with the middle curve; now and then all curves are tried, too.

        Parameters
        ----------
        pixels : ndarray of shape (M, N), float32
        shaft : Shaft
            From the tip toward the hub.
        earlier : callable or None
            What earlier frames show behind it, from `Before.seen_from`.

        Returns
        -------
        Tip, Section
        """
        sections = sections_by_curve(pixels, shaft, at_stop=False)
        section = sections[MIDDLE][0]
        evened = even_strip(pixels, shaft, earlier)
        tip = _tip(evened, section)
        self.since += 1
        if self.since >= EVERY and len(self.looks) < MOST:
            self.since = 0
            tips = [tip if k == MIDDLE else _tip(evened, s) for k, (s, _) in enumerate(sections)]
            places = np.array([t.along_px - tip.along_px for t in tips])
            self.looks.append(_Look(places_px=places, weights=np.array([weight for _, weight in sections])))
        return tip, section

    def settle(self) -> tuple[float, float]:
        """How far along the shaft the curves together put the tip from that of the middle curve, and their spread [px]."""
        if not self.looks:
            return 0.0, 0.0
        weights = np.exp(_scaled([look.weights for look in self.looks]))
        weights /= weights.sum()
        places = np.mean([look.places_px for look in self.looks], axis=0)
        middle = float(weights @ places)
        return middle, float(np.sqrt(weights @ (places - middle) ** 2))

    def correct(self, needle: Needle) -> Needle:
        """A needle that was fitted with the middle curve, its tip moved and its doubt widened."""
        way, spread = self.settle()
        return replace(
            needle,
            tip=(needle.tip[0] + way * needle.axis[0], needle.tip[1] + way * needle.axis[1]),
            tip_sd_along_px=float(np.hypot(np.hypot(needle.tip_sd_along_px, spread), LEFT_WIDTHS * needle.width_px)),
        )


def _tip(evened: tuple[FloatImage, Shaft, FloatImage], section: Section) -> Tip:
    strip, shaft, trust = evened
    return fit_tip(strip, shaft, section, at_stop=False, shapes=SHAPES, window_width_px=shaft.width_px, trust=trust)


def _scaled(weights: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log weights of all frames together, the best at 0."""
    total = np.mean(weights, axis=0) * min(float(len(weights)), FRAMES_OF_EVIDENCE)
    return np.asarray(total - total.max(), dtype=np.float64)
