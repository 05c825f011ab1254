"""The point of this very needle, as its first frames showed it, laid over what lies behind it in every later frame.

A model of points in general does not know how long this one is and how thin it begins, and over almost white bone little of it
is seen: there a fit errs by one to four millimetres, now this way, now that. But a needle comes in from outside, where it is
seen well. How much its point adds there, put on top of the bone that was seen before it came and held to the white of the
display, is what a later frame must show, and the one thing unknown is where. That tells a tip against the others twice as
closely as a fit does; where the apex is in this picture of the point is told by the fits of all frames together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage
from marrowpoint.needle import Needle
from marrowpoint.runs.before import Strips

Floats = NDArray[np.float64]

CURVES = (0.0, 1.0, 2.0)  # strengths of an S-shaped display; 0 = straight
# Metal takes a smaller share of the light where scatter is more of it, behind bone
SHARES = (0.7, 0.85, 1.0)
AHEAD, BEHIND, REACH = 3.0, 4.0, 1.5  # widths of the picture before and after the tip; within which it is looked for
STEP_PX = 0.5
APEX = 0.6  # widths and 2 px ahead of a fitted tip there is no metal
WHITE = 0.985  # shown at and above: how much more is there is not seen
DARK = 0.95  # what is shown below tells a change of the exposure
CORRELATED = 8.0  # pixels that share their noise
HELD = 4.0  # noise SDs: what differs more is something else
# Widths ahead of the tip and behind where its point is first seen: what lies behind the needle is known there
KNOWN_AHEAD, KNOWN_BEHIND = 1.0, 1.0
SEEN, SEEN_ROWS = 0.15, 4  # added by metal that is seen; rows in which it is
FINE = 0.002  # of the tabulated display
LEAST_NOISE = 1e-3
LEAST_SD_PX = 0.4  # registration of the bone


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Where a frame shows the needle's point.

    Parameters
    ----------
    way_px : float
        From the fitted tip to the zero of the point's picture, toward the hub [px].
    sd_px : float
        Standard deviation [px].
    left : float
        What is left of the frame, in noise variances of a pixel.
    """

    way_px: float
    sd_px: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Display:
    """What is shown, in the mean over the noise, for how much there is to show."""

    x: Floats
    mean: FloatImage

    @staticmethod
    def of(curve: float, noise: float) -> _Display:
        x = np.arange(-1.0, 3.0, FINE)
        held = np.clip(x, 0.0, 1.0)
        shown = held if curve == 0 else 0.5 + 0.5 * np.tanh(curve * (held - 0.5)) / np.tanh(curve / 2)
        mean = cv2.GaussianBlur(shown[None, :], (0, 0), max(noise / FINE, 1.0), borderType=cv2.BORDER_REPLICATE)[0]
        return _Display(x=x, mean=np.maximum.accumulate(mean).astype(np.float32))

    def show(self, amount: FloatImage) -> FloatImage:
        index = ((amount - np.float32(self.x[0])) * np.float32(1 / FINE)).astype(np.int32)
        return np.asarray(np.take(self.mean, index, mode="clip"), dtype=np.float32)

    def amount(self, shown: Floats) -> Floats:
        rising = np.flatnonzero(np.diff(self.mean) > 1e-7)
        part = slice(int(rising[0]), int(rising[-1]) + 1)
        return np.interp(shown, self.mean[part], self.x[part])


