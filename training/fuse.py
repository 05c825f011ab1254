"""Fits how the thickness maps of several views make one thickness, and checks it on hips that neither fit nor network saw.

python training/fuse.py --cache DIR --model FILE.onnx --names studies1 studies2 --out FILE.json

Each set is one CT hip, warped. Every combination of views of a study is a row. The fit is an ordinal regression (proportional
odds, McCullagh 1980): the chance that the bone is thicker than each rung of a ladder. The map errs alike in all views of one
hip, by several millimetres where bone is very thick and little where it is thin; a regression of the thickness itself lays the
former error on the latter. So the ladder ends where bone is surely thick.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
from itertools import combinations
from pathlib import Path

import numpy as np

from marrowpoint.measurement import Measurement
from marrowpoint.study.thickness import LIMITS, Fusion, features, limits

LADDER_MM = (2.0, 3.0, 4.5, 5.5, 6.5, 8.0, 9.6, 11.5)
THICK_MM = 9.6
RIDGE = 0.02  # of the number of rows; holds back weights of features that go together
STEPS = 60


def rows_of(studies: list, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Features and true thickness of every combination of so many views of tips in bone."""
    table, truths = [], []
    for truth, frames in studies:
        readings: list[Measurement] = [
            frame.placement.mapped_thickness for frame in frames if frame.placement and frame.placement.mapped_thickness
        ]
        if truth["thickness_mm"] <= 0:
            continue
        for count in counts:
            for some in combinations(readings, count):
                table.append(features(some))
                truths.append(truth["thickness_mm"])
    return np.array(table), np.array(truths)


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of the features, then one offset a rung of the ladder: logit of the chance to be thicker (Newton's method)."""
    middle, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z, rungs, width = (x - middle) / spread, len(LADDER_MM), x.shape[1]
    design = np.concatenate([np.hstack([z, np.tile(np.eye(rungs)[k], (len(z), 1))]) for k in range(rungs)])
    thicker = np.concatenate([y >= rung for rung in LADDER_MM]).astype(float)
    # rungs of one tip are one observation: the price counts tips
    price = np.concatenate([np.full(width, RIDGE), np.full(rungs, 1e-3)]) * len(y)
    weights = np.zeros(width + rungs)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (chance - thicker) + price * weights
        curve = (design.T * (chance * (1 - chance))) @ design + np.diag(price + 1e-6)
        weights = weights - np.linalg.solve(curve, slope)
    slopes = weights[:width] / spread
    return np.concatenate([slopes, weights[width:] - slopes @ middle])


def margin_of(left_out: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """How much surer a fit must be so that of left-out bone that is not thick only 2.5 % is called thick."""
    rung = LADDER_MM.index(THICK_MM)
    logits = [(x @ weights[: x.shape[1]] + weights[x.shape[1] + rung])[y < THICK_MM] for weights, x, y in left_out]
    return max(float(np.quantile(np.concatenate(logits), 0.975)) - LIMITS[0], 0.0)


def tell(name: str, weights: np.ndarray, margin: float, x: np.ndarray, y: np.ndarray) -> None:
    """How a fit does on rows."""
    fusion = Fusion(model_sha256="", ladder_mm=np.array(LADDER_MM), single=weights, several=weights, margin=margin)
    low, high = np.array([limits(row, weights, fusion) for row in x]).T
    thick, called, thin = y >= THICK_MM, low >= THICK_MM, high < THICK_MM
    print(
        f"{name}: {len(y)} rows, correlation {np.corrcoef(x[:, 0], y)[0, 1]:.2f}, truth below the lower limit "
        f"{np.mean(y < low):.1%}, above the upper {np.mean(y > high):.1%}, not thick for sure: {thin[~thick].sum()} of "
        f"{(~thick).sum()} that are not, {thin[thick].sum()} of {thick.sum()} that are; "
        f"called thick: {called[thick].sum()} of {thick.sum()} thick, {called[~thick].sum()} of {(~thick).sum()} others"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sets = {name: pickle.loads((args.cache / f"{name}_assessed.pkl").read_bytes()) for name in args.names}
    fits, left_out = {}, {}
    for key, counts in (("single", (1,)), ("several", (2, 3))):
        rows = {name: rows_of(studies, counts) for name, studies in sets.items()}
        for name, (x, y) in rows.items():
            others = [part for other, part in rows.items() if other != name] or [(x, y)]
            left_out[f"{key}, fitted without {name}"] = fit(*map(np.concatenate, zip(*others, strict=True))), x, y
        fits[key] = np.round(fit(*map(np.concatenate, zip(*rows.values(), strict=True))), 5).tolist()
    margin = margin_of(list(left_out.values()))
    for name, (weights, x, y) in left_out.items():
        tell(name, weights, margin, x, y)
    model = hashlib.sha256(args.model.read_bytes()).hexdigest()
    table = {"model_sha256": model, "ladder_mm": LADDER_MM, "margin": round(margin, 4), **fits}
    args.out.write_text(json.dumps(table) + "\n")


if __name__ == "__main__":
    main()
