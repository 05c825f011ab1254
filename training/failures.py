"""Draws the worst outlines on held-out simulated pictures, for the model card: truth dashed white, found orange.

python training/failures.py --cache DIR --model FILE.onnx --pictures full --out docs/model_failures.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from appearance import display, expose, random_field

from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.prior import infer_prior, load_network

TILE = 260
COLUMNS, ROWS = 4, 2


def drawn(picture: np.ndarray, truth: np.ndarray, found: np.ndarray, text: str) -> np.ndarray:
    canvas = cv2.cvtColor(cv2.resize((picture * 255).astype(np.uint8), (TILE, TILE)), cv2.COLOR_GRAY2BGR)
    for mask, colour, gaps in ((truth, (255, 255, 255), True), (found, (0, 159, 230), False)):
        small = cv2.resize(mask.astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        for border in cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]:
            points = border.reshape(-1, 2)
            for k in range(0, len(points) - 6, 10 if gaps else 5):
                cv2.polylines(canvas, [points[k : k + 6]], False, colour, 2, cv2.LINE_AA)
    cv2.rectangle(canvas, (0, TILE - 24), (TILE, TILE), (0, 0, 0), cv2.FILLED)
    cv2.putText(canvas, text, (6, TILE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pictures", default="full")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    network, rng = load_network(args.model), np.random.default_rng(29)
    integral, masks, meta = (
        np.load(args.cache / f"{args.pictures}_{k}.npy", mmap_mode="r") for k in ("integral", "masks", "meta")
    )
    shown = []
    for k in range(int((args.cache / f"{args.pictures}_done.txt").read_text())):
        field = random_field(rng, integral.shape[1])
        truth = (masks[k][0] > 0) & field
        if truth.mean() < 0.05:
            continue
        picture = np.clip(display(rng, expose(rng, np.asarray(integral[k], np.float32), (1, 3)), field), 0, 1).astype(
            np.float32
        )
        prior = infer_prior(network, Exposure(attenuation=picture, field=field, inverted=False, polarity_confidence=1.0))
        found = (cv2.resize(prior.hip, truth.shape[::-1]) > 0.5) & field
        dice = 2 * (truth & found).sum() / (truth.sum() + found.sum())
        text = f"Dice {dice:.2f}, agreement {prior.agreement:.2f}, {meta[k][4]:.0f} deg"
        shown.append((dice, drawn(picture * field, truth, found, text)))
    print(f"{len(shown)} pictures, Dice {np.percentile([d for d, _ in shown], [50, 10]).round(3)} (median, 10th percentile)")
    worst = [tile for _, tile in sorted(shown, key=lambda pair: pair[0])[: COLUMNS * ROWS]]
    sheet = np.vstack([np.hstack(worst[r * COLUMNS : (r + 1) * COLUMNS]) for r in range(ROWS)])
    cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
