#!/usr/bin/env python3
"""Tip and width of needles in single frames of phantom runs, or of an evaluation set, against exact truth.

usage: python scripts/bench_needle.py [--first 800] [--count 20] [--frames 5]
       python scripts/bench_needle.py --set SET

Frames of each seed are chosen by chance; SET holds PERSON/truth.json and PERSON/STUDY/VIEW.dcm. Needles that are not found, too
doubtful, or on the wrong end (8 mm off and more), are counted apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from marrowpoint.calibrate import spacing_from_needle
from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.fluoroscopy.prior import BoneNetwork, infer_prior, load_network
from marrowpoint.frame import Frame
from marrowpoint.phantom.runs_scenes import needle_run, random_background
from marrowpoint.profile import Profile
from marrowpoint.read import find_images, read_frames, read_profile

WRONG_END_MM = 8.0
AHEAD_PX = 10.0


def stills(seed: int, frames: int) -> Iterator[tuple[Frame, np.ndarray, np.ndarray, float, float]]:
    """Frames of one run with the true tip and axis [px], the needle's diameter [mm] and the scale [mm/px]."""
    run = needle_run(random_background(seed), seed)
    chosen = set(np.random.default_rng([seed, 9]).choice(len(run.poses), frames, replace=False).tolist())
    scale, needle = run.background.mm_per_px, run.plan.needle
    for index, frame in enumerate(run.frames()):
        if index in chosen:
            tip, start = np.array(run.tip(index)), run.plan.tip(index, scale)
            ahead = run.poses[index].move(
                (start[0] + AHEAD_PX * needle.axis[0], start[1] + AHEAD_PX * needle.axis[1]), run.shape
            )
            yield frame, tip, (np.array(ahead) - tip) / np.linalg.norm(np.array(ahead) - tip), needle.outer_diameter_mm, scale


def pictures(folder: Path, profile: Profile) -> Iterator[tuple[Frame, np.ndarray, np.ndarray, float, float]]:
    """The same of an evaluation set."""
    for file in sorted(folder.glob("*/truth.json")):
        for view in json.loads(file.read_text()):
            (image,) = find_images([file.parent / f"{view['id']}.dcm"])
            (frame,) = read_frames(image, scale=profile.scale)
            tip, axis = np.array(view["tip_xy_px"])[::-1], np.array(view["shaft_dir_xy"])[::-1]
            yield frame, tip, axis, view["needle_od_mm"], view["mm_per_px_at_tip"]


def row(still: tuple, network: BoneNetwork | None, profile: Profile) -> list[float] | str:
    """Errors of one still, or why there are none."""
    frame, tip, axis, diameter_mm, scale = still
    spacing = frame.header_spacing.spacing
    try:
        exposure = find_exposure(frame)
        prior = None if network is None else infer_prior(network, exposure)
        expected = None if spacing is None else diameter_mm / spacing.mm_per_px
        found = locate_needle(exposure, prior=prior, expected_width_px=expected)
    except NotAssessable:
        return "none found"
    if found.confidence < profile.verdict.min_needle_confidence:
        return "too doubtful"
    gap, width = np.subtract(found.tip, tip), diameter_mm / scale
    if np.hypot(*gap) * scale > WRONG_END_MM:
        return "wrong end"
    along, error = float(gap @ axis), found.width_px / width - 1
    rung = spacing_from_needle(found, diameter_mm, profile.scale)
    off = np.nan if rung is None else rung.mm_per_px / scale - 1
    held = np.nan if rung is None else abs(off / (1 + off)) < rung.relative_u
    return [
        along * scale, float(np.hypot(*gap)) * scale, abs(along) < 1.96 * found.tip_sd_along_px,
        100 * error, abs(error * width) < 2 * found.width_sd_px, 100 * off, held,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=800)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--set", type=Path)
    args = parser.parse_args()
    network, profile = load_network(None), read_profile(None)
    seeds = range(args.first, args.first + args.count)
    shown = pictures(args.set, profile) if args.set else (still for seed in seeds for still in stills(seed, args.frames))
    rows = [row(still, network, profile) for still in shown]
    table = np.array([each for each in rows if not isinstance(each, str)], dtype=float)
    short, distance, tip_held, width, width_held, scale, scale_held = table.T
    told = {
        "stills": len(rows),
        **{why: rows.count(why) for why in ("none found", "too doubtful", "wrong end")},
        "tip_median_mm": np.median(distance), "tip_p95_mm": np.percentile(distance, 95), "short_mean_mm": short.mean(),
        "tip_held": tip_held.mean(), "width_mean_percent": width.mean(), "width_median_size_percent": np.median(abs(width)),
        "width_held": width_held.mean(), "scale_median_size_percent": np.nanmedian(abs(scale)),
        "scale_held": np.nanmean(scale_held),
    }  # fmt: skip
    print(json.dumps({name: round(float(value), 3) for name, value in told.items()}, indent=1))


if __name__ == "__main__":
    main()
