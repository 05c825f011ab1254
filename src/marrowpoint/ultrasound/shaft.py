"""Measure a shaft along a line: where its first echo runs, where it ends, what lies ahead of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.needle import TipVisibility
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.plane import Line, Plane
from marrowpoint.ultrasound.segment import Surface

FINE_MM = 0.1  # sampling across the straightened strip, and along it for the tip
COARSE_MM = 0.3  # sampling along the strip for the line
STRAIGHT_MM = 0.35  # a shaft is straight to within so much
CHUNK_MM = 2.4  # piece of shaft whose side is one point of the line
ACROSS_MM = 6.0  # half width of the strip
GAP_MM = 9.0  # a shaft fades out over so much where it lies askew to the beams
MIN_VISIBLE_MM = 8.0  # a shorter echo is no shaft: a needle crossing the plane shows as a dot
AHEAD_MM = (2.0, 6.0)
DARK_SHARE = 0.3  # of the tissue beside: a shadow
ON_LEVEL = 0.4  # of the shaft's contrast over tissue
FADING_SHARE, CLEAR_SHARE = 0.6, 0.8  # of the shaft's contrast that must be left at its end
MIN_CONTRAST = 0.22  # grey value of the shaft over tissue; layers of muscle reach 0.2
MAX_ANGLE_DEG = 68.0  # between shaft and beam: layers lie across the beams, a needle along them cannot be told from them
VALLEY = 0.35  # share of the shaft's contrast that must be lost between its end and the bone to tell the two apart
FIRST_CREST_MM = 0.95  # from the half height of the leading side to the crest of an echo: half a pulse of 2 to 5 MHz
END_BLUR_MM = 0.7  # from the tip to the half height of the visible end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shaft:
    """A needle as it was measured in the plane.

    Parameters
    ----------
    line : Line
        Through the shaft's first echo; position 0 is arbitrary.
    tip_mm, entry_mm : float
        Position of the tip, and of the end nearest to the skin, along the line [mm].
    tip_sd_mm : float
        Standard uncertainty of the tip along the shaft [mm].
    bone_mm : float or None
        Position where the line meets the bone surface, if it does.
    meets_bone : bool
        The echo of the shaft runs into the echo of bone: where in between it ends cannot be seen.
    visible_share : float
        Share of the way from edge to tip on which the shaft shows.
    visible_mm : float
        Length of shaft that shows [mm].
    depth_of_entry_mm : float
        From the edge of the picture to the first of the shaft [mm].
    entry_depth_share : float
        Depth at which the line enters the picture, as a share of the picture's depth.
    contrast : float
        Grey value of the shaft over tissue.
    width_mm : float
        Width of the first echo (not of the needle) [mm].
    tip_share : float
        Contrast of the last of the shaft as a share of `contrast`.
    shadow_ahead : bool
        Right ahead of the tip it is dark: what threw that shadow may be bone that shows no surface.
    """

    line: Line
    tip_mm: float
    entry_mm: float
    tip_sd_mm: float
    bone_mm: float | None
    meets_bone: bool
    visible_share: float
    visible_mm: float
    depth_of_entry_mm: float
    entry_depth_share: float
    contrast: float
    width_mm: float
    tip_share: float
    shadow_ahead: bool

    @property
    def visibility(self) -> TipVisibility:
        """How well the end of the shaft is seen."""
        if self.meets_bone:
            return TipVisibility.HIDDEN
        if self.tip_share < FADING_SHARE:
            return TipVisibility.FAINT
        clear = self.tip_share >= CLEAR_SHARE and self.visible_share >= CLEAR_SHARE
        return TipVisibility.CLEAR if clear else TipVisibility.FAIR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What a shaft is measured on; `painted` is the frame with bone and marks painted over with tissue."""

    pixels: FloatImage
    painted: FloatImage
    clear: Mask
    beams: BeamSpace
    surface: Surface | None
    plane: Plane


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
        refit = _refit(strip, inside, along, across, reach)
        if refit is None:
            return None
        line = line.moved(across=refit[0], turn=refit[1])
    shaft = ended_shaft(line, scan)
    return None if shaft is None or _angle_to_beam(shaft, scan) > MAX_ANGLE_DEG else shaft


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
    chain = _joined(_runs((contrast > ON_LEVEL * level) & inside)) if level >= MIN_CONTRAST else None
    if chain is None:
        return None
    first, last, visible = chain
    entry_mm = first * FINE_MM
    tip_mm, tip_sd_mm, meets_bone = _tip(line, scan, along, last, bone_mm)
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
        tip_share=float(np.median(recent)) / level,
        shadow_ahead=not meets_bone and _shadow_ahead(line, scan, tip_mm),
    )


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
    span = float(np.hypot(shape[0] * plane.row_mm, shape[1] * plane.column_mm))
    along = np.arange(-span, span, step_mm)
    where = np.rint(plane.to_frame(line.at(along))).astype(np.int64)
    on_frame = (where >= 0).all(axis=1) & (where < shape).all(axis=1)
    inside = np.zeros(len(along), dtype=bool)
    inside[on_frame] = scan.clear[where[on_frame, 0], where[on_frame, 1]]
    hits = np.flatnonzero(inside)
    if len(hits) * step_mm < MIN_VISIBLE_MM:
        return None, inside
    keep = slice(int(hits[0]), int(hits[-1]) + 1)
    return along[keep], inside[keep]


