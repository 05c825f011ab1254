"""Shapes in pixels become lengths with their doubt: tip to cortex, depth, thickness, margin and reserve.

Every interval is a Monte-Carlo propagation (JCGM 101:2008) of the doubt of tip, outline and scale, with a fixed seed. Outlines
and needles are sometimes wrong altogether, not only imprecise: with the chance ``1 - confidence`` a draw takes a three times
wider error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.cortex import Cortex
from marrowpoint.frame import Calibration, PixelSpacing, Points, SpacingSource
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.polyline import Segments, nearest_points, ray_crossings, segments_of
from marrowpoint.profile import Profile
from marrowpoint.thickness import nearest_thin, thickness_at

Floats = NDArray[np.float64]

TIPS = 256  # exact distances for this many possible tips ...
REPEATS = 16  # ... each with this many draws of outline and scale
QUICK_TIPS, QUICK_REPEATS = 64, 16  # while a person drags
SEED = 20260101
BLUNDER = 3.0  # a wrong outline or needle errs this many times its stated uncertainty
SIDE_PX = 2.0  # the bone side is looked up this far from the line: the mask is only true to a pixel
MIN_INCIDENCE = 0.25  # a shaft that grazes the outline more flatly crosses it anywhere
FIELD_GAP_PX = 3.0  # bone that ends this much before the outline ends at the edge of the field
DETECTOR_MAGNIFICATION = 1.6  # hips stand at 1.1 to 1.6 of their size on C-arm detectors
DISC_GRID_PX = 256  # in-plane width is found on a picture of this size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Draws:
    """Standard normal numbers for every uncertain input; row 0 of the tips is the best tip."""

    along: Floats
    across: Floats
    edge: Floats
    scale: Floats
    map: Floats
    tip_blunder: Floats
    edge_blunder: Floats
    depth: Floats


@lru_cache(maxsize=2)
def _draws(tips: int, repeats: int) -> _Draws:
    rng = np.random.default_rng(SEED)
    along, across = rng.standard_normal((2, tips))
    along[0] = across[0] = 0.0
    edge, scale, thickness = rng.standard_normal((3, repeats, tips))
    return _Draws(
        along=along, across=across, edge=edge, scale=scale, map=thickness,
        tip_blunder=rng.random(tips), edge_blunder=rng.random((repeats, tips)), depth=rng.random((repeats, tips)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """Needle and outline in the unit of the result, with all draws."""

    needle: Needle
    cortex: Cortex
    step: Points  # length of one row and one column step
    unit: Unit
    tips: Points  # (TIPS, 2) [px], the first is the best one
    segments: Segments  # in `unit`
    edge: Floats  # (REPEATS, TIPS) outline error along its normal, in `unit`
    factor: Floats  # (REPEATS, TIPS) scale error, about 1
    draws: _Draws

    @property
    def tip(self) -> Points:
        return np.asarray(self.needle.tip, dtype=np.float64)

    @property
    def axis(self) -> Points:
        """Tip to hub, unit vector in the metric of the result."""
        axis = np.asarray(self.needle.axis, dtype=np.float64) * self.step
        return np.asarray(axis / np.hypot(*axis))

    def measurement(self, value: float, drawn: Floats, bound: Bound, method: str) -> Measurement:
        """Value with the 2.5 and 97.5 % points of the draws (before scale error)."""
        low, high = np.percentile(drawn * self.factor, [2.5, 97.5])
        return Measurement(
            value=float(value), lower=float(min(low, value)), upper=float(max(high, value)),
            unit=self.unit, bound=bound, method=method,
        )  # fmt: skip


def measure_placement(
    cortex: Cortex, needle: Needle, calibration: Calibration, profile: Profile, *, quick: bool = False
) -> Placement:
    """Measure where the tip of a needle lies.

    Parameters
    ----------
    cortex : Cortex
        Outline of the bone.
    needle : Needle
    calibration : Calibration
        Lengths are in mm where it has a spacing, else in px.
    profile : Profile
        What counts as thin bone.
    quick : bool
        With a quarter of the draws, for a picture that follows a mouse: the same values, intervals to about a tenth.

    Returns
    -------
    Placement
        What the frame cannot tell is None: an entry or exit beyond the field, depth of a needle seen end on, thickness of bone
        that no map covers. A thickness without a map is the in-plane width, given only where it is narrow enough to matter.
        Perspective between tip and outline does not enter: the distance is defined at the depth of the tip.
    """
    scene = _scene(cortex, needle, calibration, _draws(QUICK_TIPS, QUICK_REPEATS) if quick else _draws(TIPS, REPEATS))
    if not len(scene.segments.start):
        return Placement(calibration=calibration)
    distance, nearest = _tip_to_cortex(scene)
    inside = distance.value > 0
    entry, depth, reserve = _along_the_shaft(scene) if inside and not needle.end_on else (None, None, None)
    width = _in_plane_width(scene) if inside else None
    mapped = _mapped_thickness(scene) if inside else None
    thickness = _thickness(mapped, width, profile) if inside else None
    margin, thin_point = _thin_margin(scene, profile) if inside else (None, None)
    near = margin is not None and margin.unit is Unit.MM and margin.lower < profile.verdict.thin_margin_mm
    if thickness is None:
        # where the map cannot judge the bone at the tip it cannot say how far thin bone is either; it can still warn
        margin, thin_point = None, thin_point if near else None
    return Placement(
        calibration=calibration,
        tip_to_cortex=distance,
        nearest_cortex=nearest,
        insertion_depth=depth,
        entry=entry,
        far_cortex_reserve=reserve,
        in_plane_width=width,
        bone_thickness=thickness,
        mapped_thickness=mapped,
        thin_bone_margin=margin,
        nearest_thin=thin_point,
        thin_bone_near=near,
        shaft_leaves_bone=inside and not needle.end_on and _bone_runs(scene) > 1,
        shaft_crosses_bone=not inside and _bone_runs(scene) > 0,
    )


def _scene(cortex: Cortex, needle: Needle, calibration: Calibration, draws: _Draws) -> _Scene:
    spacing = calibration.spacing
    step = np.array([spacing.row_mm, spacing.column_mm]) if spacing else np.ones(2)
    factor = _scale_error(calibration, draws)
    axis = np.asarray(needle.axis, dtype=np.float64)
    wide = np.where(draws.tip_blunder < 1 - needle.confidence, BLUNDER, 1.0)
    along, across = draws.along * wide * needle.tip_sd_along_px, draws.across * wide * needle.tip_sd_across_px
    tips = np.asarray(needle.tip) + along[:, None] * axis + across[:, None] * np.array([-axis[1], axis[0]])
    edge_sd = cortex.edge_sd_px * float(np.sqrt(step[0] * step[1]))
    edge = draws.edge * edge_sd * np.where(draws.edge_blunder < 1 - cortex.confidence, BLUNDER, 1.0)
    return _Scene(
        needle=needle, cortex=cortex, step=step, unit=Unit.MM if spacing else Unit.PX, tips=tips,
        segments=segments_of(cortex.lines, step), edge=edge, factor=factor, draws=draws,
    )  # fmt: skip


def _scale_error(calibration: Calibration, draws: _Draws) -> Floats:
    """True over used scale, of shape (REPEATS, TIPS); rungs that contradict the one in use are as likely as it."""
    spacing = calibration.spacing
    if spacing is None:
        return np.ones_like(draws.scale)
    drawn = [_possible(rung, draws) / spacing.mm_per_px for rung in (spacing, *calibration.rivals)]
    # whole tips take one rung: each has every draw of outline and scale
    return np.stack(drawn)[np.arange(draws.scale.shape[1]) % len(drawn), :, np.arange(draws.scale.shape[1])].T


def _possible(rung: PixelSpacing, draws: _Draws) -> Floats:
    """What the scale at the tip may be by one rung [mm/px]."""
    possible = rung.mm_per_px * np.maximum(1 + draws.scale * rung.relative_u / 2, 0.2)
    if rung.source is SpacingSource.DETECTOR_PLANE:
        possible = possible / (1 + (DETECTOR_MAGNIFICATION - 1) * draws.depth)
    return np.asarray(possible)


def _tip_to_cortex(scene: _Scene) -> tuple[Measurement, tuple[float, float]]:
    tips = scene.tips * scene.step
    first, _, _ = nearest_points(tips[:1], scene.segments)
    spread = float(np.hypot(*(tips - tips[0]).T).max())
    distance, nearest, _ = nearest_points(tips, scene.segments.within(tips[0], float(first[0]) + 2 * spread + 1e-6))
    signed = np.where(_on_bone_side(scene, distance, nearest), distance, -distance)
    value, drawn = float(signed[0]), signed + scene.edge
    bound, method = Bound.LOWER, "exact distance to the outline; the true gap is at least this"
    if value > 0:
        bound, method = Bound.UPPER, "exact distance to the outline; the true clearance is at most this"
        gap = _gap_to_unseen(scene)
        if gap < value - FIELD_GAP_PX * float(scene.step.max()):
            # bone is cut off by the edge of the field nearer than any visible cortex: the cortex may lie anywhere beyond it
            drawn = drawn - (value - gap) * scene.draws.depth
            method += "; bone leaves the field nearer than that"
    row, column = nearest[0] / scene.step
    return scene.measurement(value, drawn, bound, method), (float(row), float(column))


def _on_bone_side(scene: _Scene, distance: Floats, nearest: Points) -> NDArray[np.bool_]:
    mask = scene.cortex.bone
    away = scene.tips - nearest / scene.step
    length = np.hypot(*away.T)
    near = length < SIDE_PX
    reach = np.where(near, SIDE_PX / np.maximum(length, 1e-9), 1.0)
    looked = np.rint(nearest / scene.step + away * reach[:, None]).astype(int)
    row = np.clip(looked[:, 0], 0, mask.shape[0] - 1)
    column = np.clip(looked[:, 1], 0, mask.shape[1] - 1)
    return np.asarray(mask[row, column] | (distance == 0))


def _gap_to_unseen(scene: _Scene) -> float:
    """Distance from the tip to where the bone side ends, at whatever edge, or at the border of the picture."""
    found, _ = cv2.findContours(scene.cortex.bone.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    border = np.concatenate([contour.reshape(-1, 2)[:, ::-1] for contour in found])
    return float(np.hypot(*((border - scene.tip) * scene.step).T).min())


def _along_the_shaft(
    scene: _Scene,
) -> tuple[tuple[float, float] | None, Measurement | None, Measurement | None]:
    """Entry through the cortex, depth past it, and what is left ahead of the tip."""
    tip = scene.tip * scene.step
    position, incidence = ray_crossings(tip, scene.axis, scene.segments)
    along = (scene.tips - scene.tip) * scene.step @ scene.axis
    behind, ahead = np.flatnonzero(position > 0), np.flatnonzero(position < 0)
    entry = depth = reserve = None
    if len(behind):
        length, slant = float(position[behind[0]]), max(float(incidence[behind[0]]), MIN_INCIDENCE)
        visible = scene.needle.length_px * float(np.hypot(*(np.asarray(scene.needle.axis) * scene.step)))
        if length <= visible and _bone_until(scene, length):
            row, column = (tip + length * scene.axis) / scene.step
            entry = (float(row), float(column))
            drawn = np.maximum(length - along + scene.edge / slant, 0.0)
            # no bound: foreshortening makes it too short, shaft that lies over bone before it enters makes it too long
            depth = scene.measurement(length, drawn, Bound.ESTIMATE, "along the shaft to the outline, as projected")
    if len(ahead):
        length, slant = -float(position[ahead[-1]]), max(float(incidence[ahead[-1]]), MIN_INCIDENCE)
        if _bone_until(scene, -length):
            drawn = np.maximum(length + along + scene.edge / slant, 0.0)
            reserve = scene.measurement(length, drawn, Bound.ESTIMATE, "ahead along the shaft to the outline, projected")
    return entry, depth, reserve


def _bone_until(scene: _Scene, position: float) -> bool:
    """Whether bone reaches from the tip to that place on the shaft's line, so that no edge of the field lies between."""
    count = max(int(abs(position) / float(scene.step.min())), 1)
    stop = position - np.sign(position) * min(FIELD_GAP_PX * float(scene.step.max()), abs(position))
    points = np.rint((scene.tip * scene.step + np.linspace(0, stop, count)[:, None] * scene.axis) / scene.step).astype(int)
    mask = scene.cortex.bone
    seen = (points >= 0).all(axis=1) & (points < np.array(mask.shape)).all(axis=1)
    if not seen.all():
        return False
    away = np.hypot(*((points - scene.tip) * scene.step).T) > SIDE_PX * float(scene.step.max())
    return bool(mask[points[away, 0], points[away, 1]].all())


