"""Bones to simulate from: a hip shape model fitted to CT hips, CT sacra, simple femurs and vertebrae.

Everything is a closed triangle mesh in patient coordinates (LPS, mm): x to the left, y to the back, z to the head.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

PERSONS = ("001", "002", "003", "004", "005")
UNFRACTURED = {"001_RI", "002_RI", "003_RI"}


@dataclass(frozen=True)
class ShapeModel:
    mean: np.ndarray  # (V, 3) mm
    components: np.ndarray  # (K, V, 3), orthonormal
    faces: np.ndarray  # (F, 3)

    def shape(self, weights: np.ndarray) -> np.ndarray:
        return self.mean + np.tensordot(weights, self.components[: len(weights)], axes=1)


def load_shape_model(folder: Path) -> ShapeModel:
    data = np.load(folder / "ssm" / "hip_ssm_0674-meshes_005k-pts_40-comps.npz")
    faces = data["faces"].reshape(-1, 4)[:, 1:].astype(np.int64)
    return ShapeModel(data["points"].astype(float), data["components"].astype(float), faces)


def ct_surface(folder: Path, bone: str, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Outer surface of a CT bone: vertices (V, 3) LPS mm and faces (F, 3)."""
    image = nibabel.load(folder / "ct" / bone[:3] / f"{bone}_mask.nii.gz")
    mask = np.asarray(image.dataobj) > 0
    box = [
        slice(
            max(0, np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != k))).min() - 4),
            np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != k))).max() + 5,
        )
        for k in range(3)
    ]
    soft = gaussian_filter(np.pad(mask[tuple(box)], 4).astype(np.float32), 1.0)
    vertices, faces, _, _ = marching_cubes(soft, 0.45, step_size=step)
    index = vertices - 4 + np.array([b.start for b in box])
    ras = index @ image.affine[:3, :3].T + image.affine[:3, 3]
    lps = ras * np.array([-1, -1, 1])
    return lps, outward(lps, faces)


