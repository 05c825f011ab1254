#!/usr/bin/env python3
"""Accuracy by stratum: print a table from the results of an evaluation set with truth.json files.

usage: python scripts/strata.py SET RESULTS

SET holds PERSON/truth.json and PERSON/STUDY/VIEW_hipbone.png, RESULTS holds PERSON/results.jsonl and PERSON/masks.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np


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
    return {
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
    for key in ("view", "person", "rows", "dose", "field"):
        groups = defaultdict(list)
        for frame in frames:
            groups[frame[key]].append(frame)
        for name, group in sorted(groups.items()):
            errors = [f["error"] for f in group if f["error"] is not None]
            cover = [f["covered"] for f in group if f["covered"] is not None]
            dice = [f["dice"] for f in group]
            tips = np.mean([f["tip"] is not None and f["tip"] < 2 for f in group])
            answered = np.mean([f["code"] != "not_assessable" for f in group])
            print(
                f"| {key} {name} | {len(group)} | {tips:.0%} | {np.median(dice):.2f} | {np.percentile(dice, 10):.2f}"
                f" | {len(errors)} | {np.median(errors):.2f} | {np.mean(cover):.0%} | {answered:.0%} |"
            )
    print()
    for name in sorted({f["placement"] for f in frames}):
        group = [f for f in frames if f["placement"] == name]
        print(f"near_thin_bone said of {name}: {sum(f['near_thin'] for f in group)} of {len(group)}")


if __name__ == "__main__":
    main()
