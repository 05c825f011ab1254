"""A needle run from frames to curves and events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from marrowpoint.cortex import Cortex
from marrowpoint.frame import Calibration, Frame
from marrowpoint.measure import measure_placement
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile
from marrowpoint.runs.early import MOST, agreeing
from marrowpoint.runs.events import find_events
from marrowpoint.runs.run import Motion, NeedlePoint, NeedleResult, RunTimes
from marrowpoint.runs.scan import Scan
from marrowpoint.runs.track import Track, Tracker

KEY_FRAMES = 6
OF_THE_PICTURE = ("table_moved", "brightness_jump")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneOf:
    """An outline, and the frame (from 0) in which it was drawn."""

    cortex: Cortex
    frame: int


def follow_needle(frames: Iterable[Frame], tracker: Tracker) -> Track:
    """Track the needle through all frames.

    Parameters
    ----------
    frames : iterable of Frame
    tracker : Tracker

    Returns
    -------
    Track
    """
    for index, frame in enumerate(frames):
        tracker.add(index, frame)
    return tracker.done()


def describe_needle(
    track: Track, scan: Scan, times: RunTimes, calibration: Calibration, bone: BoneOf | None, profile: Profile
) -> NeedleResult | None:
    """Curves, events and key frames of a tracked needle.

    Parameters
    ----------
    track : Track
    scan : Scan
    times : RunTimes
    calibration : Calibration
    bone : BoneOf or None
        Without it there is no distance to the cortex.
    profile : Profile

    Returns
    -------
    NeedleResult or None
        None where the needle was never found.
    """
    found = [i for i, needle in enumerate(track.needles) if needle is not None]
    if not found:
        return None
    view = int(np.bincount(scan.views[found]).argmax())
    advances = _advances(track, scan, calibration, view)
    points = []
    for index, needle in enumerate(track.needles):
        state = "copy" if index in scan.copies else "lost" if needle is None else "found"
        point = NeedlePoint(frame=index, state=state)
        if needle is not None:
            point = replace(
                point,
                tip=needle.tip,
                axis=needle.axis,
                sd_along_px=needle.tip_sd_along_px,
                sd_across_px=needle.tip_sd_across_px,
                advance=advances.get(index),
                tip_to_cortex=_to_cortex(needle, index, scan, calibration, bone, profile),
            )
        points.append(point)
    values = {i: m.value for i, m in advances.items()}
    usable = len(points) - len(scan.copies)
    unit = "mm" if calibration.spacing is not None else "px"
    events = find_events(tuple(points), scan, times, profile, unit, mm_per_px=_size(calibration))
    return NeedleResult(
        points=tuple(points),
        events=events,
        followed_share=len(found) / max(usable, 1),
        travel=max(values.values()) - min(values.values()) if values else 0.0,
        unit=unit,
        key_frames=_key_frames(found, [e.frame for e in events]),
        motion=Motion(largest_shift=_largest_shift(scan) * _size(calibration), unit=unit),
        confidence=float(np.median([needle.confidence for needle in track.needles if needle is not None])),
        steady=_steady([(_back(scan, i, needle.tip), needle) for i, needle in enumerate(track.needles) if needle is not None]),
    )


def as_told(result: NeedleResult) -> NeedleResult:
    """What may be told of a needle: where it is not the same shaft all along, only what the whole picture did.

    Parameters
    ----------
    result : NeedleResult

    Returns
    -------
    NeedleResult
        The same where it is steady, else without tips, ways, key frames of its own and events of a needle.
    """
    if result.steady:
        return result
    events = tuple(event for event in result.events if event.code in OF_THE_PICTURE)
    return replace(
        result,
        points=tuple(NeedlePoint(frame=p.frame, state="copy" if p.state == "copy" else "lost") for p in result.points),
        events=events,
        followed_share=0.0,
        travel=None,
        key_frames=_key_frames(list(range(len(result.points))), [event.frame for event in events]),
        confidence=0.0,
    )


def _steady(placed: list[tuple[tuple[float, float], Needle]]) -> bool:
    """Whether the same shaft is found all along: what jumps from vessel to catheter or from edge to edge is no needle."""
    return float(agreeing(placed).mean()) >= MOST


def _size(calibration: Calibration) -> float:
    return 1.0 if calibration.spacing is None else calibration.spacing.mm_per_px


def _largest_shift(scan: Scan) -> float:
    shifts = np.array([pose.shift_px for pose in scan.poses]) * scan.factor
    return float(np.hypot(shifts[:, 0], shifts[:, 1]).max())


def _advances(track: Track, scan: Scan, calibration: Calibration, view: int) -> dict[int, Measurement]:
    """Way of the tip along the mean shaft against the bone, from its first place."""
    placed = {
        i: (_back(scan, i, needle.tip), needle)
        for i, needle in enumerate(track.needles)
        if needle is not None and scan.views[i] == view
    }
    if not placed:
        return {}
    axes = np.array([needle.axis for _, needle in placed.values()])
    axis = np.median(axes, axis=0)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    first, start = next(iter(placed.values()))
    size, scale_u = _size(calibration), 0.0 if calibration.spacing is None else calibration.spacing.relative_u
    unit = Unit.PX if calibration.spacing is None else Unit.MM
    out = {}
    for index, (tip, needle) in placed.items():
        value = -float((tip[0] - first[0]) * axis[0] + (tip[1] - first[1]) * axis[1]) * size
        # the doubt of both tips, and that of the scale, which grows with the way
        spread = float(np.hypot(2 * np.hypot(needle.tip_sd_along_px, start.tip_sd_along_px) * size, scale_u * value))
        method = "tip against the registered bone, along the shaft, since its first frame"
        out[index] = Measurement(
            value=value, lower=value - spread, upper=value + spread, unit=unit, bound=Bound.LOWER, method=method
        )
    return out


def _back(scan: Scan, index: int, point: tuple[float, float]) -> tuple[float, float]:
    return scan.poses[index].scaled(scan.factor).back(point)


def _to_cortex(
    needle: Needle, index: int, scan: Scan, calibration: Calibration, bone: BoneOf | None, profile: Profile
) -> Measurement | None:
    """Distance to the outline of another frame: the needle is moved there with the bone."""
    if bone is None or scan.views[index] != scan.views[bone.frame]:
        return None
    there = scan.poses[bone.frame].scaled(scan.factor)
    tip = there.move(_back(scan, index, needle.tip))
    hub = there.move(_back(scan, index, (needle.tip[0] + 100 * needle.axis[0], needle.tip[1] + 100 * needle.axis[1])))
    axis: NDArray[np.float64] = np.array([hub[0] - tip[0], hub[1] - tip[1]])
    axis /= max(float(np.linalg.norm(axis)), 1e-9)
    moved = replace(needle, tip=tip, axis=(float(axis[0]), float(axis[1])))
    return measure_placement(bone.cortex, moved, calibration, profile, quick=True).tip_to_cortex


def _key_frames(found: list[int], events: list[int]) -> tuple[int, ...]:
    """First and last frame with a needle, every event, and frames evenly between."""
    chosen = {found[0], found[-1], *events}
    spaced = (found[round(x)] for x in np.linspace(0, len(found) - 1, KEY_FRAMES))
    for frame in spaced:
        if len(chosen) >= KEY_FRAMES:
            break
        chosen.add(frame)
    return tuple(sorted(chosen))
