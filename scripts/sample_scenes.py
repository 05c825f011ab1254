"""The scenes of sample_dicom/: which picture shows what, how its file is written, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from marrowpoint.phantom import ConeBeam, Display, Exposition, HipBone, PhantomNeedle, Scene

BONE = HipBone()
POSTERIOR = (-0.35, 0.75, 0.55)
# A site on the crest lateral to the PSIS, and the way to a needle's hub there: from above and behind, clear of the spine.
# From the side: the way of a needle that goes through the wing instead of along it.
CREST, FROM_ABOVE = (-62.0, 118.0), (0.0, 0.5, 0.85)
FROM_SIDE = (0.75, 0.55, 0.35)
INSIDE = ("projected_inside", "projected_in_thick_bone", "projected_in_marginal_bone", "indeterminate")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One file: its frames, its header and what is known of it.

    ``verdicts`` may be said of each frame, ``never`` must not; ``scale`` is the rung that the header alone gives.
    """

    name: str
    shows: str
    scenes: tuple[Scene, ...]
    verdicts: tuple[tuple[str, ...], ...]
    never: tuple[str, ...] = ()
    scale: str = "none"
    view: str = "unknown"
    modality: str = "XA"
    syntax: str = "raw"
    study: str = ""
    header: dict[str, Any] = field(default_factory=dict)
    monochrome1: bool = False
    colour: bool = False
    procedure: bool = True


def place(u: float, v: float, share: float) -> np.ndarray:
    """Point at a share of the thickness under the gluteal surface of the wing at (u, v), patient axes [mm]."""
    near, far = BONE.surface_point(u, v, 0.0), BONE.surface_point(u, v, 1.0)
    return near + (far - near) * share * BONE.plate_thickness_mm(u, v)


