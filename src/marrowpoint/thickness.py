"""How thick the bone is at the tip, and how far thin bone is, read from a thickness map with the tip's own doubt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marrowpoint.cortex import ThicknessMap
from marrowpoint.frame import Points

MIN_BONE_SHARE = 0.5  # below this share of possible tips over mapped bone the map does not speak of the tip
# The map's limits (3 and 97 % as trained) held 89 % of tips in hips that no training saw and called 2 of 63 thin ones thick;
# 1.2 times as wide they hold 97 % and call none (training/calibrate.py). So they lie this many sd from the median.
LIMIT_SD = 1.959964 / 1.2


def cell_points(thickness: ThicknessMap) -> Points:
    """Frame positions of the centres of the grid cells.

    Parameters
    ----------
    thickness : ThicknessMap
        Grid of shape (m, n).

    Returns
    -------
    ndarray of shape (m, n, 2), float64
        (row, column) [px].
    """
    m, n = thickness.median_mm.shape
    rows = (np.arange(m) + 0.5) * thickness.frame_shape[0] / m - 0.5
    columns = (np.arange(n) + 0.5) * thickness.frame_shape[1] / n - 0.5
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def sample_map(thickness: ThicknessMap, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and limits of the thickness at points, interpolated over mapped bone only.

    Parameters
    ----------
    thickness : ThicknessMap
    points : ndarray of shape (P, 2)
        (row, column) [px].

    Returns
    -------
    limits : ndarray of shape (3, P)
        Lower limit, median and upper limit [mm]; 0 where no bone is mapped.
    mapped : ndarray of shape (P,)
        Share of the interpolation weight that lies on mapped bone, 0..1.
    """
    m, n = thickness.median_mm.shape
    grid = np.stack([thickness.lower_mm, thickness.median_mm, thickness.upper_mm]).astype(np.float64)
    bone = thickness.median_mm > 0
    i = np.clip((points[:, 0] + 0.5) * m / thickness.frame_shape[0] - 0.5, 0, m - 1)
    j = np.clip((points[:, 1] + 0.5) * n / thickness.frame_shape[1] - 0.5, 0, n - 1)
    i0, j0 = np.floor(i).astype(int), np.floor(j).astype(int)
    total = np.zeros((3, len(points)))
    weight = np.zeros(len(points))
    for di in (0, 1):
        for dj in (0, 1):
            ii, jj = np.minimum(i0 + di, m - 1), np.minimum(j0 + dj, n - 1)
            w = np.abs(1 - di - (i - i0)) * np.abs(1 - dj - (j - j0)) * bone[ii, jj]
            total += w * grid[:, ii, jj]
            weight += w
    return total / np.maximum(weight, 1e-9), weight


def thickness_at(thickness: ThicknessMap, tips: Points, noise: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Local thickness that the tip lies in, over all places where the tip may be.

    Each possible tip draws its thickness from the map's own distribution there (two half normals that meet at the median),
    so that the interval holds both the map's doubt and the tip's (Monte Carlo of JCGM 101:2008).

    Parameters
    ----------
    thickness : ThicknessMap
    tips : ndarray of shape (P, 2)
        Possible positions of the tip [px]; the first is the best one.
    noise : ndarray of shape (R, P)
        Standard normal numbers.

    Returns
    -------
    tuple of float or None
        Median and 95 % limits [mm]; None where the tip is not over mapped bone.
    """
    (lower, median, upper), mapped = sample_map(thickness, tips)
    over_bone = mapped >= MIN_BONE_SHARE
    if not over_bone[0] or over_bone.mean() < MIN_BONE_SHARE:
        return None
    lower, median, upper = lower[over_bone], median[over_bone], upper[over_bone]
    z = noise[:, over_bone] / LIMIT_SD
    drawn = median + np.where(z < 0, (median - lower) * z, (upper - median) * z)
    low, value, high = (float(x) for x in np.percentile(np.maximum(drawn, 0.0), [2.5, 50.0, 97.5]))
    return value, low, high


def nearest_thin(
    thickness: ThicknessMap, tips: Points, unit: Points, thin_below_mm: float
) -> tuple[NDArray[np.float64], tuple[float, float]] | None:
    """In-plane distance from each possible tip to the nearest place that the map's median calls thin.

    Parameters
    ----------
    thickness : ThicknessMap
    tips : ndarray of shape (P, 2)
        Possible positions of the tip [px]; the first is the best one.
    unit : ndarray of shape (2,)
        Length of one row and one column step [mm/px or px].
    thin_below_mm : float
        What counts as thin [mm].

    Returns
    -------
    distance : ndarray of shape (P,)
        To the near side of the thin cell, in `unit`; 0 on thin bone.
    point : tuple of float
        (row, column) [px] of the thin cell nearest to the best tip.
    """
    thin = (thickness.median_mm > 0) & (thickness.median_mm < thin_below_mm)
    if not thin.any():
        return None
    cells = cell_points(thickness)[thin]
    half = np.array(thickness.frame_shape) / np.array(thickness.median_mm.shape) / 2
    reach = np.hypot(*((cells - tips[0]) * unit).T)
    spread = np.hypot(*((tips - tips[0]) * unit).T).max() + np.hypot(*(half * unit))
    near = reach <= reach.min() + 2 * spread + 1e-9
    gap = np.maximum(np.abs(tips[:, None, :] - cells[near][None]) - half, 0.0) * unit
    distance = np.hypot(gap[..., 0], gap[..., 1]).min(axis=1)
    row, column = cells[np.argmin(reach)]
    return distance, (float(row), float(column))
