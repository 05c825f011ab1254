"""A vein that carries contrast away: a thin line that leaves the pool, is no needle, and is too straight-edged for a leak.

Faint lines are found by adding up along them: the picture of the most contrast that each place ever showed is correlated with
short lines of some widths and directions (a matched filter), and the answer is held against what the same filter gives where
there is no contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.morphology import skeletonize

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.runs.spread import GridScale, SpreadSeries, Surroundings
from marrowpoint.runs.subtract import Subtraction

WIDTHS_MM = (0.5, 1.0)  # half widths (sigma) of the lines looked for
PIECE_MM = 3.5  # half length (sigma) of the short lines
TURNS = 16
KEEP_SHARE = 0.3  # of the newest frame in the running mean: contrast that comes and goes within a second is kept
SEED, GROW = 6.0, 3.4  # noise SDs of the filter's answer
CORE_MM, AROUND_CORE_MM = 2.2, 2.0  # a body this thick is no vein; a line begins outside of its fringe
WIDE_MM = 3.5  # what is so thick however faint it is, is no vein either
CORE_SHARE = 0.1  # of the peak: what is fainter is no body
FORK_MM = 6.0  # side of the least piece of a core that is a body of its own
WINDING = 1.25  # a vein is at most so much longer than its ends are apart; a crown of spurs at a body's edge is
START_MM = 7.0  # a vein begins so near to the pool or the tip
SIDE_MM, NARROW = 3.2, 0.55  # beside a vein, this far from its middle, this share of its density is gone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch:
    """A thin line of contrast.

    Parameters
    ----------
    line : ndarray of shape (m, n), bool
        Its pixels on the grid.
    length, width : float
        Along the line and across it, in the grid's unit.
    end : tuple of float
        Far end (row, column) on the grid.
    strength : float
        Largest answer of the filter, in noise SDs.
    washout : float or None
        Share of its peak that is left at the end of the run.
    outruns : bool
        Its far part is reached later than its near part.
    """

    line: Mask
    length: float
    width: float
    end: tuple[float, float]
    strength: float
    washout: float | None
    outruns: bool


def find_branches(
    subtraction: Subtraction, series: SpreadSeries, around: Surroundings, scale: GridScale
) -> tuple[tuple[Branch, ...], float]:
    """Find thin lines that leave the pool or the tip.

    Parameters
    ----------
    subtraction : Subtraction
    series : SpreadSeries
    around : Surroundings
    scale : GridScale

    Returns
    -------
    branches : tuple of Branch
        Longest first.
    least_density : float
        Added attenuation of a 1 mm wide line that would just have been seen.
    """
    most = most_opaque(subtraction)
    core = _bodies(_core(most, series.seen, scale), around.tip, scale)
    body = cv2.dilate(core.astype(np.uint8), _disc(scale.px(AROUND_CORE_MM))) > 0
    metal = around.corridor if around.swept is None else around.corridor | around.swept
    corridor = cv2.dilate(metal.astype(np.uint8), _disc(scale.px(1.5))) > 0
    free = subtraction.inside & ~body & ~corridor
    answer, unit = _lines(most, subtraction.inside, body | corridor, scale)
    thin = (answer > GROW) & free & _narrow(most, scale)
    thin = cv2.morphologyEx(thin.astype(np.uint8), cv2.MORPH_CLOSE, _disc(scale.px(1.5))) > 0
    count, labels = cv2.connectedComponents((thin & free).astype(np.uint8), connectivity=8)
    rows, columns = (np.arange(n, dtype=np.float32) for n in free.shape)
    distance = np.hypot(rows[:, None] - np.float32(around.tip[0]), columns[None, :] - np.float32(around.tip[1]))
    start = cv2.dilate((body | (distance < scale.px(START_MM))).astype(np.uint8), _disc(scale.px(START_MM))) > 0
    found = []
    for label in range(1, count):
        piece = labels == label
        if float(answer[piece].max()) > SEED and (piece & start).any():
            found.append(_branch(piece, answer, distance, (subtraction, scale)))
    return tuple(sorted(found, key=lambda b: -b.length)), SEED * unit


def most_opaque(subtraction: Subtraction) -> FloatImage:
    """The most contrast that each place showed in a running mean of the frames after the mask, in noise SDs, shape (m, n)."""
    running = np.zeros_like(subtraction.noise)
    most = np.zeros_like(subtraction.noise)
    for frame, difference in zip(subtraction.frames, subtraction.stack, strict=True):
        running = running + np.float32(KEEP_SHARE) * (difference - running)
        if frame > subtraction.mask_frames[-1]:
            np.maximum(most, running, out=most)
    return np.asarray(most / subtraction.noise, dtype=np.float32)


def _core(most: FloatImage, seen: Mask, scale: GridScale) -> Mask:
    """The thick body of the contrast, measured against its own peak: against the noise a dense vein looks thick."""
    if not seen.any():
        return np.zeros_like(seen)
    smooth = cv2.GaussianBlur(most, (0, 0), max(0.5, scale.px(0.4)))
    wide = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_OPEN, _disc(scale.px(WIDE_MM))) > 0
    dense = seen & (smooth > CORE_SHARE * float(np.quantile(smooth[seen], 0.98)))
    return np.asarray(wide | (cv2.morphologyEx(dense.astype(np.uint8), cv2.MORPH_OPEN, _disc(scale.px(CORE_MM))) > 0))


def _bodies(core: Mask, tip: tuple[float, float], scale: GridScale) -> Mask:
    """A core without its small pieces away from the tip: where a vein forks or turns it looks thick, and is no pool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8), connectivity=8)
    if count <= 2:
        return core
    rows, columns = (np.arange(n, dtype=np.float32) for n in core.shape)
    near = np.hypot(rows[:, None] - np.float32(tip[0]), columns[None, :] - np.float32(tip[1])) < scale.px(START_MM)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    least = scale.px(FORK_MM) ** 2
    kept = [
        label
        for label in range(1, count)
        if label == largest or stats[label, cv2.CC_STAT_AREA] >= least or bool((near & (labels == label)).any())
    ]
    return np.isin(labels, kept)


