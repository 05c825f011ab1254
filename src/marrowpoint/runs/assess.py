"""A run from frames to verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from marrowpoint.assess import assess_frame, marrowpoint_version
from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.errors import MarrowpointError, NotAssessable
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.frame import FloatImage, Frame, Mask
from marrowpoint.judge import not_assessable, scale_flags
from marrowpoint.profile import Profile
from marrowpoint.runs.contrast import Known, follow_with_pictures, onset_or_refusal
from marrowpoint.runs.judge_needle import judge_needle
from marrowpoint.runs.judge_spread import judge_spread
from marrowpoint.runs.needle import BoneOf, as_told, describe_needle, follow_needle
from marrowpoint.runs.onset import LEAST_MASKS
from marrowpoint.runs.pictures import RunPictures
from marrowpoint.runs.run import ContrastResult, NeedleResult, RunAssessment, RunSource, StripPicture
from marrowpoint.runs.scan import Scan, scan_run, shrink
from marrowpoint.runs.subtract import average_mask
from marrowpoint.runs.track import Tracker
from marrowpoint.verdict import Code, Flag, Reason, Verdict

USUAL_MM_PER_PX = 0.3  # where there is no scale
STOOD = 5  # last mask frames that tell where the needle stood when contrast came
SEEN = {Code.VASCULAR_PATTERN_SEEN, Code.SPREAD_AT_TARGET, Code.SPREAD_AWAY, Code.LOCAL_POOL}


def assess_run(
    source: RunSource,
    *,
    profile: Profile,
    network: BoneNetwork | None = None,
    outer_diameter_mm: float | None = None,
    target: Mask | None = None,
    keep_pictures: bool = False,
) -> RunAssessment:
    """Follow the needle and the contrast through a run, and judge it.

    Parameters
    ----------
    source : RunSource
        Frames that can be read again. They are gone through up to four times, one in memory at a time.
    profile : Profile
    network : BoneNetwork or None
        Without it there is no outline of the bone, hence no distance to it.
    outer_diameter_mm : float or None
        Declared needle [mm].
    target : ndarray of shape (M, N), bool, or None
        Where a person wants the contrast, drawn on the mask (before contrast).
    keep_pictures : bool
        Whether the result keeps what a person needs to look at the subtraction: some megabytes.

    Returns
    -------
    RunAssessment
    """
    provenance = Provenance(
        marrowpoint=marrowpoint_version(),
        profile=profile.label,
        profile_sha256=profile.sha256,
        model_sha256=None if network is None else network.sha256,
    )
    try:
        scan = scan_run(source.frames())
    except NotAssessable as error:
        return RunAssessment(references=(), times=source.times, verdict=not_assessable(error), provenance=provenance)
    cut_short = source.cut_short()
    first = next(iter(source.frames()))
    plain = RunAssessment(
        references=scan.references,
        view=first.view,
        calibration=first.header_spacing,
        times=source.times,
        copies=scan.copies,
        changes=scan.changes,
        verdict=_refused("one_frame", "a single frame shows neither motion nor spread; it is judged as a frame"),
        provenance=provenance,
    )
    if len(scan.references) - len(scan.copies) < 2:
        return replace(plain, verdict=_flagged(plain.verdict, plain, cut_short))
    key, tip_frame = _key_assessment(source, scan, profile, network, outer_diameter_mm)
    needle = _needle(source, scan, (key, tip_frame), profile)
    contrast, strip, pictures, verdict = _contrast(source, scan, needle, (profile, network, outer_diameter_mm, target))
    of_needle = judge_needle(needle, profile.run_limits, profile.verdict.min_needle_confidence)
    if needle is not None and _about_needle(verdict, needle, scan):
        verdict = _needle_first(of_needle, verdict, contrast)
        # what appeared was the needle
        contrast, strip = None if contrast is None else replace(contrast, onset=None), ()
    else:
        verdict = _contrast_first(verdict, contrast, of_needle)
    needle = None if needle is None else as_told(needle)
    if not strip:
        strip = _frame_strip(source, needle)
    done = replace(plain, calibration=key.calibration, needle=needle, contrast=contrast, strip=strip)
    if keep_pictures:
        done = replace(done, pictures=pictures)
    return replace(done, verdict=_flagged(verdict, done, cut_short))


def _refused(code: str, text: str) -> Verdict:
    return not_assessable(NotAssessable(code, text))


def _key_assessment(
    source: RunSource, scan: Scan, profile: Profile, network: BoneNetwork | None, outer_diameter_mm: float | None
) -> tuple[Assessment, int]:
    """The frame whose outline is trusted most, of two: needle and bone are assessed there as in a still."""
    usable = scan.usable(int(np.bincount(scan.views).argmax()))
    wanted = sorted({usable[len(usable) // 5], usable[(3 * len(usable)) // 5]})
    found: list[tuple[Assessment, int]] = []
    for index, frame in enumerate(source.frames()):
        if index in wanted:
            found.append((assess_frame(frame, profile=profile, network=network, outer_diameter_mm=outer_diameter_mm), index))
        if index >= wanted[-1]:
            break
    return max(found, key=lambda pair: 0.0 if pair[0].cortex is None else pair[0].cortex.confidence)


def _needle(source: RunSource, scan: Scan, key: tuple[Assessment, int], profile: Profile) -> NeedleResult | None:
    assessment, index = key
    width = None if assessment.needle is None else assessment.needle.width_px
    track = follow_needle(source.frames(), Tracker(scan, expected_width_px=width))
    cortex = assessment.cortex
    trusted = cortex is not None and cortex.confidence >= profile.verdict.min_bone_confidence
    bone = BoneOf(cortex=cortex, frame=index) if cortex is not None and trusted else None
    return describe_needle(track, scan, source.times, assessment.calibration, bone, profile)


def _contrast(
    source: RunSource,
    scan: Scan,
    needle: NeedleResult | None,
    context: tuple[Profile, BoneNetwork | None, float | None, Mask | None],
) -> tuple[ContrastResult | None, tuple[StripPicture, ...], RunPictures | None, Verdict]:
    profile, network, outer_diameter_mm, target = context
    limit = profile.run_limits.needle_moved_mm
    if needle is not None and needle.unit != "mm":
        limit /= USUAL_MM_PER_PX
    try:
        onset = onset_or_refusal(scan)
        if needle is not None and needle.steady:
            onset = replace(onset, mask_frames=_stood(needle, onset.mask_frames, limit))
        moved = 0.0 if needle is None else _moved(needle, onset.mask_frames[-1])
        picture = average_mask(source.frames, scan, onset)
        still = _as_frame(source, onset.mask_frames[len(onset.mask_frames) // 2], picture, scan)
        masked = assess_frame(still, profile=profile, network=network, outer_diameter_mm=outer_diameter_mm)
        mm_per_px = None if masked.calibration.spacing is None else masked.calibration.spacing.mm_per_px
        known = Known(
            needle=masked.needle,
            bone=_trusted_bone(masked, profile),
            target=target,
            mm_per_px=mm_per_px,
            travel_px=0.0 if moved <= limit else moved / (mm_per_px or 1.0),
        )
        result, strip, pictures = follow_with_pictures(source, scan, onset, picture, known, profile.run_limits)
    except NotAssessable as error:
        return None, (), None, not_assessable(error)
    return result, strip, pictures, judge_spread(result, profile.run_limits)


def _trusted_bone(assessment: Assessment, profile: Profile) -> Mask | None:
    cortex = assessment.cortex
    return cortex.bone if cortex is not None and cortex.confidence >= profile.verdict.min_bone_confidence else None


def _stood(needle: NeedleResult, masks: tuple[int, ...], limit: float) -> tuple[int, ...]:
    """The last mask frames through which the needle stood: its earlier place would be missing from a mask that holds both."""
    ways = {p.frame: p.advance.value for p in needle.points if p.advance is not None}
    known = [frame for frame in masks if frame in ways]
    if len(known) < STOOD:
        return masks
    # one tip that is found beside the others is no way of the needle
    smooth = {f: float(np.median([ways[g] for g in known[max(0, k - 1) : k + 2]])) for k, f in enumerate(known)}
    last = float(np.median([smooth[frame] for frame in known[-STOOD:]]))
    moved = [frame for frame in known if abs(smooth[frame] - last) > limit]
    kept = tuple(frame for frame in masks if not moved or frame > moved[-1])
    return kept if len(kept) >= LEAST_MASKS else masks[-LEAST_MASKS:]


def _moved(needle: NeedleResult, last_mask: int) -> float:
    """Farthest way of the tip along the shaft from where it stood in the mask.

    Contrast at a tip looks like a longer needle, too; whether something beside the needle changes is asked later.
    """
    ways = {p.frame: p.advance.value for p in needle.points if p.advance is not None}
    before = [way for frame, way in ways.items() if frame <= last_mask]
    after = [way for frame, way in ways.items() if frame > last_mask]
    if not before or len(after) < 3:
        return 0.0
    return float(np.abs(np.quantile(after, (0.05, 0.95)) - np.median(before)).max())


def _as_frame(source: RunSource, index: int, picture: FloatImage, scan: Scan) -> Frame:
    """The mask as a frame like the one that it was laid over."""
    frame = next(frame for number, frame in enumerate(source.frames()) if number == index)
    shown = np.clip(1 - picture if scan.exposure.inverted else picture, 0, 1).astype(np.float32)
    return replace(frame, pixels=shown)


def _about_needle(contrast: Verdict, needle: NeedleResult, scan: Scan) -> bool:
    """Whether a run shows a needle's way: it moved, and no contrast was seen beside it."""
    if contrast.code in SEEN or scan.changes or not needle.steady:
        return False
    moved = any(reason.code == "needle_moved" for reason in contrast.reasons)
    return moved or any(event.code == "deepest" for event in needle.events)


