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
    """

    echo: FloatImage
    known: Mask
    sector: Sector
    step: float
    mm_per_sample: float

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

    def height_above(self, surface: FloatImage | np.ndarray, shape: tuple[int, ...]) -> FloatImage:
        """How far each pixel of the frame lies above a surface, along its beam.

        Parameters
        ----------
        surface : ndarray of shape (B,)
            Depth of the surface on each beam [samples]; infinite where there is none.
        shape : tuple of int
            (M, N) of the frame.

        Returns
        -------
        ndarray of shape (M, N), float32
            In samples; negative below the surface.
        """
        s = self.sector
        rows = ((np.arange(shape[0]) - s.apex[0]) * s.row_aspect * (-1.0 if s.upward else 1.0)).astype(np.float32)
        columns = (np.arange(shape[1]) - s.apex[1]).astype(np.float32)
        dy, dx = (np.ascontiguousarray(a) for a in np.broadcast_arrays(rows[:, None], columns[None]))
        if s.kind is ProbeKind.LINEAR:
            depth, across = dy, dx
        else:
            depth, across = cv2.magnitude(dx, dy), np.arctan2(dx, dy)
        scale = np.float32((len(self.echo) - 1) / (s.across_to - s.across_from))
        beam = np.clip(np.rint((across - np.float32(s.across_from)) * scale), 0, len(self.echo) - 1).astype(np.intp)
        height: FloatImage = np.asarray(surface, np.float32)[beam] - (depth - np.float32(s.depth_from)) / np.float32(self.step)
        return height

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
    return BeamSpace(echo=echo, known=known, sector=sector, step=step, mm_per_sample=step * mm_per_column)


def _positions(sector: Sector, beam: np.ndarray, sample: np.ndarray, beams: int, step: float) -> Points:
    across = sector.across_from + beam / (beams - 1) * (sector.across_to - sector.across_from)
    depth = sector.depth_from + sample * step
    if sector.kind is ProbeKind.LINEAR:
        dx, dy = across, depth
    else:
        dx, dy = depth * np.sin(across), depth * np.cos(across)
    sign = -1.0 if sector.upward else 1.0
    return np.column_stack([sector.apex[0] + sign * dy / sector.row_aspect, sector.apex[1] + dx])
