"""Renders training projections of a pelvis with a needle: line integrals and exact targets, no appearance yet.

python training/simulate.py --anatomy DIR --cache DIR --count 9000 --seed 1
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from anatomy import PERSONS, ShapeModel, femur, load_shape_model, outward, vertebra, vertex_normals
from raster import local_thickness, needle_chord, occupancy, path_length, thickness_samples

SIZE, HALF = 256, 128
# Linear attenuation [1/mm] at about 50, 62 and 80 keV (NIST tables), weights of a filtered 80 kVp beam behind a pelvis.
WEIGHT = np.array([0.35, 0.40, 0.25])
SOFT = np.array([0.0227, 0.0203, 0.0184])
CORTICAL = np.array([0.0814, 0.0590, 0.0428])
MARROW = np.array([0.0300, 0.0258, 0.0222])
STEEL = np.array([1.54, 0.90, 0.47])
MODES = 30
TORN_PX = 60  # square millimetres of negative bone over four views


@dataclass
class Hip:
    vertices: np.ndarray  # right side, LPS mm
    inner: np.ndarray
    left: np.ndarray
    left_inner: np.ndarray
    volume: np.ndarray  # uint8, 0.15 mm a step
    origin: np.ndarray
    joint: np.ndarray
    left_joint: np.ndarray
    person: str


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


def make_hip(model: ShapeModel, z, rng: np.random.Generator, pitch: float, sizes=(0.93, 1.07), swell: float = 0.0) -> Hip:
    person = PERSONS[rng.integers(5)]
    spread = z["weights"].std(0)
    if rng.random() < 0.75:
        weights = z["weights"].mean(0) + rng.normal(0, np.linspace(0.95, 0.35, MODES) * spread)
    else:
        weights = 0.75 * z["weights"][rng.integers(len(z["weights"]))] + rng.normal(0, 0.25 * spread)
    scale = rng.uniform(*sizes)
    shape = (model.shape(weights) - model.mean.mean(0)) * scale + model.mean.mean(0)
    if torn(shape, model.faces):
        return make_hip(model, z, rng, pitch, sizes, swell)
    joint = (z["joint"] - model.mean.mean(0)) * scale + model.mean.mean(0)
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
    return Hip(
        right,
        pose(z, person, "R", inner),
        pose(z, person, "L", shape),
        pose(z, person, "L", inner),
        np.clip(thick / 0.15, 0, 255).astype(np.uint8),
        origin,
        pose(z, person, "R", joint[None])[0],
        pose(z, person, "L", joint[None])[0],
        person,
    )


def thickness_at(hip: Hip, points: np.ndarray, pitch: float) -> np.ndarray:
    """Local thickness [mm] at points (N, 3), 0 outside the bone."""
    index = np.round((points - hip.origin) / pitch).astype(int)
    inside = ((index >= 0) & (index < hip.volume.shape)).all(1)
    i, j, k = np.where(inside[:, None], index, 0).T
    return hip.volume[i, j, k] * 0.15 * inside


def place_needle(hip: Hip, faces: np.ndarray, pitch: float, rng: np.random.Generator, front: bool):
    """Tip (LPS mm), axis toward the hub, kind of placement; from the back (PSIS, crest) or the front (tubercle, crest)."""
    way = -1.0 if front else 1.0
    normals = vertex_normals(hip.vertices, outward(hip.vertices, faces))
    v = hip.vertices
    ilium = v[:, 2] > hip.joint[2] + 22
    facing, deep = way * normals[:, 1], way * v[:, 1]
    outer = (facing > -0.2) & ((facing > 0.25) | (normals[:, 0] < -0.3))
    back = deep > np.percentile(deep[ilium], 40)
    probe = thickness_at(hip, v - 1.5 * normals, pitch)
    psis = deep > np.percentile(deep[ilium], 82)
    kind = rng.choice(["marrow", "thin", "short", "cortical", "through"], p=[0.42, 0.20, 0.16, 0.10, 0.12])
    pool = ilium & outer & (back if rng.random() < 0.8 else ilium)
    if kind == "marrow" and rng.random() < 0.7:
        pool &= psis
    if kind in ("thin", "through") and (pool & (probe < 7.5)).sum() > 20:
        pool = ilium & outer & (probe < 7.5)
    for _ in range(200):
        k = rng.choice(np.flatnonzero(pool))
        axis = normals[k] * rng.uniform(0.2, 1) + np.array([0, way, 0]) * rng.uniform(0.2, 1.2) + rng.normal(0, 0.35, 3)
        axis /= np.linalg.norm(axis)
        if axis @ normals[k] < 0.25:
            continue
        path = v[k] - axis * np.arange(0.5, 60, 0.5)[:, None]
        depth = thickness_at(hip, path, pitch)
        run = np.argmax(depth[2:] == 0) + 2 if (depth[2:] == 0).any() else len(depth)
        far = 0.5 * (run + 1)
        if kind == "short":
            reach = -rng.uniform(2, 18)
        elif kind == "cortical":
            reach = rng.uniform(-1, 1.2)
        elif kind == "through":
            if far > 30:
                continue
            reach = far + rng.uniform(1.5, 10)
        else:
            if far < (3 if kind == "thin" else 10):
                continue
            reach = rng.uniform(0.25, 0.8) * min(far, 45)
        tip = v[k] - axis * reach
        t = float(thickness_at(hip, tip[None], pitch)[0])
        if (kind == "thin" and not 0 < t < 8) or (kind == "marrow" and t < 8.5):
            continue
        return tip, axis, kind, t
    return None


def camera(rng: np.random.Generator, target: np.ndarray, front: bool):
    """Source, top-left pixel, right and down steps (LPS mm) and beam axis for a random view of `target`."""
    kind = rng.choice(4, p=[0.28, 0.28, 0.24, 0.20])
    primary = [
        rng.uniform(-18, 18),
        rng.choice([-1, 1]) * rng.uniform(30, 72),
        rng.choice([-1, 1]) * rng.uniform(15, 50),
        rng.choice([-1, 1]) * rng.uniform(75, 102),
    ][kind]
    secondary = rng.uniform(-24, 24)
    a, b = np.deg2rad(primary), np.deg2rad(secondary)
    beam = np.cos(b) * (np.cos(a) * np.array([0, 1.0, 0]) + np.sin(a) * np.array([1.0, 0, 0])) + np.sin(b) * np.array(
        [0, 0, 1.0]
    )
    if front and rng.random() < 0.85:  # a supine patient: the detector is in front
        beam = beam * np.array([-1.0, -1.0, 1.0])
    sid, sod = rng.uniform(940, 1110), rng.uniform(570, 790)
    up = np.array([0, 0, 1.0]) - beam * beam[2]
    up /= np.linalg.norm(up)
    side = np.cross(beam, up)
    roll = np.deg2rad(rng.uniform(-15, 15))
    up, side = np.cos(roll) * up + np.sin(roll) * side, np.cos(roll) * side - np.sin(roll) * up
    field = rng.uniform(115, 250)
    iso = target + side * rng.uniform(-0.3, 0.3) * field + up * rng.uniform(-0.33, 0.33) * field + beam * rng.normal(0, 25)
    source = iso - beam * sod
    pixel = field / SIZE * sid / sod
    centre = source + beam * sid
    right, down = side * pixel, -up * pixel
    corner = centre - right * (SIZE - 1) / 2 - down * (SIZE - 1) / 2
    return source, corner, right, down, beam, sid, (primary, secondary)


def project(points, source, corner, right, down, beam, sid):
    d = points - source
    depth = d @ beam
    on = source + d * (sid / depth)[:, None] - corner
    step = right @ right
    return np.stack([on @ right / step, on @ down / step, depth], 1)


def ellipsoid_chord(source, rays, centre, axes):
    """Length of each ray (unit `rays` (S, S, 3)) inside an axis-aligned ellipsoid; an infinite axis makes a cylinder."""
    d, o = rays / axes, (source - centre) / axes
    a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1
    return 2 * np.sqrt(np.maximum(b * b - a * c, 0)) / a


def noise_field(rng, size, grain):
    small = rng.normal(0, 1, (max(2, int(size / grain)) + 2,) * 2).astype(np.float32)
    out = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return out / max(out.std(), 1e-6)


class Renderer:
    def __init__(
        self, anatomy: Path, cache: Path, hips: int, seed: int, front: float = 0.0, swell: float = 0.0, pitch: float = 1.2
    ):
        self.rng = np.random.default_rng(seed)
        self.pitch, self.front = pitch, front
        model = load_shape_model(anatomy)
        self.faces = outward(model.mean, model.faces)
        self.z = dict(np.load(cache / "anatomy.npz"))
        self.left_faces = self.faces[:, ::-1].copy()
        self.hips = [
            make_hip(model, self.z, self.rng, pitch, (0.98, 1.15) if swell else (0.93, 1.07), swell) for _ in range(hips)
        ]
        self.femora = [femur(np.zeros(3), -1, self.rng) for _ in range(16)]
        self.vertebrae = [vertebra(np.zeros(3), self.rng) for _ in range(8)]
        self.sacra = {p: (self.z[f"{p}_S_v"], self.z[f"{p}_S_f"]) for p in PERSONS}
        self.inner_sacra = {p: v - 1.2 * vertex_normals(v, f) for p, (v, f) in self.sacra.items()}

    def draw(self):
        rng = self.rng
        hip = self.hips[rng.integers(len(self.hips))]
        front = rng.random() < self.front
        placed = place_needle(hip, self.faces, self.pitch, rng, front)
        if placed is None:
            return None
        tip, axis, kind, tip_thickness = placed
        source, corner, right, down, beam, sid, angles = camera(rng, tip, front)
        if abs(axis @ beam) > np.cos(np.deg2rad(15)) and rng.random() < 0.8:
            return None
        args = (source, corner, right, down, beam, sid)
        grid = corner + right * np.arange(SIZE)[None, :, None] + down * np.arange(SIZE)[:, None, None] - source
        length = np.linalg.norm(grid, axis=-1)
        rays, oblique = grid / length[..., None], length / sid

        def through(v, f):
            return np.maximum(path_length(project(v, *args), f, SIZE), 0) * oblique

        outer = through(hip.vertices, self.faces)
        total, core = outer.copy(), np.minimum(through(hip.inner, self.faces), outer)
        others = np.zeros_like(outer)
        sv, sf = self.sacra[hip.person]
        for v, inner, f in [(hip.left, hip.left_inner, self.left_faces), (sv, self.inner_sacra[hip.person], sf)]:
            whole = through(v, f)
            others += whole
            core += np.minimum(through(inner, f), whole)
        bones = []
        if rng.random() < 0.9:
            bones += [(v + hip.joint, f) for v, f in [self.femora[rng.integers(16)]]]
            bones += [((v * [-1, 1, 1]) + hip.left_joint, f[:, ::-1].copy()) for v, f in [self.femora[rng.integers(16)]]]
        top = sv[sv[:, 2] > np.percentile(sv[:, 2], 97)].mean(0)
        for level in range(rng.integers(0, 3)):
            v, f = self.vertebrae[rng.integers(8)]
            bones.append((v + top + np.array([0, -14 - 5 * level, 18 + 36 * level]), f))
        for v, f in bones:
            whole = through(v, f)
            inner = np.minimum(through(v - rng.uniform(1.2, 3.5) * vertex_normals(v, f), f), whole)
            others += whole
            core += inner
        total += others
        cortical = np.maximum(total - core, 0)
        core = core * (1 + rng.uniform(0.03, 0.12) * noise_field(rng, SIZE, rng.uniform(2, 6)))
        centre = (hip.joint + hip.left_joint) / 2
        half = np.array([rng.uniform(155, 215), rng.uniform(95, 150), 1e6])
        margin = rng.uniform(-25, 55)  # lean patients, and skin that the exposure burns out
        skin = hip.vertices[:, 1].min() - margin + half[1] if front else hip.vertices[:, 1].max() + margin - half[1]
        centre = np.array([centre[0], skin, centre[2]])
        body = ellipsoid_chord(source, rays, centre, half)
        tissue = np.maximum(body - total, 0) * (
            1
            + rng.uniform(0.005, 0.025) * noise_field(rng, SIZE, rng.uniform(20, 80))
            + rng.uniform(0.002, 0.008) * noise_field(rng, SIZE, 8)
        )
        for _ in range(rng.integers(0, 7)):
            gas = np.array(
                [centre[0] + rng.uniform(-90, 90), centre[1] - rng.uniform(-20, 70), hip.joint[2] + rng.uniform(-10, 150)]
            )
            tissue -= rng.uniform(0.5, 1) * ellipsoid_chord(source, rays, gas, rng.uniform(7, 28, 3))
        radius = rng.choice([4.19, 3.4, 3.05, 3.05, 3.05, 2.41, 2.41, 1.83, 1.83, 1.27, 0.91, 0.72]) / 2
        hollow = radius * 0.78 if rng.random() < 0.35 else 0.0
        reach = rng.uniform(70, 155)
        steel = needle_chord(
            source, corner, right, down, SIZE, tip, axis, radius, hollow, rng.uniform(0.3, 1.4) * 2 * radius, reach
        )
        shaft = steel > 0.15 * radius
        plastic = np.zeros_like(steel)
        if rng.random() < 0.6:
            hub = needle_chord(
                source, corner, right, down, SIZE, tip + axis * reach, axis, rng.uniform(3, 11), 0.0, 0.0, rng.uniform(10, 40)
            )
            if rng.random() < 0.25:
                steel = steel + 0.12 * hub
            plastic += hub
        if rng.random() < 0.28:  # a second instrument: wire or pin, straight, elsewhere
            p = tip + right / np.linalg.norm(right) * rng.uniform(-70, 70) + down / np.linalg.norm(down) * rng.uniform(-70, 70)
            direction = rng.normal(0, 1, 3) - 0.6 * beam * rng.normal()
            direction /= np.linalg.norm(direction)
            steel = steel + needle_chord(
                source, corner, right, down, SIZE, p, direction, rng.uniform(0.3, 1.0), 0.0, 1.0, rng.uniform(60, 250)
            )
        mu = [
            np.maximum(
                SOFT[e] * np.maximum(tissue, 0)
                + CORTICAL[e] * cortical
                + MARROW[e] * core
                + STEEL[e] * steel
                + 0.9 * SOFT[e] * plastic,
                0,
            )
            for e in range(3)
        ]
        integral = -np.log(sum(w * np.exp(-m) for w, m in zip(WEIGHT, mu, strict=True)))
        samples = thickness_samples(
            hip.volume,
            hip.origin,
            self.pitch,
            source,
            corner + (right + down) / 2,
            right * 2,
            down * 2,
            HALF,
            1.0,
            int(rng.integers(2**31)),
        )
        uv = project(tip[None], *args)[0]
        return dict(
            integral=integral.astype(np.float16),
            masks=np.stack([outer > 0.3, others > 0.3, shaft]).astype(np.uint8),
            thickness=samples[..., :3].astype(np.uint8),
            meta=np.array(
                [
                    uv[0],
                    uv[1],
                    tip_thickness,
                    ["marrow", "thin", "short", "cortical", "through"].index(kind),
                    *angles,
                    radius,
                    abs(axis @ beam),
                ],
                np.float32,
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--name", default="train")
    parser.add_argument("--count", type=int, default=9000)
    parser.add_argument("--hips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--front", type=float, default=0.0, help="share of needles that come from the front")
    parser.add_argument("--swell", type=float, default=0.0, help="largest thickening of crests, each side [mm]")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    started = time.time()
    renderer = Renderer(args.anatomy, args.cache, args.hips, args.seed, args.front, args.swell)
    print(f"{args.hips} hips in {time.time() - started:.0f} s", flush=True)
    shapes = dict(
        integral=((SIZE, SIZE), np.float16),
        masks=((3, SIZE, SIZE), np.uint8),
        thickness=((HALF, HALF, 3), np.uint8),
        meta=((8,), np.float32),
    )
    arrays = {
        k: np.lib.format.open_memmap(args.cache / f"{args.name}_{k}.npy", "w+", t, (args.count, *s))
        for k, (s, t) in shapes.items()
    }
    done = 0
    while done < args.count:
        picture = renderer.draw()
        if picture is None:
            continue
        for key, value in picture.items():
            arrays[key][done] = value
        done += 1
        if done % 250 == 0:
            (args.cache / f"{args.name}_done.txt").write_text(str(done))
            print(done, f"{(time.time() - started):.0f} s", flush=True)


if __name__ == "__main__":
    main()
