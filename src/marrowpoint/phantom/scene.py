"""A whole phantom picture: bone, needle and surroundings in a cone beam, rendered with its exact truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from skimage.measure import find_contours

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.phantom import clutter
from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.geometry import ConeBeam
from marrowpoint.phantom.needle import PhantomNeedle, share_inside
from marrowpoint.phantom.physics import Display, Exposition, collimator, detect, show, transmission

# Bone is marched on every second pixel; edges keep their place to a tenth of a pixel, and needles are drawn finer.
BONE_STRIDE = 2
STEP_MM = 1.0
CLUTTER_STEP_MM = 2.5
FINE = 2
SACRUM_CORTEX_MM = 1.0
GAS_DEPTH_MM = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that makes one picture; the same scene gives the same picture.

    Parameters
    ----------
    beam : ConeBeam
    bone : HipBone
    needle : PhantomNeedle or None
    exposition : Exposition
    display : Display
    centre : tuple of float
        Isocentre in the bone's patient axes [mm]: what lies in the middle of the picture.
    body_radii_mm : tuple of float
        Half axes of the trunk, left-right and front-back [mm].
    seed : int
    """

    beam: ConeBeam
    bone: HipBone = field(default_factory=HipBone)
    needle: PhantomNeedle | None = None
    exposition: Exposition = Exposition()
    display: Display = Display()
    centre: tuple[float, float, float] = (70.0, 40.0, 70.0)
    body_radii_mm: tuple[float, float] = clutter.BODY_RADII
    seed: int = 0


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
class PhantomFrame:
    """A rendered picture with its truth.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), uint8 or uint16
        Stored values.
    field : ndarray of shape (M, N), bool
        Inside the collimator.
    truth : PhantomTruth
    """

    pixels: np.ndarray
    field: Mask
    truth: PhantomTruth


def render_scene(scene: Scene) -> PhantomFrame:
    """Ray-cast a scene.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    PhantomFrame
    """
    rng = np.random.default_rng(scene.seed)
    shape = scene.beam.shape
    coarse = [np.arange(n / BONE_STRIDE) * BONE_STRIDE + (BONE_STRIDE - 1) / 2 for n in shape]
    rays = scene.beam.rays(coarse[0], coarse[1])
    source = scene.beam.source + np.asarray(scene.centre)
    outer, inner, deepest = _march_bone(scene.bone, source, rays, scene.beam)
    paths = _surroundings(scene, source, rays, rng)
    marrow = np.minimum(inner * _texture(rng, outer.shape, scene), outer)
    paths["cortex"] = paths["cortex"] + outer - inner
    paths["marrow"] = paths["marrow"] + marrow
    paths["tissue"] = np.maximum(paths["tissue"] - outer, 0)
    full = {material: cv2.resize(path, shape[::-1], interpolation=cv2.INTER_CUBIC) for material, path in paths.items()}
    full = {material: np.maximum(path, 0) for material, path in full.items()}
    if scene.needle is not None:
        full["steel"], full["plastic"] = _needle_paths(scene.needle, scene.beam, source)
    mask = collimator(shape, scene.display)
    detected = detect(transmission(full) * (0.02 + 0.98 * mask), scene.exposition, scene.beam.pitch_mm, rng)
    value = show(detected, scene.display, mask)
    top = 2**scene.display.bits - 1
    pixels = np.rint(value * top).clip(0, top).astype(np.uint8 if scene.display.bits == 8 else np.uint16)
    return PhantomFrame(pixels=pixels, field=mask > 0.5, truth=_truth(scene, deepest, mask > 0.5))


def silhouette_depth(scene: Scene) -> FloatImage:
    """Greatest field value of the bone along each coarse ray [mm]; its zero line is the silhouette."""
    shape = scene.beam.shape
    coarse = [np.arange(n / BONE_STRIDE) * BONE_STRIDE + (BONE_STRIDE - 1) / 2 for n in shape]
    rays = scene.beam.rays(coarse[0], coarse[1])
    return _march_bone(scene.bone, scene.beam.source + np.asarray(scene.centre), rays, scene.beam)[2]


