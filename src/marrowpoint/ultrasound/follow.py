"""Measure a shaft along a line: where its first echo runs, where it ends, what lies ahead of it."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import Mask
from marrowpoint.ultrasound.ends import BEFORE_MM, END_BLUR_MM, FINE_MM, end_of_echo, longest_chain
from marrowpoint.ultrasound.plane import Line
from marrowpoint.ultrasound.shaft import Scan, Shaft
from marrowpoint.ultrasound.straighten import FIRST_CREST_MM, refit_line

COARSE_MM = 0.3  # sampling along the strip for the line
ACROSS_MM = 6.0  # half width of the strip
MIN_VISIBLE_MM = 8.0  # a shorter echo is no shaft: a needle crossing the plane shows as a dot
LAYER_REACH_MM = 4.0  # a layer that meets the end of a shaft at 40 degrees lies so far along it at its side
LAYER_CONTRAST = 0.15  # grey value of a layer over tissue
LAYER_SD_MM = 1.0
LAYER_SHARE = 0.75  # an end at a layer is not seen clearly
EDGE_MM = 2.0  # a tip so near to the edge of the picture is none
AHEAD_MM = (2.0, 6.0)
DARK_SHARE = 0.3  # of the tissue beside: a shadow
ON_LEVEL = 0.4  # of the shaft's contrast over tissue
MIN_CONTRAST = 0.22  # grey value of the shaft over tissue; layers of muscle reach 0.2
MAX_ANGLE_DEG = 68.0  # between shaft and beam: layers lie across the beams, a needle along them cannot be told from them
BEYOND_MM = 4.0  # the tip lies no further from the last that was taken for shaft


def measured_shaft(line: Line, scan: Scan) -> Shaft | None:
    """Move a rough line onto the shaft nearby and measure the shaft.

    Parameters
    ----------
    line : Line
        Within about 4 mm of the shaft.
    scan : Scan

    Returns
    -------
    Shaft or None
        None where no straight echo is found, or one that lies along the layers.
    """
    across = np.arange(-ACROSS_MM, ACROSS_MM + FINE_MM / 2, FINE_MM)
    for reach in (4.0, 2.5, 2.0):
        along, inside = _extent(line, scan, COARSE_MM)
        if along is None:
            return None
        strip = scan.plane.strip(scan.painted, line, along, across)
        refit = refit_line(strip, inside, along, across, reach)
        if refit is None:
            return None
        line = line.moved(across=refit[0], turn=refit[1])
    shaft = ended_shaft(line, scan)
    return None if shaft is None or _along_layers(shaft, scan) else shaft


def ended_shaft(line: Line, scan: Scan) -> Shaft | None:
    """Where the shaft begins and ends along its line.

    Parameters
    ----------
    line : Line
    scan : Scan

    Returns
    -------
    Shaft or None
        None where the line shows no shaft.
    """
    along, inside = _extent(line, scan, FINE_MM)
    if along is None:
        return None
    bone_mm = _bone_position(line, along, scan)
    profile, beside = _profiles(line, scan, along)
    contrast = profile - beside
    level = float(np.percentile(contrast[inside], 85))
    chain = longest_chain((contrast > ON_LEVEL * level) & inside) if level >= MIN_CONTRAST else None
    if chain is None:
        return None
    first, last, before_gap, visible = chain
    entry_mm = first * FINE_MM
    tip_mm, tip_sd_mm, meets_bone = _tip(line, scan, along, last, bone_mm)
    layer = not meets_bone and _layer_beside(line, scan, (float(along[before_gap]), tip_mm), level)
    if layer:
        # where a layer crosses, the shaft may end on either side of it, or with the piece before the gap
        tip_sd_mm = max(LAYER_SD_MM, 0.5 * (tip_mm - float(along[before_gap])))
    recent = contrast[max(last - int(8.0 / FINE_MM), 0) : max(last - int(1.0 / FINE_MM), 1)]
    return Shaft(
        line=line,
        tip_mm=tip_mm,
        entry_mm=float(along[0]),
        tip_sd_mm=tip_sd_mm,
        bone_mm=bone_mm,
        meets_bone=meets_bone,
        visible_share=min(visible / max(last, 1), 1.0),
        visible_mm=visible * FINE_MM,
        depth_of_entry_mm=entry_mm,
        entry_depth_share=_depth_share(line, scan, float(along[0])),
        contrast=level,
        width_mm=2 * FIRST_CREST_MM,
        tip_share=min(float(np.median(recent)) / level, 1.0) * (LAYER_SHARE if layer else 1.0),
        leaves=not meets_bone and along[-1] - tip_mm < EDGE_MM,
        shadow_ahead=not meets_bone and _shadow_ahead(line, scan, tip_mm),
    )


def _along_layers(shaft: Shaft, scan: Scan) -> bool:
    """Whether a shaft lies along the layers, at its tip or as a whole: then nothing tells it from one."""
    start_mm = shaft.entry_mm + shaft.depth_of_entry_mm
    ends = scan.beams.from_frame(scan.plane.to_frame(shaft.line.at(np.array([start_mm, shaft.tip_mm]))))
    gained_mm = float(ends[1, 1] - ends[0, 1]) * scan.beams.mm_per_sample
    flattest = np.cos(np.radians(MAX_ANGLE_DEG))
    return _angle_to_beam(shaft, scan) > MAX_ANGLE_DEG or gained_mm < flattest * (shaft.tip_mm - start_mm)


def _angle_to_beam(shaft: Shaft, scan: Scan) -> float:
    """Angle between the shaft and the beam that meets its tip [deg]."""
    line = shaft.line
    tip = scan.plane.to_frame(line.at(np.array([shaft.tip_mm])))
    beam = scan.beams.from_frame(tip)
    ahead = scan.plane.to_mm(scan.beams.to_frame(beam + np.array([0.0, 1.0])) - tip)[0]
    cosine = abs(float(ahead @ line.direction)) / float(np.hypot(*ahead))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _extent(line: Line, scan: Scan, step_mm: float) -> tuple[np.ndarray | None, Mask]:
    """Positions along the line that lie in the picture, and which of them show tissue."""
    shape, plane = scan.clear.shape, scan.plane
    first, last = _within(line, ((shape[0] - 1) * plane.row_mm, (shape[1] - 1) * plane.column_mm))
    along = np.arange(first, last, step_mm)
    where = np.rint(plane.to_frame(line.at(along))).astype(np.int64)
    on_frame = (where >= 0).all(axis=1) & (where < shape).all(axis=1)
    inside = np.zeros(len(along), dtype=bool)
    inside[on_frame] = scan.clear[where[on_frame, 0], where[on_frame, 1]]
    hits = np.flatnonzero(inside)
    if len(hits) * step_mm < MIN_VISIBLE_MM:
        return None, inside
    keep = slice(int(hits[0]), int(hits[-1]) + 1)
    return along[keep], inside[keep]


def _within(line: Line, size_mm: tuple[float, float]) -> tuple[float, float]:
    """Positions along a line between which it lies on a frame of that height and width."""
    first, last = -np.inf, np.inf
    for start, step, size in zip(line.origin, line.direction, size_mm, strict=True):
        if abs(step) > 1e-9:
            near, far = sorted((-start / step, (size - start) / step))
            first, last = max(first, near), min(last, far)
        elif not 0 <= start <= size:
            return 0.0, 0.0
    return first, max(last, first)


def _bone_position(line: Line, along: np.ndarray, scan: Scan) -> float | None:
    """First position along the line at or below the bone surface."""
    surface = scan.surface
    if surface is None:
        return None
    further = np.arange(along[0], along[-1] + 30.0, FINE_MM)
    where = scan.beams.from_frame(scan.plane.to_frame(line.at(further)))
    beam = np.rint(where[:, 0]).astype(np.int64)
    valid = (beam >= 0) & (beam < len(surface.sample))
    depth = np.full(len(further), np.nan)
    depth[valid] = surface.sample[beam[valid]]
    below = np.flatnonzero(where[:, 1] >= np.where(np.isfinite(depth), depth, np.inf))
    return float(further[below[0]]) if len(below) else None


def _depth_share(line: Line, scan: Scan, at_mm: float) -> float:
    where = scan.beams.from_frame(scan.plane.to_frame(line.at(np.array([at_mm]))))
    return float(where[0, 1] / scan.beams.echo.shape[1])


def _shadow_ahead(line: Line, scan: Scan, tip_mm: float) -> bool:
    """Whether it is dark ahead of the tip while there is tissue beside the shaft."""
    across = np.arange(-1.0, 1.01, 0.25)
    ahead = tip_mm + np.arange(*AHEAD_MM, 0.25)
    where = np.rint(scan.plane.to_frame(line.at(ahead))).astype(np.int64)
    shape = scan.clear.shape
    if not ((where >= 0).all() and (where < shape).all() and scan.beams.sector.picture[where[:, 0], where[:, 1]].all()):
        return False
    dark = float(scan.plane.strip(scan.pixels, line, ahead, across).mean())
    back = tip_mm - np.arange(1.0, 12.0, 0.25)
    sides = [scan.plane.strip(scan.painted, line, back, side).mean() for side in (across - 4.5, across + 6.5)]
    return dark < DARK_SHARE * float(np.mean(sides))


def _layer_beside(line: Line, scan: Scan, between_mm: tuple[float, float], level: float) -> bool:
    """Whether a layer about as bright as the shaft meets its end, seen beside it on the side of the probe."""
    along = np.arange(between_mm[0] - LAYER_REACH_MM, between_mm[1] + LAYER_REACH_MM, FINE_MM)
    side = scan.plane.strip(scan.painted, line, along, np.arange(-3.6, -2.3, 0.3)).mean(axis=1)
    side = cv2.GaussianBlur(side[None], (0, 0), 0.5 / FINE_MM)[0]
    return float(side.max() - np.median(side)) > max(0.5 * level, LAYER_CONTRAST)


def _profiles(line: Line, scan: Scan, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grey value on the shaft and of the tissue beside it, on the side of the probe."""
    core = scan.plane.strip(scan.painted, line, along, np.arange(-0.4, 0.41, 0.2)).mean(axis=1)
    side = scan.plane.strip(scan.painted, line, along, np.arange(-4.5, -1.8, 0.3)).mean(axis=1)
    profile = cv2.GaussianBlur(core[None], (0, 0), 0.3 / FINE_MM)[0]
    return profile, cv2.blur(np.ascontiguousarray(side)[None], (int(6.0 / FINE_MM), 1))[0]


