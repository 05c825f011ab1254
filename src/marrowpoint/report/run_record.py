"""A run as one record of the result file."""

from __future__ import annotations

from marrowpoint.frame import SpacingSource
from marrowpoint.measurement import Measurement
from marrowpoint.report.record import SCHEMA, Record, printable, verdict_record
from marrowpoint.runs.run import ContrastResult, Motion, NeedleResult, RunAssessment
from marrowpoint.runs.spread import Spread


def run_record(run: RunAssessment) -> Record:
    """One run as a record; parts that were not found are None, frames count from 1.

    Parameters
    ----------
    run : RunAssessment

    Returns
    -------
    dict
        Plain types only, points as ``[x, y]`` [px]; no NaN, no patient.
    """
    first = run.references[0] if run.references else None
    spacing = run.calibration.spacing
    return {
        "record": "run",
        "schema": SCHEMA,
        "source": {
            "paths": list(dict.fromkeys(printable(reference.path) for reference in run.references)),
            "frames": len(run.references),
            "modality": "" if first is None else first.modality,
            "rows": 0 if first is None else first.rows,
            "columns": 0 if first is None else first.columns,
            "sop_instance_uids": list(dict.fromkeys(reference.sop_instance_uid for reference in run.references)),
            "series_instance_uid": "" if first is None else first.series_instance_uid,
            "study_instance_uid": "" if first is None else first.study_instance_uid,
            "acquired": None if first is None or first.acquired is None else first.acquired.isoformat(),
            "copies": [index + 1 for index in sorted(run.copies)],
        },
        "view": {
            "kind": run.view.kind.value,
            "primary_deg": _n(run.view.primary_deg),
            "secondary_deg": _n(run.view.secondary_deg),
        },
        "calibration": {
            "method": (SpacingSource.NONE if spacing is None else spacing.source).value,
            "mm_per_px": None if spacing is None else _n(spacing.mm_per_px, 6),
        },
        "times": {
            "seconds": None if run.times.seconds is None else [_n(value, 4) for value in run.times.seconds],
            "origin": run.times.origin,
        },
        "changes": [{"frame": frame + 1, "code": code} for frame, code in run.changes],
        "needle": None if run.needle is None else _needle(run.needle),
        "contrast": None if run.contrast is None else _contrast(run.contrast),
        "verdict": verdict_record(run.verdict),
        "provenance": {
            "marrowpoint": run.provenance.marrowpoint,
            "profile": run.provenance.profile,
            "profile_sha256": run.provenance.profile_sha256,
            "model_sha256": run.provenance.model_sha256,
        },
    }


def _needle(needle: NeedleResult) -> Record:
    return {
        "followed_share": _n(needle.followed_share, 3),
        "confidence": _n(needle.confidence, 3),
        "steady": needle.steady,
        "travel": _n(needle.travel, 2),
        "unit": needle.unit,
        "key_frames": [frame + 1 for frame in needle.key_frames],
        "events": [
            {
                "code": event.code,
                "frame": event.frame + 1,
                "earliest": event.earliest + 1,
                "latest": event.latest + 1,
                "time_s": _n(event.time_s, 3),
                "text": event.text,
            }
            for event in needle.events
        ],
        "motion": _motion(needle.motion),
        "points": [
            {
                "frame": point.frame + 1,
                "state": point.state,
                "tip_xy": _xy(point.tip),
                "tip_u_px": None
                if point.sd_along_px is None or point.sd_across_px is None
                else _n(2 * max(point.sd_along_px, point.sd_across_px), 2),
                "advance": _measurement(point.advance),
                "tip_to_cortex": _measurement(point.tip_to_cortex),
            }
            for point in needle.points
        ],
    }


def _contrast(contrast: ContrastResult) -> Record:
    return {
        "onset_frame": None if contrast.onset is None else contrast.onset + 1,
        "mask_frames": [frame + 1 for frame in contrast.mask_frames],
        "settled_frame": contrast.settled + 1,
        "start_xy": _xy(contrast.tip),
        "start_is_needle": contrast.tip_is_needle,
        "unit": contrast.unit,
        "peak_frame": None if contrast.peak is None else contrast.peak + 1,
        "time_to_peak_s": _n(contrast.time_to_peak_s, 3),
        "washout": _n(contrast.washout, 3),
        "front_speed": _n(contrast.front_speed, 2),
        "direction_xy": _xy(contrast.direction, 4),
        "front_direction_xy": _xy(contrast.front_direction, 4),
        "eccentricity": _n(contrast.eccentricity, 3),
        "direction": contrast.words,
        "patient_directions": contrast.patient_known,
        "leak_along_needle": _n(contrast.leak, 2),
        "in_bone": _n(contrast.in_bone, 3),
        "in_target": _n(contrast.in_target, 3),
        "elsewhere": _n(contrast.elsewhere, 1),
        "least_density": _n(contrast.least_density or None, 5),
        "refusal": contrast.refusal or None,
        "density_is_iodine": contrast.log_linear,
        "branches": [
            {
                "length": _n(branch.length, 2),
                "width": _n(branch.width, 2),
                "end_xy": _xy(branch.end),
                "washout": _n(branch.washout, 3),
                "fills_outward": branch.outruns,
                "strength": _n(branch.strength, 1),
                "cut_off": branch.cut_off,
            }
            for branch in contrast.branches
        ],
        "motion": _motion(contrast.motion),
        "points": [_spread(spread) for spread in contrast.spreads],
    }


def _spread(spread: Spread) -> Record:
    return {
        "frame": spread.frame + 1,
        "area": _n(spread.area, 2),
        "area_lower": _n(spread.area_lower, 2),
        "area_upper": _n(spread.area_upper, 2),
        "cut_off": spread.cut_off,
        "seen_area": _n(spread.seen_area, 2),
        "density": _n(spread.density, 4),
        "front": _n(spread.front, 2),
        "front_xy": _xy(spread.front_point),
        "middle_xy": _xy(spread.centroid),
        "in_bone": _n(spread.in_bone, 3),
        "in_target": _n(spread.in_target, 3),
    }


def _motion(motion: Motion) -> Record:
    return {
        "largest_shift": _n(motion.largest_shift, 2),
        "unit": motion.unit,
        "median_residual_px": _n(motion.median_residual_px, 3),
        "largest_residual_px": _n(motion.largest_residual_px, 3),
        "refused_frames": motion.refused,
        "untold_frames": motion.untold,
    }


def _measurement(measurement: Measurement | None) -> Record | None:
    if measurement is None:
        return None
    return {
        "value": _n(measurement.value),
        "lower": _n(measurement.lower),
        "upper": _n(measurement.upper),
        "unit": measurement.unit.value,
        "bound": measurement.bound.value,
        "method": measurement.method,
    }


def _xy(point: tuple[float, float] | None, digits: int = 2) -> list[float] | None:
    return None if point is None else [round(point[1], digits), round(point[0], digits)]


def _n(value: float | None, digits: int = 3) -> float | None:
    # NaN and infinity compare unequal to themselves less themselves
    if value is None or value - value != 0:
        return None
    return round(float(value), digits)
