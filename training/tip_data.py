"""Examples for the tip network: two crops around a tip in millimetres, and the local thickness of the bone it lies in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from appearance import RENDERED, clutter, display, expose, random_field
from torch.utils.data import IterableDataset, get_worker_info

from marrowpoint.fluoroscopy.tip_thickness import crop_planes

HALF_NEEDLE_SHARE = 0.94  # of its diameter: the rasterised shaft is where there is more than 15 % of a radius of steel
ELSEWHERE = 2  # places in bone away from the needle, a picture


def scale_and_axis(shaft: np.ndarray, tip: np.ndarray, radius_mm: float) -> tuple[float, np.ndarray] | None:
    """Scale [mm/px] from the width of the rasterised shaft, and its direction (x, y) from the tip."""
    rows, columns = np.nonzero(shaft)
    if len(rows) < 40:
        return None
    away = np.stack([columns, rows], 1) - tip
    main = away.mean(0)
    length = np.hypot(*main) * 2
    if length < 25:
        return None
    width = len(rows) / length
    return 2 * radius_mm * HALF_NEEDLE_SHARE / width, main / np.hypot(*main)


def examples(rng: np.random.Generator, integral, masks, thickness, meta):
    """Crops (8, S, S), thickness in 20 mm units and weight, from one exposure: the tip if it is in bone, and bone elsewhere."""
    tip, size = meta[:2].astype(float), RENDERED - 1
    found = scale_and_axis(masks[2], tip, float(meta[6]))
    if found is None:
        return
    mm_per_px = float(meta[8]) if len(meta) > 8 else found[0]
    if not 0.3 < mm_per_px < 1.3:
        return
    asked = []
    if meta[2] > 0 and (tip >= 0).all() and (tip <= size).all():
        asked.append((tip, found[1], float(meta[2]), 1.0))
    rows, columns = np.nonzero(masks[0] & (1 - masks[2]))
    for k in rng.integers(len(rows), size=ELSEWHERE) if len(rows) else ():
        there = float(thickness[rows[k] // 2, columns[k] // 2, rng.integers(3)]) * 0.15
        if there > 0:
            asked.append((np.array([columns[k], rows[k]], float), np.zeros(2), there, 0.4))
    field = random_field(rng, RENDERED)
    x = clutter(rng, display(rng, expose(rng, integral.astype(np.float32)), field)).astype(np.float32)
    flip = rng.random() < 0.5
    if flip:
        x, field = x[:, ::-1].copy(), field[:, ::-1].copy()
    for at, axis, target, weight in asked:
        where = np.array([size - at[0], at[1]]) if flip else at
        if not field[int(where[1]), int(where[0])]:
            continue
        way = axis * [-1, 1] if flip else axis
        scale = mm_per_px * np.exp(rng.normal(0, 0.04))
        where = where + rng.normal(0, 0.7 / scale, 2)
        width_px = 2 * float(meta[6]) / scale
        planes = crop_planes(x, field, (where[1], where[0]), (way[1], way[0]), width_px, scale, turn_deg=rng.uniform(-12, 12))
        yield planes, np.float32(target / 20), np.float32(weight)


class Tips(IterableDataset):
    """Endless stream of tips."""

    def __init__(self, cache: Path, names: list[str], seed: int) -> None:
        self.cache, self.names, self.seed = cache, names, seed

    def __iter__(self):
        cv2.setNumThreads(1)
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        keys = ("integral", "masks", "thickness", "meta")
        while True:
            stores = [{k: np.load(self.cache / f"{n}_{k}.npy", mmap_mode="r") for k in keys} for n in self.names]
            counts = np.array([int((self.cache / f"{n}_done.txt").read_text()) for n in self.names])
            for _ in range(1000):
                s = rng.choice(len(stores), p=counts / counts.sum())
                k = rng.integers(counts[s])
                meta = np.asarray(stores[s]["meta"][k])
                if meta[3] == 0 and rng.random() < 0.4:
                    continue  # as many tips in thin bone as in thick
                yield from examples(rng, *(np.asarray(stores[s][key][k]) for key in keys))
