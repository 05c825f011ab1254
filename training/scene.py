"""Where the needle goes and where the C-arm stands."""

from __future__ import annotations

import numpy as np
from hips import Hip, thickness_at


def place_needle(hip: Hip, pitch: float, rng: np.random.Generator, front: bool, hard: bool = False):
    """Tip (LPS mm), axis toward the hub, kind of placement; from the back (PSIS, crest) or the front (tubercle, crest).

    With `hard` all needles miss the marrow where bone is thick, which a thickness map does not tell.
    """
    way = -1.0 if front else 1.0
    v, normals = hip.vertices, hip.normals
    ilium = v[:, 2] > hip.joint[2] + 22
    facing, deep = way * normals[:, 1], way * v[:, 1]
    outer = (facing > -0.2) & ((facing > 0.25) | (normals[:, 0] < -0.3))
    back = deep > np.percentile(deep[ilium], 40)
    probe = thickness_at(hip, v - 1.5 * normals, pitch)
    psis = deep > np.percentile(deep[ilium], 82)
    kind = rng.choice(["marrow", "thin", "short", "cortical", "through"], p=[0.42, 0.20, 0.16, 0.10, 0.12])
    if hard:
        kind = rng.choice(["short", "cortical", "through"], p=[0.4, 0.25, 0.35])
    pool = ilium & outer & (back if hard or rng.random() < 0.8 else ilium)
    if kind == "marrow" and rng.random() < 0.7:
        pool &= psis
    if hard:
        pool &= probe > 9
    elif kind in ("thin", "through") and (pool & (probe < 7.5)).sum() > 20:
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
            if far > (45 if hard else 30):
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


VIEWS = (0.26, 0.26, 0.22, 0.26)  # shares of front, steep oblique, oblique and lateral views


def camera(rng: np.random.Generator, target: np.ndarray, front: bool, size: int, views: tuple[float, ...] = VIEWS):
    """Source, top-left pixel, right and down steps (LPS mm) and beam axis for a random view of `target`."""
    kind = rng.choice(4, p=views)
    primary = [
        rng.uniform(-18, 18),
        rng.choice([-1, 1]) * rng.uniform(30, 72),
        rng.choice([-1, 1]) * rng.uniform(15, 50),
        rng.choice([-1, 1]) * rng.uniform(75, 102),
    ][kind]
    secondary = rng.uniform(-24, 24)
    return stand(rng, target, size, primary, secondary, front and rng.random() < 0.85)


def stand(
    rng: np.random.Generator, target: np.ndarray, size: int, primary: float, secondary: float, supine: bool,
    *, turned: float = 15, aside: float = 0.33, field_mm: tuple[float, float] = (115, 250),
):  # fmt: skip
    """A C-arm at given angles [deg]; the picture turned by up to `turned`, the target off its centre by up to `aside` of it."""
    a, b = np.deg2rad(primary), np.deg2rad(secondary)
    beam = np.cos(b) * (np.cos(a) * np.array([0, 1.0, 0]) + np.sin(a) * np.array([1.0, 0, 0])) + np.sin(b) * np.array(
        [0, 0, 1.0]
    )
    if supine:  # the detector is in front
        beam = beam * np.array([-1.0, -1.0, 1.0])
    sid, sod = rng.uniform(940, 1110), rng.uniform(570, 790)
    up = np.array([0, 0, 1.0]) - beam * beam[2]
    up /= np.linalg.norm(up)
    side = np.cross(beam, up)
    roll = np.deg2rad(rng.uniform(-turned, turned))
    up, side = np.cos(roll) * up + np.sin(roll) * side, np.cos(roll) * side - np.sin(roll) * up
    field = rng.uniform(*field_mm)  # millimetres at the target
    off = rng.uniform(-0.3, 0.3) * aside / 0.33, rng.uniform(-aside, aside)
    iso = target + side * off[0] * field + up * off[1] * field + beam * rng.normal(0, 25)
    source = iso - beam * sod
    pixel = field / size * sid / sod
    centre = source + beam * sid
    right, down = side * pixel, -up * pixel
    corner = centre - right * (size - 1) / 2 - down * (size - 1) / 2
    return source, corner, right, down, beam, sid, (primary, secondary)


def project(points, source, corner, right, down, beam, sid):
    d = points - source
    depth = d @ beam
    on = source + d * (sid / depth)[:, None] - corner
    step = right @ right
    return np.stack([on @ right / step, on @ down / step, depth], 1)
