"""The hip bone that the needle is aimed at: the prior finds it, the full-resolution picture places its edge.

The prior's outline is moved along its normals only as far as the prior's own doubt justifies, by `refine.refine_line`. Where
the outline is only the edge of the field of view it is no cortex, and is left out of the lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.cortex import BonePrior, Cortex
from marrowpoint.edges import sample_normals
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.outline import LINE_SMOOTH, Stretch, borders_of, fill_rings, smooth_line
from marrowpoint.fluoroscopy.prior import reading_spread
from marrowpoint.fluoroscopy.refine import CoarseLine, refine_line
from marrowpoint.fluoroscopy.windows import field_window
from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.needle import Needle

MIN_BONE_SHARE = 0.01  # of the frame: less is no hip bone
MAX_BONE_SHARE = 0.95  # of the field: a prior that calls everything bone has not found one
PIECE_SHARE = 0.15  # a piece is kept from this share of the largest on, a hole from this share of all bone on
HOLE_SHARE = 0.01
NEAR_TIP = 1 / 30  # of the frame's longer side: standard width of the arc whose doubt counts for the tip
COARSE = 1 / 128  # of the frame's longer side: what the prior resolves at best
MIN_PRIOR_SD_CELLS = 0.45  # in those: the coarse grid itself places no edge better
HIDDEN_MARGIN_PX = 4.0
TEXT_SHARE = 0.02  # of the frame: a larger gap in the field is a shutter
PRIOR_CORRELATION = 0.09  # of the frame's longer side: a coarse outline errs alike over this length
MAX_PRIOR_SD_CELLS = 5.0  # a prior vaguer than this is no outline
MIN_CONFIDENCE = 0.02
# Chance that the outline near the tip is right within 4 mm: a logistic regression on how far the tip's distance moves between a
# generous and a strict reading of the prior, and on the doubt of the refined edge there (natural logarithms of both, as
# shares of the field's side), fitted on 500 simulated pictures of a person that the network was not trained on
# (training/calibrate_outline.py; docs/model_card.md).
RIGHT = (-8.257, -0.794, -1.714)  # constant, weight of the spread, weight of the edge's doubt
LEAST_SHARE = 0.004  # of the field's side: smaller doubts are as good
SPREAD_PER_SD = 2.2  # where no tip is known
# Of straight and mirrored answers: counts as none, as full. 4 % of trusted held-out outlines lie below 0.9; it is 0.71 to 0.89
# in ten real pictures of femurs, hearts and clavicles.
AGREEMENT = (0.82, 0.9)
# Share of the field that is neither bone nor none to the prior, over the root of the share that is bone: 0.11 in the median of
# simulated hips (90 % under 0.39), 0.31 to 1.07 in ten real pictures of other bodies' parts. Counts as none, as full.
HALF_SEEN, VAGUE = (0.2, 0.8), (0.55, 0.4)
EDGE_MODEL_SD_MM = 0.2  # the onset of a cortex is placed no better than this
USUAL_FIELD_MM, USUAL_NEEDLE_MM = 200.0, 2.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Line:
    """One stretch of outline: refined points, with what is known of each."""

    points: Points
    sd_px: NDArray[np.float64]
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
    chance, field = _upsample(prior.hip, shape), _without_text(exposure.field)
    rings = _rings_of(chance > 0.5, field)
    hidden = ~exposure.field if needle is None else ~exposure.field | needle.footprint(shape, margin_px=HIDDEN_MARGIN_PX)
    refiner = _Refiner(
        attenuation=exposure.attenuation,
        chance=chance,
        hidden=hidden,
        cell_px=max(shape) * COARSE,
        mm_per_px=_rough_scale(needle, shape),
    )
    borders = [[refiner.move(stretch) for stretch in border] for border in borders_of(rings, field)]
    lines = [line for border in borders for line in border if line.cortex]
    bone = fill_rings([np.concatenate([line.points for line in border]) for border in borders], shape) & field
    for line in (line for border in borders for line in border if not line.cortex):
        row, column = line.points.astype(int).T  # pixels of bone on the edge of the field
        bone[row, column] = True
    sd = _doubt(lines, needle, max(shape))
    spread = SPREAD_PER_SD * sd if needle is None else level_spread(prior, needle, exposure.field)
    side = field_window(field).side
    return Cortex(
        bone=bone,
        lines=tuple(np.concatenate([line.points, line.points[:1]]) if line.closed else line.points for line in lines),
        edge_sd_px=sd,
        confidence=_confidence(spread / side, sd / side, prior, exposure.field) if lines else MIN_CONFIDENCE,
        thickness=prior.thickness,
        located_by="learned+refined",
        model_sha256=prior.model_sha256,
    )


def _upsample(grid: FloatImage, shape: tuple[int, int]) -> FloatImage:
    # cv2's linear resize has pixel centres where the grid has them (see ThicknessMap)
    return np.asarray(cv2.resize(grid.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _without_text(field: Mask) -> Mask:
    """The field with small gaps inside it closed: under burned-in text there is still bone, only nothing to see of it."""
    gaps, _ = cv2.findContours((~field).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    closed = field.astype(np.uint8)
    for gap in gaps:
        left, top, width, height = cv2.boundingRect(gap)
        inner = left > 0 and top > 0 and left + width < field.shape[1] and top + height < field.shape[0]
        if inner and width * height < TEXT_SHARE * field.size:
            cv2.drawContours(closed, [gap], -1, 1, cv2.FILLED)
    return closed > 0


def _rings_of(bone: Mask, field: Mask) -> list[Points]:
    """Borders of the bone inside the field, without specks and small holes."""
    inside = (bone & field).astype(np.uint8)
    found, tree = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parent = tree[0, :, 3] if len(found) else np.empty(0, int)
    areas = np.array([cv2.contourArea(contour) for contour in found])
    outer = areas[parent < 0]
    if not len(outer) or outer.max() < MIN_BONE_SHARE * inside.size:
        raise NotAssessable("no_bone", "The bone model finds no hip bone in this picture.")
    if int(inside.sum()) > MAX_BONE_SHARE * int(field.sum()):
        raise NotAssessable("no_bone", "The bone model cannot tell bone from its surroundings in this picture.")
    kept = (parent < 0) & (areas >= PIECE_SHARE * outer.max())
    kept |= (parent >= 0) & kept[parent] & (areas >= HOLE_SHARE * outer.max())
    return [found[k].reshape(-1, 2)[:, ::-1].astype(np.float64) for k in np.flatnonzero(kept).tolist()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Refiner:
    """What every stretch needs to be moved onto its edge."""

    attenuation: FloatImage
    chance: FloatImage
    hidden: Mask
    cell_px: float
    mm_per_px: float

    def move(self, stretch: Stretch) -> _Line:
        """Refine a stretch of cortex; the edge of the field stays."""
        points, none = stretch.points, np.zeros(len(stretch.points))
        if not stretch.cortex:
            return _Line(points=points, sd_px=none, cortex=False, closed=stretch.closed)
        normals, sd = self._normals(points, stretch.closed)
        points = points + normals / 2  # the pixels of a border lie half a pixel inside it
        coarse = CoarseLine(
            points=points,
            normals=normals,
            sd_px=sd,
            correlation_px=PRIOR_CORRELATION * max(self.hidden.shape),
            closed=stretch.closed,
        )
        found = refine_line(self.attenuation, self.hidden, coarse, self.mm_per_px)
        offset = smooth_line(found.offset_px[:, None], LINE_SMOOTH, stretch.closed)
        # no cortex is seen beyond the picture
        moved = np.clip(points + offset * normals, -0.5, np.array(self.hidden.shape) - 0.5)
        return _Line(
            points=moved,
            sd_px=np.hypot(found.sd_px, EDGE_MODEL_SD_MM / self.mm_per_px),
            cortex=True,
            closed=stretch.closed,
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


def _doubt(lines: list[_Line], needle: Needle | None, size: int) -> float:
    """Standard uncertainty [px] of the outline near the tip (of all of it without a needle)."""
    if not lines:
        return size * NEAR_TIP
    points = np.concatenate([line.points for line in lines])
    sd = np.concatenate([line.sd_px for line in lines])
    weight = np.ones(len(points))
    if needle is not None:
        nearest = points[np.argmin(np.hypot(*(points - np.asarray(needle.tip)).T))]
        weight = np.exp(-0.5 * (np.hypot(*(points - nearest).T) / (NEAR_TIP * size)) ** 2)
    return float(np.sqrt(weight @ sd**2 / weight.sum()))


def level_spread(prior: BonePrior, needle: Needle, field: Mask) -> float:
    """By how much the tip's signed distance differs between a generous and a strict reading of the prior.

    Parameters
    ----------
    prior : BonePrior
    needle : Needle
    field : ndarray of shape (M, N), bool

    Returns
    -------
    float
        In pixels of the frame; small where the outline near the tip is one line at every level.
    """
    grid = prior.hip.shape
    ratio = np.array(grid) / np.array(field.shape)
    seen = cv2.resize(field.astype(np.uint8), grid[::-1], interpolation=cv2.INTER_NEAREST) > 0
    row, column = np.clip(np.rint((np.asarray(needle.tip) + 0.5) * ratio - 0.5).astype(int), 0, np.array(grid) - 1)
    return float(reading_spread(prior.hip, (int(row), int(column)), seen) / ratio.mean())


def _confidence(spread: float, edge_sd: float, prior: BonePrior, field: Mask) -> float:
    agreed = np.clip((prior.agreement - AGREEMENT[0]) / (AGREEMENT[1] - AGREEMENT[0]), 0.0, 1.0)
    known = np.clip((_vagueness(prior, field) - VAGUE[0]) / (VAGUE[1] - VAGUE[0]), 0.0, 1.0)
    return round(float(np.clip(chance_right(spread, edge_sd) * agreed * known, MIN_CONFIDENCE, 1.0)), 6)


def chance_right(spread: float, edge_sd: float) -> float:
    """Chance that an outline is right near the tip, within 4 mm.

    Parameters
    ----------
    spread : float
        By how much the tip's distance differs between a generous and a strict reading of the prior, over the field's side.
    edge_sd : float
        Standard uncertainty of the refined edge near the tip, over the field's side.

    Returns
    -------
    float
    """
    constant, of_spread, of_edge = RIGHT
    logit = constant + of_spread * np.log(max(spread, LEAST_SHARE)) + of_edge * np.log(max(edge_sd, LEAST_SHARE))
    return float(1 / (1 + np.exp(-logit)))


def _vagueness(prior: BonePrior, field: Mask) -> float:
    """How much of the picture the prior cannot decide on: large where it looks at something other than a pelvis."""
    seen = cv2.resize(field.astype(np.uint8), prior.hip.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    hip = prior.hip[seen]
    if not hip.size:
        return float("inf")
    undecided = np.mean((hip > HALF_SEEN[0]) & (hip < HALF_SEEN[1]))
    return float(undecided / np.sqrt(max(float(np.mean(hip > 0.5)), MIN_BONE_SHARE)))
