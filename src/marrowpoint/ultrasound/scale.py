"""How many millimetres a pixel of an ultrasound screen is: the calibrated region, else the ruler burned into the picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from marrowpoint.frame import Calibration, Frame, PixelSpacing, SpacingSource, UltrasoundRegion
from marrowpoint.profile import ScaleLimits, UltrasoundLimits
from marrowpoint.ultrasound.field import tissue_region
from marrowpoint.ultrasound.ruler import Ruler, find_ruler
from marrowpoint.ultrasound.sector import Sector

CENTIMETRE = 3  # the only spatial unit of PS3.3 C.8.5.5.1.15
UNIT_NAMES = {
    0: "none or not applicable", 1: "percent", 2: "dB", 4: "seconds", 5: "hertz", 6: "dB/seconds", 7: "cm/sec",
    8: "cm2", 9: "cm2/sec", 10: "cm3", 11: "cm3/sec", 12: "degrees",
}  # fmt: skip
CONVERTED_MM = 10.0
PLAUSIBLE_DEPTH_MM = (15.0, 300.0)  # probes from small parts to abdomen


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScale:
    """What the region says: a spacing, or the sentence why it is refused."""

    spacing: PixelSpacing | None
    refusal: str | None


def scale_of_region(region: UltrasoundRegion | None, limits: ScaleLimits) -> RegionScale:
    """Millimetres a pixel from the calibrated region.

    Parameters
    ----------
    region : UltrasoundRegion or None
        The region that shows tissue.
    limits : ScaleLimits

    Returns
    -------
    RegionScale
        Refused by name where the unit is not the centimetre or a step is no length.
    """
    if region is None:
        return RegionScale(spacing=None, refusal=None)
    for axis, unit in (("rows", region.row_unit), ("columns", region.column_unit)):
        if unit != CENTIMETRE:
            name = UNIT_NAMES.get(unit, "unknown")
            text = f"ultrasound region: unit code {unit} ({name}) along {axis} is not the centimetre: refused"
            return RegionScale(spacing=None, refusal=text)
    # a negative step only says that the axis runs the other way
    row_mm, column_mm = abs(region.row_delta) * CONVERTED_MM, abs(region.column_delta) * CONVERTED_MM
    allowed = limits.min_mm_per_px, limits.max_mm_per_px
    for step in (row_mm, column_mm):
        if not isfinite(step) or not allowed[0] <= step < allowed[1]:
            text = f"ultrasound region: {step:g} mm a pixel lies outside {allowed[0]:g} to {allowed[1]:g} mm: refused"
            return RegionScale(spacing=None, refusal=text)
    note = "Sequence of Ultrasound Regions"
    spacing = PixelSpacing(
        row_mm=row_mm, column_mm=column_mm, source=SpacingSource.REGION, relative_u=limits.region_u, note=note
    )
    return RegionScale(spacing=spacing, refusal=None)


def calibrate_scan(frame: Frame, sector: Sector, scale: ScaleLimits, limits: UltrasoundLimits) -> Calibration:
    """The scale of one ultrasound frame: region, then what else the header gave, then the ruler.

    Parameters
    ----------
    frame : Frame
    sector : Sector
    scale : ScaleLimits
    limits : UltrasoundLimits

    Returns
    -------
    Calibration
        With the ruler checked against the region where both exist.
    """
    region = scale_of_region(tissue_region(frame.regions), scale)
    header = frame.header_spacing
    rungs = [] if region.spacing is None else [region.spacing]
    rungs += [r for r in header.rungs if r.source is not SpacingSource.REGION and _usable(r, scale)]
    conflicts = list(header.conflicts)
    if region.refusal is not None and region.refusal not in conflicts:
        conflicts.append(region.refusal)
    ruler = find_ruler(frame, sector)
    if ruler is not None:
        rung = _ruler_rung(ruler, sector, limits)
        if rung is not None:
            rungs.append(rung)
            conflicts += _disagreement(rungs[0], rung, ruler)
    return Calibration(spacing=rungs[0] if rungs else None, rungs=tuple(rungs), conflicts=tuple(conflicts))


def _usable(rung: PixelSpacing, limits: ScaleLimits) -> bool:
    return all(limits.min_mm_per_px <= mm < limits.max_mm_per_px for mm in (rung.row_mm, rung.column_mm))


def _ruler_rung(ruler: Ruler, sector: Sector, limits: UltrasoundLimits) -> PixelSpacing | None:
    row_mm = ruler.tick_mm / ruler.spacing_px
    column_mm = row_mm / sector.row_aspect
    depth_mm = (sector.depth_to - sector.depth_from) * column_mm
    if not PLAUSIBLE_DEPTH_MM[0] <= depth_mm <= PLAUSIBLE_DEPTH_MM[1]:
        return None
    reading = 2 * ruler.spacing_sd_px / ruler.spacing_px
    return PixelSpacing(
        row_mm=row_mm, column_mm=column_mm, source=SpacingSource.INSTRUMENT,
        relative_u=float((limits.ruler_u**2 + reading**2) ** 0.5),
        note=f"depth ruler, {ruler.ticks} ticks taken as {ruler.tick_mm:g} mm apart",
    )  # fmt: skip


def _disagreement(best: PixelSpacing, ruler: PixelSpacing, seen: Ruler) -> list[str]:
    if best is ruler:
        return []
    ratio = ruler.row_mm / best.row_mm
    if abs(ratio - 1) <= (best.relative_u**2 + ruler.relative_u**2) ** 0.5:
        return []
    return [f"{best.note} gives {best.row_mm:.4f} mm a row, the ruler of {seen.ticks} ticks {ruler.row_mm:.4f} mm"]
