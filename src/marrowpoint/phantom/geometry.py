"""Cone beam of a C-arm: where a point of the patient lands in the picture, and which ray meets a pixel.

Patient axes, millimetres from the isocentre: x toward the patient's left, y toward the back (up: the patient lies prone),
z toward the head. At primary = secondary = 0 the tube is under the table and the detector above the patient's back, rows grow
toward the feet and columns toward the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np

from marrowpoint.frame import FloatImage, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class ConeBeam:
    """One position of the C-arm.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the picture.
    pitch_mm : float
        Distance between pixels at the detector [mm].
    sid_mm, sod_mm : float
        Source to detector, and source to isocentre [mm].
    primary_deg, secondary_deg : float
        Positive primary turns the detector toward the patient's left, positive secondary toward the head [deg].
    roll_deg : float
        Turn of the picture in its own plane [deg].
    """

    shape: tuple[int, int]
    pitch_mm: float
    sid_mm: float = 1000.0
    sod_mm: float = 700.0
    primary_deg: float = 0.0
    secondary_deg: float = 0.0
    roll_deg: float = 0.0

    def axes(self) -> Points:
        """Unit vectors (column, row, beam) in patient axes.

        Returns
        -------
        ndarray of shape (3, 3)
            Rows: toward growing columns, toward growing rows, from tube to detector.
        """
        p, s, r = radians(self.primary_deg), radians(self.secondary_deg), radians(self.roll_deg)
        beam = np.array([sin(p) * cos(s), cos(p) * cos(s), sin(s)])
        column = np.array([cos(p), -sin(p), 0.0])
        row = np.array([sin(p) * sin(s), cos(p) * sin(s), -cos(s)])
        turned = cos(r) * column + sin(r) * row, cos(r) * row - sin(r) * column
        return np.stack([turned[0], turned[1], beam])

    @property
    def source(self) -> Points:
        """Position of the focal spot [mm], shape (3,)."""
        return np.asarray(-self.sod_mm * self.axes()[2])

    def depth_mm(self, point: Points) -> float:
        """Distance of a point from the focal spot along the central ray [mm]."""
        return float((np.asarray(point) - self.source) @ self.axes()[2])

    def mm_per_px(self, point: Points) -> float:
        """Size of a pixel at the depth of a point [mm]: pitch divided by the magnification SID / depth."""
        return self.pitch_mm * self.depth_mm(point) / self.sid_mm

    def project(self, points: Points) -> Points:
        """Where points land.

        Parameters
        ----------
        points : ndarray of shape (..., 3)
            Patient axes [mm].

        Returns
        -------
        ndarray of shape (..., 2)
            (row, column) [px].
        """
        camera = (np.asarray(points) - self.source) @ self.axes().T
        scale = self.sid_mm / (camera[..., 2] * self.pitch_mm)
        centre = (np.array(self.shape) - 1) / 2
        return np.stack([camera[..., 1] * scale + centre[0], camera[..., 0] * scale + centre[1]], axis=-1)

    def rays(self, rows: Points, columns: Points) -> tuple[FloatImage, FloatImage]:
        """Slopes of the rays through pixel positions.

        Parameters
        ----------
        rows, columns : ndarray of shape (m,) and (n,)
            Positions [px], also between pixels.

        Returns
        -------
        directions : ndarray of shape (3, m, n), float32
            Patient axes; a step of 1 along the central ray. The point at depth z is ``source + z * direction``.
        stretch : ndarray of shape (m, n), float32
            Length of a direction (>= 1).
        """
        column, row, beam = self.axes()
        x = (np.asarray(columns) - (self.shape[1] - 1) / 2) * self.pitch_mm / self.sid_mm
        y = (np.asarray(rows) - (self.shape[0] - 1) / 2) * self.pitch_mm / self.sid_mm
        grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
        directions = beam[:, None, None] + column[:, None, None] * grid_x + row[:, None, None] * grid_y
        stretch = np.sqrt(1 + grid_x**2 + grid_y**2)
        return directions.astype(np.float32), stretch.astype(np.float32)
