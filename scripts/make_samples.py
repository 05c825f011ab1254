#!/usr/bin/env python3
"""Make sample_dicom/: phantom pictures as DICOM files, their truth and a procedure sheet.

usage: python scripts/make_samples.py [FOLDER]

The same versions of the libraries give the same bytes: identifiers are hashes of names, dates are fixed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from pathlib import Path

import cv2
import numpy as np
from openjpeg.utils import encode_array
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

sys.path.insert(0, str(Path(__file__).parent))
from sample_scenes import Sample, samples

from marrowpoint.phantom import PhantomFrame, render_scene

CLASSES = {"XA": XRayAngiographicImageStorage, "RF": XRayRadiofluoroscopicImageStorage, "OT": SecondaryCaptureImageStorage}
SYNTAXES = {"rle": RLELossless, "jpeg2000": JPEG2000Lossless, "jpegls": JPEGLSLossless}
DATE, TIME = "20260101", "101500"


def uid(name: str) -> str:
    """Identifier derived from a name (DICOM PS3.5 B.2: 2.25. and a 128-bit number)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(f'marrowpoint sample {name}'.encode()).digest()[:16], 'big')}"


def study_uid(sample: Sample) -> str:
    return uid(f"study {sample.study or sample.name}")


def build_dataset(sample: Sample, frames: list[PhantomFrame], number: int) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CLASSES[sample.modality]
    meta.MediaStorageSOPInstanceUID = uid(sample.name)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "MARROWPOINT"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.ImageType = ["DERIVED", "SECONDARY"] if sample.modality == "OT" else ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    data.StudyDate = data.ContentDate = data.AcquisitionDate = DATE
    data.StudyTime = data.ContentTime = data.AcquisitionTime = f"{int(TIME) + number:06d}"
    data.Modality, data.Manufacturer = sample.modality, "PHANTOM"
    data.AccessionNumber, data.ReferringPhysicianName = "", ""
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "PHANTOM", "PHANTOM", "", ""
    data.StudyInstanceUID, data.SeriesInstanceUID = study_uid(sample), uid(f"series {sample.name}")
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "", 1, number
    if sample.modality == "OT":
        data.ConversionType = "WSD"
    else:
        data.KVP, data.RadiationSetting, data.PatientPosition = 75, "SC", "HFP"
        data.PixelIntensityRelationship = "LOG"
        data.BodyPartExamined, data.ImageLaterality = "PELVIS", "L"
        data.PositionerPrimaryAngle = f"{sample.scenes[0].beam.primary_deg:.1f}"
        data.PositionerSecondaryAngle = f"{sample.scenes[0].beam.secondary_deg:.1f}"
    _scale(data, sample, frames[0])
    _pixels(data, sample, frames)
    return data


def _scale(data: Dataset, sample: Sample, frame: PhantomFrame) -> None:
    lengths = {"pitch": sample.scenes[0].beam.pitch_mm, "true": frame.truth.mm_per_px}
    for keyword, value in sample.header.items():
        spacing = lengths.get(value) if isinstance(value, str) else None
        setattr(data, keyword, [f"{spacing:.6f}"] * 2 if spacing is not None else value)


def _pixels(data: Dataset, sample: Sample, frames: list[PhantomFrame]) -> None:
    stack = np.stack([frame.pixels for frame in frames])
    bits = sample.scenes[0].display.bits
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    if sample.monochrome1:
        stack, data.PhotometricInterpretation = 2**bits - 1 - stack, "MONOCHROME1"
    if sample.colour:
        stack = np.stack([screenshot(frame) for frame in stack])
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    if len(stack) > 1:
        data.NumberOfFrames = len(stack)
    data.Rows, data.Columns = stack.shape[1:3]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8 * stack.itemsize, bits, bits - 1, 0
    if sample.syntax == "raw":
        data["PixelData"] = _element(stack)
    else:
        encode(data, stack, SYNTAXES[sample.syntax])


