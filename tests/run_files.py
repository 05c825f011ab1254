"""A drawn contrast run as a multi-frame file: a pool that appears beside nothing, on a picture that moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from build_dicom import make_dicom
from run_frames import disc, make_run

from marrowpoint.read import ImageFile, find_images

COUNT, POOL_FRAME, RADIUS_PX, DENSITY, FRAME_MS = 16, 9, 14.0, 0.12, 100.0
PLACE = (120.0, 140.0)


def _added(index: int) -> np.ndarray | None:
    return None if index < POOL_FRAME else disc(*PLACE, min(RADIUS_PX, 5.0 + 3.0 * (index - POOL_FRAME)), DENSITY)


def _shift(index: int) -> tuple[float, float]:
    return (0.0, 0.0) if index < POOL_FRAME else (2.0, -1.0)


def source_picture(index: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Contrast of a frame where the patient lay in the first one, and how far the patient moved since."""
    added = _added(index)
    return (np.zeros((256, 256), np.float32) if added is None else added), _shift(index)


def contrast_file(path: Path, **tags: Any) -> Path:
    frames = make_run(COUNT, _added, shift=_shift)
    pixels = np.stack([np.round(frame.pixels * 60000) for frame in frames]).astype(np.uint16)
    return make_dicom(path, pixels, frames=COUNT, FrameTime=f"{FRAME_MS:g}", **tags)


def image_of(path: Path) -> ImageFile:
    (image,) = find_images([path])
    return image


# seconds between stills: a person presses when there is something to see
STEPS_S = (2.0, 1.0, 1.5, 2.0, 1.0, 40.0, 1.0, 2.0, 1.5, 1.0, 1.0, 2.0, 25.0, 1.0, 1.5)
BEGUN = datetime(2026, 1, 1, 10, 15)


def still_name(index: int) -> str:
    """Names do not tell the order in time."""
    return f"still_{(index * 7) % COUNT:02d}.dcm"


def still_moments() -> list[datetime]:
    return [BEGUN + timedelta(seconds=sum(STEPS_S[:index])) for index in range(COUNT)]


def write_stills(folder: Path, scaled: tuple[int, ...] = (), **tags: Any) -> list[Path]:
    """The same run as stills of one series, in order of time; the header of those `scaled` states a scale."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, (frame, moment) in enumerate(zip(make_run(COUNT, _added, shift=_shift), still_moments(), strict=True)):
        pixels = np.round(frame.pixels * 60000).astype(np.uint16)
        scale = {"DistanceSourceToPatient": "700", "DistanceSourceToDetector": "1000", "ImagerPixelSpacing": ["0.4", "0.4"]}
        paths.append(
            make_dicom(
                folder / still_name(index), pixels, SOPInstanceUID=f"1.2.826.0.1.3680043.8.498.7.{index + 1}",
                AcquisitionDateTime=moment.strftime("%Y%m%d%H%M%S.%f"),
                **(scale if index in scaled else {}), **tags,
            )
        )  # fmt: skip
    return paths
