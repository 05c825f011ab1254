"""The thick bodies of contrast, pools and streaks in soft tissue: what is no vein, and where one may begin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.runs.grid import GridScale, disc, distance_from
from marrowpoint.runs.spread import Surroundings

THICK_MM = 2.2  # half width: a body this thick is no vein
WIDE_MM = 3.5  # half width: what is so thick however faint it is, is no vein either
DENSE_SHARE = 0.1  # of the peak: what is fainter is no body
TAPER_MM = 5.0  # so far from the thick part the dense end of a body may taper
GAP_MM, HOLE_MM = 3.0, 12.0  # half width of a gap in the rim of a body, and side of the largest hole that it has
FORK_MM = 8.0  # side of the least piece that is a body of its own
NEAR_MM = 7.0  # so near to the tip every piece is a body


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bodies:
    """Bodies on the grid.

    Parameters
    ----------
    thick : ndarray of shape (m, n), bool
        Where they are thicker than a vein.
    whole : ndarray of shape (m, n), bool
        The same with their dense ends.
    """

    thick: Mask
    whole: Mask

    def near(self, place: Mask) -> Bodies:
        """Those that reach a place, a mask of shape (m, n)."""
        _, labels = cv2.connectedComponents(self.whole.astype(np.uint8), connectivity=8)
        kept = np.isin(labels, [label for label in np.unique(labels[place]) if label])
        return Bodies(thick=self.thick & kept, whole=self.whole & kept)


def find_bodies(most: FloatImage, seen: Mask, around: Surroundings, scale: GridScale, *, pool: bool = True) -> Bodies:
    """Find the bodies by their thickness, measured against their own peak: against the noise a dense vein looks thick.

    Parameters
    ----------
    most : ndarray of shape (m, n), float32
        The most contrast that each place showed, in noise SDs.
    seen : ndarray of shape (m, n), bool
        Where contrast was seen.
    around : Surroundings
    scale : GridScale
    pool : bool
        Whether the largest of them is one however small it is.

    Returns
    -------
    Bodies
    """
    if not seen.any():
        return Bodies(thick=np.zeros_like(seen), whole=np.zeros_like(seen))
    smooth = cv2.GaussianBlur(most, (0, 0), max(0.5, scale.px(0.4)))
    wide = cv2.morphologyEx(_whole(seen, around, scale).astype(np.uint8), cv2.MORPH_OPEN, disc(scale.px(WIDE_MM))) > 0
    dense = seen & (smooth > DENSE_SHARE * float(np.quantile(smooth[seen], 0.98)))
    thick = wide | (cv2.morphologyEx(dense.astype(np.uint8), cv2.MORPH_OPEN, disc(scale.px(THICK_MM))) > 0)
    thick = _without_forks(thick, from_tip(around), scale, pool=pool)
    tapered = thick
    for _ in range(max(1, round(scale.px(TAPER_MM)))):
        tapered = tapered | (dense & (cv2.dilate(tapered.astype(np.uint8), disc(1)) > 0))
    return Bodies(thick=thick, whole=np.asarray(tapered))


def from_tip(around: Surroundings) -> FloatImage:
    """Distance of every place from the tip in pixels of the grid, shape (m, n)."""
    return distance_from(around.tip, around.corridor.shape)


def _whole(seen: Mask, around: Surroundings, scale: GridScale) -> Mask:
    """What was seen, with what needle and black bone hide in it: behind the shaft where both its sides show contrast."""
    near = from_tip(around) < scale.px(NEAR_MM)
    dark = seen | (around.corridor & near)
    closed = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_CLOSE, disc(scale.px(GAP_MM))) > 0
    whole = dark | (closed & (around.corridor | near))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~(whole | around.corridor)).astype(np.uint8), connectivity=4)
    holes = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] <= scale.px(HOLE_MM) ** 2]
    return np.asarray(whole | np.isin(labels, holes))


def _without_forks(thick: Mask, distance: FloatImage, scale: GridScale, *, pool: bool) -> Mask:
    """Bodies without small pieces away from the tip: where a vein forks or turns it looks thick, and is no pool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(thick.astype(np.uint8), connectivity=8)
    if count <= 2 and pool:
        return thick
    near = distance < scale.px(NEAR_MM)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if pool and count > 1 else 0
    least = scale.px(FORK_MM) ** 2
    kept = [
        label
        for label in range(1, count)
        if label == largest or stats[label, cv2.CC_STAT_AREA] >= least or bool((near & (labels == label)).any())
    ]
    return np.isin(labels, kept)
