"""A vein that carries contrast away: a thin line that leaves the pool, is no needle, and is too straight-edged for a leak.

Faint lines are found by adding up along them (`runs/lines.py`) in the picture of the most contrast that each place ever showed,
outside of the thick bodies of contrast (`runs/body.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from skimage.morphology import skeletonize

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.runs.body import find_bodies, from_tip
from marrowpoint.runs.grid import GridScale, disc, from_rim
from marrowpoint.runs.lines import PLACE_MM, Lines, filter_lines
from marrowpoint.runs.opacity import most_opaque, steadily_opaque
from marrowpoint.runs.run import Run
from marrowpoint.runs.spread import SpreadSeries, Surroundings
from marrowpoint.runs.subtract import Subtraction

SEED, GROW = 5.5, 3.4  # noise SDs of the filter's answer
FRINGE_MM, METAL_MM = 2.0, 1.5  # around a body and around the needle no line is looked for
EDGE_MM = 3.0  # along the edge of the field none is looked for either
AT_EDGE_MM = 2.0  # a line whose far end lies so near to that rim goes on beyond it
SAME_MM = 1.5  # two lines so near to one another are one
START_MM = 7.0  # a vein begins so near to the pool or the tip
ALONE = 8.0  # noise SDs where there is no body that a line could leave
# noise SDs of a line that comes from behind the needle, how near to what is hidden it begins, and how far it goes from it
EMERGES, BEGINS_MM, LEAVES_MM = 6.5, 1.5, 4.0
ITSELF = 2.5  # noise SDs of the median along a line
WINDING = 1.25  # a vein is at most so much longer than its ends are apart; a crown of spurs at a body's edge is


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
    cut_off : bool
        It reaches the edge of the field: it is at least so long.
    """

    line: Mask
    length: float
    width: float
    end: tuple[float, float]
    strength: float
    washout: float | None
    outruns: bool
    cut_off: bool = False


def as_run(branch: Branch, end: tuple[float, float]) -> Run:
    """A line for the record, with its far end in the mask picture (row, column) [px]."""
    return Run(
        length=branch.length,
        width=branch.width,
        end=end,
        washout=branch.washout,
        outruns=branch.outruns,
        strength=branch.strength,
        cut_off=branch.cut_off,
    )


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
    ground = _ground(most, subtraction, series, around, scale)
    pictures = [filter_lines(p, subtraction.inside, ground.hidden, scale) for p in (most, steadily_opaque(subtraction))]
    both = [branch for lines in pictures for branch in _leaving(lines, ground, subtraction, scale)]
    found: list[Branch] = []
    taken = np.zeros_like(ground.hidden)
    for branch in sorted(both, key=lambda b: -b.length):
        if (branch.line & taken).sum() <= 0.5 * branch.line.sum():
            found.append(branch)
            taken |= cv2.dilate(branch.line.astype(np.uint8), disc(scale.px(SAME_MM))) > 0
    return tuple(found), SEED * pictures[0].unit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ground:
    """Where lines are looked for and what they leave; masks and distances [px of the grid] of shape (m, n)."""

    hidden: Mask
    free: Mask
    start: Mask
    from_tip: FloatImage
    to_body: FloatImage
    to_apart: FloatImage
    from_metal: FloatImage
    to_edge: FloatImage
    least: float
    emerging: float


def _ground(
    most: FloatImage, subtraction: Subtraction, series: SpreadSeries, around: Surroundings, scale: GridScale
) -> _Ground:
    bodies = find_bodies(most, series.seen, around, scale)
    if around.swept is not None:
        bodies = bodies.near(cv2.dilate(around.swept.astype(np.uint8), disc(scale.px(METAL_MM))) > 0)
    fringe = cv2.dilate(bodies.whole.astype(np.uint8), disc(scale.px(FRINGE_MM))) > 0
    # a streak of its own is no line either, but none is thought to leave it
    apart = find_bodies(most, series.apart, around, scale, pool=False)
    metal = around.corridor if around.swept is None else around.corridor | around.swept
    hidden = fringe | (cv2.dilate(metal.astype(np.uint8), disc(scale.px(METAL_MM))) > 0)
    hidden |= cv2.dilate(apart.whole.astype(np.uint8), disc(scale.px(FRINGE_MM))) > 0
    distance = from_tip(around)
    to_edge = from_rim(subtraction.inside, metal)
    # with nothing that it could leave a line must be sure; a needle that moves changes much, and there none is
    alone = ALONE if around.swept is None else np.inf
    return _Ground(
        hidden=hidden,
        # where the collimator's edge moves or changes its brightness it is a line, too
        free=subtraction.inside & ~hidden & (to_edge > max(scale.px(EDGE_MM), 1.5)),
        start=cv2.dilate((fringe | (distance < scale.px(START_MM))).astype(np.uint8), disc(scale.px(START_MM))) > 0,
        from_tip=distance,
        to_body=_away_from(bodies.thick) if bodies.thick.any() else distance,
        to_apart=_away_from(apart.thick) if apart.thick.any() else np.full_like(distance, np.inf),
        from_metal=_away_from(metal),
        to_edge=to_edge,
        least=SEED if bodies.thick.any() else alone,
        emerging=EMERGES if around.swept is None else ALONE,
    )


