"""The network alone on an evaluation set: Dice at its own grid, where its tip map peaks, thickness at the true tip.

python training/evaluate.py SET [--model FILE.onnx]

SET holds PERSON/truth.json, PERSON/STUDY/VIEW.dcm and VIEW_hipbone.png. Nothing here trains on it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import rankdata

from marrowpoint import find_images, load_network, read_frames, read_profile
from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.prior import infer_prior
from marrowpoint.thickness import sample_map

NEAR_MM = 5.0  # the tip map is a coarse hint
IN_BONE = ("marrow", "thin")


def answer(file: Path, truth: dict, network) -> dict | None:
    """What the network says of one frame, beside the truth."""
    frame = next(iter(read_frames(next(iter(find_images([file]))), scale=read_profile(None).scale)))
    try:
        exposure = find_exposure(frame)
        prior = infer_prior(network, exposure)
    except NotAssessable:
        return None
    grid = prior.hip.shape
    bone = cv2.imread(str(file.with_name(file.stem + "_hipbone.png")), 0)
    ratio = np.array(grid) / np.array(bone.shape)
    there = cv2.resize(bone, grid[::-1], interpolation=cv2.INTER_AREA) > 127
    found = (prior.hip > 0.5) & (cv2.resize(exposure.field.astype(np.uint8), grid[::-1], interpolation=cv2.INTER_NEAREST) > 0)
    column, row = truth["tip_xy_px"]
    peak = (np.array(np.unravel_index(int(prior.tip.argmax()), grid)) + 0.5) / ratio - 0.5
    (low, middle, high), mapped = sample_map(prior.thickness, np.array([[row, column]]))
    return {
        "view": truth["view"], "placement": truth["placement"], "agreement": prior.agreement,
        "dice": 2 * (there & found).sum() / max(there.sum() + found.sum(), 1),
        "tip_mm": float(np.hypot(*(peak - (row, column)))) * truth["mm_per_px_at_tip"],
        "thickness": (float(low[0]), float(middle[0]), float(high[0])) if mapped[0] > 0.5 else None,
        "true": truth["local_thickness_3d_mm"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    network = load_network(args.model)
    answers = []
    for file in sorted(args.set.glob("*/truth.json")):
        for truth in json.loads(file.read_text()):
            found = answer(file.parent / f"{truth['id']}.dcm", truth, network)
            if found is not None:
                answers.append(found)
    for name, group in [("all", answers)] + [
        (v, [a for a in answers if a["view"] == v]) for v in sorted({a["view"] for a in answers})
    ]:
        dice, tips = np.array([a["dice"] for a in group]), np.array([a["tip_mm"] for a in group])
        print(
            f"{name}: {len(group)} frames, Dice median {np.median(dice):.3f}, 10th percentile {np.percentile(dice, 10):.3f};"
            f" tip map within {NEAR_MM:.0f} mm in {(tips < NEAR_MM).mean():.0%}"
        )
    inside = [a for a in answers if a["placement"] in IN_BONE and a["thickness"]]
    true = np.array([a["true"] for a in inside])
    low, middle, high = np.array([a["thickness"] for a in inside]).T
    error = middle - true
    thick = np.array([a["placement"] == "marrow" for a in inside])
    rank = rankdata(middle)
    auc = (rank[thick].sum() - thick.sum() * (thick.sum() + 1) / 2) / max(thick.sum() * (~thick).sum(), 1)
    print(
        f"thickness at {len(inside)} tips in marrow or thin bone: median error {np.median(abs(error)):.1f} mm, bias"
        f" {error.mean():+.1f} mm, correlation {np.corrcoef(middle, true)[0, 1]:.2f}, limits {np.median(high - low):.1f} mm"
        f" wide hold {((true >= low) & (true <= high)).mean():.0%}, marrow above thin bone (AUC) {auc:.2f}"
    )


if __name__ == "__main__":
    main()
