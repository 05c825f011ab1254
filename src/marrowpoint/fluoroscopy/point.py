"""The tip under a display curve that nobody told: a point that is shown faintly toward its apex looks like a shorter one.

One cross-section hardly tells the curves apart, and the best of them may be the wrong one. So the tip is fitted with the best
cross-section of each curve that is not ruled out, and the fits are averaged by what cross-section and tip leave unexplained.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowpoint.fluoroscopy.section import Section
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.fluoroscopy.tip import Tip, fit_tip
from marrowpoint.frame import FloatImage

LEAST_WEIGHT = -4.0  # log weight of a cross-section below which its curve is not tried
FREE_SAMPLES = 40.0  # free samples of a tip's window: systematic misfit, not noise, limits it


def fit_point(attenuation: FloatImage, shaft: Shaft, section: Section, *, at_stop: bool) -> Tip:
    """Fit the end of a shaft with every plausible display curve and average the fits.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
    shaft : Shaft
    section : Section
        From `section.fit_section` near this end.
    at_stop : bool
        Which end: the one at `stop_px` or at `start_px`.

    Returns
    -------
    Tip
        Of the most plausible curve, but for its place, its standard deviation and its evidence of a point.
    """
    tried = [(rival, weight) for rival, weight in section.rivals if weight > LEAST_WEIGHT] or [(section, 0.0)]
    window = 2 * section.radius_px
    tips = [fit_tip(attenuation, shaft, rival, at_stop=at_stop, window_width_px=window) for rival, _ in tried]
    misfit = np.array([tip.noise**2 for tip in tips])
    log = np.array([weight for _, weight in tried]) - 0.5 * FREE_SAMPLES * (misfit / misfit.min() - 1.0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    place = np.array([tip.along_px for tip in tips])
    middle = float(weight @ place)
    variance = float(weight @ (np.array([tip.sd_px for tip in tips]) ** 2 + (place - middle) ** 2))
    return replace(
        tips[int(weight.argmax())],
        along_px=middle,
        sd_px=float(np.sqrt(variance)),
        pointed=float(weight @ np.array([tip.pointed for tip in tips])),
    )