def _tip(line: Line, scan: Scan, along: np.ndarray, last: int, bone_mm: float | None) -> tuple[float, float, bool]:
    """Position of the tip [mm], its standard uncertainty, and whether the shaft's echo runs into that of bone."""
    end_mm = float(along[last])
    stop = end_mm + BEYOND_MM
    if bone_mm is not None:
        stop = min(stop, bone_mm - 0.3)
    reach = np.arange(end_mm - BEFORE_MM, max(stop, end_mm - 1.0), FINE_MM)
    # seen as it is, with the echo of bone: the valley between both is what tells them apart
    # on its side toward the probe, where no copy of it reaches
    echo = scan.plane.strip(scan.pixels, line, reach, np.arange(-0.8, 0.01, 0.2)).mean(axis=1)
    echo = cv2.GaussianBlur(echo[None], (0, 0), 0.25 / FINE_MM)[0]
    ground = float(np.median(scan.plane.strip(scan.painted, line, reach, np.arange(-4.5, -1.8, 0.3))))
    near_bone = bone_mm is not None and bone_mm - end_mm < BEYOND_MM
    end = end_of_echo(echo, ground, near_bone=near_bone)
    tip = None if end is None else float(reach[min(end, len(reach) - 1)]) - END_BLUR_MM
    if bone_mm is not None and (tip is None or tip >= bone_mm):
        return bone_mm, 0.6, True
    assert tip is not None
    return tip, 0.4, False
