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
from marrowpoint.runs.headroom import Evened, even_strip

MIDDLE = len(CURVES) // 2
CONES = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0)  # in needle diameters: thin needles have points of two diameters
LEANS_DEG = (90.0, 60.0, 40.0, 25.0)
SHAPES = tuple((cone, lean) for cone in CONES for lean in LEANS_DEG)
EVERY, MOST = 5, 8  # all curves are tried in every so many frames, at most so often
FRAMES_OF_EVIDENCE = 2.0  # frames show the same shaft: together they say no more than so many alone
TIP_SAMPLES = 20.0  # free samples of a tip's strip: misfit of the model, not noise, limits it
NEAR_WIDTHS, BETTER = 1.0, 0.8  # a tip moves less from frame to frame; misfit, of that there, of a tip elsewhere
STEP_WIDTHS = 4.0  # a tip that jumps farther along the shaft is another one
# Light blurs before its logarithm is shown: edges of metal that takes two thirds of it away lie inside by so many blurs, and
# the point of a cone by as many times more as it is slender
LIGHT_BLURS = 0.3
# Bone as high as a part of the shaft looks like the same part of its point, up to two widths long; the fit takes half of it in
LIKE_POINT, MOST_LIKE_POINT = 5.0, 0.6
HIDDEN = 0.12  # trust below which metal is hardly seen: a third of its headroom
# Left over on drawn needles of known place (seeds below 1000) when curve and taper are averaged: what lies behind a thin point
LEFT_WIDTHS = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One frame with every curve: places of the tip from that with the middle curve [px], and log weights."""

    places_px: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """A tip fitted with the middle curve, and what the other curves need."""

    tip: Tip
    evened: Evened
    sections: tuple[tuple[Section, float], ...]

    @staticmethod
    def of(pixels: FloatImage, shaft: Shaft, earlier: Earlier | None) -> _Fit:
        sections = sections_by_curve(pixels, shaft, at_stop=False)
        evened = even_strip(pixels, shaft, earlier)
        return _Fit(tip=_tip(evened, sections[MIDDLE][0]), evened=evened, sections=sections)

    def doubted(self) -> Tip:
        """The tip with what may hide it or be taken for it.

        Where nobody knows what lies behind, what the model leaves may be bone that lengthens or shortens the point; where there
        is no headroom ahead, metal would not be seen.
        """
        tip, width = self.tip, self.evened.shaft.width_px
        near = self.evened.around(tip.along_px, 1.5 * width, 1.5 * width)
        blind = 1.0 - float(self.evened.known[near].mean()) if near.any() else 1.0
        left = np.sqrt(max(tip.noise**2 - self.evened.noise**2, 0.0)) / max(abs(tip.contrast), 1e-6)
        bone = blind * min(LIKE_POINT * left, MOST_LIKE_POINT) * width
        ahead = self.evened.around(tip.along_px, 2.0 * width, 0.0)
        hidden = float((self.evened.trust[ahead, 0] < HIDDEN).sum()) / 2
        return replace(tip, sd_px=float(np.sqrt(tip.sd_px**2 + bone**2 + hidden**2)))

    def look(self) -> _Look:
        tips = [self.tip if k == MIDDLE else _tip(self.evened, s) for k, (s, _) in enumerate(self.sections)]
        left = np.array([tip.noise for tip in tips]) ** 2
        return _Look(
            places_px=np.array([tip.along_px - self.tip.along_px for tip in tips]),
            weights=np.array([weight for _, weight in self.sections]) - 0.5 * TIP_SAMPLES * (left / left.min() - 1),
        )


class CurveDoubt:
    """Gathers what the frames say of the display curve."""

    def __init__(self) -> None:
        self.looks: list[_Look] = []
        self.light_px: list[float] = []
        self.since = EVERY

    def fit(
        self, pixels: FloatImage, shaft: Shaft, earlier: Earlier | None = None, expected_px: float | None = None
    ) -> tuple[Tip, Section]:
        """Tip at the shaft's beginning with the middle curve; now and then all curves are tried, too.

        Parameters
        ----------
        pixels : ndarray of shape (M, N), float32
        shaft : Shaft
            From the tip toward the hub.
        earlier : callable or None
            What earlier frames show behind it, from `Before.seen_from`.
        expected_px : float or None
            Where along the shaft the tip is expected. A bright line of bone ahead of a tip lengthens the shaft that is seen, so
            that the tip is looked for there, too.

        Returns
        -------
        Tip, Section
        """
        fits = [_Fit.of(pixels, replace(shaft, start_px=start), earlier) for start in _starts(shaft, expected_px)]
        fit = _likelier(fits[0], fits[-1], expected_px)
        section = fit.sections[MIDDLE][0]
        self.light_px.append(LIGHT_BLURS * section.blur_px * fit.tip.taper_px / section.radius_px)
        self.since += 1
        if self.since >= EVERY and len(self.looks) < MOST:
            self.since = 0
            self.looks.append(fit.look())
        return fit.doubted(), section

    def settle(self) -> tuple[float, float]:
        """How far along the shaft the curves together put the tip from that of the middle curve, and their spread [px]."""
        if not self.looks:
            return 0.0, 0.0
        weights = np.exp(_scaled([look.weights for look in self.looks]))
        weights /= weights.sum()
        places = np.mean([look.places_px for look in self.looks], axis=0)
        middle = float(weights @ places)
        light = float(np.median(self.light_px))
        return middle - light, float(np.sqrt(weights @ (places - middle) ** 2))

    def correct(self, needle: Needle) -> Needle:
        """A needle that was fitted with the middle curve, its tip moved and its doubt widened."""
        way, spread = self.settle()
        return replace(
            needle,
            tip=(needle.tip[0] + way * needle.axis[0], needle.tip[1] + way * needle.axis[1]),
            tip_sd_along_px=float(np.hypot(np.hypot(needle.tip_sd_along_px, spread), LEFT_WIDTHS * needle.width_px)),
        )


def _starts(shaft: Shaft, expected_px: float | None) -> tuple[float, ...]:
    """Where the fit begins: where the shaft was seen to, and not farther from the place that is expected than a window."""
    if expected_px is None:
        return (shaft.start_px,)
    near = float(
        np.clip(shaft.start_px, expected_px - NEAR_WIDTHS * shaft.width_px, expected_px + NEAR_WIDTHS * shaft.width_px)
    )
    return (shaft.start_px,) if near == shaft.start_px else (shaft.start_px, near)


def _likelier(seen: _Fit, near: _Fit, expected_px: float | None) -> _Fit:
    """The fit where the tip was expected, if it holds there; what lies elsewhere must explain the picture clearly better."""
    if expected_px is None:
        return seen
    width = near.evened.shaft.width_px
    holds = abs(near.tip.along_px - expected_px) < NEAR_WIDTHS * width
    if holds and abs(seen.tip.along_px - expected_px) > STEP_WIDTHS * width:
        return near
    return seen if seen.tip.noise < (BETTER if holds else 1.0) * near.tip.noise else near


def _tip(evened: Evened, section: Section) -> Tip:
    width = evened.shaft.width_px
    return fit_tip(evened.strip, evened.shaft, section, at_stop=False, shapes=SHAPES, window_width_px=width, trust=evened.trust)


def _scaled(weights: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log weights of all frames together, the best at 0."""
    total = np.mean(weights, axis=0) * min(float(len(weights)), FRAMES_OF_EVIDENCE)
    return np.asarray(total - total.max(), dtype=np.float64)
