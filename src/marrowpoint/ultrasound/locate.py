"""Find the needle: a straight bright shaft that comes from the edge of the picture, and where its first echo ends.

Copies of the shaft (reverberation) hang below it along the beams and reach past the tip. The shaft itself is therefore the
side of the bright band nearest to the probe, and the tip is where that side ends. Every echo is blurred past its end by as
much as past its side; the visible end is drawn back by that amount.
"""

from __future__ import annotations

import numpy as np

from marrowpoint.frame import Frame, Mask
from marrowpoint.needle import Needle, TipVisibility
from marrowpoint.ultrasound.beams import BeamSpace
from marrowpoint.ultrasound.candidates import PITCH_MM, find_candidates
from marrowpoint.ultrasound.field import fill_unknown
from marrowpoint.ultrasound.follow import MIN_CONTRAST, MIN_VISIBLE_MM, ended_shaft, measured_shaft
from marrowpoint.ultrasound.plane import Line, Plane
from marrowpoint.ultrasound.sector import Sector
from marrowpoint.ultrasound.shaft import Scan, Shaft
from marrowpoint.ultrasound.surface import Surface

SURE = 0.9  # no other candidate needs to be looked at
BONE_ECHO_MM = 1.2  # the echo of bone begins so far above its surface
MUCH_WEAKER = 0.6  # than the shaft that was found: a layer, no rival
DOT_MM = 3.0  # a piece at least so long is worth a warning
AROUND_PX = 41  # what is painted over takes the grey of so wide a surrounding
MIN_SHARE = 0.5  # of the way from the edge of the picture to the tip that must show the shaft
ENTRY_MM = 14.0  # a shaft that begins deeper than this under the edge of the picture did not come in through it
MAX_ENTRY_SHARE = 0.5  # of the picture's depth: a needle that enters deeper than that came from no skin near the probe


def locate_shaft(
    frame: Frame, sector: Sector, beams: BeamSpace, surface: Surface | None, plane: Plane
) -> tuple[Shaft | None, tuple[Shaft, ...]]:
    """Find the needle's shaft and its tip.

    Parameters
    ----------
    frame : Frame
    sector : Sector
    beams : BeamSpace
    surface : Surface or None
        Bone, if any was seen.
    plane : Plane

    Returns
    -------
    shaft : Shaft or None
        None if no straight bright shaft comes from the edge of the picture.
    pieces : tuple of Shaft
        Without a shaft: bright pieces that reach no edge and may be a needle that crosses the plane.
    """
    scan = _scan(frame, sector, beams, surface, plane)
    best, best_value, pieces = None, 0.0, []
    for value, line in _candidates(scan):
        if best is not None and (value < MUCH_WEAKER * best_value or _confidence(best) > SURE):
            break
        shaft = measured_shaft(line, scan)
        if shaft is None:
            continue
        if not _is_needle(shaft):
            if shaft.contrast > 2 * MIN_CONTRAST and shaft.visible_mm >= DOT_MM:
                pieces.append(shaft)
        elif best is None or _weight(shaft) > _weight(best):
            best, best_value = shaft, value
    return best, () if best is not None else tuple(pieces)


def measured_again(
    shaft: Shaft, frame: Frame, sector: Sector, beams: BeamSpace, surface: Surface | None, plane: Plane
) -> Shaft | None:
    """The same shaft against a corrected bone surface; None if it cannot be measured.

    Parameters
    ----------
    shaft : Shaft
    frame : Frame
    sector : Sector
    beams : BeamSpace
    surface : Surface or None
    plane : Plane

    Returns
    -------
    Shaft or None
    """
    return ended_shaft(shaft.line, _scan(frame, sector, beams, surface, plane))


def to_needle(shaft: Shaft, plane: Plane, *, whole: bool = True) -> Needle:
    """The shaft as a needle of the frame.

    Parameters
    ----------
    shaft : Shaft
    plane : Plane
    whole : bool
        To the edge of the picture; else only to where the shaft is first seen.

    Returns
    -------
    Needle
        Its width is the width of the echo, which says little of the needle's diameter.
    """
    start_mm = shaft.entry_mm if whole else shaft.entry_mm + shaft.depth_of_entry_mm
    ends = plane.to_frame(shaft.line.at(np.array([shaft.tip_mm, start_mm])))
    axis = ends[1] - ends[0]
    length = float(np.hypot(*axis))
    px_per_mm = length / max(shaft.tip_mm - start_mm, 1e-6)
    return Needle(
        tip=(float(ends[0, 0]), float(ends[0, 1])),
        axis=(float(axis[0] / length), float(axis[1] / length)),
        width_px=shaft.width_mm * px_per_mm,
        width_sd_px=0.5 * shaft.width_mm * px_per_mm,
        tip_sd_along_px=shaft.tip_sd_mm * px_per_mm,
        tip_sd_across_px=0.25 * px_per_mm,
        length_px=length,
        confidence=_confidence(shaft),
        located_by="classical",
        tip_visibility=shaft.visibility,
        out_of_plane=shaft.visibility is TipVisibility.FAINT,
    )


def _confidence(shaft: Shaft) -> float:
    return float(np.clip(0.35 + 0.4 * shaft.visible_share + 0.6 * (shaft.contrast - MIN_CONTRAST), 0.05, 0.98))


def _weight(shaft: Shaft) -> float:
    return shaft.contrast * (shaft.tip_mm - shaft.entry_mm) * shaft.visible_share


def _is_needle(shaft: Shaft) -> bool:
    long_enough = min(shaft.visible_mm, shaft.tip_mm - shaft.entry_mm) >= MIN_VISIBLE_MM
    from_skin = shaft.depth_of_entry_mm <= ENTRY_MM and shaft.entry_depth_share <= MAX_ENTRY_SHARE
    return long_enough and from_skin and shaft.visible_share >= MIN_SHARE and not shaft.leaves


def _candidates(scan: Scan) -> list[tuple[float, Line]]:
    rows, columns = np.flatnonzero(scan.clear.any(axis=1)), np.flatnonzero(scan.clear.any(axis=0))
    if len(rows) == 0:
        return []
    top, left = int(rows[0]), int(columns[0])
    window = np.s_[top : rows[-1] + 1, left : columns[-1] + 1]
    grid = scan.plane.grid(scan.painted[window], pitch_mm=PITCH_MM)
    known = scan.plane.grid(scan.clear[window].astype(np.float32), pitch_mm=PITCH_MM) > 0.5
    down, right = top * scan.plane.row_mm, left * scan.plane.column_mm
    return [
        (value, Line(origin=(line.origin[0] + down, line.origin[1] + right), direction=line.direction))
        for value, line in find_candidates(grid, known)
    ]


def _scan(frame: Frame, sector: Sector, beams: BeamSpace, surface: Surface | None, plane: Plane) -> Scan:
    clear = _clear_of_bone(sector, beams, surface)
    painted = fill_unknown(frame.pixels, clear, reach_px=AROUND_PX)
    return Scan(pixels=frame.pixels, painted=painted, clear=clear, beams=beams, surface=surface, plane=plane)


def _clear_of_bone(sector: Sector, beams: BeamSpace, surface: Surface | None) -> Mask:
    """The picture without bone, its echo and everything behind it."""
    if surface is None:
        return sector.picture
    return beams.above(surface.depth, by=BONE_ECHO_MM / beams.mm_per_sample)
