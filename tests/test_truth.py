"""Every sample picture against its truth, within the uncertainty that the program itself states."""

from __future__ import annotations

import hashlib
import math
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from reference import SAMPLES, FileReference, FrameReference, fluoroscopy_files, fluoroscopy_frames

from marrowpoint.assess import assess_frame
from marrowpoint.assessment import Assessment
from marrowpoint.errors import UnreadableImage
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.frame import Frame
from marrowpoint.measurement import Unit
from marrowpoint.phantom import render_scene
from marrowpoint.read import find_images, read_frames, read_procedure, read_profile

# A 95 % interval misses once in twenty; widened by half (k = 3) it misses once in 400, so a miss here is a fault.
WIDEN = 1.5
# Nearer to the beam than this a needle is a disc and has no tip to find (design section 4).
END_ON_DEG = 15.0

# Frames on which the program still abstains. One more is a fault; strike out what it has learned to see.
ABSTAINS: set[str] = set()

FILES, FRAMES = fluoroscopy_files(), fluoroscopy_frames()
with_needle = [frame for frame in FRAMES if frame.tip is not None and (frame.beam_angle_deg or 0) > END_ON_DEG]


@cache
def frames_of(name: str) -> tuple[Frame, ...]:
    (image,) = find_images([SAMPLES / name])
    return tuple(read_frames(image, side="L", scale=read_profile(None).scale))


@cache
def assessed(reference: FrameReference) -> Assessment:
    frame = frames_of(reference.file)[reference.number - 1]
    return assess_frame(frame, profile=read_profile(None), network=load_network(None), outer_diameter_mm=reference.needle_od_mm)


