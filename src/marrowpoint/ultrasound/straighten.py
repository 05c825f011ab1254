"""Move a rough line onto the leading edge of a shaft's echo: copies of the shaft below it and past its tip are left out."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask

CHUNK_MM = 2.4  # piece of shaft whose side is one point of the line
STRAIGHT_MM = 0.35  # a shaft is straight to within so much
FIRST_CREST_MM = 0.95  # from the half height of the leading side to the crest of an echo: half a pulse of 2 to 5 MHz
MIN_SIDE = 0.05  # grey value of the shaft over what lies before it
BEFORE_MM = (4.0, 0.8)  # where that is, from the crest


def refit_line(
    strip: FloatImage, inside: Mask, along: np.ndarray, across: np.ndarray, reach: float
) -> tuple[float, float] | None:
    """Shift and slope that bring a line onto the crest of the shaft's first echo.

    Parameters
    ----------
    strip : ndarray of shape (S, K)
        Grey values along and across the line.
    inside : ndarray of shape (S,), bool
        Where the line runs through tissue.
    along, across : ndarray of shape (S,) and (K,)
        Evenly spaced positions [mm].
    reach : float
        How far from the line the echo is sought [mm].

    Returns
    -------
    tuple of float or None
        Shift across [mm] and slope; None where there is no straight echo.
    """
    chunk = int(CHUNK_MM / (along[1] - along[0]))
    count = len(along) // chunk
    if count < 3:
        return None
    fine = float(across[1] - across[0])
    profiles = strip[: count * chunk].reshape(count, chunk, -1).mean(axis=1)
    profiles = cv2.GaussianBlur(profiles, (0, 0), sigmaX=0.25 / fine, sigmaY=0.01)
    share = inside[: count * chunk].reshape(count, chunk).mean(axis=1)
    where = along[: count * chunk].reshape(count, chunk).mean(axis=1)
    place, weight = _leading_edges(profiles, across, np.abs(across) <= reach)
    strong = (share >= 0.7) & (weight >= MIN_SIDE)
    if np.count_nonzero(strong) < 3:
        return None
    strong &= weight > 0.4 * weight[strong].max()
    fit = _straightest(where[strong], place[strong], weight[strong])
    if fit is None:
        return None
    slope, offset = fit
    # positions count from the line's own zero, so a turn about it keeps the fitted line
    return float(offset) + FIRST_CREST_MM, float(slope)


def _leading_edges(profiles: FloatImage, across: np.ndarray, near: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Half height of each band's side nearest to the probe, and its contrast."""
    fine = float(across[1] - across[0])
    rows, index = np.arange(len(profiles)), np.arange(profiles.shape[1])
    first = int(np.argmax(near))
    peak = first + profiles[:, near].argmax(axis=1)
    before = peak[:, None] + np.arange(-int(BEFORE_MM[0] / fine), -int(BEFORE_MM[1] / fine))
    known = before >= 0
    ranked = np.sort(np.where(known, profiles[rows[:, None], np.maximum(before, 0)], np.inf), axis=1)
    rank = (0.3 * np.maximum(known.sum(axis=1) - 1, 0)).astype(np.int64)
    base = np.where(known.any(axis=1), ranked[rows, rank], profiles[:, 0])
    contrast = profiles[rows, peak] - base
    # the first crest, not the brightest copy: go up while the profile stays above half height
    half = base + contrast / 2
    low = np.where((profiles <= half[:, None]) & (index < peak[:, None]), index, -1).max(axis=1)
    i = np.maximum(low, 0)
    rise = np.maximum(profiles[rows, np.minimum(i + 1, len(index) - 1)] - profiles[rows, i], 1e-6)
    fraction = np.clip((half - profiles[rows, i]) / rise, 0.0, 1.0)
    return np.where(low >= 0, across[i] + fraction * fine, across[0]), contrast


def _straightest(where: np.ndarray, place: np.ndarray, weight: np.ndarray) -> tuple[float, float] | None:
    """Slope and offset of the line through most of the points: copies of the shaft past its tip do not lie on it."""
    count = len(where)
    if count < 3:
        return None
    index = np.arange(count)
    first, second = np.nonzero(index[:, None] < index)
    slopes = (place[second] - place[first]) / (where[second] - where[first])
    offsets = place[first] - slopes * where[first]
    close = np.abs(place - slopes[:, None] * where - offsets[:, None]) < STRAIGHT_MM
    on_line = close[int((close @ weight).argmax())]
    if np.count_nonzero(on_line) < 3:
        return None
    x, y, w = where[on_line], place[on_line], weight[on_line] ** 2
    middle = float(np.average(x, weights=w)), float(np.average(y, weights=w))
    slope = float(np.sum(w * (x - middle[0]) * (y - middle[1])) / np.sum(w * (x - middle[0]) ** 2))
    return slope, middle[1] - slope * middle[0]
