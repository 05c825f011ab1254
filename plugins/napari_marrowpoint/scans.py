"""Ultrasound of a phantom: each verdict of a scan once, found and judged as real frames are. No patient, no network."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from marrowpoint.assess import assess_frame
from marrowpoint.assessment import Assessment
from marrowpoint.frame import Frame, FrameReference, UltrasoundRegion
from marrowpoint.phantom.ultrasound import UltrasoundScene, scan_scene
from marrowpoint.profile import Profile
from marrowpoint.verdict import Code

CENTIMETRES, TISSUE, FLAT = 3, 1, 1  # DICOM PS3.3 C.8.5.5: unit, data type and spatial format of a region
SCENES = (
    UltrasoundScene(tip=(34.0, 6.0)),
    UltrasoundScene(tip=(42.2, 2.0), seed=2),
    UltrasoundScene(peak=None, fascia_mm=(12.0, 28.0, 40.0), tip=(30.0, 5.0), seed=3),
)


def scans(profile: Profile) -> dict[Code, Assessment]:
    """Each verdict of an ultrasound frame once.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    dict of Code to Assessment
        In the order in which a needle comes nearer, the frame that cannot be judged last.
    """
    found: dict[Code, Assessment] = {}
    for number, scene in enumerate(SCENES, start=1):
        assessment = assess_frame(_frame(scene, number), profile=profile)
        found.setdefault(assessment.verdict.code, assessment)
    return found


def _frame(scene: UltrasoundScene, number: int) -> Frame:
    picture = scan_scene(scene)
    rows, columns = picture.pixels.shape
    top, left, bottom, right = picture.region
    region = UltrasoundRegion(
        spatial_format=FLAT, data_type=TISSUE, top=top, left=left, bottom=bottom, right=right, row_unit=CENTIMETRES,
        column_unit=CENTIMETRES, row_delta=scene.mm_per_px[0] / 10, column_delta=scene.mm_per_px[1] / 10,
    )  # fmt: skip
    reference = FrameReference(
        path=f"examples/ultrasound {number}", modality="US", rows=rows, columns=columns,
        pixel_sha256=sha256(picture.pixels.tobytes()).hexdigest(),
    )  # fmt: skip
    return Frame(
        pixels=picture.pixels,
        valid=np.ones((rows, columns), np.bool_),
        reference=reference,
        regions=(region,),
        coloured=picture.coloured if picture.coloured.any() else None,
    )
