"""What is really there: the projected tip, the silhouette, distances and thickness, from geometry alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from skimage.measure import find_contours

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.geometry import ConeBeam
from marrowpoint.phantom.needle import PhantomNeedle


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhantomTruth:
    """What is really there.

    Parameters
    ----------
    hip : ndarray of shape (M, N), bool
        Silhouette of the hip bone, cut to the field.
    outline : tuple of ndarray of shape (K, 2)
        Sub-pixel silhouette outline, (row, column) [px].
    tip : tuple of float or None
        Projected apex, (row, column) [px].
    axis : tuple of float or None
        Unit vector (row, column) from tip to hub in the picture.
    mm_per_px : float or None
        At the depth of the tip [mm].
    tip_to_cortex_mm : float or None
        Signed distance of the projected tip to the outline, at the depth of the tip, positive inside [mm].
    tip_to_bone_3d_mm : float or None
        Signed distance to the bone's surface in space, positive inside [mm].
    local_thickness_mm : float or None
        Diameter of the largest sphere in the bone that holds the tip [mm]; 0 outside.
    beam_angle_deg : float or None
        Angle between needle and beam, 0..90 [deg].
    tip_position_mm : tuple of float or None
        Tip in patient axes [mm].
    """

    hip: Mask
    outline: tuple[Points, ...]
    tip: tuple[float, float] | None = None
    axis: tuple[float, float] | None = None
    mm_per_px: float | None = None
    tip_to_cortex_mm: float | None = None
    tip_to_bone_3d_mm: float | None = None
    local_thickness_mm: float | None = None
    beam_angle_deg: float | None = None
    tip_position_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Silhouette:
    """The bone's shadow as the rays saw it.

    Parameters
    ----------
    deepest : ndarray of shape (m, n)
        Greatest field value of the bone along each ray [mm]; its zero line is the outline.
    stride : int
        Pixels between rays; ray (i, j) belongs to pixel ``i * stride + (stride - 1) / 2``.
    """

    deepest: FloatImage
    stride: int

    def mask(self, shape: tuple[int, int]) -> Mask:
        """Pixels whose rays meet the bone, shape (M, N)."""
        grown = cv2.resize(self.deepest, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.asarray(grown) > 0)

    def outline(self) -> tuple[Points, ...]:
        """Sub-pixel outline as (row, column) of the picture [px]."""
        lines = find_contours(self.deepest.astype(np.float64), 0.0)
        return tuple(np.asarray(line * self.stride + (self.stride - 1) / 2) for line in lines)

    def contains(self, point: Points) -> bool:
        """Whether the bone lies on the ray of a point (row, column)."""
        place = (np.asarray(point) - (self.stride - 1) / 2) / self.stride
        return bool(map_coordinates(self.deepest, place[:, None], order=1, mode="nearest")[0] > 0)


def find_truth(
    silhouette: Silhouette, exposed: Mask, needle: PhantomNeedle | None, bone: HipBone, beam: ConeBeam, centre: Points
) -> PhantomTruth:
    """Where everything is, in the picture and in space.

    Parameters
    ----------
    silhouette : Silhouette
    exposed : ndarray of shape (M, N), bool
        Inside the collimator.
    needle : PhantomNeedle or None
    bone : HipBone
    beam : ConeBeam
    centre : ndarray of shape (3,)
        Isocentre in patient axes [mm].

    Returns
    -------
    PhantomTruth
    """
    plain = PhantomTruth(hip=np.asarray(silhouette.mask(beam.shape) & exposed), outline=silhouette.outline())
    if needle is None:
        return plain
    apex = np.asarray(needle.tip)
    tip = beam.project(apex - centre)
    toward = beam.project(needle.point_at(5.0) - centre) - tip
    toward = toward / max(float(np.linalg.norm(toward)), 1e-9)
    scale = beam.mm_per_px(apex - centre)
    angle = np.degrees(np.arccos(min(1.0, abs(float(needle.axis @ beam.axes()[2])))))
    return replace(
        plain,
        tip=(float(tip[0]), float(tip[1])),
        axis=(float(toward[0]), float(toward[1])),
        mm_per_px=scale,
        tip_to_cortex_mm=_signed_mm(silhouette, plain.outline, tip, scale),
        tip_to_bone_3d_mm=bone.signed_distance_mm(apex),
        local_thickness_mm=bone.local_thickness_mm(apex),
        beam_angle_deg=float(angle),
        tip_position_mm=needle.tip,
    )


def _signed_mm(silhouette: Silhouette, outline: tuple[Points, ...], tip: Points, mm_per_px: float) -> float | None:
    if not outline:
        return None
    near = min(_to_line(line, tip) for line in outline) * mm_per_px
    return near if silhouette.contains(tip) else -near


def _to_line(line: Points, point: Points) -> float:
    start, step = line[:-1], np.diff(line, axis=0)
    share = np.clip(((point - start) * step).sum(axis=1) / ((step**2).sum(axis=1) + 1e-12), 0, 1)
    return float(np.linalg.norm(start + share[:, None] * step - point, axis=1).min())
