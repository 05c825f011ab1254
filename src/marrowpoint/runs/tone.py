"""A change of brightness that is not the same for light and dark: what each grey of the mask is off by, by all of its places.

Automatic exposure drifts during a run. Behind a display curve, or over scatter that does not follow, the drift differs from
grey to grey, and steps where the picture steps. Such a step looks like a line (`runs/lines.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

GREYS = 16  # classes of equally many pixels
LEAST_PIXELS = 60  # in a class: its median then is off by a sixth of a pixel's noise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Greys:
    """The places of a mask by their grey.

    Parameters
    ----------
    mask : ndarray of shape (m, n), float32
        The mask's attenuation.
    inside : ndarray of shape (m, n), bool
        Where values can be trusted.
    middle : ndarray of shape (K,), float64
        Median grey of each class; none where there are too few places.
    places : ndarray of shape (K, P), int64
        Indices of its places within `inside`.
    """

    mask: FloatImage
    inside: Mask
    middle: NDArray[np.float64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, mask: FloatImage, inside: Mask) -> Greys:
        """Sort the places of a mask; both of shape (m, n)."""
        greys = mask[inside]
        count = min(GREYS, len(greys) // LEAST_PIXELS)
        if count == 0:
            return cls(mask=mask, inside=inside, middle=np.empty(0), places=np.empty((0, 0), np.int64))
        size = len(greys) // count
        places = np.argsort(greys, kind="stable")[: count * size].reshape(count, size).astype(np.int64)
        return cls(mask=mask, inside=inside, middle=np.median(greys[places], axis=1).astype(np.float64), places=places)

    def level(self, difference: FloatImage) -> FloatImage:
        """Take away what the median of each grey is off by; contrast covers less than half of the places of any.

        Parameters
        ----------
        difference : ndarray of shape (m, n), float32
            A frame less the mask, laid over it.

        Returns
        -------
        ndarray of shape (m, n), float32
        """
        if not len(self.middle):
            return difference
        off = np.median(difference[self.inside][self.places], axis=1)
        return np.asarray(difference - np.interp(self.mask, self.middle, off), dtype=np.float32)
