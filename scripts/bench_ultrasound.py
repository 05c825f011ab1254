#!/usr/bin/env python3
"""CPU time of one ultrasound frame on one core, file reading left out.

usage: python scripts/bench_ultrasound.py [FILE_OR_FOLDER ...]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from marrowpoint.assess import assess_frame
from marrowpoint.read import find_images, read_frames, read_profile

REPEATS = 5


def main(paths: list[Path]) -> None:
    cv2.setNumThreads(1)
    profile = read_profile(None)
    spent = []
    for image in find_images(paths):
        for frame in read_frames(image, scale=profile.scale):
            if frame.reference.modality != "US":
                continue
            times = []
            for _ in range(REPEATS):
                start = time.process_time()
                assess_frame(frame, profile=profile)
                times.append(1e3 * (time.process_time() - start))
            spent.append(min(times))
            print(f"{frame.reference.path} {frame.pixels.shape[1]} x {frame.pixels.shape[0]}: {min(times):.0f} ms")
    print(f"frames {len(spent)}, median {np.median(spent):.0f} ms, slowest {max(spent):.0f} ms (best of {REPEATS} each)")


if __name__ == "__main__":
    main([Path(p) for p in sys.argv[1:]] or [Path(__file__).parents[1] / "sample_dicom"])
