"""Fits how the thickness maps of several views make one thickness, and checks it on hips that neither fit nor network saw.

python training/fuse.py --cache DIR --model FILE.onnx --names studies1 studies2 --out FILE.json

Each set is one CT hip, warped. Every combination of one to three views of a study is a row. A ridge regression gives the
thickness, a second one how far it errs; the limits lie as many of those off as rows of a left-out set ask for (locally weighted
conformal prediction, Lei et al. 2018).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from marrowpoint.measurement import Measurement
from marrowpoint.study.thickness import features

LEVELS = (0.025, 0.5, 0.975)
THICK_MM = 9.6
RIDGE = 0.05  # holds back weights of features that go together
LEAST_MM = 0.5  # no fit errs less


def rows_of(studies: list, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and true thickness of every combination of `count` views of tips in bone."""
    table, truths = [], []
    for truth, frames in studies:
        readings: list[Measurement] = [
            frame.placement.mapped_thickness for frame in frames if frame.placement and frame.placement.mapped_thickness
        ]
        if truth["thickness_mm"] <= 0:
            continue
        for some in combinations(readings, count):
            table.append(features(some))
            truths.append(truth["thickness_mm"])
    return np.array(table), np.array(truths)


def line_and_scale(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a ridge regression, and of how far it errs: what the views' own spreads and their disagreement explain."""
    spread = x.std(axis=0)
    price = RIDGE * len(y) * (spread**2 + 0.01)
    price[0] = 0
    line = np.linalg.solve(x.T @ x + np.diag(price), x.T @ y)
    scale = np.zeros_like(line)
    telling = [0, *range(2, x.shape[1])]
    scale[telling] = nnls(x[:, telling], abs(y - x @ line))[0]
    return line, scale


def fit(sets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Weights (3, F) of all sets; how many scales the limits lie off is what each set asks for that the others did not fit."""
    line, scale = line_and_scale(*(np.concatenate(parts) for parts in zip(*sets, strict=True)))
    off = []
    for k, (x, y) in enumerate(sets):
        others = [part for j, part in enumerate(sets) if j != k] or [sets[k]]
        its_line, its_scale = line_and_scale(*(np.concatenate(parts) for parts in zip(*others, strict=True)))
        off.append((y - x @ its_line) / np.maximum(x @ its_scale, LEAST_MM))
    below, middle, above = np.quantile(np.concatenate(off), LEVELS)
    return np.stack([line + z * scale for z in (below, middle, above)])


def tell(name: str, weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """How a fit does on rows."""
    low, middle, high = np.sort(np.maximum(x @ weights.T, 0), axis=1).T
    thick, called = y >= THICK_MM, low >= THICK_MM
    held, error = (low <= y) & (y <= high), np.median(abs(middle - y))
    print(
        f"{name}: {len(y)} rows, median error {error:.1f} mm, correlation {np.corrcoef(middle, y)[0, 1]:.2f}, "
        f"width {np.median(high - low):.1f} mm, held {held.mean():.1%} (below {np.mean(y < low):.1%}), "
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
    quantiles = {}
    for count in (1, 2, 3):
        rows = {name: rows_of(studies, count) for name, studies in sets.items()}
        for name, (x, y) in rows.items():
            others = [part for other, part in rows.items() if other != name] or [(x, y)]
            tell(f"{count} view(s), fitted without {name}", fit(others), x, y)
        quantiles[count] = np.round(fit(list(rows.values())), 5).tolist()
    model = hashlib.sha256(args.model.read_bytes()).hexdigest()
    args.out.write_text(json.dumps({"model_sha256": model, "quantiles": quantiles}, indent=1) + "\n")


if __name__ == "__main__":
    main()
