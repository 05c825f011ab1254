"""A hip bone of our own: a curved plate of varying thickness with a rounded rim, a socket and two rami.

The bone stands in its own axes (u from back to front along the wing, v toward the head, w out of the gluteal surface;
origin at the hip joint). Inside, the field is the distance to the surface (exact for a plate of even thickness, within
some per cent elsewhere), outside it is negative. Thicknesses follow the literature: wing 1.4 to 5 mm, crest 9 to 11 mm,
tubercle 19 mm (Ebraheim 1997), posterior ilium 17 to 21 mm (Xu 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from marrowpoint.frame import FloatImage, Points
from marrowpoint.phantom.plate import GRID_MM, GRID_ORIGIN, plate_tables

# OpenCV remaps pictures of at most 32767 columns, so long lists of points are folded.
ROW = 1024

SOCKET_CENTRE = (0.0, 0.0, 17.0)
SOCKET_RADIUS_MM = 25.5
# Rami as thick lines: start, end (u, v, w), radii [mm].
RAMI = (
    ((26.0, -14.0, -6.0), (50.0, -34.0, -62.0), 9.0, 6.5),
    ((-22.0, -80.0, -2.0), (40.0, -52.0, -58.0), 8.0, 5.5),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HipBone:
    """A hip bone standing in the patient.

    Parameters
    ----------
    origin : tuple of float
        Hip joint in patient axes [mm].
    side : {"L", "R"}
    """

    origin: tuple[float, float, float] = (88.0, 0.0, 0.0)
    side: str = "L"

    def axes(self) -> Points:
        """Unit vectors u, v, w in patient axes, shape (3, 3)."""
        along = np.array([0.47, -0.883, 0.0])
        up = np.array([0.0, 0.10, 1.0])
        along /= np.linalg.norm(along)
        up -= along * (up @ along)
        up /= np.linalg.norm(up)
        left = np.stack([along, up, np.cross(along, up) * -1.0])
        return left if self.side == "L" else np.asarray(left * np.array([-1.0, 1.0, 1.0]))

    def to_patient(self, local: Points) -> Points:
        """Bone axes (u, v, w) to patient axes, both [mm], shape (..., 3)."""
        return np.asarray(np.asarray(local) @ self.axes() + np.array(self.origin))

    def to_bone(self, points: Points) -> Points:
        """Patient axes to bone axes, both [mm], shape (..., 3)."""
        return np.asarray((np.asarray(points) - np.array(self.origin)) @ self.axes().T)

    def surface_point(self, u: float, v: float, depth_mm: float = 0.0) -> Points:
        """Point under the gluteal surface at (u, v) of the plate, patient axes [mm].

        Parameters
        ----------
        u, v : float
            Place on the plate [mm].
        depth_mm : float
            How far below that surface along w; half the thickness is the middle of the bone.
        """
        half, _, middle, _ = self._plate_at(u, v)
        return self.to_patient(np.array([u, v, middle + half - depth_mm]))

    def plate_thickness_mm(self, u: float, v: float) -> float:
        """Thickness of the plate at (u, v), along w and without its rounded rim [mm]."""
        return 2 * float(self._plate_at(u, v)[0])

    def field_mm(self, points: Points) -> FloatImage:
        """Nearly the signed distance to the surface, positive inside [mm].

        Parameters
        ----------
        points : ndarray of shape (..., 3)
            Patient axes [mm].

        Returns
        -------
        ndarray of shape (...), float32
        """
        local = np.moveaxis(self.to_bone(points), -1, 0).astype(np.float32)
        count = local[0].size
        flat = np.zeros((3, -(-count // ROW) * ROW), dtype=np.float32)
        flat[:, :count] = local.reshape(3, -1)
        u, v, w = flat.reshape(3, -1, ROW)
        return self.field_local(u, v, w)[0].reshape(-1)[:count].reshape(local.shape[1:])

    def field_local(self, u: FloatImage, v: FloatImage, w: FloatImage) -> tuple[FloatImage, FloatImage]:
        """The field and the thickness of the cortex at points in bone axes.

        Parameters
        ----------
        u, v, w : ndarray of shape (m, n), float32
            Bone axes [mm].

        Returns
        -------
        field_mm, cortex_mm : ndarray of shape (m, n), float32
        """
        table = self._lookup(u, v)
        half, rim, middle, cortex = (np.ascontiguousarray(table[..., k]) for k in range(4))
        short = np.maximum(half - rim, 0)
        value = half - np.sqrt(short * short + (w - middle) ** 2)
        for start, end, first, last in RAMI:
            value = np.maximum(value, _thick_line(u, v, w, (start, end), (first, last)))
        socket = np.sqrt((u - SOCKET_CENTRE[0]) ** 2 + (v - SOCKET_CENTRE[1]) ** 2 + (w - SOCKET_CENTRE[2]) ** 2)
        return np.minimum(value, socket - SOCKET_RADIUS_MM), cortex

    def signed_distance_mm(self, point: Points) -> float:
        """Distance of a point to the bone's surface, positive inside [mm]."""
        surface = _surface_points(self, np.asarray(point, dtype=np.float64))
        near = float(cKDTree(surface).query(point)[0])
        if near < 4:
            reach = near + 0.8
            close = _surface_points(self, np.asarray(point, dtype=np.float64), reach_mm=reach, step_mm=reach / 25)
            near = float(cKDTree(close).query(point)[0])
        return near if float(self.field_mm(np.asarray(point))) > 0 else -near

    def local_thickness_mm(self, point: Points) -> float:
        """Diameter of the largest sphere in the bone that holds a point [mm]; 0 outside.

        Local thickness of Hildebrand and Rueegsegger (J Microsc 1997).
        """
        centre = np.asarray(point, dtype=np.float64)
        if float(self.field_mm(centre)) <= 0:
            return 0.0
        tree = cKDTree(_surface_points(self, centre, reach_mm=32.0, step_mm=0.8))
        offsets = np.arange(-16.0, 16.01, 1.0)
        best, middle, step = 0.0, centre, 1.0
        for _ in range(4):
            grid = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 3) + middle
            grid = np.vstack([grid[self.field_mm(grid) > 0], centre])
            radius = tree.query(grid)[0]
            holding = radius >= np.linalg.norm(grid - centre, axis=1)
            if holding.any():
                at = int(np.argmax(np.where(holding, radius, -1)))
                if radius[at] > best:
                    best, middle = float(radius[at]), grid[at]
            step /= 2
            offsets = np.arange(-3, 4) * step
        return 2 * best

    def _plate_at(self, u: float, v: float) -> FloatImage:
        place = np.array([[u, v]], dtype=np.float32)
        return np.asarray(self._lookup(place[:, :1], place[:, 1:])[0, 0], dtype=np.float32)

    def _lookup(self, u: FloatImage, v: FloatImage) -> FloatImage:
        x = (u - GRID_ORIGIN[0]) / GRID_MM
        y = (v - GRID_ORIGIN[1]) / GRID_MM
        x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
        return np.asarray(cv2.remap(plate_tables(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)


def _thick_line(
    u: FloatImage,
    v: FloatImage,
    w: FloatImage,
    ends: tuple[tuple[float, float, float], tuple[float, float, float]],
    radii_mm: tuple[float, float],
) -> FloatImage:
    (u0, v0, w0), (u1, v1, w1) = ends
    du, dv, dw = u1 - u0, v1 - v0, w1 - w0
    share = np.clip(((u - u0) * du + (v - v0) * dv + (w - w0) * dw) / (du * du + dv * dv + dw * dw), 0, 1)
    gap = np.sqrt((u - u0 - share * du) ** 2 + (v - v0 - share * dv) ** 2 + (w - w0 - share * dw) ** 2)
    line: FloatImage = radii_mm[0] + share * (radii_mm[1] - radii_mm[0]) - gap
    return line


def _surface_points(bone: HipBone, centre: Points, *, reach_mm: float = 24.0, step_mm: float = 0.5) -> Points:
    """Points of the surface within a cube around a point, where grid edges cross it; at least one, shape (K, 3)."""
    offsets = np.arange(-reach_mm, reach_mm + step_mm / 2, step_mm)
    grid = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1) + centre
    value = bone.field_mm(grid)
    found = []
    for axis in range(3):
        first = np.moveaxis(value, axis, 0)[:-1]
        second = np.moveaxis(value, axis, 0)[1:]
        crossing = (first > 0) != (second > 0)
        share = (first / (first - second + 1e-12))[crossing]
        start = np.moveaxis(grid, axis, 0)[:-1][crossing]
        start[:, axis] += share * step_mm
        found.append(start)
    points = np.vstack(found)
    if len(points) == 0:
        return _surface_points(bone, centre, reach_mm=2 * reach_mm, step_mm=2 * step_mm)
    return points
