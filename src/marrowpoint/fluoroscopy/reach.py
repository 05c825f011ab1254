"""How far a faint shaft reaches: its whole cross-section against the same measure on lines beside it.

`shaft` asks for both edges in every few pixels and stops where one drowns. The line and the width are then known to a
fraction of a pixel, so the shaft may be asked for as a whole: middle less both flanks, averaged over most of a width. What bone
and grain do to that measure is read from parallel lines that hold no needle; no model of the noise is needed.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import sample_strip
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.shaft import Shaft

Floats = NDArray[np.float64]

AHEAD, BEHIND = 6.0, 4.0  # widths searched beyond the end, and looked at before it
CORE, FLANK = 0.35, (0.75, 1.4)  # half of the middle, and the flanks [widths from the mid-line]
BESIDE = (2.0, 2.8, 3.6, 4.4)  # widths to the lines that hold no needle
CELL = 0.8  # widths averaged along the line: shorter pieces share their grain
NOISE_RUN = 3.0  # widths along which the spread beside the line is taken
TOLL = 1.5  # noise SDs a cell must exceed to lengthen the shaft
LEAST_GAIN = 4.0  # sum over cells, less the toll, from which the shaft is longer
GAP = 2.0  # fall of that sum, a width without any shaft, where the search ends: what follows is something else
LEAST_SHARE, MOST_SHARE = 0.12, 1.6  # of the contrast behind the end: bone edges have any contrast, a shaft keeps its own
LEAST_SIDE = 0.3  # of the height, that must be left over the higher flank
LEAST_NOISE = 1e-4
HALF_LEVEL = 0.002  # half a grey level of 8 bits: a fainter shaft could end or go on
STEP_WIDTHS = 0.1
WHITE = 0.996  # attenuation from which a pixel of 8 bits is burnt in: metal there adds nothing
HIDDEN_AHEAD, HIDDEN_SIDE = (0.3, 2.0), 0.8  # widths beyond a tip and to its sides that must not be burnt in
HIDDEN = (0.3, 0.8)  # share of that which is burnt in: from where a tip is doubted, and not believed at all
# Widths behind a tip where its shaft must stand out from the lines beside, and where it is compared with itself
LAST, EARLIER = (0.7, 1.7), (4.0, 6.0)
CLEAR_LAST, FADED = (1.8, 3.0), (0.3, 0.5)  # noise SDs, and share of the height earlier: from no belief to full belief
STARK = (6.0, 12.0)  # noise SDs from which a shaft may fade as it likes: it would still be seen if it went on


def lengthen(exposure: Exposure, shaft: Shaft, *, at_stop: bool) -> Shaft:
    """Move an end of a shaft outward as far as the whole cross-section is seen.

    Parameters
    ----------
    exposure : Exposure
    shaft : Shaft
    at_stop : bool
        Which end: the one at `stop_px` or at `start_px`.

    Returns
    -------
    Shaft
        The same where nothing more is seen.
    """
    width, outward = shaft.width_px, 1.0 if at_stop else -1.0
    end = shaft.stop_px if at_stop else shaft.start_px
    step = max(1.0, STEP_WIDTHS * width)
    along = np.arange(-min(BEHIND * width, shaft.length_px), AHEAD * width, step)
    along = along[: _open(exposure, shaft.point(end), (outward * shaft.axis[0], outward * shaft.axis[1]), along)]
    ahead = along > 0
    if ahead.sum() * step < CELL * width:
        return shaft
    bands = _Bands(exposure, shaft, end + outward * along, step)
    seen, noise = bands.height(0.0), bands.noise()
    behind = along < -0.5 * width
    level = float(np.median(seen[behind])) if behind.any() else float(seen[~ahead].max(initial=0.0))
    size = np.clip(seen, -MOST_SHARE * level, MOST_SHARE * level)
    z = np.where(size > LEAST_SHARE * level, size, np.minimum(size, 0.0)) / noise
    gain = np.cumsum((np.clip(z[ahead], -2.0, 4.0) - TOLL) * step / (CELL * width))
    torn = np.flatnonzero(gain < np.maximum(np.maximum.accumulate(gain), 0.0) - GAP)
    gain = gain[: torn[0]] if len(torn) else gain
    best = int(np.argmax(gain))
    if level <= 0 or gain[best] < LEAST_GAIN or bands.lower_side(ahead & (along <= along[ahead][best])) < LEAST_SIDE:
        return shaft
    # a cell reaches half its length beyond its middle
    further = float(along[ahead][best]) - 0.25 * CELL * width
    if further <= 0:
        return shaft
    return replace(shaft, stop_px=end + further) if at_stop else replace(shaft, start_px=end - further)


def hidden_share(exposure: Exposure, tip: tuple[float, float], axis: tuple[float, float], width_px: float) -> float:
    """Share of the picture just ahead of a tip that is burnt in: the shaft may go on there unseen.

    Parameters
    ----------
    exposure : Exposure
    tip, axis : tuple of float
        (row, column) of the tip [px] and unit vector from it toward the hub.
    width_px : float
        Width of the shaft [px].

    Returns
    -------
    float
        0..1.
    """
    step = max(1.0, STEP_WIDTHS * width_px)
    ahead = -np.arange(HIDDEN_AHEAD[0] * width_px, HIDDEN_AHEAD[1] * width_px + step, step)
    across = np.arange(-HIDDEN_SIDE * width_px, HIDDEN_SIDE * width_px + step, step)
    return float(np.mean(sample_strip(exposure.attenuation, tip, axis, ahead, across) > WHITE))


def tip_seen(exposure: Exposure, shaft: Shaft, tip_px: float, *, at_stop: bool) -> float:
    """How far a tip is to be believed: the shaft is still clear where it ends, and could be seen if it went on.

    A shaft that sinks into its noise, or into bone that is burnt in, has an end of the visible, not a tip.

    Parameters
    ----------
    exposure : Exposure
    shaft : Shaft
        With the width of its cross-section.
    tip_px : float
        Place of the tip along the shaft [px].
    at_stop : bool
        Whether the tip is the end at `stop_px`.

    Returns
    -------
    float
        0..1.
    """
    width, inward = shaft.width_px, -1.0 if at_stop else 1.0
    step = max(1.0, STEP_WIDTHS * width)
    back = np.arange(-NOISE_RUN * width, EARLIER[1] * width, step)
    bands = _Bands(exposure, shaft, tip_px + inward * back, step)
    height = bands.height(0.0)
    last, earlier = ((back >= low * width) & (back < high * width) for low, high in (LAST, EARLIER))
    clear = float(height[last].mean()) / bands.typical_noise(back < 0)
    share = float(height[last].mean() / max(float(height[earlier].mean()), LEAST_NOISE)) if earlier.any() else 1.0
    hidden = hidden_share(exposure, shaft.point(tip_px), (inward * shaft.axis[0], inward * shaft.axis[1]), width)
    steady = max(float(np.interp(share, FADED, (0.0, 1.0))), float(np.interp(clear, STARK, (0.0, 1.0))))
    return float(np.interp(clear, CLEAR_LAST, (0.0, 1.0)) * np.interp(hidden, HIDDEN, (1.0, 0.0))) * steady


def _open(exposure: Exposure, origin: tuple[float, float], axis: tuple[float, float], along: Floats) -> int:
    """Number of samples from the first to the border of the field."""
    rows = np.round(origin[0] + along * axis[0]).astype(int)
    columns = np.round(origin[1] + along * axis[1]).astype(int)
    inside = (rows >= 0) & (rows < exposure.field.shape[0]) & (columns >= 0) & (columns < exposure.field.shape[1])
    inside[inside] = exposure.field[rows[inside], columns[inside]]
    closed = np.flatnonzero(~inside & (along > 0))
    return int(closed[0]) if len(closed) else len(along)


class _Bands:
    """Means over bands beside a line, averaged over a cell along it."""

    def __init__(self, exposure: Exposure, shaft: Shaft, places: Floats, step: float) -> None:
        self.width, self.step = shaft.width_px, step
        reach = np.ceil((max(BESIDE) + FLANK[1]) * self.width / step)
        self.across = np.arange(-reach, reach + 1) * step
        strip = sample_strip(exposure.attenuation, shaft.origin, shaft.axis, places, self.across)
        cell = max(1, round(CELL * self.width / step))
        strip = np.asarray(cv2.blur(strip, (1, cell), borderType=cv2.BORDER_REPLICATE), np.float32)
        self.total = np.pad(np.cumsum(strip, axis=1, dtype=np.float64), ((0, 0), (1, 0)))

    def mean(self, low: float, high: float) -> Floats:
        """Mean from `low` to `high` [widths from the mid-line] at each place."""
        first = int(np.searchsorted(self.across, low * self.width - 1e-6))
        last = max(first + 1, int(np.searchsorted(self.across, high * self.width + 1e-6)))
        part: Floats = (self.total[:, last] - self.total[:, first]) / (last - first)
        return part

    def height(self, line: float) -> Floats:
        """Middle over the mean of both flanks of a line that many widths beside the shaft: slopes cancel."""
        flanks = self.mean(line - FLANK[1], line - FLANK[0]) + self.mean(line + FLANK[0], line + FLANK[1])
        return self.mean(line - CORE, line + CORE) - 0.5 * flanks

    def noise(self) -> Floats:
        """Spread of that height on the lines beside."""
        lines = [side * offset for offset in BESIDE for side in (-1.0, 1.0)]
        spread = np.sqrt(np.mean([self.height(line) ** 2 for line in lines], axis=0))
        run = max(1, round(NOISE_RUN * self.width / self.step))
        smooth = np.asarray(cv2.blur(spread[:, None], (1, run), borderType=cv2.BORDER_REPLICATE), np.float64)[:, 0]
        return np.asarray(np.maximum(smooth, LEAST_NOISE))

    def typical_noise(self, where: NDArray[np.bool_]) -> float:
        """The same at the median line over a stretch: one strong edge beside the shaft hides nothing on it."""
        lines = [side * offset for offset in BESIDE for side in (-1.0, 1.0)]
        spread = [float(np.sqrt(np.mean(self.height(line)[where] ** 2))) for line in lines]
        return max(float(np.median(spread)), HALF_LEVEL)

    def lower_side(self, where: NDArray[np.bool_]) -> float:
        """Height over the higher flank as a share of the height over both; near 0 at a single edge along the line.

        The slope is that between the flanks and farther out: an edge between them leaves none there.
        """
        middle = (FLANK[0] + FLANK[1]) / 2
        core = float(self.mean(-CORE, CORE)[where].mean())
        near = [float(self.mean(low, high)[where].mean()) for low, high in ((-FLANK[1], -FLANK[0]), FLANK)]
        outer = (middle + 1.0, middle + 1.6)
        far = [float(self.mean(low, high)[where].mean()) for low, high in ((-outer[1], -outer[0]), outer)]
        slope = ((far[1] - far[0]) - (near[1] - near[0])) / (outer[0] + outer[1] - 2 * middle)
        flat = (near[0] + slope * middle, near[1] - slope * middle)
        return (core - max(flat)) / max(core - 0.5 * (near[0] + near[1]), 1e-6)
