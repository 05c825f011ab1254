#!/usr/bin/env python3
"""Accuracy by stratum: print a table from the results of an evaluation set with truth.json files.

usage: python scripts/strata.py SET RESULTS

SET holds PERSON/truth.json, PERSON/STUDY/VIEW.dcm and VIEW_hipbone.png, RESULTS holds PERSON/results.jsonl and PERSON/masks.
The display curve is no part of the truth; it is read from the picture: how much of it is burnt out to one extreme value, and
whether the grey of the hip bone is dark, middle or bright.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from marrowpoint import find_images, read_frames, read_profile

BURNT = 0.01  # of the range: as good as the extreme value


def rows(truths: Path, results: Path) -> list[dict]:
    """One row a frame: strata and errors [mm]."""
    out = []
    for file in sorted(truths.glob("*/truth.json")):
        person = file.parent.name
        records = {}
        for line in (results / person / "results.jsonl").read_text().splitlines():
            record = json.loads(line)
            if record["record"] == "frame":
                records["/".join(record["source"]["path"].split("/")[-2:])] = record
        out += [measured(t, records[f"{t['id']}.dcm"], file.parent, results / person) for t in json.loads(file.read_text())]
    return out


def shown(file: Path, bone: np.ndarray, bone_white: bool) -> tuple[str, str]:
    """How much of a picture is burnt out, and how bright the bone is shown."""
    frame = next(iter(read_frames(next(iter(find_images([file]))), scale=read_profile(None).scale)))
    grey = frame.pixels if bone_white else 1 - frame.pixels
    grey = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-6)
    burnt, middle = float((grey < BURNT).mean()), float(np.median(grey[bone]))
    burnt_name = "up to 10 %" if burnt <= 0.1 else "10 to 30 %" if burnt <= 0.3 else "over 30 %"
    return burnt_name, "dark" if middle < 0.35 else "middle" if middle < 0.65 else "bright"


def measured(truth: dict, record: dict, folder: Path, results: Path) -> dict:
    """Errors of one frame beside what it was made of."""
    needle, lengths = record["needle"], record["measurements"] or {}
    distance, tip = lengths.get("tip_to_cortex"), None
    if needle:
        tip = float(np.hypot(*np.subtract(needle["tip_xy"], truth["tip_xy_px"])) * truth["mm_per_px_at_tip"])
    error = covered = None
    true_mm = truth["signed_tip_to_silhouette_mm"]
    if distance and distance["unit"] == "mm":
        error, covered = abs(distance["value"] - true_mm), distance["lower"] <= true_mm <= distance["upper"]
    found = cv2.imread(str(next(results.glob(f"masks/**/{truth['id']}.dcm.png"))), 0) > 127
    bone = cv2.imread(str(folder / f"{truth['id']}_hipbone.png"), 0) > 127
    dice = 2 * (found & bone).sum() / max(found.sum() + bone.sum(), 1)
    counts = truth["mean_counts"]
    burnt, grey = shown(folder / f"{truth['id']}.dcm", bone, truth["bone_white"])
    return {
        "burnt out": burnt, "hip bone shown": grey, "bone is": "bright" if truth["bone_white"] else "dark",
        "bits": str(truth["dicom"]["bits"]), "second instrument": str(truth["distractor"] is not None).lower(),
        "view": truth["view"], "person": folder.name, "rows": str(bone.shape[0]), "field": truth["fov"],
        "dose": "under 100" if counts < 100 else "100 to 300" if counts < 300 else "300 and more",
        "tip": tip, "error": error, "covered": covered, "dice": dice, "code": record["verdict"]["code"],
        "placement": truth["placement"], "near_thin": "near_thin_bone" in record["verdict"]["flags"],
    }  # fmt: skip


def main() -> None:
    frames = rows(Path(sys.argv[1]), Path(sys.argv[2]))
    heads = ("stratum", "frames", "tip within 2 mm", "Dice median", "Dice p10", "distance given", "median error mm")
    heads = (*heads, "covered", "answered")
    print("| " + " | ".join(heads) + " |")
    print("|---|---|---|---|---|---|---|---|---|")
    keys = ("view", "person", "rows", "dose", "field", "bone is", "bits", "burnt out", "hip bone shown", "second instrument")
    for key in keys:
        groups = defaultdict(list)
        for frame in frames:
            groups[frame[key]].append(frame)
        for name, group in sorted(groups.items()):
            errors = [f["error"] for f in group if f["error"] is not None]
            cover = [f["covered"] for f in group if f["covered"] is not None]
            dice = [f["dice"] for f in group]
            tips = np.mean([f["tip"] is not None and f["tip"] < 2 for f in group])
            answered = np.mean([f["code"] != "not_assessable" for f in group])
            middle = f"{np.median(errors):.2f} | {np.mean(cover):.0%}" if errors else "- | -"
            print(
                f"| {key} {name} | {len(group)} | {tips:.0%} | {np.median(dice):.2f} | {np.percentile(dice, 10):.2f}"
                f" | {len(errors)} | {middle} | {answered:.0%} |"
            )
    print()
    for name in sorted({f["placement"] for f in frames}):
        group = [f for f in frames if f["placement"] == name]
        print(f"near_thin_bone said of {name}: {sum(f['near_thin'] for f in group)} of {len(group)}")


if __name__ == "__main__":
    main()
