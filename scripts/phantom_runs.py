"""Phantom runs as DICOM files, for pictures and timings of the review: a needle that comes and goes, and contrast in a vein."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

from marrowpoint.phantom.runs_contrast import SpreadKind
from marrowpoint.phantom.runs_scenes import PhantomRun, contrast_run, needle_run, random_background

SOD_MM, SID_MM = 700.0, 1000.0
BEGUN = datetime(2026, 1, 1, 10, 15)
RUNS = ("contrast_vein.dcm", "contrast_pool.dcm", "needle.dcm")


def write_run(run: PhantomRun, path: Path) -> None:
    """Save a run as one multi-frame file with its frame time and its scale."""
    frames = [_stored(frame.pixels) for frame in run.frames()]
    data = _dataset(run, path.name)
    data.FrameTime = f"{run.camera.frame_ms:g}"
    data.NumberOfFrames = len(frames)
    _save(data, frames, path)


def write_stills(run: PhantomRun, folder: Path, taken: Mapping[int, float]) -> None:
    """Save some frames of a run as stills of one series.

    Parameters
    ----------
    run : PhantomRun
    folder : Path
    taken : mapping of int to float
        Frames (from 0) that are saved, and when each was taken [s].
    """
    for index, frame in enumerate(run.frames()):
        if index in taken:
            data = _dataset(run, folder.name)
            data.SOPInstanceUID = generate_uid(entropy_srcs=[folder.name, str(index)])
            data.AcquisitionDateTime = (BEGUN + timedelta(seconds=taken[index])).strftime("%Y%m%d%H%M%S.%f")
            _save(data, [_stored(frame.pixels)], folder / f"still {sorted(taken).index(index) + 1:02d}.dcm")


def _stored(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (2**12 - 1)).astype("<u2")


def _dataset(run: PhantomRun, name: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = XRayAngiographicImageStorage
    data.SOPInstanceUID, data.StudyInstanceUID, data.SeriesInstanceUID = (
        generate_uid(entropy_srcs=[name, part]) for part in ("instance", "study", "series")
    )
    data.Modality, data.PatientName, data.PatientID = "XA", "Phantom", "PHANTOM"
    data.StudyDate, data.StudyTime = BEGUN.strftime("%Y%m%d"), BEGUN.strftime("%H%M%S")
    data.DistanceSourceToPatient, data.DistanceSourceToDetector = f"{SOD_MM:g}", f"{SID_MM:g}"
    size = run.background.mm_per_px * SID_MM / SOD_MM
    data.ImagerPixelSpacing = [f"{size:.5f}", f"{size:.5f}"]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    return data


def _save(data: Dataset, frames: Sequence[np.ndarray], path: Path) -> None:
    data.Rows, data.Columns = frames[0].shape
    data.PixelData = b"".join(frame.tobytes() for frame in frames)
    data["PixelData"].VR = "OW"
    data.save_as(path, enforce_file_format=True)


def main(folder: Path, pelvis: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    background = random_background(pelvis)
    write_run(contrast_run(background, SpreadKind.VEIN, 1000, frames=40, vein_width_mm=2.5), folder / RUNS[0])
    write_run(contrast_run(background, SpreadKind.POOL, 1001, frames=40), folder / RUNS[1])
    write_run(needle_run(background, 1002), folder / RUNS[2])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