def _bone_runs(scene: _Scene) -> int:
    """Stretches of visible shaft over the bone side, each longer and farther apart than the outline's doubt explains."""
    mask, needle = scene.cortex.bone, scene.needle
    doubt = int(np.ceil(3 * scene.cortex.edge_sd_px + 2 * needle.tip_sd_along_px + needle.width_px / 2))
    along = np.arange(0.0, max(needle.length_px, 1.0))
    points = np.rint(scene.tip + along[:, None] * np.asarray(needle.axis)).astype(int)
    seen = (points >= 0).all(axis=1) & (points < np.array(mask.shape)).all(axis=1)
    over = mask[points[seen, 0], points[seen, 1]].astype(np.int8)
    change = np.flatnonzero(np.diff(over, prepend=0, append=0))
    runs = [(int(a), int(b)) for a, b in zip(change[::2], change[1::2], strict=True) if b - a > doubt]
    return sum(1 for k, run in enumerate(runs) if k == 0 or run[0] - runs[k - 1][1] > doubt)


def _in_plane_width(scene: _Scene) -> Measurement | None:
    """Largest disc between the lines that holds the tip; edges of the field do not bound it."""
    mask = scene.cortex.bone
    scale = min(1.0, DISC_GRID_PX / max(mask.shape))
    shape = (max(int(mask.shape[0] * scale), 1), max(int(mask.shape[1] * scale), 1))
    ratio = np.array(shape) / np.array(mask.shape)
    free = np.full(shape, 255, np.uint8)
    for line in scene.cortex.lines:
        drawn = np.rint(((line + 0.5) * ratio - 0.5)[:, ::-1] * 16).astype(np.int32)
        cv2.polylines(free, [drawn.reshape(-1, 1, 2)], isClosed=False, color=0, shift=4)
    small = cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    cell = float(np.sqrt(np.prod(scene.step / ratio)))
    radius = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * cell
    centre = (scene.tip + 0.5) * ratio - 0.5
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    away = np.hypot((rows - centre[0]) * scene.step[0] / ratio[0], (columns - centre[1]) * scene.step[1] / ratio[1])
    holds = small & (away <= radius + cell)
    if not holds.any():
        return None
    value = 2 * float(radius[holds].max())
    # the grid errs by up to half a cell on either side; all of the outline may be off by its own doubt
    drawn = np.maximum(value + 2 * scene.edge + cell * scene.draws.map, 0.0)
    return scene.measurement(value, drawn, Bound.UPPER, "largest disc in the outline that holds the tip")


