"""What the page of a run says of a study's lengths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build_study import PROFILE, frame, mm

from marrowpoint.measurement import Bound
from marrowpoint.report.results import write_results
from marrowpoint.study import judge_study


@pytest.mark.parametrize(("bound", "words"), [(Bound.UPPER, "at most 12.0 mm"), (Bound.ESTIMATE, "12.0 mm")])
def test_the_page_says_whether_a_depth_is_measured_or_only_bounded(tmp_path, bound, words):
    study = replace(judge_study([frame()], PROFILE), insertion_depth=mm(12.0, 3.0, bound), bone_thickness=mm(16.0, 4.0))
    write_results([study], tmp_path, masks=False)
    text = (tmp_path / "index.html").read_text("utf-8")
    assert f"Depth past cortex {words} (9.0 to 15.0); Bone thickness 16.0 mm (12.0 to 20.0)" in text


def test_a_study_without_lengths_shows_none(tmp_path):
    study = replace(judge_study([frame()], PROFILE), insertion_depth=None, bone_thickness=None)
    write_results([study], tmp_path, masks=False)
    assert "Depth past cortex" not in (tmp_path / "index.html").read_text("utf-8")
