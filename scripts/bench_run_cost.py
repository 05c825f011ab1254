"""What a run costs: processor time and the most memory, for ``bench_run.py time|memory``."""

from __future__ import annotations

import json
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.phantom.runs_contrast import SpreadKind
from marrowpoint.phantom.runs_scenes import contrast_run, random_background
from marrowpoint.read import find_images, read_profile
from marrowpoint.runs.collect import RunRequest, assess_file


def drawn_file(path: Path, count: int) -> Path:
    """A phantom run slowed down to so many frames, written piece by piece so that the writer's memory does not count."""
    run = contrast_run(random_background(500), SpreadKind.POOL, 7, frames=34)
    shown = [np.rint(frame.pixels * 4095).astype(np.int16) for frame in run.frames()]
    rng = np.random.default_rng(7)
    noise = np.rint(rng.normal(0, 12, shown[0].shape)).astype(np.int16)
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = XRayAngiographicImageStorage, generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID, header.Modality = generate_uid(), generate_uid(), "XA"
    header.Rows, header.Columns = shown[0].shape
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.NumberOfFrames, header.FrameTime = count, 100
    header.ImagerPixelSpacing = [run.background.pitch_mm] * 2
    header.save_as(path, enforce_file_format=True)
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\x00\x00" + (2 * count * shown[0].size).to_bytes(4, "little"))
        for index in range(count):
            moved = np.roll(noise, tuple(rng.integers(0, 512, 2)), (0, 1))
            file.write(np.clip(shown[index * len(shown) // count] + moved, 0, 4095).astype("<u2").tobytes())
    return path


def cost(path: Path) -> dict:
    """Processor time and the most memory of one run, from the file to the verdict; to be called in a fresh process."""
    cv2.setNumThreads(1)
    (image,) = find_images([path])
    network = load_network(None)
    begin, wall = time.process_time(), time.monotonic()
    run = assess_file(image, RunRequest(profile=read_profile(None), network=network))
    return {
        "frames": len(run.references),
        "verdict": run.verdict.code.value,
        "followed": None if run.needle is None else round(run.needle.followed_share, 2),
        "onset": None if run.contrast is None or run.contrast.onset is None else run.contrast.onset + 1,
        "cpu_s": round(time.process_time() - begin, 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def told_cost(file: Path | None, count: int) -> None:
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        path = file or fresh.submit(drawn_file, Path(folder) / "run.dcm", count).result()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as measured:
            print(json.dumps(measured.submit(cost, path).result()))
