"""Assessments as the JSON records of the result file: a public interface, one schema for JSON lines and page.

The house's (row, column) becomes the file's ``*_xy`` = (column, row) here and nowhere else.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import numpy as np

from marrowpoint.analyze import Failure
from marrowpoint.assessment import Assessment, Provenance, StudyAssessment
from marrowpoint.cortex import Cortex
from marrowpoint.frame import Calibration, Documented, Frame, Points, SpacingSource
from marrowpoint.measurement import Measurement
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.verdict import Verdict

SCHEMA = 1
Record = dict[str, Any]

# Outline points nearer to each other than this say nothing new [px]; a line keeps at most so many of them.
CONTOUR_STEP_PX = 2.0
CONTOUR_MAX_POINTS = 4000

MEASUREMENTS = (
    "tip_to_cortex",
    "insertion_depth",
    "bone_thickness",
    "thin_bone_margin",
    "far_cortex_reserve",
    "in_plane_width",
    "gap_along_shaft",
    "entry_to_peak",
)


def frame_record(assessment: Assessment) -> Record:
    """One frame as a record; parts that were not found are None.

    Parameters
    ----------
    assessment : Assessment

    Returns
    -------
    dict
        Plain types only, points as ``[x, y]`` [px], lengths with their unit beside them; no NaN, no patient.
    """
    needle, cortex = assessment.needle, assessment.cortex
    return {
        "record": "frame",
        "schema": SCHEMA,
        "source": _source(assessment.frame),
        "view": {
            "kind": assessment.frame.view.kind.value,
            "origin": assessment.frame.view.origin.value,
            "primary_deg": _number(assessment.frame.view.primary_deg, 2),
            "secondary_deg": _number(assessment.frame.view.secondary_deg, 2),
            "side": assessment.frame.side or None,
        },
        "documented": _documented(assessment.frame.documented),
        "calibration": _calibration(assessment.calibration),
        "needle": None if needle is None else _needle(needle, assessment.outer_diameter_mm),
        "needle_candidates": [_candidate(each) for each in assessment.candidates],
        "bone": None if cortex is None else _bone(cortex),
        "measurements": _measurements(assessment.placement),
        "points": _points(assessment.placement),
        "verdict": verdict_record(assessment.verdict),
        "provenance": _provenance(assessment.provenance),
    }


def study_record(study: StudyAssessment) -> Record:
    """One study as a record.

    Parameters
    ----------
    study : StudyAssessment

    Returns
    -------
    dict
        ``tip_3d`` is None where the tip was not triangulated; positions and residual [mm].
    """
    tip = None
    if study.tip_position_mm is not None:
        tip = {
            "position_mm": [_number(x, 3) for x in study.tip_position_mm],
            "residual_mm": _number(study.tip_residual_mm, 3),
            "sd_mm": None if study.tip_sd_mm is None else [_number(x, 3) for x in study.tip_sd_mm],
            "axis": None if study.shaft_axis is None else [_number(x, 5) for x in study.shaft_axis],
            "axis_sd_deg": _number(study.shaft_axis_sd_deg, 2),
        }
    return {
        "record": "study",
        "schema": SCHEMA,
        "study_instance_uid": study.study_instance_uid,
        "site": printable(study.site),
        "frames": [printable(name) for name in study.frames],
        "tip_3d": tip,
        "measurements": {
            "insertion_depth": _measurement(study.insertion_depth),
            "bone_thickness": _measurement(study.bone_thickness),
        },
        "thick_bone_chance": _number(study.thick_bone_chance, 4),
        "verdict": verdict_record(study.verdict),
        "provenance": _provenance(study.provenance),
    }


def failure_record(failure: Failure) -> Record:
    """A file or frame that could not be analysed, as a record."""
    source: Record = {"path": printable(failure.path)}
    if failure.frame_number is not None:
        source["frame"] = failure.frame_number
    return {
        "record": "failure",
        "schema": SCHEMA,
        "source": source,
        "error": {"code": failure.code, "text": printable(failure.text)},
    }


def record_line(record: Record) -> str:
    """One line of JSON with its line end; a NaN or infinity is a ``ValueError``, never a token in the file."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n"


