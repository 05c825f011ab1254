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

from marrowpoint.read import read_profile
from marrowpoint.study.evidence import thickness_readings, usable_frames, widths_of
from marrowpoint.study.thickness import FEATURES, LIMITS, Fusion, features, limits, parse_fusion

LADDER_MM = (2.0, 3.0, 4.5, 5.5, 6.5, 8.0, 9.6, 11.5)
THICK_MM = 9.6
RIDGE = 0.02  # of the number of rows; holds back weights of features that go together
STEPS = 60
WRONG = 0.025  # of left-out bone that is not thick, so much may be called thick


def rows_of(studies: list, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Features and true thickness of every combination of so many usable views of tips in bone."""
    table, truths, profile = [], [], read_profile(None)
    for truth, frames in studies:
        if truth["thickness_mm"] <= 0:
            continue
        # a study uses no other frames
        read = [frame for frame in usable_frames(frames, profile) if thickness_readings([frame])]
        for count in counts:
            for some in combinations(read, count):
                table.append(features(thickness_readings(some), widths_of(some)))
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


def thick_logits(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Logit of the chance that the bone is thick, a row."""
    return x @ weights[: x.shape[1]] + weights[x.shape[1] + LADDER_MM.index(THICK_MM)]


def margin_of(left_out: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """How much surer a fit must be so that of left-out bone that is not thick only 2.5 % is called thick."""
    logits = [thick_logits(weights, x)[y < THICK_MM] for weights, x, y in left_out]
    # rounded up: the highest that may not pass must not
    return max(float(np.ceil(1e4 * (np.quantile(np.concatenate(logits), 1 - WRONG, method="higher") - LIMITS[0])) / 1e4), 0.0)


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


def check(fusion: Fusion, left_out: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Stop before a fit is written that would call bone thick too easily, or that has its signs wrong."""
    called = np.concatenate([thick_logits(weights, x)[y < THICK_MM] for weights, x, y in left_out]) >= LIMITS[0] + fusion.margin
    if called.mean() > WRONG:
        raise SystemExit(f"{called.mean():.1%} of left-out bone that is not thick is called thick; at most {WRONG:.1%} may be")
    for weights in (fusion.single, fusion.several):
        thin, thick = (limits(np.array([value, value / 2, np.log(40.0)]), weights, fusion)[0] for value in (4.0, 28.0))
        if not thin < THICK_MM <= thick:
            raise SystemExit(f"readings of 4 and 28 mm give lower limits of {thin:.1f} and {thick:.1f} mm")
    print(f"self-check passed: {called.sum()} of {len(called)} left-out rows that are not thick are called thick")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sets = {name: pickle.loads((args.cache / f"{name}_assessed.pkl").read_bytes()) for name in args.names}
    model = hashlib.sha256(args.model.read_bytes()).hexdigest()
    used = {
        frame.cortex.model_sha256
        for studies in sets.values()
        for _, frames in studies
        for frame in frames
        if frame.cortex and frame.cortex.model_sha256
    }
    if used != {model}:
        raise SystemExit(f"these studies were assessed with {sorted(map(str, used))}, not with {model}")
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
    table = {"model_sha256": model, "features": FEATURES, "ladder_mm": LADDER_MM, "margin": margin, **fits}
    text = json.dumps(table) + "\n"
    check(parse_fusion(text), list(left_out.values()))
    args.out.write_text(text)


if __name__ == "__main__":
    main()
