"""Frames from the ultrasound phantom."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from marrowpoint.assess import assess_frame
from marrowpoint.assessment import Assessment
from marrowpoint.frame import Frame, FrameReference, UltrasoundRegion
from marrowpoint.phantom.ultrasound import UltrasoundPicture, UltrasoundScene, scan_scene
from marrowpoint.profile import parse_profile

PROFILE = parse_profile((Path(__file__).parents[1] / "src/marrowpoint/profiles/default.toml").read_bytes())


def region_of(scene: UltrasoundScene, picture: UltrasoundPicture, **changes: object) -> UltrasoundRegion:
    top, left, bottom, right = picture.region
    fields = dict(
        spatial_format=1, data_type=1, top=top, left=left, bottom=bottom, right=right, row_unit=3, column_unit=3,
        row_delta=scene.mm_per_px[0] / 10, column_delta=scene.mm_per_px[1] / 10,
    )  # fmt: skip
    return UltrasoundRegion(**{**fields, **changes})


def frame_of(scene: UltrasoundScene, picture: UltrasoundPicture, *, region: bool = True) -> Frame:
    rows, columns = picture.pixels.shape
    return Frame(
        pixels=picture.pixels,
        valid=np.ones((rows, columns), dtype=bool),
        reference=FrameReference(path="phantom.dcm", modality="US", rows=rows, columns=columns),
        regions=(region_of(scene, picture),) if region else (),
        coloured=picture.coloured if picture.coloured.any() else None,
    )


@lru_cache(maxsize=64)
def scanned(scene: UltrasoundScene) -> UltrasoundPicture:
    return scan_scene(scene)


@lru_cache(maxsize=64)
def assessed(scene: UltrasoundScene, region: bool = True) -> Assessment:
    return assess_frame(frame_of(scene, scanned(scene), region=region), profile=PROFILE)


def tip_error_mm(scene: UltrasoundScene, assessment: Assessment) -> float:
    picture = scanned(scene)
    assert assessment.needle is not None
    assert picture.tip is not None
    return float(np.hypot(*((np.array(assessment.needle.tip) - picture.tip) * scene.mm_per_px)))


def bone_errors_mm(scene: UltrasoundScene, assessment: Assessment) -> tuple[float, float]:
    """Mean distance of the traced line to the truth [mm], and share of the truth within 1 mm of the line."""
    assert assessment.cortex is not None
    traced = np.vstack(assessment.cortex.lines) * scene.mm_per_px
    truth = scanned(scene).surface * scene.mm_per_px
    distance = np.hypot(*(traced[:, None] - truth[None]).transpose(2, 0, 1))
    return float(distance.min(axis=1).mean()), float((distance.min(axis=0) < 1).mean())
