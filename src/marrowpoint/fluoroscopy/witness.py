"""What the learned prior says of a bar: whether it sees a shaft along it, and a tip at its ends."""

from __future__ import annotations

import numpy as np

from marrowpoint.cortex import BonePrior
from marrowpoint.fluoroscopy.ends import NEAR_EXIT, End
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.frame import FloatImage

NO_TIP, CLEAR_HEAT = 0.35, 0.3  # weight of a bar at whose ends the prior sees no tip; heat of a tip that it does see


def shaft_seen(prior: BonePrior, shaft: Shaft) -> float:
    """Mean of the prior's shaft probability on a shaft.

    Parameters
    ----------
    prior : BonePrior
    shaft : Shaft

    Returns
    -------
    float
        0..1.
    """
    places = np.linspace(shaft.start_px, shaft.stop_px, 24)
    return float(np.mean([_at(prior.shaft, prior, shaft.point(float(p)), 0) for p in places]))


def tip_heat(prior: BonePrior, point: tuple[float, float], end: End) -> float:
    """Tip heat at an end; none where the shaft runs out of the picture, for no tip is seen there.

    Parameters
    ----------
    prior : BonePrior
    point : tuple of float
        (row, column) of the end [px].
    end : End

    Returns
    -------
    float
        0..1.
    """
    return 0.0 if end.exit_widths < NEAR_EXIT else _at(prior.tip, prior, point, 1)


def agreement(score: float, along: float, heat: float) -> float:
    """Factor on a bar's score: the prior sees a tip at its end, and shaft or at least that tip.

    A bar that is clear by itself keeps a part of its score: the network knows only simulated pelves.

    Parameters
    ----------
    score : float
        Of the bar by itself.
    along, heat : float
        What the prior says of its shaft and of its better end, 0..1.

    Returns
    -------
    float
    """
    seen = (NO_TIP + (1 - NO_TIP) * min(1.0, heat / CLEAR_HEAT)) * (0.6 + 0.6 * max(along, heat))
    clear = 0.4 * float(np.clip((score - 0.75) / 0.15, 0.0, 1.0))
    return max(seen, clear)


def _at(grid: FloatImage, prior: BonePrior, point: tuple[float, float], around: int) -> float:
    r = int(np.clip((point[0] + 0.5) * grid.shape[0] / prior.frame_shape[0], 0, grid.shape[0] - 1))
    c = int(np.clip((point[1] + 0.5) * grid.shape[1] / prior.frame_shape[1], 0, grid.shape[1] - 1))
    return float(grid[max(0, r - around) : r + around + 1, max(0, c - around) : c + around + 1].max())
