"""Paths through everything that is not the hip bone: trunk, gas, fat planes, sacrum, femur; and their texture."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Points
from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.clutter import Ellipsoid, body_mm, gas, muscles
from marrowpoint.phantom.march import Rays, march_sacrum

GAS_DEPTH_MM = 24.0
# Fat attenuates this much less than muscle.
FAT_SHARE = 0.05
FEMUR_CORTEX_MM = 1.6
# Head, neck and shaft of the femur: shift from the joint and radii [mm].
FEMUR: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((0, 0, 0), (23, 23, 23)),
    ((28, 4, -18), (22, 15, 17)),
    ((46, 8, -72), (16, 15, 62)),
)


def surroundings_mm(
    bone: HipBone, body_radii_mm: tuple[float, float], beam: tuple[Points, Rays, Points], rng: np.random.Generator
) -> dict[str, FloatImage]:
    """Paths through soft tissue, and through cortex and marrow of the other bones.

    Parameters
    ----------
    bone : HipBone
        Says which side, and where the joint is.
    body_radii_mm : tuple of float
        Half axes of the trunk [mm].
    beam : tuple
        Focal spot (3,), rays, and unit vector of the central ray (3,), as for `march_bone`.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to ndarray of shape (m, n), float32
        ``tissue``, ``cortex`` and ``marrow`` [mm].
    """
    source, rays, _ = beam
    body = body_mm(source, *rays, body_radii_mm)
    bubbles = _sum([bubble.chord_mm(source, *rays) for bubble in gas(rng, bone.side)], body)
    bowel = _wrinkle(np.asarray(GAS_DEPTH_MM * np.tanh(bubbles / GAS_DEPTH_MM), dtype=np.float32), rng)
    fat = _sum([plane.chord_mm(source, *rays) for plane in muscles(rng, bone.side)], body)
    tissue = np.maximum(body - bowel - np.float32(FAT_SHARE) * fat, 0)
    tissue = tissue * (1 + 0.02 * smooth_noise(rng, body.shape, 60) + 0.008 * smooth_noise(rng, body.shape, 14))
    outer, inner = _other_bones(bone, beam)
    grain = 1 + 0.07 * smooth_noise(rng, body.shape, 3) + 0.07 * smooth_noise(rng, body.shape, 9)
    return {
        "tissue": np.asarray(np.where(body > 0, np.maximum(tissue - outer, 0), 0), dtype=np.float32),
        "cortex": outer - inner,
        "marrow": np.asarray(inner * grain, dtype=np.float32),
    }


def trabeculae(rng: np.random.Generator, shape: tuple[int, ...], mm_per_px: float) -> FloatImage:
    """Factor by which the marrow's attenuation changes from place to place, about 1, shape (m, n)."""
    texture = 1 + 0.13 * smooth_noise(rng, shape, 1.2 / mm_per_px) + 0.12 * smooth_noise(rng, shape, 5 / mm_per_px)
    return np.asarray(texture, dtype=np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], size_px: float) -> FloatImage:
    """Smooth noise of mean 0 and variance 1 with a grain of `size_px`, shape (m, n)."""
    step = max(1, round(size_px / 2))
    small = rng.normal(0, 1, (shape[0] // step + 3, shape[1] // step + 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(small, (0, 0), max(size_px / step / 2, 0.6))
    grown = np.asarray(cv2.resize(smooth, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)[: shape[0], : shape[1]])
    return np.asarray((grown - grown.mean()) / (grown.std() + 1e-6), dtype=np.float32)


def _sum(pictures: list[FloatImage], like: FloatImage) -> FloatImage:
    total = np.zeros_like(like)
    for picture in pictures:
        total += picture
    return total


def _other_bones(bone: HipBone, beam: tuple[Points, Rays, Points]) -> tuple[FloatImage, FloatImage]:
    source, rays, forward = beam
    outer, inner = march_sacrum(source, rays, forward)
    joint = bone.to_patient(np.array([0.0, 0.0, 17.0]))
    mirror = np.array([1.0 if bone.side == "L" else -1.0, 1.0, 1.0])
    for shift, radii in FEMUR:
        x, y, z = (joint + np.array(shift) * mirror).tolist()
        thin = (radii[0] - FEMUR_CORTEX_MM, radii[1] - FEMUR_CORTEX_MM, radii[2] - FEMUR_CORTEX_MM)
        outer = outer + Ellipsoid(centre=(x, y, z), radii=radii).chord_mm(source, *rays)
        inner = inner + Ellipsoid(centre=(x, y, z), radii=thin).chord_mm(source, *rays)
    return outer, inner


def _wrinkle(picture: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Shift a picture by smooth noise, so that round bubbles become loops."""
    rows, columns = np.indices(picture.shape, dtype=np.float32)
    size = picture.shape[0] / 384
    across, down = (
        6 * size * smooth_noise(rng, picture.shape, 36 * size) + 2 * size * smooth_noise(rng, picture.shape, 12 * size)
        for _ in range(2)
    )
    x, y = np.asarray(columns + across, dtype=np.float32), np.asarray(rows + down, dtype=np.float32)
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)
