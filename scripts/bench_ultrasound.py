#!/usr/bin/env python3
"""CPU time of one ultrasound frame on one core, step by step, file reading left out.

usage: python scripts/bench_ultrasound.py [FILE_OR_FOLDER ...]      without one: a phantom frame of 800 x 600

The machine's own pace, the time of a fixed piece of work, is measured beside it: on a busy machine read times against that.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from marrowpoint.assess import assess_frame
from marrowpoint.frame import Frame, FrameReference, UltrasoundRegion
from marrowpoint.phantom.ultrasound import UltrasoundScene, scan_scene
from marrowpoint.profile import Profile
from marrowpoint.read import find_images, read_frames, read_profile
from marrowpoint.ultrasound import assess

REPEATS = 9
STEPS = (
    "find_sector", "calibrate_scan", "to_beams", "trace_surface", "locate_shaft", "measured_again", "to_cortex", "measure_scan"
)  # fmt: skip


def phantom_frame() -> Frame:
    scene = UltrasoundScene(shape=(600, 800), mm_per_px=(0.15, 0.15), tip=(34.0, 6.0))
    picture = scan_scene(scene)
    top, left, bottom, right = picture.region
    region = UltrasoundRegion(
        spatial_format=1, data_type=1, top=top, left=left, bottom=bottom, right=right, row_unit=3, column_unit=3,
        row_delta=scene.mm_per_px[0] / 10, column_delta=scene.mm_per_px[1] / 10,
    )  # fmt: skip
    reference = FrameReference(path="phantom 800 x 600", modality="US", rows=600, columns=800)
    return Frame(pixels=picture.pixels, valid=np.ones((600, 800), dtype=bool), reference=reference, regions=(region,))


def frames(paths: list[Path], profile: Profile) -> Iterator[Frame]:
    if not paths:
        yield phantom_frame()
        return
    for image in find_images(paths):
        yield from (frame for frame in read_frames(image, scale=profile.scale) if frame.reference.modality == "US")


def pace_ms() -> float:
    picture = np.random.default_rng(0).random((600, 800), dtype=np.float32)
    start = time.process_time()
    for _ in range(4):
        np.cumsum(np.sort(cv2.GaussianBlur(picture, (0, 0), 2.0), axis=1), axis=1)
    return 1e3 * (time.process_time() - start)


def timed(step: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> Any:
        start = time.process_time()
        try:
            return step(*given, **named)
        finally:
            spent[name] += 1e3 * (time.process_time() - start)

    return run


def main(paths: list[Path]) -> None:
    cv2.setNumThreads(1)
    profile = read_profile(None)
    spent: dict[str, float] = defaultdict(float)
    for name in STEPS:
        setattr(assess, name, timed(getattr(assess, name), name, spent))
    for frame in frames(paths, profile):
        assess_frame(frame, profile=profile)
        runs = []
        for _ in range(REPEATS):
            spent.clear()
            start = time.process_time()
            assess_frame(frame, profile=profile)
            runs.append((1e3 * (time.process_time() - start), dict(spent)))
        whole, steps = min(runs, key=lambda run: run[0])
        pace = min(pace_ms() for _ in range(3))
        size = f"{frame.pixels.shape[1]} x {frame.pixels.shape[0]}"
        print(f"{frame.reference.path} {size}: {whole:.0f} ms, {whole / pace:.1f} paces of {pace:.1f} ms")
        if paths:
            continue
        for name, part in (*steps.items(), ("the rest", whole - sum(steps.values()))):
            print(f"  {name:16s} {part:6.1f} ms  {100 * part / whole:4.0f} %")


if __name__ == "__main__":
    main([Path(p) for p in sys.argv[1:]])
