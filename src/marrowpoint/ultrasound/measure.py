"""Lengths between a needle's tip and the bone surface, perpendicular and along the needle, with their doubt."""

from __future__ import annotations

import numpy as np

from marrowpoint.cortex import Cortex
from marrowpoint.frame import Calibration, Points
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.polyline import nearest_points, ray_crossings, segments_of
from marrowpoint.ultrasound.beams import BeamSpace

COVERAGE = 2.0  # 95 %
END_MM = 1.0  # nearest point this close to the end of a piece: bone that is not seen may lie nearer
NOT_A_PEAK = 3  # beams from the end of a piece


def measure_scan(
    needle: Needle, cortex: Cortex, beams: BeamSpace, calibration: Calibration, *, meets_bone: bool
) -> Placement:
    """Measure one ultrasound frame.

    Parameters
    ----------
    needle : Needle
    cortex : Cortex
    beams : BeamSpace
        For the size of a pixel, and for what is near the probe.
    calibration : Calibration
    meets_bone : bool
        The echo of the shaft runs into that of bone: the tip is at its surface or deeper.

    Returns
    -------
    Placement
        Lengths in mm, or in columns of the frame where there is no scale.
    """
    spacing = calibration.spacing
    aspect = beams.sector.row_aspect
    unit = np.array([spacing.row_mm, spacing.column_mm]) if spacing else np.array([aspect, 1.0])
    kind, relative = (Unit.MM, _relative_sd(calibration)) if spacing else (Unit.PX, 0.0)
    segments = segments_of(cortex.lines, unit)
    tip = np.array([needle.tip]) * unit
    distance, nearest, _ = nearest_points(tip, segments)
    gap, foot = float(distance[0]), nearest[0]
    per_px = float(np.hypot(*(np.array(needle.axis) * unit)))
    away = (foot - tip[0]) / max(gap, 1e-6)
    axis = np.array(needle.axis) * unit / per_px
    cosine = min(abs(float(away @ axis)), 1.0)
    along, across = needle.tip_sd_along_px * per_px, needle.tip_sd_across_px * per_px
    edge = cortex.edge_sd_px * float(np.sqrt(unit[0] * unit[1]))
    sd = float(np.sqrt((along * cosine) ** 2 + (across**2) * (1 - cosine**2) + edge**2 + (relative * gap) ** 2))
    open_end = _near_end(foot, cortex, unit, END_MM if spacing else END_MM / beams.mm_per_sample * beams.step)
    ahead = _ahead(tip[0], -axis, segments, meets_bone=meets_bone)
    entry = None if ahead is None else tip[0] - axis * ahead
    peak = _peak(foot, cortex, beams, unit)
    return Placement(
        calibration=calibration,
        tip_to_cortex=_tip_to_cortex(gap, sd, kind, meets_bone=meets_bone, open_end=open_end),
        nearest_cortex=_point(foot / unit),
        entry=None if entry is None else _point(entry / unit),
        gap_along_shaft=None if ahead is None or meets_bone else _length(
            ahead, float(np.hypot(np.hypot(along, edge), relative * ahead)), kind, "straight ahead to the bone surface"
        ),
        entry_to_peak=None if entry is None or peak is None else _length(
            float(np.hypot(*(entry - peak))), float(np.hypot(2 * edge, relative * np.hypot(*(entry - peak)))), kind,
            "in this plane",
        ),
        crest_peak=None if peak is None else _point(peak / unit),
    )  # fmt: skip


def _relative_sd(calibration: Calibration) -> float:
    """Relative doubt of the scale (k = 1), wide enough for a ruler that contradicts the header."""
    spacing = calibration.spacing
    assert spacing is not None
    apart = [abs(rung.mm_per_px / spacing.mm_per_px - 1) for rung in calibration.rivals]
    return max([spacing.relative_u, *apart]) / COVERAGE


def _tip_to_cortex(gap: float, sd: float, kind: Unit, *, meets_bone: bool, open_end: bool) -> Measurement:
    half = COVERAGE * sd
    if meets_bone:
        return Measurement(
            value=0.0, lower=-half, upper=half, unit=kind, bound=Bound.LOWER,
            method="the visible shaft ends in the echo of bone; the tip may lie deeper",
        )  # fmt: skip
    method = "tip to the nearest seen bone surface in the plane of the picture"
    if open_end:
        method += ", which is not seen farther: unseen bone may be nearer"
    bound = Bound.UPPER if open_end else Bound.ESTIMATE  # of the gap, as for a tip outside in fluoroscopy
    return Measurement(value=-gap, lower=-gap - half, upper=-gap + half, unit=kind, bound=bound, method=method)


def _length(value: float, sd: float, kind: Unit, method: str) -> Measurement:
    half = COVERAGE * sd
    return Measurement(
        value=value, lower=max(value - half, 0.0), upper=value + half, unit=kind, bound=Bound.ESTIMATE, method=method
    )


def _near_end(foot: Points, cortex: Cortex, unit: Points, limit: float) -> bool:
    ends = np.array([line[i] for line in cortex.lines for i in (0, -1)]) * unit
    return bool(np.min(np.hypot(*(ends - foot).T)) < limit)


def _ahead(tip: Points, forward: Points, segments: object, *, meets_bone: bool) -> float | None:
    if meets_bone:
        return 0.0
    crossings, _ = ray_crossings(tip, forward, segments)  # type: ignore[arg-type]
    beyond = crossings[crossings > 0]
    return float(beyond.min()) if len(beyond) else None


def _peak(foot: Points, cortex: Cortex, beams: BeamSpace, unit: Points) -> Points | None:
    """Point of the nearest piece of bone closest to the probe; None where the piece is cut off there."""
    nearest = min(cortex.lines, key=lambda line: float(np.min(np.hypot(*(line * unit - foot).T))))
    depth = beams.from_frame(nearest)[:, 1]
    top = int(np.argmin(depth))
    if not NOT_A_PEAK <= top < len(depth) - NOT_A_PEAK:
        return None
    peak: Points = nearest[top] * unit
    return peak


def _point(point: Points) -> tuple[float, float]:
    return float(point[0]), float(point[1])
