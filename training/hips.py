"""Hips to simulate from: shape-model hips with built cortex, and warped CT hips whose thin wings and thick crests are real.

python training/hips.py --anatomy ANATOMY --cache CACHE     (prepares the CT hips once)
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from anatomy import PERSONS, ShapeModel, outward, vertex_normals
from raster import local_thickness, occupancy, path_length
from scipy.ndimage import binary_closing, binary_fill_holes, distance_transform_edt, gaussian_filter, label
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

MODES = 30
TORN_PX = 60  # square millimetres of negative bone over four views
CORTEX_MM = (0.9, 1.3, 1.7)  # depths at which the inner surface of a CT hip is cut


@dataclass
class Hip:
    vertices: np.ndarray  # right side, LPS mm
    faces: np.ndarray
    normals: np.ndarray  # of the vertices, outward
    inner: np.ndarray  # border of cortex and marrow
    inner_faces: np.ndarray
    left: np.ndarray  # the same hip on the other side
    left_inner: np.ndarray
    volume: np.ndarray  # local thickness, uint8, 0.15 mm a step
    origin: np.ndarray
    joint: np.ndarray
    left_joint: np.ndarray
    person: str
    scale: np.ndarray  # of the whole person, about the model's origin


def pose(z, person: str, side: str, points: np.ndarray) -> np.ndarray:
    return (points @ z[f"{person}_{side}_R"].T + z[f"{person}_{side}_t"]) * z[f"{person}_{side}_flip"]


def torn(shape: np.ndarray, faces: np.ndarray) -> bool:
    """Whether the surface runs through itself: rays from the side, the back and along the wing see negative bone."""
    low, bad = shape.min(0), 0
    for beam in np.array([[1.0, 0, 0], [0, 1, 0], [0.7, 0.7, 0], [0.7, -0.7, 0]]):
        side = np.cross(beam, [0, 0, 1.0])
        flat = shape - low
        uvw = np.stack([flat @ side + 150, flat[:, 2] + 10, flat @ beam + 1000], 1)
        path = path_length(uvw, faces, 300)
        bad += int((path * np.sign(path.sum()) < -0.7).sum())
    return bad > TORN_PX


def thickness_volume(vertices: np.ndarray, faces: np.ndarray, pitch: float, probes: np.ndarray):
    """Local thickness on a grid [mm], the grid's origin, and the thickness at `probes`, at least 2 mm."""
    origin = vertices.min(0) - 4
    dims = tuple(int(n) for n in np.ceil((vertices.max(0) + 4 - origin) / pitch).astype(int) + 1)
    thick = local_thickness(occupancy(vertices, outward(vertices, faces), origin, pitch, dims), pitch)
    i, j, k = np.clip(np.round((probes - origin) / pitch).astype(int), 0, np.array(dims) - 1).T
    return thick, origin, np.maximum(thick[i, j, k], 2.0)


def without_skin(thick: np.ndarray) -> np.ndarray:
    """Surface voxels take the value of the nearest voxel that is two deep: spheres do not fill corners and rough skin."""
    core = distance_transform_edt(thick > 0) >= 2
    distance, (i, j, k) = distance_transform_edt(~core, return_indices=True)
    near = (thick > 0) & ~core & (distance <= 1.8)
    out = thick.copy()
    out[near] = np.maximum(thick[near], thick[i[near], j[near], k[near]])
    return out


def thickness_at(hip: Hip, points: np.ndarray, pitch: float) -> np.ndarray:
    """Local thickness [mm] at points (N, 3), 0 outside the bone."""
    index = np.round((points - hip.origin) / pitch).astype(int)
    inside = ((index >= 0) & (index < hip.volume.shape)).all(1)
    i, j, k = np.where(inside[:, None], index, 0).T
    return hip.volume[i, j, k] * 0.15 * inside


def _weights(z, rng: np.random.Generator) -> np.ndarray:
    spread = z["weights"].std(0)
    if rng.random() < 0.75:
        return z["weights"].mean(0) + rng.normal(0, np.linspace(0.95, 0.35, MODES) * spread)
    return 0.75 * z["weights"][rng.integers(len(z["weights"]))] + rng.normal(0, 0.25 * spread)


def make_hip(model: ShapeModel, z, rng: np.random.Generator, pitch: float, sizes=(0.93, 1.07), swell: float = 0.0) -> Hip:
    """A hip of the shape model in a random person's pelvis; its cortex is built from its own thickness."""
    person = PERSONS[rng.integers(5)]
    middle = model.mean.mean(0)
    scale = rng.uniform(*sizes)
    shape = (model.shape(_weights(z, rng)) - middle) * scale + middle
    if torn(shape, model.faces):
        return make_hip(model, z, rng, pitch, sizes, swell)
    joint = (z["joint"] - middle) * scale + middle
    normals = vertex_normals(shape, outward(shape, model.faces))
    if swell > 0:  # the shape model's rims are smooth means; real crests and tubercles are thicker
        at = thickness_volume(pose(z, person, "R", shape), model.faces, pitch, pose(z, person, "R", shape - 1.5 * normals))[-1]
        shape = shape + normals * (rng.uniform(0, swell) * np.clip((at - 5) / 5, 0, 1))[:, None]
        normals = vertex_normals(shape, outward(shape, model.faces))
    right = pose(z, person, "R", shape)
    thick, origin, at = thickness_volume(right, model.faces, pitch, pose(z, person, "R", shape - 1.5 * normals))
    crest = np.clip((at - 6) / 12, 0, 1)
    cortex = np.minimum(rng.uniform(0.8, 1.6) * (1 + 0.4 * crest), 0.42 * at)
    inner = shape - normals * cortex[:, None]
    return _placed(z, person, shape, model.faces, inner, model.faces, joint, thick, origin, np.ones(3))


