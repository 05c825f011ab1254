"""How often the thickness limits at the tip hold the truth, on hips that no training saw, through the product's own code.

python training/calibrate.py --cache DIR --model FILE.onnx --pictures ctval
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from appearance import RENDERED, clutter, display, expose, random_field

from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.prior import infer_prior, load_network
from marrowpoint.thickness import sample_map


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pictures", default="ctval")
    parser.add_argument("--exposures", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    network = load_network(args.model)
    rng = np.random.default_rng(17)
    integral, masks, meta = (
        np.load(args.cache / f"{args.pictures}_{k}.npy", mmap_mode="r") for k in ("integral", "masks", "meta")
    )
    count = int((args.cache / f"{args.pictures}_done.txt").read_text())
    rows = []
    for k in range(count):
        tip = meta[k][:2]
        if meta[k][2] <= 0 or not ((tip > 8).all() and (tip < RENDERED - 9).all()):
            continue
        for _ in range(args.exposures):
            field = random_field(rng, RENDERED)
            if not field[int(tip[1]), int(tip[0])]:
                continue
            picture = clutter(rng, display(rng, expose(rng, np.asarray(integral[k], np.float32)), field)).astype(np.float32)
            exposure = Exposure(attenuation=picture, field=field, inverted=False, polarity_confidence=1.0)
            prior = infer_prior(network, exposure)
            limits, mapped = sample_map(prior.thickness, np.array([[tip[1], tip[0]]]))
            truth = masks[k][0] > 0
            found = cv2.resize(prior.hip, truth.shape[::-1]) > 0.5
            seen = field & (masks[k][2] == 0)
            dice = 2 * (truth & found & seen).sum() / max((truth & seen).sum() + (found & seen).sum(), 1)
            if mapped[0] > 0.5:
                rows.append([meta[k][2], *limits[:, 0], meta[k][3], prior.agreement, dice])
    table = np.array(rows)
    np.save(args.cache / f"{args.pictures}_limits.npy", table)
    truth, low, median, high = table[:, :4].T
    print(
        f"{len(table)} tips, median error {np.median(abs(median - truth)):.1f} mm, corr {np.corrcoef(median, truth)[0, 1]:.2f}"
    )
    print(
        "agreement, median Dice:",
        [
            (round(a, 2), round(float(np.median(table[(table[:, 5] >= a) & (table[:, 5] < a + 0.1), 6])), 3))
            for a in np.arange(0.4, 1.0, 0.1)
            if ((table[:, 5] >= a) & (table[:, 5] < a + 0.1)).any()
        ],
    )
    for factor in (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2):
        below = (truth < median - factor * (median - low)).mean()
        above = (truth > median + factor * (high - median)).mean()
        print(f"spreads x {factor}: {below:.3f} below, {above:.3f} above, {1 - below - above:.3f} held")


if __name__ == "__main__":
    main()
