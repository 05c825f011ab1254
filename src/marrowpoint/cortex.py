"""The hip bone as it lies in the picture: its outline, and how thick the bone is behind each point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.frame import FloatImage, Mask, Points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThicknessMap:
    """Local thickness of the bone (Hildebrand and Rueegsegger 1997) that a tip at each pixel would lie in.

    The grid covers the whole frame evenly: pixel (i, j) of the grid is centred on frame pixel
    ``((i + 0.5) * M / m - 0.5, (j + 0.5) * N / n - 0.5)``.

    Parameters
    ----------
    median_mm, lower_mm, upper_mm : ndarray of shape (m, n), float32
        Median and calibrated 95 % limits of the local thickness, outer table to outer table [mm]; 0 where there is no bone.
    frame_shape : tuple of int
        (M, N) of the frame.
    method : str
        How it was found.
    """

    median_mm: FloatImage
    lower_mm: FloatImage
    upper_mm: FloatImage
    frame_shape: tuple[int, int]
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BonePrior:
    """What the coarse prior says of one frame, on a grid that covers the frame evenly (see `ThicknessMap`).

    Parameters
    ----------
    hip, other_bone, shaft, tip : ndarray of shape (m, n), float32
        Probabilities 0..1 of the hip bone the needle is aimed at, other bone, needle shaft, and a tip heat map.
    thickness : ThicknessMap or None
        Local thickness with limits.
    agreement : float
        0..1, mean overlap (Dice) of the hip under test-time changes.
    frame_shape : tuple of int
        (M, N) of the frame.
    model_sha256 : str
        Hash of the model file.
    """

    hip: FloatImage
    other_bone: FloatImage
    shaft: FloatImage
    tip: FloatImage
    thickness: ThicknessMap | None
    agreement: float
    frame_shape: tuple[int, int]
    model_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cortex:
    """Bone side and outline of the cortex.

    Parameters
    ----------
    bone : ndarray of shape (M, N), bool
        Fluoroscopy: the projected hip bone the needle is aimed at. Ultrasound: everything at or deep to the surface.
    lines : tuple of ndarray of shape (K, 2), float64
        Sub-pixel outline(s), (row, column). Where the outline is only the edge of the field of view it is left out.
    edge_sd_px : float
        Standard uncertainty (k = 1) of the outline along its normal, near the needle's tip [px].
    confidence : float
        0..1, calibrated: the expected chance that the outline near the tip is right to within its uncertainty.
    thickness : ThicknessMap or None
        From the learned prior.
    located_by : str
        ``"classical"``, ``"learned+refined"`` or a reader's name.
    model_sha256 : str or None
        Hash of the model that was used.
    """

    bone: Mask
    lines: tuple[Points, ...]
    edge_sd_px: float
    confidence: float
    thickness: ThicknessMap | None = None
    located_by: str = "classical"
    model_sha256: str | None = None

    def contains(self, point: tuple[float, float]) -> bool:
        """Whether (row, column) lies on the bone side."""
        r = int(np.clip(round(point[0]), 0, self.bone.shape[0] - 1))
        c = int(np.clip(round(point[1]), 0, self.bone.shape[1] - 1))
        return bool(self.bone[r, c])
