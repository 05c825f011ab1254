"""Everything known about one frame, and about one study."""

from __future__ import annotations

from dataclasses import dataclass

from marrowpoint.cortex import Cortex
from marrowpoint.exposure import Exposure
from marrowpoint.frame import Calibration, Frame
from marrowpoint.measurement import Measurement
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which program, thresholds and model a result comes from."""

    marrowpoint: str
    profile: str
    profile_sha256: str
    model_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """Everything known about one frame; what overlay, record, report and viewer consume.

    Parameters
    ----------
    frame : Frame
    exposure : Exposure or None
        None for ultrasound and for frames that were refused before they were searched.
    needle : Needle or None
    candidates : tuple of Needle
        Where no needle is reported: bars too doubtful to be called one, best first.
    outer_diameter_mm : float or None
        Declared needle outer diameter [mm].
    cortex : Cortex or None
    calibration : Calibration
        Scale in use, also where there is no placement.
    placement : Placement or None
    tip_code : tuple of float
        What the learned prior shows around the tip, for the views of a study to be read together (`study.place`); empty where
        it is not known, as after a person moved the needle.
    verdict : Verdict
    provenance : Provenance
    """

    frame: Frame
    exposure: Exposure | None = None
    needle: Needle | None = None
    candidates: tuple[Needle, ...] = ()
    outer_diameter_mm: float | None = None
    cortex: Cortex | None = None
    calibration: Calibration
    placement: Placement | None = None
    tip_code: tuple[float, ...] = ()
    verdict: Verdict
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyAssessment:
    """What the frames of one needle position say together.

    Parameters
    ----------
    study_instance_uid : str
    frames : tuple of str
        ``"path#frame_number"`` of each frame used.
    verdict : Verdict
    tip_position_mm : tuple of float or None
        Triangulated tip (patient-table axes, mm, relative to the isocentre).
    tip_residual_mm : float or None
        Root-mean-square distance of the tip's rays from that point [mm].
    provenance : Provenance
    site : str
        The operator's name of the needle position, or its number in the study.
    tip_sd_mm : tuple of float or None
        Standard uncertainty (k = 1) of the position along each axis [mm], with the isocentre's doubt in it.
    shaft_axis : tuple of float or None
        Unit vector from the tip toward the hub, patient axes (left, back, head).
    shaft_axis_sd_deg : float or None
        Root-mean-square doubt of that direction [deg].
    insertion_depth : Measurement or None
        Needle past the entry cortex, foreshortening taken out [mm]; its bound says whether it is measured, or at most so much.
    bone_thickness : Measurement or None
        Thickness at the tip, pooled over the views [mm].
    thick_bone_chance : float or None
        Chance that the tip lies in thick bone, from its surroundings in all views together; None where that cannot be read.
    """

    study_instance_uid: str
    frames: tuple[str, ...]
    verdict: Verdict
    tip_position_mm: tuple[float, float, float] | None = None
    tip_residual_mm: float | None = None
    provenance: Provenance
    site: str = ""
    tip_sd_mm: tuple[float, float, float] | None = None
    shaft_axis: tuple[float, float, float] | None = None
    shaft_axis_sd_deg: float | None = None
    insertion_depth: Measurement | None = None
    bone_thickness: Measurement | None = None
    thick_bone_chance: float | None = None
