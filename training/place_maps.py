"""What the tip reader learns from: for every view of simulated studies the prior's maps around the tip, and what is measured.

python training/place_maps.py --cache DIR --model FILE.onnx --name tr1 --seed 2
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from appearance import clutter, display, expose, random_field
from assess_studies import needle_of

from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.prior import infer_prior, load_network
from marrowpoint.fluoroscopy.segment import segment_bone
from marrowpoint.fluoroscopy.surroundings import CELLS, tip_surroundings
from marrowpoint.frame import Calibration, PixelSpacing, SpacingSource
from marrowpoint.measure import measure_placement
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile
from marrowpoint.read import read_profile
from marrowpoint.study.surroundings import END_ON_DEG

AXIS_SD_DEG, SCALE_SD = 0.4, 0.025
KINDS = ("marrow", "thin", "short", "cortical", "through")
# columns of what is told of a view
COLUMNS = ("beam_deg", "primary", "secondary", "confidence", "distance_mm", "edge_sd_mm", "depth_mm")


def turned(needle: Needle, rng: np.random.Generator) -> Needle:
    """The same needle, its axis as far off as the program's."""
    angle = np.arctan2(needle.axis[1], needle.axis[0]) + rng.normal(0, np.radians(AXIS_SD_DEG))
    return replace(needle, axis=(float(np.cos(angle)), float(np.sin(angle))))


def lengths(exposure: Exposure, prior, needle: Needle, spacing: PixelSpacing, profile: Profile) -> list[float]:
    """Confidence, tip to cortex, doubt of the outline, depth; NaN where a length cannot be trusted."""
    try:
        cortex = segment_bone(exposure, needle, prior)
    except NotAssessable:
        return [0.0, np.nan, 0.0, np.nan]
    found = measure_placement(cortex, needle, Calibration(spacing=spacing, rungs=(spacing,)), profile, quick=True)
    trusted = cortex.confidence >= profile.verdict.measure_bone_confidence
    told = [each.value if each and trusted else np.nan for each in (found.tip_to_cortex, found.insertion_depth)]
    return [cortex.confidence, told[0], cortex.edge_sd_px * spacing.mm_per_px, told[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    network, profile, rng = load_network(args.model), read_profile(None), np.random.default_rng(args.seed)
    truths = json.loads((args.cache / f"{args.name}.json").read_text())
    integral = np.load(args.cache / f"{args.name}_integral.npy", mmap_mode="r")
    size, count = integral.shape[2], len(truths)
    maps, seen = np.zeros((count, 3, 6, CELLS, CELLS), np.float16), np.zeros((count, 3), bool)
    told = np.zeros((count, 3, len(COLUMNS)), np.float32)
    for k, truth in enumerate(truths):
        for number, view in enumerate(truth["views"]):
            field, (x, y) = random_field(rng, size), view["tip_xy"]
            if not (8 < x < size - 9 and 8 < y < size - 9 and field[int(y), int(x)]):
                continue
            picture = display(rng, expose(rng, integral[k][number].astype(np.float32), (3, 12)), field)
            picture = np.where(field, np.clip(clutter(rng, picture), 0, 1), 0).astype(np.float32)
            exposure = Exposure(attenuation=picture, field=field, inverted=False, polarity_confidence=1.0)
            prior = infer_prior(network, exposure)
            scale = view["mm_per_px"] * (1 + rng.normal(0, SCALE_SD))
            spacing = PixelSpacing(row_mm=scale, column_mm=scale, source=SpacingSource.MAGNIFICATION, relative_u=0.06)
            needle = turned(needle_of(rng, view), rng)
            maps[k, number] = tip_surroundings(prior, needle, spacing)
            found = lengths(exposure, prior, needle, spacing, profile)
            told[k, number] = [view["beam_deg"], view["primary"], view["secondary"], *found]
            seen[k, number] = view["beam_deg"] > END_ON_DEG
        if k % 100 == 99:
            print(args.name, k + 1, flush=True)
    truth = np.array([[t["thickness_mm"], t["signed_mm"], KINDS.index(t["kind"])] for t in truths], np.float32)
    np.savez(args.cache / f"{args.name}_place.npz", maps=maps, seen=seen, told=told, truth=truth)


if __name__ == "__main__":
    main()
