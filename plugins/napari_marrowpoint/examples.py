"""A drawn hip bone with a drawn needle: each verdict once, by the rules that judge real frames. No patient, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from marrowpoint.assess import marrowpoint_version
from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.cortex import Cortex, ThicknessMap
from marrowpoint.exposure import Exposure
from marrowpoint.frame import Calibration, Frame, FrameReference, PixelSpacing, SpacingSource, View, ViewKind, ViewOrigin
from marrowpoint.judge import judge_frame
from marrowpoint.measure import measure_placement
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile
from marrowpoint.verdict import Code

SIDE_PX, GRID = 512, 64
MM_PER_PX = 0.25
NEEDLE_PX, LENGTH_PX = 12.2, 150.0  # 3.05 mm
DRAWN = "drawn example"
PSIS = (205.0, 205.0)  # where the drawn bone is thick
THIN_MM, THICK_MM, SPREAD_PX = 3.0, 16.0, 85.0
AXIS = (-0.62, -0.78)  # from the tip toward the hub: up and to the left
CODES = (
    Code.PROJECTED_IN_THICK_BONE, Code.PROJECTED_IN_MARGINAL_BONE, Code.PROJECTED_IN_THIN_BONE, Code.PROJECTED_INSIDE,
    Code.AT_CORTEX, Code.OUTSIDE_BONE, Code.BREACH_SUSPECTED, Code.INDETERMINATE, Code.NOT_ASSESSABLE,
)  # fmt: skip


def examples(profile: Profile) -> dict[Code, Assessment]:
    """Each verdict of a fluoroscopic frame once.

    Parameters
    ----------
    profile : Profile
        Thresholds; under others the same needle may get another verdict, so its place is looked for.

    Returns
    -------
    dict of Code to Assessment
        Verdicts that no place of the needle gives are left out.
    """
    found: dict[Code, Assessment] = {}
    for tip, axis, with_map, confidence in _trials():
        if len(found) == len(CODES):
            break
        drawn = draw(tip, axis, profile, with_map=with_map, confidence=confidence, shown=False)
        code = drawn.verdict.code
        if code in CODES and code not in found:
            number = CODES.index(code) + 1
            found[code] = draw(tip, axis, profile, with_map=with_map, confidence=confidence, number=number)
    return {code: found[code] for code in CODES if code in found}


def draw(
    tip: tuple[float, float],
    axis: tuple[float, float],
    profile: Profile,
    *,
    with_map: bool = True,
    confidence: float = 0.97,
    shown: bool = True,
    number: int = 1,
) -> Assessment:
    """One drawn frame, measured and judged.

    Parameters
    ----------
    tip, axis : tuple of float
        (row, column) [px], and toward the hub.
    profile : Profile
    with_map : bool
        Whether the thickness of the bone is known.
    confidence : float
        Of the needle.
    shown : bool
        Whether the picture is drawn; the verdict needs none.
    number : int
        Of the example.

    Returns
    -------
    Assessment
    """
    needle = Needle(
        tip=tip, axis=axis, width_px=NEEDLE_PX, width_sd_px=0.2, tip_sd_along_px=1.2, tip_sd_across_px=0.5,
        length_px=LENGTH_PX, confidence=confidence, located_by=DRAWN,
    )  # fmt: skip
    cortex = _bone() if with_map else replace(_bone(), thickness=None)
    pixels = _picture(needle) if shown else np.full((SIDE_PX, SIDE_PX), 0.5, np.float32)
    spacing = PixelSpacing(
        row_mm=MM_PER_PX, column_mm=MM_PER_PX, source=SpacingSource.MAGNIFICATION, relative_u=0.04, note="drawn"
    )
    frame = Frame(
        pixels=pixels,
        valid=np.ones(pixels.shape, np.bool_),
        reference=FrameReference(
            path=f"examples/{number}", modality="XA", rows=SIDE_PX, columns=SIDE_PX, pixel_sha256=f"example-{number}"
        ),
        view=View(kind=ViewKind.ILIAC_OBLIQUE, origin=ViewOrigin.OPERATOR),
        header_spacing=Calibration(spacing=spacing, rungs=(spacing,)),
    )
    placement = measure_placement(cortex, needle, frame.header_spacing, profile)
    field = np.ones(pixels.shape, np.bool_)
    return Assessment(
        frame=frame,
        exposure=Exposure(attenuation=1 - pixels, field=field, inverted=True, polarity_confidence=1.0),
        needle=needle,
        outer_diameter_mm=None,
        cortex=cortex,
        calibration=frame.header_spacing,
        placement=placement,
        verdict=judge_frame(needle, cortex, placement, frame.view, profile),
        provenance=Provenance(
            marrowpoint=marrowpoint_version(), profile=profile.label, profile_sha256=profile.sha256, model_sha256=None
        ),
    )


def _trials() -> Iterator[tuple[tuple[float, float], tuple[float, float], bool, float]]:
    """Needles in the order in which they are tried: down the drawn bone from outside of it, then through it."""
    for reach in np.arange(-60.0, 260.0, 4.0):
        for aside in (0.0, 60.0, 120.0):
            at = np.asarray(PSIS) - reach * np.asarray(AXIS) + aside * np.array([0.5, -0.2])
            yield (float(at[0]), float(at[1])), AXIS, True, 0.97
    middle = (PSIS[0] + 60, PSIS[1] + 60)
    yield middle, AXIS, False, 0.97
    yield middle, AXIS, True, 0.2
    for column in np.arange(300.0, 500.0, 6.0):
        yield (330.0, float(column)), (-0.35, -0.94), True, 0.97


@lru_cache(maxsize=1)
def _bone() -> Cortex:
    turn = np.linspace(0, 2 * np.pi, 721)
    radius = 135 * (1 + 0.22 * np.cos(2 * turn - 1.5) + 0.09 * np.cos(3 * turn + 0.4))
    line = np.column_stack([290 + radius * np.sin(turn), 285 + radius * np.cos(turn)])
    line[-1] = line[0]
    bone = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    cv2.fillPoly(bone, [np.round(line[:, ::-1]).astype(np.int32)], 1)
    step = SIDE_PX / GRID
    rows, columns = np.indices((GRID, GRID)) * step + step / 2 - 0.5
    away = np.hypot(rows - PSIS[0] - 35, columns - PSIS[1] - 35) / SPREAD_PX
    coarse = cv2.resize(bone, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0
    median = np.where(coarse, THIN_MM + THICK_MM * np.exp(-(away**2)), 0.0).astype(np.float32)
    thickness = ThicknessMap(
        median_mm=median, lower_mm=0.9 * median, upper_mm=1.1 * median, frame_shape=(SIDE_PX, SIDE_PX), method=DRAWN
    )
    return Cortex(
        bone=bone > 0, lines=(line,), edge_sd_px=1.2, confidence=0.97, thickness=thickness, located_by=DRAWN
    )


def _picture(needle: Needle) -> np.ndarray:
    bone = _bone()
    assert bone.thickness is not None
    inside = bone.bone.astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    thick = cv2.resize(bone.thickness.median_mm, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.indices((SIDE_PX, SIDE_PX)) / SIDE_PX
    attenuation = 0.22 + 0.10 * columns + 0.05 * rows
    attenuation += inside * (0.07 + 0.012 * thick + 0.10 * np.exp(-depth / 5))
    shaft = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    axis = np.asarray(needle.axis)
    # a cone of one and a half widths, then the shaft
    reach = [*np.linspace(0.0, 1.5, 12), needle.length_px / needle.width_px]
    for start, end in pairwise(reach):
        ends = [np.asarray(needle.tip) + way * needle.width_px * axis for way in (start, end)]
        thickness = max(round(needle.width_px * min(end / 1.5, 1.0)), 1)
        first, last = ((round(at[1] * 16), round(at[0] * 16)) for at in ends)
        cv2.line(shaft, first, last, 1.0, thickness, cv2.LINE_AA, 4)
    attenuation = cv2.GaussianBlur(attenuation + 0.45 * shaft, (0, 0), 1.0)
    noise = np.random.default_rng(20260101).normal(0, 0.008, attenuation.shape)
    return np.asarray(np.clip(1 - attenuation - noise, 0, 1), np.float32)
