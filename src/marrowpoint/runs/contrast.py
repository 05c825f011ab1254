"""A contrast run from frames to result."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage, Mask
from marrowpoint.needle import Needle
from marrowpoint.profile import RunLimits
from marrowpoint.runs.begin import begin
from marrowpoint.runs.directions import direction_words, known_orientation, unit_vector
from marrowpoint.runs.grid import FIELD_MM, GridScale, distance_from, grid_scale
from marrowpoint.runs.judge_spread import is_vein
from marrowpoint.runs.onset import Onset, find_onset
from marrowpoint.runs.opacity import doubt
from marrowpoint.runs.pictures import BLACK_SD, GREY, RunPictures
from marrowpoint.runs.run import ContrastResult, Motion, RunSource, StripPicture
from marrowpoint.runs.scan import Scan
from marrowpoint.runs.spread import (
    CORRIDOR_MM,
    Spread,
    SpreadSeries,
    Surroundings,
    follow_spread,
    surroundings,
)
from marrowpoint.runs.subtract import Subtraction, bone_region, subtract_run
from marrowpoint.runs.vessel import Branch, as_run, find_branches

NEAR_MM = 45.0  # bone so near to the tip is registered
EXPECTED_MM = 30.0  # so near to the tip contrast is expected: greys are read farther off
LEAK_MM = 5.0  # around the needle: contrast that runs along it
BESIDE_MM = 1.2  # from the middle of a vein its density is summed so far
LEAST_MM = 4.0  # beside a moving needle: side of the least area that is called contrast
STRIP = 6  # pictures of the film strip
ALL_SIDES = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known of the mask picture: needle and how far it moves after the mask, bone, target and scale."""

    needle: Needle | None = None
    bone: Mask | None = None
    target: Mask | None = None
    mm_per_px: float | None = None
    travel_px: float = 0.0


def follow_contrast(
    source: RunSource, scan: Scan, onset: Onset, picture: FloatImage, known: Known, limits: RunLimits
) -> tuple[ContrastResult, tuple[StripPicture, ...]]:
    """Subtract, segment and describe the contrast of a run.

    Parameters
    ----------
    source : RunSource
    scan : Scan
    onset : Onset
        From `find_onset`.
    picture : ndarray of shape (M, N), float32
        The mask, from `average_mask`.
    known : Known
    limits : RunLimits

    Returns
    -------
    result : ContrastResult
    strip : tuple of StripPicture

    Raises
    ------
    NotAssessable
        ``motion`` or ``no_detail``.
    """
    result, strip, _ = follow_with_pictures(source, scan, onset, picture, known, limits)
    return result, strip


def follow_with_pictures(
    source: RunSource, scan: Scan, onset: Onset, picture: FloatImage, known: Known, limits: RunLimits
) -> tuple[ContrastResult, tuple[StripPicture, ...], RunPictures]:
    """As `follow_contrast`, and the pictures that a person wants to see.

    Parameters
    ----------
    source, scan, onset, picture, known, limits
        As for `follow_contrast`.

    Returns
    -------
    result : ContrastResult
    strip : tuple of StripPicture
    pictures : RunPictures

    Raises
    ------
    NotAssessable
        As `follow_contrast`.
    """
    mm_per_px = known.mm_per_px
    reach_px = NEAR_MM / mm_per_px if mm_per_px else 0.3 * max(picture.shape)
    region = bone_region(scan, picture, known.needle, known.bone, reach_px)
    first = None if onset.place is None else _in_mask(scan, onset, onset.place)
    where = (region, *_near_and_metal(picture, known, first))
    subtraction = subtract_run(source.frames, scan, onset, picture, where, limits.most_residual_px)
    scale = grid_scale(subtraction, mm_per_px)
    per_px = subtraction.factor / scale.filter_mm
    around = surroundings(subtraction, known.needle, known.bone, known.target, CORRIDOR_MM * per_px, known.travel_px, first)
    plain = _plain(subtraction, onset, scale, source)
    pictures = RunPictures.of(subtraction, None, inverted=scan.exposure.inverted)
    if subtraction.refusal:
        return replace(plain, refusal=subtraction.refusal), _strip(subtraction, None, around, onset), pictures
    if known.needle is None and known.travel_px > 0:
        text = "the needle moves, and where it stood before is not found: its own shadow would be taken for contrast"
        raise NotAssessable("needle_moved", text)
    if around is None:
        return plain, _strip(subtraction, None, None, onset), pictures
    series = follow_spread(subtraction, around, scale)
    branches, least = find_branches(subtraction, series, around, scale)
    least_density = least * float(np.median(doubt(subtraction)[subtraction.inside]))
    done = replace(
        plain,
        tip=subtraction.to_picture(around.tip),
        tip_is_needle=known.needle is not None,
        spreads=series.spreads,
        branches=tuple(as_run(branch, subtraction.to_picture(branch.end)) for branch in branches),
        elsewhere=series.elsewhere,
        least_density=least_density,
        leak=_leak(subtraction, series, known.needle, scale),
    )
    # a moving needle and a table that moves with it change much elsewhere: only what hangs together with the tip counts
    alone = float(series.seen.sum()) < scale.px(LEAST_MM) ** 2
    if known.travel_px > 0 and alone:
        raise NotAssessable(
            "needle_moved", "the needle moves, and nothing but the needle changes: contrast beside it is not seen"
        )
    if series.seen.any():
        called = [b for b, told in zip(branches, done.branches, strict=True) if is_vein(told, done, limits)]
        veins = _veins(subtraction, series, called, scale)
        done = _described(done, subtraction, series, around, (scale, source, veins))
    return done, _strip(subtraction, series, around, onset), replace(pictures, series=series)


