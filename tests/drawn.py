"""Assessments drawn by hand, with answers that can be computed in the head."""

from __future__ import annotations

from typing import Any

import numpy as np

from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.cortex import Cortex, ThicknessMap
from marrowpoint.frame import Calibration, Frame, FrameReference, PixelSpacing, SpacingSource, View, ViewKind
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.verdict import Code, Flag, Reason, Verdict

PROVENANCE = Provenance(marrowpoint="0.1.0", profile="default@1", profile_sha256="ab" * 32)
SPACING = PixelSpacing(row_mm=0.2, column_mm=0.2, source=SpacingSource.MAGNIFICATION, relative_u=0.06, note="drawn")
RIGHT = Verdict(
    code=Code.PROJECTED_IN_THICK_BONE,
    text="Right spot in this view; a second view is needed",
    flags=(Flag.SECOND_VIEW_NEEDED,),
    reasons=(Reason(code="drawn", text="Because it was drawn so."),),
)


def mm(value: float, half: float, bound: Bound = Bound.UPPER) -> Measurement:
    return Measurement(value=value, lower=value - half, upper=value + half, unit=Unit.MM, bound=bound, method="drawn")


def drawn_frame(shape: tuple[int, int] = (200, 300), *, grey: float | None = None, **reference: Any) -> Frame:
    pixels = np.full(shape, grey, np.float32) if grey is not None else np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32)
    told = {"path": "folder/view_1.dcm", "modality": "XA", "rows": shape[0], "columns": shape[1], "study_instance_uid": "1.2.3"}
    return Frame(
        pixels=pixels.reshape(shape),
        valid=np.ones(shape, np.bool_),
        reference=FrameReference(**{**told, **reference}),
        view=View(kind=ViewKind.TANGENTIAL, primary_deg=-48.2, secondary_deg=6.0),
    )


def drawn_needle(tip: tuple[float, float] = (90.0, 140.0), **more: Any) -> Needle:
    """A needle that comes in from the right, 12 px wide."""
    told: dict[str, Any] = {"axis": (0.0, 1.0), "width_px": 12.0, "width_sd_px": 0.3, "tip_sd_along_px": 1.5}
    return Needle(**{**told, "tip": tip, "tip_sd_across_px": 0.5, "length_px": 120.0, "confidence": 0.9, **more})


def drawn_cortex(shape: tuple[int, int] = (200, 300), *, thin: bool = False) -> Cortex:
    """A square bone, rows 40 to 160 and columns 60 to 240; its map is thin in the left half."""
    bone = np.zeros(shape, np.bool_)
    bone[40:161, 60:241] = True
    corners = [(40.0, 60.0), (40.0, 240.0), (160.0, 240.0), (160.0, 60.0), (40.0, 60.0)]
    thickness = None
    if thin:
        median = np.where(bone, np.where(np.arange(shape[1]) < 150, 3.0, 12.0), 0.0).astype(np.float32)
        thickness = ThicknessMap(median_mm=median, lower_mm=median, upper_mm=median, frame_shape=shape, method="drawn")
    line = np.array(corners)
    return Cortex(bone=bone, lines=(line,), edge_sd_px=1.0, confidence=0.9, thickness=thickness, model_sha256="0" * 64)


def drawn_assessment(**more: Any) -> Assessment:
    """Everything found: tip at row 90, column 140; nearest outline 50 px = 10 mm above it."""
    calibration = Calibration(spacing=SPACING, rungs=(SPACING,))
    placement = Placement(
        calibration=calibration,
        tip_to_cortex=mm(10.0, 1.0),
        insertion_depth=mm(20.0, 1.5, Bound.LOWER),
        bone_thickness=mm(12.0, 2.0, Bound.ESTIMATE),
        thin_bone_margin=mm(2.0, 0.5),
        nearest_cortex=(40.0, 140.0),
        entry=(90.0, 240.0),
        nearest_thin=(90.0, 130.0),
    )
    told: dict[str, Any] = {
        "frame": drawn_frame(),
        "needle": drawn_needle(),
        "outer_diameter_mm": 3.05,
        "cortex": drawn_cortex(),
        "calibration": calibration,
        "placement": placement,
        "verdict": RIGHT,
        "provenance": PROVENANCE,
    }
    return Assessment(**{**told, **more})


def bare_assessment(**more: Any) -> Assessment:
    """Nothing found."""
    reason = Reason(code="no_needle", text="No needle stands out.")
    verdict = Verdict(code=Code.NOT_ASSESSABLE, text="Cannot tell: no needle stands out.", reasons=(reason,))
    nothing = {"needle": None, "outer_diameter_mm": None, "cortex": None, "calibration": Calibration(), "placement": None}
    return drawn_assessment(**{**nothing, "verdict": verdict, **more})
