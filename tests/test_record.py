"""The result file: every field of the contract, (x, y) from (row, column), and nothing that must not stand there."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest
from drawn import PROVENANCE, bare_assessment, drawn_assessment, drawn_cortex, drawn_frame, drawn_needle
from hypothesis import given
from hypothesis import strategies as st

from marrowpoint.analyze import Failure
from marrowpoint.assessment import StudyAssessment
from marrowpoint.report.record import (
    CONTOUR_MAX_POINTS,
    CONTOUR_STEP_PX,
    failure_record,
    frame_record,
    printable,
    record_line,
    study_record,
    thin_out,
)
from marrowpoint.verdict import Code, Flag, Verdict

# names as the public contract lists them
CONTRACT = {
    "source": {
        "path", "frame", "modality", "rows", "columns", "sop_instance_uid", "study_instance_uid", "acquired", "pixel_sha256",
    },
    "view": {"kind", "origin", "primary_deg", "secondary_deg"},
    "calibration": {"method", "mm_per_px", "relative_u", "conflicts"},
    "needle": {"tip_xy", "axis_xy", "shaft_width_px", "tip_u_px", "outer_diameter_mm"},
    "bone": {"contour_xy", "confidence"},
    "measurements": {"tip_to_cortex", "insertion_depth", "bone_thickness", "thin_bone_margin", "far_cortex_reserve"},
    "verdict": {"code", "text", "flags", "reasons"},
    "provenance": {"marrowpoint", "profile", "profile_sha256", "model_sha256"},
}  # fmt: skip


def read_back(record):
    return json.loads(record_line(record))


@pytest.mark.parametrize("part", CONTRACT)
def test_a_frame_record_holds_every_field_of_the_contract(part) -> None:
    record = read_back(frame_record(drawn_assessment()))
    assert record["record"] == "frame"
    assert record["schema"] == 1
    assert CONTRACT[part] <= set(record[part])


def test_a_measurement_holds_value_limits_unit_bound_and_method() -> None:
    entry = frame_record(drawn_assessment())["measurements"]["tip_to_cortex"]
    assert entry == {"value": 10.0, "lower": 9.0, "upper": 11.0, "unit": "mm", "bound": "upper_bound", "method": "drawn"}


def test_points_are_written_as_x_y() -> None:
    assessment = drawn_assessment(needle=drawn_needle(tip=(10.25, 20.5), axis=(0.6, -0.8)))
    record = frame_record(assessment)
    assert record["needle"]["tip_xy"] == [20.5, 10.25]
    assert record["needle"]["axis_xy"] == [-0.8, 0.6]
    assert record["bone"]["contour_xy"][0][1] == [240.0, 40.0]
    assert record["points"]["nearest_cortex_xy"] == [140.0, 40.0]


def test_what_was_not_found_is_null() -> None:
    record = read_back(frame_record(bare_assessment()))
    assert record["needle"] is None
    assert record["bone"] is None
    assert record["calibration"]["mm_per_px"] is None
    assert record["calibration"]["method"] == "none"
    assert set(record["measurements"].values()) == {None}


def test_a_needle_without_bone_stays_in_the_record() -> None:
    record = frame_record(drawn_assessment(cortex=None, placement=None))
    assert record["needle"] is not None
    assert record["calibration"]["mm_per_px"] == pytest.approx(0.2)
    assert record["bone"] is None


def test_an_infinite_uncertainty_becomes_null_and_nan_is_refused() -> None:
    record = frame_record(drawn_assessment(needle=drawn_needle(tip_sd_along_px=float("inf"))))
    assert read_back(record)["needle"]["tip_u_px"] is None
    with pytest.raises(ValueError, match="JSON"):
        record_line({"value": float("nan")})


def test_acquisition_time_is_iso() -> None:
    record = frame_record(drawn_assessment(frame=drawn_frame(acquired=datetime(2026, 1, 1, 10, 15))))
    assert record["source"]["acquired"] == "2026-01-01T10:15:00"


def test_no_field_speaks_of_a_patient() -> None:
    assert "patient" not in record_line(frame_record(drawn_assessment())).lower()


def test_a_study_record() -> None:
    verdict = Verdict(code=Code.RIGHT_SPOT, text="Right spot", flags=(Flag.AWAITING_CONFIRMATION,))
    told = {"study_instance_uid": "1.2", "frames": ("a/v.dcm#1", "a/w.dcm#2"), "verdict": verdict, "provenance": PROVENANCE}
    record = read_back(study_record(StudyAssessment(**told, tip_position_mm=(1.0, 2.0, 3.0), tip_residual_mm=0.6)))
    assert record["tip_3d"]["position_mm"] == [1.0, 2.0, 3.0]
    assert record["tip_3d"]["residual_mm"] == 0.6
    assert record["frames"] == ["a/v.dcm#1", "a/w.dcm#2"]
    assert record["verdict"]["flags"] == ["awaiting_confirmation"]
    assert study_record(StudyAssessment(**told))["tip_3d"] is None


def test_a_failure_record() -> None:
    record = failure_record(Failure(path="x.dcm", code="no_pixel_data", text="It holds no picture."))
    assert record == {
        "record": "failure",
        "schema": 1,
        "source": {"path": "x.dcm"},
        "error": {"code": "no_pixel_data", "text": "It holds no picture."},
    }


@given(st.text())
def test_printable_text_is_one_line_of_utf8(text) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")


def test_printable_shows_bytes_that_are_no_text() -> None:
    assert printable("a\udcff\n.dcm") == "a\\udcff\\n.dcm"
    assert printable("Größe.dcm") == "Größe.dcm"


def circle(radius_px: float, points: int) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, points)
    return 500 + radius_px * np.stack([np.sin(turn), np.cos(turn)], axis=1)


@pytest.mark.parametrize("radius_px", [30.0, 300.0, 3000.0])
def test_a_thinned_outline_keeps_its_shape_and_its_ends(radius_px) -> None:
    line = circle(radius_px, 20001)
    thinned = thin_out(line)
    assert len(thinned) <= min(2 * np.pi * radius_px / CONTOUR_STEP_PX, CONTOUR_MAX_POINTS) + 3
    assert np.array_equal(thinned[[0, -1]], line[[0, -1]])
    gaps = np.hypot(*np.diff(thinned, axis=0).T)
    assert gaps.max() < 1.5 * max(CONTOUR_STEP_PX, 2 * np.pi * radius_px / CONTOUR_MAX_POINTS)
    assert np.abs(np.hypot(*(thinned - 500).T) - radius_px).max() < 1e-6


def test_a_thinned_outline_invents_no_points() -> None:
    line = drawn_cortex().lines[0]
    assert np.array_equal(thin_out(line), line)


def test_doubtful_bars_are_listed_but_are_no_needle() -> None:
    doubtful = drawn_needle(tip=(10.0, 20.0), confidence=0.3)
    record = read_back(frame_record(bare_assessment(candidates=(doubtful,))))
    assert record["needle"] is None
    (candidate,) = record["needle_candidates"]
    assert candidate["tip_xy"] == [20.0, 10.0]
    assert candidate["confidence"] == pytest.approx(0.3)