def _refit(strip: FloatImage, inside: Mask, along: np.ndarray, across: np.ndarray, reach: float) -> tuple[float, float] | None:
    """Shift and slope that bring the line onto the crest of the shaft's first echo."""
    chunk = int(CHUNK_MM / COARSE_MM)
    count = len(along) // chunk
    if count < 3:
        return None
    profiles = strip[: count * chunk].reshape(count, chunk, -1).mean(axis=1)
    profiles = cv2.GaussianBlur(profiles, (0, 0), sigmaX=0.25 / FINE_MM, sigmaY=0.01)
    share = inside[: count * chunk].reshape(count, chunk).mean(axis=1)
    at = along[: count * chunk].reshape(count, chunk).mean(axis=1)
    near = np.flatnonzero(np.abs(across) <= reach)
    edges = [
        (float(at[k]), *edge)
        for k in np.flatnonzero(share >= 0.7)
        if (edge := _leading_edge(profiles[k], across, near)) is not None
    ]
    if len(edges) < 3:
        return None
    where, place, weight = np.array(edges).T
    strong = weight > 0.4 * weight.max()
    fit = _straightest(where[strong], place[strong], weight[strong])
    if fit is None:
        return None
    slope, offset = fit
    # positions count from the line's own zero, so a turn about it keeps the fitted line
    return float(offset) + FIRST_CREST_MM, float(slope)


def _straightest(where: np.ndarray, place: np.ndarray, weight: np.ndarray) -> tuple[float, float] | None:
    """Slope and offset of the line through most of the points: copies of the shaft past its tip do not lie on it."""
    first, second = np.triu_indices(len(where), 1)
    if len(where) < 3:
        return None
    slopes = (place[second] - place[first]) / (where[second] - where[first])
    offsets = place[first] - slopes * where[first]
    close = np.abs(place - slopes[:, None] * where - offsets[:, None]) < STRAIGHT_MM
    on_line = close[int(np.argmax(close @ weight))]
    if np.count_nonzero(on_line) < 3:
        return None
    slope, offset = np.polyfit(where[on_line], place[on_line], 1, w=weight[on_line])
    return float(slope), float(offset)