def _mapped_thickness(scene: _Scene) -> Measurement | None:
    thickness = scene.cortex.thickness
    found = thickness_at(thickness, scene.tips, scene.draws.map) if thickness is not None else None
    if thickness is None or found is None:
        return None
    value, lower, upper = found
    return Measurement(
        value=value, lower=min(lower, value), upper=max(upper, value), unit=Unit.MM, bound=Bound.ESTIMATE,
        method=thickness.method,
    )  # fmt: skip


def _thickness(mapped: Measurement | None, width: Measurement | None, profile: Profile) -> Measurement | None:
    in_mm = width if width is not None and width.unit is Unit.MM else None
    if mapped is None:
        if in_mm is None or in_mm.upper >= profile.verdict.thick_from_mm:
            return None
        return Measurement(
            value=in_mm.value, lower=0.0, upper=in_mm.upper, unit=Unit.MM, bound=Bound.UPPER, method=in_mm.method
        )
    cap = in_mm.upper if in_mm is not None else np.inf
    value, lower, upper = (min(x, cap) for x in (mapped.value, mapped.lower, mapped.upper))
    if lower < profile.verdict.thin_below_mm and upper >= profile.verdict.thick_from_mm:
        return None  # from thin to thick: a number here would say more than the map knows
    method = mapped.method + ("; held below the in-plane width" if mapped.upper > cap else "")
    return Measurement(value=value, lower=lower, upper=upper, unit=Unit.MM, bound=Bound.ESTIMATE, method=method)


def _thin_margin(scene: _Scene, profile: Profile) -> tuple[Measurement | None, tuple[float, float] | None]:
    if scene.cortex.thickness is None:
        return None, None
    found = nearest_thin(scene.cortex.thickness, scene.tips, scene.step, profile.verdict.thin_below_mm)
    if found is None:
        return None, None
    distance, point = found
    m = scene.cortex.thickness.median_mm.shape[0]
    cell = scene.cortex.thickness.frame_shape[0] / m * float(scene.step[0])
    drawn = np.maximum(distance + cell / 2 * scene.draws.map, 0.0)
    return scene.measurement(float(distance[0]), drawn, Bound.ESTIMATE, "to the map's nearest thin bone, in plane"), point
