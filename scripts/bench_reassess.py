#!/usr/bin/env python3
"""Time what follows the mouse in a review of one 1024 x 1024 frame on one thread: wall clock and processor time.

The window itself is timed by bench_review.py.

usage: python scripts/bench_reassess.py [--updates N] [--load N]

A phantom frame is analysed once; then its tip is dragged along a path, its outline is edited, and the live-wire is pulled.
``--load N`` keeps N other processes busy meanwhile, as a shared reading-room machine does. Exit status 1 where a drag stays
below 15 updates a second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from bench_frame import phantom_file, read_once, truth_prior  # noqa: E402

from marrowpoint.assess import assess_frame  # noqa: E402
from marrowpoint.assessment import Assessment  # noqa: E402
from marrowpoint.fluoroscopy.prior import load_network  # noqa: E402
from marrowpoint.fluoroscopy.segment import segment_bone  # noqa: E402
from marrowpoint.read import read_profile  # noqa: E402
from marrowpoint.review import Corrections, reassess  # noqa: E402
from marrowpoint.review.livewire import edge_cost, move_point, nearest_index, replace_stretch, snap_path  # noqa: E402

WANTED_HZ = 15.0


def phantom_assessment() -> Assessment:
    """The program's own assessment of a phantom; where no model is installed, its outline comes from the truth."""
    profile = read_profile(None)
    with tempfile.TemporaryDirectory() as folder:
        path, phantom = phantom_file(Path(folder))
        frame = read_once(path)
    found = assess_frame(frame, profile=profile, network=load_network(None), outer_diameter_mm=3.05)
    if found.cortex is None and found.exposure is not None:
        cortex = segment_bone(found.exposure, found.needle, truth_prior(phantom))
        found = assess_frame(frame, profile=profile, outer_diameter_mm=3.05, needle=found.needle, cortex=cortex)
    return found


def timed(name: str, step: Callable[[int], object], updates: int) -> float:
    """Median rate [1/s] of a step, with its times printed."""
    step(0)
    wall, processor = [], []
    for k in range(updates):
        start = time.perf_counter(), time.process_time()
        step(k)
        wall.append(1000 * (time.perf_counter() - start[0]))
        processor.append(1000 * (time.process_time() - start[1]))
    rate = 1000 / float(np.median(wall))
    print(f"  {name:38s} median {np.median(wall):6.1f} ms   95 % {np.percentile(wall, 95):6.1f} ms   "
          f"processor {np.median(processor):6.1f} ms   {rate:6.0f} updates/s")  # fmt: skip
    return rate


def bench(base: Assessment, updates: int) -> bool:
    profile = read_profile(None)
    assert base.needle is not None and base.cortex is not None and base.exposure is not None
    tip, lines = base.needle.tip, base.cortex.lines
    turn = np.linspace(0, 2 * np.pi, updates, endpoint=False)
    path = [(tip[0] + 25 * np.sin(t), tip[1] + 25 * np.cos(t)) for t in turn]
    hand = Corrections().changed(by="bench", tip=tip)
    near = nearest_index(lines[0], tip)

    def dragged(k: int, quick: bool = True) -> Assessment:
        return reassess(base, hand.changed(by="bench", tip=path[k]), profile, quick=quick)

    bare = replace(base, needle=None, placement=None)
    far = tuple(tip[i] + base.needle.length_px * base.needle.axis[i] for i in (0, 1))

    def drawn(k: int) -> Assessment:
        return reassess(bare, hand.changed(by="bench", tip=path[k], far_end=far), profile, quick=True)

    def edited(k: int, quick: bool = True) -> Assessment:
        away = (lines[0][near][0] + 8 * np.sin(turn[k]), lines[0][near][1] + 8 * np.cos(turn[k]))
        outline = (move_point(lines[0], near, away), *lines[1:])
        return reassess(base, hand.changed(by="bench", outline=outline), profile, quick=quick)

    edges = edge_cost(base.exposure.attenuation, base.exposure.field)
    count = len(lines[0])

    def pulled(k: int) -> object:
        first, last = near % count, (near + 20 + k % 20) % count
        return replace_stretch(lines[0], first, last, snap_path(edges, tuple(lines[0][first]), tuple(lines[0][last])))

    rates = [timed("drag of the tip", dragged, updates), timed("drag of an outline point", edited, updates)]
    rates.append(timed("drag of a needle drawn from nothing", drawn, updates))
    timed("tip, full (on release)", lambda k: dragged(k, quick=False), updates // 4)
    timed("outline, full (on release)", lambda k: edited(k, quick=False), updates // 4)
    rates.append(timed("live-wire between two clicks", pulled, updates // 2))
    exposure = base.exposure
    timed("live-wire's cost map (once a frame)", lambda k: edge_cost(exposure.attenuation, exposure.field), 5)
    return min(rates) >= WANTED_HZ


def busy() -> None:
    while True:
        np.sqrt(np.arange(1e5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=120)
    parser.add_argument("--load", type=int, default=0)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    base = phantom_assessment()
    print(f"1024 x 1024, one thread, {asked.load} other processes busy; verdict {base.verdict.code.value}")
    others = [multiprocessing.Process(target=busy, daemon=True) for _ in range(asked.load)]
    for other in others:
        other.start()
    try:
        enough = bench(base, asked.updates)
    finally:
        for other in others:
            other.terminate()
    print(f"at least {WANTED_HZ:.0f} updates a second: {'yes' if enough else 'NO'}")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
