"""Measured and judged anew with what a person set: no network, no search, milliseconds.

What the person did not touch stays as the program found it. What they set carries their name and a person's own doubt, and goes
through the same measuring and the same rules as everything else: a hand is believed, never exempted.
"""

from __future__ import annotations

from dataclasses import replace

from marrowpoint.assess import fitting_the_field
from marrowpoint.assessment import Assessment
from marrowpoint.calibrate import reconcile, spacing_from_needle
from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Calibration, Frame, ViewOrigin
from marrowpoint.judge import judge_frame, not_assessable, trusted_lengths
from marrowpoint.measure import measure_placement
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile, ReviewLimits
from marrowpoint.read import read_profile
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.hand import hand_needle, operator_rung
from marrowpoint.review.outline import hand_cortex
from marrowpoint.review.scan import remeasure_scan

ULTRASOUND = frozenset({"US", "IVUS"})


def reassess(base: Assessment, corrections: Corrections, profile: Profile, *, quick: bool = False) -> Assessment:
    """Measure and judge a frame with a person's corrections.

    Parameters
    ----------
    base : Assessment
        The program's own, never an already corrected one.
    corrections : Corrections
        Without any, and with the profile of `base`, `base` itself comes back.
    profile : Profile
        Thresholds.
    quick : bool
        For every move of a mouse: fewer draws, so that the ends of the intervals differ a little from the full ones, and the
        needle's width as it was found.

    Returns
    -------
    Assessment
        Parts that a person set are ``located_by`` ``"reader NAME"``, a view's origin is the operator, a scale from two points
        is the rung ``operator``. ``not_assessable`` where what was set does not suffice, with what to do.
    """
    if corrections.empty and base.provenance.profile_sha256 == profile.sha256:
        return base
    start = replace(
        base,
        frame=corrected_frame(base.frame, corrections),
        outer_diameter_mm=corrections.outer_diameter_mm or base.outer_diameter_mm,
        provenance=replace(base.provenance, profile=profile.label, profile_sha256=profile.sha256),
        placement=None,
        tip_code=base.tip_code if corrections.empty else (),  # it belongs to the place, the scale and the side it was read with
    )
    measured = _scan if base.frame.reference.modality in ULTRASOUND else _projection
    return measured(start, base, corrections, profile, quick)


def review_limits(profile: Profile) -> ReviewLimits:
    """How well a person's marks are believed; a profile from before there was a review takes the packaged values."""
    found = profile.review or read_profile(None).review
    assert found is not None
    return found


def corrected_frame(frame: Frame, corrections: Corrections) -> Frame:
    """The frame with the view and side that a person stated."""
    if corrections.view is not None:
        frame = replace(frame, view=replace(frame.view, kind=corrections.view, origin=ViewOrigin.OPERATOR))
    if corrections.side is not None:
        frame = replace(frame, side=corrections.side)
    return frame


def _projection(start: Assessment, base: Assessment, corrections: Corrections, profile: Profile, quick: bool) -> Assessment:
    limits, done = review_limits(profile), start
    try:
        known = _header(start.frame, corrections, profile, limits)
        done = replace(done, calibration=known)
        needle = hand_needle(base, corrections, known, limits, quick=quick)
        if needle is None:
            return _without_needle(done, base, corrections, limits)
        rung = None
        if start.outer_diameter_mm is not None:
            rung = spacing_from_needle(needle, start.outer_diameter_mm, profile.scale)
        calibration = fitting_the_field(reconcile(known, rung), base.exposure)
        done = replace(done, needle=needle, candidates=(), calibration=calibration)
        cortex = hand_cortex(base, corrections, needle, done.calibration, limits)
        if cortex is None:
            raise NotAssessable("no_bone", "No outline of the hip bone was found: draw it by hand.")
        cortex = _without_doubtful_map(cortex, base.cortex, profile)
        done = replace(done, cortex=cortex)
        return _judged(done, needle, cortex, profile, quick)
    except NotAssessable as error:
        return replace(done, verdict=not_assessable(error))


def _without_doubtful_map(cortex: Cortex, found: Cortex | None, profile: Profile) -> Cortex:
    """A person vouches for an outline, not for the thickness that the model saw in a bone which it did not recognise."""
    if found is None or cortex.thickness is None or found.confidence >= profile.verdict.min_bone_confidence:
        return cortex
    return replace(cortex, thickness=None)


def _judged(done: Assessment, needle: Needle, cortex: Cortex, profile: Profile, quick: bool) -> Assessment:
    placement = measure_placement(cortex, needle, done.calibration, profile, quick=quick)
    verdict = judge_frame(needle, cortex, placement, done.frame.view, profile)
    return replace(done, placement=trusted_lengths(placement, cortex, profile.verdict), verdict=verdict)


def _header(frame: Frame, corrections: Corrections, profile: Profile, limits: ReviewLimits) -> Calibration:
    if corrections.scale is None:
        return frame.header_spacing
    return reconcile(frame.header_spacing, operator_rung(corrections.scale, frame.header_spacing, profile, limits))


def _without_needle(done: Assessment, base: Assessment, corrections: Corrections, limits: ReviewLimits) -> Assessment:
    """Still no needle: the program's own words stand, with the outline as the person left it."""
    cortex = hand_cortex(base, corrections, None, done.calibration, limits)
    return replace(done, cortex=cortex, verdict=base.verdict)


def _scan(start: Assessment, base: Assessment, corrections: Corrections, profile: Profile, quick: bool) -> Assessment:
    return remeasure_scan(start, base, corrections, profile, review_limits(profile))
