"""The ultrasound sample files against their truth."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
from ultrasound_frames import PROFILE

from marrowpoint.assess import assess_frame
from marrowpoint.read import find_images, read_frames

FOLDER = Path(__file__).parents[1] / "sample_dicom"
TRUTH = tomllib.loads((FOLDER / "truth_ultrasound.toml").read_text("utf-8"))


@pytest.mark.parametrize("name", TRUTH)
def test_sample_says_what_is_true(name: str) -> None:
    truth = TRUTH[name]
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == truth["sha256"]
    (image,) = find_images([FOLDER / name])
    (frame,) = read_frames(image, scale=PROFILE.scale)
    a = assess_frame(frame, profile=PROFILE)
    assert a.verdict.code.value in truth["verdicts"]
    if "tip" in truth:
        assert a.needle is not None
        assert np.hypot(*((np.array(a.needle.tip) - truth["tip"]) * truth["mm_per_px"])) < 1.0
    if "distance_mm" in truth:
        assert a.placement is not None
        assert a.placement.tip_to_cortex is not None
        assert a.placement.tip_to_cortex.lower <= truth["distance_mm"] <= a.placement.tip_to_cortex.upper
