"""Facts about the sample pictures, read once from sample_dicom/truth.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "sample_dicom"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReference:
    """What is really in one frame; tip and axis as (row, column), None where there is no needle."""

    file: str
    number: int
    view: str
    header_scale: str
    needle_od_mm: float | None
    verdicts: tuple[str, ...]
    never: tuple[str, ...]
    tip: tuple[float, float] | None
    axis: tuple[float, float] | None
    mm_per_px: float | None
    beam_angle_deg: float | None
    distance_mm: float | None
    thickness_mm: float | None

    @property
    def id(self) -> str:
        return f"{self.file}#{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReference:
    """One sample file."""

    name: str
    sha256: str
    study_instance_uid: str
    frames: tuple[FrameReference, ...]

    @property
    def path(self) -> Path:
        return SAMPLES / self.name


@lru_cache(maxsize=1)
def fluoroscopy_files() -> tuple[FileReference, ...]:
    """Every file of truth.toml that is a projection."""
    table = tomllib.loads((SAMPLES / "truth.toml").read_text(encoding="utf-8"))
    return tuple(_file(name, entry) for name, entry in table.items() if entry.get("modality") != "US")


def fluoroscopy_frames() -> tuple[FrameReference, ...]:
    return tuple(frame for file in fluoroscopy_files() for frame in file.frames)


def _file(name: str, entry: dict) -> FileReference:
    frames = tuple(
        FrameReference(
            file=name,
            number=frame["number"],
            view=entry["view"],
            header_scale=entry["header_scale"],
            needle_od_mm=entry.get("needle_od_mm"),
            verdicts=tuple(frame["verdicts"]),
            never=tuple(frame["never"]),
            tip=tuple(frame["tip"]) if "tip" in frame else None,
            axis=tuple(frame["axis"]) if "axis" in frame else None,
            mm_per_px=frame.get("mm_per_px"),
            beam_angle_deg=frame.get("beam_angle_deg"),
            distance_mm=frame.get("distance_mm"),
            thickness_mm=frame.get("thickness_mm"),
        )
        for frame in entry.get("frames", [])
    )
    return FileReference(
        name=name,
        sha256=entry["sha256"],
        study_instance_uid=entry["study_instance_uid"],
        frames=frames,
    )
