"""Assessments with exactly known answers, for the tests of the review."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.calibrate import reconcile, spacing_from_needle
from marrowpoint.cortex import Cortex
from marrowpoint.exposure import Exposure
from marrowpoint.frame import Calibration, Frame, FrameReference, PixelSpacing, SpacingSource, View, ViewKind
from marrowpoint.judge import judge_frame, not_assessable
from marrowpoint.measure import measure_placement
from marrowpoint.needle import Needle
from marrowpoint.read import read_profile

PROFILE = read_profile()
SHAPE = (400, 500)
CENTRE, RADIUS, MM = (200.0, 250.0), 120.0, 0.2


def circle(centre=CENTRE, radius=RADIUS, count=240) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, count + 1)
    line = np.column_stack([centre[0] + radius * np.sin(turn), centre[1] + radius * np.cos(turn)])
    line[-1] = line[0]
    return line


def disc_mask(centre=CENTRE, radius=RADIUS, shape=SHAPE) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def spacing(mm=MM) -> Calibration:
    rung = PixelSpacing(row_mm=mm, column_mm=mm, source=SpacingSource.MAGNIFICATION, relative_u=0.03)
    return Calibration(spacing=rung, rungs=(rung,))


def reference(**more) -> FrameReference:
    given = {"path": "folder/a.dcm", "modality": "XA", "rows": SHAPE[0], "columns": SHAPE[1], "sop_instance_uid": "1.2.3",
             "study_instance_uid": "1.2", "pixel_sha256": "ab" * 32} | more  # fmt: skip
    return FrameReference(**given)


def frame(calibration=None, **more) -> Frame:
    return Frame(
        pixels=np.full(SHAPE, 0.5, np.float32), valid=np.ones(SHAPE, bool), reference=reference(**more),
        view=View(kind=ViewKind.TANGENTIAL), header_spacing=spacing() if calibration is None else calibration,
    )  # fmt: skip


def needle(tip=(200.0, 330.0), axis=(0.0, 1.0), **more) -> Needle:
    given = {"width_px": 15.0, "width_sd_px": 0.3, "tip_sd_along_px": 1.0, "tip_sd_across_px": 0.3, "length_px": 100.0,
             "confidence": 0.99} | more  # fmt: skip
    return Needle(tip=tip, axis=axis, **given)


def cortex(**more) -> Cortex:
    given = {"bone": disc_mask(), "lines": (circle(),), "edge_sd_px": 2.0, "confidence": 0.9, "located_by": "learned+refined",
             "model_sha256": "m" * 64} | more  # fmt: skip
    return Cortex(**given)


def provenance(**more) -> Provenance:
    given = {"marrowpoint": "0.1.0", "profile": PROFILE.label, "profile_sha256": PROFILE.sha256, "model_sha256": "m" * 64}
    return Provenance(**(given | more))


def assessment(found=None, outline=None, *, base=None, outer_diameter_mm=None, field=None) -> Assessment:
    """What the program says of a disc of bone and a needle from the right, as `assess_frame` would put it together."""
    found = needle() if found is None else found
    outline = cortex() if outline is None else outline
    base = frame() if base is None else base
    rung = None if outer_diameter_mm is None else spacing_from_needle(found, outer_diameter_mm, PROFILE.scale)
    calibration = reconcile(base.header_spacing, rung)
    placement = measure_placement(outline, found, calibration, PROFILE)
    return Assessment(
        frame=base, exposure=exposure(field), needle=found, cortex=outline, calibration=calibration, placement=placement,
        outer_diameter_mm=outer_diameter_mm, verdict=judge_frame(found, outline, placement, base.view, PROFILE),
        provenance=provenance(),
    )  # fmt: skip


def exposure(field=None) -> Exposure:
    everywhere = np.ones(SHAPE, bool) if field is None else field
    return Exposure(attenuation=np.full(SHAPE, 0.5, np.float32), field=everywhere, inverted=False, polarity_confidence=1.0)


def without_needle(error) -> Assessment:
    whole = assessment()
    return replace(whole, needle=None, placement=None, verdict=not_assessable(error))
