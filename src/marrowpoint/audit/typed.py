"""Records of the result file, with types: the one place of the audit that knows how a record is spelt.

A record of an older program lacks newer fields: what is absent is unknown, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marrowpoint.assessment import Provenance
from marrowpoint.audit.facts import FailureFacts, FrameFacts, PositionFacts
from marrowpoint.frame import Documented
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.report.record import Record
from marrowpoint.verdict import Code, Flag, Reason, Verdict


def frame_facts(record: Record) -> FrameFacts:
    """A frame record with types.

    Parameters
    ----------
    record : dict

    Returns
    -------
    FrameFacts
    """
    source, view, calibration = record["source"], record["view"], record["calibration"]
    return FrameFacts(
        key=f"{source['path']}#{source['frame']}",
        path=source["path"],
        frame_number=source["frame"],
        modality=source["modality"],
        study_instance_uid=source["study_instance_uid"],
        sop_instance_uid=source["sop_instance_uid"],
        pixel_sha256=source["pixel_sha256"],
        acquired=moment(source.get("acquired")),
        view=view["kind"],
        primary_deg=view.get("primary_deg"),
        secondary_deg=view.get("secondary_deg"),
        side=view.get("side") or "",
        scale=calibration["method"],
        scale_note=calibration.get("note", ""),
        needle=record["needle"] is not None,
        bone=record["bone"] is not None,
        verdict=verdict(record["verdict"]),
        measurements=_measurements(record["measurements"]),
        overlay=record.get("overlay", ""),
        documented=_documented(record.get("documented")),
        provenance=_provenance(record["provenance"]),
    )


def position_facts(record: Record, frames: tuple[FrameFacts, ...]) -> PositionFacts:
    """A study record with types.

    Parameters
    ----------
    record : dict
    frames : tuple of FrameFacts
        The frames it names.

    Returns
    -------
    PositionFacts
        Without rows and phase.
    """
    tip = record["tip_3d"] or {}
    lengths = _measurements(record.get("measurements") or {})
    return PositionFacts(
        study_instance_uid=record["study_instance_uid"],
        site=record.get("site", ""),
        frames=frames,
        verdict=verdict(record["verdict"]),
        tip_mm=_triple(tip.get("position_mm")),
        tip_sd_mm=_triple(tip.get("sd_mm")),
        axis=_triple(tip.get("axis")),
        axis_sd_deg=tip.get("axis_sd_deg"),
        insertion_depth=lengths.get("insertion_depth"),
        bone_thickness=lengths.get("bone_thickness"),
    )


def failure_facts(record: Record) -> FailureFacts:
    """A failure record with types."""
    source, error = record["source"], record["error"]
    number = f"#{source['frame']}" if "frame" in source else ""
    return FailureFacts(path=f"{source['path']}{number}", code=error["code"], text=error["text"])


def moment(text: str | None) -> datetime | None:
    """Date and time of a record by the machine's clock; None for what is none."""
    try:
        return None if not text else datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def verdict(record: Record) -> Verdict:
    """A verdict with types; flags of a newer program are left out."""
    known = set(Flag)
    return Verdict(
        code=Code(record["code"]),
        text=record["text"],
        flags=tuple(Flag(flag) for flag in record["flags"] if flag in known),
        reasons=tuple(Reason(code=reason["code"], text=reason["text"]) for reason in record["reasons"]),
    )


def _measurements(records: Mapping[str, Record | None]) -> dict[str, Measurement]:
    return {
        name: Measurement(
            value=entry["value"],
            lower=entry["lower"],
            upper=entry["upper"],
            unit=Unit(entry["unit"]),
            bound=Bound(entry["bound"]),
            method=entry["method"],
        )
        for name, entry in records.items()
        if entry
    }


def _documented(record: Mapping[str, Any] | None) -> Documented | None:
    if record is None:
        return None
    return Documented(**{name: record[name] for name in Documented.__slots__ if record.get(name) is not None})


def _provenance(record: Record) -> Provenance:
    return Provenance(
        marrowpoint=record["marrowpoint"],
        profile=record["profile"],
        profile_sha256=record["profile_sha256"],
        model_sha256=record.get("model_sha256"),
    )


def _triple(values: list[float | None] | None) -> tuple[float, ...] | None:
    if values is None or any(value is None for value in values):
        return None
    return tuple(float(value) for value in values if value is not None)