def _leaving(lines: Lines, ground: _Ground, subtraction: Subtraction, scale: GridScale) -> list[Branch]:
    """Lines that leave what is hidden, gaps in them closed; where that makes a patch of two, each for itself."""
    thin = (lines.answer > GROW) & lines.thin
    closed = cv2.morphologyEx(thin.astype(np.uint8), cv2.MORPH_CLOSE, disc(scale.px(1.5))) > 0
    noise = 1.4826 * float(np.median(np.abs(lines.density[ground.free]))) if ground.free.any() else 0.0

    def told(pieces: Iterable[Mask]) -> Iterator[tuple[Mask, Branch | None]]:
        for piece in pieces:
            strength = float(lines.answer[piece].max())
            begins = (piece & ground.start).any() or _emerges(strength, piece, ground, scale)
            if strength > ground.least and begins:
                branch = _branch(piece, lines, ground, (subtraction, scale))
                yield piece, branch if _seen_itself(lines.density[branch.line], noise, scale) else None

    found = []
    for whole, branch in told(_pieces(closed & ground.free)):
        parts = [branch] if branch is not None else [part for _, part in told(_pieces(thin & whole))]
        found += [part for part in parts if part is not None]
    return found


def _pieces(mask: Mask) -> Iterator[Mask]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        yield labels == label


def _away_from(mask: Mask) -> FloatImage:
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)


def _emerges(strength: float, piece: Mask, ground: _Ground, scale: GridScale) -> bool:
    """Whether a sure line comes out from behind the needle and leaves it: its begin may be hidden."""
    near, far = float(ground.from_metal[piece].min()), float(ground.from_metal[piece].max())
    return strength > ground.emerging and near < scale.px(METAL_MM + BEGINS_MM) and far > scale.px(LEAVES_MM)


def _seen_itself(density: FloatImage, noise: float, scale: GridScale) -> bool:
    """Whether at least half of a line's own places show it; what a filter sees beside a strong line does not."""
    alike = 2 * np.sqrt(np.pi) * max(0.5, scale.px(PLACE_MM[0]))
    return bool(np.median(density) > ITSELF * noise * np.sqrt(alike / max(density.size, alike)))


def _branch(piece: Mask, lines: Lines, ground: _Ground, context: tuple[Subtraction, GridScale]) -> Branch:
    """A line; its length from the body that it leaves to the edge that it reaches, its width at half its height."""
    subtraction, scale = context
    line = np.asarray(skeletonize(piece))
    places = np.argwhere(line)
    far = places[int(np.argmax(ground.from_tip[line]))]
    # steps across a pixel's corner are longer: a skeleton of n pixels is about 1.1 n long
    apart = float(np.hypot(*np.ptp(places, axis=0))) + 1.0
    length = min(1.1 * float(line.sum()), WINDING * apart)
    # between body and line lies the fringe, between line and edge the rim
    whole = length + min(float(ground.to_body[piece].min()), scale.px(START_MM))
    to_edge = float(ground.to_edge[far[0], far[1]])
    leaves = to_edge < scale.px(EDGE_MM + AT_EDGE_MM)
    # a line that leads to contrast apart from the tip goes on through what is hidden around that
    onward = float(ground.to_apart[far[0], far[1]])
    whole += onward if onward < scale.px(START_MM) else 0.0
    height = max(float(np.median(lines.density[line])), 0.0)
    curve = subtraction.stack[:, line].mean(axis=1)
    smooth = np.convolve(curve, np.ones(3) / 3, mode="same")
    peak = float(smooth.max())
    return Branch(
        line=line,
        length=(whole + (to_edge if leaves else 0.0)) * scale.size,
        width=float((piece & (lines.density > 0.5 * height)).sum()) / max(length, 1.0) * scale.size,
        end=(float(far[0]), float(far[1])),
        strength=float(lines.answer[piece].max()),
        washout=None if peak <= 0 else float(np.clip(smooth[-4:-1].mean() / peak, 0, 1)),
        outruns=_outruns(subtraction, line, ground.from_tip),
        cut_off=leaves,
    )


def _outruns(subtraction: Subtraction, line: Mask, distance: FloatImage) -> bool:
    """Whether the far third of a line fills at least a frame later than the near third."""
    near, far = np.quantile(distance[line], (1 / 3, 2 / 3))
    times = []
    for part in (line & (distance <= near), line & (distance >= far)):
        curve = np.convolve(subtraction.stack[:, part].mean(axis=1), np.ones(3) / 3, mode="same")
        times.append(int(np.argmax(curve > 0.5 * curve.max())))
    return times[1] > times[0]