def beside(u: float, v: float, toward_hub: tuple[float, float, float], beyond_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Point `beyond_mm` outside the bone on a line through its middle at (u, v), and where the line leaves the bone."""
    way = np.array(toward_hub) / np.linalg.norm(toward_hub)
    steps = np.arange(0, 60, 0.02)
    line = place(u, v, 0.5) + steps[:, None] * way
    surface = line[np.flatnonzero(BONE.field_mm(line) > 0)[-1]]
    return surface + beyond_mm * way, surface


def along_beam(tip: np.ndarray, view: tuple[float, float], beside_deg: float, **rest: Any) -> Scene:
    """Build a scene whose needle points at the focal spot but for a small angle, its hub toward the detector."""
    empty = scene(tip, view=view, **rest)
    ray = tip - np.array(empty.centre) - empty.beam.source
    ray /= np.linalg.norm(ray)
    slant = np.tan(np.radians(beside_deg)) * empty.beam.axes()[0]
    return scene(tip, _triple(ray + slant), view=view, **rest)


def scene(  # noqa: PLR0913 (a scene has many parts)
    tip: np.ndarray | None,
    toward_hub: tuple[float, float, float] = POSTERIOR,
    *,
    view: tuple[float, float],
    seed: int,
    noise_seed: int | None = None,
    size: int = 512,
    od_mm: float = 3.05,
    look_at: tuple[float, float] = (-50, 70),
    share: float = 0.55,
    needle: dict[str, Any] | None = None,
    exposition: dict[str, Any] | None = None,
    display: dict[str, Any] | None = None,
) -> Scene:
    """Build a scene that looks at a point between the tip and a place of the wing."""
    middle = BONE.surface_point(*look_at)
    centre = middle if tip is None else share * tip + (1 - share) * middle
    pin = None
    if tip is not None:
        pin = PhantomNeedle(tip=_triple(tip), toward_hub=toward_hub, outer_diameter_mm=od_mm, **(needle or {}))
    return Scene(
        beam=ConeBeam(shape=(size, size), pitch_mm=205 / size, primary_deg=view[0], secondary_deg=view[1], roll_deg=3.0),
        needle=pin,
        centre=_triple(centre),
        exposition=Exposition(**({"counts": 220.0} | (exposition or {}))),
        display=Display(**(display or {})),
        seed=seed,
        noise_seed=noise_seed,
    )


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def samples() -> tuple[Sample, ...]:
    """All samples but the ones made from others."""
    good = place(-92, 76, 0.5)
    thin = place(-20, 112, 0.5)
    marginal = place(-66, 98, 0.5)
    short, touching = beside(*CREST, FROM_ABOVE, 9.0)
    through, _ = beside(-80, 100, tuple(-x for x in FROM_SIDE), 9.0)
    across, along, front = (45.0, -8.0), (-31.0, -8.0), (0.0, 0.0)
    calibrated = {"PixelSpacing": "true", "PixelSpacingCalibrationType": "FIDUCIAL"}
    magnified = {"ImagerPixelSpacing": "pitch", "DistanceSourceToDetector": 1000, "DistanceSourceToPatient": 700}
    pair = [
        Sample(
            name="psis_iliac_oblique.dcm",
            shows="tip in the thick bone of the PSIS, seen across the wing; first view of a pair",
            scenes=(scene(good, view=across, seed=1),),
            verdicts=(INSIDE,),
            never=("projected_in_thin_bone", "outside_bone"),
            scale="magnification",
            view="iliac_oblique",
            syntax="jpeg2000",
            study="pair",
            header=magnified,
        ),
        Sample(
            name="psis_tangential.dcm",
            shows="the same needle seen along the wing; second view of the pair",
            scenes=(scene(good, view=along, seed=2),),
            verdicts=(INSIDE,),
            never=("projected_in_thin_bone", "outside_bone"),
            scale="magnification",
            view="tangential",
            syntax="jpeg2000",
            study="pair",
            header=magnified,
        ),
    ]
    frame_verdicts = [
        Sample(
            name="outside_monochrome1.dcm",
            shows="tip short of the bone, stylet out; MONOCHROME1, rectangular field, texts",
            scenes=(
                scene(
                    short,
                    FROM_ABOVE,
                    view=(38.0, 0.0),
                    seed=3,
                    od_mm=4.19,
                    exposition={"counts": 120.0},
                    needle={"stylet": False},
                    display={
                        "bits": 8,
                        "field_shape": "rectangle",
                        "field_share": 0.94,
                        "labels": (("PHANTOM", (0.95, 0.40)), ("L", (0.12, 0.86))),
                    },
                ),
            ),
            verdicts=(("outside_bone",),),
            scale="detector_plane",
            view="iliac_oblique",
            modality="RF",
            syntax="raw",
            monochrome1=True,
            header={"ImagerPixelSpacing": "pitch"},
        ),
        Sample(
            name="at_cortex.dcm",
            shows="tip on the cortex of the crest; scale from the magnification factor",
            scenes=(scene(touching, FROM_ABOVE, view=(38.0, 0.0), seed=4, od_mm=4.19),),
            verdicts=(("at_cortex", "indeterminate"),),
            scale="magnification",
            view="iliac_oblique",
            syntax="jpeg2000",
            header={"ImagerPixelSpacing": "pitch", "EstimatedRadiographicMagnificationFactor": 1.43},
        ),
        Sample(
            name="thin_wing.dcm",
            shows="tip in the paper-thin wing, far inside the outline; spacing calibrated on a fiducial",
            scenes=(scene(thin, FROM_ABOVE, view=(38.0, 0.0), seed=5, look_at=(-45, 80)),),
            verdicts=(("projected_in_thin_bone", "projected_inside", "indeterminate"),),
            never=("projected_in_thick_bone", "outside_bone"),
            scale="fiducial",
            view="iliac_oblique",
            syntax="jpeg2000",
            header=calibrated,
        ),
        Sample(
            name="marginal_ap.dcm",
            shows="tip in bone of marginal thickness beside the crest; no scale at all, dark field",
            scenes=(
                scene(marginal, (-0.2, 0.6, 0.75), view=front, seed=6, od_mm=2.41, display={"bone_bright": True, "bits": 8}),
            ),
            verdicts=(("projected_in_marginal_bone", "projected_inside", "indeterminate"),),
            never=("projected_in_thick_bone", "outside_bone"),
            scale="none",
            view="ap",
            modality="RF",
            syntax="raw",
        ),
        Sample(
            name="through_tangential.dcm",
            shows="tip gone through the wing into the pelvis, seen along the wing",
            scenes=(scene(through, FROM_SIDE, view=(-31.0, 10.0), seed=11),),
            verdicts=(("breach_suspected",),),
            never=("projected_in_thick_bone", "at_cortex"),
            scale="magnification",
            view="tangential",
            syntax="jpeg2000",
            header=magnified,
        ),
        Sample(
            name="no_needle.dcm",
            shows="no needle in the field",
            scenes=(scene(None, view=(20.0, 0.0), seed=7),),
            verdicts=(("not_assessable",),),
            scale="magnification",
            view="iliac_oblique",
            modality="RF",
            syntax="jpeg2000",
            header=magnified,
            procedure=False,
        ),
        Sample(
            name="end_on.dcm",
            shows="needle along the beam: a disc under its hub",
            scenes=(
                along_beam(
                    good,
                    (-20.0, 20.0),
                    0.5,
                    seed=8,
                    look_at=(-60, 74),
                    od_mm=4.19,
                    display={"window": (0.5, 99.95)},
                ),
            ),
            verdicts=(("not_assessable", "projected_inside", "indeterminate"),),
            never=("projected_in_thick_bone", "outside_bone"),
            scale="magnification",
            view="unknown",
            syntax="jpegls",
            header=magnified | {"DistanceSourceToPatient": 690},
        ),
    ]
    advance = [beside(*CREST, FROM_ABOVE, gap)[0] for gap in (9.0, 0.5, -12.0)]
    others = [
        Sample(
            name="advancing_multiframe.dcm",
            shows="a run of three frames: outside, at the cortex, inside",
            scenes=tuple(
                scene(
                    tip,
                    FROM_ABOVE,
                    view=(38.0, 0.0),
                    seed=20,
                    noise_seed=k,
                    size=448,
                    od_mm=4.19,
                    share=0.0,
                    look_at=(-55, 95),
                    exposition={"counts": 300.0, "scatter_share": 0.9},
                    needle={"length_mm": 110.0 + 10 * k},
                    display={"bits": 8},
                )
                for k, tip in enumerate(advance)
            ),
            verdicts=(
                ("outside_bone",),
                ("at_cortex", "indeterminate"),
                ("projected_in_marginal_bone", "projected_inside", "indeterminate"),
            ),
            never=("projected_in_thick_bone",),
            scale="magnification",
            view="iliac_oblique",
            modality="RF",
            syntax="jpeg2000",
            header=magnified | {"FrameTime": 500, "FrameIncrementPointer": 0x00181063},
        ),
        Sample(
            name="screenshot_rgb.dcm",
            shows="a colour screenshot of a dark-bone picture with texts and no scale",
            scenes=(
                scene(
                    place(-90, 80, 0.45),
                    view=(40.0, 5.0),
                    seed=9,
                    size=448,
                    exposition={"counts": 900.0},
                    display={"bits": 8, "contrast": 2.0, "sharpen": 0.6},
                ),
            ),
            verdicts=(INSIDE,),
            never=("projected_in_thin_bone", "outside_bone"),
            scale="none",
            modality="OT",
            syntax="jpeg2000",
            colour=True,
        ),
        Sample(
            name="contradictory_scale.dcm",
            shows="magnification factor that contradicts the distances",
            scenes=(
                scene(
                    place(18, 106, 0.5),
                    (0.55, -0.2, 0.8),
                    view=(30.0, 0.0),
                    seed=10,
                    look_at=(0, 70),
                    od_mm=4.19,
                    exposition={"counts": 90.0},
                ),
            ),
            verdicts=(INSIDE,),
            never=("projected_in_thin_bone", "outside_bone"),
            scale="detector_plane",
            view="iliac_oblique",
            syntax="jpeg2000",
            header={
                "ImagerPixelSpacing": "pitch",
                "DistanceSourceToDetector": 700,
                "DistanceSourceToPatient": 617,
                "EstimatedRadiographicMagnificationFactor": 1.073,
            },
        ),
    ]
    second = Sample(
        name="thin_wing_ap.dcm",
        shows="the needle of thin_wing.dcm from the front: together the two views exclude thick bone",
        scenes=(scene(thin, FROM_ABOVE, view=(10.0, -10.0), seed=34, look_at=(-30, 90)),),
        verdicts=(("projected_in_thin_bone", "projected_inside", "indeterminate"),),
        never=("projected_in_thick_bone", "outside_bone"),
        scale="fiducial",
        view="ap",
        syntax="jpeg2000",
        study="thin_wing.dcm",
        header=calibrated,
    )
    return (*pair, *frame_verdicts, *others, second)
