"""The hip bone that the needle is aimed at: the prior finds it, the full-resolution picture places its edge.

The prior's outline is moved along its normals only as far as the prior's own doubt justifies, by `refine.refine_line`. Where
the outline is only the edge of the field of view it is no cortex, and is left out of the lines.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.cortex import BonePrior, Cortex
from marrowpoint.edges import sample_normals
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.refine import refine_line
from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.needle import Needle

MIN_BONE_SHARE = 0.01  # of the frame: less is no hip bone
MAX_BONE_SHARE = 0.95  # of the field: a prior that calls everything bone has not found one
PIECE_SHARE = 0.15  # a piece is kept from this share of the largest on, a hole from this share of all bone on
HOLE_SHARE = 0.01
FIELD_MARGIN = 1 / 128  # of the frame's longer side: an outline this near to the field's edge is that edge
LINE_STEP = 1 / 400  # of the frame's longer side, between the points of a line
LINE_SMOOTH = 3.0  # in steps: grid corners of the prior are no anatomy
MIN_LINE_POINTS = 8
NEAR_TIP = 1 / 12  # of the frame's longer side: the arc whose doubt counts for the tip
MIN_PRIOR_SD_CELLS = 0.45  # the coarse grid itself places no edge better
HIDDEN_MARGIN_PX = 4.0
MAX_PRIOR_SD_CELLS = 5.0  # a prior vaguer than this is no outline
MIN_CONFIDENCE = 0.02
USUAL_FIELD_MM, USUAL_NEEDLE_MM = 200.0, 2.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Line:
    """One stretch of outline: refined points, with what is known of each."""

    points: Points
    sd_px: NDArray[np.float64]
    evidence: NDArray[np.float64]
    cortex: bool
    closed: bool


def segment_bone(exposure: Exposure, needle: Needle | None, prior: BonePrior | None) -> Cortex:
    """Outline the hip bone that the needle is aimed at.

    Parameters
    ----------
    exposure : Exposure
    needle : Needle or None
        Its shaft is masked out; the outline's doubt is given for the arc nearest to its tip.
    prior : BonePrior or None
        What the learned prior says. Without one no outline is drawn: region methods do not find a pelvis under gas and sacrum.

    Returns
    -------
    Cortex

    Raises
    ------
    NotAssessable
        ``no_bone`` where no hip bone can be outlined.
    """
    if prior is None:
        raise NotAssessable("no_bone", "No bone model is installed, and without one the hip bone cannot be outlined reliably.")
    shape = exposure.attenuation.shape
    chance = _upsample(prior.hip, shape)
    coarse = _clean(chance > 0.5, exposure.field)
    hidden = ~exposure.field if needle is None else ~exposure.field | needle.footprint(shape, margin_px=HIDDEN_MARGIN_PX)
    refiner = _Refiner(
        attenuation=exposure.attenuation,
        chance=chance,
        hidden=hidden,
        cell_px=max(shape) / max(prior.hip.shape),
        mm_per_px=_rough_scale(needle, shape),
    )
    borders = [[refiner.move(stretch) for stretch in border] for border in _borders(coarse, exposure.field)]
    lines = [line for border in borders for line in border if line.cortex]
    bone = _bone_side([np.concatenate([line.points for line in border]) for border in borders], exposure.field)
    sd, confidence = _doubt(lines, needle, prior, max(shape))
    return Cortex(
        bone=bone,
        lines=tuple(np.concatenate([line.points, line.points[:1]]) if line.closed else line.points for line in lines),
        edge_sd_px=sd,
        confidence=confidence,
        thickness=prior.thickness,
        located_by="learned+refined",
        model_sha256=prior.model_sha256,
    )


def _upsample(grid: FloatImage, shape: tuple[int, int]) -> FloatImage:
    # cv2's linear resize has pixel centres where the grid has them (see ThicknessMap)
    return np.asarray(cv2.resize(grid.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _clean(bone: Mask, field: Mask) -> Mask:
    """Bone inside the field, without specks and small holes."""
    inside = bone & field
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if count < 2 or areas.max() < MIN_BONE_SHARE * inside.size:
        raise NotAssessable("no_bone", "The bone model finds no hip bone in this picture.")
    kept = np.zeros(count, bool)
    kept[1:] = areas >= PIECE_SHARE * areas.max()
    whole = kept[labels]
    if whole.sum() > MAX_BONE_SHARE * field.sum():
        raise NotAssessable("no_bone", "The bone model cannot tell bone from its surroundings in this picture.")
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~whole & field).astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < HOLE_SHARE * whole.sum()
    small[0] = False
    filled: Mask = whole | small[labels]
    return filled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stretch:
    """Part of a border in one piece: cortex, or only the edge of the field."""

    points: Points
    cortex: bool
    closed: bool


def _borders(bone: Mask, field: Mask) -> list[list[_Stretch]]:
    """Every border of the bone as its stretches, in order round the border."""
    size = max(bone.shape)
    margin = max(round(FIELD_MARGIN * size), 2)
    padded = np.pad(field.astype(np.uint8), 1)  # the border of the picture is an edge of the field
    well_inside = cv2.erode(padded, np.ones((2 * margin + 1,) * 2, np.uint8), borderValue=0)[1:-1, 1:-1] > 0
    found, _ = cv2.findContours(bone.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    step = max(LINE_STEP * size, 1.0)
    borders = []
    for contour in found:
        ring = contour.reshape(-1, 2)[:, ::-1]
        stretches = _stretches(ring.astype(np.float64), well_inside[ring[:, 0], ring[:, 1]])
        borders.append([_even(stretch, step) for stretch in stretches])
    return borders


def _stretches(ring: Points, cortex: Mask) -> list[_Stretch]:
    if cortex.all() or not cortex.any():
        return [_Stretch(points=ring, cortex=bool(cortex.all()), closed=True)]
    start = int(np.flatnonzero(~cortex & np.roll(cortex, 1))[0])
    ring, cortex = np.roll(ring, -start, axis=0), np.roll(cortex, -start)
    cuts = [0, *(np.flatnonzero(np.diff(cortex.astype(np.int8))) + 1).tolist(), len(ring)]
    return [_Stretch(points=ring[a:b], cortex=bool(cortex[a]), closed=False) for a, b in itertools.pairwise(cuts)]


def _even(stretch: _Stretch, step: float) -> _Stretch:
    """Smooth the pixels of a cortex and space them evenly."""
    chain, closed = stretch.points, stretch.closed
    if not stretch.cortex:
        return stretch
    if closed:
        chain = np.concatenate([chain, chain[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(chain, axis=0).T))])
    count = int(way[-1] / step)
    if count < MIN_LINE_POINTS:
        return replace(stretch, cortex=False)
    at = np.linspace(0, way[-1], count, endpoint=not closed)
    line = np.column_stack([np.interp(at, way, chain[:, k]) for k in (0, 1)])
    return replace(stretch, points=smooth_line(line, LINE_SMOOTH, closed))


def smooth_line(values: Points, sigma: float, closed: bool) -> Points:
    """Gaussian smoothing along a line; open ends stay where they are.

    Parameters
    ----------
    values : ndarray of shape (S, D)
    sigma : float
        In samples.
    closed : bool

    Returns
    -------
    ndarray of shape (S, D)
    """
    reach = int(3 * sigma)
    x = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    kernel /= kernel.sum()
    if closed:
        padded = np.take(values, np.arange(-reach, len(values) + reach), axis=0, mode="wrap")
    else:  # point reflection keeps the ends and their direction
        before = 2 * values[:1] - values[1 : reach + 1][::-1]
        after = 2 * values[-1:] - values[-reach - 1 : -1][::-1]
        padded = np.concatenate([before, values, after])
        if len(padded) < len(values) + 2 * reach:
            return values
    return np.column_stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(values.shape[1])])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Refiner:
    """What every stretch needs to be moved onto its edge."""

    attenuation: FloatImage
    chance: FloatImage
    hidden: Mask
    cell_px: float
    mm_per_px: float

    def move(self, stretch: _Stretch) -> _Line:
        """Refine a stretch of cortex; the edge of the field stays."""
        points, none = stretch.points, np.zeros(len(stretch.points))
        if not stretch.cortex:
            return _Line(points=points, sd_px=none, evidence=none, cortex=False, closed=stretch.closed)
        normals, sd = self._normals(points, stretch.closed)
        found = refine_line(
            self.attenuation, points, normals, self.hidden, sd_px=sd, cell_px=self.cell_px, mm_per_px=self.mm_per_px
        )
        offset = smooth_line(found.offset_px[:, None], LINE_SMOOTH, stretch.closed)
        return _Line(
            points=points + offset * normals, sd_px=found.sd_px, evidence=found.evidence, cortex=True, closed=stretch.closed
        )

    def _normals(self, points: Points, closed: bool) -> tuple[Points, NDArray[np.float64]]:
        """Unit normals out of the bone, and the prior's own doubt from how steeply it falls along them [px]."""
        ends = points[[-1, *range(len(points)), 0]] if closed else np.pad(points, ((1, 1), (0, 0)), mode="edge")
        tangent = ends[2:] - ends[:-2]
        normals = np.column_stack([-tangent[:, 1], tangent[:, 0]])
        normals /= np.maximum(np.hypot(*normals.T), 1e-9)[:, None]
        at = np.array([-1.0, 1.0]) * self.cell_px
        chance = sample_normals(self.chance, points, normals, at).astype(np.float64)
        fall = (chance[:, 0] - chance[:, 1]) / (2 * self.cell_px)  # a pixel
        if fall.sum() < 0:
            normals, fall = -normals, -fall
        # a logistic border of slope g at its middle has a standard deviation of 1.81 / (4 g)
        sd = 1.81 / (4 * np.maximum(smooth_line(fall[:, None], LINE_SMOOTH, closed)[:, 0], 0.02 / self.cell_px))
        return normals, np.clip(sd, MIN_PRIOR_SD_CELLS * self.cell_px, MAX_PRIOR_SD_CELLS * self.cell_px)


