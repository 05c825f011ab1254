"""An ultrasound frame with what a person set: the sector is found once a frame, nothing is searched anew."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.calibrate import reconcile
from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.frame import Calibration, Frame, Points
from marrowpoint.judge import not_assessable
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile, ReviewLimits
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.hand import hand_needle, hand_sd_px, operator_rung, reader
from marrowpoint.ultrasound.assess import GUESSED_DEPTH_MM
from marrowpoint.ultrasound.beams import BeamSpace, to_beams
from marrowpoint.ultrasound.field import find_sector, tissue_region
from marrowpoint.ultrasound.judge import judge_scan
from marrowpoint.ultrasound.measure import measure_scan
from marrowpoint.ultrasound.scale import scale_of_region
from marrowpoint.verdict import Code, Verdict


def remeasure_scan(
    start: Assessment, base: Assessment, corrections: Corrections, profile: Profile, limits: ReviewLimits
) -> Assessment:
    """Measure and judge an ultrasound frame with a person's corrections.

    Parameters
    ----------
    start : Assessment
        `base` with the person's view, side and needle size.
    base : Assessment
        The program's own.
    corrections : Corrections
    profile : Profile
    limits : ReviewLimits

    Returns
    -------
    Assessment
    """
    done = start
    try:
        beams = _beams_of(_Pixels(base.frame), profile)
        calibration = base.calibration
        if corrections.scale is not None:
            calibration = reconcile(calibration, operator_rung(corrections.scale, calibration, profile, limits))
        done = replace(done, calibration=calibration)
        needle = hand_needle(base, corrections, calibration, limits)
        cortex = hand_surface(base, corrections, needle, calibration, beams, limits)
        done = replace(done, needle=needle, candidates=() if needle else base.candidates, cortex=cortex)
        if needle is None or cortex is None:
            return replace(done, verdict=_still_missing(base, needle, cortex))
        return _judged(done, base, corrections, needle, cortex, beams, profile)
    except NotAssessable as error:
        return replace(done, verdict=not_assessable(error))


def hand_surface(
    base: Assessment,
    corrections: Corrections,
    needle: Needle | None,
    calibration: Calibration,
    beams: BeamSpace,
    limits: ReviewLimits,
) -> Cortex | None:
    """The bone surface with what a person set of it; what lies deeper along its beams is its bone side."""
    found, drawn = base.cortex, corrections.outline
    by = reader(corrections.set_by("outline", "outline_confirmed"))
    sd = hand_sd_px(limits, calibration, base.frame.pixels.shape, None)
    if drawn is None:
        if found is None or not corrections.outline_confirmed:
            return found
        confidence = max(limits.hand_confidence, found.confidence)
        return replace(found, edge_sd_px=max(sd, found.edge_sd_px), confidence=confidence, located_by=by)
    depth = np.full(len(beams.echo), np.inf)
    for line in drawn:
        _lay(depth, beams.from_frame(line))
    bone = beams.sector.picture & ~beams.above(depth, by=0.0)
    if not bone.any():
        raise NotAssessable("open_outline", "The drawn surface lies outside the scanned sector: draw it again.")
    return Cortex(bone=bone, lines=drawn, edge_sd_px=sd, confidence=limits.hand_confidence, located_by=by)


def _lay(depth: Points, line: Points) -> None:
    """Lower `depth` to a line of (beam, sample) points on the beams that it crosses."""
    for start, end in itertools.pairwise(line):
        low, high = (start, end) if start[0] <= end[0] else (end, start)
        beam = np.arange(max(int(np.ceil(low[0])), 0), min(int(np.floor(high[0])), len(depth) - 1) + 1)
        share = (beam - low[0]) / max(float(high[0] - low[0]), 1e-9)
        depth[beam] = np.minimum(depth[beam], low[1] + share * (high[1] - low[1]))


def _judged(
    done: Assessment,
    base: Assessment,
    corrections: Corrections,
    needle: Needle,
    cortex: Cortex,
    beams: BeamSpace,
    profile: Profile,
) -> Assessment:
    by_hand = any(value is not None for value in (corrections.tip, corrections.far_end, corrections.outline))
    # what was seen of the found shaft's end still holds where neither it nor the surface was moved
    meets_bone = cortex.contains(needle.tip) if by_hand else base.verdict.code is Code.AT_OR_BEYOND_CORTEX
    shadow_ahead = corrections.tip is None and any(reason.code == "shadow_ahead" for reason in base.verdict.reasons)
    placement = measure_scan(needle, cortex, beams, done.calibration, meets_bone=meets_bone)
    verdict = judge_scan(needle, cortex, placement, profile, meets_bone=meets_bone, shadow_ahead=shadow_ahead)
    return replace(done, placement=placement, verdict=verdict)


def _still_missing(base: Assessment, needle: Needle | None, cortex: Cortex | None) -> Verdict:
    """The program's own words where they still fit; else what the person has to add."""
    nothing_new = (base.needle is None) == (needle is None) and (base.cortex is None) == (cortex is None)
    if nothing_new or (needle is None and cortex is None):
        return base.verdict
    if needle is None:
        return not_assessable(NotAssessable("no_needle", "No needle was found: mark its tip and the other end of its shaft."))
    return not_assessable(NotAssessable("no_bone", "No bone surface was found: draw it by hand."))


class _Pixels:
    """A frame that compares by its pixels, so that its beams are laid out once."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.key = (frame.reference.pixel_sha256 or id(frame.pixels), frame.pixels.shape, frame.regions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pixels) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=2)
def _beams_of(pixels: _Pixels, profile: Profile) -> BeamSpace:
    frame = pixels.frame
    region = scale_of_region(tissue_region(frame.regions), profile.scale).spacing
    sector = find_sector(frame, row_aspect=1.0 if region is None else region.row_mm / region.column_mm)
    if sector.upward:
        raise NotAssessable("upside_down", "the picture stands on its head: save it with the skin at the top")
    column_mm = GUESSED_DEPTH_MM[sector.kind] / (sector.depth_to - sector.depth_from) if region is None else region.column_mm
    return to_beams(frame.pixels, sector, mm_per_column=column_mm)