def _placed(z, person, shape, faces, inner, inner_faces, joint, thick, origin, scale) -> Hip:
    right = pose(z, person, "R", shape) * scale
    return Hip(
        right,
        faces,
        vertex_normals(right, outward(right, faces)),
        pose(z, person, "R", inner) * scale,
        inner_faces,
        pose(z, person, "L", shape) * scale,
        pose(z, person, "L", inner) * scale,
        np.clip(thick / 0.15, 0, 255).astype(np.uint8),
        origin,
        pose(z, person, "R", joint[None])[0] * scale,
        pose(z, person, "L", joint[None])[0] * scale,
        person,
        scale,
    )


def warped_ct_hip(model: ShapeModel, z, ct, rng: np.random.Generator, pitch: float) -> Hip:
    """A CT hip bent by a random step of the shape model, resized, a little fuller or leaner, in a random person's pelvis."""
    person = PERSONS[rng.integers(5)]
    name = str(rng.choice(ct["names"]))
    start = z["weights"][int(ct[f"{name}_row"])]
    step = rng.uniform(0, 1) * (_weights(z, rng) - start)
    bend = model.shape(start + step) - model.shape(start)
    tree = cKDTree(model.shape(start))
    depth = CORTEX_MM[rng.integers(len(CORTEX_MM))]
    scale = np.clip(rng.uniform(0.9, 1.1) * rng.uniform(0.96, 1.04, 3), 0.86, 1.14)

    def bent(points: np.ndarray) -> np.ndarray:
        distance, hit = tree.query(points, k=12)
        weight = np.exp(-((distance / (distance[:, :1] + 6)) ** 2))
        return points + (weight[..., None] * bend[hit]).sum(1) / weight.sum(1)[:, None]

    shape, faces = bent(ct[f"{name}_v"].astype(float)), ct[f"{name}_f"]
    inner, inner_faces = bent(ct[f"{name}_v{depth}"].astype(float)), ct[f"{name}_f{depth}"]
    joint = bent(z["joint"][None])[0]
    fuller = rng.uniform(-0.25, 0.7)
    shape = shape + fuller * vertex_normals(shape, outward(shape, faces))
    inner = inner + fuller * vertex_normals(inner, outward(inner, inner_faces))
    right = pose(z, person, "R", shape) * scale
    thick, origin, _ = thickness_volume(right, faces, pitch, right[:1])
    return _placed(z, person, shape, faces, inner, inner_faces, joint, without_skin(thick), origin, scale)


def _surface(field: np.ndarray, level: float, step: int):
    vertices, faces, _, _ = marching_cubes(field, level, step_size=step)
    return vertices, faces


def ct_hip(anatomy: Path, z, person: str, side: str) -> dict[str, np.ndarray]:
    """Outer surface of a CT hip and inner ones at each cortex depth, as a right hip in the model's frame."""
    bone = f"{person}_{side}I"
    image = nibabel.load(anatomy / "ct" / person / f"{bone}_mask.nii.gz")
    mask = np.asarray(image.dataobj) > 0
    where = np.argwhere(mask)
    low, high = np.maximum(where.min(0) - 1, 0), where.max(0) + 2
    mask = np.pad(mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]], 8)
    mask = binary_fill_holes(binary_closing(mask, iterations=3))  # heals fracture gaps of about 5 mm
    parts, count = label(mask)
    if count > 1:
        mask = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    pitch = np.linalg.norm(image.affine[:3, :3], axis=0)
    depth = distance_transform_edt(mask, sampling=pitch) - distance_transform_edt(~mask, sampling=pitch)
    depth = gaussian_filter(depth.astype(np.float32), 0.7)
    flip = np.ones(3) if side == "R" else np.array([-1.0, 1.0, 1.0])

    def canonical(vertices: np.ndarray) -> np.ndarray:
        ras = (vertices - 8 + low) @ image.affine[:3, :3].T + image.affine[:3, 3]
        lps = ras * np.array([-1, -1, 1])
        return ((lps * flip) - z[f"{person}_{side}_t"]) @ z[f"{person}_{side}_R"]

    out: dict[str, np.ndarray] = {}
    for tag, level in [("", 0.0), *((str(c), c) for c in CORTEX_MM)]:
        vertices, faces = _surface(depth, level, 2)
        vertices = canonical(vertices)
        out[f"{bone}_v{tag}"] = vertices.astype(np.float32)
        out[f"{bone}_f{tag}"] = outward(vertices, faces).astype(np.int64)
    out[f"{bone}_row"] = np.array(2 * PERSONS.index(person) + "LR".index(side))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    z = dict(np.load(args.cache / "anatomy.npz"))
    out: dict[str, np.ndarray] = {}
    for person in PERSONS:
        for side in "LR":
            hip = ct_hip(args.anatomy, z, person, side)
            out |= hip
            print(person, side, {k: len(v) for k, v in hip.items() if v.ndim}, flush=True)
    out["names"] = np.array([f"{p}_{s}I" for p in PERSONS for s in "LR"])
    np.savez(args.cache / "hips.npz", **out)


if __name__ == "__main__":
    main()
