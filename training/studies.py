"""Simulated studies: one needle seen in three views, to fit and check what the study level says.

python training/studies.py --anatomy DIR --cache DIR --name studies1 --seed 71 --hips 5 --count 150 --ct 004_LI
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import simulate
from hips import thickness_at
from scene import place_needle, project, stand
from scipy.spatial import cKDTree
from simulate import Renderer

# positioner angles of the right hip's views [deg] and how often three of them make a study
PRIMARY = {"ap": (-15, 15), "iliac": (-46, -20), "tangential": (35, 65), "lateral": (82, 98)}
TILT = 20
STUDIES = {
    ("tangential", "iliac", "ap"): 0.4,
    ("tangential", "lateral", "ap"): 0.25,
    ("ap", "iliac", "lateral"): 0.2,
    ("tangential", "iliac", "lateral"): 0.15,
}
STEP_MM = 0.25


def tip_truth(hip, tree: cKDTree, pitch: float, tip: np.ndarray, axis: np.ndarray) -> tuple[float, float]:
    """Signed distance of the tip to the bone's surface (positive inside), and bone along the shaft behind the tip [mm]."""
    distance, k = tree.query(tip)
    away = float((tip - hip.vertices[k]) @ hip.normals[k])
    inside = thickness_at(hip, tip[None], pitch)[0] > 0 if abs(away) > 1 else away < 0
    behind = thickness_at(hip, tip + axis * np.arange(0, 80, STEP_MM)[:, None], pitch) > 0
    return (distance if inside else -distance), float(behind.sum() * STEP_MM)


def draw(renderer: Renderer, trees: list[cKDTree], size: int, hard: bool):
    """Pictures, hip masks and truth of one study, or None where no needle could be placed."""
    rng = renderer.rng
    k = int(rng.integers(len(renderer.hips)))
    hip = renderer.hips[k]
    placed = place_needle(hip, renderer.pitch, rng, False, hard)
    if placed is None:
        return None
    tip, axis, kind, thickness = placed
    names = list(STUDIES)[rng.choice(len(STUDIES), p=list(STUDIES.values()))]
    body, views, pictures, masks = int(rng.integers(2**31)), [], [], []
    for name in names:
        angles = float(rng.uniform(*PRIMARY[name])), float(rng.uniform(-TILT, TILT))
        shot = stand(rng, tip, size, *angles, False, turned=12, aside=0.22, field_mm=(125, 220))
        kept, renderer.rng = renderer.rng, np.random.default_rng(body)  # one body, one needle in all views
        picture = renderer.picture(hip, placed, False, shot, mapped=False)
        renderer.rng = kept
        right, beam, sid = shot[2], shot[4], shot[5]
        at = project(np.stack([tip, tip + 0.1 * axis]), *shot[:6])[:, :2]
        views.append(
            dict(
                view=name,
                primary=angles[0],
                secondary=angles[1],
                tip_xy=at[0].tolist(),
                axis_xy=((at[1] - at[0]) / max(np.hypot(*(at[1] - at[0])), 1e-9)).tolist(),
                mm_per_px=float(picture["meta"][8]),
                radius_mm=float(picture["meta"][6]),
                beam_deg=float(np.degrees(np.arccos(abs(axis @ beam)))),
                sid_mm=float(sid),
                pitch_mm=float(np.linalg.norm(right)),
                sod_mm=float((tip - shot[0]) @ beam - rng.normal(0, 15)),
                shaft_px=_shaft_px(picture["masks"][2] > 0, at),
            )
        )
        pictures.append(picture["integral"])
        masks.append(picture["masks"][0] > 0)
    signed, behind = tip_truth(hip, trees[k], renderer.pitch, tip, axis)
    truth = dict(kind=str(kind), thickness_mm=thickness, signed_mm=signed, bone_behind_mm=behind, hip=k, views=views)
    return np.stack(pictures), np.stack(masks), truth


def _shaft_px(shaft: np.ndarray, at: np.ndarray) -> float:
    """Visible length of the shaft from the tip."""
    axis = (at[1] - at[0]) / max(np.hypot(*(at[1] - at[0])), 1e-9)
    away = np.argwhere(shaft)[:, ::-1] - at[0]
    on = np.abs(away @ np.array([-axis[1], axis[0]])) < 6
    return float((away[on] @ axis).max()) if on.any() else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--hips", type=int, default=5, help="warps of the CT hips")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--hard", action="store_true", help="only needles that miss the marrow where bone is thick")
    parser.add_argument("--size", type=int, default=384, help="side of the pictures [px]")
    parser.add_argument("--ct", nargs="+", required=True, help="CT hips that no training saw, such as 004_LI")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    simulate.SIZE, simulate.HALF = args.size, args.size // 2
    started = time.time()
    renderer = Renderer(args.anatomy, args.cache, args.hips, args.seed, ct=tuple(args.ct))
    trees = [cKDTree(hip.vertices) for hip in renderer.hips]
    shape = (args.count, 3, args.size, args.size)
    integral = np.lib.format.open_memmap(args.cache / f"{args.name}_integral.npy", "w+", np.float16, shape)
    masks = np.lib.format.open_memmap(args.cache / f"{args.name}_masks.npy", "w+", np.bool_, shape)
    truths: list[dict] = []
    print(f"{args.hips} hips in {time.time() - started:.0f} s", flush=True)
    while len(truths) < args.count:
        study = draw(renderer, trees, args.size, args.hard)
        if study is None:
            continue
        integral[len(truths)], masks[len(truths)] = study[:2]
        truths.append(study[2])
        if len(truths) % 10 == 0 or len(truths) == args.count:
            (args.cache / f"{args.name}.json").write_text(json.dumps(truths))
            print(len(truths), f"{time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
