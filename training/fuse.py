"""Fits how the thickness maps of several views make one thickness, and checks it on hips that neither fit nor network saw.

python training/fuse.py --cache DIR --model FILE.onnx --names studies1 studies2 --out FILE.json

Each set is one CT hip, warped. Every combination of one to three views of a study is a row. Weights: quantile regression
(Koenker and Bassett 1978) on all sets; the limits are then moved outward by what rows of the left-out set ask for
(cross-conformal, Romano, Patterson and Candes 2019).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

from marrowpoint.measurement import Measurement
from marrowpoint.study.thickness import features

LEVELS = (0.025, 0.5, 0.975)
THICK_MM = 9.6
RIDGE = 0.02  # keeps weights of features that say little at zero


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


def quantile_weights(x: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    """Weights of least pinball loss, with a small price on all but the constant and the mean."""
    rows, width = x.shape
    price = np.full(width, RIDGE)
    price[:2] = 0
    cost = np.concatenate([price, price, np.full(rows, level) / rows, np.full(rows, 1 - level) / rows])
    equal = np.hstack([x, -x, np.eye(rows), -np.eye(rows)])
    found = linprog(cost, A_eq=equal, b_eq=y, bounds=(0, None), method="highs")
    return found.x[:width] - found.x[width : 2 * width]


def fit(sets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Weights (3, F): of all sets, moved outward by the residuals of sets left out in turn."""
    x, y = (np.concatenate(parts) for parts in zip(*sets, strict=True))
    weights = np.stack([quantile_weights(x, y, level) for level in LEVELS])
    short, long = [], []
    for k in range(len(sets)):
        others = [part for j, part in enumerate(sets) if j != k] or [sets[k]]
        ox, oy = (np.concatenate(parts) for parts in zip(*others, strict=True))
        low, _, high = (quantile_weights(ox, oy, level) for level in LEVELS)
        short.append(sets[k][0] @ low - sets[k][1])
        long.append(sets[k][1] - sets[k][0] @ high)
    # rows of one study are not independent, so the number of rows earns no further allowance
    weights[0, 0] -= max(float(np.quantile(np.concatenate(short), 1 - LEVELS[0])), 0.0)
    weights[2, 0] += max(float(np.quantile(np.concatenate(long), LEVELS[2])), 0.0)
    return weights


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
