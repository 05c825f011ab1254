"""Contrast injected through a needle: a pool in the marrow, a leak along the needle, spread in soft tissue, run-off in a vein.

Each part is a map of the path through contrast [mm] and a map of the time at which contrast arrives [s]; iodine at a time is
path times concentration where contrast has arrived, and fades where it washes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from marrowpoint.frame import FloatImage, Points
from marrowpoint.phantom.surroundings import smooth_noise

RISE_S = 0.25
NEVER_S = 1e3
# Stock contrast is thinned with saline before it goes into bone [mgI/ml].
CONCENTRATION = (120.0, 200.0)


class SpreadKind(StrEnum):
    """Where the contrast of a phantom run goes."""

    NONE = "none"
    POOL = "pool"
    LEAK = "leak"
    AWAY = "away"
    VEIN = "vein"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A piece of the spread: path [mm] and arrival [s] maps of shape (M, N), wash-out time after the end [s]."""

    path_mm: FloatImage
    arrival_s: FloatImage
    washout_s: float
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Injection:
    """One injection.

    Parameters
    ----------
    kind : SpreadKind
    parts : tuple of Part
    concentration : float
        Iodine of the contrast [mg/ml].
    start_s, stop_s : float
        Begin and end of the injection in the run [s].
    vein_width_mm : float
        Width of the vein; 0 without one.
    vein_end : tuple of float or None
        Far end of the vein in the first frame, (row, column) [px].
    """

    kind: SpreadKind
    parts: tuple[Part, ...]
    concentration: float
    start_s: float
    stop_s: float
    vein_width_mm: float = 0.0
    vein_end: tuple[float, float] | None = None

    def iodine(self, time_s: float) -> FloatImage | None:
        """Iodine over the picture [mg/cm2] at a time of the run, shape (M, N); None before the injection."""
        if not self.parts or time_s <= self.start_s:
            return None
        since = np.float32(time_s - self.start_s)
        total = np.zeros_like(self.parts[0].path_mm)
        for part in self.parts:
            filled = np.clip((since - part.arrival_s) / np.float32(RISE_S), 0, 1)
            fade = np.float32(np.exp(-max(0.0, time_s - self.stop_s) / part.washout_s))
            # mm of path times mg/ml is a tenth of mg/cm2
            total += part.path_mm * filled * (fade * np.float32(part.share * self.concentration / 10))
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an injection happens: needle tip and axis (row, column), toward the hub; scale and shape of the picture."""

    tip: tuple[float, float]
    axis: tuple[float, float]
    mm_per_px: float
    shape: tuple[int, int]


def inject(
    kind: SpreadKind, place: Place, rng: np.random.Generator, *, window_s: tuple[float, float], vein_width_mm: float = 1.5
) -> Injection:
    """Draw an injection by chance.

    Parameters
    ----------
    kind : SpreadKind
    place : Place
    rng : numpy.random.Generator
    window_s : tuple of float
        Begin and end of the injection [s].
    vein_width_mm : float
        Width of the vein, where there is one [mm].

    Returns
    -------
    Injection
    """
    length_s = window_s[1] - window_s[0]
    parts: list[Part] = []
    end = None
    if kind in (SpreadKind.POOL, SpreadKind.VEIN, SpreadKind.LEAK):
        parts.append(_pool(place, rng, length_s, size=0.7 if kind is SpreadKind.VEIN else 1.0))
    if kind is SpreadKind.LEAK:
        parts.append(_leak(place, rng, length_s))
    if kind is SpreadKind.AWAY:
        parts.extend(_streaks(place, rng, length_s))
    if kind is SpreadKind.VEIN:
        part, end = _vein(place, rng, vein_width_mm)
        parts.append(part)
    return Injection(
        kind=kind,
        parts=tuple(parts),
        concentration=float(rng.uniform(*CONCENTRATION)),
        start_s=window_s[0],
        stop_s=window_s[1],
        vein_width_mm=vein_width_mm if kind is SpreadKind.VEIN else 0.0,
        vein_end=end,
    )


def _polar(place: Place) -> tuple[FloatImage, FloatImage]:
    """Distance from the tip [mm] and angle [rad] of every pixel."""
    rows = (np.arange(place.shape[0], dtype=np.float32) - np.float32(place.tip[0]))[:, None]
    columns = (np.arange(place.shape[1], dtype=np.float32) - np.float32(place.tip[1]))[None, :]
    return np.hypot(rows, columns) * np.float32(place.mm_per_px), np.arctan2(rows, columns)


def _pool(place: Place, rng: np.random.Generator, length_s: float, size: float) -> Part:
    """A lobed body around the tip, leaning to one side, growing like the cube root of the volume."""
    radius_mm = size * rng.uniform(4.5, 9.0)
    lean, toward = rng.uniform(0.1, 0.6), rng.uniform(-np.pi, np.pi)
    distance, angle = _polar(place)
    reach = 1 + lean * np.cos(angle - toward)
    for order in (2, 3, 5):
        reach += rng.uniform(0, 0.35 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    relative = distance / (np.float32(radius_mm) * np.maximum(reach, 0.3).astype(np.float32))
    thick_mm = min(2 * radius_mm, rng.uniform(5, 11))
    mottled = 1 + 0.2 * smooth_noise(rng, place.shape, 2.0 / place.mm_per_px)
    path = np.where(relative < 1, np.float32(thick_mm) * np.sqrt(np.clip(1 - relative**2, 0, 1)), 0) * np.clip(
        mottled, 0.4, 1.6
    )
    arrival = np.where(relative < 1, np.float32(length_s) * relative**3, np.float32(NEVER_S))
    return Part(path_mm=path.astype(np.float32), arrival_s=arrival.astype(np.float32), washout_s=float(rng.uniform(15, 60)))


def _leak(place: Place, rng: np.random.Generator, length_s: float) -> Part:
    """A sleeve of contrast back along the needle."""
    rows = (np.arange(place.shape[0], dtype=np.float32) - np.float32(place.tip[0]))[:, None]
    columns = (np.arange(place.shape[1], dtype=np.float32) - np.float32(place.tip[1]))[None, :]
    along = (rows * place.axis[0] + columns * place.axis[1]) * place.mm_per_px
    across = (rows * place.axis[1] - columns * place.axis[0]) * place.mm_per_px
    far_mm, half_mm = rng.uniform(14, 30), rng.uniform(2.3, 3.6)
    wavy = half_mm * (1 + 0.25 * np.sin(along / rng.uniform(2, 4) + rng.uniform(0, 6)))
    inside = (along > -1) & (along < far_mm) & (np.abs(across) < wavy)
    path = np.where(inside, 2 * np.sqrt(np.clip(wavy**2 - across**2, 0, None)), 0)
    arrival = np.where(inside, length_s * np.clip(along / far_mm, 0, 1), NEVER_S)
    return Part(path_mm=path.astype(np.float32), arrival_s=arrival.astype(np.float32), washout_s=float(rng.uniform(15, 60)))


def _streaks(place: Place, rng: np.random.Generator, length_s: float) -> list[Part]:
    """Spread between muscle fibres: parallel streaks that begin near the tip and go off to one side."""
    toward = rng.uniform(-np.pi, np.pi)
    unit = np.array([np.sin(toward), np.cos(toward)])
    side = np.array([unit[1], -unit[0]])
    rows = (np.arange(place.shape[0], dtype=np.float32) - np.float32(place.tip[0]))[:, None] * np.float32(place.mm_per_px)
    columns = (np.arange(place.shape[1], dtype=np.float32) - np.float32(place.tip[1]))[None, :] * np.float32(place.mm_per_px)
    parts = []
    for _ in range(int(rng.integers(3, 6))):
        far, wide = rng.uniform(9, 17), rng.uniform(2.5, 5.0)
        middle = (far + rng.uniform(0, 10)) * unit + rng.normal(0, 5.0) * side
        a = (rows - middle[0]) * unit[0] + (columns - middle[1]) * unit[1]
        b = (rows - middle[0]) * side[0] + (columns - middle[1]) * side[1]
        relative = np.sqrt((a / far) ** 2 + (b / wide) ** 2)
        path = rng.uniform(3, 7) * np.sqrt(np.clip(1 - relative**2, 0, 1))
        distance = np.hypot(rows, columns)
        arrival = np.where(relative < 1, length_s * np.clip(distance / 45.0, 0, 1), NEVER_S)
        parts.append(Part(path_mm=path.astype(np.float32), arrival_s=arrival.astype(np.float32), washout_s=30.0))
    return parts


def _vein(place: Place, rng: np.random.Generator, width_mm: float) -> tuple[Part, tuple[float, float]]:
    """A winding vein with side branches, filled at the speed of blood and cleared when the injection ends."""
    trunk = _winding(np.asarray(place.tip), rng.uniform(-np.pi, np.pi), rng.uniform(40, 80) / place.mm_per_px, rng)
    lines = [(trunk, width_mm, 0.0)]
    for _ in range(int(rng.integers(0, 3))):
        at = int(rng.uniform(0.3, 0.7) * len(trunk))
        step = trunk[at] - trunk[at - 1]
        turned = np.arctan2(step[0], step[1]) + rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
        side = _winding(trunk[at], turned, rng.uniform(15, 35) / place.mm_per_px, rng)
        lines.append((side, width_mm * rng.uniform(0.6, 0.9), float(at)))
    speed_px_s = rng.uniform(15, 60) / place.mm_per_px
    path = np.zeros(place.shape, np.float32)
    arrival = np.full(place.shape, NEVER_S, np.float32)
    for line, wide, begin in lines:
        chord, along = _tube(line, wide / place.mm_per_px, place.shape)
        thicker = chord > path
        path[thicker] = chord[thicker]
        arrival[thicker] = (begin + along[thicker]) / speed_px_s + 0.15
    inside = [p for p in trunk if 0 <= p[0] < place.shape[0] and 0 <= p[1] < place.shape[1]]
    part = Part(
        path_mm=path * np.float32(place.mm_per_px),
        arrival_s=arrival,
        washout_s=float(rng.uniform(0.6, 2.0)),
        share=float(rng.uniform(0.35, 0.8)),
    )
    return part, (float(inside[-1][0]), float(inside[-1][1]))


def _winding(start: Points, toward: float, length_px: float, rng: np.random.Generator) -> Points:
    """A smooth line of one point a pixel, (row, column), shape (K, 2)."""
    count = max(8, int(length_px))
    bends = gaussian_filter1d(rng.normal(0, 1, count), max(6.0, count / 14))
    heading = toward + np.cumsum(bends / (np.abs(bends).max() + 1e-9)) * (2.2 / count) * rng.uniform(0.5, 1.5)
    steps = np.stack([np.sin(heading), np.cos(heading)], axis=1)
    return np.asarray(start + np.cumsum(steps, axis=0))


def _tube(line: Points, width_px: float, shape: tuple[int, int]) -> tuple[FloatImage, FloatImage]:
    """Chord through a round tube [px], averaged over each pixel, and how far along the tube each pixel lies [px]."""
    near = np.zeros(shape, np.uint8)
    pen = int(np.ceil(width_px)) + 5
    cv2.polylines(near, [np.round(line[:, ::-1]).astype(np.int32).reshape(-1, 1, 2)], False, (1,), pen)
    places = np.argwhere(near > 0).astype(np.float64)
    tree = cKDTree(line)
    chord = np.zeros(len(places))
    along: NDArray[np.float64] = np.zeros(len(places))
    offsets = (np.arange(3) - 1) / 3
    for down in offsets:
        for right in offsets:
            gap, index = tree.query(places + np.array([down, right]))
            chord += 2 * np.sqrt(np.clip((width_px / 2) ** 2 - gap**2, 0, None)) / 9
            along += index / 9
    out, way = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    rows, columns = places.astype(int).T
    out[rows, columns], way[rows, columns] = chord, along
    return out, way
