"""A bone-marrow needle of true geometry: cannula, trocar stylet, hub."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.frame import FloatImage, Points
from marrowpoint.phantom.geometry import ConeBeam
from marrowpoint.phantom.march import share_inside

WALL_SHARE = 0.11
HUB_RADIUS_MM, HUB_LENGTH_MM = 6.5, 16.0
# Points along a ray inside the rod, between which the cone is cut linearly.
SAMPLES = 24
# Needle rays a pixel, each way.
FINE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomNeedle:
    """A straight steel needle.

    Parameters
    ----------
    tip : tuple of float
        Apex, patient axes [mm].
    toward_hub : tuple of float
        Direction from the tip to the hub, patient axes; any length.
    outer_diameter_mm : float
    length_mm : float
        Tip to hub [mm].
    cone_mm : float
        Length of the trocar cone; 0 with the stylet out.
    stylet : bool
        Solid with the stylet in, a tube without it.
    hub : bool
        Whether the plastic hub at the far end is drawn.
    """

    tip: tuple[float, float, float]
    toward_hub: tuple[float, float, float]
    outer_diameter_mm: float = 3.05
    length_mm: float = 100.0
    cone_mm: float = 4.0
    stylet: bool = True
    hub: bool = True

    @property
    def axis(self) -> Points:
        """Unit vector from tip to hub, shape (3,)."""
        direction = np.asarray(self.toward_hub, dtype=np.float64)
        return np.asarray(direction / np.linalg.norm(direction))

    def point_at(self, distance_mm: float) -> Points:
        """Point on the axis at a distance from the tip [mm]."""
        return np.asarray(self.tip) + distance_mm * self.axis

    def steel_mm(self, source: Points, directions: FloatImage, stretch: FloatImage) -> FloatImage:
        """Path through steel along each ray [mm].

        Parameters
        ----------
        source : ndarray of shape (3,)
        directions : ndarray of shape (3, m, n)
            Rays as `ConeBeam.rays` gives them.
        stretch : ndarray of shape (m, n)

        Returns
        -------
        ndarray of shape (m, n), float32
        """
        radius = self.outer_diameter_mm / 2
        solid = self._chord(source, directions, radius, (0.0, self.length_mm), self.cone_mm if self.stylet else 0.0)
        if not self.stylet:
            bore = radius * (1 - 2 * WALL_SHARE)
            solid = solid - self._chord(source, directions, bore, (0.0, self.length_mm), 0.0)
        steel: FloatImage = np.asarray(solid * stretch, dtype=np.float32)
        return steel

    def plastic_mm(self, source: Points, directions: FloatImage, stretch: FloatImage) -> FloatImage:
        """Path through the hub along each ray [mm], shape (m, n)."""
        if not self.hub:
            return np.zeros_like(stretch)
        ends = (self.length_mm - 4.0, self.length_mm - 4.0 + HUB_LENGTH_MM)
        plastic: FloatImage = self._chord(source, directions, HUB_RADIUS_MM, ends, 0.0) * stretch
        return plastic

    def _chord(
        self, source: Points, directions: FloatImage, radius: float, ends: tuple[float, float], cone_mm: float
    ) -> FloatImage:
        """Depth interval (along the central ray) inside a rod with an optional cone at its first end."""
        start = np.asarray(source, dtype=np.float64) - np.asarray(self.tip)
        along0, along1 = float(start @ self.axis), np.tensordot(self.axis, directions.astype(np.float64), axes=1)
        side0 = start - along0 * self.axis
        side1 = directions - self.axis[:, None, None] * along1
        a = (side1**2).sum(axis=0) + 1e-12
        b = np.tensordot(side0, side1, axes=1)
        reach = np.sqrt(np.maximum(b * b - a * (side0 @ side0 - radius**2), 0))
        near, far = (-b - reach) / a, (-b + reach) / a
        slope = np.where(np.abs(along1) < 1e-9, 1e-9, along1)
        first, second = (ends[0] - along0) / slope, (ends[1] - along0) / slope
        near = np.maximum(near, np.minimum(first, second))
        far = np.minimum(far, np.maximum(first, second))
        length = np.maximum(far - near, 0)
        if cone_mm <= 0 or not (length > 0).any():
            return np.asarray(length, dtype=np.float32)
        return _cut_by_cone(near, length, (along0, along1), (side0, side1), (radius, cone_mm))


def needle_paths_mm(needle: PhantomNeedle, beam: ConeBeam, centre: Points) -> tuple[FloatImage, FloatImage]:
    """Steel and plastic on every pixel, from finer rays averaged.

    Parameters
    ----------
    needle : PhantomNeedle
    beam : ConeBeam
    centre : ndarray of shape (3,)
        Isocentre in patient axes [mm].

    Returns
    -------
    steel_mm, plastic_mm : ndarray of shape (M, N), float32
    """
    shape = beam.shape
    steel, plastic = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    ends = beam.project(np.stack([needle.point_at(0), needle.point_at(needle.length_mm + HUB_LENGTH_MM - 4)]) - centre)
    margin = (HUB_RADIUS_MM + 3) * beam.sid_mm / beam.sod_mm / beam.pitch_mm
    r0, c0 = np.floor(np.maximum(ends.min(axis=0) - margin, 0)).astype(int)
    r1, c1 = np.ceil(np.minimum(ends.max(axis=0) + margin, np.array(shape))).astype(int)
    if r1 <= r0 or c1 <= c0:
        return steel, plastic
    fine = (np.arange(FINE) - (FINE - 1) / 2) / FINE
    rays = beam.rays((np.arange(r0, r1)[:, None] + fine).ravel(), (np.arange(c0, c1)[:, None] + fine).ravel())
    source = beam.source + centre
    for target, path in ((steel, needle.steel_mm(source, *rays)), (plastic, needle.plastic_mm(source, *rays))):
        target[r0:r1, c0:c1] = path.reshape(r1 - r0, FINE, c1 - c0, FINE).mean(axis=(1, 3))
    return steel, plastic


def _cut_by_cone(
    near: Points,
    length: Points,
    along: tuple[float, Points],
    side: tuple[Points, Points],
    cone: tuple[float, float],
) -> FloatImage:
    """Part of each interval that lies inside the cone, crossings placed by linear interpolation."""
    radius, cone_mm = cone
    total = np.zeros_like(length)
    previous = None
    for k in range(SAMPLES + 1):
        t = near + length * (k / SAMPLES)
        distance = along[0] + t * along[1]
        across = np.sqrt(((side[0][:, None, None] + t * side[1]) ** 2).sum(axis=0))
        value = radius * np.minimum(distance / cone_mm, 1.0) - across + 1e-9
        if previous is not None:
            total += share_inside(previous, value.astype(np.float32))
        previous = value.astype(np.float32)
    return np.asarray(total * length / SAMPLES, dtype=np.float32)