def _disc(radius_px: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    reach = max(1, round(radius_px))
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)), dtype=np.uint8)


def _lines(most: FloatImage, inside: Mask, body: Mask, scale: GridScale) -> tuple[FloatImage, float]:
    """Answer of the line filters in noise SDs, and the noise SDs of one pixel that make one SD of the answer."""
    held = np.where(inside, most, np.median(most[inside]) if inside.any() else 0).astype(np.float32)
    # the strong pool would ring: its height is held
    limit = float(np.median(held)) + 12 * 1.4826 * float(np.median(np.abs(held - np.median(held)))) + 1e-6
    held = np.minimum(held, limit)
    quiet = inside & ~(cv2.dilate(body.astype(np.uint8), _disc(scale.px(4.0))) > 0)
    best = np.full(most.shape, -1e3, np.float32)
    unit = 1e3
    for width_mm in WIDTHS_MM:
        for turn in range(TURNS):
            kernel = _kernel(scale.px(width_mm), scale.px(PIECE_MM), np.pi * turn / TURNS)
            answer = cv2.filter2D(held, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)
            values = answer[quiet]
            spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) > 100 else 1.0
            best = np.maximum(best, (answer - (np.median(values) if len(values) else 0)) / max(spread, 1e-6))
            unit = min(unit, spread)
    return best, unit


def _kernel(across_px: float, along_px: float, turn: float) -> FloatImage:
    """A short line: Gaussian along, Gaussian less its surroundings across; sum 0, answer 1 to a line of height 1."""
    reach = int(np.ceil(max(2.5 * along_px, 5 * across_px)))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along = rows * np.sin(turn) + columns * np.cos(turn)
    across = rows * np.cos(turn) - columns * np.sin(turn)
    inner, outer = max(across_px, 0.6), 2.2 * max(across_px, 0.6)
    profile = np.exp(-0.5 * (across / inner) ** 2) / inner - np.exp(-0.5 * (across / outer) ** 2) / outer
    kernel = profile * np.exp(-0.5 * (along / along_px) ** 2)
    kernel -= kernel.mean()
    line = np.exp(-0.5 * (across / inner) ** 2)
    return np.asarray(kernel / (kernel * line).sum(), dtype=np.float32)


def _narrow(most: FloatImage, scale: GridScale) -> Mask:
    """Where the surroundings at the distance `SIDE_MM` on both sides of some direction show much less."""
    smooth = cv2.GaussianBlur(most, (0, 0), max(0.8, scale.px(0.5)))
    base = float(np.median(smooth))
    narrow = np.zeros(most.shape, np.bool_)
    for turn in range(8):
        angle = np.pi * turn / 8
        dr, dc = scale.px(SIDE_MM) * np.sin(angle), scale.px(SIDE_MM) * np.cos(angle)
        sides = []
        for sign in (-1, 1):
            shift = np.array([[1, 0, sign * dc], [0, 1, sign * dr]])
            sides.append(cv2.warpAffine(smooth, shift, smooth.shape[::-1], borderMode=cv2.BORDER_REPLICATE))
        most_beside = np.maximum(sides[0], sides[1]) - base
        narrow |= most_beside < (1 - NARROW) * np.maximum(smooth - base, 0)
    return narrow


def _branch(piece: Mask, answer: FloatImage, distance: FloatImage, context: tuple[Subtraction, GridScale]) -> Branch:
    subtraction, scale = context
    line = np.asarray(skeletonize(piece))
    places = np.argwhere(line)
    far = places[int(np.argmax(distance[line]))]
    # steps across a pixel's corner are longer: a skeleton of n pixels is about 1.1 n long
    apart = float(np.hypot(*np.ptp(places, axis=0))) + 1.0
    length = min(1.1 * float(line.sum()), WINDING * apart)
    curve = subtraction.stack[:, line].mean(axis=1)
    smooth = np.convolve(curve, np.ones(3) / 3, mode="same")
    peak = float(smooth.max())
    return Branch(
        line=line,
        length=length * scale.size,
        width=float(piece.sum()) / max(length, 1.0) * scale.size,
        end=(float(far[0]), float(far[1])),
        strength=float(answer[piece].max()),
        washout=None if peak <= 0 else float(np.clip(smooth[-4:-1].mean() / peak, 0, 1)),
        outruns=_outruns(subtraction, line, distance),
    )


def _outruns(subtraction: Subtraction, line: Mask, distance: FloatImage) -> bool:
    """Whether the far third of a line fills at least a frame later than the near third."""
    near, far = np.quantile(distance[line], (1 / 3, 2 / 3))
    times = []
    for part in (line & (distance <= near), line & (distance >= far)):
        curve = np.convolve(subtraction.stack[:, part].mean(axis=1), np.ones(3) / 3, mode="same")
        times.append(int(np.argmax(curve > 0.5 * curve.max())))
    return times[1] > times[0]