def _leading_edge(profile: np.ndarray, across: np.ndarray, near: np.ndarray) -> tuple[float, float] | None:
    """Half height of the band's side nearest to the probe, and its contrast."""
    peak = int(near[np.argmax(profile[near])])
    before = np.sort(profile[max(peak - int(4.0 / FINE_MM), 0) : max(peak - int(0.8 / FINE_MM), 1)])
    base = float(before[int(0.3 * (len(before) - 1))])
    contrast = float(profile[peak]) - base
    if contrast < 0.05:
        return None
    # the first crest, not the brightest copy: go up while the profile stays above half height
    half = base + contrast / 2
    low = np.flatnonzero(profile[:peak] <= half)
    if len(low) == 0:
        return float(across[0]), contrast
    i = int(low[-1])
    fraction = (half - profile[i]) / max(profile[i + 1] - profile[i], 1e-6)
    return float(across[i] + min(max(fraction, 0.0), 1.0) * FINE_MM), contrast


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


def _profiles(line: Line, scan: Scan, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grey value on the shaft and of the tissue beside it, on the side of the probe."""
    core = scan.plane.strip(scan.painted, line, along, np.arange(-0.4, 0.41, 0.2)).mean(axis=1)
    side = scan.plane.strip(scan.painted, line, along, np.arange(-4.5, -1.8, 0.3)).mean(axis=1)
    profile = cv2.GaussianBlur(core[None], (0, 0), 0.3 / FINE_MM)[0]
    return profile, cv2.blur(np.ascontiguousarray(side)[None], (int(6.0 / FINE_MM), 1))[0]


def _runs(on: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _joined(runs: list[tuple[int, int]]) -> tuple[int, int, int] | None:
    """First sample, last sample and visible samples of the longest chain of runs with small gaps between."""
    runs = [r for r in runs if (r[1] - r[0]) * FINE_MM >= 1.0]
    if not runs:
        return None
    chains: list[list[tuple[int, int]]] = [[runs[0]]]
    for run in runs[1:]:
        if (run[0] - chains[-1][-1][1]) * FINE_MM <= GAP_MM and (run[1] - run[0]) * FINE_MM >= 2.0:
            chains[-1].append(run)
        else:
            chains.append([run])
    best = max(chains, key=lambda chain: sum(b - a for a, b in chain))
    return best[0][0], best[-1][1] - 1, sum(b - a for a, b in best)


def _tip(line: Line, scan: Scan, along: np.ndarray, last: int, bone_mm: float | None) -> tuple[float, float, bool]:
    """Position of the tip [mm], its standard uncertainty, and whether the shaft's echo runs into that of bone."""
    stop = float(along[last]) + 4.0
    if bone_mm is not None:
        stop = min(stop, bone_mm - 0.3)
    reach = np.arange(float(along[last]) - 6.0, max(stop, float(along[last]) - 1.0), FINE_MM)
    # seen as it is, with the echo of bone: the valley between both is what tells them apart
    # on its side toward the probe, where no copy of it reaches
    raw = scan.plane.strip(scan.pixels, line, reach, np.arange(-0.8, 0.01, 0.2)).mean(axis=1)
    raw = cv2.GaussianBlur(raw[None], (0, 0), 0.25 / FINE_MM)[0]
    side = scan.plane.strip(scan.painted, line, reach, np.arange(-4.5, -1.8, 0.3))
    ground = float(np.median(side))
    level = float(np.percentile(raw[: int(6.0 / FINE_MM)], 75))
    tail = raw[int(4.0 / FINE_MM) :]
    lowest = int(np.argmin(tail)) if len(tail) else 0
    near_bone = bone_mm is not None and bone_mm - float(along[last]) < 4.0
    lost = (level - float(tail[lowest])) / max(level - ground, 0.05) if len(tail) else 0.0
    if near_bone and lost < VALLEY and bone_mm is not None:
        return bone_mm, 0.6, True
    half = (level + float(tail[lowest])) / 2
    above = np.flatnonzero(tail[: lowest + 1] >= half)
    end = int(4.0 / FINE_MM) + (int(above[-1]) if len(above) else 0)
    tip = float(reach[end]) - END_BLUR_MM
    return (tip, 0.4, False) if bone_mm is None or tip < bone_mm else (bone_mm, 0.6, True)
