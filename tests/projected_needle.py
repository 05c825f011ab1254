"""A needle over a soft background, for tests: a cylinder with a cone, in light that is blurred before its logarithm."""

import cv2
import numpy as np

from marrowpoint.frame import Frame, FrameReference


def needle_picture(
    *,
    shape=(512, 512),
    tip=(250.0, 260.0),
    angle_deg=25.0,
    width=15.0,
    cone=1.0,
    length=190.0,
    contrast=0.3,
    noise=0.015,
    seed=0,
    soft=0.45,
):
    """Attenuation 0..1 (float32); the axis runs from the tip along (sin, cos) of the angle.

    ``contrast`` is the fall of the logarithm of the light behind the middle of the shaft: the rest is scatter.
    """
    fine = 3
    r, c = np.indices((shape[0] * fine, shape[1] * fine), dtype=np.float32)
    r, c = (r + 0.5) / fine - 0.5 - tip[0], (c + 0.5) / fine - 0.5 - tip[1]
    a = np.radians(angle_deg)
    along, across = r * np.sin(a) + c * np.cos(a), r * np.cos(a) - c * np.sin(a)
    radius = np.clip(along / max(cone * width, 1e-3), 0, 1) * width / 2 * (along < length)
    thickness = 2 * np.sqrt(np.clip(radius**2 - across**2, 0, None)) / width
    thickness = cv2.resize(thickness, shape[::-1], interpolation=cv2.INTER_AREA)
    rows, columns = np.indices(shape, dtype=np.float32)
    soft = soft + 0.1 * np.sin(rows / 170) + 0.08 * np.cos(columns / 140)
    taken = (1 - np.exp(-2 * thickness)) / (1 - np.exp(-2))
    light = np.exp(-soft) * (1 - (1 - np.exp(-contrast)) * taken)
    grain = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    picture = -np.log(cv2.GaussianBlur(light.astype(np.float32), (0, 0), 1.0))
    picture = picture + noise * cv2.GaussianBlur(grain, (0, 0), 0.6) * 2
    return np.clip(picture, 0, 1).astype(np.float32)


def frame_of(pixels, valid=None):
    """A frame without a header."""
    valid = np.ones(pixels.shape, bool) if valid is None else valid
    reference = FrameReference(path="test.dcm", rows=pixels.shape[0], columns=pixels.shape[1])
    return Frame(pixels=np.ascontiguousarray(pixels, dtype=np.float32), valid=valid, reference=reference)


def collimated(pixels, kind, level=0.0):
    """Cut a picture to a circle or a turned rectangle and fill the rest."""
    rows, columns = np.indices(pixels.shape)
    m, n = pixels.shape
    r, c = rows - m / 2 + 0.5, columns - n / 2 + 0.5
    if kind == "circle":
        field = r**2 + c**2 < (0.47 * m) ** 2
    else:
        t = np.radians(4.0)
        field = (np.abs(r * np.cos(t) + c * np.sin(t)) < 0.42 * m) & (np.abs(c * np.cos(t) - r * np.sin(t)) < 0.44 * n)
    return np.where(field, pixels, level).astype(np.float32), field
