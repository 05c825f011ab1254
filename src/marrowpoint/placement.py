"""Where the tip lies, in lengths with their doubt."""

from __future__ import annotations

from dataclasses import dataclass

from marrowpoint.frame import Calibration
from marrowpoint.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Lengths of one frame; None where the frame cannot tell.

    Sign convention: `tip_to_cortex` is **positive inside bone, negative outside**.

    Parameters
    ----------
    tip_to_cortex : Measurement or None
        Signed distance from the tip to the nearest point of the outline, at the depth of the tip.
    insertion_depth : Measurement or None
        Needle past the entry cortex, along the shaft, as projected: foreshortening shortens it, shaft that lies over bone
        before it enters lengthens it.
    bone_thickness : Measurement or None
        Local thickness at the tip, outer table to outer table.
    mapped_thickness : Measurement or None
        What the thickness map says at the tip, however little it knows and whatever the outline allows: only several views
        together may make something of it (`study.thickness`).
    in_plane_width : Measurement or None
        Largest inscribed disc of the outline that holds the tip: an upper bound of the thickness.
    thin_bone_margin : Measurement or None
        In-plane distance from the tip to the nearest place where bone is thin.
    far_cortex_reserve : Measurement or None
        Distance ahead of the tip, along the shaft, to where the needle would leave the silhouette.
    nearest_cortex, entry, nearest_thin : tuple of float or None
        (row, column) of the nearest outline point, of the entry through the cortex, of the nearest thin bone [px].
    thin_bone_near : bool
        The thickness map's best values call bone thin that near to the tip: a warning, even where their limits prove nothing.
    shaft_leaves_bone : bool
        Tip inside: between tip and entry the shaft lies outside the outline for a stretch.
    shaft_crosses_bone : bool
        Tip outside: the shaft behind it crosses the bone.
    gap_along_shaft : Measurement or None
        Ultrasound: distance from the tip straight ahead to the bone surface.
    entry_to_peak : Measurement or None
        Ultrasound: distance from where the needle meets or will meet the bone to the crest's peak in this plane.
    crest_peak : tuple of float or None
        Ultrasound: (row, column) of the point of the bone surface nearest to the probe [px].
    calibration : Calibration
        Scale in use.
    """

    calibration: Calibration
    tip_to_cortex: Measurement | None = None
    insertion_depth: Measurement | None = None
    bone_thickness: Measurement | None = None
    mapped_thickness: Measurement | None = None
    in_plane_width: Measurement | None = None
    thin_bone_margin: Measurement | None = None
    far_cortex_reserve: Measurement | None = None
    nearest_cortex: tuple[float, float] | None = None
    entry: tuple[float, float] | None = None
    nearest_thin: tuple[float, float] | None = None
    thin_bone_near: bool = False
    shaft_leaves_bone: bool = False
    shaft_crosses_bone: bool = False
    gap_along_shaft: Measurement | None = None
    entry_to_peak: Measurement | None = None
    crest_peak: tuple[float, float] | None = None