def printable(text: str) -> str:
    """Text that any UTF-8 reader takes: bytes of a file name that are no text, line ends and control marks are escaped."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in whole)


def _source(frame: Frame) -> Record:
    reference = frame.reference
    return {
        "path": printable(reference.path),
        "frame": reference.frame_number,
        "number_of_frames": reference.number_of_frames,
        "modality": reference.modality,
        "rows": reference.rows,
        "columns": reference.columns,
        "sop_class_uid": reference.sop_class_uid,
        "sop_instance_uid": reference.sop_instance_uid,
        "series_instance_uid": reference.series_instance_uid,
        "study_instance_uid": reference.study_instance_uid,
        "transfer_syntax_uid": reference.transfer_syntax_uid,
        "acquired": None if reference.acquired is None else reference.acquired.isoformat(),
        "pixel_sha256": reference.pixel_sha256,
    }


def _documented(documented: Documented) -> Record:
    return {
        "laterality": documented.laterality or None,
        "body_position": documented.body_position or None,
        "dose_area_gy_cm2": _number(documented.dose_area_gy_cm2, 4),
        "air_kerma_gy": _number(documented.air_kerma_gy, 6),
        "fluoroscopy_min": _number(documented.fluoroscopy_min, 3),
        "mechanical_index": _number(documented.mechanical_index, 3),
        "thermal_index": _number(documented.thermal_index, 3),
    }


def _calibration(calibration: Calibration) -> Record:
    spacing = calibration.spacing
    record: Record = {
        "method": (SpacingSource.NONE if spacing is None else spacing.source).value,
        "mm_per_px": None,
        "relative_u": None,
        "conflicts": list(calibration.conflicts),
        "rungs": [
            {"method": rung.source.value, "mm_per_px": _number(rung.mm_per_px, 6), "relative_u": _number(rung.relative_u, 4)}
            for rung in calibration.rungs
        ],
    }
    if spacing is not None:
        record.update(
            mm_per_px=_number(spacing.mm_per_px, 6),
            row_mm=_number(spacing.row_mm, 6),
            column_mm=_number(spacing.column_mm, 6),
            relative_u=_number(spacing.relative_u, 4),
            note=spacing.note,
        )
    return record


def _needle(needle: Needle, outer_diameter_mm: float | None) -> Record:
    # two standard uncertainties along the shaft, where a tip is known least
    return {
        "tip_xy": _xy(needle.tip, 2),
        "axis_xy": _xy(needle.axis, 5),
        "shaft_width_px": _number(needle.width_px, 2),
        "tip_u_px": _number(2 * max(needle.tip_sd_along_px, needle.tip_sd_across_px), 2),
        "tip_u_along_px": _number(2 * needle.tip_sd_along_px, 2),
        "tip_u_across_px": _number(2 * needle.tip_sd_across_px, 2),
        "length_px": _number(needle.length_px, 1),
        "outer_diameter_mm": _number(outer_diameter_mm, 3),
        "confidence": _number(needle.confidence, 3),
        "end_on": needle.end_on,
        "second_instrument": needle.second_instrument,
        "tip_visibility": None if needle.tip_visibility is None else needle.tip_visibility.value,
        "out_of_plane": needle.out_of_plane,
        "located_by": needle.located_by,
        "alternatives": [
            {"tip_xy": _xy(other.tip, 2), "axis_xy": _xy(other.axis, 5), "confidence": _number(other.confidence, 3)}
            for other in needle.alternatives
        ],
    }


def _candidate(needle: Needle) -> Record:
    """A bar too doubtful to be reported as the needle: enough to show it to a person."""
    return {
        "tip_xy": _xy(needle.tip, 2),
        "axis_xy": _xy(needle.axis, 5),
        "shaft_width_px": _number(needle.width_px, 2),
        "confidence": _number(needle.confidence, 3),
        "end_on": needle.end_on,
    }


def _bone(cortex: Cortex) -> Record:
    return {
        "contour_xy": [np.round(thin_out(line)[:, ::-1], 2).tolist() for line in cortex.lines if len(line)],
        "confidence": _number(cortex.confidence, 3),
        "edge_u_px": _number(2 * cortex.edge_sd_px, 2),
        "located_by": cortex.located_by,
    }


def thin_out(line: Points) -> Points:
    """Keep outline points at least `CONTOUR_STEP_PX` of arc length apart, and both ends.

    Parameters
    ----------
    line : ndarray of shape (K, 2), float64
        (row, column) [px].

    Returns
    -------
    ndarray of shape (k, 2), float64
        Points of the line itself, never new ones.
    """
    if len(line) < 3:
        return line
    arc_px = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    step_px = max(CONTOUR_STEP_PX, float(arc_px[-1]) / CONTOUR_MAX_POINTS)
    bins = np.floor(arc_px / step_px)
    keep = np.concatenate([[True], np.diff(bins) > 0])
    keep[-1] = True
    thinned: Points = line[keep]
    return thinned


def _measurements(placement: Placement | None) -> Record:
    if placement is None:
        return dict.fromkeys(MEASUREMENTS)
    return {name: _measurement(getattr(placement, name)) for name in MEASUREMENTS}


def _measurement(measurement: Measurement | None) -> Record | None:
    if measurement is None:
        return None
    return {
        "value": _number(measurement.value, 3),
        "lower": _number(measurement.lower, 3),
        "upper": _number(measurement.upper, 3),
        "unit": measurement.unit.value,
        "bound": measurement.bound.value,
        "method": measurement.method,
    }


def _points(placement: Placement | None) -> Record:
    names = ("nearest_cortex", "entry", "nearest_thin", "crest_peak")
    found = {name: None if placement is None else getattr(placement, name) for name in names}
    return {f"{name}_xy": None if point is None else _xy(point, 2) for name, point in found.items()}


def verdict_record(verdict: Verdict) -> Record:
    """A verdict as part of a record."""
    return {
        "code": verdict.code.value,
        "severity": verdict.severity.value,
        "text": verdict.text,
        "flags": [flag.value for flag in verdict.flags],
        "reasons": [{"code": reason.code, "text": reason.text} for reason in verdict.reasons],
    }


def _provenance(provenance: Provenance) -> Record:
    return {
        "marrowpoint": provenance.marrowpoint,
        "profile": provenance.profile,
        "profile_sha256": provenance.profile_sha256,
        "model_sha256": provenance.model_sha256,
    }


def _xy(point: tuple[float, float], digits: int) -> list[float | None]:
    return [_number(point[1], digits), _number(point[0], digits)]


def _number(value: float | None, digits: int) -> float | None:
    if value is None or not isfinite(value):
        return None
    return round(float(value), digits)
