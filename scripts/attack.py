#!/usr/bin/env python3
"""Attack the program with altered copies of pictures whose truth is known, through its command line.

usage: python scripts/attack.py SET OUT [--frames 12] [--only NAME ...]

SET holds PERSON/truth.json, PERSON/STUDY/VIEW.dcm and VIEW_hipbone.png. Every copy is a study of its own with its needle on the
procedure sheet. Prints one line an attack and writes OUT/findings.txt; what is looked for stands in `attack_checks.py`, the
copies in `attack_list.py`. The exit status is 1 where good news was false or a record broke the contract.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from attack_checks import COMMENT, NAME, NUMBER, SILENT, contradiction, findings, leaked, leaks, read_records, violations
from attack_list import ATTACKS
from attack_pictures import Expect, Shot
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

FALSE = ("thin called thick", "outside called inside", "says of nothing", "measured from a false tip")
KINDS = (*FALSE, "inside called outside", "interval missed (nothing told)", "tip off", "contradiction")


@dataclass(kw_only=True)
class Outcome:
    """What came out of one attack."""

    codes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)


# the placements that good news could be false about come first
WORTH = ("marrow", "thin", "short", "through", "cortical")

Copies = dict[str, dict[str, Shot]]


def chosen(folder: Path, count: int) -> list[tuple[str, dict[str, Any], Path]]:
    """Frames in turns over what the placements, views and people are."""
    turns: dict[tuple[str, str], list[tuple[str, dict[str, Any], Path]]] = {}
    for file in sorted(folder.glob("*/truth.json")):
        for truth in json.loads(file.read_text()):
            name = f"{file.parent.name}_{truth['id'].replace('/', '_')}"
            turns.setdefault((truth["placement"], truth["view"]), []).append((name, truth, file.parent))
    rows = sorted(turns.items(), key=lambda turn: (turn[0][1], WORTH.index(turn[0][0])))
    # a different person each time round
    turned = ((frames[(turn + k) % len(frames)], len(frames) > turn) for turn in range(3) for k, (_, frames) in enumerate(rows))
    return [frame for frame, new in turned if new][:count]


def shot_of(name: str, truth: dict[str, Any], folder: Path) -> Shot:
    header = dcmread(folder / f"{truth['id']}.dcm")
    stored = header.pixel_array.astype(np.float32)
    del header.PixelData
    header.PatientName, header.PatientID, header.PatientComments = NAME, NUMBER, COMMENT
    hip = cv2.imread(str(folder / f"{truth['id']}_hipbone.png"), cv2.IMREAD_GRAYSCALE) > 127
    grey = stored / (2**header.BitsStored - 1)
    # outside of the field every picture here is as good as even
    rough = cv2.boxFilter(grey * grey, -1, (9, 9)) - cv2.boxFilter(grey, -1, (9, 9)) ** 2 > 1e-7
    field = cv2.morphologyEx(rough.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((41, 41), np.uint8)) > 0
    return Shot(
        grey=grey, header=header, tip=np.array(truth["tip_xy_px"]), axis=np.array(truth["shaft_dir_xy"]), hip=hip, field=field,
        width_px=truth["needle_od_mm"] / truth["mm_per_px_at_tip"], mm_per_px=truth["mm_per_px_at_tip"],
        needle_mm=truth["needle_od_mm"], distance_mm=truth["signed_tip_to_silhouette_mm"],
        thickness_mm=truth["local_thickness_3d_mm"],
    )  # fmt: skip


def write(shot: Shot, file: Path, uid: str) -> None:
    header = shot.header
    header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID = uid, f"{uid}.1", f"{uid}.1.1"
    bits = 8 if shot.eight else 16
    grey = np.rint(np.clip(shot.grey, 0, 1) * (2**bits - 1)).astype(np.uint8 if shot.eight else "<u2")
    pixels = np.repeat(grey[..., None], 3, axis=2) if shot.eight else grey
    header.Rows, header.Columns = grey.shape
    header.SamplesPerPixel = 3 if shot.eight else 1
    if shot.eight:
        header.PhotometricInterpretation, header.PlanarConfiguration = "RGB", 0
    header.BitsAllocated = header.BitsStored = bits
    header.HighBit, header.PixelRepresentation = bits - 1, 0
    data = pixels.tobytes()
    header.PixelData = data + b"\0" * (len(data) % 2)
    header["PixelData"].VR = "OB" if shot.eight else "OW"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.save_as(file, enforce_file_format=True)


def make_copies(names: list[str], shots: dict[str, Shot], out: Path) -> Copies:
    """Write the altered copies, OUT/copies/ATTACK/FRAME.dcm, and the sheet; what is none for a frame is left out."""
    copies: Copies = {}
    rows = ["study_instance_uid,needle"]
    for name in names:
        folder = out / "copies" / folder_of(name)
        folder.mkdir(parents=True, exist_ok=True)
        for key, shot in shots.items():
            other = ATTACKS[name][1](shot)
            if other is None:
                continue
            uid = f"1.2.826.0.1.3680043.10.{int(sha256(f'{name}/{key}'.encode()).hexdigest()[:12], 16)}"
            write(other, folder / f"{key}.dcm", uid)
            copies.setdefault(name, {})[key] = other
            rows += [f"{uid},{other.needle_mm:g}mm"] if other.needle_mm else []
    (out / "sheet.csv").write_text("\n".join(rows) + "\n")
    return copies


def folder_of(name: str) -> str:
    return name.replace(" ", "_").replace("%", "percent").replace("/", "by")


def analyze(out: Path) -> list[str]:
    """Run the command; what went wrong as a whole."""
    command = [sys.executable, "-m", "marrowpoint", "analyze", str(out / "copies"), "--out", str(out / "results")]
    command += ["--procedure", str(out / "sheet.csv")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    wrong = [f"leak: {file}" for file in leaks(out / "results")]
    wrong += [f"leak: {stream}" for stream in ("stdout", "stderr") if leaked(getattr(done, stream).encode())]
    if done.returncode != 0 or "Traceback" in done.stderr:
        wrong.append(f"crash: exit status {done.returncode}: {done.stderr.strip()[-300:]}")
    return wrong


def judge(copies: Copies, out: Path) -> tuple[dict[str, Outcome], list[str]]:
    """Compare every record with the truth of its copy, with the contract, and with the record of the plain copy."""
    outcomes = {name: Outcome() for name in copies}
    named = {folder_of(name): name for name in copies}
    broken: list[str] = []
    frames: dict[tuple[str, str], dict[str, Any]] = {}
    for record in read_records(out / "results"):
        where = record["source"]["path"] if "source" in record else str(record.get("frames"))
        broken += [f"contract: {text} ({where})" for text in violations(record)]
        if record["record"] == "frame":
            path = Path(where)
            frames[named[path.parent.name], path.stem] = record
    for name, altered in copies.items():
        for key, shot in altered.items():
            if (name, key) not in frames:
                broken.append(f"crash: no record of {name}, {key}")
                continue
            compare(outcomes[name], name, shot, frames[name, key], frames["plain", key], key)
    return outcomes, broken


def compare(outcome: Outcome, name: str, shot: Shot, record: dict[str, Any], plain: dict[str, Any], key: str) -> None:
    expect = ATTACKS[name][0]
    outcome.codes[record["verdict"]["code"]] += 1
    outcome.findings += [f"{text} [{key}]" for text in findings(shot, record, expect)]
    if expect is Expect.SAME and name != "plain":
        stands = contradiction(plain, record)
        outcome.compared[stands.split(":")[0]] += 1
        outcome.findings += [f"{stands} [{key}]"] if stands.startswith("contradiction") else []


def line(name: str, outcome: Outcome) -> str:
    count, answered = outcome.codes.total(), sum(n for code, n in outcome.codes.items() if code not in SILENT)
    told = Counter(kind for text in outcome.findings for kind in KINDS if text.startswith(kind))
    wrong = ", ".join(f"{n} {kind}" for kind, n in told.items()) or "-"
    compared = ", ".join(f"{n} {kind}" for kind, n in outcome.compared.most_common()) or "-"
    return f"| {name} | {ATTACKS[name][0]} | {count} | {answered} | {compared} | {wrong} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--skip", type=int, default=0, help="so many of the frames are passed over first")
    parser.add_argument("--only", nargs="*", default=list(ATTACKS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    frames = chosen(options.set, options.skip + options.frames)[options.skip :]
    shots = {name: shot_of(name, truth, folder) for name, truth, folder in frames}
    copies = make_copies(list(dict.fromkeys(("plain", *options.only))), shots, options.out)
    begun = time.monotonic()
    broken = analyze(options.out)
    outcomes, more = judge(copies, options.out)
    print("| attack | must be | frames | answered | beside the plain copy | found |\n|---|---|---|---|---|---|")
    print(*(line(name, outcome) for name, outcome in outcomes.items()), sep="\n")
    told = [f"{name}: {text}" for name, outcome in outcomes.items() for text in outcome.findings] + broken + more
    (options.out / "findings.txt").write_text("\n".join(told) + "\n")
    print(*told, f"{time.monotonic() - begun:.0f} s for {sum(map(len, copies.values()))} frames", sep="\n")
    return int(any(kind in text for text in told for kind in (*FALSE, "contract", "leak", "crash")))


if __name__ == "__main__":
    sys.exit(main())
