#!/usr/bin/env python3
"""Time one 1024 x 1024 frame on one thread, step by step: the median of several runs, in processor time.

usage: python scripts/bench_frame.py [FRAME.dcm ...] [--runs N]

Without files a phantom frame is drawn and written as an uncompressed DICOM file in memory. The steps are called as
`assess_frame` calls them; reading and decoding, the overlay and the mask are timed apart. Where no model of the learned prior
is installed, the prior's own time is missing and the outline starts from the phantom's truth (said in the table).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from make_samples import build_dataset, file_bytes  # noqa: E402
from sample_scenes import Sample, place, scene  # noqa: E402

from marrowpoint.assess import assess_frame  # noqa: E402
from marrowpoint.calibrate import reconcile, spacing_from_needle  # noqa: E402
from marrowpoint.cortex import BonePrior  # noqa: E402
from marrowpoint.errors import NotAssessable  # noqa: E402
from marrowpoint.fluoroscopy.field import find_exposure  # noqa: E402
from marrowpoint.fluoroscopy.locate import locate_needle  # noqa: E402
from marrowpoint.fluoroscopy.prior import infer_prior, load_network  # noqa: E402
from marrowpoint.fluoroscopy.segment import segment_bone  # noqa: E402
from marrowpoint.frame import Frame  # noqa: E402
from marrowpoint.judge import judge_frame  # noqa: E402
from marrowpoint.measure import measure_placement  # noqa: E402
from marrowpoint.phantom import PhantomFrame, render_scene  # noqa: E402
from marrowpoint.read import find_images, read_frames, read_profile  # noqa: E402
from marrowpoint.report.overlay import draw_overlay, encode_png  # noqa: E402

SIZE, NEEDLE_MM = 1024, 3.05


class Clock:
    """Processor time of each named step, run by run [ms]."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, step: str, function: Callable[[], Any]) -> Any:
        """Run a step and remember what it cost."""
        start = time.process_time()
        result = function()
        self.times.setdefault(step, []).append(1000 * (time.process_time() - start))
        return result


def phantom_file(folder: Path) -> tuple[Path, PhantomFrame]:
    """A large picture with the needle in the PSIS, as a DICOM file."""
    sample = Sample(
        name="bench.dcm",
        shows="",
        scenes=(scene(place(-92, 76, 0.5), view=(45.0, -8.0), seed=1, size=SIZE),),
        verdicts=((),),
        syntax="raw",
        header={"ImagerPixelSpacing": "pitch", "DistanceSourceToDetector": 1000, "DistanceSourceToPatient": 700},
    )
    frame = render_scene(sample.scenes[0])
    path = folder / sample.name
    path.write_bytes(file_bytes(build_dataset(sample, [frame], 1)))
    return path, frame


def truth_prior(phantom: PhantomFrame) -> BonePrior:
    """What a perfect coarse prior would say."""
    side = SIZE // 8
    hip = cv2.GaussianBlur(
        cv2.resize(phantom.truth.hip.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA), (0, 0), 1
    )
    none = np.zeros_like(hip)
    shape = (SIZE, SIZE)
    return BonePrior(
        hip=hip, other_bone=none, shaft=none, tip=none, thickness=None, agreement=1.0, frame_shape=shape, model_sha256="truth"
    )  # fmt: skip


def one_run(frame: Frame, phantom: PhantomFrame | None, clock: Clock) -> str:
    """Walk the road once; returns the verdict, or why it ended early."""
    profile, network = read_profile(None), load_network(None)
    try:
        exposure = clock("exposure", lambda: find_exposure(frame))
        prior = None
        if network is not None:
            prior = clock("prior", lambda: infer_prior(network, exposure))
        elif phantom is not None:
            prior = truth_prior(phantom)
        spacing = frame.header_spacing.spacing
        expected = None if spacing is None else NEEDLE_MM / spacing.mm_per_px
        needle = clock("locate", lambda: locate_needle(exposure, prior=prior, expected_width_px=expected))
        rung = spacing_from_needle(needle, NEEDLE_MM, profile.scale)
        calibration = reconcile(frame.header_spacing, rung)
        cortex = clock("segment", lambda: segment_bone(exposure, needle, prior))
        placement = clock("measure", lambda: measure_placement(cortex, needle, calibration, profile))
        verdict = clock("judge", lambda: judge_frame(needle, cortex, placement, frame.view, profile))
    except NotAssessable as error:
        return f"not assessable: {error.code}"
    assessment = assess_frame(frame, profile=profile, outer_diameter_mm=NEEDLE_MM, needle=needle, cortex=cortex)
    picture = clock("(overlay, drawn)", lambda: draw_overlay(assessment))
    clock("(overlay, PNG)", lambda: encode_png(picture))
    return str(verdict.code.value)


def read_once(path: Path) -> Frame:
    (image,) = find_images([path])
    return next(iter(read_frames(image, side="L", scale=read_profile(None).scale)))


def bench(path: Path, phantom: PhantomFrame | None, runs: int) -> None:
    clock, said = Clock(), ""
    for run in range(runs + 1):
        if run == 1:
            clock.times.clear()
        frame = clock("(read and decode)", lambda: read_once(path))
        said = one_run(frame, phantom, clock)
    print(f"\n{path.name}: {frame.pixels.shape[0]} x {frame.pixels.shape[1]}, {runs} runs after one to warm up; verdict {said}")
    total = np.sum([times for step, times in clock.times.items() if not step.startswith("(")], axis=0)
    for step, times in [*clock.times.items(), ("decoded frame to verdict", list(total))]:
        print(f"  {step:26s} median {np.median(times):7.1f} ms   slowest {np.max(times):7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    print("learned prior: " + ("installed" if load_network(None) is not None else "not installed, its time is missing"))
    for path in asked.files:
        bench(path, None, asked.runs)
    if not asked.files:
        with tempfile.TemporaryDirectory() as folder:
            path, phantom = phantom_file(Path(folder))
            bench(path, phantom, asked.runs)


if __name__ == "__main__":
    main()
