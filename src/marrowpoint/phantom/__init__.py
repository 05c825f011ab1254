"""Pictures with an exactly known truth and no patient: a synthetic hip bone, a needle, X-ray physics."""

from __future__ import annotations

from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.geometry import ConeBeam
from marrowpoint.phantom.needle import PhantomNeedle
from marrowpoint.phantom.physics import Display, Exposition
from marrowpoint.phantom.scene import PhantomFrame, Scene, render_scene
from marrowpoint.phantom.truth import PhantomTruth

__all__ = [
    "ConeBeam",
    "Display",
    "Exposition",
    "HipBone",
    "PhantomFrame",
    "PhantomNeedle",
    "PhantomTruth",
    "Scene",
    "render_scene",
]
