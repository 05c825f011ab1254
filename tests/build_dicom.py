"""Small DICOM files made for tests: known pixels, any tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayRadiofluoroscopicImageStorage

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
PATIENT_NAME = "Secretname^Very"
PATIENT_ID = "SECRET-4711"


def make_dataset(pixels: np.ndarray | None, *, bits: int | None = None, frames: int | None = None, **tags: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = XRayRadiofluoroscopicImageStorage
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    dataset.StudyInstanceUID = STUDY_UID
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    dataset.Modality = "RF"
    dataset.StudyDate, dataset.StudyTime = "20260101", "101500"
    dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
    dataset.PatientPosition = "HFP"
    if pixels is not None:
        allocated = 8 * pixels.dtype.itemsize
        shape = pixels.shape if frames is None else pixels.shape[1:]
        dataset.Rows, dataset.Columns = shape[:2]
        dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
        dataset.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
        if len(shape) == 3:
            dataset.PlanarConfiguration = 0
        if frames is not None:
            dataset.NumberOfFrames = frames
        dataset.BitsAllocated = allocated
        dataset.BitsStored = bits or allocated
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OW" if allocated == 16 else "OB"
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def write_dicom(path: Path, dataset: Dataset) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def make_dicom(path: Path, pixels: np.ndarray | None, **options: Any) -> Path:
    return write_dicom(path, make_dataset(pixels, **options))