class Likeness:
    """The point of a needle from frames that show it well, and where it is in others.

    Parameters
    ----------
    kept : sequence of (ndarray of shape (M, N), Needle)
        Frames in which the needle has just come into the picture, larger = more attenuating, and the needle in each.
    """

    def __init__(self, kept: Sequence[tuple[FloatImage, Needle]]) -> None:
        width = self.width_px = float(np.median([needle.width_px for _, needle in kept]))
        length = float(min(needle.length_px for _, needle in kept))
        self.along = np.arange(-AHEAD * width, max(min(BEHIND * width, length), width), 1.0)
        reach = np.ceil(width) + 6
        self.across = np.arange(-reach, reach + 1, 1.0)
        self.half = 0.5 * width + 2
        self.core = np.abs(self.across) < self.half
        strips = [sample_strip(pixels, needle.tip, needle.axis, self.along, self.across) for pixels, needle in kept]
        shown = np.stack(strips).astype(np.float64)
        shown, self.noise = _of_one_exposure(shown, shown[:, :, ~self.core])
        self.ways = np.arange(-REACH * width, REACH * width + STEP_PX, STEP_PX)
        self.displays = tuple(_Display.of(curve, self.noise) for curve in CURVES)
        self.points = tuple(self._point(shown, display) for display in self.displays)
        unmoved = self.points[0][-len(self.ways) + len(self.ways) // 2]
        seen = self.along[_first_seen(unmoved[:, np.abs(self.across[self.core]) < 0.2 * width + 0.5].mean(axis=1))]
        self.near = (self.along > -KNOWN_AHEAD * width) & (self.along < max(seen, 0.0) + KNOWN_BEHIND * width)

    def _point(self, shown: Floats, display: _Display) -> FloatImage:
        """What the point adds at every place that is tried and for every share, shape (P, R, C)."""
        mean = shown.mean(axis=0)
        white = (mean > WHITE).astype(np.float64)
        amount = display.amount(mean)
        added = amount - self._beside(amount)
        added = np.where(0.5 * (white + white[:, ::-1]) > 0.4, np.maximum(added, 1.0), added)
        added = 0.5 * (added + added[:, ::-1])
        added[self.along < -APEX * self.width_px - 2] = 0.0
        core = added[:, self.core]
        place = np.clip(self.along[None, :] - self.ways[:, None] - self.along[0], 0, len(self.along) - 1.001)
        whole = place.astype(int)
        part = (place - whole)[:, :, None]
        moved = core[whole] * (1 - part) + core[whole + 1] * part
        return np.concatenate([share * moved for share in SHARES]).astype(np.float32)

    def _beside(self, amount: Floats) -> Floats:
        left, right = self.across < -self.half, self.across > self.half
        low, high = (
            cv2.GaussianBlur(amount[:, side].mean(axis=1, keepdims=True), (1, 15), sigmaX=3, sigmaY=3) for side in (left, right)
        )
        a, b = float(self.across[left].mean()), float(self.across[right].mean())
        return np.asarray(low + (high - low) * ((self.across - a) / (b - a))[None, :], dtype=np.float64)

    def find(self, pixels: FloatImage, needle: Needle, strips: Strips) -> tuple[Alike, ...] | None:
        """Where a frame shows the point, for each display curve.

        Parameters
        ----------
        pixels : ndarray of shape (M, N), float32
            Larger = more attenuating.
        needle : Needle
            As it was fitted there.
        strips : list of (ndarray of shape (R, K), ndarray of shape (R,))
            What earlier frames show in the place of `along` and `across` from its tip, and in which rows no metal stood there.

        Returns
        -------
        tuple of Alike or None
            None where it is not known what lies behind the tip.
        """
        known = np.logical_and.reduce([rows for _, rows in strips])
        if not known[self.near].all():
            return None
        shown = sample_strip(pixels, needle.tip, needle.axis, self.along, self.across).astype(np.float64)
        behind = np.mean([strip for strip, _ in strips], axis=0)
        grey = (shown < DARK) & (behind < DARK) & ~self.core[None, :]
        if grey.sum() < 5 * self.width_px:
            return None
        return tuple(
            self._placed(shown, behind, grey, known, display, point)
            for display, point in zip(self.displays, self.points, strict=True)
        )

    def _placed(
        self,
        shown: Floats,
        behind: Floats,
        grey: NDArray[np.bool_],
        known: NDArray[np.bool_],
        display: _Display,
        point: FloatImage,
    ) -> Alike:
        base = display.amount(behind)
        base = base + float(np.median((display.amount(shown) - base)[grey]))
        core = np.ix_(known, self.core)
        off = display.show(base[core].astype(np.float32)[None] + point[:, known])
        off -= shown[core].astype(np.float32)
        np.clip(off, -HELD * self.noise, HELD * self.noise, out=off)
        cost = np.einsum("prc,prc->p", off, off).astype(np.float64) / self.noise**2
        left = float(cost.min()) / off[0].size
        weight = np.exp(-0.5 * (cost - cost.min()) / (CORRELATED * max(left, 1.0))).reshape(len(SHARES), -1).sum(axis=0)
        weight /= weight.sum()
        way = float(weight @ self.ways)
        spread = float(np.sqrt(weight @ (self.ways - way) ** 2))
        return Alike(way_px=way, sd_px=float(np.hypot(spread, LEAST_SD_PX)), left=left)


def _first_seen(heights: FloatImage) -> int:
    """The first row from which on metal is seen in several rows."""
    seen = heights > SEEN
    return next((i for i in range(len(seen)) if seen[i : i + SEEN_ROWS].all()), len(seen) // 2)


def _of_one_exposure(shown: Floats, beside: Floats) -> tuple[Floats, float]:
    """The frames that are about as bright as most, and the noise of a pixel: the first of a run may be brighter by far."""
    off = np.median(beside - np.median(beside, axis=0), axis=(1, 2))
    noise = max(float(np.median((beside - off[:, None, None]).std(axis=0, ddof=1))), LEAST_NOISE)
    away = np.abs(off - np.median(off))
    # of two exposures, half the frames each, the middle is neither's
    alike = away <= max(noise, float(np.median(away)))
    return shown[alike], noise


def strip_shaft(needle: Needle) -> Shaft:
    """A shaft whose places along it are those from a needle's tip.

    Parameters
    ----------
    needle : Needle

    Returns
    -------
    Shaft
    """
    return Shaft(
        origin=needle.tip, axis=needle.axis, start_px=0.0, stop_px=needle.length_px, width_px=needle.width_px,
        width_sd_px=needle.width_sd_px, angle_sd_rad=0.0, across_sd_px=0.0, support=1.0,
    )  # fmt: skip
