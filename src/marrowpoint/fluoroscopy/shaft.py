"""A straight shaft measured at full resolution in a straightened strip: mid-line, width, where it begins and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marrowpoint.edges import peak_offset, sample_strip, smooth_along
from marrowpoint.exposure import Bar
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

STEP_PX, STEP_WIDTHS, MOST_STEP_PX = 0.5, 0.05, 1.0  # sampling across the shaft: at least, for its width, at most
BLOCK_PX = 10  # length averaged for one mid-line point
ROUNDS = 4  # rounds of mid-line, width, extent
EDGE_BLUR = 0.09  # of the width: an edge's spread, at least 0.9 px
LEAST_WIDTH_PX = 1.5  # narrower than the blur, nothing is measured
MOST_SUPPORT = 4.0  # a sample of shaft gives at most this much evidence, so that a bright piece does not bridge a long gap
TOLL = 0.8  # evidence (in noise SDs) that a sample must exceed to lengthen the shaft


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shaft:
    """A bar fitted at full resolution.

    Parameters
    ----------
    origin, axis : tuple of float
        A point of the mid-line and its unit direction, (row, column).
    start_px, stop_px : float
        Where it begins and ends along `axis` from `origin` [px].
    width_px, width_sd_px : float
        Distance between its edges and standard deviation [px].
    angle_sd_rad, across_sd_px : float
        Standard deviation of direction and of the mid-line's place.
    support : float
        Mean evidence a sample (in noise SDs, limited) from start to stop.
    """

    origin: tuple[float, float]
    axis: tuple[float, float]
    start_px: float
    stop_px: float
    width_px: float
    width_sd_px: float
    angle_sd_rad: float
    across_sd_px: float
    support: float

    @property
    def length_px(self) -> float:
        """Visible length [px]."""
        return self.stop_px - self.start_px

    def point(self, along_px: float) -> tuple[float, float]:
        """(row, column) at a place along the mid-line."""
        return (self.origin[0] + along_px * self.axis[0], self.origin[1] + along_px * self.axis[1])


def fit_shaft(attenuation: FloatImage, usable: FloatImage, bar: Bar, *, piece_px: float) -> Shaft | None:
    """Fit mid-line, width and extent of a bar.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
        Larger = more attenuating.
    usable : ndarray of shape (M, N), float32
        1 inside the field, 0 outside.
    bar : Bar
        Rough place.
    piece_px : float
        Length of the piece that was seen [px].

    Returns
    -------
    Shaft or None
        None where no shaft holds up at full resolution.
    """
    origin, axis, width = np.array(bar.centre), np.array(bar.direction), bar.width_px
    start, stop = -piece_px / 2, piece_px / 2
    shaft = None
    for turn in range(ROUNDS):
        reach = piece_px * (0.3 if turn == 0 else 1.5) if turn < ROUNDS - 1 else float(np.hypot(*attenuation.shape))
        along = np.arange(np.floor(start - reach), np.ceil(stop + reach) + 1.0)
        along = along[_inside(origin, axis, along, usable)]
        if len(along) < 2 * BLOCK_PX:
            return None
        step = float(np.clip(STEP_WIDTHS * width, STEP_PX, MOST_STEP_PX))
        side = np.ceil((1.4 * width + 6) / step)
        across = step * np.arange(-side, side + 1)
        strip = sample_strip(attenuation, tuple(origin), tuple(axis), along, across)
        slope = np.gradient(strip, step, axis=1)
        kept = (along >= start) & (along <= stop)
        if kept.sum() < BLOCK_PX:
            return None
        width, width_sd = _width(slope[kept], across, width)
        if not max(LEAST_WIDTH_PX, 0.2 * bar.width_px) < width < 2.0 * bar.width_px + 2:
            return None
        line = _mid_line(slope[kept], along[kept], across, width)
        if line is None:
            return None
        offset, tilt, across_sd, angle_sd = line
        # a positive `across` lies along (-axis[1], axis[0])
        normal = np.array([-axis[1], axis[0]])
        origin = origin + offset * normal
        axis = axis + tilt * normal
        axis /= np.linalg.norm(axis)
        evidence = _evidence(slope, across, along, (offset, tilt), width)
        extent = _extent(evidence, along, (start + stop) / 2)
        if extent is None:
            return None
        start, stop = extent
        inside = (along >= start) & (along <= stop)
        shaft = Shaft(
            origin=(float(origin[0]), float(origin[1])),
            axis=(float(axis[0]), float(axis[1])),
            start_px=start,
            stop_px=stop,
            width_px=width,
            width_sd_px=width_sd,
            angle_sd_rad=angle_sd,
            across_sd_px=across_sd,
            support=float(np.mean(evidence[inside])),
        )
    return shaft


def _inside(origin: Floats, axis: Floats, along: Floats, usable: FloatImage) -> NDArray[np.bool_]:
    rows = np.round(origin[0] + along * axis[0]).astype(int)
    columns = np.round(origin[1] + along * axis[1]).astype(int)
    ok = (rows >= 0) & (rows < usable.shape[0]) & (columns >= 0) & (columns < usable.shape[1])
    ok[ok] = usable[rows[ok], columns[ok]] > 0
    middle = int(np.argmin(np.abs(along)))
    if not ok[middle]:
        return np.zeros(ok.shape, bool)
    # only the run of samples around the middle
    bad = np.flatnonzero(~ok)
    left = bad[bad < middle].max(initial=-1)
    right = bad[bad > middle].min(initial=len(ok))
    run: NDArray[np.bool_] = np.zeros(ok.shape, bool)
    run[left + 1 : right] = True
    return run


def _bumps(across: Floats, place: float, width: float) -> Floats:
    spread = max(0.9, EDGE_BLUR * width)
    bump: Floats = np.exp(-0.5 * ((across - place) / spread) ** 2)
    return bump


def _width(slope: FloatImage, across: Floats, width: float) -> tuple[float, float]:
    """Width from the mean edges: both edges as the best places of a bump, each to sub-pixel."""
    mean = slope.mean(0)
    tries = np.arange(max(1.5, 0.55 * width), 1.5 * width + 2, 0.25)
    fine = np.arange(across[0] - 1, across[-1] + 1, 0.25)
    spread = max(0.9, EDGE_BLUR * width)
    # edge strength at every place, then both edges of each tried width
    kernel = np.exp(-0.5 * ((fine[:, None] - across[None, :]) / spread) ** 2)
    strength = kernel @ mean
    gains = np.interp(-tries / 2, fine, strength) - np.interp(tries / 2, fine, strength)
    best = tries[0] + 0.25 * peak_offset(gains)
    noise = np.std(slope - mean, axis=0).mean() / np.sqrt(max(len(slope), 1))
    sharp = max(float(gains.max()), 1e-9) / (2 * max(0.9, EDGE_BLUR * best))
    return float(best), float(np.clip(noise / sharp + 0.02 * best, 0.05, best))


def _mid_line(slope: FloatImage, along: Floats, across: Floats, width: float) -> tuple[float, float, float, float] | None:
    """Weighted robust line through block-wise mid points: offset, tilt and their standard deviations."""
    blocks = max(2, len(along) // BLOCK_PX)
    middles, places, weights = [], [], []
    template = _bumps(across, -width / 2, width) - _bumps(across, width / 2, width)
    step = float(across[1] - across[0])
    reach = int((0.3 * width + 1.5) / step)
    bank = np.array([_shifted(template, k) for k in range(-reach, reach + 1)])
    bounds = np.linspace(0, len(along), blocks + 1).astype(int)
    counts = np.diff(bounds)
    gains = (np.add.reduceat(slope, bounds[:-1], axis=0) / counts[:, None]) @ bank.T
    typical = np.median(np.abs(gains), axis=1)
    for k, gain in enumerate(gains):
        peak = float(gain.max())
        if peak <= 0:
            continue
        places.append((peak_offset(gain) - reach) * step)
        middles.append(float(along[(bounds[k] + bounds[k + 1]) // 2]) - 0.5 * ((counts[k] + 1) % 2))
        weights.append(min(peak, 3.0 * float(typical[k]) + peak * 0.5))
    if len(places) < 2:
        return None
    s, n, w = np.array(middles), np.array(places), np.array(weights)
    w = (w / w.max()) ** 2
    rest = np.zeros_like(n)
    for _ in range(5):
        spread = max(1.48 * float(np.median(np.abs(rest))), 0.05)
        robust = w / np.maximum(1.0, np.abs(rest) / (1.5 * spread))
        centre = float((robust * s).sum() / robust.sum())
        moment = float((robust * (s - centre) ** 2).sum())
        level = float((robust * n).sum() / robust.sum())
        tilt = float((robust * (s - centre) * (n - level)).sum() / max(moment, 1e-9))
        rest = n - level - tilt * (s - centre)
    variance = float((robust * rest**2).sum() / robust.sum()) * len(s) / max(len(s) - 2, 1) + 1e-4
    share = float(robust.sum() ** 2 / (robust**2).sum())
    run = float(np.sqrt(moment / robust.sum())) or 1.0
    return level - tilt * centre, tilt, float(np.sqrt(variance / share)), float(np.sqrt(variance / share)) / run


def _shifted(template: Floats, k: int) -> Floats:
    out = np.zeros_like(template)
    if k >= 0:
        out[k:] = template[: len(template) - k]
    else:
        out[:k] = template[-k:]
    return out


def _evidence(slope: FloatImage, across: Floats, along: Floats, line: tuple[float, float], width: float) -> Floats:
    """Evidence of both edges for each sample, in noise SDs, limited; the weaker edge counts."""
    offsets = np.round((line[0] + line[1] * along) / (across[1] - across[0])).astype(int)
    places = np.clip(np.arange(len(across))[None, :] + offsets[:, None], 0, len(across) - 1)
    moved = np.take_along_axis(slope, places, axis=1) if offsets.any() else slope
    smooth = smooth_along(moved.astype(np.float32), 5)
    left = smooth @ _bumps(across, -width / 2, width).astype(np.float32)
    right = -smooth @ _bumps(across, width / 2, width).astype(np.float32)
    outside = np.abs(across) > 0.5 * width + 2.5 * max(0.9, EDGE_BLUR * width)
    bump = _bumps(across, 0.0, width)
    # the middle of the slopes beside the shaft is background that slants across it (skin); only their spread is noise
    beside = np.sort(smooth[:, outside], axis=1)
    quarter = beside.shape[1] // 4
    step = float(across[1] - across[0])
    single = (beside[:, -1 - quarter] - beside[:, quarter]) * np.sqrt((bump**2).sum() * STEP_PX / step)
    window = np.ones(31) / 31
    noise = np.convolve(np.pad(single, 15, mode="edge"), window, mode="valid") + 1e-4
    floor = 0.3 * float(np.median(noise))
    return np.clip(np.minimum(left, right) / np.maximum(noise, floor), -1.0, MOST_SUPPORT)


def _extent(evidence: Floats, along: Floats, middle: float) -> tuple[float, float] | None:
    """Best run of samples (largest sum of evidence less the toll) that touches the middle."""
    gain = evidence - TOLL
    total = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(total)
    best = total - lowest
    near = np.flatnonzero(np.abs(along - middle) < 0.5 * np.ptp(along) + 1)
    stop = int(np.argmax(best))
    if not len(near) or best[stop] <= 0:
        return None
    start = int(np.flatnonzero(total[: stop + 1] == lowest[stop])[-1])
    if stop - start < BLOCK_PX:
        return None
    return float(along[start]), float(along[stop - 1])
