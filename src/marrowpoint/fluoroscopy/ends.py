"""Which end of a shaft is the tip: the hub is thick, lies outside the body, or lies outside the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.edges import sample_strip
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.shaft import Shaft

LOOK_BACK = 3.0  # widths behind the end
LOOK_AHEAD = 8.0  # widths beyond the end
NEAR_EXIT = 3.0  # widths to the border of the field: the shaft runs out of the picture
FAR_EXIT = 7.0  # widths: it may have faded before the border
HOLDER, HOLDER_SIDE = (0.7, 3.0), 2.0  # widths beyond the end and to each side in which a holder must be seen
HOLDER_LEVEL, HOLDER_SHARE = 0.75, 0.7  # of the shaft's contrast that counts as metal, and how much of that area must have it
RARE_SHARE, COMMON_SHARE = 0.12, 0.2  # of the field: metal is that rare, bone that common
HELD_END = 0.5  # of an end that leaves the picture: a tip may also vanish in white bone
HUB_WEIGHT, BODY_WEIGHT, EXIT_WEIGHT = 2.5, 3.0, 3.0  # fitted by eye on few frames: all are round numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What is seen at one end of a shaft.

    Parameters
    ----------
    exit_widths : float
        Distance to the border of the field along the shaft, in widths, at most `LOOK_AHEAD`.
    hub : float
        Excess on both sides of the shaft near the end over the surroundings farther out, in contrasts of the shaft.
    contrast : float
        Shaft over its sides just inside the end.
    body : float
        Attenuation beside the shaft just inside the end.
    saturated : float
        Share of the background at the end that is clipped.
    held : float
        0..1, the shaft runs into something wide that attenuates as much as itself: a guide, a clamp, a large hub.
    """

    exit_widths: float
    hub: float
    contrast: float
    body: float
    saturated: float
    held: float


def look_at_end(exposure: Exposure, shaft: Shaft, *, at_stop: bool) -> End:
    """Measure what tells a tip from a hub.

    Parameters
    ----------
    exposure : Exposure
    shaft : Shaft
    at_stop : bool
        Which end.

    Returns
    -------
    End
    """
    width = shaft.width_px
    outward = 1.0 if at_stop else -1.0
    origin = shaft.point(shaft.stop_px if at_stop else shaft.start_px)
    axis = (shaft.axis[0] * outward, shaft.axis[1] * outward)
    step = max(1.0, width / 10)
    along = np.arange(-LOOK_BACK * width, LOOK_AHEAD * width, step)
    across = np.arange(-3.2 * width, 3.2 * width + step, step)
    strip = sample_strip(exposure.attenuation, origin, axis, along, across)
    rows, columns = origin[0] + along * axis[0], origin[1] + along * axis[1]
    shape = exposure.field.shape
    open_ = (rows > 0) & (columns > 0) & (rows < shape[0] - 1) & (columns < shape[1] - 1)
    open_[open_] = exposure.field[rows[open_].round().astype(int), columns[open_].round().astype(int)]
    closed = along[~open_ & (along > 0)]
    leaves = float(closed[0]) / width if len(closed) else LOOK_AHEAD
    size = np.abs(across)
    inner, near, far = size < 0.3 * width + 0.5, (size > 0.8 * width) & (size < 1.5 * width), size > 2.2 * width
    left = across < 0
    excess = np.minimum(
        strip[:, near & left].mean(1) - strip[:, far & left].mean(1),
        strip[:, near & ~left].mean(1) - strip[:, far & ~left].mean(1),
    )
    length = max(1, round(width / step))
    excess = np.convolve(excess, np.ones(length) / length, mode="same")
    seen = (along > -2 * width) & (along < min(6.0, leaves) * width)
    behind = along < -0.8 * width
    body = float(strip[behind][:, near].mean())
    contrast = float(strip[behind][:, inner].mean()) - body
    clipped = strip[behind][:, near]
    ahead = strip[(along > HOLDER[0] * width) & (along < HOLDER[1] * width)][:, size < HOLDER_SIDE * width]
    metal = body + HOLDER_LEVEL * contrast
    holding = float(np.mean(ahead > metal)) if leaves > HOLDER[1] else 0.0
    return End(
        exit_widths=leaves,
        hub=float(np.clip(excess[seen].max(initial=0.0) / max(contrast, 1e-3), -1.0, 1.0)),
        contrast=contrast,
        body=body,
        saturated=float(np.mean(clipped < 0.004)),
        held=float(np.clip((holding - HOLDER_SHARE) / (1 - HOLDER_SHARE), 0.0, 1.0)) * metal_rarity(exposure, metal),
    )


def metal_rarity(exposure: Exposure, level: float) -> float:
    """How rare an attenuation is in a picture: metal is rare, bone (or air taken for metal) is common.

    Parameters
    ----------
    exposure : Exposure
    level : float
        Attenuation, 0..1.

    Returns
    -------
    float
        1 where little of the field attenuates more than that, 0 where much does.
    """
    sparse = exposure.attenuation[::8, ::8][exposure.field[::8, ::8]]
    share = float(np.mean(sparse > level)) if sparse.size else 1.0
    return float(np.clip((COMMON_SHARE - share) / (COMMON_SHARE - RARE_SHARE), 0.0, 1.0))


def tip_margin(start: End, stop: End) -> float:
    """Evidence that the tip is the end at `stop_px` (positive) or the one at `start_px` (negative), about log odds.

    Parameters
    ----------
    start, stop : End

    Returns
    -------
    float
    """
    return 1.5 * (_hubness(start) - _hubness(stop) + BODY_WEIGHT * (stop.body - start.body))


def _hubness(end: End) -> float:
    leaving = 1.0 if end.exit_widths < NEAR_EXIT else 0.6 if end.exit_widths < FAR_EXIT else 0.0
    leaving = max(leaving, HELD_END * end.held)
    return EXIT_WEIGHT * leaving + HUB_WEIGHT * float(np.clip(end.hub - 0.05, 0.0, 0.4))