def _needle_first(needle: Verdict, contrast: Verdict, result: ContrastResult | None) -> Verdict:
    """The needle's verdict; contrast is named after it, and as looked for only where the needle stood still meanwhile."""
    if result is not None and result.tip_is_needle and not result.refusal:
        return replace(needle, reasons=(*needle.reasons, *contrast.reasons))
    motion = [reason for reason in contrast.reasons if reason.code in ("motion", "no_detail", "too_few_frames")]
    text = motion[0].text if motion else "the needle moves while it would be looked for."
    why = Reason(code="contrast_not_judged", text=f"Contrast is not judged: {text[0].lower()}{text[1:]}")
    return replace(needle, reasons=(*needle.reasons, why))


def _contrast_first(contrast: Verdict, result: ContrastResult | None, needle: Verdict) -> Verdict:
    """What contrast shows, or that none was seen with a still needle."""
    if contrast.code not in SEEN and result is None and needle.code is Code.NEEDLE_FOLLOWED:
        # neither is good news: what could not be told about contrast stands first
        return replace(contrast, reasons=(*contrast.reasons, *needle.reasons))
    return contrast


def _flagged(verdict: Verdict, done: RunAssessment, cut_short: MarrowpointError | None) -> Verdict:
    """Say what is missing of the run; a negative answer from part of a run is none."""
    flags, reasons = [*verdict.flags, *scale_flags(done.calibration)], list(verdict.reasons)
    if done.times.code:
        flags.append(Flag.TIMES_UNKNOWN)
        reasons.append(Reason(code=done.times.code, text=f"No times are given: {done.times.origin}."))
    if cut_short is not None:
        flags.append(Flag.RUN_INCOMPLETE)
        reasons.append(Reason(code=cut_short.code, text=f"Only {len(done.references)} frames could be read: {cut_short.text}."))
        if verdict.code not in (Code.VASCULAR_PATTERN_SEEN, Code.SPREAD_AWAY):
            text = "Run cut short: what comes later cannot be told"
            return Verdict(code=Code.NOT_ASSESSABLE, text=text, flags=tuple(flags), reasons=tuple(reasons))
    return replace(verdict, flags=tuple(dict.fromkeys(flags)), reasons=tuple(reasons))


def _frame_strip(source: RunSource, needle: NeedleResult | None) -> tuple[StripPicture, ...]:
    """Key frames of a needle run as they are."""
    if needle is None:
        return ()
    events = {event.frame: event.code.replace("_", " ") for event in needle.events}
    return tuple(_strip_pictures(source, needle, events))


def _strip_pictures(source: RunSource, needle: NeedleResult, events: dict[int, str]) -> Iterator[StripPicture]:
    for index, frame in enumerate(source.frames()):
        if index > needle.key_frames[-1]:
            return
        if index in needle.key_frames:
            small = shrink(frame.pixels)
            factor = frame.pixels.shape[0] / small.shape[0]
            tip = needle.points[index].tip
            label = ", ".join(part for part in (f"frame {index + 1}", events.get(index, "")) if part)
            point = None if tip is None else ((tip[0] + 0.5) / factor - 0.5, (tip[1] + 0.5) / factor - 0.5)
            yield StripPicture(frame=index, label=label, picture=small, point=point)
