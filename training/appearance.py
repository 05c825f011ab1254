"""From line integrals to what a saved frame looks like: field, dose, scatter, display curve, burned-in text, clutter."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.fluoroscopy.prior import network_input

RENDERED = 256


def random_field(rng: np.random.Generator, size: int) -> np.ndarray:
    field = np.zeros((size, size), np.uint8)
    kind = rng.random()
    if kind < 0.3:
        return np.ones((size, size), bool)
    if kind < 0.65:
        cv2.circle(field, (size // 2, size // 2), int(size * rng.uniform(0.47, 0.5)), 1, -1)
    else:
        w, h = size * rng.uniform(0.93, 1.0), size * (rng.uniform(0.55, 1.0) if rng.random() < 0.5 else 1.0)
        if rng.random() < 0.5:
            w, h = h, w
        box = cv2.boxPoints(((size / 2, size / 2), (w, h), rng.normal(0, 2) if rng.random() < 0.4 else 0.0))
        cv2.fillPoly(field, [np.round(box).astype(np.int32)], 1)
    return field > 0


def warp(rng: np.random.Generator, tip: np.ndarray, size: int) -> np.ndarray:
    """Affine (2, 3) from (x, y) of the size x size sample to the rendered picture."""
    side = RENDERED * rng.uniform(0.78, 1.04)
    angle = np.deg2rad(rng.uniform(-10, 10))  # upright: the product tries the four quarter turns itself
    slack = abs(RENDERED - side) / 2 + 8
    centre = RENDERED / 2 + rng.uniform(-slack, slack, 2)
    if rng.random() < 0.95:
        centre = np.clip(centre, tip - 0.43 * side, tip + 0.43 * side)
    step = side / size
    flip = -1 if rng.random() < 0.5 else 1
    turn = np.array([[np.cos(angle) * flip, -np.sin(angle)], [np.sin(angle) * flip, np.cos(angle)]]) * step
    return np.hstack([turn, (centre - turn @ np.full(2, (size - 1) / 2))[:, None]])


def soft_bands(rng: np.random.Generator, size: int) -> np.ndarray:
    """More soft tissue: elliptic cylinders whose edges may run across the bone, mostly along the patient."""
    out = np.zeros((size, size), np.float32)
    if rng.random() < 0.4:
        return out
    rows, columns = np.indices(out.shape, dtype=np.float32)
    for _ in range(rng.integers(1, 3)):
        angle = rng.normal(0, 0.18) if rng.random() < 0.85 else rng.uniform(-1.6, 1.6)
        across = (columns - rng.uniform(-0.2, 1.2) * size) * np.cos(angle) + (rows - size / 2) * np.sin(angle)
        chord = np.sqrt(np.maximum(1 - (across / (rng.uniform(0.12, 0.8) * size)) ** 2, 0))
        out += rng.uniform(0.3, 4.0) * chord
    return out


def expose(rng: np.random.Generator, integral: np.ndarray, binned: tuple[float, float] = (7, 28)) -> np.ndarray:
    """Line integrals to a display value that grows with attenuation; `binned`: detector pixels in one of ours."""
    size = len(integral)
    light = np.exp(-integral - soft_bands(rng, size))
    scatter = rng.uniform(0, 0.6) if rng.random() < 0.8 else 0.0
    light = light + scatter * cv2.resize(
        cv2.blur(cv2.resize(light, (48, 48), interpolation=cv2.INTER_AREA), (17, 17)), (size, size)
    )
    mean = max(float(np.median(light)), 1e-6)
    counts = 10 ** rng.uniform(1.5, 3.1) * rng.uniform(*binned)
    noise = rng.normal(0, 1, light.shape).astype(np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.4, 0.9)) * 1.6
    light = np.maximum(light + noise * np.sqrt(light * mean / counts), mean * 2e-3)
    if rng.random() < 0.5:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 1.0))
    if rng.random() < 0.25:
        return -(light ** rng.uniform(0.3, 1.0))
    return -np.log(light)


def display(rng: np.random.Generator, x: np.ndarray, field: np.ndarray) -> np.ndarray:
    size = len(x)
    if rng.random() < 0.2:
        r, c = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
        x = x + x.std() * rng.uniform(-0.5, 0.5) * (r * rng.normal() + c * rng.normal() + 0.7 * (r * r + c * c) * rng.normal())
    burnt = rng.random() < 0.65  # air and thin flesh beside the patient are burnt out in most saved frames
    low, high = np.percentile(
        x[field], [rng.uniform(0, 32) if burnt else 0.2, rng.uniform(88, 100) if rng.random() < 0.4 else 99.8]
    )
    wide = max(high - low, 1e-3)
    x = np.clip((x - low + wide * rng.uniform(0, 0.04 if burnt else 0.3)) / (wide * rng.uniform(1, 1.6)), 0, 1)
    choice = rng.random()
    if choice < 0.4:
        x = x ** np.exp(rng.normal(0, 0.4))
    elif choice < 0.6:
        gain, middle = rng.uniform(3, 9), rng.uniform(0.3, 0.7)
        x = 1 / (1 + np.exp(-gain * (x - middle)))
    if rng.random() < 0.25:
        soft = cv2.GaussianBlur(x.astype(np.float32), (0, 0), rng.uniform(1, 4))
        x = np.clip(x + rng.uniform(0.3, 1.5) * (x - soft), 0, 1)
    if rng.random() < 0.1:
        levels = rng.integers(20, 256)
        x = np.round(x * levels) / levels
    return x.astype(np.float32)


def clutter(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    size = len(x)
    if rng.random() < 0.35:
        for _ in range(rng.integers(1, 4)):
            text = "".join(rng.choice(list("LRAPOHNE 0123456789:"), rng.integers(1, 9)))
            ink = np.zeros(x.shape, np.uint8)
            cv2.putText(
                ink,
                text,
                (int(rng.integers(0, size - 30)), int(rng.integers(10, size))),
                0,
                float(rng.uniform(0.25, 0.6)),
                255,
                1,
            )
            x = np.where(ink > 100, np.float32(rng.integers(2)), x)
    if rng.random() < 0.08:
        points = np.cumsum(np.vstack([rng.uniform(0, size, 2), rng.normal(0, size / 6, (6, 2))]), 0)
        layer = np.zeros(x.shape, np.uint8)
        cv2.polylines(layer, [points.astype(np.int32)], False, 255, 1, cv2.LINE_AA)
        x = x + layer / 255 * rng.uniform(0.1, 0.6)
    if rng.random() < 0.06:
        r, c, h, w = rng.integers(0, size - 20), rng.integers(0, size - 20), rng.integers(6, 40), rng.integers(6, 40)
        x[r : r + h, c : c + w] = (
            rng.random() if rng.random() < 0.5 else x[r : r + h, c : c + w] + rng.normal(0, 0.2, x[r : r + h, c : c + w].shape)
        )
    if rng.random() < 0.15:
        blob = np.zeros(x.shape, np.uint8)
        cv2.ellipse(
            blob,
            (int(rng.integers(0, size)), int(rng.integers(0, size))),
            (int(rng.integers(6, 40)), int(rng.integers(4, 25))),
            float(rng.uniform(0, 180)),
            0,
            360,
            255,
            -1,
            cv2.LINE_AA,
        )
        x = x + cv2.blur(blob, (5, 5)) / 255 * rng.uniform(-0.25, 0.25)
    return x


def sample(rng: np.random.Generator, integral, masks, thickness, meta, size: int, plain: bool = False):
    """One training example.

    Returns input (3, S, S), masks (3, S/2, S/2), thickness in 20 mm units and its weight (2, S/2, S/2),
    field at half size, tip (x, y) at half size or (-1, -1).
    """
    half = size // 2
    tip = meta[:2].astype(float)
    there = warp(rng, tip, size)
    flags = cv2.WARP_INVERSE_MAP
    shrunk = cv2.warpAffine(
        integral.astype(np.float32), there, (size, size), flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    coarse = np.hstack([there[:, :2] * 2, (there[:, 2] + there[:, :2] @ [0.5, 0.5])[:, None]])
    planes = [cv2.warpAffine(m.astype(np.float32), coarse, (half, half), flags=flags | cv2.INTER_LINEAR) for m in masks]
    inside = cv2.warpAffine(np.ones((RENDERED, RENDERED), np.uint8), there, (size, size), flags=flags | cv2.INTER_NEAREST) > 0
    field = random_field(rng, size) & inside
    if field.mean() < 0.2:
        field = inside
    x = clutter(rng, display(rng, expose(rng, shrunk), field))
    if rng.random() < 0.01:
        x = 1 - x
    quarter = coarse.copy()
    quarter[:, :2] /= 2
    quarter[:, 2] = (coarse[:, 2] - 0.5) / 2
    thick = (
        cv2.warpAffine(thickness[..., int(rng.integers(3))], quarter, (half, half), flags=flags | cv2.INTER_NEAREST).astype(
            np.float32
        )
        * 0.15
        / 20
    )
    weight = (thick > 0).astype(np.float32)
    back = np.linalg.inv(np.vstack([there, [0, 0, 1]]))[:2]
    at = (back[:, :2] @ tip + back[:, 2] + 0.5) / 2 - 0.5
    seen = (at > 1).all() and (at < half - 2).all() and field[int(at[1] * 2), int(at[0] * 2)]
    if seen and meta[2] > 0:
        r, c = int(round(at[1])), int(round(at[0]))
        thick[r - 1 : r + 2, c - 1 : c + 2] = meta[2] / 20
        weight[r - 1 : r + 2, c - 1 : c + 2] = 80.0  # what is asked of the map is asked at the tip
    fieldhalf = cv2.resize(field.astype(np.float32), (half, half), interpolation=cv2.INTER_AREA) > 0.5
    return (
        network_input(x.astype(np.float32), field, size),
        np.stack(planes) * fieldhalf,
        np.stack([thick, weight * fieldhalf]),
        fieldhalf.astype(np.float32),
        (at if seen else np.array([-1.0, -1.0])).astype(np.float32),
    )
