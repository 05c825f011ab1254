"""A piece of needle in burnt-out air: a slim bright island where everything around it is clipped.

Overexposed air leaves of a needle only the stretch where the last soft tissue adds to its shadow, often shorter than the bars
`candidates` looks for. Nothing anatomical floats there, but hubs, clamps and lead letters do: the declared width is the
witness, and the tip is the end nearer the body.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.exposure import Exposure
from marrowpoint.frame import Mask
from marrowpoint.needle import Needle

CLIPPED = 0.004  # attenuation up to which a pixel of 8 bits is burnt out
LEAST_AIR = 0.05  # of the field: less burnt-out air hides no needle
THICKEST = 0.036  # of the frame's longest side: wider than an 8G needle in a field of 12 cm
LEAST_WIDTH_PX, LEAST_AREA_PX, LEAST_PEAK = 5.0, 40, 0.06  # size, and height (of the full range) of anything worth a look
SLIM, LONG = 1.7, 6.0  # length over width; a longer piece is a bar, and may be torn at both ends
SOLID = 0.4  # share of that box that is filled: an empty bore leaves a fork
ALONE = 0.7  # share of the surroundings that is burnt out: the tip may touch the skin
SEEN_WIDTH = (0.4, 1.15)  # of the declared width: the thin rim of a shaft is burnt out, too
TOWARD_BODY = 0.4  # of the length, by which the tip is nearer the body than the other end
HIDDEN, HIDDEN_SD = 0.15, 0.3  # widths of cone that are burnt out
WITNESSED, ALONE_SURE = 0.7, 0.4  # confidence with and without a declared width
LEAST_SD_PX = 0.5


def find_island(exposure: Exposure, *, expected_width_px: float | None = None) -> Needle | None:
    """Find the one slim piece of metal in burnt-out air.

    Parameters
    ----------
    exposure : Exposure
    expected_width_px : float, optional
        Declared diameter over the header's scale [px]; without it the needle is only a suggestion (confidence below one half).

    Returns
    -------
    Needle or None
        None where there is none, or more than one.
    """
    air = (exposure.attenuation < CLIPPED) & exposure.field
    if air.mean() < LEAST_AIR * exposure.field.mean():
        return None
    shown = (~air & exposure.field).astype(np.uint8)
    side = round(THICKEST * max(exposure.field.shape)) | 1
    # beyond the field there is neither air nor body
    body = cv2.morphologyEx(shown | (~exposure.field).astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8)) > 0
    count, labels, stats, _ = cv2.connectedComponentsWithStats(shown & ~body, connectivity=8)
    body &= exposure.field
    if not body.any():
        return None
    away = np.asarray(cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
    found = []
    for i in range(1, count):
        if stats[i, cv2.CC_STAT_AREA] >= LEAST_AREA_PX:
            needle = _measured(exposure, labels == i, (air, away), expected_width_px)
            if needle is not None:
                found.append(needle)
    return found[0] if len(found) == 1 else None


def _measured(
    exposure: Exposure, island: Mask, around: tuple[Mask, NDArray[np.float32]], expected: float | None
) -> Needle | None:
    air, away = around
    points = np.argwhere(island).astype(np.float64)
    height = exposure.attenuation[island].astype(np.float64)
    if height.max() < LEAST_PEAK:
        return None
    middle = np.average(points, axis=0, weights=height)
    spread, axes = np.linalg.eigh(np.cov((points - middle).T))
    axis = axes[:, 1]
    along = (points - middle) @ axis
    width, length = float(np.sqrt(12 * spread[0])), float(np.ptp(along)) + 1
    if width < LEAST_WIDTH_PX or not SLIM < length / width < LONG or len(points) < SOLID * length * width:
        return None
    if expected is not None and not SEEN_WIDTH[0] * expected < width < SEEN_WIDTH[1] * expected:
        return None
    reach = max(3, round(0.5 * width)) | 1
    ring = (cv2.dilate(island.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0) & ~island
    if float(np.mean(air[ring])) < ALONE:
        return None
    ends = [middle + axis * along.min(), middle + axis * along.max()]
    last = np.array(island.shape) - 1
    far = [float(away[tuple(np.clip(np.round(end), 0, last).astype(int))]) for end in ends]
    if abs(far[0] - far[1]) < TOWARD_BODY * length:
        return None
    toward_hub = axis if far[0] < far[1] else -axis
    whole = width if expected is None else expected
    tip = ends[0 if far[0] < far[1] else 1] - HIDDEN * whole * toward_hub
    return Needle(
        tip=(float(tip[0]), float(tip[1])),
        axis=(float(toward_hub[0]), float(toward_hub[1])),
        width_px=whole,
        width_sd_px=0.3 * whole,  # what is seen is the core only
        tip_sd_along_px=float(np.hypot(LEAST_SD_PX, HIDDEN_SD * whole)),
        tip_sd_across_px=float(np.hypot(LEAST_SD_PX, 0.1 * whole)),
        length_px=length + HIDDEN * whole,
        confidence=ALONE_SURE if expected is None else WITNESSED,
    )
