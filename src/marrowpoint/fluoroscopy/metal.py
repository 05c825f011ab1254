"""Where the metal of a shaft ends though its line goes on: an edge of bone ahead of a needle lengthens it by centimetres.

Attenuation adds up. Where what lies beside the line is no brighter than before, metal on the line cannot be brighter either; a
line whose middle loses most of its height there is bone, however well both its edges are seen.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

CORE, FLANK = 0.3, (0.8, 1.3)  # half of the middle, and the flanks [widths from the mid-line]
CELL = 0.8  # widths averaged along the line
BEHIND, AHEAD = (0.8, 3.0), (0.8, 2.5)  # widths from a place in which both sides of it are compared
LEFT_SHARE, MOST_LEFT = 0.35, 0.55  # of the height: less is left ahead in the mean, and in every cell up to the end
BRIGHTER = 0.2  # of the height: the flanks ahead are at most so much brighter
LEAST_HEIGHT = 0.08  # of the grey range: only a stark shaft is known to go on as stark
LEAST_BEHIND = 3.0  # widths of shaft that must be left
STEP_WIDTHS = 0.1


def end_of_metal(attenuation: FloatImage, shaft: Shaft, *, at_stop: bool) -> Shaft:
    """Move an end of a shaft back to where its metal ends, if there is such a place.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
        Larger = more attenuating.
    shaft : Shaft
    at_stop : bool
        Which end: the one at `stop_px` or at `start_px`.

    Returns
    -------
    Shaft
        The same where the line is metal up to its end.
    """
    width = shaft.width_px
    step = max(1.0, STEP_WIDTHS * width)
    end, inward = (shaft.stop_px, -1.0) if at_stop else (shaft.start_px, 1.0)
    back = np.arange(0.0, shaft.length_px, step)
    core, flank = _bands(attenuation, shaft, end + inward * back, step)
    height = core - flank
    first = AHEAD[0] + CELL
    places = np.arange(first * width, shaft.length_px - LEAST_BEHIND * width, step)
    ends = [place for place in places if _ends_here(back, (core, flank, height), place, width)]
    if not ends:
        return shaft
    # of the places that tell metal from line, the one with the steepest fall
    ahead, behind = (np.interp(np.array(ends) + way * 0.5 * width, back, core) for way in (-1.0, 1.0))
    place = float(ends[int(np.argmax(behind - ahead))])
    return replace(shaft, stop_px=end - place) if at_stop else replace(shaft, start_px=end + place)


def _bands(attenuation: FloatImage, shaft: Shaft, places: Floats, step: float) -> tuple[Floats, Floats]:
    width = shaft.width_px
    reach = np.ceil(FLANK[1] * width / step)
    across = np.arange(-reach, reach + 1) * step
    strip = sample_strip(attenuation, shaft.origin, shaft.axis, places, across)
    strip = np.asarray(cv2.blur(strip, (1, max(1, round(CELL * width / step))), borderType=cv2.BORDER_REPLICATE), np.float32)
    beside = (np.abs(across) >= FLANK[0] * width) & (np.abs(across) <= FLANK[1] * width)
    core: Floats = strip[:, np.abs(across) <= max(CORE * width, 0.5 * step)].mean(axis=1).astype(np.float64)
    return core, strip[:, beside].mean(axis=1).astype(np.float64)


def _ends_here(back: Floats, bands: tuple[Floats, Floats, Floats], place: float, width: float) -> bool:
    core, flank, height = bands
    behind = _between(back, place + BEHIND[0] * width, place + BEHIND[1] * width)
    ahead = _between(back, place - AHEAD[1] * width, place - AHEAD[0] * width)
    stark = float(np.median(height[behind]))
    if stark < LEAST_HEIGHT or float(height[ahead].mean()) >= LEFT_SHARE * stark:
        return False
    shown, beside = float(np.median(core[behind])), float(np.median(flank[behind]))
    # metal over these flanks would be at least so dark
    beyond = slice(0, ahead.stop)
    metal = shown + np.minimum(flank[beyond] - beside, 0.0)
    return bool(
        float(flank[ahead].mean()) > beside - BRIGHTER * stark
        and float((core[beyond] - (metal - stark)).max()) < MOST_LEFT * stark
    )


def _between(back: Floats, low: float, high: float) -> slice:
    """Indices of the places that lie between, neither end included."""
    return slice(int(np.searchsorted(back, low, side="right")), int(np.searchsorted(back, high, side="left")))