def each_frame(frames: list[FrameReference] | tuple[FrameReference, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("reference", frames, ids=lambda reference: reference.id)


# ---- the files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_is_the_one_that_the_truth_describes(file: FileReference) -> None:
    content = file.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert len(content) <= 350_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_names_no_person(file: FileReference) -> None:
    header = pydicom.dcmread(file.path, stop_before_pixels=True)
    assert {str(header.get(key, "")) for key in ("PatientName", "PatientID")} == {"PHANTOM"}
    assert not any(str(header.get(key, "")) for key in ("PatientBirthDate", "PatientSex", "ReferringPhysicianName"))
    assert header.StudyInstanceUID == file.study_instance_uid


def test_sample_is_what_the_phantom_draws() -> None:
    """The command that makes the samples still draws the stored picture (to a rounding of the processor)."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    from sample_scenes import samples  # noqa: PLC0415

    sample = next(each for each in samples() if each.name == "advancing_multiframe.dcm")
    drawn = render_scene(sample.scenes[0]).pixels.astype(int)
    stored = pydicom.dcmread(SAMPLES / sample.name).pixel_array[0].astype(int)
    assert np.abs(drawn - stored).mean() < 0.05


def test_procedure_sheet_declares_the_needles() -> None:
    sites = read_procedure(SAMPLES / "procedure.csv")
    for file in FILES:
        declared = {frame.needle_od_mm for frame in file.frames}
        found = {site.needle_od_mm for site in sites.get(file.study_instance_uid, ())} or {None}
        assert found == declared, file.name


def test_file_cut_short_is_refused(tmp_path: Path) -> None:
    content = FILES[0].path.read_bytes()
    (tmp_path / "cut_short.dcm").write_bytes(content[: len(content) * 6 // 10])
    (image,) = find_images([tmp_path / "cut_short.dcm"])
    with pytest.raises(UnreadableImage):
        next(read_frames(image, scale=read_profile(None).scale))


# ---- scale and view -------------------------------------------------------------------------------------------------


@each_frame(FRAMES)
def test_header_climbs_to_the_true_rung(reference: FrameReference) -> None:
    calibration = frames_of(reference.file)[reference.number - 1].header_spacing
    found = "none" if calibration.spacing is None else calibration.spacing.source.value
    assert found == reference.header_scale
    if calibration.spacing is not None and reference.mm_per_px is not None and found != "detector_plane":
        assert calibration.spacing.mm_per_px == pytest.approx(reference.mm_per_px, rel=WIDEN * calibration.spacing.relative_u)


def test_contradiction_is_named() -> None:
    (frame,) = frames_of("contradictory_scale.dcm")
    assert any("0018,1114" in text and "contradict" in text for text in frame.header_spacing.conflicts)


@each_frame(FRAMES)
def test_view_is_named(reference: FrameReference) -> None:
    assert frames_of(reference.file)[reference.number - 1].view.kind == reference.view


@each_frame(with_needle)
def test_scale_in_use_is_true(reference: FrameReference) -> None:
    spacing = assessed(reference).calibration.spacing
    if spacing is not None and spacing.source != "detector_plane":
        assert spacing.mm_per_px == pytest.approx(reference.mm_per_px, rel=WIDEN * spacing.relative_u)


# ---- needle ---------------------------------------------------------------------------------------------------------


@each_frame(with_needle)
def test_tip_is_found_within_its_uncertainty(reference: FrameReference) -> None:
    needle = assessed(reference).needle
    assert needle is not None, assessed(reference).verdict.text
    assert reference.tip is not None
    assert reference.axis is not None
    gap, axis = np.subtract(needle.tip, reference.tip), np.asarray(needle.axis)
    assert abs(float(axis @ reference.axis)) > math.cos(math.radians(3))
    assert float(axis @ reference.axis) > 0, "tip and hub are swapped"
    along, across = abs(float(gap @ axis)), abs(float(gap[0] * axis[1] - gap[1] * axis[0]))
    assert along <= WIDEN * 2 * needle.tip_sd_along_px + 0.5
    assert across <= WIDEN * 2 * needle.tip_sd_across_px + 0.5
    assert np.linalg.norm(gap) * (reference.mm_per_px or 0) < 2.0


@each_frame([frame for frame in FRAMES if frame.tip is None])
def test_no_needle_is_invented(reference: FrameReference) -> None:
    assert assessed(reference).needle is None


# ---- distance and verdict -------------------------------------------------------------------------------------------


@each_frame(with_needle)
def test_distance_holds_the_truth(reference: FrameReference) -> None:
    placement = assessed(reference).placement
    if placement is None or placement.tip_to_cortex is None or placement.tip_to_cortex.unit is not Unit.MM:
        pytest.skip("no distance in millimetres is reported of this frame")
    found = placement.tip_to_cortex
    low, high = found.value - WIDEN * (found.value - found.lower), found.value + WIDEN * (found.upper - found.value)
    assert reference.distance_mm is not None
    assert low <= reference.distance_mm <= high


@each_frame(with_needle)
def test_thickness_is_no_false_comfort(reference: FrameReference) -> None:
    """A lower limit of the bone's thickness above the truth would call thin bone thick."""
    placement = assessed(reference).placement
    if placement is None or placement.bone_thickness is None or placement.bone_thickness.unit is not Unit.MM:
        pytest.skip("no thickness is reported of this frame")
    found = placement.bone_thickness
    assert reference.thickness_mm is not None
    if found.bound != "upper_bound" and reference.thickness_mm > 0:
        assert found.lower - (WIDEN - 1) * (found.value - found.lower) <= reference.thickness_mm
    assert reference.thickness_mm <= found.upper + (WIDEN - 1) * (found.upper - found.value)


@each_frame(FRAMES)
def test_nothing_false_is_said(reference: FrameReference) -> None:
    code = assessed(reference).verdict.code.value
    assert code not in reference.never
    assert code == "not_assessable" or code in reference.verdicts


@each_frame(FRAMES)
def test_sample_shows_its_verdict(reference: FrameReference) -> None:
    if load_network(None) is None:
        pytest.skip("the model of the learned prior is not installed; without it no hip bone is outlined")
    verdict = assessed(reference).verdict
    if verdict.code.value == "not_assessable" and reference.id in ABSTAINS:
        pytest.xfail(f"it abstains where it should see: {verdict.text}")  # safe, but a gap: docs/accuracy.md counts them
    assert verdict.code.value in reference.verdicts, verdict.text
