#!/usr/bin/env python3
"""Attack the ultrasound road with altered copies of frames whose truth is known, through the command line.

usage: python scripts/attack_ultrasound.py SET OUT [--frames 8] [--only NAME ...]

SET holds truth.json and ID.dcm. Prints one line an attack; the exit status is 1 where a claim was false or a record broke the
contract.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from math import hypot
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from attack import analyze, folder_of
from attack_checks import COMMENT, NAME, NUMBER, SILENT, read_records, violations
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

Bytes = NDArray[np.uint8]
BLOCK_PX, STRIP_MM, FAR_MM, MISS_MM = 80, 3.0, 3.0, 1.5
SECONDS, DELTAS = 4, ("PhysicalDeltaX", "PhysicalDeltaY")
FALSE = ("says of nothing", "contact that is none", "no contact at bone", "interval missed", "tip off", "contradiction")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A frame with its header and truth; points are (x, y) [px], `gap_mm` is negative above the bone, None without a needle."""

    grey: Bytes
    header: Dataset
    tip: NDArray[np.float64] | None
    axis: NDArray[np.float64] | None
    bone: NDArray[np.float64]
    mm_per_px: float
    gap_mm: float | None


Change = Callable[[Scan], Scan | None]


def scan_of(truth: dict[str, Any], folder: Path) -> Scan:
    header = dcmread(folder / f"{truth['id']}.dcm")
    grey = header.pixel_array.astype(np.uint8)
    del header.PixelData
    header.PatientName, header.PatientID, header.PatientComments = NAME, NUMBER, COMMENT
    tip, axis = (None if truth.get(key) is None else np.array(truth[key]) for key in ("tip_xy_px", "shaft_dir_xy"))
    bone = np.array([point for point in truth["bone_line_px"] if point]).reshape(-1, 2)
    gap = truth["signed_tip_to_cortex_mm"]
    return Scan(grey=grey, header=header, tip=tip, axis=axis, bone=bone, mm_per_px=truth["mm_per_px"], gap_mm=gap)


def with_regions(scan: Scan, change: Callable[[Dataset], None]) -> Scan | None:
    header = deepcopy(scan.header)
    if not header.get("SequenceOfUltrasoundRegions"):
        return None
    for region in header.SequenceOfUltrasoundRegions:
        change(region)
    return replace(scan, header=header)


def rescaled_deltas(scan: Scan, factor: float) -> Scan | None:
    def change(region: Dataset) -> None:
        for name in DELTAS:
            setattr(region, name, float(region[name].value) * factor)

    return with_regions(scan, change)


def in_seconds(scan: Scan) -> Scan | None:
    def change(region: Dataset) -> None:
        region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = SECONDS

    return with_regions(scan, change)


def without_region(scan: Scan) -> Scan | None:
    header = deepcopy(scan.header)
    return None if header.pop("SequenceOfUltrasoundRegions", None) is None else replace(scan, header=header)


def mirrored(scan: Scan) -> Scan:
    width = scan.grey.shape[1]

    def change(region: Dataset) -> None:
        left, right = region.RegionLocationMinX0, region.RegionLocationMaxX1
        region.RegionLocationMinX0, region.RegionLocationMaxX1 = width - 1 - right, width - 1 - left

    tip = None if scan.tip is None else scan.tip * [-1, 1] + [width - 1, 0]
    other = replace(scan, grey=np.ascontiguousarray(scan.grey[:, ::-1]), tip=tip)
    return with_regions(other, change) or other


def scaled(scan: Scan, factor: float) -> Scan:
    size = tuple(round(n * factor) for n in scan.grey.shape[1::-1])
    grey = cv2.resize(scan.grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)

    def change(region: Dataset) -> None:
        for name in ("MinX0", "MinY0", "MaxX1", "MaxY1"):
            keyword = f"RegionLocation{name}"
            setattr(region, keyword, round(region[keyword].value * factor))
        for name in DELTAS:
            setattr(region, name, float(region[name].value) / factor)

    other = replace(scan, grey=grey, tip=None if scan.tip is None else scan.tip * factor, mm_per_px=scan.mm_per_px / factor)
    return with_regions(other, change) or other