def encode(data: Dataset, stack: np.ndarray, syntax: str) -> None:
    if syntax == JPEG2000Lossless:
        kind = 1 if stack.ndim == 4 else 2
        coded = [encode_array(frame, bits_stored=data.BitsStored, photometric_interpretation=kind) for frame in stack]
        data.PixelData = encapsulate([part + b"\0" * (len(part) % 2) for part in coded])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
        data.file_meta.TransferSyntaxUID = syntax
        if stack.ndim == 4:
            data.PhotometricInterpretation = "YBR_RCT"
    else:
        data.compress(syntax, stack if len(stack) > 1 else stack[0], generate_instance_uid=False)


def _element(stack: np.ndarray) -> DataElement:
    return DataElement(0x7FE00010, "OW" if stack.itemsize == 2 else "OB", stack.astype(stack.dtype.newbyteorder("<")).tobytes())


def screenshot(picture: np.ndarray) -> np.ndarray:
    """A grey picture as a workstation shows it: coloured texts around it."""
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    for k, (text, shade) in enumerate((("PHANTOM", (255, 255, 0)), ("75 kV", (0, 255, 255)), ("L", (0, 255, 0)))):
        cv2.putText(colour, text, (8, 20 + 20 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.5, shade, 1, cv2.LINE_AA)
    return colour


def file_bytes(data: Dataset) -> bytes:
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def truth_table(sample: Sample, frames: list[PhantomFrame], content: bytes) -> str:
    lines = [f'["{sample.name}"]', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', f'shows = "{sample.shows}"']
    lines += [f'study_instance_uid = "{study_uid(sample)}"']
    lines += [f'view = "{sample.view}"', f'header_scale = "{sample.scale}"']
    needle = sample.scenes[0].needle
    if needle is not None and sample.procedure:
        lines.append(f"needle_od_mm = {needle.outer_diameter_mm}")
    for number, (frame, allowed) in enumerate(zip(frames, sample.verdicts, strict=True), start=1):
        truth = frame.truth
        lines += ["", f'[["{sample.name}".frames]]', f"number = {number}"]
        lines += [f"verdicts = {_texts(allowed)}", f"never = {_texts(sample.never)}"]
        if truth.tip is None or truth.axis is None:
            continue
        lines += [f"tip = [{truth.tip[0]:.3f}, {truth.tip[1]:.3f}]", f"axis = [{truth.axis[0]:.4f}, {truth.axis[1]:.4f}]"]
        lines += [f"mm_per_px = {truth.mm_per_px:.5f}", f"beam_angle_deg = {truth.beam_angle_deg:.1f}"]
        lines += [f"distance_mm = {truth.tip_to_cortex_mm:.3f}", f"distance_3d_mm = {truth.tip_to_bone_3d_mm:.3f}"]
        lines += [f"thickness_mm = {truth.local_thickness_mm:.2f}"]
    return "\n".join(lines)


def _texts(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


HEAD = """# What is really in each file of this folder. Made by scripts/make_samples.py; do not edit.
# tip, axis: (row, column), projected from the apex of the needle's cone and its axis in space.
# distance_mm: signed distance of the projected tip to the projected outline at the depth of the tip, positive inside.
# distance_3d_mm: signed distance to the bone's surface in space. thickness_mm: diameter of the largest sphere in the bone
# that holds the tip. All from the phantom's geometry, none from its pixels.
# verdicts: what may be said of a frame; never: what must not; header_scale: the rung that the header alone gives.
"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tables, rows = [], {}
    for number, sample in enumerate(samples(), start=1):
        frames = [render_scene(scene) for scene in sample.scenes]
        content = file_bytes(build_dataset(sample, frames, number))
        (folder / sample.name).write_bytes(content)
        tables.append(truth_table(sample, frames, content))
        needle = sample.scenes[0].needle
        if needle is not None and sample.procedure:
            rows[study_uid(sample)] = f"{needle.outer_diameter_mm}mm"
        print(f"{sample.name:28s} {len(content) / 1000:6.0f} kB  {sample.shows}")
    (folder / "truth.toml").write_text(HEAD + "\n" + "\n\n".join(tables) + "\n", encoding="utf-8")
    with (folder / "procedure.csv").open("w", newline="", encoding="utf-8") as sheet:
        writer = csv.writer(sheet, lineterminator="\n")
        writer.writerow(["study_instance_uid", "site", "side", "needle", "phase"])
        for number, (study, size) in enumerate(rows.items(), start=1):
            writer.writerow([study, number, "L", size, "harvest"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "sample_dicom")
