"""What lies around the hip bone: soft tissue, bowel gas, sacrum, femur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowpoint.frame import FloatImage, Points

BODY_CENTRE = (0.0, 8.0)
BODY_RADII = (185.0, 112.0)
# How far parts of the sacrum grow into one another.
MELT_MM = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An axis-parallel ellipsoid in patient axes: centre and radii [mm]."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    def chord_mm(self, source: Points, directions: FloatImage, stretch: FloatImage) -> FloatImage:
        """Path inside along each ray [mm], shape (m, n)."""
        return _quadric_mm(
            (np.asarray(source) - np.asarray(self.centre)) / np.asarray(self.radii), directions, np.asarray(self.radii), stretch
        )

    def field_mm(self, points: FloatImage) -> FloatImage:
        """Roughly the signed distance to the surface, positive inside [mm]; points of shape (3, m, n)."""
        shape = (3,) + (1,) * (points.ndim - 1)
        centre, radii = np.array(self.centre, np.float32).reshape(shape), np.array(self.radii, np.float32).reshape(shape)
        value: FloatImage = (1 - np.sqrt((((points - centre) / radii) ** 2).sum(axis=0))) * np.float32(min(self.radii))
        return value


def sacrum_field_mm(points: FloatImage) -> FloatImage:
    """Sacrum and last lumbar vertebra grown together smoothly, holes cut out; positive inside [mm], points (3, m, n)."""
    total = np.full(points.shape[1:], 1e-9, dtype=np.float32)
    for body in sacrum():
        total += np.exp(np.minimum(body.field_mm(points) / np.float32(MELT_MM), 20))
    value = np.float32(MELT_MM) * np.log(total)
    for hole in foramina():
        value = np.minimum(value, -hole.field_mm(points))
    return np.asarray(value, dtype=np.float32)


def body_mm(source: Points, directions: FloatImage, stretch: FloatImage, radii_mm: tuple[float, float]) -> FloatImage:
    """Path through the trunk, an elliptic cylinder along z [mm], shape (m, n)."""
    start = (np.asarray(source)[:2] - np.asarray(BODY_CENTRE)) / np.asarray(radii_mm)
    return _quadric_mm(start, directions[:2], np.asarray(radii_mm), stretch)


def sacrum() -> tuple[Ellipsoid, ...]:
    """Bodies and side masses of the sacrum with the last lumbar vertebra."""
    parts = [
        ((0.0, 38.0, 108.0), (25.0, 18.0, 15.0)),
        ((0.0, 50.0, 76.0), (26.0, 16.0, 15.0)),
        ((0.0, 64.0, 48.0), (22.0, 12.0, 13.0)),
        ((0.0, 74.0, 24.0), (18.0, 9.0, 12.0)),
        ((0.0, 76.0, 2.0), (14.0, 7.0, 12.0)),
        ((0.0, 92.0, 74.0), (5.0, 9.0, 13.0)),
        ((0.0, 96.0, 46.0), (4.0, 7.0, 10.0)),
        ((0.0, 78.0, 108.0), (5.0, 14.0, 10.0)),
    ]
    for x in (1.0, -1.0):
        parts += [
            ((27.0 * x, 58.0, 74.0), (15.0, 16.0, 19.0)),
            ((24.0 * x, 68.0, 44.0), (13.0, 10.0, 15.0)),
            ((17.0 * x, 76.0, 22.0), (9.0, 7.0, 12.0)),
            ((32.0 * x, 58.0, 106.0), (16.0, 5.0, 6.0)),
        ]
    return tuple(Ellipsoid(centre=centre, radii=radii) for centre, radii in parts)


def foramina() -> tuple[Ellipsoid, ...]:
    """Holes of the sacrum, long along y so that they show in every near-vertical view."""
    places = [(19.0, 62.0), (16.0, 36.0), (13.0, 14.0)]
    return tuple(Ellipsoid(centre=(sign * x, 66.0, z), radii=(5.0, 22.0, 4.0)) for x, z in places for sign in (-1.0, 1.0))


def gas(rng: np.random.Generator, side: str) -> tuple[Ellipsoid, ...]:
    """Bowel gas in front of the pelvis, some loops of several bubbles each."""
    mirror = 1.0 if side == "L" else -1.0
    bubbles = []
    for _ in range(int(rng.integers(2, 5))):
        centre = np.array([mirror * rng.uniform(-30, 85), rng.uniform(-70, -35), rng.uniform(0, 130)])
        for _ in range(int(rng.integers(2, 5))):
            shift = rng.normal(0, 11, 3)
            radii = rng.uniform(6, 15, 3) * np.array([1.2, 0.8, 1.0])
            bubbles.append(Ellipsoid(centre=_triple(centre + shift), radii=_triple(radii)))
    return tuple(bubbles)


def muscles(rng: np.random.Generator, side: str) -> tuple[Ellipsoid, ...]:
    """Fat planes between muscles: large soft bodies whose edges show faintly."""
    mirror = 1.0 if side == "L" else -1.0
    planes = []
    for _ in range(9):
        centre = np.array([mirror * rng.uniform(20, 170), rng.uniform(-40, 110), rng.uniform(-90, 130)])
        planes.append(Ellipsoid(centre=_triple(centre), radii=_triple(rng.uniform(18, 60, 3))))
    return tuple(planes)


def _quadric_mm(start: Points, directions: FloatImage, radii: Points, stretch: FloatImage) -> FloatImage:
    """Chord through the unit sphere (or circle) after scaling by the radii."""
    slope = directions.astype(np.float64) / radii[:, None, None]
    a = (slope**2).sum(axis=0) + 1e-12
    b = np.tensordot(start, slope, axes=1)
    # in double precision: the source is far away, so that the difference below cancels
    return np.asarray(2 * np.sqrt(np.maximum(b * b - a * (start @ start - 1), 0)) / a * stretch, dtype=np.float32)


def _triple(values: Points) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
