"""Bring the frames of a run over one another to a fraction of a pixel, and tell how far off they still are.

Shift, turn and brightness are solved together by iterated least squares on the points that know most about motion (inverse
additive alignment after Lucas and Kanade, Proc. IJCAI 1981; Baker and Matthews, Int J Comput Vis 2004). Points that disagree,
because contrast came or bowel gas moved, lose their weight (Tukey's biweight). What is left is measured, not assumed: the same
equations are solved once more in each tile of the region, and the spread of the tiles' shifts beyond their own noise is the
residual motion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

Floats = NDArray[np.float64]

MOST_POINTS, FLAT_SHARE = 12000, 0.25  # points used; share of them taken anywhere, for the brightness
ROUNDS, SETTLED_PX = 14, 0.003  # at most so many rounds; a smaller step is none
SOME = 4  # of the points one in so many tells their spread
TUKEY = 4.685  # biweight constant: 95 % efficiency for normal noise
TILES = ((5, 4), (3, 4), (2, 3))  # tiles along each side, and how many must be sure: the finest split that can tell
TILE_SD_PX = 0.2  # tiles less sure of their shift are not asked
UNKNOWNS = 7
UPPER = np.triu_indices(UNKNOWNS)  # the normal equations are symmetric
FOLD = 512  # OpenCV remaps pictures, so lists of points are folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Where the reference lies in a frame.

    Parameters
    ----------
    shift_px : tuple of float
        (row, column) shift from the reference to the frame at `centre` [px].
    turn_rad : float
        Turn from the reference to the frame, positive from columns toward rows.
    centre : tuple of float
        (row, column) that the turn is about.
    gain, offset : float
        Brightness: frame = gain * reference + offset + slope.
    slope : tuple of float
        Change of the offset across the picture, (down, right) a pixel.
    residual_px : float or None
        Motion left after alignment, root mean square over the tiles beyond their noise [px]; None where it cannot be told.
    agreement : float
        0..1, weight of the points that agree.
    """

    shift_px: tuple[float, float] = (0.0, 0.0)
    turn_rad: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    offset: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)
    residual_px: float | None = None
    agreement: float = 1.0

    def move(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point (row, column) of the reference lies in the frame."""
        r, c = point[0] - self.centre[0], point[1] - self.centre[1]
        cos, sin = float(np.cos(self.turn_rad)), float(np.sin(self.turn_rad))
        return (
            self.centre[0] + self.shift_px[0] + cos * r + sin * c,
            self.centre[1] + self.shift_px[1] - sin * r + cos * c,
        )

    def back(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point (row, column) of the frame lies in the reference."""
        r = point[0] - self.centre[0] - self.shift_px[0]
        c = point[1] - self.centre[1] - self.shift_px[1]
        cos, sin = float(np.cos(self.turn_rad)), float(np.sin(self.turn_rad))
        return self.centre[0] + cos * r - sin * c, self.centre[1] + sin * r + cos * c

    def scaled(self, factor: float) -> Alignment:
        """The same for pictures `factor` times as large (pixel centres on whole numbers)."""
        half = (factor - 1) / 2
        return replace(
            self,
            shift_px=(self.shift_px[0] * factor, self.shift_px[1] * factor),
            centre=(self.centre[0] * factor + half, self.centre[1] * factor + half),
            slope=(self.slope[0] / factor, self.slope[1] / factor),
        )

    def bring(self, frame: FloatImage) -> FloatImage:
        """The frame moved onto the reference, shape (M, N); its edge is repeated outwards."""
        cos, sin = float(np.cos(self.turn_rad)), float(np.sin(self.turn_rad))
        y0, x0 = self.move((0.0, 0.0))
        matrix = np.array([[cos, -sin, x0], [sin, cos, y0]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(frame, matrix, frame.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, dtype=np.float32)

    def apply(self, frame: FloatImage) -> FloatImage:
        """The frame moved onto the reference and given its brightness, shape (M, N)."""
        moved = self.bring(frame)
        rows = (np.arange(frame.shape[0], dtype=np.float32) - np.float32(self.centre[0]))[:, None] * np.float32(self.slope[0])
        columns = (np.arange(frame.shape[1], dtype=np.float32) - np.float32(self.centre[1]))[None, :]
        columns = columns * np.float32(self.slope[1])
        moved -= rows + columns + np.float32(self.offset)
        moved /= np.float32(self.gain)
        return moved


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """A reference prepared for many alignments.

    Parameters
    ----------
    points : ndarray of shape (K, 2), float32
        (row, column) of the points used [px].
    values : ndarray of shape (K,)
        The smoothed reference there.
    design : ndarray of shape (K, 7)
        Change of the reference by shift down, shift right, turn, gain, offset, slope down and slope right.
    centre : tuple of float
    sigma_px : float
        Smoothing of reference and frames.
    shape : tuple of int
    scales : ndarray of shape (7,)
        Units of the columns of `design`.
    rows : ndarray of shape (7, K)
        The design in these units, a row for each unknown.
    products : ndarray of shape (28, K)
        Products of each two of them: their weighted sums are the normal equations.
    labels : dict of int to ndarray of shape (K,)
        Tile of each point, for each number of tiles along a side.
    """

    points: FloatImage
    values: Floats
    design: Floats
    centre: tuple[float, float]
    sigma_px: float
    shape: tuple[int, int]
    scales: Floats
    rows: Floats
    products: Floats
    labels: dict[int, NDArray[np.int64]]


def make_template(reference: FloatImage, region: Mask, *, sigma_px: float = 1.5) -> Template | None:
    """Choose the points of a reference that tell shifts best.

    Parameters
    ----------
    reference : ndarray of shape (M, N), float32
    region : ndarray of shape (M, N), bool
        Where points may lie: the bone and what is fixed to it.
    sigma_px : float
        Smoothing against noise [px].

    Returns
    -------
    Template or None
        None where the region is too small or too flat.
    """
    smooth = cv2.GaussianBlur(reference, (0, 0), sigma_px)
    down, right = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) / 8, cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3) / 8
    margin = int(np.ceil(3 * sigma_px)) + 1
    inner = cv2.erode(np.pad(region, 1).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=margin)[1:-1, 1:-1] > 0
    places = np.flatnonzero(inner)
    if len(places) < 400:
        return None
    strength = np.hypot(down, right).ravel()[places]
    most = min(MOST_POINTS, len(places))
    steep = int(most * (1 - FLAT_SHARE))
    chosen = places[np.argpartition(-strength, steep - 1)[:steep]]
    spread = places[np.linspace(0, len(places) - 1, most - steep).astype(int)]
    every = np.unique(np.concatenate([chosen, spread]))
    rows, columns = np.divmod(every, reference.shape[1])
    centre = float(rows.mean()), float(columns.mean())
    r, c = rows - centre[0], columns - centre[1]
    gr, gc = down.ravel()[every].astype(np.float64), right.ravel()[every].astype(np.float64)
    values = smooth.ravel()[every].astype(np.float64)
    ones = np.ones_like(gr)
    # turning by t moves a point by (t * c, -t * r)
    design = np.stack([gr, gc, gr * c - gc * r, values - values.mean(), ones, r, c], axis=1)
    scales = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
    if np.linalg.cond((design / scales).T @ (design / scales)) > 1e8:
        return None
    points = np.stack([rows, columns], axis=1).astype(np.float32)
    unit = np.ascontiguousarray((design / scales).T)
    return Template(
        points=points,
        values=values,
        design=design,
        centre=centre,
        sigma_px=sigma_px,
        shape=(reference.shape[0], reference.shape[1]),
        scales=scales,
        rows=unit,
        products=np.stack([unit[i] * unit[j] for i, j in zip(*UPPER, strict=True)]),
        labels={tiles: _labels(points, tiles) for tiles, _ in TILES},
    )


def align(
    template: Template,
    frame: FloatImage,
    start: Alignment | None = None,
    *,
    judge: bool = True,
    smooth: FloatImage | None = None,
) -> Alignment:
    """Find where the reference lies in a frame.

    Parameters
    ----------
    template : Template
    frame : ndarray of shape (M, N), float32
        Of the reference's shape.
    start : Alignment or None
        A guess, right to a few times the smoothing.
    judge : bool
        Also measure the residual motion.
    smooth : ndarray of shape (M, N), float32, or None
        The frame smoothed as the template is, where it is at hand.

    Returns
    -------
    Alignment
    """
    if smooth is None:
        smooth = np.asarray(cv2.GaussianBlur(frame, (0, 0), template.sigma_px), dtype=np.float32)
    now = replace(start or Alignment(), residual_px=None)
    now = _recentred(now, template.centre)
    rest = _rest(template, smooth, now)
    weights = np.ones_like(rest)
    for _ in range(ROUNDS):
        weights = _biweight(rest)
        step = _solve(template, rest, weights)
        now = _stepped(now, step, float(template.values.mean()))
        rest = _rest(template, smooth, now)
        if np.hypot(step[0], step[1]) < SETTLED_PX:
            break
    now = replace(now, agreement=float(weights.mean()))
    return replace(now, residual_px=_residual(template, rest, weights)) if judge else now


def _recentred(found: Alignment, centre: tuple[float, float]) -> Alignment:
    y, x = found.move(centre)
    r, c = centre[0] - found.centre[0], centre[1] - found.centre[1]
    return replace(
        found,
        shift_px=(y - centre[0], x - centre[1]),
        centre=centre,
        offset=found.offset + found.slope[0] * r + found.slope[1] * c,
    )


def _rest(template: Template, smooth: FloatImage, now: Alignment) -> Floats:
    """What the frame shows at the moved points beyond the reference, in the reference's brightness."""
    r, c = template.points[:, 0] - np.float32(now.centre[0]), template.points[:, 1] - np.float32(now.centre[1])
    cos, sin = np.float32(np.cos(now.turn_rad)), np.float32(np.sin(now.turn_rad))
    y = np.float32(now.centre[0] + now.shift_px[0]) + cos * r + sin * c
    x = np.float32(now.centre[1] + now.shift_px[1]) - sin * r + cos * c
    count = len(r)
    fold = -(-count // FOLD) * FOLD
    maps = np.zeros((2, fold), np.float32)
    maps[0, :count], maps[1, :count] = x, y
    found = cv2.remap(
        smooth, maps[0].reshape(-1, FOLD), maps[1].reshape(-1, FOLD), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    shown = found.reshape(-1)[:count].astype(np.float64)
    light = now.offset + now.slope[0] * r + now.slope[1] * c
    return np.asarray((shown - light) / now.gain - template.values, dtype=np.float64)


def _biweight(rest: Floats) -> Floats:
    some = rest[::SOME]
    middle = _median(some)
    spread = max(1.4826 * _median(np.abs(some - middle)), 1e-7)
    u = (rest - middle) / (TUKEY * spread)
    np.multiply(u, u, out=u)
    np.maximum(np.subtract(1, u, out=u), 0, out=u)
    return np.multiply(u, u, out=u)


def _median(values: Floats) -> float:
    half = (len(values) - 1) // 2, len(values) // 2
    parted = np.partition(values, half)
    return float(parted[half[0]] + parted[half[1]]) / 2


def _solve(template: Template, rest: Floats, weights: Floats) -> Floats:
    normal = np.empty((UNKNOWNS, UNKNOWNS))
    normal[UPPER] = normal[UPPER[::-1]] = template.products @ weights
    ridge = 1e-6 * float(np.trace(normal)) / UNKNOWNS
    found = np.linalg.solve(normal + ridge * np.eye(UNKNOWNS), template.rows @ (weights * rest))
    return np.asarray(found / template.scales, dtype=np.float64)


def _stepped(now: Alignment, step: Floats, level: float) -> Alignment:
    # the frame shows T(x) + step . design: the next warp takes it away, brightness is added to what is known
    cos, sin = np.cos(now.turn_rad), np.sin(now.turn_rad)
    back = -step[0], -step[1]
    gain = now.gain * (1 + step[3])
    return replace(
        now,
        shift_px=(now.shift_px[0] + cos * back[0] + sin * back[1], now.shift_px[1] - sin * back[0] + cos * back[1]),
        turn_rad=now.turn_rad - step[2],
        gain=gain,
        offset=now.offset + now.gain * (step[4] - step[3] * level),
        slope=(now.slope[0] + now.gain * step[5], now.slope[1] + now.gain * step[6]),
    )


def _residual(template: Template, rest: Floats, weights: Floats) -> float | None:
    """Root mean square shift of the tiles beyond their own noise [px]."""
    for tiles, least in TILES:
        shifts, variances = _tile_shifts(template, rest, weights, tiles)
        if len(shifts) >= least:
            inverse = 1 / (variances + TILE_SD_PX**2)
            excess = float((inverse * (shifts - variances)).sum() / inverse.sum())
            return float(np.sqrt(max(excess, 0.0)))
    return None


def _tile_shifts(template: Template, rest: Floats, weights: Floats, tiles: int) -> tuple[Floats, Floats]:
    """Squared shift left in each tile that is sure of it, and the variance of its noise [px2]."""
    label = template.labels[tiles]
    gr, gc = template.design[:, 0], template.design[:, 1]
    products = (gr * gr, gc * gc, gr * gc, gr * rest, gc * rest, rest * rest, np.ones_like(rest))
    a, b, c, u, v, power, count = (np.bincount(label, weights * x, tiles * tiles) for x in products)
    det = a * b - c * c
    good = (count > 60) & (det > 1e-12 * np.maximum(np.maximum(a, b), 1e-30) ** 2)
    a, b, c, u, v, power, count, det = (x[good] for x in (a, b, c, u, v, power, count, det))
    shift = ((b * u - c * v) / det) ** 2 + ((a * v - c * u) / det) ** 2
    # neighbours share their noise after smoothing
    correlated = 4 * np.pi * template.sigma_px**2
    variance = np.maximum(power / count, 1e-14) * correlated * (a + b) / det
    sure = variance < 2 * TILE_SD_PX**2
    return shift[sure], variance[sure]


def _labels(points: FloatImage, tiles: int) -> NDArray[np.int64]:
    label = np.zeros(len(points), np.int64)
    for place in (points[:, 0], points[:, 1]):
        low, high = np.quantile(place, (0.005, 0.995))
        label = label * tiles + np.clip((place - low) / max(high - low, 1.0) * tiles, 0, tiles - 1).astype(np.int64)
    return label