def curved(scan: Scan, gamma: float) -> Scan:
    return replace(scan, grey=np.rint(255 * (scan.grey / 255.0) ** gamma).astype(np.uint8))


def squeezed(scan: Scan, quality: int) -> Scan:
    _, data = cv2.imencode(".jpg", scan.grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return replace(scan, grey=cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


def painted(scan: Scan, hidden: NDArray[np.bool_]) -> Scan:
    """Speckle from elsewhere at the same depth over what is hidden."""
    grey = scan.grey.copy()
    for step in (60, -60, 120, -120, 180, -180):
        donor, free = np.roll(scan.grey, step, axis=1), ~np.roll(hidden, step, axis=1)
        grey[hidden & free] = donor[hidden & free]
        hidden = hidden & ~free
    return replace(scan, grey=grey)


def without_needle(scan: Scan) -> Scan | None:
    if scan.tip is None or scan.axis is None:
        return None
    rows, columns = np.indices(scan.grey.shape[:2])
    along = (columns - scan.tip[0]) * scan.axis[0] + (rows - scan.tip[1]) * scan.axis[1]
    across = np.abs((columns - scan.tip[0]) * scan.axis[1] - (rows - scan.tip[1]) * scan.axis[0])
    strip = STRIP_MM / scan.mm_per_px
    return replace(painted(scan, (across < strip) & (along > -2 * strip)), tip=None)


def without_bone(scan: Scan) -> Scan | None:
    """Dark below a level above all bone that is seen: the probe was not pressed on, or the depth is too small."""
    if not len(scan.bone) or scan.tip is None or scan.bone[:, 1].min() - scan.tip[1] < 2 / scan.mm_per_px:
        return None
    grey = scan.grey.copy()
    grey[round(float(scan.bone[:, 1].min())) - 6 :] = 0
    return replace(scan, grey=grey)


def shuffled(scan: Scan) -> Scan:
    rows, columns = (n // BLOCK_PX * BLOCK_PX for n in scan.grey.shape[:2])
    places = [(r, c) for r in range(0, rows, BLOCK_PX) for c in range(0, columns, BLOCK_PX)]
    grey = scan.grey.copy()
    for (r, c), k in zip(places, np.random.default_rng(4).permutation(len(places)), strict=True):
        i, j = places[k]
        grey[r : r + BLOCK_PX, c : c + BLOCK_PX] = scan.grey[i : i + BLOCK_PX, j : j + BLOCK_PX]
    return replace(scan, grey=grey, tip=None)


# name: what must hold ("same": as the plain copy; "true": as the truth says; "nothing": no claim), and the change
ATTACKS: dict[str, tuple[str, Change]] = {
    "plain": ("same", lambda s: s),
    "mirrored": ("same", mirrored),
    "half the pixels": ("same", partial(scaled, factor=0.5)),
    "twice the pixels": ("same", partial(scaled, factor=2.0)),
    "gamma 0.8": ("same", partial(curved, gamma=0.8)),
    "gamma 1.3": ("same", partial(curved, gamma=1.3)),
    "JPEG 50": ("same", partial(squeezed, quality=50)),
    "steps x 2": ("true", partial(rescaled_deltas, factor=2.0)),
    "steps / 2": ("true", partial(rescaled_deltas, factor=0.5)),
    "steps in mm": ("true", partial(rescaled_deltas, factor=10.0)),
    "steps in inches": ("true", partial(rescaled_deltas, factor=1 / 2.54)),
    "unit of seconds": ("true", in_seconds),
    "no region": ("true", without_region),
    "needle painted over": ("nothing", without_needle),
    "no bone in the picture": ("nothing", without_bone),
    "blocks shuffled": ("nothing", shuffled),
}


def findings(scan: Scan, record: dict[str, Any], must: str) -> list[str]:
    code, needle, distance = record["verdict"]["code"], record["needle"], record["measurements"]["tip_to_cortex"]
    if must == "nothing" or scan.tip is None or scan.gap_mm is None:
        return [] if code in SILENT else [f"says of nothing: {code}"]
    found = []
    if code == "at_or_beyond_cortex" and scan.gap_mm < -FAR_MM:
        found.append(f"contact that is none: {scan.gap_mm:.1f} mm")
    if code == "above_cortex" and scan.gap_mm >= 0:
        found.append("no contact at bone")
    told = bool({"scale_conflict", "scale_unknown"} & set(record["verdict"]["flags"])) or code in SILENT
    if distance is not None and distance["unit"] == "mm" and code != "at_or_beyond_cortex" and not told:
        missed = max(distance["lower"] - scan.gap_mm, scan.gap_mm - distance["upper"], 0.0)
        if missed > MISS_MM:
            found.append(f"interval missed: {missed:.1f} mm, says {distance['value']:.1f}, is {scan.gap_mm:.1f}")
    if needle is not None and code not in SILENT:
        off_mm = hypot(*(needle["tip_xy"] - scan.tip)) * scan.mm_per_px
        found += [f"tip off: {off_mm:.0f} mm, {code}"] if off_mm > FAR_MM else []
    return found


def make_copies(names: list[str], scans: dict[str, Scan], out: Path) -> dict[tuple[str, str], Scan]:
    copies: dict[tuple[str, str], Scan] = {}
    for name in names:
        folder = out / "copies" / folder_of(name)
        folder.mkdir(parents=True, exist_ok=True)
        for key, scan in scans.items():
            other = ATTACKS[name][1](scan)
            if other is not None:
                copies[folder.name, key] = other
                write(other, folder / f"{key}.dcm", f"1.2.826.0.1.3680043.10.{len(copies)}")
    (out / "sheet.csv").write_text("study_instance_uid\n")
    return copies


def write(scan: Scan, file: Path, uid: str) -> None:
    header = deepcopy(scan.header)
    header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID = uid, f"{uid}.1", f"{uid}.1.1"
    header.Rows, header.Columns = scan.grey.shape[:2]
    data = scan.grey.tobytes()
    header.PixelData = data + b"\0" * (len(data) % 2)
    header["PixelData"].VR = "OB"
    if scan.grey.ndim == 3:
        header.PhotometricInterpretation, header.PlanarConfiguration = "RGB", 0
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.save_as(file, enforce_file_format=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=list(ATTACKS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(("plain", *options.only)))
    truths = json.loads((options.set / "truth.json").read_text())[: options.frames]
    copies = make_copies(names, {truth["id"]: scan_of(truth, options.set) for truth in truths}, options.out)
    told = analyze(options.out)
    frames: dict[tuple[str, str], dict[str, Any]] = {}
    for record in read_records(options.out / "results"):
        told += [f"contract: {text}" for text in violations(record)]
        if record["record"] == "frame":
            path = Path(record["source"]["path"])
            frames[path.parent.name, path.stem] = record
    print("| attack | must be | frames | answered | as the plain copy | found |\n|---|---|---|---|---|---|")
    for name in names:
        told += report(name, copies, frames)
    print(*told, sep="\n")
    return int(bool(told))


def report(name: str, copies: dict[tuple[str, str], Scan], frames: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    """Print the line of one attack; what was found, in words."""
    must, own, answered, alike = ATTACKS[name][0], folder_of(name), 0, 0
    keys = [key for folder, key in copies if folder == own]
    told = []
    for key in keys:
        record = frames.get((own, key))
        if record is None:
            told.append(f"{name}: crash: no record of {key}")
            continue
        code, plain = record["verdict"]["code"], frames["plain", key]["verdict"]["code"]
        answered += code not in SILENT
        alike += code == plain
        told += [f"{name}: {text} [{key}]" for text in findings(copies[own, key], record, must)]
        if must == "same" and code != plain and not SILENT & {code, plain}:
            told.append(f"{name}: contradiction: {plain}, {code} [{key}]")
    kinds = Counter(kind for text in told for kind in FALSE if f": {kind}" in text)
    wrong = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "-"
    print(f"| {name} | {must} | {len(keys)} | {answered} | {alike if must == 'same' else '-'} | {wrong} |")
    return told


if __name__ == "__main__":
    sys.exit(main())
