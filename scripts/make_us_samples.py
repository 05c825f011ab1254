#!/usr/bin/env python3
"""Add ultrasound pictures of the phantom to sample_dicom/, with their truth in truth_ultrasound.toml.

usage: python scripts/make_us_samples.py [FOLDER]
"""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, UltrasoundImageStorage

from marrowpoint.phantom.ultrasound import UltrasoundPicture, UltrasoundScene, scan_scene

# name: (what it shows, scene, whether the file carries a calibrated region, verdicts that are right)
SAMPLES: dict[str, tuple[str, UltrasoundScene, bool, tuple[str, ...]]] = {
    "us_above_cortex.dcm": (
        "tip 9 mm above the crest; calibrated region", UltrasoundScene(tip=(34.0, 6.0)), True, ("above_cortex",)
    ),
    "us_at_cortex_ruler.dcm": (
        "tip at the crest; no region, only the burned-in depth ruler",
        UltrasoundScene(tip=(42.2, 2.0), seed=2), False, ("at_or_beyond_cortex",),
    ),
    "us_fascia_no_bone.dcm": (
        "layers as bright as bone that throw no shadow, and a needle; nothing to measure to",
        UltrasoundScene(peak=None, fascia_mm=(12.0, 28.0, 40.0), tip=(30.0, 5.0), seed=3), True, ("not_assessable",),
    ),
    "us_linear_oblong_doppler.dcm": (
        "linear probe, pixels that are not square, a colour box",
        UltrasoundScene(
            radius_mm=0, depth_mm=50, mm_per_px=(0.13, 0.16), peak=(32.0, 0.0), tip=(24.0, 3.0), lean_deg=35.0,
            doppler=(8.0, -20.0, 22.0, -6.0), seed=4,
        ), True, ("above_cortex",),
    ),
}  # fmt: skip


def uid(name: str) -> str:
    """Identifier derived from a name (DICOM PS3.5 B.2)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(f'marrowpoint sample {name}'.encode()).digest()[:16], 'big')}"


def build_dataset(name: str, scene: UltrasoundScene, picture: UltrasoundPicture, region: bool, number: int) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UltrasoundImageStorage, uid(name)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, uid("implementation")
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = UltrasoundImageStorage, uid(name)
    data.ImageType = ["ORIGINAL", "PRIMARY"]
    data.StudyDate, data.StudyTime, data.ContentDate, data.ContentTime = ("20260101", f"11{number:02d}00") * 2
    data.Modality, data.Manufacturer = "US", "PHANTOM"
    data.AccessionNumber, data.ReferringPhysicianName = "", ""
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "PHANTOM", "PHANTOM", "", ""
    data.StudyInstanceUID, data.SeriesInstanceUID = uid(f"study {name}"), uid(f"series {name}")
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "", 1, number
    if region:
        data.SequenceOfUltrasoundRegions = [_region(scene, picture)]
    grey = np.rint(picture.pixels * 255).astype(np.uint8)
    data.Rows, data.Columns = grey.shape
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    if picture.coloured.any():
        grey = np.repeat(grey[..., None], 3, axis=2)
        grey[picture.coloured] = (230, 140, 20)
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.compress(RLELossless, grey, generate_instance_uid=False)
    return data


def _region(scene: UltrasoundScene, picture: UltrasoundPicture) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinY0, region.RegionLocationMinX0 = picture.region[:2]
    region.RegionLocationMaxY1, region.RegionLocationMaxX1 = picture.region[2:]
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaY, region.PhysicalDeltaX = (mm / 10 for mm in scene.mm_per_px)
    return region


def truth_table(name: str, shows: str, scene: UltrasoundScene, picture: UltrasoundPicture, content: bytes) -> list[str]:
    lines = [f'["{name}"]', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', f'shows = "{shows}"']
    lines += [f"mm_per_px = [{scene.mm_per_px[0]}, {scene.mm_per_px[1]}]"]
    if picture.tip is not None:
        lines.append(f"tip = [{picture.tip[0]:.3f}, {picture.tip[1]:.3f}]")
    if picture.tip_to_cortex_mm is not None:
        lines.append(f"distance_mm = {picture.tip_to_cortex_mm:.3f}")
    return lines


HEAD = """# What is really in each ultrasound file of this folder. Made by scripts/make_us_samples.py; do not edit.
# tip: (row, column) [px]; mm_per_px: height and width of a pixel; distance_mm: signed distance of the tip to the bone
# surface in the plane, negative above; all from the phantom's geometry. verdicts: what may be said of the frame.
"""


def main(folder: Path) -> None:
    tables = []
    for number, (name, (shows, scene, region, verdicts)) in enumerate(SAMPLES.items(), start=1):
        picture = scan_scene(scene)
        buffer = io.BytesIO()
        build_dataset(name, scene, picture, region, number).save_as(buffer, enforce_file_format=True)
        (folder / name).write_bytes(buffer.getvalue())
        lines = truth_table(name, shows, scene, picture, buffer.getvalue())
        lines.append("verdicts = [" + ", ".join(f'"{word}"' for word in verdicts) + "]")
        tables.append("\n".join(lines))
        print(f"{name:28s} {len(buffer.getvalue()) / 1000:6.0f} kB  {shows}")
    (folder / "truth_ultrasound.toml").write_text(HEAD + "\n" + "\n\n".join(tables) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "sample_dicom")
