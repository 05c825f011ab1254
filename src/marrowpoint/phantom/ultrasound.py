"""An ultrasound picture with an exactly known truth: layers, a crest of bone with its shadow, a needle with its copies.

The physics is that of a textbook drawing, on purpose unlike what the program assumes when it looks: echoes are added as
amplitudes in beam space, blurred by pulse and beam, compressed by a logarithm and laid out on a screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from marrowpoint.frame import FloatImage, Mask, Points

BEAMS = 256
SAMPLE_MM = 0.12
PULSE_MM = 0.35  # standard deviation of the pulse's envelope
TAIL_MM = 1.6  # decay length of what rings on behind bone
COPY_MM = 1.7  # distance of the copies below a shaft
NOISE = 0.002  # amplitude of the receiver's noise; tissue has 0.1
TEXT = (("PHANTOM C5-2", (8, 16)), ("MI 0.9", (-70, 16)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundScene:
    """What is scanned, and how it is shown. Places are (down, right) in mm from the middle of the probe's face.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the screen.
    mm_per_px : tuple of float
        Height and width of a pixel [mm].
    depth_mm : float
        Depth of the picture.
    radius_mm : float
        Radius of a convex probe; 0 for a linear one.
    half_angle_deg, half_width_mm : float
        Half the opening of a convex probe; half the width of a linear one.
    peak : tuple of float or None
        Top of the crest; None for no bone.
    slope : float
        How steep its flanks are; the crest is a hyperbola.
    crest_mm : float
        Radius of its top.
    tip : tuple of float or None
        Tip of the needle; None for no needle.
    lean_deg : float
        Angle of the shaft to the vertical; positive: it comes from the right.
    shown_mm : float
        Length of shaft in the plane of the picture, from the tip.
    gaps : tuple of (float, float)
        Stretches of shaft that send nothing back, from the tip [mm].
    fascia_mm : tuple of float
        Depths of layers that are as bright as bone and throw no shadow.
    fascia_shadow_deg : tuple of float or None
        Beams (first, last, as an angle or for a linear probe in mm) in which the probe has no contact: dark from the skin.
    gain_db : float
        Added to every echo; 12 saturates most of the picture.
    needle_shadow : float
        Amplitude that is left behind the shaft, 1 = no shadow.
    ruler, text : bool
        Whether the screen shows a depth ruler and texts.
    doppler : tuple of float or None
        Box (top, left, bottom, right) [mm] of a colour flow overlay.
    flip : bool
        The picture is shown mirrored.
    seed : int
    """

    shape: tuple[int, int] = (420, 480)
    mm_per_px: tuple[float, float] = (0.22, 0.22)
    depth_mm: float = 75.0
    radius_mm: float = 50.0
    half_angle_deg: float = 30.0
    half_width_mm: float = 22.0
    peak: tuple[float, float] | None = (42.0, 0.0)
    slope: float = 1.4
    crest_mm: float = 8.0
    tip: tuple[float, float] | None = None
    lean_deg: float = 30.0
    shown_mm: float = 200.0
    gaps: tuple[tuple[float, float], ...] = ()
    fascia_mm: tuple[float, ...] = (12.0,)
    fascia_shadow_deg: tuple[float, float] | None = None
    gain_db: float = 0.0
    needle_shadow: float = 1.0
    ruler: bool = True
    text: bool = True
    doppler: tuple[float, float, float, float] | None = None
    flip: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UltrasoundPicture:
    """The picture and its truth.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
        0..1.
    coloured : ndarray of shape (M, N), bool
        Where the screen shows colour.
    surface : ndarray of shape (K, 2)
        Bone surface inside the picture where the beam meets it first, (row, column) [px].
    tip : tuple of float or None
        (row, column) [px].
    tip_to_cortex_mm : float or None
        Signed distance of the tip to the surface in the plane, negative above.
    region : tuple of int
        Top, left, bottom, right of the scanned area [px].
    """

    pixels: FloatImage
    coloured: Mask
    surface: Points
    tip: tuple[float, float] | None
    tip_to_cortex_mm: float | None
    region: tuple[int, int, int, int]


def scan_scene(scene: UltrasoundScene) -> UltrasoundPicture:
    """Scan a scene and show it on a screen.

    Parameters
    ----------
    scene : UltrasoundScene

    Returns
    -------
    UltrasoundPicture
    """
    random = np.random.default_rng(scene.seed)
    down, right = _places(scene)
    echo, first = _echoes(scene, down, right, random)
    shown = np.clip((20 * np.log10(np.maximum(echo, 1e-5)) + 46 + scene.gain_db) / 60, 0, 1).astype(np.float32)
    origin = np.array([26.0, scene.shape[1] / 2])
    pixels = _on_screen(scene, shown, origin)
    region = _region(pixels)
    coloured = _draw(scene, pixels, origin, region)
    seen = np.flatnonzero(first < down.shape[1])
    surface = np.column_stack([down[seen, first[seen]], right[seen, first[seen]]]) / scene.mm_per_px + origin
    tip = None if scene.tip is None else np.array(scene.tip) / scene.mm_per_px + origin
    if scene.flip:
        pixels, coloured = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(coloured[:, ::-1])
        surface = (0, scene.shape[1] - 1) - surface * (-1, 1)
        tip = None if tip is None else (0, scene.shape[1] - 1) - tip * (-1, 1)
        region = (region[0], scene.shape[1] - 1 - region[3], region[2], scene.shape[1] - 1 - region[1])
    return UltrasoundPicture(
        pixels=pixels, coloured=coloured, surface=surface, tip=None if tip is None else (float(tip[0]), float(tip[1])),
        tip_to_cortex_mm=_distance(scene), region=region,
    )  # fmt: skip


def _places(scene: UltrasoundScene) -> tuple[np.ndarray, np.ndarray]:
    """(down, right) of every sample of every beam [mm]."""
    depth = np.arange(0, scene.depth_mm, SAMPLE_MM)[None]
    if scene.radius_mm <= 0:
        across = np.linspace(-scene.half_width_mm, scene.half_width_mm, BEAMS)[:, None]
        return depth + 0 * across, across + 0 * depth
    angle = np.radians(np.linspace(-scene.half_angle_deg, scene.half_angle_deg, BEAMS))[:, None]
    return (scene.radius_mm + depth) * np.cos(angle) - scene.radius_mm, (scene.radius_mm + depth) * np.sin(angle)


def _surface_depth(scene: UltrasoundScene, right: np.ndarray) -> np.ndarray:
    """Height of the crest, as depth below the probe's face [mm]."""
    assert scene.peak is not None
    a = scene.crest_mm * scene.slope**2
    rise: np.ndarray = np.sqrt(a**2 + (scene.slope * (right - scene.peak[1])) ** 2) - a
    depth: np.ndarray = scene.peak[0] + rise
    return depth


