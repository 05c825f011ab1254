"""How many millimetres a pixel is: every rung of the scale ladder that header or needle can climb, and their contradictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from marrowpoint.frame import Calibration, PixelSpacing, SpacingSource
from marrowpoint.needle import Needle
from marrowpoint.profile import ScaleLimits

Pair = tuple[float, float]

# Order of the ladder, best first: the order in which SpacingSource lists its members.
_RANK = {source: rank for rank, source in enumerate(SpacingSource)}

# A C-arm or X-ray table cannot stand outside these; a tag that says so is a typing error or another unit.
_SID_MM = (300.0, 4000.0)
# Magnification of a patient in front of a detector: 1.0 is a default nobody filled in, 3 would be a tip 30 cm from the tube.
_MAGNIFICATION = (1.0, 3.0)
# Two spacings within this fraction are the same number written twice (PS3.3 10.7.1.3 asks for "different").
_SAME = 1e-3
# Rows and columns of X-ray and ultrasound pictures differ by less than this factor.
_MAX_ASPECT = 3.0

GIVES_WAY = 0.5  # a needle over burnt-in metal or a stub is a poor ruler; a header that agrees and is so much surer serves


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderGeometry:
    """What the header says about scale, unjudged.

    Parameters
    ----------
    pixel_spacing : tuple of float or None
        Pixel Spacing (0028,0030), between rows and between columns [mm].
    calibration_type : str
        Pixel Spacing Calibration Type (0028,0A02): GEOMETRY, FIDUCIAL or empty.
    imager_pixel_spacing : tuple of float or None
        Imager Pixel Spacing (0018,1164) [mm at the detector].
    object_pixel_spacing : tuple of float or None
        Object Pixel Spacing in Center of Beam (0018,9404) [mm].
    source_to_detector_mm, source_to_object_mm : float or None
        Distance Source to Detector (0018,1110); Distance Source to Patient (0018,1111) or to Isocenter (0018,9402).
    magnification : float or None
        Estimated Radiographic Magnification Factor (0018,1114).
    region_spacing : tuple of float or None
        Ultrasound: step between rows and between columns of the tissue region [mm].
    ultrasound : bool
        An ultrasound picture: projection tags mean nothing in it.
    refused : tuple of str
        Sentences about tags that could not be read as numbers, or regions refused.
    """

    pixel_spacing: Pair | None = None
    calibration_type: str = ""
    imager_pixel_spacing: Pair | None = None
    object_pixel_spacing: Pair | None = None
    source_to_detector_mm: float | None = None
    source_to_object_mm: float | None = None
    magnification: float | None = None
    region_spacing: Pair | None = None
    ultrasound: bool = False
    refused: tuple[str, ...] = ()


def spacing_from_header(header: HeaderGeometry, limits: ScaleLimits) -> Calibration:
    """Climb the ladder as far as the header alone allows.

    Parameters
    ----------
    header : HeaderGeometry
        Tags as they stand in the file.
    limits : ScaleLimits
        Uncertainty of each rung and what is too absurd to use.

    Returns
    -------
    Calibration
        The highest rung in use; tags refused and rungs that disagree are named in ``conflicts``.

    Notes
    -----
    Meaning of the tags: DICOM PS3.3 section 10.7.1 (Pixel Spacing is corrected only where it differs from Imager Pixel Spacing
    or names a calibration type), C.8.7.2 (magnification = SID / SOD), C.8.19.6.9 (object pixel spacing).
    """
    notes = list(header.refused)
    climb = _ultrasound_rungs if header.ultrasound else _projection_rungs
    rungs = climb(header, limits, notes)
    return _calibration(rungs, notes)


def spacing_from_needle(needle: Needle, outer_diameter_mm: float, limits: ScaleLimits) -> PixelSpacing | None:
    """Scale at the depth of the needle: declared outer diameter over fitted shaft width.

    Parameters
    ----------
    needle : Needle
        Its ``width_px`` is the fitted width near the tip.
    outer_diameter_mm : float
        Declared outer diameter [mm].
    limits : ScaleLimits
        Smallest usable width and bias of the edges.

    Returns
    -------
    PixelSpacing or None
        None where the shaft is too thin in pixels to be a ruler.

    Raises
    ------
    ValueError
        If the diameter is not a positive number.

    Notes
    -----
    Relative uncertainty (k = 2): twice the root sum of squares of the width's standard deviation and of half the edge bias
    `instrument_edge_px` (taken as a k = 2 limit), over the width (JCGM 100, 5.1.6: relative variances add in a quotient).
    """
    if not (isfinite(outer_diameter_mm) and outer_diameter_mm > 0):
        raise ValueError(f"the outer diameter must be a positive length, not {outer_diameter_mm}")
    width_px = needle.width_px
    if not isfinite(width_px) or width_px < limits.instrument_min_width_px:
        return None
    sd_px = needle.width_sd_px if isfinite(needle.width_sd_px) else width_px
    u = 2 * (sd_px**2 + (limits.instrument_edge_px / 2) ** 2) ** 0.5 / width_px
    mm = outer_diameter_mm / width_px
    if u >= 1 or not limits.min_mm_per_px <= mm < limits.max_mm_per_px:
        return None
    note = f"needle of {outer_diameter_mm:g} mm is {width_px:.1f} px wide"
    return PixelSpacing(row_mm=mm, column_mm=mm, source=SpacingSource.INSTRUMENT, relative_u=u, note=note)


def reconcile(header: Calibration, rung: PixelSpacing | None) -> Calibration:
    """Join the needle's rung to the header's: the highest wins, disagreements are named and never averaged away.

    A needle that is doubted more than twice as much as a lower rung that agrees with it gives way to that one.

    Parameters
    ----------
    header : Calibration
        From `spacing_from_header`.
    rung : PixelSpacing or None
        From `spacing_from_needle`, or a fiducial's.

    Returns
    -------
    Calibration
    """
    if rung is None:
        return header
    known = set(header.conflicts)
    joined = _calibration([*header.rungs, rung], list(header.conflicts))
    new = tuple(dict.fromkeys(text for text in joined.conflicts if text not in known))
    return Calibration(spacing=joined.spacing, rungs=joined.rungs, conflicts=header.conflicts + new)


def _calibration(rungs: list[PixelSpacing], notes: list[str]) -> Calibration:
    ordered = tuple(sorted(rungs, key=lambda rung: _RANK[rung.source]))
    conflicts = [*notes, *(text for text in map(_disagreement, *_pairs(ordered)) if text)] if len(ordered) > 1 else notes
    return Calibration(spacing=_chosen(ordered), rungs=ordered, conflicts=tuple(dict.fromkeys(conflicts)))


def _chosen(ordered: tuple[PixelSpacing, ...]) -> PixelSpacing | None:
    """The highest rung; a needle gives way to a lower one that agrees with it and is surer by far."""
    best = ordered[0] if ordered else None
    if best is None or best.source is not SpacingSource.INSTRUMENT:
        return best
    for rung in ordered[1:]:
        surer = rung.relative_u < GIVES_WAY * best.relative_u and rung.source is not SpacingSource.DETECTOR_PLANE
        if surer and not _disagreement(best, rung):
            best = rung
    return best


def _pairs(rungs: tuple[PixelSpacing, ...]) -> tuple[list[PixelSpacing], list[PixelSpacing]]:
    pairs = [(a, b) for i, a in enumerate(rungs) for b in rungs[i + 1 :]]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _disagreement(better: PixelSpacing, worse: PixelSpacing) -> str:
    ratio = worse.mm_per_px / better.mm_per_px
    doubt = better.relative_u + worse.relative_u
    numbers = (
        f"{better.source} {better.mm_per_px:.4f} mm/px (+-{100 * better.relative_u:.1f} %) and "
        f"{worse.source} {worse.mm_per_px:.4f} mm/px (+-{100 * worse.relative_u:.1f} %)"
    )
    if worse.source is SpacingSource.DETECTOR_PLANE:
        # another plane, not another opinion: only a magnification that cannot be is a contradiction
        if 1 - doubt <= ratio <= _MAGNIFICATION[1] * (1 + doubt):
            return ""
        return f"{numbers} would be a magnification of {ratio:.2f}, which cannot be: check the declared needle and the header"
    if 1 / (1 + doubt) <= ratio <= 1 + doubt:
        return ""
    return f"{numbers} disagree by {100 * abs(ratio - 1):.0f} %, more than both uncertainties; {better.source} is used"


def _projection_rungs(header: HeaderGeometry, limits: ScaleLimits, notes: list[str]) -> list[PixelSpacing]:
    usable = _usable_spacing(limits, notes)
    imager = usable("Imager Pixel Spacing (0018,1164)", header.imager_pixel_spacing)
    stated = usable("Pixel Spacing (0028,0030)", header.pixel_spacing)
    rungs = []
    centre = usable("Object Pixel Spacing in Center of Beam (0018,9404)", header.object_pixel_spacing)
    if centre is not None:
        rungs.append(_rung(centre, SpacingSource.OBJECT_PLANE, limits.object_plane_u, "Object Pixel Spacing in Center of Beam"))
    factor, how = _magnification(header, limits, notes)
    if factor is not None and imager is not None:
        patient = (imager[0] / factor, imager[1] / factor)
        note = f"Imager Pixel Spacing {imager[0]:g} mm over magnification {factor:.4f} ({how})"
        rungs.append(_rung(patient, SpacingSource.MAGNIFICATION, limits.magnification_u, note))
    rungs.extend(_stated_rung(stated, imager, header.calibration_type, limits, notes))
    if imager is not None:
        rungs.append(_rung(imager, SpacingSource.DETECTOR_PLANE, limits.detector_plane_u, "Imager Pixel Spacing"))
    return rungs


def _stated_rung(
    stated: Pair | None, imager: Pair | None, calibration_type: str, limits: ScaleLimits, notes: list[str]
) -> list[PixelSpacing]:
    if stated is None:
        return []
    tag = f"Pixel Spacing (0028,0030) {_text(stated)} mm"
    kind = calibration_type.strip().upper()
    if kind not in ("", "GEOMETRY", "FIDUCIAL"):
        notes.append("Pixel Spacing Calibration Type (0028,0A02) is neither GEOMETRY nor FIDUCIAL: ignored")
        kind = ""
    if imager is not None:
        ratio = stated[0] / imager[0]
        if abs(ratio - 1) <= _SAME:
            if kind:
                notes.append(f"{tag} claims {kind} but equals Imager Pixel Spacing (0018,1164): taken as detector plane")
            return []
        if ratio > 1:
            wider = f"{tag} is larger than Imager Pixel Spacing (0018,1164) {_text(imager)} mm"
            notes.append(f"{wider}, which no magnification gives: refused")
            return []
    elif not kind:
        notes.append(f"{tag} has no calibration type and no Imager Pixel Spacing beside it: plane unknown, not used")
        return []
    if kind == "FIDUCIAL":
        return [_rung(stated, SpacingSource.FIDUCIAL, limits.fiducial_u, "Pixel Spacing calibrated on a fiducial")]
    note = "Pixel Spacing, calibration type GEOMETRY" if kind else "Pixel Spacing, differs from Imager Pixel Spacing"
    return [_rung(stated, SpacingSource.PATIENT_SPACING, limits.patient_spacing_u, note)]


def _magnification(header: HeaderGeometry, limits: ScaleLimits, notes: list[str]) -> tuple[float | None, str]:
    stated = _usable_factor(header.magnification, notes)
    geometric = _geometric_factor(header, notes)
    if stated is None or geometric is None:
        if stated is not None:
            return stated, "Estimated Radiographic Magnification Factor"
        return geometric, "source-detector over source-patient distance"
    if abs(stated / geometric - 1) > limits.tag_disagreement:
        notes.append(
            f"Estimated Radiographic Magnification Factor (0018,1114) {stated:.5g} contradicts Distance Source to Detector "
            f"(0018,1110) over Distance Source to Patient (0018,1111) {header.source_to_detector_mm:g}/"
            f"{header.source_to_object_mm:g} = {geometric:.5g}: both refused"
        )
        return None, ""
    return stated, "Estimated Radiographic Magnification Factor, agrees with the distances"


def _usable_factor(factor: float | None, notes: list[str]) -> float | None:
    if factor is None:
        return None
    if isfinite(factor) and _MAGNIFICATION[0] < factor <= _MAGNIFICATION[1]:
        return factor
    notes.append(f"Estimated Radiographic Magnification Factor (0018,1114) {factor:g} is no magnification: refused")
    return None


def _geometric_factor(header: HeaderGeometry, notes: list[str]) -> float | None:
    sid, sod = header.source_to_detector_mm, header.source_to_object_mm
    if sid is not None and not _SID_MM[0] <= sid <= _SID_MM[1]:
        notes.append(f"Distance Source to Detector (0018,1110) {sid:g} mm is impossible: refused")
        sid = None
    if sod is not None and not (isfinite(sod) and sod > 0):
        notes.append(f"Distance Source to Patient (0018,1111) {sod:g} mm is impossible: refused")
        sod = None
    if sid is None or sod is None:
        return None
    if _MAGNIFICATION[0] < sid / sod <= _MAGNIFICATION[1]:
        return sid / sod
    pair = f"Distance Source to Detector (0018,1110) {sid:g} mm and to Patient (0018,1111) {sod:g} mm"
    notes.append(f"{pair} give no magnification: refused")
    return None


def _ultrasound_rungs(header: HeaderGeometry, limits: ScaleLimits, notes: list[str]) -> list[PixelSpacing]:
    usable = _usable_spacing(limits, notes)
    if header.pixel_spacing is not None:
        text = _text(header.pixel_spacing)
        notes.append(f"Pixel Spacing (0028,0030) {text} mm: ultrasound is scaled by its regions (0018,6011), not used")
    spacing = usable("Physical Delta (0018,602C/602E)", header.region_spacing)
    return [] if spacing is None else [_rung(spacing, SpacingSource.REGION, limits.region_u, "Sequence of Ultrasound Regions")]


def _usable_spacing(limits: ScaleLimits, notes: list[str]) -> Callable[[str, Pair | None], Pair | None]:
    def usable(tag: str, pair: Pair | None) -> Pair | None:
        if pair is None:
            return None
        if not all(isfinite(mm) and mm > 0 for mm in pair):
            notes.append(f"{tag} {_text(pair)} mm is no spacing: refused")
        elif all(abs(mm - 1) < 1e-6 for mm in pair):
            notes.append(f"{tag} is 1.0 mm, a value that programs write when they know none: refused")
        elif not all(limits.min_mm_per_px <= mm < limits.max_mm_per_px for mm in pair):
            allowed = f"{limits.min_mm_per_px:g} to {limits.max_mm_per_px:g}"
            notes.append(f"{tag} {_text(pair)} mm lies outside {allowed} mm: refused")
        elif max(pair) / min(pair) > _MAX_ASPECT:
            notes.append(f"{tag} {_text(pair)} mm differs too much between rows and columns: refused")
        else:
            return pair
        return None

    return usable


def _rung(pair: Pair, source: SpacingSource, relative_u: float, note: str) -> PixelSpacing:
    return PixelSpacing(row_mm=pair[0], column_mm=pair[1], source=source, relative_u=relative_u, note=note)


def _text(pair: Pair) -> str:
    return f"{pair[0]:g}" if pair[0] == pair[1] else f"{pair[0]:g} x {pair[1]:g}"
