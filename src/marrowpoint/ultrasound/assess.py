"""One ultrasound frame from pixels to verdict: scale, sector, bone surface, needle, lengths, judgement."""

from __future__ import annotations

from dataclasses import dataclass, replace

from marrowpoint.assessment import Assessment
from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Calibration, Frame
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile
from marrowpoint.ultrasound.beams import BeamSpace, to_beams
from marrowpoint.ultrasound.field import find_sector, tissue_region
from marrowpoint.ultrasound.judge import judge_scan, scale_flags
from marrowpoint.ultrasound.locate import locate_shaft, measured_again, to_needle
from marrowpoint.ultrasound.measure import measure_scan
from marrowpoint.ultrasound.plane import Plane
from marrowpoint.ultrasound.scale import calibrate_scan, scale_of_region
from marrowpoint.ultrasound.sector import ProbeKind, Sector
from marrowpoint.ultrasound.segment import trace_surface
from marrowpoint.ultrasound.shaft import Shaft
from marrowpoint.ultrasound.surface import Surface, to_cortex, without_shaft, without_straight
from marrowpoint.verdict import Code, Flag, Reason, Verdict

NO_NEEDLE = NotAssessable("no_needle", "no straight bright shaft comes from the edge of the picture")
OUT_OF_PLANE = NotAssessable("out_of_plane", "a bright piece that may be a needle does not reach the edge of the picture")
GUESSED_DEPTH_MM = {ProbeKind.LINEAR: 40.0, ProbeKind.CURVILINEAR: 80.0, ProbeKind.PHASED: 140.0}  # for filter widths only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What was seen, and what refused."""

    surface: Surface | None
    shaft: Shaft | None
    suspects: tuple[Shaft, ...]
    refusals: tuple[NotAssessable, ...]


def assess_scan(start: Assessment, *, profile: Profile) -> Assessment:
    """Measure and judge one ultrasound frame.

    Parameters
    ----------
    start : Assessment
        Holds the frame, the provenance and the parts that a person gave.
    profile : Profile
        Thresholds.

    Returns
    -------
    Assessment
        With the verdict ``not_assessable`` where a step refused; the parts found before it are kept.
    """
    frame = start.frame
    try:
        region = scale_of_region(tissue_region(frame.regions), profile.scale).spacing
        sector = find_sector(frame, row_aspect=1.0 if region is None else region.row_mm / region.column_mm)
        calibration = calibrate_scan(frame, sector, profile.scale, profile.ultrasound)
        if sector.upward:
            raise NotAssessable("upside_down", "the picture stands on its head: save it with the skin at the top")
    except NotAssessable as error:
        return replace(start, verdict=_refused((error,), start.calibration))
    plane = _plane(calibration, sector)
    beams = to_beams(frame.pixels, sector, mm_per_column=plane.column_mm)
    found = _search(frame, sector, beams, plane, profile)
    needle = start.needle or (None if found.shaft is None else to_needle(found.shaft, plane))
    cortex = start.cortex or (None if found.surface is None else to_cortex(found.surface, beams, profile.ultrasound))
    suspects = () if start.needle is not None else tuple(to_needle(piece, plane, whole=False) for piece in found.suspects)
    done = replace(start, calibration=calibration, needle=needle, candidates=suspects, cortex=cortex)
    if needle is None or cortex is None:
        return replace(done, verdict=_refused(found.refusals, calibration))
    return _judged(done, needle, cortex, beams, found.shaft if start.needle is None else None, profile)


def _judged(
    done: Assessment, needle: Needle, cortex: Cortex, beams: BeamSpace, shaft: Shaft | None, profile: Profile
) -> Assessment:
    # a tip that a person placed on or under the line is at bone; a found one says so itself
    meets_bone = cortex.contains(needle.tip) if shaft is None else shaft.meets_bone
    placement = measure_scan(needle, cortex, beams, done.calibration, meets_bone=meets_bone)
    shadow_ahead = shaft is not None and shaft.shadow_ahead
    verdict = judge_scan(needle, cortex, placement, profile, meets_bone=meets_bone, shadow_ahead=shadow_ahead)
    return replace(done, placement=placement, verdict=verdict)


def _search(frame: Frame, sector: Sector, beams: BeamSpace, plane: Plane, profile: Profile) -> _Found:
    surface, refusals = None, []
    try:
        surface = trace_surface(beams, shortest_mm=profile.ultrasound.min_surface_mm)
    except NotAssessable as error:
        refusals.append(error)
    shaft, suspects = locate_shaft(frame, sector, beams, surface, plane)
    if shaft is None and surface is not None and (less := without_straight(surface, beams, plane)) is not surface:
        # what passed for bone may be the needle itself, where it throws a shadow
        shaft, others = locate_shaft(frame, sector, beams, less if less.seen.any() else None, plane)
        surface, suspects = (surface, suspects) if shaft is None else (less if less.seen.any() else None, others)
    if shaft is None:
        refusals.insert(0, OUT_OF_PLANE if suspects else NO_NEEDLE)
    if surface is not None and shaft is not None:
        cleaned = without_shaft(surface, shaft.line, shaft.tip_mm, beams, plane)
        if cleaned is not surface:
            # what passed for bone was the shaft itself, which may have hidden where the shaft goes on
            surface = cleaned if cleaned.seen.any() else None
            shaft = measured_again(shaft, frame, sector, beams, surface, plane) or shaft
            if surface is None:
                refusals.append(NotAssessable("no_bone", "no bright line with a shadow behind it was found"))
    return _Found(surface=surface, shaft=shaft, suspects=suspects, refusals=tuple(refusals))


def _plane(calibration: Calibration, sector: Sector) -> Plane:
    if calibration.spacing is not None:
        return Plane(row_mm=calibration.spacing.row_mm, column_mm=calibration.spacing.column_mm)
    column_mm = GUESSED_DEPTH_MM[sector.kind] / (sector.depth_to - sector.depth_from)
    return Plane(row_mm=column_mm * sector.row_aspect, column_mm=column_mm)


def _refused(errors: tuple[NotAssessable, ...], calibration: Calibration) -> Verdict:
    flags = scale_flags(calibration)
    if any(error.code == "out_of_plane" for error in errors):
        flags = (*flags, Flag.OUT_OF_PLANE)
    return Verdict(
        code=Code.NOT_ASSESSABLE,
        text=f"Cannot tell: {errors[0].text}",
        flags=flags,
        reasons=tuple(Reason(code=error.code, text=error.text) for error in errors),
    )