def _march_bone(
    bone: HipBone, source: Points, rays: tuple[FloatImage, FloatImage], beam: ConeBeam
) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Path through the whole bone, path through its marrow, greatest field value; each (m, n) [mm]."""
    directions, stretch = rays
    axes = bone.axes().astype(np.float32)
    start = (axes @ (source - np.asarray(bone.origin))).astype(np.float32)
    slopes = np.tensordot(axes, directions, axes=1)
    corners = np.stack(np.meshgrid((-118, 56), (-92, 136), (-66, 40), indexing="ij"), axis=-1).reshape(-1, 3)
    depths = (bone.to_patient(corners) - source) @ beam.axes()[2]
    outer, inner = np.zeros_like(stretch), np.zeros_like(stretch)
    deepest = np.full_like(stretch, -1e3)
    previous: tuple[FloatImage, FloatImage] | None = None
    for z in np.arange(depths.min(), depths.max() + STEP_MM, STEP_MM, dtype=np.float32):
        value, cortex = bone.field_local(start[0] + z * slopes[0], start[1] + z * slopes[1], start[2] + z * slopes[2])
        core = value - cortex
        np.maximum(deepest, value, out=deepest)
        if previous is not None:
            outer += share_inside(previous[0], value)
            inner += share_inside(previous[1], core)
        previous = (value, core)
    scale = STEP_MM * stretch
    return outer * scale, inner * scale, deepest


def _surroundings(
    scene: Scene, source: Points, rays: tuple[FloatImage, FloatImage], rng: np.random.Generator
) -> dict[str, FloatImage]:
    """Paths through soft tissue and other bones, (m, n) [mm]."""
    side = scene.bone.side
    body = clutter.body_mm(source, *rays, scene.body_radii_mm)
    gas = sum((bubble.chord_mm(source, *rays) for bubble in clutter.gas(rng, side)), np.zeros_like(body))
    gas = _wrinkle(GAS_DEPTH_MM * np.tanh(gas / GAS_DEPTH_MM), rng)
    fat = sum((plane.chord_mm(source, *rays) for plane in clutter.muscles(rng, side)), np.zeros_like(body))
    tissue = np.maximum(body - gas - 0.05 * fat, 0)
    tissue = tissue * (1 + 0.02 * _noise(rng, body.shape, 60) + 0.008 * _noise(rng, body.shape, 14))
    outer, inner = _other_bones(scene, source, rays)
    grain = 1 + 0.07 * _noise(rng, body.shape, 3) + 0.07 * _noise(rng, body.shape, 9)
    return {
        "tissue": np.asarray(np.where(body > 0, np.maximum(tissue - outer, 0), 0), dtype=np.float32),
        "cortex": outer - inner,
        "marrow": np.asarray(inner * grain, dtype=np.float32),
    }


def _other_bones(scene: Scene, source: Points, rays: tuple[FloatImage, FloatImage]) -> tuple[FloatImage, FloatImage]:
    """Path through sacrum and femur, and through their insides, (m, n) [mm]."""
    outer, inner = _march_sacrum(source, rays, scene.beam)
    head = scene.bone.to_patient(np.array([0.0, 0.0, 17.0]))
    mirror = 1.0 if scene.bone.side == "L" else -1.0
    for shift, radii in (((0, 0, 0), (23.0, 23.0, 23.0)), ((28, 4, -18), (22.0, 15.0, 17.0)), ((46, 8, -72), (16.0, 15.0, 62.0))):
        centre = head + np.array(shift) * np.array([mirror, 1, 1])
        outer = outer + clutter.Ellipsoid(centre=tuple(centre), radii=radii).chord_mm(source, *rays)
        inner = inner + clutter.Ellipsoid(centre=tuple(centre), radii=tuple(r - 1.6 for r in radii)).chord_mm(source, *rays)  # type: ignore[arg-type]
    return outer, inner


def _march_sacrum(
    source: Points, rays: tuple[FloatImage, FloatImage], beam: ConeBeam
) -> tuple[FloatImage, FloatImage]:
    """Path through the sacrum and through its inside, marched on every second ray only, (m, n) [mm]."""
    directions, stretch = rays[0][:, ::2, ::2], rays[1][::2, ::2]
    middle = float((np.array([0.0, 62.0, 60.0]) - source) @ beam.axes()[2])
    outer, inner = np.zeros_like(stretch), np.zeros_like(stretch)
    previous: FloatImage | None = None
    for z in np.arange(middle - 85, middle + 85, CLUTTER_STEP_MM, dtype=np.float32):
        value = clutter.sacrum_field_mm(source.astype(np.float32)[:, None, None] + z * directions)
        if previous is not None:
            outer += share_inside(previous, value)
            inner += share_inside(previous - SACRUM_CORTEX_MM, value - SACRUM_CORTEX_MM)
        previous = value
    grow = np.float32([[2, 0, 0], [0, 2, 0]])
    size = rays[1].shape[::-1]
    whole, core = (cv2.warpAffine(p * CLUTTER_STEP_MM * stretch, grow, size, borderMode=cv2.BORDER_REPLICATE) for p in (outer, inner))
    return whole, core


def _wrinkle(picture: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Shift a picture by smooth noise, so that round bubbles become loops."""
    rows, columns = np.indices(picture.shape, dtype=np.float32)
    size = picture.shape[0] / 384
    shifts = [6 * size * _noise(rng, picture.shape, 36 * size) + 2 * size * _noise(rng, picture.shape, 12 * size) for _ in range(2)]
    moved: FloatImage = cv2.remap(picture, columns + shifts[0], rows + shifts[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved


def _needle_paths(needle: PhantomNeedle, beam: ConeBeam, source: Points) -> tuple[FloatImage, FloatImage]:
    """Steel and plastic on every pixel, from finer rays averaged, (M, N) [mm]."""
    shape = beam.shape
    steel, plastic = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    centre = source - beam.source
    ends = beam.project(np.stack([needle.point_at(0), needle.point_at(needle.length_mm + 14)]) - centre)
    margin = 9 * beam.sid_mm / beam.sod_mm / beam.pitch_mm
    r0, c0 = np.floor(np.maximum(ends.min(axis=0) - margin, 0)).astype(int)
    r1, c1 = np.ceil(np.minimum(ends.max(axis=0) + margin, np.array(shape))).astype(int)
    if r1 <= r0 or c1 <= c0:
        return steel, plastic
    fine = (np.arange(FINE) - (FINE - 1) / 2) / FINE
    rows = (np.arange(r0, r1)[:, None] + fine).ravel()
    columns = (np.arange(c0, c1)[:, None] + fine).ravel()
    rays = beam.rays(rows, columns)
    for target, path in ((steel, needle.steel_mm(source, *rays)), (plastic, needle.plastic_mm(source, *rays))):
        target[r0:r1, c0:c1] = path.reshape(r1 - r0, FINE, c1 - c0, FINE).mean(axis=(1, 3))
    return steel, plastic


def _truth(scene: Scene, deepest: FloatImage, exposed: Mask) -> PhantomTruth:
    shape = scene.beam.shape
    hip = (cv2.resize(deepest, shape[::-1], interpolation=cv2.INTER_LINEAR) > 0) & exposed
    lines = tuple(
        np.asarray(line * BONE_STRIDE + (BONE_STRIDE - 1) / 2) for line in find_contours(deepest.astype(np.float64), 0.0)
    )
    if scene.needle is None:
        return PhantomTruth(hip=hip, outline=lines)
    centre = np.asarray(scene.centre)
    tip = scene.beam.project(np.asarray(scene.needle.tip) - centre)
    toward = scene.beam.project(scene.needle.point_at(5.0) - centre) - tip
    toward = toward / max(float(np.linalg.norm(toward)), 1e-9)
    scale = scene.beam.mm_per_px(np.asarray(scene.needle.tip) - centre)
    signed = _signed_to_lines(deepest, lines, tip) * scale if lines else None
    angle = np.degrees(np.arccos(min(1.0, abs(float(scene.needle.axis @ scene.beam.axes()[2])))))
    return PhantomTruth(
        hip=hip,
        outline=lines,
        tip=(float(tip[0]), float(tip[1])),
        axis=(float(toward[0]), float(toward[1])),
        mm_per_px=scale,
        tip_to_cortex_mm=signed,
        tip_to_bone_3d_mm=scene.bone.signed_distance_mm(np.asarray(scene.needle.tip)),
        local_thickness_mm=scene.bone.local_thickness_mm(np.asarray(scene.needle.tip)),
        beam_angle_deg=float(angle),
        tip_position_mm=scene.needle.tip,
    )


def _signed_to_lines(deepest: FloatImage, lines: tuple[Points, ...], tip: Points) -> float:
    """Distance [px] of a point to the outline, positive where the bone is."""
    nearest = min(float(-cv2.pointPolygonTest(line.astype(np.float32)[:, None], (float(tip[0]), float(tip[1])), True)) for line in lines)
    nearest = min(abs(nearest), *(abs(_to_line(line, tip)) for line in lines))
    coarse = (np.asarray(tip) - (BONE_STRIDE - 1) / 2) / BONE_STRIDE
    at = np.clip(np.rint(coarse).astype(int), 0, np.array(deepest.shape) - 1)
    return nearest if deepest[at[0], at[1]] > 0 else -nearest


def _to_line(line: Points, point: Points) -> float:
    start, step = line[:-1], np.diff(line, axis=0)
    share = np.clip(((point - start) * step).sum(axis=1) / ((step**2).sum(axis=1) + 1e-12), 0, 1)
    return float(np.linalg.norm(start + share[:, None] * step - point, axis=1).min())


def _noise(rng: np.random.Generator, shape: tuple[int, int], size_px: float) -> FloatImage:
    """Smooth noise of unit variance with a grain of `size_px` coarse pixels."""
    step = max(1, round(size_px / 2))
    small = rng.normal(0, 1, (shape[0] // step + 3, shape[1] // step + 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(small, (0, 0), max(size_px / step / 2, 0.6))
    grown = cv2.resize(smooth, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)[: shape[0], : shape[1]]
    noise: FloatImage = ((grown - grown.mean()) / (grown.std() + 1e-6)).astype(np.float32)
    return noise


def _texture(rng: np.random.Generator, shape: tuple[int, int], scene: Scene) -> FloatImage:
    """Trabeculae: coarse-grained changes of the marrow's attenuation."""
    mm = scene.beam.pitch_mm * BONE_STRIDE * scene.beam.sod_mm / scene.beam.sid_mm
    texture: FloatImage = 1 + 0.13 * _noise(rng, shape, 1.2 / mm) + 0.12 * _noise(rng, shape, 5 / mm)
    return texture
