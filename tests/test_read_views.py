"""Naming the view from the C-arm's angles, the patient's position and the side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from build_dicom import STUDY_UID, make_dicom
from hypothesis import given
from hypothesis import strategies as st

from marrowpoint.frame import Frame, ViewKind, ViewOrigin
from marrowpoint.read import find_images, read_frames, read_profile
from marrowpoint.read.views import name_view

SCALE = read_profile().scale
SHARED = Path(__file__).parents[1].parent / "shared"
PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)
OTHER = {"L": "R", "R": "L"}


def read(path: Path, **options) -> Frame:
    (image,) = find_images([path])
    (frame,) = read_frames(image, scale=SCALE, **options)
    return frame


@pytest.mark.parametrize(
    ("primary", "side", "kind"),
    [
        # prone, detector above: toward the right looks along the left wing
        (-47, "L", ViewKind.TANGENTIAL),
        (53, "R", ViewKind.TANGENTIAL),
        (20, "L", ViewKind.ILIAC_OBLIQUE),
        (-43, "R", ViewKind.ILIAC_OBLIQUE),
        (6, "L", ViewKind.AP),
        (-14, "", ViewKind.AP),
        (90, "", ViewKind.LATERAL),
        (-96, "L", ViewKind.LATERAL),
        (-47, "", ViewKind.UNKNOWN),
        # leans along the wing, but not enough to run along it
        (-20, "L", ViewKind.UNKNOWN),
    ],
)
def test_views_of_a_prone_patient(primary, side, kind):
    assert name_view(primary, 0, side=side, position="HFP") is kind


@given(st.floats(-109, 109), st.floats(-30, 30), st.sampled_from("LR"), st.sampled_from(["HFP", "FFP", "HFS", "FFS"]))
def test_mirroring_the_patient_changes_nothing(primary, secondary, side, position):
    mirrored = name_view(-primary, secondary, side=OTHER[side], position=position)
    assert name_view(primary, secondary, side=side, position=position) is mirrored


@given(st.floats(31, 69), st.sampled_from("LR"))
def test_turning_the_patient_over_swaps_the_obliques(primary, side):
    kinds = {name_view(primary, 0, side=side, position=position) for position in ("HFP", "HFS")}
    assert kinds == {ViewKind.TANGENTIAL, ViewKind.ILIAC_OBLIQUE}


@given(st.floats(31, 69), st.sampled_from("LR"))
def test_opposite_beam_shows_the_same_view(primary, side):
    # tube and detector change places: 180 degrees further, the same line through the patient
    assert name_view(primary - 180, 0, side=side, position="HFS") is name_view(primary, 0, side=side, position="HFS")


@pytest.mark.parametrize("position", ["", "HFDL", "FFDR"])
def test_oblique_of_a_patient_who_lies_unknown_or_on_a_side_has_no_name(position):
    assert name_view(-47, 0, side="L", position=position) is ViewKind.UNKNOWN


def test_steep_tilt_has_no_name():
    assert name_view(0, 45, side="L", position="HFP") is ViewKind.UNKNOWN


def test_operator_wins_and_the_angles_stay(tmp_path):
    path = make_dicom(tmp_path / "a.dcm", PIXELS, PositionerPrimaryAngle=3, PositionerSecondaryAngle=-8)
    plain, stated = read(path), read(path, view=ViewKind.TANGENTIAL)
    assert (plain.view.kind, plain.view.origin) == (ViewKind.AP, ViewOrigin.DICOM)
    assert (stated.view.kind, stated.view.origin) == (ViewKind.TANGENTIAL, ViewOrigin.OPERATOR)
    assert (stated.view.primary_deg, stated.view.secondary_deg) == (3, -8)


@pytest.mark.parametrize("angle", [400, None])
def test_missing_or_absurd_angle_is_no_view(tmp_path, angle):
    tags = {} if angle is None else {"PositionerPrimaryAngle": angle}
    view = read(make_dicom(tmp_path / "a.dcm", PIXELS, **tags)).view
    assert (view.kind, view.origin, view.primary_deg) == (ViewKind.UNKNOWN, ViewOrigin.UNKNOWN, None)


def test_side_is_the_operators_else_the_sheets_else_the_headers(tmp_path):
    path = make_dicom(tmp_path / "a.dcm", PIXELS, PositionerPrimaryAngle=-47, ImageLaterality="R")
    assert read(path).view.kind is ViewKind.ILIAC_OBLIQUE
    assert read(path, sides={STUDY_UID: "L"}).view.kind is ViewKind.TANGENTIAL
    assert read(path, side="R", sides={STUDY_UID: "L"}).side == "R"
    with pytest.raises(ValueError, match="side"):
        read(path, side="left")


def test_angles_of_a_moving_arm_hold_for_its_first_frame_only(tmp_path):
    run = np.stack([PIXELS] * 3)
    path = make_dicom(tmp_path / "a.dcm", run, frames=3, PositionerPrimaryAngle=3, PositionerMotion="DYNAMIC")
    (image,) = find_images([path])
    found = [frame.view.primary_deg for frame in read_frames(image, scale=SCALE)]
    assert found == [3, None, None]


@pytest.mark.skipif(not (SHARED / "fluoro-dev").is_dir(), reason="the evaluation data is not beside the checkout")
def test_views_and_scale_of_the_simulated_set():
    named = {"tangential": "tangential", "iliac": "iliac_oblique", "ap": "ap", "lateral": "lateral"}
    errors = []
    for truth in json.loads((SHARED / "fluoro-dev" / "z009" / "truth.json").read_text())[::2]:
        frame = read(SHARED / "fluoro-dev" / "z009" / f"{truth['id']}.dcm", side=truth["subject_side"][-1])
        assert frame.view.kind == (named[truth["view"]] if frame.view.primary_deg is not None else "unknown")
        for rung in frame.header_spacing.rungs:
            if rung.source == "magnification":
                errors.append(abs(rung.mm_per_px / truth["mm_per_px_at_tip"] - 1))
                assert errors[-1] < rung.relative_u
    assert np.median(errors) <= 0.04
