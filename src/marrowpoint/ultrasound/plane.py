"""The scanned plane in millimetres: pixels need not be square, and a needle is straight only where they are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Frame positions and millimetres.

    Parameters
    ----------
    row_mm, column_mm : float
        Size of a pixel [mm], or a guess of it where the frame has no scale.
    """

    row_mm: float
    column_mm: float

    def to_mm(self, points: Points) -> Points:
        """Positions (down, right) in mm of frame positions (row, column), shape (K, 2)."""
        return points * (self.row_mm, self.column_mm)

    def to_frame(self, points: Points) -> Points:
        """Frame positions (row, column) of positions (down, right) in mm, shape (K, 2)."""
        return points / (self.row_mm, self.column_mm)

    def grid(self, pixels: FloatImage, *, pitch_mm: float) -> FloatImage:
        """The whole frame resampled to square pixels.

        Parameters
        ----------
        pixels : ndarray of shape (M, N)
        pitch_mm : float
            Size of the new pixels; pixel (i, j) is centred on (i, j) * pitch.

        Returns
        -------
        ndarray of shape (m, n), float32
        """
        down, right = pitch_mm / self.row_mm, pitch_mm / self.column_mm
        shape = (int(pixels.shape[0] / down), int(pixels.shape[1] / right))
        smooth = cv2.blur(pixels, (max(int(right), 1) | 1, max(int(down), 1) | 1))
        matrix = np.array([[right, 0, 0], [0, down, 0]], np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        grid = cv2.warpAffine(smooth, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(grid, np.float32)

    def strip(self, pixels: FloatImage, line: Line, along: np.ndarray, across: np.ndarray) -> FloatImage:
        """Sample the frame along and across a line.

        Parameters
        ----------
        pixels : ndarray of shape (M, N)
        line : Line
        along, across : ndarray of shape (S,) and (K,)
            Positions [mm].

        Returns
        -------
        ndarray of shape (S, K), float32
        """
        down = line.origin[0] + along[:, None] * line.direction[0] + across[None] * line.normal[0]
        right = line.origin[1] + along[:, None] * line.direction[1] + across[None] * line.normal[1]
        # OpenCV rounds places to 1/32 of a pixel, a hundredth of a pulse
        x, y = (right / self.column_mm).astype(np.float32), (down / self.row_mm).astype(np.float32)
        return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line in the plane.

    Parameters
    ----------
    origin : tuple of float
        A point (down, right) [mm].
    direction : tuple of float
        Unit vector (down, right), away from the skin.
    """

    origin: tuple[float, float]
    direction: tuple[float, float]

    @property
    def normal(self) -> tuple[float, float]:
        """Unit vector across, to the side away from the probe (for an exactly vertical line: to the right)."""
        down, right = self.direction[1], -self.direction[0]
        return (down, right) if down > 0 or (down == 0 and right > 0) else (-down, -right)

    def at(self, along: np.ndarray, across: float = 0.0) -> Points:
        """Points (down, right) [mm] at positions along the line, shape (K, 2)."""
        base = np.asarray(self.origin) + across * np.asarray(self.normal)
        points: Points = base + np.asarray(along)[:, None] * np.asarray(self.direction)
        return points

    def moved(self, *, across: float, turn: float) -> Line:
        """The line shifted across and turned by a small slope (mm across per mm along)."""
        direction = np.asarray(self.direction) + turn * np.asarray(self.normal)
        direction /= np.hypot(*direction)
        origin = np.asarray(self.origin) + across * np.asarray(self.normal)
        return Line(origin=(float(origin[0]), float(origin[1])), direction=(float(direction[0]), float(direction[1])))
