"""Path lengths through bones by marching along rays, surfaces placed between the steps."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Points
from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.clutter import sacrum_field_mm

STEP_MM = 1.0
SACRUM_STEP_MM = 2.5
SACRUM_CORTEX_MM = 1.0
SACRUM_MIDDLE = (0.0, 62.0, 60.0)
SACRUM_REACH_MM = 85.0
# Corners of a box around the hip bone in its own axes [mm].
BOX = ((-118, 56), (-92, 136), (-66, 40))

Rays = tuple[FloatImage, FloatImage]


def march_bone(bone: HipBone, source: Points, rays: Rays, forward: Points) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Path through the whole hip bone, path through its marrow, and the greatest field value of each ray.

    Parameters
    ----------
    bone : HipBone
    source : ndarray of shape (3,)
        Focal spot in patient axes [mm].
    rays : tuple of ndarray
        Directions of shape (3, m, n) and stretch of shape (m, n), as `ConeBeam.rays` gives them.
    forward : ndarray of shape (3,)
        Unit vector of the central ray.

    Returns
    -------
    outer_mm, inner_mm, deepest_mm : ndarray of shape (m, n), float32
        The zero line of `deepest_mm` is the silhouette.
    """
    directions, stretch = rays
    axes = bone.axes().astype(np.float32)
    start = (axes @ (source - np.asarray(bone.origin))).astype(np.float32)
    slopes = np.tensordot(axes, directions, axes=1)
    corners = np.stack(np.meshgrid(*BOX, indexing="ij"), axis=-1).reshape(-1, 3)
    depths = (bone.to_patient(corners) - source) @ forward
    outer, inner = np.zeros_like(stretch), np.zeros_like(stretch)
    deepest = np.full_like(stretch, -1e3)
    previous: tuple[FloatImage, FloatImage] | None = None
    for z in np.arange(depths.min(), depths.max() + STEP_MM, STEP_MM, dtype=np.float32):
        value, cortex = bone.field_local(start[0] + z * slopes[0], start[1] + z * slopes[1], start[2] + z * slopes[2])
        core = value - cortex
        np.maximum(deepest, value, out=deepest)
        if previous is not None:
            outer += share_inside(previous[0], value)
            inner += share_inside(previous[1], core)
        previous = (value, core)
    scale = STEP_MM * stretch
    return outer * scale, inner * scale, deepest


def march_sacrum(source: Points, rays: Rays, forward: Points) -> tuple[FloatImage, FloatImage]:
    """Path through the sacrum and through its inside, marched on every second ray only.

    Parameters
    ----------
    source, rays, forward
        As in `march_bone`.

    Returns
    -------
    outer_mm, inner_mm : ndarray of shape (m, n), float32
    """
    directions, stretch = rays[0][:, ::2, ::2], rays[1][::2, ::2]
    middle = float((np.array(SACRUM_MIDDLE) - source) @ forward)
    outer, inner = np.zeros_like(stretch), np.zeros_like(stretch)
    previous: FloatImage | None = None
    origin = source.astype(np.float32)[:, None, None]
    for z in np.arange(middle - SACRUM_REACH_MM, middle + SACRUM_REACH_MM, SACRUM_STEP_MM, dtype=np.float32):
        value = sacrum_field_mm(np.asarray(origin + z * directions, dtype=np.float32))
        if previous is not None:
            outer += share_inside(previous, value)
            inner += share_inside(previous - np.float32(SACRUM_CORTEX_MM), value - np.float32(SACRUM_CORTEX_MM))
        previous = value
    scale = SACRUM_STEP_MM * stretch
    return _twice(outer * scale, rays[1].shape), _twice(inner * scale, rays[1].shape)


def share_inside(first: FloatImage, second: FloatImage) -> FloatImage:
    """Share of a step on which a value that runs linearly from `first` to `second` is positive, 0..1."""
    above = np.maximum(first, 0) + np.maximum(second, 0)
    return np.asarray(above / (np.abs(first) + np.abs(second) + np.float32(1e-9)), dtype=np.float32)


def _twice(picture: FloatImage, shape: tuple[int, ...]) -> FloatImage:
    grow = np.array([[2, 0, 0], [0, 2, 0]], dtype=np.float32)
    grown = cv2.warpAffine(picture, grow, (shape[1], shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(grown, dtype=np.float32)