def _distance(scene: UltrasoundScene) -> float | None:
    if scene.tip is None or scene.peak is None:
        return None
    right = np.linspace(-120, 120, 48001)
    gap = np.hypot(_surface_depth(scene, right) - scene.tip[0], right - scene.tip[1]).min()
    above = scene.tip[0] < _surface_depth(scene, np.array([scene.tip[1]]))[0]
    return float(-gap if above else gap)


def _echoes(
    scene: UltrasoundScene, down: np.ndarray, right: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude of every sample, and the first sample of each beam that lies in bone."""
    depth = np.arange(down.shape[1]) * SAMPLE_MM
    real, imaginary = (ndimage.gaussian_filter(random.standard_normal(down.shape), (1.8, 2.0)) for _ in range(2))
    echo = 0.9 * np.hypot(real, imaginary) * np.exp(-depth / 120.0)
    echo *= 0.6 + 0.8 * (0.5 + 0.5 * np.tanh((depth - 10.0) / 1.5))
    for layer in scene.fascia_mm:
        wave = layer + 0.6 * np.sin(np.arange(BEAMS) / 37.0 + layer)[:, None]
        echo += 0.9 * np.exp(-(((depth - wave) / 0.5) ** 2) / 2) * (0.6 + 0.4 * random.random((BEAMS, 1)))
    first = np.full(BEAMS, down.shape[1])
    if scene.peak is not None:
        inside = down >= _surface_depth(scene, right)
        first = np.where(inside.any(axis=1), inside.argmax(axis=1), down.shape[1])
        echo = _with_bone(scene, echo, first, right, depth)
    if scene.tip is not None:
        echo = _with_needle(scene, echo, down, right, first)
    if scene.fascia_shadow_deg is not None:
        limit = scene.half_angle_deg if scene.radius_mm > 0 else scene.half_width_mm
        place = np.linspace(-limit, limit, BEAMS)
        blind = (place >= scene.fascia_shadow_deg[0]) & (place <= scene.fascia_shadow_deg[1])
        echo[blind] *= np.where(depth < 1.5, 1.0, 0.01)
    return echo + NOISE * np.abs(random.standard_normal(down.shape)), first


def _with_bone(
    scene: UltrasoundScene, echo: np.ndarray, first: np.ndarray, right: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    met = np.flatnonzero(first < len(depth))
    surface = first[met] * SAMPLE_MM
    # mirror-like: the more askew the surface, the less comes back
    tilt = np.abs(np.gradient(surface) / np.maximum(np.gradient(right[met, first[met]]), 1e-3))
    strength = 12.0 / (1 + tilt**2) ** 1.5 + 0.6
    behind = depth[None] - surface[:, None]
    pulse = np.exp(-((behind / PULSE_MM) ** 2) / 2)
    tail = np.where(behind > 0, 0.25 * np.exp(-behind / TAIL_MM), 0.0)
    echo = echo.copy()
    echo[met] = np.where(behind > 0, 0.004 * echo[met], echo[met])
    echo[met] += strength[:, None] * ndimage.gaussian_filter(pulse + tail, (1.2, 0))
    return echo


def _with_needle(
    scene: UltrasoundScene, echo: np.ndarray, down: np.ndarray, right: np.ndarray, first: np.ndarray
) -> np.ndarray:
    assert scene.tip is not None
    lean = np.radians(scene.lean_deg)
    toward_skin = np.array([-np.cos(lean), np.sin(lean)])
    shaft = np.zeros_like(echo)
    step = int(COPY_MM / SAMPLE_MM)
    along = (down - scene.tip[0]) * toward_skin[0] + (right - scene.tip[1]) * toward_skin[1]
    across = (down - scene.tip[0]) * toward_skin[1] - (right - scene.tip[1]) * toward_skin[0]
    shows = (along >= 0) & (along <= scene.shown_mm) & (np.arange(down.shape[1])[None] < first[:, None])
    for near, far in scene.gaps:
        shows &= (along < near) | (along > far)
    single = np.where(shows, 3.0 * np.exp(-((across / 0.3) ** 2) / 2), 0.0)
    for copy, strength in enumerate((1.0, 0.35, 0.12)):
        shaft[:, copy * step :] += strength * single[:, : single.shape[1] - copy * step]
    blurred = ndimage.gaussian_filter(shaft, (1.2, PULSE_MM / SAMPLE_MM))
    covered = np.maximum.accumulate(single > 0.5, axis=1)
    whole: np.ndarray = np.where(covered, scene.needle_shadow, 1.0) * echo + blurred
    return whole


def _on_screen(scene: UltrasoundScene, shown: FloatImage, origin: np.ndarray) -> FloatImage:
    rows, columns = np.indices(scene.shape, dtype=np.float64)
    down, right = (rows - origin[0]) * scene.mm_per_px[0], (columns - origin[1]) * scene.mm_per_px[1]
    if scene.radius_mm > 0:
        depth = np.hypot(down + scene.radius_mm, right) - scene.radius_mm
        place, limit = np.degrees(np.arctan2(right, down + scene.radius_mm)), scene.half_angle_deg
    else:
        depth, place, limit = down, right, scene.half_width_mm
    beam = (place + limit) / (2 * limit) * (BEAMS - 1)
    pixels = cv2.remap(
        shown, (depth / SAMPLE_MM).astype(np.float32), beam.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    outside = (beam < 0) | (beam > BEAMS - 1) | (depth < 0) | (depth > scene.depth_mm - SAMPLE_MM)
    pixels = np.where(outside, 0.0, np.maximum(pixels, 0.02)).astype(np.float32)
    return np.round(pixels * 255).astype(np.float32) / np.float32(255)


def _region(pixels: FloatImage) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


def _draw(scene: UltrasoundScene, pixels: FloatImage, origin: np.ndarray, region: tuple[int, int, int, int]) -> Mask:
    """Draw what a screen shows around the picture; say where it is coloured."""
    coloured: Mask = np.zeros(scene.shape, dtype=bool)
    if scene.doppler is not None:
        top, left = np.rint(np.array(scene.doppler[:2]) / scene.mm_per_px + origin).astype(int)
        bottom, end = np.rint(np.array(scene.doppler[2:]) / scene.mm_per_px + origin).astype(int)
        box = np.zeros(scene.shape, np.uint8)
        cv2.rectangle(box, (int(left), int(top)), (int(end), int(bottom)), 1, 1)
        flow = ndimage.gaussian_filter(np.random.default_rng(scene.seed).standard_normal(scene.shape), 5) > 0.05
        inner = np.zeros(scene.shape, dtype=bool)
        inner[top + 1 : bottom, left + 1 : end] = True
        coloured |= (box > 0) | (flow & inner)
        pixels[coloured] = 0.62
    if scene.text:
        words = np.zeros(scene.shape, np.uint8)
        for word, (x, y) in TEXT:
            cv2.putText(words, word, (x % scene.shape[1], y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 230, 1, cv2.LINE_AA)
        np.maximum(pixels, words.astype(np.float32) / np.float32(255), out=pixels)
        pixels[40:140, 6:18] = np.linspace(1, 0.05, 100, dtype=np.float32)[:, None]
    if scene.ruler:
        for k in range(int(scene.depth_mm // 10) + 1):
            row = round(float(origin[0] + 10 * k / scene.mm_per_px[0]))
            if row < scene.shape[0]:
                pixels[row, -14:-6] = 0.8
    return coloured
