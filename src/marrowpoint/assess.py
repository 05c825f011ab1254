"""One frame from pixels to verdict: the straight road, and the one place that knows both modalities."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.calibrate import reconcile, spacing_from_needle
from marrowpoint.cortex import BonePrior, Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.fluoroscopy.prior import BoneNetwork, infer_prior
from marrowpoint.fluoroscopy.segment import segment_bone
from marrowpoint.fluoroscopy.surroundings import tip_code
from marrowpoint.frame import Calibration, Frame
from marrowpoint.judge import doubtful_needle, judge_frame, not_assessable, trusted_lengths
from marrowpoint.measure import measure_placement
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile
from marrowpoint.ultrasound.assess import assess_scan

ULTRASOUND = frozenset({"US", "IVUS"})
WIDEST_FIELD_MM = 430.0  # side of the largest detectors; of the patient, nearer to the tube, less is seen


def assess_frame(
    frame: Frame,
    *,
    profile: Profile,
    network: BoneNetwork | None = None,
    outer_diameter_mm: float | None = None,
    needle: Needle | None = None,
    cortex: Cortex | None = None,
) -> Assessment:
    """Measure and judge one frame.

    Parameters
    ----------
    frame : Frame
        As it was read.
    profile : Profile
        Thresholds.
    network : BoneNetwork or None
        The learned prior; without it no bone is outlined in a fluoroscopic frame.
    outer_diameter_mm : float or None
        Declared outer diameter of the needle [mm]: the instrument rung of the scale.
    needle, cortex : Needle and Cortex, or None
        Parts that a person gave; taken as they are, the rest is found anew.

    Returns
    -------
    Assessment
        With the verdict ``not_assessable`` where a step refused; the parts found before it are kept.

    Raises
    ------
    ValueError
        On an argument that makes no sense; never because of what a picture shows.
    """
    start = Assessment(
        frame=frame,
        needle=needle,
        outer_diameter_mm=outer_diameter_mm,
        cortex=cortex,
        calibration=frame.header_spacing,
        verdict=not_assessable(NotAssessable("not_begun", "This frame has not been searched.")),
        provenance=Provenance(
            marrowpoint=marrowpoint_version(),
            profile=profile.label,
            profile_sha256=profile.sha256,
            model_sha256=None if network is None else network.sha256,
        ),
    )
    if frame.reference.modality in ULTRASOUND:
        return _assess_ultrasound(start, profile)
    return _assess_fluoroscopy(start, profile, network)


def without_pixels(assessment: Assessment) -> Assessment:
    """The same assessment without its pictures: a few kilobytes, enough to judge a study.

    Parameters
    ----------
    assessment : Assessment

    Returns
    -------
    Assessment
        Frame of shape (0, 0), no exposure; a cortex keeps its confidence and provenance, without mask, outline and map.
    """
    empty = np.zeros((0, 0), np.float32)
    cortex = assessment.cortex
    if cortex is not None:
        cortex = replace(cortex, bone=np.zeros((0, 0), np.bool_), lines=(), thickness=None)
    frame = replace(assessment.frame, pixels=empty, valid=np.zeros((0, 0), np.bool_))
    return replace(assessment, frame=frame, exposure=None, cortex=cortex)


def fitting_the_field(calibration: Calibration, exposure: Exposure | None) -> Calibration:
    """Name a scale by which the field would be larger than any detector: a needle declared too thick, or a wrong tag.

    Parameters
    ----------
    calibration : Calibration
    exposure : Exposure or None

    Returns
    -------
    Calibration
        With one conflict more where the scale cannot be.
    """
    spacing = calibration.spacing
    if spacing is None or exposure is None:
        return calibration
    sides = ((spacing.row_mm, exposure.field.any(axis=1)), (spacing.column_mm, exposure.field.any(axis=0)))
    side_mm = max((mm * float(np.ptp(np.flatnonzero(seen))) for mm, seen in sides if seen.any()), default=0.0)
    if side_mm * (1 - spacing.relative_u) <= WIDEST_FIELD_MM:
        return calibration
    text = f"{spacing.source} {spacing.mm_per_px:.4f} mm/px would make the field {side_mm:.0f} mm wide, more than any detector"
    return replace(calibration, conflicts=(*calibration.conflicts, f"{text}: check the declared needle and the header"))


@cache
def marrowpoint_version() -> str:
    """Version of the installed package; ``0+source`` where it runs uninstalled from its source."""
    try:
        return version("marrowpoint")
    except PackageNotFoundError:
        return "0+source"


def _assess_fluoroscopy(start: Assessment, profile: Profile, network: BoneNetwork | None) -> Assessment:
    # each step that succeeds is kept, whatever refuses after it
    done = start
    frame, diameter_mm = start.frame, start.outer_diameter_mm
    prior: BonePrior | None = None
    try:
        exposure = find_exposure(frame)
        done = replace(done, exposure=exposure)
        prior = None if network is None else infer_prior(network, exposure)
        needle = start.needle or locate_needle(exposure, prior=prior, expected_width_px=_expected_width_px(start))
        if start.needle is None and needle.confidence < profile.verdict.min_needle_confidence:
            candidates = (replace(needle, alternatives=()), *needle.alternatives)
            return _bone_alone(replace(done, candidates=candidates, verdict=doubtful_needle(needle)), prior)
        done = replace(done, needle=needle)
        rung = None if diameter_mm is None else spacing_from_needle(needle, diameter_mm, profile.scale)
        done = replace(done, calibration=fitting_the_field(reconcile(frame.header_spacing, rung), exposure))
        if prior is not None and done.calibration.spacing is not None:
            done = replace(done, tip_code=tip_code(prior, needle, done.calibration.spacing))
        cortex = start.cortex or segment_bone(exposure, needle, prior)
        done = replace(done, cortex=cortex)
        placement = measure_placement(cortex, needle, done.calibration, profile)
        verdict = judge_frame(needle, cortex, placement, frame.view, profile)
    except NotAssessable as error:
        refused = replace(done, verdict=not_assessable(error))
        return refused if done.needle is not None else _bone_alone(refused, prior)
    return replace(done, placement=trusted_lengths(placement, cortex, profile.verdict), verdict=verdict)


def _bone_alone(done: Assessment, prior: BonePrior | None) -> Assessment:
    """A frame without a needle keeps its outline: a person may mark the needle by hand."""
    if done.cortex is not None or done.exposure is None or prior is None:
        return done
    try:
        return replace(done, cortex=segment_bone(done.exposure, None, prior))
    except NotAssessable:
        return done


def _assess_ultrasound(start: Assessment, profile: Profile) -> Assessment:
    start = replace(start, provenance=replace(start.provenance, model_sha256=None))
    return assess_scan(start, profile=profile)


def _expected_width_px(start: Assessment) -> float | None:
    spacing = start.calibration.spacing
    if spacing is None or start.outer_diameter_mm is None:
        return None
    return start.outer_diameter_mm / spacing.mm_per_px
