"""How wrong outlines are beside what they say of themselves, on full-size pictures of hips that no training saw.

python training/calibrate_outline.py --cache DIR --model FILE.onnx --pictures full
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from appearance import clutter, display, expose, random_field

from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.prior import infer_prior, load_network
from marrowpoint.fluoroscopy.segment import LEAST_SHARE, level_spread, segment_bone
from marrowpoint.fluoroscopy.windows import field_window
from marrowpoint.needle import Needle
from marrowpoint.polyline import nearest_points, segments_of

PINHOLE = 0.01  # of the bone: the meshes of the thinnest wing touch and leave specks
RIGHT_WITHIN_MM = 4.0
CHANCES = (0.0, 0.2, 0.4, 0.6, 0.75, 0.9, 1.0)
STEPS = 30
SPREADS = (0.0, 0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.15, 0.3, 2.0)


def signed_px(mask: np.ndarray, field: np.ndarray, tip: np.ndarray) -> float | None:
    """Distance of the tip from the mask's border inside the field, positive inside [px]; pinholes of thin bone are closed."""
    inside = (mask & field).astype(np.uint8)
    border, tree = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = []
    for points, (_, _, _, parent) in zip(border, tree[0] if border else (), strict=True):
        if cv2.contourArea(points) >= PINHOLE * inside.sum():
            kept.append(points.reshape(-1, 2))
        elif parent >= 0:
            cv2.drawContours(inside, [points], -1, 1, cv2.FILLED)
    points = np.concatenate(kept) if kept else np.empty((0, 2), int)
    core = cv2.erode(field.astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
    points = points[core[points[:, 1], points[:, 0]]]
    if not len(points):
        return None
    near = float(np.hypot(*(points - tip).T).min())
    return near if inside[int(round(tip[1])), int(round(tip[0]))] else -near


def fit_right(table: np.ndarray) -> None:
    """Logistic regression of `segment.RIGHT`, and how it does on the half of the pictures that it was not fitted on."""
    right = (abs(table[:, 0] - table[:, 1]) < RIGHT_WITHIN_MM).astype(float)
    seen = np.column_stack([np.ones(len(table)), np.log(np.maximum(table[:, 8:10], LEAST_SHARE))])
    half = table[:, 6] % 2 == 0  # exposures of one projection stay together
    for told, fitted, asked in (("even", half, ~half), ("odd", ~half, half)):
        chance = 1 / (1 + np.exp(-seen[asked] @ logistic(seen[fitted], right[fitted])))
        for low, high in pairwise(CHANCES):
            s = (chance >= low) & (chance < high)
            if s.any():
                print(f"fitted on {told}: {s.sum()} others said {chance[s].mean():.2f}, right {right[asked][s].mean():.2f}")
    print("RIGHT =", tuple(np.round(logistic(seen, right), 3).tolist()))


def logistic(seen: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression (Newton's method)."""
    weights = np.zeros(seen.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-seen @ weights))
        curve = (seen.T * (chance * (1 - chance))) @ seen + 1e-6 * np.eye(len(weights))
        weights = weights + np.linalg.solve(curve, seen.T @ (right - chance))
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pictures", default="full")
    parser.add_argument("--exposures", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    network, rng = load_network(args.model), np.random.default_rng(23)
    integral, masks, meta = (
        np.load(args.cache / f"{args.pictures}_{k}.npy", mmap_mode="r") for k in ("integral", "masks", "meta")
    )
    size, rows = integral.shape[1], []
    for k in np.repeat(np.arange(int((args.cache / f"{args.pictures}_done.txt").read_text())), args.exposures).tolist():
        tip, scale = meta[k][:2].astype(float), float(meta[k][8])
        field = random_field(rng, size)
        if not ((tip > 12).all() and (tip < size - 13).all() and field[int(tip[1]), int(tip[0])]):
            continue
        picture = display(rng, expose(rng, np.asarray(integral[k], np.float32), (1, 3)), field)
        picture = np.clip(clutter(rng, picture), 0, 1).astype(np.float32)
        shaft = np.argwhere(masks[k][2])
        if len(shaft) < 50:
            continue
        axis = shaft.mean(0) - tip[::-1]
        exposure = Exposure(attenuation=picture, field=field, inverted=False, polarity_confidence=1.0)
        needle = Needle(
            tip=(tip[1], tip[0]), axis=tuple(axis / np.hypot(*axis)), width_px=2 * float(meta[k][6]) / scale, width_sd_px=0.2,
            tip_sd_along_px=0.5, tip_sd_across_px=0.3, length_px=2 * float(np.hypot(*axis)), confidence=1.0,
        )  # fmt: skip
        prior = infer_prior(network, exposure)
        try:
            cortex = segment_bone(exposure, needle, prior)
        except NotAssessable:
            continue
        truth = masks[k][0] > 0
        true = signed_px(truth, field, tip)
        dice = 2 * (truth & field & cortex.bone).sum() / max((truth & field).sum() + cortex.bone.sum(), 1)
        if true is None or not cortex.lines:
            continue
        distance = float(nearest_points(tip[None, ::-1], segments_of(cortex.lines, np.ones(2)))[0][0])
        found, side = distance if cortex.contains(needle.tip) else -distance, field_window(field).side
        rows.append(
            [
                found * scale, true * scale, cortex.edge_sd_px * scale, cortex.confidence, prior.agreement, dice, k, scale,
                level_spread(prior, needle, field) / side, cortex.edge_sd_px / side,
            ]
        )  # fmt: skip
    table = np.array(rows)
    np.save(args.cache / f"{args.pictures}_outline.npy", table)
    error, sd, confidence, agreement, dice = abs(table[:, 0] - table[:, 1]), table[:, 2], *table[:, 3:6].T
    print(f"{len(table)} frames, Dice {np.median(dice):.3f} median, {np.percentile(dice, 10):.3f} 10th percentile")
    fit_right(table)
    for low, high in pairwise(SPREADS):
        s = (table[:, 8] >= low) & (table[:, 8] < high)
        if s.any():
            right = [f"{(error[s] < mm).mean():.2f} within {mm} mm" for mm in (2, 4)]
            print(
                f"spread {low:.3f} to {high:.3f}: {s.sum()} frames, {', '.join(right)}, agreement {np.median(agreement[s]):.2f}"
            )
    for low in np.arange(0, 1, 0.1):
        s = (agreement >= low) & (agreement < low + 0.1)
        if s.sum() > 4:
            ratio = error[s] / sd[s]
            parts = [
                f"agreement {low:.1f}: {s.sum()} frames, confidence {np.median(confidence[s]):.2f}",
                f"error {np.median(error[s]):.2f} (p90 {np.percentile(error[s], 90):.1f}) mm, sd {np.median(sd[s]):.2f} mm",
                f"error/sd p50 {np.median(ratio):.2f} p90 {np.percentile(ratio, 90):.1f}",
                f"within 2 sd {np.mean(ratio < 2):.2f}, 6 sd {np.mean(ratio < 6):.2f}",
            ]
            print(", ".join(parts))


if __name__ == "__main__":
    main()