def _near_and_metal(picture: FloatImage, known: Known, first: tuple[float, float] | None) -> tuple[Mask, Mask]:
    """Around the tip and where contrast first appears; and the needle with its rim, both of shape (M, N)."""
    size_mm = known.mm_per_px or FIELD_MM / max(picture.shape)
    near, metal = np.zeros(picture.shape, np.bool_), np.zeros(picture.shape, np.bool_)
    for place in (first, None if known.needle is None else known.needle.tip):
        if place is not None:
            near |= distance_from(place, picture.shape) < EXPECTED_MM / size_mm
    if known.needle is not None:
        metal = known.needle.footprint((picture.shape[0], picture.shape[1]), margin_px=CORRIDOR_MM / size_mm)
    return near, metal


def _in_mask(scan: Scan, onset: Onset, place: tuple[float, float]) -> tuple[float, float]:
    """A place of the small picture of the view's first frame, in the mask picture."""
    row, column = scan.poses[onset.mask_frames[len(onset.mask_frames) // 2]].move(place)
    half = (scan.factor - 1) / 2
    return row * scan.factor + half, column * scan.factor + half


def _plain(subtraction: Subtraction, onset: Onset, scale: GridScale, source: RunSource) -> ContrastResult:
    shifts = np.array(list(subtraction.shifts_px.values()))
    residuals = list(subtraction.residuals_px.values())
    size = scale.size / subtraction.factor
    motion = Motion(
        largest_shift=float(np.hypot(*shifts.T).max()) * size,
        unit=scale.unit,
        median_residual_px=float(np.median(residuals)) if residuals else None,
        largest_residual_px=float(max(residuals)) if residuals else None,
        refused=len(subtraction.refused),
        untold=len(subtraction.untold),
        looked_at=sum(frame > onset.mask_frames[-1] for frame in subtraction.frames),
    )
    return ContrastResult(
        onset=onset.frame,
        mask_frames=onset.mask_frames,
        settled=onset.settled,
        tip=None,
        tip_is_needle=False,
        spreads=tuple(Spread(frame=frame) for frame in subtraction.frames),
        branches=(),
        peak=None,
        unit=scale.unit,
        motion=motion,
        log_linear=source.log_linear,
        px_per_mm=subtraction.factor / scale.filter_mm,
    )


def _described(
    done: ContrastResult,
    subtraction: Subtraction,
    series: SpreadSeries,
    around: Surroundings,
    context: tuple[GridScale, RunSource, Mask],
) -> ContrastResult:
    scale, source, veins = context
    peak = series.spreads[series.peak]
    tip = subtraction.to_picture(around.tip)
    middle = _middle(subtraction, series.peak, peak, veins, scale)
    toward = None if middle is None else unit_vector(tip, middle)
    front = None if peak.front_point is None else unit_vector(tip, peak.front_point)
    size = scale.size / subtraction.factor
    radius = float(np.sqrt(max(peak.area, 1e-9) / np.pi))
    offset = 0.0 if middle is None else float(np.hypot(middle[0] - tip[0], middle[1] - tip[1])) * size
    words = "to all sides"
    if toward is not None and offset > ALL_SIDES * radius:
        words = direction_words(toward, source.orientation)
    first = [frame for frame in (done.onset, begin(subtraction, series)) if frame is not None]
    onset = min(first, default=None)
    times = source.times.seconds
    last = [s.density for s in series.spreads[-3:]]
    return replace(
        done,
        onset=onset,
        peak=peak.frame,
        direction=toward,
        front_direction=front,
        eccentricity=offset / radius,
        words=words,
        patient_known=known_orientation(source.orientation),
        time_to_peak_s=None if times is None or onset is None else times[peak.frame] - times[onset],
        washout=float(np.clip(np.mean(last) / max(peak.density, 1e-9), 0, 1)),
        front_speed=_speed(series.spreads, times),
        in_bone=peak.in_bone,
        in_target=peak.in_target,
    )


def _veins(subtraction: Subtraction, series: SpreadSeries, branches: list[Branch], scale: GridScale) -> Mask:
    """Places of veins that were seen by adding up along them only, shape (m, n)."""
    lines = np.zeros_like(subtraction.inside)
    for branch in branches:
        lines |= branch.line
    reach = 2 * max(1, round(scale.px(BESIDE_MM))) + 1
    wide = cv2.dilate(lines.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return np.asarray(wide & subtraction.inside & ~(cv2.dilate(series.seen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))


def _middle(subtraction: Subtraction, index: int, peak: Spread, veins: Mask, scale: GridScale) -> tuple[float, float] | None:
    """Middle of the density with the veins: faint as they are, they carry contrast far away."""
    if peak.centroid is None or not veins.any():
        return peak.centroid
    mean = subtraction.stack[max(0, index - 1) : index + 2].mean(axis=0)[veins]
    total = float(mean.sum())
    body = peak.density / scale.size**2
    if total <= 0 or body <= 0:
        return peak.centroid
    far = mean @ np.argwhere(veins) / total
    row, column = subtraction.to_picture((float(far[0]), float(far[1])))
    share = total / (total + body)
    return peak.centroid[0] + share * (row - peak.centroid[0]), peak.centroid[1] + share * (column - peak.centroid[1])


def _speed(spreads: tuple[Spread, ...], times: tuple[float, ...] | None) -> float | None:
    """Fastest advance of the front over three frames."""
    seen = [s for s in spreads if s.seen_area > 0]
    if times is None or len(seen) < 4:
        return None
    pairs = zip(seen[:-3], seen[3:], strict=True)
    return max((b.front - a.front) / max(times[b.frame] - times[a.frame], 1e-6) for a, b in pairs)


def _leak(subtraction: Subtraction, series: SpreadSeries, needle: Needle | None, scale: GridScale) -> float:
    """How far the seen contrast runs back along the needle [unit]."""
    if needle is None or not series.seen.any():
        return 0.0
    tip = subtraction.to_grid(needle.tip)
    places = np.argwhere(series.seen) - np.array(tip)
    along = places @ np.array(needle.axis)
    across = np.abs(places @ np.array([needle.axis[1], -needle.axis[0]]))
    beside = along[(across < scale.px(LEAK_MM)) & (along > 0)]
    if not len(beside):
        return 0.0
    # a pool reaches back as far as to its sides
    back = float(np.quantile(beside, 0.98))
    others = np.hypot(*places.T)[along < 0.5 * np.hypot(*places.T)]
    ahead = float(np.quantile(others, 0.9)) if len(others) > 5 else 0.0
    return back * scale.size if back > 1.3 * ahead else 0.0


def _strip(
    subtraction: Subtraction, series: SpreadSeries | None, around: Surroundings | None, onset: Onset
) -> tuple[StripPicture, ...]:
    last_mask = next(k for k, f in enumerate(subtraction.frames) if f >= onset.mask_frames[-1])
    chosen = sorted(set(np.linspace(last_mask, len(subtraction.frames) - 1, STRIP - 1).astype(int).tolist()))
    if series is not None and series.seen.any():
        chosen = sorted({*chosen, series.peak})
    pictures = []
    for index in chosen:
        near = subtraction.stack[max(0, index - 1) : index + 2].mean(axis=0) / subtraction.noise
        frame = subtraction.frames[index]
        label = f"frame {frame + 1}"
        if frame in onset.mask_frames:
            label += ", before contrast"
        elif series is not None and index == series.peak and series.seen.any():
            label += ", most contrast"
        outline = None if series is None else series.seen & (series.reached >= 0) & (series.reached <= index)
        pictures.append(
            StripPicture(
                frame=frame,
                label=label,
                picture=np.clip(GREY - GREY * near / BLACK_SD, 0, 1).astype(np.float32),
                outline=outline,
                point=None if around is None else around.tip,
            )
        )
    return tuple(pictures)


def onset_or_refusal(scan: Scan) -> Onset:
    """The onset in the first view; a change of the view during the run is a refusal, for a mask holds for its own view only."""
    if scan.changes:
        frame, code = scan.changes[0]
        words = {"zoom_changed": "magnification", "collimator_changed": "collimation", "view_changed": "view"}[code]
        text = f"the {words} changes at frame {frame + 1}: pictures before and after it cannot be subtracted"
        raise NotAssessable(code, text)
    return find_onset(scan)
