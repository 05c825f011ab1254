"""A whole phantom picture: bone, needle and surroundings in a cone beam, rendered with its exact truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask, Points
from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.clutter import BODY_RADII
from marrowpoint.phantom.geometry import ConeBeam
from marrowpoint.phantom.march import march_bone
from marrowpoint.phantom.needle import PhantomNeedle, needle_paths_mm
from marrowpoint.phantom.physics import Display, Exposition, collimator, detect, show, transmission
from marrowpoint.phantom.surroundings import surroundings_mm, trabeculae
from marrowpoint.phantom.truth import PhantomTruth, Silhouette, find_truth

# Bone is marched on every second pixel; edges keep their place to a tenth of a pixel, and needles are drawn
# finer.
BONE_STRIDE = 2
COLLIMATOR_LEAK = 0.02


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
        Of everything that chance decides in the body.
    noise_seed : int or None
        Of the quanta; None: they go on from the body's. Frames of one run share the body and not the noise.
    """

    beam: ConeBeam
    bone: HipBone = field(default_factory=HipBone)
    needle: PhantomNeedle | None = None
    exposition: Exposition = field(default_factory=Exposition)
    display: Display = field(default_factory=Display)
    centre: tuple[float, float, float] = (70.0, 40.0, 70.0)
    body_radii_mm: tuple[float, float] = BODY_RADII
    seed: int = 0
    noise_seed: int | None = None


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

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
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
    shape, beam, centre = scene.beam.shape, scene.beam, np.asarray(scene.centre)
    full, silhouette = scene_paths_mm(scene, rng)
    if scene.needle is not None:
        full["steel"], full["plastic"] = needle_paths_mm(scene.needle, beam, centre)
    mask = collimator(shape, scene.display)
    passed = np.asarray(transmission(full) * (COLLIMATOR_LEAK + (1 - COLLIMATOR_LEAK) * mask), dtype=np.float32)
    if scene.noise_seed is not None:
        rng = np.random.default_rng((scene.seed, scene.noise_seed))
    value = show(detect(passed, scene.exposition, beam.pitch_mm, rng), scene.display, mask)
    top = 2**scene.display.bits - 1
    pixels = np.rint(value * top).clip(0, top).astype(np.uint8 if scene.display.bits == 8 else np.uint16)
    truth = find_truth(silhouette, np.asarray(mask > 0.5), scene.needle, scene.bone, beam, centre)
    return PhantomFrame(pixels=pixels, field=np.asarray(mask > 0.5), truth=truth)


def scene_paths_mm(scene: Scene, rng: np.random.Generator) -> tuple[dict[str, FloatImage], Silhouette]:
    """Path of every ray through each material but the needle's, and the shadow of the hip bone.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator

    Returns
    -------
    paths_mm : dict of str to ndarray of shape (M, N)
        ``tissue``, ``cortex`` and ``marrow`` [mm].
    silhouette : Silhouette
    """
    shape, beam, centre = scene.beam.shape, scene.beam, np.asarray(scene.centre)
    source, forward = beam.source + centre, beam.axes()[2]
    rays = beam.rays(_coarse(shape[0]), _coarse(shape[1]))
    outer, inner, deepest = march_bone(scene.bone, source, rays, forward)
    paths = surroundings_mm(scene.bone, scene.body_radii_mm, (source, rays, forward), rng)
    grain = trabeculae(rng, outer.shape, beam.pitch_mm * BONE_STRIDE * beam.sod_mm / beam.sid_mm)
    paths["cortex"] = paths["cortex"] + outer - inner
    paths["marrow"] = paths["marrow"] + np.minimum(inner * grain, outer)
    paths["tissue"] = np.maximum(paths["tissue"] - outer, 0)
    full = {material: _grow(path, shape) for material, path in paths.items()}
    return full, Silhouette(deepest=deepest, stride=BONE_STRIDE)


def _coarse(count: int) -> Points:
    return np.asarray(np.arange(count / BONE_STRIDE) * BONE_STRIDE + (BONE_STRIDE - 1) / 2, dtype=np.float64)


def _grow(path: FloatImage, shape: tuple[int, int]) -> FloatImage:
    grown = cv2.resize(path, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.maximum(grown, 0), dtype=np.float32)
