"""Every threshold, read from a named TOML file in which each stands with its source."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from dataclasses import dataclass
from math import isfinite
from typing import Any

from marrowpoint.errors import InvalidProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLimits:
    """Thresholds of the verdicts (design section 5)."""

    thin_below_mm: float
    thick_from_mm: float
    shallow_below_mm: float
    abstain_above_u_mm: float
    thin_margin_mm: float
    far_reserve_mm: float
    depth_warning_mm: float
    complementary_from_deg: float
    min_bone_confidence: float
    measure_bone_confidence: float
    min_needle_confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleLimits:
    """Relative expanded (k = 2) uncertainties of the scale ladder, and what is too absurd to use."""

    fiducial_u: float
    object_plane_u: float
    magnification_u: float
    patient_spacing_u: float
    region_u: float
    detector_plane_u: float
    instrument_edge_px: float
    instrument_min_width_px: float
    min_mm_per_px: float
    max_mm_per_px: float
    tag_disagreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLimits:
    """Thresholds of what several views may say together; doubts named ``_sd_`` are k = 1."""

    angle_sd_deg: float
    roll_sd_deg: float
    isocentre_sd_mm: float
    separate_from_deg: float
    same_view_within_deg: float
    redirected_from_deg: float
    pause_min: float
    longest_needle_mm: float
    depth_view_from_deg: float
    depth_from_mm: float
    deepest_mm: float
    depth_per_thickness: float
    depth_views_ratio: float
    cortex_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundLimits:
    """Thresholds of the ultrasound verdicts; uncertainties named ``_sd_`` are k = 1, ``_u`` k = 2."""

    surface_sd_mm: float
    ruler_u: float
    min_surface_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLimits:
    """How well a person's own marks are believed; doubts named ``_sd_`` are k = 1, ``_u`` k = 2."""

    hand_point_sd_mm: float
    hand_point_sd_px: float
    hand_confidence: float
    hand_scale_u: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """Thresholds of the audit rules A01 to A30; shares are 0..1."""

    site_ml: float
    site_wrong_ml: float
    sites_from: float
    sites_up_to: float
    sites_too_few: float
    total_tolerance_ml: float
    total_tolerance_share: float
    total_from_ml: float
    total_up_to_ml: float
    syringe_ml: float
    syringe_wrong_ml: float
    not_assessable_share: float
    gap_min: float
    air_kerma_gy: float
    dose_area_gy_cm2: float
    fluoroscopy_min: float
    contrast_frames: float
    straight_within_deg: float
    straight_warning_mm: float
    straight_limit_mm: float
    path_warning_mm: float
    path_limit_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """Thresholds of what runs may say."""

    most_residual_px: float
    vein_from_mm: float
    vein_cut_off_from_mm: float
    vein_below_mm: float
    local_within_mm: float
    target_share: float
    outside_share: float
    leak_from_mm: float
    needle_moved_mm: float
    withdrawn_mm: float
    followed_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named, versioned set of thresholds.

    Parameters
    ----------
    name, version : str
    sha256 : str
        Hash of the file's bytes; it stands in every result.
    verdict : VerdictLimits
    scale : ScaleLimits
    study : StudyLimits
    ultrasound : UltrasoundLimits
    review : ReviewLimits or None
        None in a profile written before there was a review: the packaged values hold.
    audit : AuditLimits or None
        None in a profile written before there were audit rules: frames are judged by it, procedures are not.
    """

    name: str
    version: str
    sha256: str
    verdict: VerdictLimits
    scale: ScaleLimits
    study: StudyLimits
    ultrasound: UltrasoundLimits
    review: ReviewLimits | None = None
    audit: AuditLimits | None = None
    run: RunLimits | None = None

    @property
    def run_limits(self) -> RunLimits:
        """Thresholds of runs; a profile without them judges no run."""
        if self.run is None:
            raise InvalidProfile("invalid_profile", "the profile has no section [run]: add it from the default profile")
        return self.run

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


SECTIONS: dict[str, type] = {
    "verdict": VerdictLimits,
    "scale": ScaleLimits,
    "study": StudyLimits,
    "ultrasound": UltrasoundLimits,
    "run": RunLimits,
    "review": ReviewLimits,
    "audit": AuditLimits,
}
# sections that older profiles lack; the rest of such a profile holds
OPTIONAL = frozenset({"review", "audit", "run"})


def parse_profile(data: bytes) -> Profile:
    """Build a profile from the bytes of its TOML file.

    Parameters
    ----------
    data : bytes
        TOML: ``name``, ``version`` and one table a section, each threshold as ``{ value = ..., source = "..." }``.

    Returns
    -------
    Profile

    Raises
    ------
    InvalidProfile
        If it is no TOML, or a threshold is unknown, missing, not a finite number or without a source.
    """
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidProfile("invalid_profile", f"the profile is no TOML file: {error}") from error
    unknown = set(table) - set(SECTIONS) - {"name", "version"}
    if unknown:
        raise InvalidProfile("invalid_profile", f"the profile has unknown entries: {', '.join(sorted(unknown))}")
    for key in ("name", "version"):
        if not isinstance(table.get(key), str):
            raise InvalidProfile("invalid_profile", f"the profile has no text entry {key!r}")
    asked = {key: kind for key, kind in SECTIONS.items() if key in table or key not in OPTIONAL}
    sections = {key: _section(key, kind, table.get(key, {})) for key, kind in asked.items()}
    return Profile(name=table["name"], version=table["version"], sha256=hashlib.sha256(data).hexdigest(), **sections)


def _section(name: str, kind: type, table: Any) -> Any:
    if not isinstance(table, dict):
        raise InvalidProfile("invalid_profile", f"{name} must be a table")
    wanted = {field.name for field in dataclasses.fields(kind)}
    if set(table) != wanted:
        wrong = ", ".join(sorted(set(table) ^ wanted))
        raise InvalidProfile("invalid_profile", f"section {name}: unknown or missing thresholds: {wrong}")
    return kind(**{key: _value(f"{name}.{key}", entry) for key, entry in table.items()})


def _value(name: str, entry: Any) -> float:
    if not isinstance(entry, dict) or set(entry) != {"value", "source"} or not str(entry["source"]).strip():
        raise InvalidProfile("invalid_profile", f"{name}: write {{ value = NUMBER, source = \"where it comes from\" }}")
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidProfile("invalid_profile", f"{name}: {value!r} is no finite number")
    return float(value)
