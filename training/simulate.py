"""Renders training projections of a pelvis with a needle: line integrals and exact targets, no appearance yet.

python training/simulate.py --anatomy DIR --cache DIR --count 9000 --seed 1
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from anatomy import PERSONS, ShapeModel, femur, load_shape_model, outward, vertebra, vertex_normals
from hips import make_hip, warped_ct_hip
from raster import needle_chord, path_length, thickness_samples
from scene import VIEWS, camera, place_needle, project

SIZE, HALF = 256, 128
# Linear attenuation [1/mm] at about 50, 62 and 80 keV (NIST tables), weights of a filtered 80 kVp beam behind a pelvis.
WEIGHT = np.array([0.35, 0.40, 0.25])
SOFT = np.array([0.0227, 0.0203, 0.0184])
CORTICAL = np.array([0.0814, 0.0590, 0.0428])
MARROW = np.array([0.0300, 0.0258, 0.0222])
STEEL = np.array([1.54, 0.90, 0.47])


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
        self,
        anatomy: Path,
        cache: Path,
        hips: int,
        seed: int,
        front: float = 0.0,
        swell: float = 0.0,
        ct: tuple[str, ...] = (),
        pitch: float = 1.2,
        views: tuple[float, ...] = VIEWS,
    ):
        self.rng = np.random.default_rng(seed)
        self.pitch, self.front, self.views = pitch, front, views
        model = load_shape_model(anatomy)
        model = ShapeModel(model.mean, model.components, outward(model.mean, model.faces))
        self.z = dict(np.load(cache / "anatomy.npz"))
        if ct:
            scans = dict(np.load(cache / "hips.npz")) | {"names": np.array(ct)}
            self.hips = [warped_ct_hip(model, self.z, scans, self.rng, pitch) for _ in range(hips)]
        else:
            sizes = (0.98, 1.15) if swell else (0.93, 1.07)
            self.hips = [make_hip(model, self.z, self.rng, pitch, sizes, swell) for _ in range(hips)]
        self.femora = [femur(np.zeros(3), -1, self.rng) for _ in range(16)]
        self.vertebrae = [vertebra(np.zeros(3), self.rng) for _ in range(8)]
        self.sacra = {p: (self.z[f"{p}_S_v"], self.z[f"{p}_S_f"]) for p in PERSONS}
        self.inner_sacra = {p: v - 1.2 * vertex_normals(v, f) for p, (v, f) in self.sacra.items()}

    def draw(self):
        rng = self.rng
        hip = self.hips[rng.integers(len(self.hips))]
        front = rng.random() < self.front
        placed = place_needle(hip, self.pitch, rng, front)
        if placed is None:
            return None
        tip, axis = placed[:2]
        source, corner, right, down, beam, sid, angles = camera(rng, tip, front, SIZE, self.views)
        if abs(axis @ beam) > np.cos(np.deg2rad(15)) and rng.random() < 0.8:
            return None
        return self.picture(hip, placed, front, (source, corner, right, down, beam, sid, angles))

    def picture(self, hip, placed, front, shot, mapped=True):
        """One projection of a placed needle; without `mapped` the thickness map, which only training needs, stays out."""
        rng = self.rng
        tip, axis, kind, tip_thickness = placed
        source, corner, right, down, beam, sid, angles = shot
        args = (source, corner, right, down, beam, sid)
        grid = corner + right * np.arange(SIZE)[None, :, None] + down * np.arange(SIZE)[:, None, None] - source
        length = np.linalg.norm(grid, axis=-1)
        rays, oblique = grid / length[..., None], length / sid

        def through(v, f):
            return np.maximum(path_length(project(v, *args), f, SIZE), 0) * oblique

        outer = through(hip.vertices, hip.faces)
        total, core = outer.copy(), np.minimum(through(hip.inner, hip.inner_faces), outer)
        others = np.zeros_like(outer)
        sv, sf = self.sacra[hip.person][0] * hip.scale, self.sacra[hip.person][1]
        for v, f, inner, inner_f in [
            (hip.left, hip.faces[:, ::-1], hip.left_inner, hip.inner_faces[:, ::-1]),
            (sv, sf, self.inner_sacra[hip.person] * hip.scale, sf),
        ]:
            whole = through(v, np.ascontiguousarray(f))
            others += whole
            core += np.minimum(through(inner, np.ascontiguousarray(inner_f)), whole)
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
        half = np.array([rng.uniform(110, 215), rng.uniform(60, 150), 1e6])
        margin = rng.uniform(-45, 55)  # lean patients, and skin that the exposure burns out
        skin = hip.vertices[:, 1].min() - margin + half[1] if front else hip.vertices[:, 1].max() + margin - half[1]
        centre = np.array([centre[0] + rng.normal(0, 12), skin, centre[2]])
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
        samples = np.zeros((HALF, HALF, 3))
        if mapped:
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
        mm_per_px = float(np.linalg.norm(right)) * uv[2] / sid
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
                    mm_per_px,
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
    parser.add_argument("--size", type=int, default=SIZE, help="side of the pictures [px]")
    parser.add_argument("--ct", nargs="*", default=[], help="CT hips (such as 001_RI) to warp, in place of the shape model")
    parser.add_argument(
        "--views", type=float, nargs=4, default=VIEWS, help="shares of front, steep oblique, oblique and lateral views"
    )
    args = parser.parse_args()
    globals().update(SIZE=args.size, HALF=args.size // 2)
    cv2.setNumThreads(1)
    started = time.time()
    renderer = Renderer(
        args.anatomy, args.cache, args.hips, args.seed, args.front, args.swell, tuple(args.ct), views=tuple(args.views)
    )
    print(f"{args.hips} hips in {time.time() - started:.0f} s", flush=True)
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
