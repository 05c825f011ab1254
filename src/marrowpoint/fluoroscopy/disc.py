"""A needle that points along the beam: a small round spot of metal without a shaft.

Only asked where no straight bar is a needle. On a ring around a disc the picture falls outward in *every* direction; on a ring
around a bar, an end of a bar or a bone edge it does not. Over thick bone, under its hub, or a degree beside the beam, a needle
has no such ring; but ten centimetres of steel along the beam attenuate more than anything else in the picture, and there is
little of it: of a declared size, it is looked for from the highest level down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.candidates import normalised_gradient
from marrowpoint.fluoroscopy.ends import metal_rarity
from marrowpoint.frame import FloatImage, Mask

WORK_SIDE_PX = 512  # longest side of the reduced picture
RADII_PX = (2, 3, 4, 5, 6, 8, 10)  # in it: needles of 1.5 to 8 mm in a field of 20 cm
DIRECTIONS = 8
LEAST_RING = 0.35  # outward fall in the worst direction, 0..1: less is noise or no disc
MOST_SPOTS = 4  # looked at in full resolution
SECTORS = 24
ROUND = 0.2  # spread of the radius over its mean: more is no disc
LEAST_CONTRAST, SECTOR_CONTRAST = 0.15, 0.5  # of the full range; and of the median in the worst sector
NOISE = 4.0  # times the grain beside it
SURE_POLARITY = 0.95
LEVEL_STEP, LEAST_LEVELS = 0.02, 4  # of the full range; a spot of metal keeps its shape over so many levels
FIRST_SHARE, LAST_SHARE = 0.01, 0.12  # of the field that may be above the first level of a spot, and above any looked at
SPOT_SIZE = (0.75, 1.8)  # short axis over the declared width
WATCHED = 2.8  # the same of pieces that are followed: a larger disc begins small, and a hub is larger still
SLANT, FILLED = 2.1, 0.9  # most of long over short axis, and least of the ellipse that is filled
SAME_SPOT = 0.3  # widths between the middles of one spot at two levels
SIZE_FOLD = 1.7  # found over declared width: the needle's near end is more magnified than its tip


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc:
    """A round spot.

    Parameters
    ----------
    centre : tuple of float
        (row, column) [px].
    diameter_px : float
    contrast : float
        Height over its surroundings, of the full range.
    """

    centre: tuple[float, float]
    diameter_px: float
    contrast: float


def find_disc(exposure: Exposure, *, expected_width_px: float | None = None) -> Disc | None:
    """Find a compact round piece of metal.

    Parameters
    ----------
    exposure : Exposure
    expected_width_px : float, optional
        Declared diameter over the header's scale [px]; a disc of another size is none.

    Returns
    -------
    Disc or None
    """
    sides = [exposure]
    # polarity was settled by bars, and here there may be none; only a declared size makes the other one worth a look
    if exposure.polarity_confidence < SURE_POLARITY and expected_width_px is not None:
        sides.append(replace(exposure, attenuation=1 - exposure.attenuation))
    if expected_width_px is not None:
        heavy = [spot for side in sides if (spot := _heaviest_spot(side, expected_width_px)) is not None]
        if heavy:
            return max(heavy, key=lambda spot: spot.contrast)
    for side in sides:
        for row, column, radius in _spots(side):
            disc = _measured(side, (row, column), radius)
            if disc is not None and (
                expected_width_px is None or abs(np.log(disc.diameter_px / expected_width_px)) < np.log(SIZE_FOLD)
            ):
                return disc
    return None


def _heaviest_spot(exposure: Exposure, width_px: float) -> Disc | None:
    """The compact spot of needle size that stands out longest among the highest levels of the picture."""
    scale = max(1.0, max(exposure.field.shape) / WORK_SIDE_PX)
    shape = tuple(round(n / scale) for n in exposure.field.shape)
    reduced = cv2.resize(exposure.attenuation, shape[::-1], interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.GaussianBlur(reduced, (0, 0), 0.8), np.float32)
    inside = np.asarray(cv2.resize(exposure.field.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    width = width_px / scale
    seen = _followed(small, inside, width)
    fitting = [
        (row, column, [d for d in diameters if d < SPOT_SIZE[1] * width])
        for row, column, diameters in seen
        if np.median(diameters) < SPOT_SIZE[1] * width
    ]
    row, column, diameters = max(fitting, key=lambda spot: len(spot[2]), default=(0.0, 0.0, []))
    if len(diameters) < LEAST_LEVELS:
        return None
    return Disc(
        centre=((row + 0.5) * scale - 0.5, (column + 0.5) * scale - 0.5),
        diameter_px=float(np.median(diameters)) * scale,
        contrast=LEVEL_STEP * len(diameters),
    )


def _followed(small: FloatImage, inside: NDArray[np.uint8], width: float) -> list[tuple[float, float, list[float]]]:
    """Row, column and short axes, level by level, of the round pieces that begin among the highest levels."""
    margin = np.ones((2 * int(width) + 1,) * 2, np.uint8)
    well_inside = cv2.erode(np.pad(inside, 1), margin, borderValue=0)[1:-1, 1:-1] > 0
    if not well_inside.any():
        return []
    seen: list[tuple[float, float, list[float]]] = []
    for level in np.arange(float(small[well_inside].max()) - LEVEL_STEP / 2, LEVEL_STEP, -LEVEL_STEP):
        above = ((small > level) & (inside > 0)).astype(np.uint8)
        share = float(above.sum()) / float(inside.sum())
        if share > LAST_SHARE:
            break
        for row, column, diameter in _round_pieces(above, width, well_inside):
            known = [spot for spot in seen if np.hypot(spot[0] - row, spot[1] - column) < SAME_SPOT * width]
            if known:
                known[0][2].append(diameter)
            elif share < FIRST_SHARE:
                seen.append((row, column, [diameter]))
    return seen


def _round_pieces(above: NDArray[np.uint8], width: float, allowed: Mask) -> list[tuple[float, float, float]]:
    """Row, column and short axis of the filled ellipses of needle size in a mask."""
    found = []
    count, labels, boxes, middles = cv2.connectedComponentsWithStats(above, connectivity=4)
    smallest, largest = np.pi / 4 * width**2 * np.array([SPOT_SIZE[0] ** 2, WATCHED**2 * SLANT])
    for k in range(1, count):
        left, top, across, down, area = (int(n) for n in boxes[k])
        column, row = (float(n) for n in middles[k])
        if not smallest * FILLED < area < largest or not allowed[round(row), round(column)]:
            continue
        pixels = np.nonzero(labels[top : top + down, left : left + across] == k)
        # the standard deviation along an axis of a filled ellipse is a quarter of that axis
        short, long = 4 * np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(np.array(pixels))), 0.0) + 1 / 12)
        filled = area / (np.pi / 4 * short * long)
        if long < SLANT * short and filled > FILLED and SPOT_SIZE[0] < short / width < WATCHED:
            found.append((row, column, float(short)))
    return found


def _spots(exposure: Exposure) -> list[tuple[float, float, float]]:
    """Best places (row, column, radius) in full-resolution pixels, best first."""
    scale = max(1.0, max(exposure.field.shape) / WORK_SIDE_PX)
    shape = tuple(round(n / scale) for n in exposure.field.shape)
    small = np.asarray(cv2.resize(exposure.attenuation, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    inside = cv2.resize(exposure.field.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_AREA)
    rings = _rings(normalised_gradient(small, inside))
    best, which = rings.max(0), rings.argmax(0)
    spots = []
    for _ in range(MOST_SPOTS):
        y, x = divmod(int(best.argmax()), best.shape[1])
        if best[y, x] < LEAST_RING:
            break
        radius = RADII_PX[int(which[y, x])]
        spots.append(((y + 0.5) * scale - 0.5, (x + 0.5) * scale - 0.5, radius * scale))
        best[max(0, y - 2 * radius) : y + 2 * radius + 1, max(0, x - 2 * radius) : x + 2 * radius + 1] = 0.0
    return spots


def _rings(gradient: FloatImage) -> FloatImage:
    """Outward fall in the worst of all directions, on rings of each radius: shape (radii, m, n)."""
    reach = max(RADII_PX)
    m, n = gradient.shape[1:]
    worst = np.ones((len(RADII_PX), m, n), np.float32)
    for angle in np.arange(DIRECTIONS // 2) * (2 * np.pi / DIRECTIONS):
        c, s = float(np.cos(angle)), float(np.sin(angle))
        slope = cv2.blur(cv2.addWeighted(gradient[0], c, gradient[1], s, 0.0), (3, 3))
        slope = np.pad(slope, reach)
        for fall, radius in zip(worst, RADII_PX, strict=True):
            dx, dy = round(radius * c), round(radius * s)
            np.minimum(fall, -slope[reach + dy : reach + dy + m, reach + dx : reach + dx + n], out=fall)
            np.minimum(fall, slope[reach - dy : reach - dy + m, reach - dx : reach - dx + n], out=fall)
    return worst


def _measured(exposure: Exposure, centre: tuple[float, float], radius: float) -> Disc | None:
    """The disc at full resolution, or None where it is not round, not metal, or has a shaft."""
    angles = np.arange(SECTORS) * (2 * np.pi / SECTORS)
    centre = _centred(exposure.attenuation, centre, radius)
    away = np.arange(0.0, 3.2 * radius, 0.5)
    rows, columns = centre[0] + np.outer(np.sin(angles), away), centre[1] + np.outer(np.cos(angles), away)
    if (
        rows.min() < 0
        or columns.min() < 0
        or rows.max() > exposure.field.shape[0] - 1
        or columns.max() > exposure.field.shape[1] - 1
    ):
        return None
    profile = sample(exposure.attenuation, rows, columns).astype(np.float64)
    inner = float(profile[:, away < 0.5 * radius].mean())
    beside = profile[:, (away > 1.7 * radius) & (away < 3.0 * radius)]
    drops = inner - beside.mean(1)
    contrast, grain = float(np.median(drops)), float(np.median(beside.std(1)))
    if contrast < max(LEAST_CONTRAST, NOISE * grain) or drops.min() < SECTOR_CONTRAST * contrast:
        return None
    edges = _half_heights(profile, away, inner - 0.5 * drops)
    if edges is None or edges.std() > ROUND * edges.mean() or metal_rarity(exposure, inner - 0.25 * contrast) < 0.5:
        return None
    return Disc(centre=centre, diameter_px=2 * float(edges.mean()), contrast=contrast)


def _centred(image: FloatImage, centre: tuple[float, float], radius: float) -> tuple[float, float]:
    """Centre of mass of what stands out within one and a half radii."""
    reach = 1.5 * radius
    grid = np.arange(-reach, reach + 0.5, 0.5)
    rows, columns = np.meshgrid(grid, grid, indexing="ij")
    value = sample(image, centre[0] + rows, centre[1] + columns)
    weight = np.clip(value - 0.5 * (float(value.max()) + float(np.median(value))), 0.0, None) * (
        rows**2 + columns**2 < reach**2
    )
    total = max(float(weight.sum()), 1e-9)
    return centre[0] + float((weight * rows).sum()) / total, centre[1] + float((weight * columns).sum()) / total


def _half_heights(
    profile: NDArray[np.float64], away: NDArray[np.float64], level: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Radius in each sector where the profile first falls below its level; None where it does not."""
    below = profile < level[:, None]
    if not below.any(1).all():
        return None
    radii: NDArray[np.float64] = away[below.argmax(1)]
    return radii
