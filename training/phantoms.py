"""Renders training projections of the phantom's hip bone into the same store as `simulate.py`.

python training/phantoms.py --cache DIR --name phantom --count 800 --seed 61
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from hips import without_skin
from raster import local_thickness, thickness_samples

from marrowpoint.phantom import ConeBeam, HipBone, PhantomNeedle, Scene
from marrowpoint.phantom.needle import needle_paths_mm
from marrowpoint.phantom.physics import transmission
from marrowpoint.phantom.plate import GRID_MM, GRID_ORIGIN, plate_tables
from marrowpoint.phantom.scene import scene_paths_mm
from marrowpoint.phantom.surroundings import surroundings_mm

SIZE, HALF, PITCH = 256, 128, 1.2
KINDS = ("marrow", "thin", "short", "cortical", "through")


def thickness_grid(bone: HipBone) -> tuple[np.ndarray, np.ndarray]:
    """Local thickness in steps of 0.15 mm on a grid in patient axes, and the grid's origin [mm]."""
    corners = np.stack(np.meshgrid((-118, 56), (-92, 136), (-66, 40), indexing="ij"), -1).reshape(-1, 3)
    corners = bone.to_patient(corners)
    origin = corners.min(0)
    lines = [np.arange(low, high, PITCH) for low, high in zip(origin, corners.max(0), strict=True)]
    inside = np.stack([bone.field_mm(np.stack(np.meshgrid([x], *lines[1:], indexing="ij"), -1))[0] > 0 for x in lines[0]])
    return np.clip(without_skin(local_thickness(inside, PITCH)) / 0.15, 0, 255).astype(np.uint8), origin


def place(bone: HipBone, table: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, str]:
    """Tip, direction to the hub and kind of a random needle."""
    kind = str(rng.choice(KINDS, p=[0.42, 0.20, 0.16, 0.10, 0.12]))
    while True:
        row, column = rng.integers(table.shape[0]), rng.integers(table.shape[1])
        u, v = GRID_ORIGIN[0] + GRID_MM * column, GRID_ORIGIN[1] + GRID_MM * row
        thick = bone.plate_thickness_mm(u, v)
        if v < 20 or table[row, column, 1] < min(0.4 * thick, 6) or (kind == "thin") != (thick < 7):
            continue
        if kind in ("marrow", "cortical") and rng.random() < 0.6 and u > -70:
            continue
        outward = bone.surface_point(u, v, -1.0) - bone.surface_point(u, v, 0.0)
        way = 1.0 if u < -20 or rng.random() < 0.3 else -1.0
        axis = outward * rng.uniform(0.2, 1) + np.array([0, way, 0.3]) * rng.uniform(0.2, 1.2) + rng.normal(0, 0.35, 3)
        axis /= np.linalg.norm(axis)
        steep = float(axis @ outward)
        if steep < 0.3:
            continue
        depth = {
            "short": -rng.uniform(2, 18),
            "cortical": rng.uniform(-1, 1.2),
            "through": thick + rng.uniform(1.5, 10),
        }.get(kind, thick * rng.uniform(0.25, 0.8))
        return bone.surface_point(u, v, 0.0) - axis * depth / steep, axis, kind


def draw(bone: HipBone, volume: np.ndarray, origin: np.ndarray, table: np.ndarray, rng: np.random.Generator):
    tip, axis, kind = place(bone, table, rng)
    view = rng.choice(4, p=[0.2, 0.3, 0.3, 0.2])
    primary = [
        rng.uniform(-18, 18),
        rng.choice([-1, 1]) * rng.uniform(30, 72),
        rng.choice([-1, 1]) * rng.uniform(15, 50),
        rng.choice([-1, 1]) * rng.uniform(75, 102),
    ][view]
    sid, sod, field = rng.uniform(940, 1110), rng.uniform(570, 790), rng.uniform(115, 250)
    beam = ConeBeam(
        shape=(SIZE, SIZE),
        pitch_mm=field / SIZE * sid / sod,
        sid_mm=sid,
        sod_mm=sod,
        primary_deg=float(primary),
        secondary_deg=rng.uniform(-24, 24),
        roll_deg=rng.uniform(-15, 15),
    )
    right, down, forward = beam.axes()
    if abs(axis @ forward) > np.cos(np.deg2rad(15)):
        return None
    offset = rng.uniform(-0.3, 0.3, 2) * field
    centre = tip + right * offset[0] + down * offset[1] + forward * rng.normal(0, 25)
    diameter = float(rng.choice([4.19, 3.4, 3.05, 3.05, 2.41, 1.83, 1.27]))
    needle = PhantomNeedle(
        tip=tuple(tip),
        toward_hub=tuple(axis),
        outer_diameter_mm=diameter,
        length_mm=rng.uniform(70, 155),
        stylet=bool(rng.random() < 0.65),
        hub=bool(rng.random() < 0.6),
    )
    seed = int(rng.integers(2**31))
    scene = Scene(beam=beam, bone=bone, needle=needle, centre=tuple(centre), seed=seed)
    full, silhouette = scene_paths_mm(scene, np.random.default_rng(seed))
    full["steel"], full["plastic"] = needle_paths_mm(needle, beam, centre)
    source = beam.source + centre
    places = np.arange(SIZE / 2) * 2 + 0.5
    others = surroundings_mm(
        bone, scene.body_radii_mm, (source, beam.rays(places, places), forward), np.random.default_rng(seed)
    )

    step = beam.pitch_mm
    corner = source + sid * forward - (right + down) * step * (SIZE - 1) / 2
    samples = thickness_samples(
        volume, origin, PITCH, source, corner + (right + down) * step / 2, right * 2 * step, down * 2 * step, HALF, 1.0, seed
    )
    row, column = beam.project(tip - centre)
    other = np.kron(others["cortex"] + others["marrow"] > 0.3, np.ones((2, 2), bool))
    at = np.round((tip - origin) / PITCH).astype(int)
    inside = ((at >= 0) & (at < volume.shape)).all()
    return dict(
        integral=(-np.log(np.maximum(transmission(full), 1e-6))).astype(np.float16),
        masks=np.stack([silhouette.mask((SIZE, SIZE)), other, full["steel"] > 0.15 * diameter / 2]).astype(np.uint8),
        thickness=samples[..., :3].astype(np.uint8),
        meta=np.array(
            [
                column,
                row,
                float(volume[tuple(at)] * 0.15) if inside else 0.0,
                KINDS.index(kind),
                primary,
                beam.secondary_deg,
                diameter / 2,
                abs(axis @ forward),
                beam.mm_per_px(tip - centre),
            ],
            np.float32,
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--name", default="phantom")
    parser.add_argument("--count", type=int, default=800)
    parser.add_argument("--seed", type=int, default=61)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    bone, table = HipBone(), plate_tables()
    volume, origin = thickness_grid(bone)
    shapes = dict(
        integral=((SIZE, SIZE), np.float16),
        masks=((3, SIZE, SIZE), np.uint8),
        thickness=((HALF, HALF, 3), np.uint8),
        meta=((9,), np.float32),
    )
    arrays = {
        k: np.lib.format.open_memmap(args.cache / f"{args.name}_{k}.npy", "w+", t, (args.count, *s))
        for k, (s, t) in shapes.items()
    }
    done = 0
    while done < args.count:
        picture = draw(bone, volume, origin, table, rng)
        if picture is None:
            continue
        for key, value in picture.items():
            arrays[key][done] = value
        done += 1
        if done % 50 == 0:
            (args.cache / f"{args.name}_done.txt").write_text(str(done))
            print(done, flush=True)


if __name__ == "__main__":
    main()
