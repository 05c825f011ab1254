"""A change of brightness that is not the same for light and dark: what each grey of the mask is off by.

Automatic exposure drifts during a run. Behind a display curve, or over scatter that does not follow, the drift differs from
grey to grey, and steps where the picture steps. Such a step looks like a line (`runs/lines.py`). Contrast would move a grey as
well, most where it covers much of the few places that have it: greys are read away from the tip, and where nothing rises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

GREYS = 16  # classes of equally many pixels
LEAST_PIXELS = 60  # in a class: its median then is off by a sixth of a pixel's noise
LEAST_SHARE = 0.25  # of the field that must be left to read greys from
FRAMES, BLUR_PX = 5, 1.5  # in whose mean, smoothed so much, a place rises
RISES, BESIDE_PX = 4.0, 9  # noise SDs of such a place, and what is left out around it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Greys:
    """The places of a mask by their grey.

    Parameters
    ----------
    mask : ndarray of shape (m, n), float32
        The mask's attenuation.
    read : ndarray of shape (m, n), bool
        Where greys are read.
    middle : ndarray of shape (K,), float64
        Median grey of each class; none where there are too few places.
    places : ndarray of shape (K, P), int64
        Indices of its places within `read`.
    """

    mask: FloatImage
    read: Mask
    middle: NDArray[np.float64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, mask: FloatImage, read: Mask) -> Greys:
        """Sort the places of a mask; both of shape (m, n)."""
        greys = mask[read]
        count = min(GREYS, len(greys) // LEAST_PIXELS)
        if count == 0:
            return cls(mask=mask, read=read, middle=np.empty(0), places=np.empty((0, 0), np.int64))
        size = len(greys) // count
        places = np.argsort(greys, kind="stable")[: count * size].reshape(count, size).astype(np.int64)
        return cls(mask=mask, read=read, middle=np.median(greys[places], axis=1).astype(np.float64), places=places)

    def off(self, difference: FloatImage) -> FloatImage:
        """What each grey is off by, by the median of its places; the lightest and darkest read stand for what lies beyond.

        Parameters
        ----------
        difference : ndarray of shape (m, n), float32
            A frame less the mask, laid over it.

        Returns
        -------
        ndarray of shape (m, n), float32
        """
        if not len(self.middle):
            return np.zeros_like(difference)
        greys, same = np.unique(self.middle, return_inverse=True)
        medians = np.median(difference[self.read][self.places], axis=1)
        level = np.bincount(same, weights=medians) / np.bincount(same)
        return np.interp(self.mask, greys, level).astype(np.float32)


def level_greys(stack: FloatImage, mask: FloatImage, inside: Mask, near: Mask, metal: Mask) -> None:
    """Take from each difference, in place, what each grey is off by.

    Parameters
    ----------
    stack : ndarray of shape (T, m, n), float32
        Frames less the mask.
    mask : ndarray of shape (m, n), float32
        The mask's attenuation.
    inside : ndarray of shape (m, n), bool
        Where values can be trusted.
    near : ndarray of shape (m, n), bool
        Around the tip: contrast comes there.
    metal : ndarray of shape (m, n), bool
        The needle, left as it is: no place that is read is as dark, and a display shows hardly any drift there.
    """
    away = inside & ~near & ~metal
    if away.sum() < LEAST_SHARE * inside.sum():
        return
    greys = Greys.of(mask, away)
    quiet = away & ~_rising((one - greys.off(one) for one in stack), inside)
    if quiet.sum() >= LEAST_SHARE * inside.sum():
        greys = Greys.of(mask, quiet)
    for index in range(len(stack)):
        stack[index] -= np.where(metal, np.float32(0), greys.off(stack[index]))


def _rising(differences: Iterable[FloatImage], inside: Mask) -> Mask:
    """Where a mean of some frames rises above its noise at any time, with what is around."""
    found = np.zeros_like(inside)
    last: deque[FloatImage] = deque(maxlen=FRAMES)
    for one in differences:
        last.append(one)
        mean = cv2.GaussianBlur(np.mean(last, axis=0, dtype=np.float32), (0, 0), BLUR_PX)
        values = mean[inside]
        middle = float(np.median(values))
        found |= (mean - middle > RISES * 1.4826 * float(np.median(np.abs(values - middle)))) & inside
    side = 2 * BESIDE_PX + 1
    return np.asarray(cv2.dilate(found.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