def outward(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces turned so that the enclosed volume is positive."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return faces if np.einsum("ij,ij->i", a, np.cross(b, c)).sum() > 0 else faces[:, ::-1].copy()


def fit_shape(
    model: ShapeModel, cloud: np.ndarray, start: np.ndarray, modes: int, rounds: int, weights: np.ndarray | None = None
):
    """Rigid pose and weights of the shape model that fit a surface point cloud: (rotation, translation, weights, rms mm)."""
    tree = cKDTree(cloud)
    rotation, translation = start, cloud.mean(0) - start @ model.mean.mean(0)
    weights = np.zeros(modes) if weights is None else weights
    basis = model.components[:modes].reshape(modes, model.mean.size)
    for _ in range(rounds):
        shape = model.shape(weights)
        placed = shape @ rotation.T + translation
        distance, hit = tree.query(placed)
        keep = distance < max(3.0, np.percentile(distance, 85))
        source, target = shape[keep], cloud[hit[keep]]
        sc, tc = source.mean(0), target.mean(0)
        u, _, vt = np.linalg.svd((source - sc).T @ (target - tc))
        d = np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
        rotation = vt.T @ d @ u.T
        translation = tc - rotation @ sc
        if modes:
            back = (cloud[hit] - translation) @ rotation - model.mean
            back[~keep] = (shape - model.mean)[~keep]
            weights = basis @ back.reshape(-1) * 0.98
    return rotation, translation, weights, float(np.sqrt(np.mean(np.minimum(distance, 10) ** 2)))


def best_pose(model: ShapeModel, cloud: np.ndarray):
    """Pose and weights; the model is a right hip whose axes already point left, back and up."""
    return fit_shape(model, cloud[:: max(1, len(cloud) // 20000)], np.eye(3), 30, 100)


def smooth_union(*fields: np.ndarray, blend: float = 0.15) -> np.ndarray:
    return -np.log(sum(np.exp(-f * blend) for f in fields)) / blend


def capsule(grid: np.ndarray, a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> np.ndarray:
    """Signed distance (about) of a cone with round ends, negative inside."""
    ab = b - a
    t = np.clip(((grid - a) @ ab) / (ab @ ab), 0, 1)
    return np.linalg.norm(grid - a - t[..., None] * ab, axis=-1) - (ra + (rb - ra) * t)


def mesh_of(field_of, low: np.ndarray, high: np.ndarray, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    axes = [np.arange(lo, hi, pitch) for lo, hi in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    vertices, faces, _, _ = marching_cubes(-field_of(grid), 0.0)
    vertices = vertices * pitch + np.array([a[0] for a in axes])
    return vertices, outward(vertices, faces)


def femur(centre: np.ndarray, side: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A proximal femur whose head sits at `centre`; `side` +1 for the left."""
    head = rng.uniform(21, 26)
    length, angle = rng.uniform(42, 56), np.deg2rad(rng.uniform(118, 138))
    neck = np.array([side * np.sin(angle), rng.uniform(-0.35, 0.1), np.cos(angle)])
    knee = np.array([-side * rng.uniform(0.05, 0.15), rng.uniform(-0.5, 0.2), -1.0])
    base = centre + length * neck / np.linalg.norm(neck)
    down = knee / np.linalg.norm(knee)
    shaft = rng.uniform(13, 17)

    def field(grid):
        return smooth_union(
            np.linalg.norm(grid - centre, axis=-1) - head,
            capsule(grid, centre, base, head * 0.62, head * 0.72),
            capsule(grid, base, base + 130 * down, shaft * 1.15, shaft),
            np.linalg.norm(grid - base - np.array([side * 8, 6, 14]), axis=-1) - 15,
            np.linalg.norm(grid - base - np.array([-side * 10, 14, -34]), axis=-1) - 8,
            blend=0.35,
        )

    return mesh_of(field, np.minimum(centre, base + 130 * down) - 45, np.maximum(centre, base) + 45, 4.0)


def vertebra(centre: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A lumbar vertebra: body to the front of `centre`, arch and processes behind."""
    width, depth, height = rng.uniform(21, 26), rng.uniform(15, 18), rng.uniform(12, 15)

    def field(grid):
        p = grid - centre
        radial = np.sqrt((p[..., 0] / width) ** 2 + ((p[..., 1] + 4) / depth) ** 2)
        waist = 1 - 0.1 * (1 - (p[..., 2] / height) ** 2)
        body = np.maximum((radial - waist) * depth, np.abs(p[..., 2]) - height)
        parts = [body]
        for s in (-1, 1):
            parts.append(capsule(p, np.array([s * 12.0, 10, 4]), np.array([s * 14.0, 26, 2]), 5, 5))
            parts.append(capsule(p, np.array([s * 14.0, 24, 2]), np.array([s * 40.0, 30, 4]), 5, 3.5))
            parts.append(capsule(p, np.array([s * 15.0, 28, -16]), np.array([s * 16.0, 28, 16]), 6, 6))
            parts.append(capsule(p, np.array([s * 14.0, 28, 0]), np.array([0.0, 42, -4]), 4, 4))
        parts.append(capsule(p, np.array([0.0, 42, -2]), np.array([0.0, 66, -10]), 3.5, 5))
        return smooth_union(*parts, blend=0.6)

    return mesh_of(field, centre + [-48, -26, -24], centre + [48, 78, 24], 3.0)


def sphere_in_acetabulum(model: ShapeModel) -> np.ndarray:
    """Index-free centre of the hip joint: where the inner normals of a spherical cup meet (mean shape)."""
    v, f = model.mean, model.faces
    normals = vertex_normals(v, f)
    rng = np.random.default_rng(1)
    best, centre = -1, v.mean(0)
    for _ in range(6000):
        k = rng.integers(len(v))
        radius = rng.uniform(21, 29)
        guess = v[k] + radius * normals[k]
        delta = guess - v
        distance = np.linalg.norm(delta, axis=1)
        facing = np.einsum("ij,ij->i", delta, normals) / np.maximum(distance, 1e-6)
        count = int(((np.abs(distance - radius) < 1.5) & (facing > 0.9)).sum())
        if count > best:
            best, centre = count, guess
    return centre


def vertex_normals(v: np.ndarray, f: np.ndarray) -> np.ndarray:
    n = np.zeros_like(v)
    face = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    for k in range(3):
        np.add.at(n, f[:, k], face)
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = load_shape_model(args.anatomy)
    model = ShapeModel(model.mean, model.components, outward(model.mean, model.faces))
    out: dict[str, np.ndarray] = {"joint": sphere_in_acetabulum(model)}
    mirror = np.array([-1.0, 1.0, 1.0])
    weights = []
    for person in PERSONS:
        for side in "LR":
            cloud, _ = ct_surface(args.anatomy, f"{person}_{side}I", 2)
            flip = mirror if side == "L" else np.ones(3)
            rotation, translation, w, rms = best_pose(model, cloud * flip)
            print(person, side, f"rms {rms:.2f} mm", np.round(w[:8]), flush=True)
            out[f"{person}_{side}_R"], out[f"{person}_{side}_t"] = rotation, translation
            out[f"{person}_{side}_flip"] = flip
            weights.append(w)
        vertices, faces = ct_surface(args.anatomy, f"{person}_SA", 3)
        out[f"{person}_S_v"], out[f"{person}_S_f"] = vertices, faces
    out["weights"] = np.array(weights)
    np.savez_compressed(args.out, **out)


if __name__ == "__main__":
    main()
