"""How well views bound or measure the depth of a needle where outlines are exact: the rule of `marrowpoint.study.depth` alone.

python training/depths.py --cache DIR --names studies1 studies2 hard1 hard2
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.read import read_profile
from marrowpoint.study.depth import measured_depth, true_depth
from marrowpoint.study.geometry import ZeroView, picture_axes

STEP_PX = 0.5
END_ON_DEG = 15.0  # such needles have no depth in the picture
EDGE_MM = 0.5  # stated uncertainty (k = 2) of a drawn depth
BEHIND = "through"  # these lie past the bone by as much as their distance to it


def drawn_mm(mask: np.ndarray, view: dict) -> float | None:
    """Projected length from the tip back to where the shaft leaves the silhouette; None outside it and beyond the picture."""
    along = np.arange(0, 2 * len(mask), STEP_PX)
    points = np.rint(np.array(view["tip_xy"]) + along[:, None] * np.array(view["axis_xy"])).astype(int)
    seen = ((points >= 0) & (points < len(mask))).all(axis=1)
    points = points[: len(seen) if seen.all() else int(np.argmin(seen))]
    over = mask[points[:, 1], points[:, 0]]
    if view["beam_deg"] < END_ON_DEG or not len(over) or not over[0] or over.all():
        return None
    return float(along[np.argmin(over)] * view["mm_per_px"])


def depths(truth: dict, masks: np.ndarray, ratio: float) -> tuple[float, float | None] | None:
    """Errors of the bound and of the measurement [mm], if any."""
    found = [drawn_mm(mask, view) for mask, view in zip(masks, truth["views"], strict=True)]
    lengths = [
        None if x is None else Measurement(
            value=x, lower=max(x - EDGE_MM, 0.0), upper=x + EDGE_MM, unit=Unit.MM, bound=Bound.ESTIMATE, method="drawn"
        ) for x in found
    ]  # fmt: skip
    sines = np.sin(np.radians([[view["beam_deg"]] * 64 for view in truth["views"]]))
    depth = true_depth(lengths, sines)
    if depth is None:
        return None
    past = max(-truth["signed_mm"], 0.0) if truth["kind"] == BEHIND else 0.0
    true = truth["bone_behind_mm"] + past
    beams = [picture_axes(view["primary"], view["secondary"], ZeroView.BACK)[2] for view in truth["views"]]
    # the map reads bone thicker than a needle where it is thinner, or where the tip is in none
    measured = measured_depth(depth, sines, beams, max(truth["thickness_mm"], 6.0), ratio)
    return depth.smallest.value - true, None if measured is None else measured.value - true


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    args = parser.parse_args()
    ratio, bounds, measured = read_profile(None).study.depth_views_ratio, [], []
    for name in args.names:
        masks = np.load(args.cache / f"{name}_masks.npy", mmap_mode="r")
        for truth, mask in zip(json.loads((args.cache / f"{name}.json").read_text()), masks, strict=False):
            found = depths(truth, mask, ratio)
            if found is not None:
                bounds.append(found[0])
                measured += [] if found[1] is None else [found[1]]
    print(f"bounds: {len(bounds)}, too long by {np.median(bounds):.1f} mm (median), {np.quantile(bounds, 0.9):.1f} mm (90 %)")
    off = np.abs(measured)
    if len(off):
        within = np.sum(off <= 5)
        print(f"measured: {len(off)}, median error {np.median(off):.1f} mm, {within} within 5 mm, worst {off.max():.1f} mm")


if __name__ == "__main__":
    main()
