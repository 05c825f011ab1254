"""Records and sheets of small procedures, written by hand: what an audit is asked about in tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from marrowpoint.audit.facts import ProcedureFacts
from marrowpoint.audit.findings import Finding
from marrowpoint.audit.gather import gather_procedures
from marrowpoint.audit.rules import judge_procedure
from marrowpoint.case import Site
from marrowpoint.read import read_profile
from marrowpoint.verdict import SEVERITY, Code

UID = "1.2.3"
PROFILE = read_profile()
PROVENANCE = {"marrowpoint": "0.1.0", "profile": "default@1", "profile_sha256": "ab" * 32, "model_sha256": None}
SILENT = {
    "laterality": None, "body_position": None, "dose_area_gy_cm2": None, "air_kerma_gy": None, "fluoroscopy_min": None,
    "mechanical_index": None, "thermal_index": None,
}  # fmt: skip
Record = dict[str, Any]


def length(value: float, half: float = 1.0, *, unit: str = "mm", bound: str = "estimate") -> Record:
    return {"value": value, "lower": value - half, "upper": value + half, "unit": unit, "bound": bound, "method": "by hand"}


def verdict(code: Code, flags: Sequence[str] = (), reason: str = "by_hand") -> Record:
    text = code.value.replace("_", " ")
    reasons = [{"code": reason, "text": f"reason: {reason}"}]
    return {"code": code.value, "severity": SEVERITY[code].value, "text": text, "flags": list(flags), "reasons": reasons}


def frame(name: str, code: Code = Code.PROJECTED_INSIDE, *, uid: str = UID, needle: bool = True, bone: bool = True,
          acquired: str | None = "2026-03-02T10:00:00", number: int = 1, pixels: str = "", modality: str = "XA",
          view: str = "tangential", angles: tuple[float | None, float | None] = (None, None), side: str | None = None,
          scale: str = "instrument", measurements: Record | None = None, documented: Record | None = None,
          overlay: str = "") -> Record:  # fmt: skip
    """A frame record; `documented` adds to a header that says nothing."""
    return {
        "record": "frame", "schema": 1,
        "source": {
            "path": name, "frame": number, "number_of_frames": 1, "modality": modality, "rows": 8, "columns": 8,
            "sop_instance_uid": f"{uid}.9.{name}", "study_instance_uid": uid, "acquired": acquired,
            "pixel_sha256": pixels or f"hash of {name} {number}",
        },
        "view": {"kind": view, "origin": "dicom", "primary_deg": angles[0], "secondary_deg": angles[1], "side": side},
        "calibration": {"method": scale, "mm_per_px": 0.2, "relative_u": 0.03, "conflicts": [], "note": ""},
        "needle": {} if needle else None, "bone": {} if bone else None,
        "measurements": measurements or {}, "verdict": verdict(code), "provenance": PROVENANCE,
        "documented": SILENT | (documented or {}), "overlay": overlay,
    }  # fmt: skip


def study(site: str, frames: Sequence[Record], code: Code = Code.INDETERMINATE, *, uid: str = UID, flags: Sequence[str] = (),
          tip: Record | None = None, depth: Record | None = None, thickness: Record | None = None) -> Record:  # fmt: skip
    return {
        "record": "study", "schema": 1, "study_instance_uid": uid, "site": site,
        "frames": [f"{each['source']['path']}#{each['source']['frame']}" for each in frames],
        "tip_3d": tip, "measurements": {"insertion_depth": depth, "bone_thickness": thickness},
        "verdict": verdict(code, flags), "provenance": PROVENANCE,
    }  # fmt: skip


def tip(x: float, y: float, z: float, *, sd: float = 0.5, axis: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> Record:
    return {"position_mm": [x, y, z], "residual_mm": 0.3, "sd_mm": [sd, sd, sd], "axis": list(axis), "axis_sd_deg": 2.0}


def failure(path: str) -> Record:
    return {"record": "failure", "schema": 1, "source": {"path": path}, "error": {"code": "no_pixel_data", "text": "cut short"}}


def sheet(count: int, ml: float | None = 10.0, *, uid: str = UID, **fields: Any) -> tuple[Site, ...]:
    """`count` sites of the harvest, six minutes apart from 10:00; `fields` go into every row."""
    row = Site(study_instance_uid=uid, side="L", needle_od_mm=3.05, needle="3.05mm", volume_ml=ml, phase="harvest",
               operator_role="attending")  # fmt: skip
    return tuple(
        replace(row, site=str(k + 1), entry_time=f"{10 + 6 * k // 60:02d}:{6 * k % 60:02d}", **fields) for k in range(count)
    )


def reinjection(at: str = "13:00", **fields: Any) -> Site:
    return Site(study_instance_uid=UID, site="disc", phase="reinjection", entry_time=at, **fields)


def imaged_sites(count: int, code: Code = Code.INDETERMINATE, **fields: Any) -> list[Record]:
    """A tangential and an oblique frame for each of `count` sites, and their study records."""
    records: list[Record] = []
    for k in range(count):
        at = f"2026-03-02T{10 + 6 * k // 60:02d}:{6 * k % 60 + 1:02d}:00"
        pair = [frame(f"s{k}/{view}.dcm", view=view, acquired=at, **fields) for view in ("tangential", "iliac_oblique")]
        records += [*pair, study(str(k + 1), pair, code)]
    return records


def procedure(records: Sequence[Record] = (), rows: Sequence[Site] = (), **more: Any) -> ProcedureFacts:
    """Facts of the one study of `records` and `rows`."""
    by_study: dict[str, tuple[Site, ...]] = {}
    for row in rows:
        by_study[row.study_instance_uid] = (*by_study.get(row.study_instance_uid, ()), row)
    found = gather_procedures(records, by_study, **more)
    return next(each for each in found if each.study_instance_uid == UID)


def ask(rule: str, records: Sequence[Record] = (), rows: Sequence[Site] = (), **more: Any) -> Finding | None:
    """What a rule says of the whole procedure; None where it does not apply."""
    findings = [f for f in judge_procedure(procedure(records, rows, **more), PROFILE) if f.rule == rule and f.site is None]
    assert len(findings) <= 1
    return findings[0] if findings else None


def outcome(rule: str, records: Sequence[Record] = (), rows: Sequence[Site] = (), **more: Any) -> str | None:
    found = ask(rule, records, rows, **more)
    return None if found is None else found.outcome.value


def by_site(rule: str, records: Sequence[Record] = (), rows: Sequence[Site] = ()) -> dict[str, str]:
    findings = judge_procedure(procedure(records, rows), PROFILE)
    return {f.site: f.outcome.value for f in findings if f.rule == rule and f.site is not None}