def _rough_scale(needle: Needle | None, shape: tuple[int, int]) -> float:
    """Scale good enough for the width of an edge [mm/px]: a 9-inch field, or a needle of the usual size."""
    by_field = USUAL_FIELD_MM / max(shape)
    if needle is None:
        return by_field
    return float(np.sqrt(by_field * USUAL_NEEDLE_MM / max(needle.width_px, 1.0)))


def _bone_side(rings: list[Points], field: Mask) -> Mask:
    """Everything inside the rings (holes are rings too) and inside the field."""
    canvas = np.zeros(field.shape, np.uint8)
    drawn = [np.rint(ring[:, ::-1] * 16).astype(np.int32).reshape(-1, 1, 2) for ring in rings]
    cv2.fillPoly(canvas, drawn, 1, shift=4)
    inside: Mask = (canvas > 0) & field
    return inside


def _doubt(lines: list[_Line], needle: Needle | None, prior: BonePrior, size: int) -> tuple[float, float]:
    """Standard uncertainty [px] and confidence of the outline near the tip (of all of it without a needle)."""
    if not lines:
        return size * NEAR_TIP, MIN_CONFIDENCE
    points = np.concatenate([line.points for line in lines])
    sd, evidence = np.concatenate([line.sd_px for line in lines]), np.concatenate([line.evidence for line in lines])
    if needle is not None:
        nearest = points[np.argmin(np.hypot(*(points - np.asarray(needle.tip)).T))]
        near = np.hypot(*(points - nearest).T) < NEAR_TIP * size
        sd, evidence = sd[near], evidence[near]
    agreement = float(np.clip((prior.agreement - 0.6) / 0.3, 0.0, 1.0))
    cell = size / max(prior.hip.shape)
    sharp = float(np.clip(1.25 - np.sqrt(np.mean(sd**2)) / (MAX_PRIOR_SD_CELLS * cell), 0.0, 1.0))
    confidence = 0.97 * (0.4 + 0.6 * agreement) * (0.6 + 0.4 * max(sharp, float(evidence.mean())))
    return float(np.sqrt(np.mean(sd**2))), max(confidence, MIN_CONFIDENCE)
