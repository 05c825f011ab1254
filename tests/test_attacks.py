"""What an attack has shown once must not come back: lengths on contradictory scales, bounds that promise the wrong side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from build_dicom import make_dicom
from build_study import frame as seen_in_a_study
from pydicom.uid import SecondaryCaptureImageStorage
from run_frames import bone_like, circle_field, make_frame, source_of

import marrowpoint
from marrowpoint.archive import codes
from marrowpoint.assess import assess_frame
from marrowpoint.audit.nouns import StoredFrame
from marrowpoint.audit.rejudge import judge_again
from marrowpoint.cortex import BonePrior, Cortex
from marrowpoint.errors import UnsupportedImage
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.segment import segment_bone
from marrowpoint.frame import Calibration, Frame, FrameReference, PixelSpacing, SpacingSource, View
from marrowpoint.judge import judge_frame
from marrowpoint.measure import measure_placement
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.polyline import nearest_points, segments_of
from marrowpoint.profile import parse_profile
from marrowpoint.read import find_images, read_frames
from marrowpoint.report.words import in_words
from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections
from marrowpoint.runs.assess import assess_run
from marrowpoint.ultrasound.judge import judge_scan
from marrowpoint.ultrasound.measure import measure_scan
from marrowpoint.verdict import Code, Flag

PROFILE = parse_profile((Path(marrowpoint.__file__).parent / "profiles" / "default.toml").read_bytes())
SHAPE, CENTRE, RADIUS = (400, 500), (200.0, 250.0), 120.0
SURE = {"width_px": 15.0, "width_sd_px": 0.3, "tip_sd_along_px": 1.0, "tip_sd_across_px": 0.3, "length_px": 200.0,
        "confidence": 0.97}  # fmt: skip


def rung(mm: float, source: SpacingSource, u: float = 0.05) -> PixelSpacing:
    return PixelSpacing(row_mm=mm, column_mm=mm, source=source, relative_u=u)


def bone() -> Cortex:
    turn = np.linspace(0, 2 * np.pi, 361)
    line = np.column_stack([CENTRE[0] + RADIUS * np.sin(turn), CENTRE[1] + RADIUS * np.cos(turn)])
    rows, columns = np.indices(SHAPE)
    inside = np.hypot(rows - CENTRE[0], columns - CENTRE[1]) <= RADIUS
    return Cortex(bone=inside, lines=(line,), edge_sd_px=1.0, confidence=0.97, located_by="learned+refined", model_sha256="0")


def needle(column: float) -> Needle:
    return Needle(tip=(CENTRE[0], column), axis=(0.0, 1.0), **SURE)


def measured(calibration: Calibration, column: float = 320.0) -> Placement:
    return measure_placement(bone(), needle(column), calibration, PROFILE)


@pytest.mark.parametrize("other", [0.1, 0.2, 0.4, 0.8])
def test_lengths_hold_the_truth_whichever_of_two_contradictory_scales_is_true(other: float) -> None:
    """An 8G needle declared as 15G, a tag in inches: whoever errs, the interval may not."""
    rungs = (rung(0.2, SpacingSource.INSTRUMENT), rung(other, SpacingSource.MAGNIFICATION))
    placement = measured(Calibration(spacing=rungs[0], rungs=rungs))
    depth_px = CENTRE[1] + RADIUS - 320.0
    for length in (placement.tip_to_cortex, placement.insertion_depth):
        assert length is not None
        for each in rungs:
            assert length.lower <= depth_px * each.mm_per_px <= length.upper
        assert length.value == pytest.approx(depth_px * 0.2, abs=0.05)


def test_a_contradictory_scale_that_would_change_the_answer_gives_none() -> None:
    rungs = (rung(0.2, SpacingSource.INSTRUMENT), rung(0.45, SpacingSource.MAGNIFICATION))
    calibration = Calibration(spacing=rungs[0], rungs=rungs, conflicts=("they disagree",))
    verdict = judge_frame(needle(320.0), bone(), measured(calibration), View(), PROFILE)
    assert verdict.code is Code.NOT_ASSESSABLE
    assert verdict.reasons[0].code == "too_uncertain"
    assert Flag.SCALE_CONFLICT in verdict.flags


def test_a_larger_scale_at_the_detector_is_no_rival_unless_no_magnification_gives_it() -> None:
    used = rung(0.2, SpacingSource.INSTRUMENT)
    for mm, rival in ((0.28, False), (0.59, False), (0.7, True), (0.1, True)):
        detector = rung(mm, SpacingSource.DETECTOR_PLANE)
        assert Calibration(spacing=used, rungs=(used, detector)).rivals == ((detector,) if rival else ())
    assert Calibration().rivals == ()
    by_hand = rung(0.2, SpacingSource.OPERATOR)
    assert Calibration(spacing=by_hand, rungs=(by_hand, rung(0.45, SpacingSource.MAGNIFICATION))).rivals == ()


def test_agreeing_rungs_leave_the_interval_alone() -> None:
    used, near = rung(0.2, SpacingSource.INSTRUMENT), rung(0.205, SpacingSource.MAGNIFICATION)
    alone, beside = (measured(Calibration(spacing=used, rungs=rungs)).tip_to_cortex for rungs in ((used,), (used, near)))
    assert alone == beside


class FlatBeams:
    """As much of `BeamSpace` as measuring asks for: every column is a beam, a row a millimetre."""

    class sector:
        row_aspect = 1.0

    mm_per_sample = step = 1.0

    @staticmethod
    def from_frame(points: np.ndarray) -> np.ndarray:
        return points[:, ::-1]


def scanned(start: float, calibration: Calibration | None = None) -> Placement:
    """A flat surface in row 60 from column `start` on, and a tip above column 40."""
    surface = np.column_stack([np.full(100, 60.0), np.linspace(start, 140.0, 100)])
    cortex = Cortex(bone=np.zeros((200, 200), bool), lines=(surface,), edge_sd_px=0.3, confidence=0.95)
    tip = Needle(tip=(30.0, 40.0), axis=(-0.6, -0.8), **SURE)
    return measure_scan(tip, cortex, FlatBeams(), calibration or calibrated(0.5), meets_bone=False)  # type: ignore[arg-type]


def calibrated(*mm: float) -> Calibration:
    sources = (SpacingSource.REGION, SpacingSource.INSTRUMENT)
    rungs = tuple(rung(each, source) for each, source in zip(mm, sources, strict=False))
    return Calibration(spacing=rungs[0], rungs=rungs)


def test_bone_that_is_not_seen_may_be_nearer_and_the_words_say_so() -> None:
    whole, cut = scanned(0.0).tip_to_cortex, scanned(50.0).tip_to_cortex
    assert whole is not None
    assert cut is not None
    assert whole.bound is Bound.ESTIMATE
    assert cut.bound is Bound.UPPER
    assert in_words("tip_to_cortex", cut, sound=True)[0].startswith("at most")
    tip, cortex = Needle(tip=(30.0, 40.0), axis=(0.6, 0.8), **SURE), replace(bone(), lines=())
    verdict = judge_scan(tip, cortex, scanned(50.0), PROFILE, meets_bone=False)
    assert verdict.code is Code.ABOVE_CORTEX
    assert "at most" in verdict.text


def test_a_ruler_that_contradicts_the_region_widens_the_gap() -> None:
    gap = scanned(0.0, calibrated(0.5, 0.75)).tip_to_cortex
    assert gap is not None
    for mm in (0.5, 0.75):
        assert gap.lower <= -30.0 * mm <= gap.upper


def test_the_report_object_promises_no_thick_bone_and_no_sign() -> None:
    """A tip 4 mm outside is a lower bound of the gap: the signed value is not "at least" -4."""
    assert "thick" not in codes.MEASUREMENTS["entry_to_peak"].meaning
    assert all("sign apart" in codes.BOUNDS[name].meaning for name in ("lower_bound", "upper_bound"))


def test_an_outline_stays_in_the_picture() -> None:
    size = 256
    rows, columns = np.indices((64, 64)) * 4.0
    hip = 1 / (1 + np.exp((np.hypot(rows - 128, columns - 236) - 110) / 4))
    nothing = np.zeros_like(hip, dtype=np.float32)
    prior = BonePrior(
        hip=hip.astype(np.float32), other_bone=nothing, shaft=nothing, tip=nothing, thickness=None, agreement=0.95,
        frame_shape=(size, size), model_sha256="0",
    )  # fmt: skip
    # the picture is brightest right at its border and draws the outline outward
    ramp = np.tile(np.linspace(0, 1, size, dtype=np.float32) ** 8, (size, 1))
    exposure = Exposure(attenuation=ramp, field=np.ones((size, size), bool), inverted=False, polarity_confidence=1.0)
    points = np.concatenate(segment_bone(exposure, None, prior).lines)
    assert points.min() >= -0.5
    assert points.max() <= size - 0.5
    assert len(nearest_points(points[:1], segments_of((points,), np.ones(2)))[0])


def field_frame(mm_per_px: float) -> Frame:
    rng = np.random.default_rng(5)
    spacing = rung(mm_per_px, SpacingSource.MAGNIFICATION)
    return Frame(
        pixels=rng.normal(0.5, 0.05, (512, 512)).clip(0, 1).astype(np.float32), valid=np.ones((512, 512), bool),
        reference=FrameReference(path="x.dcm", rows=512, columns=512, modality="XA"),
        header_spacing=Calibration(spacing=spacing, rungs=(spacing,)),
    )  # fmt: skip


@pytest.mark.parametrize(("mm_per_px", "told"), [(0.4, False), (0.8, False), (0.99, True)])
def test_a_scale_that_needs_a_detector_nobody_builds_is_told(mm_per_px: float, told: bool) -> None:
    """An 8G needle declared for a 15G one makes a 9-inch field half a metre wide."""
    cortex = replace(bone(), bone=np.ones((512, 512), bool))
    done = assess_frame(field_frame(mm_per_px), profile=PROFILE, needle=needle(250.0), cortex=cortex)
    assert bool(done.calibration.conflicts) is told
    assert (Flag.SCALE_CONFLICT in done.verdict.flags) is told


@pytest.mark.parametrize(
    ("rungs", "conflicts", "flag"),
    [
        ((), (), Flag.SCALE_UNKNOWN),
        ((rung(0.3, SpacingSource.DETECTOR_PLANE),), (), Flag.SCALE_AT_DETECTOR_PLANE),
        ((rung(0.3, SpacingSource.MAGNIFICATION),), ("a tag was refused",), Flag.SCALE_CONFLICT),
    ],
)
def test_a_run_says_what_its_millimetres_are_worth(
    rungs: tuple[PixelSpacing, ...], conflicts: tuple[str, ...], flag: Flag
) -> None:
    scale = Calibration(spacing=rungs[0] if rungs else None, rungs=rungs, conflicts=conflicts)
    frame = replace(make_frame(circle_field(bone_like())), header_spacing=scale)
    assert flag in assess_run(source_of([frame]), profile=PROFILE).verdict.flags


def test_an_overlay_that_came_back_from_an_archive_is_no_picture(tmp_path: Path) -> None:
    """It shows the lines that were drawn on it, under the same study: a second witness that is none."""
    pixels = np.random.default_rng(6).integers(0, 255, (64, 64, 3), np.uint8)
    tags = {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT"}
    own = make_dicom(tmp_path / "own.dcm", pixels, Manufacturer="marrowpoint", **tags)
    other = make_dicom(tmp_path / "other.dcm", pixels, Manufacturer="Grabber", **tags)
    with pytest.raises(UnsupportedImage) as refused:
        list(read_frames(next(iter(find_images([own]))), scale=PROFILE.scale))
    assert refused.value.code == "own_overlay"
    assert len(list(read_frames(next(iter(find_images([other]))), scale=PROFILE.scale))) == 1


@pytest.mark.parametrize(("thin_margin_mm", "near"), [(6.35, False), (12.0, True)])
def test_a_stricter_profile_warns_of_thin_bone_without_pixels(thin_margin_mm: float, near: bool) -> None:
    """The bone at the tip is not judged, thin bone 9 mm away: a quarter of an inch is far from it, half an inch is not."""

    def length(lower: float, value: float, upper: float) -> Measurement:
        return Measurement(value=value, lower=lower, upper=upper, unit=Unit.MM, bound=Bound.ESTIMATE, method="drawn")

    measured = Placement(
        calibration=calibrated(0.2), tip_to_cortex=length(7, 8, 9), bone_thickness=length(4, 12, 20),
        thin_bone_margin=length(8, 9, 10),
    )  # fmt: skip
    before = replace(seen_in_a_study(clearance_mm=8.0), cortex=bone())
    strict = replace(PROFILE, verdict=replace(PROFILE.verdict, thin_margin_mm=thin_margin_mm))
    stored = StoredFrame(assessment=before, measured=measured)
    again = judge_again(stored, strict, measured_thin_mm=PROFILE.verdict.thin_below_mm)
    assert (Flag.NEAR_THIN_BONE in again.verdict.flags) is near


def test_a_person_who_moves_the_tip_does_not_silence_an_impossible_scale() -> None:
    cortex = replace(bone(), bone=np.ones((512, 512), bool))
    base = assess_frame(field_frame(0.99), profile=PROFILE, needle=needle(250.0), cortex=cortex)
    again = reassess(base, Corrections(tip=(200.0, 260.0)), PROFILE)
    assert Flag.SCALE_CONFLICT in base.verdict.flags
    assert Flag.SCALE_CONFLICT in again.verdict.flags
