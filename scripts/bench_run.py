"""Figures of docs/accuracy_runs.md: ``bench_run.py contrast|needle|outline|curve|time|memory [--first N] [--count N]``.

One JSON line a run on stdout, the summary last. Seeds below 1000 were used for tuning; figures use those from 1000 on, with
other pelves. The needle is found without the learned prior and the scale is the phantom's, so that the run's own errors show.

``time [--file DICOM]`` and ``memory`` send a run of 96 or 1000 frames (``--count``) of 512 x 512 through what `marrowpoint run`
calls, reading, network, following and subtraction included, and print processor time and the most memory it held.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from bench_run_cost import told_cost

from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.frame import Calibration, PixelSpacing, SpacingSource
from marrowpoint.phantom.runs import Background
from marrowpoint.phantom.runs_contrast import SpreadKind
from marrowpoint.phantom.runs_scenes import PhantomRun, contrast_run, needle_run, random_background
from marrowpoint.read import read_profile
from marrowpoint.runs.assess import assess_run
from marrowpoint.runs.contrast import Known, follow_contrast, onset_or_refusal
from marrowpoint.runs.directions import angle_between_deg
from marrowpoint.runs.judge_spread import judge_spread
from marrowpoint.runs.needle import BoneOf, describe_needle, follow_needle
from marrowpoint.runs.run import RunSource, RunTimes
from marrowpoint.runs.scan import scan_run
from marrowpoint.runs.spread import BLUR_MM, CORE_SHARE
from marrowpoint.runs.subtract import average_mask
from marrowpoint.runs.track import Tracker

PELVES = 6
# half of the runs have a vein, half are everything that could be taken for one
KINDS = (
    SpreadKind.VEIN, SpreadKind.NONE, SpreadKind.VEIN, SpreadKind.POOL, SpreadKind.VEIN, SpreadKind.LEAK, SpreadKind.VEIN,
    SpreadKind.AWAY,
)  # fmt: skip
DIRECTED_MM = 4.0
LEFT = 0.02  # share of the contrast beyond the collimator from which it has left the picture
VISIBLE_LOG = 0.02  # contrast that adds less than this anywhere cannot be seen: the injection has begun, the picture shows none
PROFILE = read_profile(None)


@lru_cache(maxsize=PELVES)
def pelvis(number: int) -> Background:
    return random_background(number)


def contrast_record(run: PhantomRun) -> dict:
    frames = list(run.frames())
    seconds = tuple(run.time_s(i) for i in range(len(frames)))
    source = RunSource(frames=lambda: iter(frames), times=RunTimes(seconds=seconds, origin="phantom", code=""))
    size = run.background.mm_per_px
    record = {"seed": run.seed, "kind": run.injection.kind.value, "vein_mm": round(run.injection.vein_width_mm, 2)}
    begin = time.process_time()
    try:
        scan = scan_run(source.frames())
        onset = onset_or_refusal(scan)
        picture = average_mask(source.frames, scan, onset)
        try:
            needle = locate_needle(replace(scan.exposure, attenuation=picture, bars=None))
        except NotAssessable:
            needle = None
        result, _ = follow_contrast(source, scan, onset, picture, Known(needle=needle, mm_per_px=size), PROFILE.run)
    except NotAssessable as error:
        return record | {"verdict": f"not_assessable:{error.code}"}
    record |= {
        "verdict": judge_spread(result, PROFILE.run).code.value,
        "cpu_s": round(time.process_time() - begin, 2),
        "onset": result.onset,
        "true_onset": run.onset(),
        "visible_onset": next((i for i in range(len(frames)) if run.contrast_log(i).max() >= VISIBLE_LOG), None),
        "untold": result.motion.untold,
        "residual_px": result.motion.median_residual_px,
        "branch_mm": [round(b.length, 1) for b in result.branches[:3]],
    }
    if result.peak is not None:
        record |= spread_errors(run, result, size)
    return record


def spread_errors(run: PhantomRun, result, size: float) -> dict:
    truth = run.contrast_log(result.peak)
    if truth.max() <= 0:
        return {}
    smooth = cv2.GaussianBlur(truth, (0, 0), BLUR_MM / size)
    # what lies beyond the collimator is in no picture; a person's breath moves it by less than the rim that is told
    field = run.background.aperture > 0.5
    area = float(((smooth >= CORE_SHARE * smooth.max()) & field).sum()) * size**2
    rows, columns = np.indices(truth.shape)
    middle = np.array([(rows * truth).sum(), (columns * truth).sum()]) / truth.sum()
    offset = middle - np.array(run.plan.tip(0, size))
    length = float(np.linalg.norm(offset))
    spread = next(s for s in result.spreads if s.frame == result.peak)
    found = {
        "area_ratio": round(spread.area / area, 3),
        "area_covered": spread.area_lower <= area <= spread.area_upper,
        "area_width": round((spread.area_upper - spread.area_lower) / area, 2),
        "offset_mm": round(length * size, 1),
        "left_share": round(float(truth[~field].sum() / truth.sum()), 2),
        "cut_off": any(part.cut_off for part in (*result.spreads, *result.branches)),
    }
    if result.direction is not None and length > 0:
        found["direction_deg"] = round(angle_between_deg(result.direction, tuple(offset / length)), 1)
    return found


def needle_record(run: PhantomRun) -> dict:
    frames = list(run.frames())
    size = run.background.mm_per_px
    begin = time.process_time()
    scan = scan_run(frames)
    track = follow_needle(frames, Tracker(scan))
    cpu = time.process_time() - begin
    spacing = PixelSpacing(row_mm=size, column_mm=size, source=SpacingSource.MAGNIFICATION, relative_u=0.03)
    calibration = Calibration(spacing=spacing, rungs=(spacing,))
    # the outline as a person would draw it: what the program makes of an outline is told in docs/accuracy.md
    outline = Cortex(bone=run.background.hip, lines=run.background.outline, edge_sd_px=1.0, confidence=1.0, located_by="truth")
    times = RunTimes(seconds=tuple(run.time_s(i) for i in range(len(frames))), origin="phantom", code="")
    result = describe_needle(track, scan, times, calibration, BoneOf(cortex=outline, frame=0), PROFILE)
    errors, doubts, stills, short = [], [], [], []
    for index, needle in enumerate(track.needles):
        tip = run.tip(index)
        if needle is not None:
            errors.append(float(np.hypot(needle.tip[0] - tip[0], needle.tip[1] - tip[1])) * size)
            doubts.append(2 * max(needle.tip_sd_along_px, needle.tip_sd_across_px) * size)
            # toward the hub is positive: a tip that is found too early
            short.append(float(np.dot(np.subtract(needle.tip, tip), needle.axis)) * size)
        if index % 20 == 10:
            still = still_tip(frames[index])
            stills.append(None if still is None else float(np.hypot(still[0] - tip[0], still[1] - tip[1])) * size)
    return {
        "seed": run.seed, "frames": len(frames), "found": len(errors), "copies_right": scan.copies == run.copies,
        "median_mm": round(float(np.median(errors)), 2) if errors else None,
        "worst_mm": round(max(errors), 2) if errors else None,
        "short_mm": round(float(np.median(short)), 2) if errors else None,
        "doubt_mm": round(float(np.median(doubts)), 2) if errors else None,
        "silent": sum(e > 3 and u < 3 for e, u in zip(errors, doubts, strict=True)),
        "covered": round(float(np.mean([e <= u for e, u in zip(errors, doubts, strict=True)])), 2) if errors else None,
        "stills_mm": [None if s is None else round(s, 2) for s in stills],
        "events": event_errors(run, result), "cpu_ms_frame": round(1000 * cpu / len(frames)),
    }  # fmt: skip


def outline_record(run: PhantomRun) -> dict:
    """The events of the cortex with the program's own outline, from frames to verdict."""
    frames = list(run.frames())
    times = RunTimes(seconds=tuple(run.time_s(i) for i in range(len(frames))), origin="phantom", code="")
    done = assess_run(RunSource(frames=lambda: iter(frames), times=times), profile=PROFILE, network=load_network(None))
    inside = cv2.distanceTransform(run.background.hip.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    size = run.background.mm_per_px
    deep = [float(inside[tuple(np.round(run.plan.tip(i, size)).astype(int))]) * size for i in range(len(frames))]
    truth = {
        "cortex_reached": next((i for i, d in enumerate(run.plan.depth_mm) if d >= 0), None),
        "cortex_passed": next((i for i, d in enumerate(deep) if d >= PROFILE.study.cortex_mm), None),
    }
    points = () if done.needle is None else done.needle.points
    found = {} if done.needle is None else {event.code: event for event in done.needle.events}
    events = {
        code: None if frame is None or code not in found
        else [found[code].frame - frame, found[code].earliest <= frame <= found[code].latest]
        for code, frame in truth.items()
    }  # fmt: skip
    return {
        "seed": run.seed,
        "verdict": done.verdict.code.value,
        "followed": None if done.needle is None else round(done.needle.followed_share, 2),
        "outline": any(point.tip_to_cortex is not None for point in points),
        "events": events,
    }


def still_tip(frame) -> tuple[float, float] | None:
    try:
        return locate_needle(find_exposure(frame)).tip
    except NotAssessable:
        return None


def event_errors(run: PhantomRun, result) -> dict:
    depth = run.plan.depth_mm
    top = int(np.argmax(depth >= depth.max() - 1e-6))
    later = [i for i in range(top, len(depth)) if depth[i] < depth.max() - PROFILE.run.withdrawn_mm]
    truth = {
        "cortex_reached": int(np.argmax(depth >= 0)),
        "deepest": top,
        "withdrawn": later[0] if later else None,
    }
    found = {} if result is None else {event.code: event for event in result.events}
    out = {}
    for code, frame in truth.items():
        if frame is not None:
            event = found.get(code)
            out[code] = None if event is None else [event.frame - frame, event.earliest <= frame <= event.latest]
    return out


def summary(kind: str, records: list[dict]) -> dict:
    if kind == "outline":
        told = {code: [r["events"][code] for r in records if r["events"][code]] for code in ("cortex_reached", "cortex_passed")}
        return {
            "runs": len(records),
            "with_an_outline": sum(r["outline"] for r in records),
            **{
                code: {
                    "found": len(some),
                    "within_2": sum(abs(e[0]) <= 2 for e in some),
                    "in_interval": sum(e[1] for e in some),
                }
                for code, some in told.items()
            },
        }
    if kind == "needle":
        events = [error for r in records for error in r["events"].values()]
        told = [e for e in events if e is not None]
        stills = [s for r in records for s in r["stills_mm"] if s is not None]
        return {
            "runs": len(records),
            "median_mm": np.median([r["median_mm"] for r in records if r["median_mm"] is not None]),
            "stills_median_mm": np.median(stills),
            "worst_mm": max(r["worst_mm"] or 0 for r in records),
            "short_mm": np.median([r["short_mm"] for r in records if r["short_mm"] is not None]),
            "doubt_mm": np.median([r["doubt_mm"] for r in records if r["doubt_mm"] is not None]),
            "least_covered_run": min(r["covered"] for r in records if r["covered"] is not None),
            "silently_off_frames": sum(r["silent"] for r in records),
            "frames": sum(r["found"] for r in records),
            "covered": np.mean([r["covered"] for r in records if r["covered"] is not None]),
            "events": len(events),
            "events_found": len(told),
            "events_within_2": sum(abs(e[0]) <= 2 for e in told),
            "events_in_interval": sum(e[1] for e in told),
            "copies_right": sum(r["copies_right"] for r in records),
            "cpu_ms_frame": np.median([r["cpu_ms_frame"] for r in records]),
        }
    veins = [r for r in records if r["kind"] == "vein"]
    others = [r for r in records if r["kind"] != "vein"]
    areas = [abs(r["area_ratio"] - 1) for r in records if "area_ratio" in r]
    turns = [r["direction_deg"] for r in records if r.get("offset_mm", 0) >= DIRECTED_MM and "direction_deg" in r]
    onsets = [
        [abs(r["onset"] - r[name]) for r in records if r.get("onset") is not None and r.get(name) is not None]
        for name in ("true_onset", "visible_onset")
    ]
    measured = [r for r in records if "left_share" in r]
    left, stayed = ([r for r in measured if (r["left_share"] > LEFT) is out] for out in (True, False))
    flagged = "vascular_pattern_seen"
    return {
        "runs": len(records),
        "sensitivity": f"{sum(r['verdict'] == flagged for r in veins)}/{len(veins)}",
        "specificity": f"{sum(r['verdict'] != flagged for r in others)}/{len(others)}",
        "not_assessable": sum(r["verdict"].startswith("not_assessable") for r in records),
        "area_within_15": f"{sum(a <= 0.15 for a in areas)}/{len(areas)}",
        "area_median_error": float(np.median(areas or [np.nan])),
        "direction_within_20": f"{sum(t <= 20 for t in turns)}/{len(turns)}",
        "direction_median": float(np.median(turns or [np.nan])),
        "onset_within_2_of_injection": f"{sum(o <= 2 for o in onsets[0])}/{len(onsets[0])}",
        "onset_within_2_of_visible": f"{sum(o <= 2 for o in onsets[1])}/{len(onsets[1])}",
        "area_covered": f"{sum(r['area_covered'] for r in records if 'area_covered' in r)}/{len(areas)}",
        "area_interval_width": float(np.median([r["area_width"] for r in records if "area_width" in r] or [np.nan])),
        "left_and_said": f"{sum(r['cut_off'] for r in left)}/{len(left)}",
        "stayed_and_said_left": f"{sum(r['cut_off'] for r in stayed)}/{len(stayed)}",
        "verdicts": {
            k: dict(zip(*np.unique([r["verdict"] for r in records if r["kind"] == k], return_counts=True), strict=True))
            for k in sorted({r["kind"] for r in records})
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("contrast", "needle", "outline", "curve", "time", "memory"))
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--count", type=int)
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    given.count = given.count or {"time": 96, "memory": 1000}.get(given.what, 64)
    if given.what in ("time", "memory"):
        told_cost(given.file, given.count)
        return
    cv2.setNumThreads(1)
    records = []
    for seed in range(given.first, given.first + given.count):
        background = pelvis(500 + seed % PELVES)
        if given.what == "outline":
            record = outline_record(needle_run(background, seed))
        elif given.what == "needle":
            record = needle_record(needle_run(background, seed))
        elif given.what == "contrast":
            record = contrast_record(contrast_run(background, KINDS[seed % len(KINDS)], seed, frames=34))
        else:
            # every width at every dose in turn
            width = (0.4, 0.6, 0.8, 1.2)[seed % 4]
            counts = (15.0, 40.0, 120.0)[(seed // 4) % 3]
            run = contrast_run(background, SpreadKind.VEIN, seed, frames=34, counts=counts, vein_width_mm=width)
            record = contrast_record(run) | {"counts": counts}
        records.append(record)
        print(json.dumps(record), flush=True)
        if given.what != "curve":
            print(json.dumps({"so_far": summary(given.what, records)}, default=str), flush=True)
    if given.what == "curve":
        cells = sorted({(r["counts"], r["vein_mm"]) for r in records})
        for cell in cells:
            some = [r for r in records if (r["counts"], r["vein_mm"]) == cell]
            seen = sum(r["verdict"] == "vascular_pattern_seen" for r in some)
            print(json.dumps({"counts": cell[0], "vein_mm": cell[1], "seen": seen, "runs": len(some)}))


if __name__ == "__main__":
    main()
