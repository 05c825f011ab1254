"""Lay the scanned sector out beam by beam: shadows then run along rows, and the bone surface is one depth a beam."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.ultrasound.field import ProbeKind, Sector, fill_marks

BEAMS = 320  # about the number of scan lines that a screen is made from
MAX_SAMPLES = 620  # keeps a frame of any size within the time of the smallest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeamSpace:
    """The picture as beams.

    Parameters
    ----------
    echo : ndarray of shape (B, D), float32
        Grey value 0..1 along each beam, depth growing from the probe.
    known : ndarray of shape (B, D), bool
        Where the sample comes from the picture itself.
    sector : Sector
    step : float
        Distance between samples of a beam, in columns of the frame.
    mm_per_sample : float
        The same in millimetres; where the frame has no scale, a guess that only serves to choose filter widths.
    pixels : tuple of ndarray
        Rows and columns of the picture's pixels, and the beam and sample of each.
    """

    echo: FloatImage
    known: Mask
    sector: Sector
    step: float
    mm_per_sample: float
    pixels: tuple[np.ndarray, np.ndarray, np.ndarray, FloatImage]

    def to_frame(self, points: Points) -> Points:
        """Frame positions (row, column) of (beam, sample) positions.

        Parameters
        ----------
        points : ndarray of shape (K, 2)

        Returns
        -------
        ndarray of shape (K, 2), float64
        """
        return _positions(self.sector, points[:, 0], points[:, 1], len(self.echo), self.step)

    def from_frame(self, points: Points) -> Points:
        """(beam, sample) positions of frame positions (row, column); the inverse of `to_frame`.

        Parameters
        ----------
        points : ndarray of shape (K, 2)

        Returns
        -------
        ndarray of shape (K, 2), float64
        """
        s = self.sector
        dy = (points[:, 0] - s.apex[0]) * s.row_aspect * (-1.0 if s.upward else 1.0)
        dx = points[:, 1] - s.apex[1]
        depth, across = (dy, dx) if s.kind is ProbeKind.LINEAR else (np.hypot(dx, dy), np.arctan2(dx, dy))
        beam = (across - s.across_from) / (s.across_to - s.across_from) * (len(self.echo) - 1)
        return np.column_stack([beam, (depth - s.depth_from) / self.step])

    def above(self, surface: np.ndarray, *, by: float) -> Mask:
        """Pixels of the picture that lie above a surface, along their beam.

        Parameters
        ----------
        surface : ndarray of shape (B,)
            Depth of the surface on each beam [samples]; infinite where there is none.
        by : float
            Distance above the surface [samples].

        Returns
        -------
        ndarray of shape (M, N), bool
        """
        rows, columns, beam, sample = self.pixels
        above = np.zeros(self.sector.picture.shape, dtype=bool)
        above[rows, columns] = sample < np.asarray(surface, np.float32)[beam] - np.float32(by)
        return above

    def beam_pitch(self, sample: float) -> float:
        """Distance between neighbouring beams at a depth, in samples."""
        s = self.sector
        pitch = (s.across_to - s.across_from) / (len(self.echo) - 1)
        return pitch / self.step if s.kind is ProbeKind.LINEAR else pitch * (s.depth_from + sample * self.step) / self.step


def to_beams(pixels: FloatImage, sector: Sector, *, mm_per_column: float) -> BeamSpace:
    """Resample the sector beam by beam.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
    sector : Sector
    mm_per_column : float
        Width of a pixel [mm], or a guess of it.

    Returns
    -------
    BeamSpace
    """
    span = sector.depth_to - sector.depth_from
    samples = int(min(MAX_SAMPLES, max(span, 64)))
    step = span / (samples - 1)
    beam, sample = np.indices((BEAMS, samples), dtype=np.float32).reshape(2, -1)
    where = _positions(sector, beam, sample, BEAMS, step).astype(np.float32)
    x = where[:, 1].reshape(BEAMS, samples)
    y = where[:, 0].reshape(BEAMS, samples)
    echo = cv2.remap(fill_marks(pixels, sector), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    known = cv2.remap(sector.picture.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
    return BeamSpace(
        echo=np.asarray(echo, np.float32),
        known=known,
        sector=sector,
        step=step,
        mm_per_sample=step * mm_per_column,
        pixels=_inverse(sector, step),
    )


def _inverse(sector: Sector, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, FloatImage]:
    """Rows, columns, beams and samples of the pixels of the picture."""
    rows, columns = np.nonzero(sector.picture)
    sign = -1.0 if sector.upward else 1.0
    dy = (rows.astype(np.float32) - np.float32(sector.apex[0])) * np.float32(sector.row_aspect * sign)
    dx = columns.astype(np.float32) - np.float32(sector.apex[1])
    depth, across = (dy, dx) if sector.kind is ProbeKind.LINEAR else (np.sqrt(dx * dx + dy * dy), np.arctan2(dx, dy))
    per_beam = np.float32((BEAMS - 1) / (sector.across_to - sector.across_from))
    beam = np.clip(np.rint((across - np.float32(sector.across_from)) * per_beam), 0, BEAMS - 1).astype(np.intp)
    sample: FloatImage = (depth - np.float32(sector.depth_from)) / np.float32(step)
    return rows, columns, beam, sample


def _positions(sector: Sector, beam: np.ndarray, sample: np.ndarray, beams: int, step: float) -> Points:
    across = sector.across_from + beam / (beams - 1) * (sector.across_to - sector.across_from)
    depth = sector.depth_from + sample * step
    if sector.kind is ProbeKind.LINEAR:
        dx, dy = across, depth
    else:
        dx, dy = depth * np.sin(across), depth * np.cos(across)
    sign = -1.0 if sector.upward else 1.0
    return np.column_stack([sector.apex[0] + sign * dy / sector.row_aspect, sector.apex[1] + dx])
