"""What happened in a needle run: crossing the cortex, deepest point, withdrawal, table and brightness jumps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from marrowpoint.measurement import Measurement
from marrowpoint.profile import Profile
from marrowpoint.runs.crossing import comes_to, crossed, lasting
from marrowpoint.runs.rest import Rest, fit_rest
from marrowpoint.runs.run import NeedlePoint, RunEvent, RunTimes
from marrowpoint.runs.scan import Scan

TABLE_MM, TABLE_PX, TABLE_FRAMES = 3.0, 10.0, 10  # a shift of the bone by so much within so many frames is the table
BRIGHTNESS = 0.06  # of the range: a jump of the exposure between frames
LOST_FRAMES = 3
MEDIAN_OF = 5
# Bone that begins behind a point looks like more of it: tips that come to an outline are found so much too far (60 drawn runs)
TOO_FAR_MM = 0.1
ARRIVED_MM, NEARLY_MM = 0.35, 0.85  # a tip so near to its deepest place has arrived; has arrived at the earliest
WAY_IN_MM, WAY_BACK_MM, REST_FRAMES = 4.0, 2.0, 24  # of the ways to and from the deepest place; frames to each side at most
PLATEAU_MM = 0.8  # the deepest place is the middle of what lies so near to the largest values: their noise is no depth


def find_events(
    points: tuple[NeedlePoint, ...], scan: Scan, times: RunTimes, profile: Profile, unit: str, *, mm_per_px: float
) -> tuple[RunEvent, ...]:
    """Find what happened, in order of time.

    Parameters
    ----------
    points : tuple of NeedlePoint
    scan : Scan
    times : RunTimes
    profile : Profile
    unit : str
        Of the lengths.
    mm_per_px : float
        Scale, where the unit is mm.

    Returns
    -------
    tuple of RunEvent
    """
    events: list[RunEvent] = []
    cortex = [(p.frame, p.tip_to_cortex) for p in points if p.tip_to_cortex is not None]
    if unit == "mm":
        for code, level in (("cortex_reached", TOO_FAR_MM), ("cortex_passed", profile.study.cortex_mm)):
            crossing = _crossing(cortex, level)
            if crossing is not None:
                events.append(_event(code, crossing, times))
    events.extend(_depth_events([(p.frame, p.advance) for p in points if p.advance is not None], times, profile, unit))
    copies = {p.frame for p in points if p.state == "copy"}
    events = [_shown(event, copies, len(points) - 1, times) for event in events]
    events.extend(_lost(points, times))
    events.extend(_jumps(scan, times, TABLE_PX if unit == "px" else TABLE_MM / mm_per_px))
    return tuple(sorted(events, key=lambda event: event.frame))


def _event(code: str, frames: tuple[int, int, int], times: RunTimes, text: str = "") -> RunEvent:
    first, frame, last = frames
    time = None if times.seconds is None else times.seconds[frame]
    return RunEvent(code=code, frame=frame, earliest=min(first, frame), latest=max(last, frame), time_s=time, text=text)


def _shown(event: RunEvent, copies: set[int], last: int, times: RunTimes) -> RunEvent:
    """An event among copies is first shown after them: a copy shows nothing new."""
    frame = next((i for i in range(event.frame, last + 1) if i not in copies), event.frame)
    return _event(event.code, (event.earliest, frame, event.latest), times, event.text)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    half = MEDIAN_OF // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def _crossing(curve: list[tuple[int, Measurement]], level: float) -> tuple[int, int, int] | None:
    """First crossing of a level from below that lasts: earliest, likely and latest frame."""
    if len(curve) < 3:
        return None
    frames = [frame for frame, _ in curve]
    middle, low, high = (_smooth(np.array([getattr(m, name) for _, m in curve])) for name in ("value", "lower", "upper"))
    above = middle >= level
    if above[0] or not above.any():
        return None
    places = lasting(above)
    if not places:
        return None
    at = places[0]
    first = next((i for i in range(at + 1) if high[i] >= level), at)
    last = next((i for i in range(at, len(low)) if low[i] >= level), len(low) - 1)
    return frames[first], comes_to(frames, np.array([m.value for _, m in curve]), places, level), frames[last]


def _depth_events(curve: list[tuple[int, Measurement]], times: RunTimes, profile: Profile, unit: str) -> list[RunEvent]:
    if len(curve) < MEDIAN_OF:
        return []
    frames = [frame for frame, _ in curve]
    values = _smooth(np.array([m.value for _, m in curve]))
    # without a scale a usual pixel of 0.3 mm is assumed for what counts as still and as withdrawn
    per_mm = 1.0 if unit == "mm" else 1 / 0.3
    if float(np.ptp(values)) < profile.run_limits.needle_moved_mm * per_mm:
        return []
    largest = float(np.quantile(values, 0.98))
    deepest = float(np.median(values[values >= largest - PLATEAU_MM * per_mm]))
    arrived = int(np.argmax(values >= deepest - ARRIVED_MM * per_mm))
    first = int(np.argmax(values >= deepest - NEARLY_MM * per_mm))
    top = int(np.argmax(values))
    raw = np.array([m.value for _, m in curve])
    rest = _deepest_rest(frames, raw / per_mm, values / per_mm, arrived, deepest / per_mm)
    if rest is None:
        at = _arrived(frames, values, arrived, deepest - ARRIVED_MM * per_mm)
    else:
        at, deepest = int(rest.begins), rest.depth * per_mm
    text = f"{deepest - values[0]:.1f} {unit} from where the needle was first seen"
    events = [_event("deepest", (frames[first], at, frames[top]), times, text)]
    way = profile.run_limits.withdrawn_mm * per_mm
    back = _first_after(top, values, lambda v: v < deepest - way)
    if back is not None:
        # by the doubt of a single tip; at least by three tenths
        doubt = max(0.3 * way, float(np.median([m.upper - m.lower for _, m in curve])) / 2)
        early = _first_after(top, values, lambda v: v < deepest - max(way - doubt, 0.0))
        late = _first_after(top, values, lambda v: v < deepest - way - doubt)
        at = crossed(frames, raw, back, deepest - way)
        events.append(
            _event("withdrawn", (frames[back if early is None else early], at, frames[-1 if late is None else late]), times)
        )
    return events


def _deepest_rest(
    frames: list[int], raw: NDArray[np.float64], smooth: NDArray[np.float64], arrived: int, deepest: float
) -> Rest | None:
    """The rest at the deepest place, from the way that leads to it and the beginning of the way back [mm]."""
    first, last = arrived, arrived
    while first > 0 and arrived - first < REST_FRAMES and smooth[first - 1] >= deepest - WAY_IN_MM:
        first -= 1
    while last + 1 < len(smooth) and last - arrived < REST_FRAMES and smooth[last + 1] >= deepest - WAY_BACK_MM:
        last += 1
    near = slice(first, last + 1)
    rest = fit_rest(np.array(frames[near], dtype=np.float64), raw[near], onward=-1.0)
    if rest is None or rest.before <= 0 or abs(rest.depth - deepest) > PLATEAU_MM:
        return None
    return rest


def _arrived(frames: list[int], values: NDArray[np.float64], index: int, level: float) -> int:
    """The frame in which a level is reached: at even speed where copies or a lost needle lie between two frames."""
    if index == 0 or frames[index] - frames[index - 1] == 1 or values[index] == values[index - 1]:
        return frames[index]
    share = float(np.clip((level - values[index - 1]) / (values[index] - values[index - 1]), 0, 1))
    return frames[index - 1] + max(1, int(np.ceil(share * (frames[index] - frames[index - 1]))))


def _first_after(start: int, values: NDArray[np.float64], holds: Callable[[float], bool]) -> int | None:
    return next((i for i in range(start, len(values)) if holds(float(values[i]))), None)


def _lost(points: tuple[NeedlePoint, ...], times: RunTimes) -> list[RunEvent]:
    events = []
    since = None
    for point in (*points, NeedlePoint(frame=len(points), state="found")):
        if point.state == "lost":
            since = point.frame if since is None else since
        elif point.state == "found" and since is not None:
            if point.frame - since >= LOST_FRAMES:
                text = f"not seen for {point.frame - since} frames"
                events.append(_event("needle_lost", (since, since, since), times, text))
            since = None
    return events


def _jumps(scan: Scan, times: RunTimes, limit: float) -> list[RunEvent]:
    """Shifts of the whole picture and jumps of its brightness, so that nobody takes them for the needle's."""
    shifts = np.array([pose.shift_px for pose in scan.poses]) * scan.factor
    events = []
    moves = [
        float(np.hypot(*(shifts[i] - shifts[max(0, i - TABLE_FRAMES)])))
        if scan.views[i] == scan.views[max(0, i - TABLE_FRAMES)]
        else 0.0
        for i in range(len(shifts))
    ]
    index = 0
    while index < len(moves):
        if moves[index] > limit:
            start = max(0, index - TABLE_FRAMES)
            stop = min(index + TABLE_FRAMES, len(moves) - 1)
            events.append(_event("table_moved", (start, index, stop), times))
            index = stop
        index += 1
    steps = np.abs(np.diff(scan.brightness))
    events += [
        _event("brightness_jump", (int(i) + 1, int(i) + 1, int(i) + 1), times)
        for i in np.flatnonzero(steps > BRIGHTNESS)
        if scan.views[i] == scan.views[i + 1]
    ]
    return events
