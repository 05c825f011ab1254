"""What is kept of a frame beside its record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import drawn_assessment

import marrowpoint
from marrowpoint.audit.task import program_fingerprint
from marrowpoint.audit.work import THIN_GRID_MM, _thin_distances
from marrowpoint.cortex import ThicknessMap
from marrowpoint.thickness import nearest_thin


def test_the_way_to_thin_bone_is_the_one_that_is_measured() -> None:
    assessment = drawn_assessment()
    cortex, needle = assessment.cortex, assessment.needle
    assert cortex is not None
    assert needle is not None
    median = np.random.default_rng(3).uniform(-4, 14, (24, 32)).clip(0).astype(np.float32)
    shape = (assessment.frame.reference.rows, assessment.frame.reference.columns)
    thickness = ThicknessMap(median_mm=median, lower_mm=median, upper_mm=median, frame_shape=shape, method="drawn")
    spacing = assessment.calibration.spacing
    step = np.array([1.0, 1.0] if spacing is None else [spacing.row_mm, spacing.column_mm])
    expected = []
    for limit_mm in THIN_GRID_MM:
        found = nearest_thin(thickness, np.array([needle.tip]), step, limit_mm)
        assert found is not None
        expected.append((limit_mm, float(found[0][0])))
    assert _thin_distances(assessment, replace(cortex, thickness=thickness), needle) == tuple(expected)
    bare = replace(thickness, median_mm=np.zeros_like(median))
    assert _thin_distances(assessment, replace(cortex, thickness=bare), needle) == ()


def test_another_model_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "__init__.py").write_text("")
    model = tmp_path / "models/reader.npz"
    monkeypatch.setattr(marrowpoint, "__file__", str(tmp_path / "__init__.py"))
    model.write_bytes(b"one")
    before = program_fingerprint.__wrapped__()
    assert program_fingerprint.__wrapped__() == before
    model.write_bytes(b"two")
    assert program_fingerprint.__wrapped__() != before
