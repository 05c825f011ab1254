"""Assessments of one needle seen by a C-arm, built without pixels."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.frame import (
    BeamGeometry,
    Calibration,
    Frame,
    FrameReference,
    PixelSpacing,
    SpacingSource,
    View,
    ViewKind,
    ViewOrigin,
)
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.profile import parse_profile
from marrowpoint.study.geometry import ZeroView, picture_axes
from marrowpoint.verdict import Code, Reason, Verdict

PROFILE = parse_profile((Path(__file__).parents[1] / "src/marrowpoint/profiles/default.toml").read_bytes())
SOD_MM, SID_MM, PITCH_MM, ROWS = 700.0, 1000.0, 0.3, 801
# well out of the plane in which a C-arm swings, where its direction is well determined
NEEDLE = np.array([0.2, 0.8, 0.55]) / np.linalg.norm([0.2, 0.8, 0.55])
PROVENANCE = Provenance(marrowpoint="0", profile="default@1", profile_sha256="0")


def mm(value, u=1.0, bound=Bound.ESTIMATE):
    return Measurement(value=value, lower=value - u, upper=value + u, unit=Unit.MM, bound=bound, method="given")


def see(needle, tip_mm, primary, secondary, *, roll_deg=0.0, mirrored=False):
    """Tip (column, row), unit direction (column, row), mm per pixel and angle to the beam, by projecting two points."""
    axes = picture_axes(primary, secondary, ZeroView.BACK)
    turn = np.radians(roll_deg)
    rolled = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def land(point):
        right, down, beam = axes @ point
        flat = rolled @ np.array([-right if mirrored else right, down]) * SID_MM / (SOD_MM + beam) / PITCH_MM
        return flat + (ROWS - 1) / 2

    tip, further = land(np.asarray(tip_mm)), land(np.asarray(tip_mm) + 1e-3 * needle)
    scale = PITCH_MM * (SOD_MM + axes[2] @ tip_mm) / SID_MM
    angle = np.degrees(np.arccos(abs(axes[2] @ needle)))
    return tip, (further - tip) / np.linalg.norm(further - tip), scale, angle


def frame(
    primary=0.0, secondary=0.0, *, kind=ViewKind.UNKNOWN, needle=NEEDLE, tip_mm=(0.0, 0.0, 0.0), depth_mm=12.0,
    clearance_mm=8.0, thickness_mm=16.0, code=Code.PROJECTED_IN_THICK_BONE, path=None, study="1.2.3", side="", sha=None,
    acquired=None, roll_deg=0.0, mirrored=False, tags_off=(0.0, 0.0), angles=True, flags=(), diameter_mm=3.05,
    tagged_mm=(0.0, 0.0, 0.0), refusal=None, clearance_u_mm=1.5,
):  # fmt: skip
    """One assessed frame; `depth_mm` is the true length past the cortex, drawn foreshortened."""
    place = np.subtract(tip_mm, tagged_mm)
    tip, axis, scale, angle = see(needle, place, primary, secondary, roll_deg=roll_deg, mirrored=mirrored)
    path = path or f"view_{primary:.0f}_{secondary:.0f}.dcm"
    spacing = PixelSpacing(row_mm=scale, column_mm=scale, source=SpacingSource.INSTRUMENT, relative_u=0.03)
    calibration = Calibration(spacing=spacing, rungs=(spacing,))
    projected = None if depth_mm is None else mm(depth_mm * np.sin(np.radians(angle)), 1.0, Bound.LOWER)
    inside = clearance_mm > 0
    placement = Placement(
        calibration=calibration, tip_to_cortex=mm(clearance_mm, clearance_u_mm, Bound.UPPER if inside else Bound.LOWER),
        insertion_depth=projected if inside else None,
        bone_thickness=mm(thickness_mm, 4.0) if inside and thickness_mm else None,
    )  # fmt: skip
    view = View(kind=kind, origin=ViewOrigin.DICOM, primary_deg=primary + tags_off[0], secondary_deg=secondary + tags_off[1])
    return Assessment(
        frame=Frame(
            pixels=np.zeros((0, 0), np.float32), valid=np.zeros((0, 0), np.bool_),
            reference=FrameReference(
                path=path, rows=ROWS, columns=ROWS, study_instance_uid=study, pixel_sha256=path + study if sha is None else sha,
                acquired=None if acquired is None else datetime.fromisoformat(acquired),
            ),
            view=view if angles else View(kind=kind), side=side,
            geometry=BeamGeometry(sid_mm=SID_MM, sod_mm=SOD_MM, imager_spacing_mm=(PITCH_MM, PITCH_MM), patient_position="HFP"),
        ),
        needle=Needle(
            tip=(tip[1], tip[0]), axis=(axis[1], axis[0]), width_px=diameter_mm / scale, width_sd_px=0.2, tip_sd_along_px=1.5,
            tip_sd_across_px=0.7, length_px=60 * np.sin(np.radians(angle)) / scale, confidence=0.95,
        ),
        outer_diameter_mm=diameter_mm, calibration=calibration, placement=placement,
        verdict=Verdict(
            code=code, text=str(code), flags=flags, reasons=(Reason(code=refusal, text=refusal),) if refusal else ()
        ), provenance=PROVENANCE,
    )  # fmt: skip
