"""Read the depth ruler that the screen shows beside the picture: evenly spaced short bars, one a centimetre.

A ruler is a fallback. Its ticks carry no unit that a program can rely on: equal ticks are taken as centimetres; where some
are longer or labelled, those are the centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import Frame
from marrowpoint.ultrasound.marks import Levels, levels_of
from marrowpoint.ultrasound.sector import Sector

MIN_TICKS = 4  # three may be chance
TICK_WIDTH_PX = (4, 24)
MAX_TICK_HEIGHT_PX = 5
MIN_SPACING_PX = 7.0
TICK_CONTRAST = 30  # grey levels
TOLERANCE_PX = 1.6
MAJOR = 1.25  # a longer tick is at least so much longer
RATIOS = (2, 4, 5, 10)  # ticks a centimetre


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """A depth ruler.

    Parameters
    ----------
    spacing_px, spacing_sd_px : float
        Distance between neighbouring ticks and its standard uncertainty [rows].
    tick_mm : float
        What that distance is taken to mean [mm].
    ticks : int
        Ticks that were found.
    column : float
        Where the ruler stands.
    """

    spacing_px: float
    spacing_sd_px: float
    tick_mm: float
    ticks: int
    column: float


def find_ruler(frame: Frame, sector: Sector) -> Ruler | None:
    """Find the depth ruler beside the picture.

    Parameters
    ----------
    frame : Frame
    sector : Sector

    Returns
    -------
    Ruler or None
    """
    ticks = _ticks(levels_of(frame.pixels), sector)
    best: tuple[int, float, Ruler] | None = None
    for column in np.unique(np.round(ticks[:, 1] / 4) * 4):
        group = ticks[np.abs(ticks[:, 1] - column) <= 4]
        ruler = _progression(group)
        if ruler is not None and (best is None or (ruler.ticks, -ruler.spacing_sd_px) > (best[0], best[1])):
            best = (ruler.ticks, -ruler.spacing_sd_px, ruler)
    return None if best is None else best[2]


def _ticks(levels: Levels, sector: Sector) -> np.ndarray:
    """Short flat bars as (row, left column, width), shape (K, 3)."""
    # a bar: darker above and below, along its whole width
    kernel = np.ones((2 * MAX_TICK_HEIGHT_PX + 1, 1), np.uint8)
    column = np.asarray(cv2.morphologyEx(levels, cv2.MORPH_TOPHAT, kernel), np.uint8)
    bars = (column > TICK_CONTRAST).view(np.uint8)
    inner = _middle(sector)
    sides = (slice(0, inner.start), slice(inner.stop, bars.shape[1]))
    return np.vstack([_bars(bars[:, side], column[:, side]) + np.array([0.0, side.start, 0.0]) for side in sides])


def _bars(bars: Levels, column: Levels) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(bars), connectivity=4)
    keep = [
        i
        for i in range(1, count)
        if TICK_WIDTH_PX[0] <= stats[i, cv2.CC_STAT_WIDTH] <= TICK_WIDTH_PX[1]
        and stats[i, cv2.CC_STAT_HEIGHT] <= MAX_TICK_HEIGHT_PX
        and stats[i, cv2.CC_STAT_WIDTH] >= 2 * stats[i, cv2.CC_STAT_HEIGHT]
        and stats[i, cv2.CC_STAT_AREA] >= 0.7 * stats[i, cv2.CC_STAT_WIDTH] * stats[i, cv2.CC_STAT_HEIGHT]
    ]
    if not keep:
        return np.zeros((0, 3))
    rows = np.array([_row(column, labels, i, stats[i]) for i in keep])
    return np.column_stack([rows, stats[keep, cv2.CC_STAT_LEFT], stats[keep, cv2.CC_STAT_WIDTH]]).astype(np.float64)


def _row(column: Levels, labels: np.ndarray, index: int, stat: np.ndarray) -> float:
    x, y, w, h = (int(v) for v in stat[:4])
    window = np.s_[y : y + h, x : x + w]
    weight = np.where(labels[window] == index, column[window], 0).sum(axis=1)
    return y + float((weight * np.arange(h)).sum() / weight.sum())


def _middle(sector: Sector) -> slice:
    """Columns well inside the picture, where no ruler stands."""
    columns = np.flatnonzero(sector.picture.any(axis=0))
    inset = 0.06 * (columns[-1] - columns[0])
    return slice(int(columns[0] + inset), int(columns[-1] - inset))


def _progression(group: np.ndarray) -> Ruler | None:
    """Longest even spacing among ticks that begin in one column."""
    rows = np.sort(group[:, 0])
    if len(rows) < MIN_TICKS:
        return None
    best: tuple[int, float, float] | None = None
    for i, first in enumerate(rows):
        for second in rows[i + 1 :]:
            step = second - first
            if step < MIN_SPACING_PX:
                continue
            index = np.round((rows - first) / step)
            fits = np.abs(rows - first - index * step) < TOLERANCE_PX
            hits = len(np.unique(index[fits]))
            # even ticks without holes; a half of the step would leave every second place empty
            filled = hits / (np.ptp(index[fits]) + 1)
            if hits >= MIN_TICKS and filled > 0.6 and (best is None or hits > best[0]):
                best = (hits, step, first)
    return None if best is None else _fitted(group, best[1], best[2])


def _fitted(group: np.ndarray, step: float, first: float) -> Ruler | None:
    for _ in range(2):
        index = np.round((group[:, 0] - first) / step)
        fits = np.abs(group[:, 0] - first - index * step) < TOLERANCE_PX
        if len(np.unique(index[fits])) < MIN_TICKS:
            return None
        step, first = (float(v) for v in np.polyfit(index[fits], group[fits, 0], 1))
    index, rows, widths = index[fits], group[fits, 0], group[fits, 2]
    rest = rows - first - index * step
    spread = max(float(np.sqrt(np.mean(rest**2))), 0.2)
    sd = spread / float(np.sqrt(np.sum((index - index.mean()) ** 2)))
    return Ruler(
        spacing_px=step, spacing_sd_px=sd, tick_mm=10.0 / _per_centimetre(index, widths),
        ticks=len(index), column=float(group[:, 1].mean()),
    )  # fmt: skip


def _per_centimetre(index: np.ndarray, widths: np.ndarray) -> int:
    """Ticks a centimetre: 1 where all are alike, else the period of the longer ones."""
    long = index[widths > MAJOR * np.median(widths)]
    if len(long) < 2 or len(long) > 0.6 * len(index):
        return 1
    period = int(np.gcd.reduce(np.rint(np.diff(np.sort(long))).astype(np.int64)))
    return period if period in RATIOS else 1
