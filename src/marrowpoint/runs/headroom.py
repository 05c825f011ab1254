"""The end of a shaft on a strip of its own, where a burnt-in shaft stands equally high all along.

A monitor has one white. Where metal is burnt in, it stands less high over bright bone than over soft tissue, and a fit that
expects one height takes the begin of the bone for the end of the needle: off by up to six millimetres once the brightness has
jumped. How high such a shaft can stand is known in every row from its surroundings, so that the strip can be evened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage
from marrowpoint.runs.before import Earlier, Strips

AHEAD, BEHIND = 2.0, 3.5  # widths of the strip before the shaft's beginning and after it
PAST_POINT = 0.8  # widths: behind a point the shaft has its full height
BURNT_FROM, BURNT_RANGE = 0.85, 0.12  # a shaft above the first is shown compressed, above both together burnt in
LEAST_SHARE = 0.06  # of the usual headroom: with less a row tells nothing
SMOOTH_PX = 1.5  # of the surroundings along the shaft
FADE_PX = 8.0  # where nothing is known, what was seen last is taken to go on for so long


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evened:
    """The beginning of a shaft, evened.

    Parameters
    ----------
    strip : ndarray of shape (S, K), float32
        A pixel of it is one of the picture; rows run along the shaft.
    shaft : Shaft
        The same shaft in the strip; places along it are the same.
    trust : ndarray of shape (S, K), float32
        Weight of each value: the less headroom it had, the more its noise was blown up.
    known : ndarray of shape (S,), bool
        Rows in which earlier frames show what lies behind.
    noise : float
        Of a pixel of the strip.
    """

    strip: FloatImage
    shaft: Shaft
    trust: FloatImage
    known: NDArray[np.bool_]
    noise: float

    def around(self, along_px: float, ahead_px: float, behind_px: float) -> NDArray[np.bool_]:
        """The rows from so far ahead of a place along the shaft to so far behind it, shape (S,)."""
        rows = np.arange(len(self.strip)) - self.shaft.origin[0]
        return np.asarray((rows > along_px - ahead_px) & (rows < along_px + behind_px))


def even_strip(pixels: FloatImage, shaft: Shaft, earlier: Earlier | None = None) -> Evened:
    """Sample the beginning of a shaft, less what lies behind it, as high in every row as its headroom allows it to be.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
        Larger = more attenuating.
    shaft : Shaft
        From the tip toward the hub.
    earlier : callable or None
        From `Before.seen_from`; without it, and where the needle has been all along, what lies behind is guessed from what is
        seen beside.

    Returns
    -------
    Evened
    """
    width = shaft.width_px
    behind_px = min(BEHIND * width + 12, max(shaft.length_px, width) + 4)
    along = np.arange(shaft.start_px - AHEAD * width - 12, shaft.start_px + behind_px, 1.0)
    half = 0.5 * width + 2
    flank = half + max(3.0, 0.45 * width)
    reach = int(np.ceil(flank)) + 2
    across = np.arange(-reach, reach + 1, dtype=np.float64)
    strip = sample_strip(pixels, shaft.origin, shaft.axis, along, across)
    base = _surroundings(strip, across, half, flank)
    shown = [] if earlier is None else earlier(shaft, along, across)
    base += _hidden(shown, across, half, flank)
    core = np.abs(across) < 0.25 * width + 0.5
    behind = along > shaft.start_px + PAST_POINT * width
    level = float(np.median(strip[behind][:, core]))
    headroom = level - base[:, core].mean(axis=1)
    usual = max(float(np.median(headroom[behind])), 1e-6)
    burnt = float(np.clip((level - BURNT_FROM) / BURNT_RANGE, 0, 1))
    height = burnt * np.maximum(headroom, LEAST_SHARE * usual) + (1 - burnt) * usual
    evened = np.asarray((strip - base) * (usual / height)[:, None], dtype=np.float32)
    trust = np.repeat(np.minimum(height / usual, 1.0)[:, None] ** 2, len(across), axis=1).astype(np.float32)
    return Evened(
        strip=evened,
        shaft=replace(shaft, origin=(-float(along[0]), float(reach)), axis=(1.0, 0.0)),
        trust=trust,
        known=np.logical_or.reduce([rows for _, rows in shown] or [np.zeros(len(along), np.bool_)]),
        noise=float(np.std(np.diff(evened[:, np.abs(across) < half], axis=0)) / np.sqrt(2)),
    )


def _hidden(strips: Strips, across: NDArray[np.float64], half: float, flank: float) -> NDArray[np.float64]:
    """What earlier frames show behind the shaft beyond what their sides let expect, shape (S, K) or broadcastable to it."""
    if not strips:
        return np.zeros((1, 1))
    extra = np.stack([strip - _surroundings(strip, across, half, flank) for strip, _ in strips])
    known = np.stack([rows for _, rows in strips]).astype(np.float64)
    total = known.sum(axis=0)
    mean = (extra * known[:, :, None]).sum(axis=0) / np.maximum(total, 1.0)[:, None]
    last = int(np.flatnonzero(total > 0)[-1]) if (total > 0).any() else -1
    if 0 <= last < len(mean) - 1:
        # farther back the needle has always been: what was seen last fades
        fade = np.exp(-np.arange(1, len(mean) - last) / FADE_PX)
        mean[last + 1 :] = mean[max(0, last - 1) : last + 1].mean(axis=0) * fade[:, None]
    return np.asarray(mean, dtype=np.float64)


def _surroundings(strip: FloatImage, across: NDArray[np.float64], half: float, flank: float) -> NDArray[np.float64]:
    """What the picture would show without the shaft: straight from one flank to the other, shape (S, K)."""
    sides = (across < -half) & (across >= -flank - 1), (across > half) & (across <= flank + 1)
    low, high = (
        cv2.GaussianBlur(strip[:, side].mean(axis=1, keepdims=True), (1, 11), sigmaX=SMOOTH_PX, sigmaY=SMOOTH_PX)
        for side in sides
    )
    left, right = (float(across[side].mean()) for side in sides)
    share = (across - left) / (right - left)
    return np.asarray(low + (high - low) * share[None, :], dtype=np.float64)
