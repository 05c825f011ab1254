"""Lay the scanned sector out beam by beam: shadows then run along rows, and the bone surface is one depth a beam."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.ultrasound.field import fill_unknown
from marrowpoint.ultrasound.sector import ProbeKind, Sector

BEAMS = 320  # about the number of scan lines that a screen is made from
MAX_SAMPLES = 620  # keeps a frame of any size within the time of the smallest
MARGIN_PX = 31  # marks are painted over with what is so near
SHIFT = 4  # OpenCV takes corners in sixteenths of a pixel


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
        count, deepest = self.echo.shape
        first = max(-2.0, -self.sector.depth_from / self.step)
        last = np.clip(np.asarray(surface, np.float64) - by, first, deepest + 2.0)
        # each beam is a wedge half a beam to either side; the outermost ones reach past the rim
        edges = np.clip(np.repeat(np.arange(count), 2) + np.tile((-0.5, 0.5), count), 0, count - 1)
        edges[0], edges[-1] = -1.0, float(count)
        far = self.to_frame(np.column_stack([edges, np.repeat(last, 2)]))
        near = self.to_frame(np.column_stack([edges[::-1], np.full(2 * count, first)]))
        corners = np.rint(np.vstack([far, near])[:, ::-1] * 2**SHIFT).astype(np.int32)
        above = np.zeros(self.sector.picture.shape, np.uint8)
        cv2.fillPoly(above, [corners], 1, cv2.LINE_8, SHIFT)
        mask: Mask = above.view(bool) & self.sector.picture
        return mask

    def coarser(self) -> BeamSpace:
        """The same beams with half the samples, each the mean of two: sample k lies at 2 k + 0.5 of these."""
        samples = self.echo.shape[1] // 2 * 2
        return replace(
            self,
            echo=np.asarray((self.echo[:, :samples:2] + self.echo[:, 1:samples:2]) / 2, np.float32),
            known=self.known[:, :samples:2] & self.known[:, 1:samples:2],
            step=2 * self.step,
            mm_per_sample=2 * self.mm_per_sample,
        )

    def beam_pitch(self, sample: np.ndarray) -> np.ndarray:
        """Distance between neighbouring beams at each depth, in samples."""
        s = self.sector
        pitch = (s.across_to - s.across_from) / (len(self.echo) - 1)
        depth = np.asarray(sample, np.float64)
        wide = np.ones_like(depth) if s.kind is ProbeKind.LINEAR else s.depth_from + depth * self.step
        return np.asarray(pitch / self.step * wide)


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
    x, y = _grid(sector, samples, step)
    filled = fill_unknown(pixels, sector.picture, reach_px=MARGIN_PX)
    echo = cv2.remap(filled, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    known = cv2.remap(sector.picture.view(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
    return BeamSpace(
        echo=np.asarray(echo, np.float32), known=known, sector=sector, step=step, mm_per_sample=step * mm_per_column
    )


def _grid(sector: Sector, samples: int, step: float) -> tuple[FloatImage, FloatImage]:
    """Column and row of the frame of every sample of every beam."""
    across = np.linspace(sector.across_from, sector.across_to, BEAMS)[:, None]
    depth = sector.depth_from + step * np.arange(samples)[None]
    if sector.kind is ProbeKind.LINEAR:
        dx, dy = np.broadcast_arrays(across, depth)
    else:
        dx, dy = np.sin(across) * depth, np.cos(across) * depth
    row = sector.apex[0] + (-1.0 if sector.upward else 1.0) / sector.row_aspect * dy
    return (sector.apex[1] + dx).astype(np.float32), row.astype(np.float32)


def _positions(sector: Sector, beam: np.ndarray, sample: np.ndarray, beams: int, step: float) -> Points:
    across = sector.across_from + beam / (beams - 1) * (sector.across_to - sector.across_from)
    depth = sector.depth_from + sample * step
    if sector.kind is ProbeKind.LINEAR:
        dx, dy = across, depth
    else:
        dx, dy = depth * np.sin(across), depth * np.cos(across)
    sign = -1.0 if sector.upward else 1.0
    return np.column_stack([sector.apex[0] + sign * dy / sector.row_aspect, sector.apex[1] + dx])
