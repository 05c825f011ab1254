"""A needle that moves: steel drawn in a plane at sub-pixel places, and a plan of how deep it stands when."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Points
from marrowpoint.phantom.runs import Background

SUB = 3  # samples a pixel, each way
# A needle goes into bone, not along its edge: so far in, it is at least so far from the outline.
WITHIN_MM, CLEAR_MM = 9, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatNeedle:
    """A needle seen from the side.

    Parameters
    ----------
    axis : tuple of float
        Unit vector (row, column) from the tip toward the hub.
    outer_diameter_mm : float
    cone_mm : float
        Length of the trocar cone.
    length_mm : float
        Steel from the tip to the hub.
    lean_deg : float
        Angle between needle and beam; the path through steel grows, the cone shrinks.
    """

    axis: tuple[float, float]
    outer_diameter_mm: float = 3.05
    cone_mm: float = 4.0
    length_mm: float = 100.0
    lean_deg: float = 80.0

    def steel_mm(self, tip: tuple[float, float], shape: tuple[int, int], mm_per_px: float) -> FloatImage:
        """Path through steel [mm] with the tip at (row, column), shape (M, N)."""
        sine = float(np.sin(np.radians(self.lean_deg)))
        radius = self.outer_diameter_mm / 2 / mm_per_px
        length = self.length_mm * sine / mm_per_px
        out = np.zeros(shape, np.float32)
        box = _box(tip, self.axis, radius, length, shape)
        if box is None:
            return out
        rows, columns = box
        fine = [(np.arange(s.start * SUB, s.stop * SUB) + 0.5) / SUB - 0.5 for s in (rows, columns)]
        down, right = fine[0][:, None] - tip[0], fine[1][None, :] - tip[1]
        along = down * self.axis[0] + right * self.axis[1]
        across = down * self.axis[1] - right * self.axis[0]
        local = radius * np.clip(along * mm_per_px / max(self.cone_mm * sine, 1e-6), 0, 1)
        half = np.where((along > 0) & (along < length), np.sqrt(np.clip(local**2 - across**2, 0, None)), 0)
        path = 2 * half * mm_per_px / sine
        size = rows.stop - rows.start, columns.stop - columns.start
        out[rows, columns] = path.reshape(size[0], SUB, size[1], SUB).mean(axis=(1, 3))
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeedlePlan:
    """Where a needle goes in a run, in the place of the patient in the first frame.

    Parameters
    ----------
    needle : FlatNeedle
    entry : tuple of float
        Where the path crosses the outline, (row, column) [px].
    depth_mm : ndarray of shape (F,)
        Tip past the entry along the shaft in the picture plane, negative before it [mm].
    """

    needle: FlatNeedle
    entry: tuple[float, float]
    depth_mm: NDArray[np.float64]

    def tip(self, index: int, mm_per_px: float) -> tuple[float, float]:
        """Tip (row, column) [px] in a frame, where the patient lay in the first."""
        way = self.depth_mm[index] / mm_per_px
        return self.entry[0] - way * self.needle.axis[0], self.entry[1] - way * self.needle.axis[1]


def advance(segments: tuple[tuple[float, float], ...], start_mm: float, frame_s: float) -> NDArray[np.float64]:
    """Depth in each frame from pieces of (duration [s], speed [mm/s]), shape (F,).

    Parameters
    ----------
    segments : tuple of (float, float)
    start_mm : float
        Depth in the first frame.
    frame_s : float
        Time between frames.

    Returns
    -------
    ndarray of shape (F,)
    """
    speeds = np.concatenate([np.full(max(1, round(length / frame_s)), speed) for length, speed in segments])
    return np.asarray(start_mm + np.concatenate([[0.0], np.cumsum(speeds * frame_s)]), dtype=np.float64)


def find_entry(background: Background, rng: np.random.Generator, *, inside_mm: float = 24.0) -> tuple[Points, Points] | None:
    """A place of the outline with a straight way into the bone.

    Parameters
    ----------
    background : Background
    rng : numpy.random.Generator
    inside_mm : float
        The way inside the outline is at least as long.

    Returns
    -------
    entry, axis : ndarray of shape (2,)
        (row, column) [px] and the unit vector toward the hub; None where no try succeeds.
    """
    shape = background.aperture.shape
    points = np.concatenate(background.outline)
    middle, radius = (np.array(shape) - 1) / 2, 0.33 * min(shape)
    depth = cv2.distanceTransform(np.pad(background.hip, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    near = points[np.linalg.norm(points - middle, axis=1) < radius]
    for _ in range(400):
        if not len(near):
            return None
        entry = near[int(rng.integers(len(near)))]
        turn = rng.uniform(-np.pi, np.pi)
        axis = np.array([np.sin(turn), np.cos(turn)])
        inner = entry - np.arange(1.0, inside_mm, 1.0)[:, None] / background.mm_per_px * axis
        outer = entry + np.arange(1.0, 40.0, 1.0)[:, None] / background.mm_per_px * axis
        if _share(background, inner) > 0.99 and _share(background, outer) < 0.02:
            row, column = np.round(inner[WITHIN_MM]).astype(int)
            if depth[row, column] * background.mm_per_px > CLEAR_MM:
                return entry, axis
    return None


def _share(background: Background, places: Points) -> float:
    rows, columns = np.round(places).astype(int).T
    ok = (rows >= 0) & (rows < background.hip.shape[0]) & (columns >= 0) & (columns < background.hip.shape[1])
    if not ok.all():
        return 0.5
    return float(background.hip[rows, columns].mean())


def _box(
    tip: tuple[float, float], axis: tuple[float, float], radius: float, length: float, shape: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Rows and columns that the needle can touch."""
    far = tip[0] + length * axis[0], tip[1] + length * axis[1]
    bounds = []
    for k in range(2):
        low = int(np.clip(np.floor(min(tip[k], far[k]) - radius - 1), 0, shape[k]))
        high = int(np.clip(np.ceil(max(tip[k], far[k]) + radius + 2), 0, shape[k]))
        if high <= low:
            return None
        bounds.append(slice(low, high))
    return bounds[0], bounds[1]
