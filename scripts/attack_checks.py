"""What must hold of every record that a run leaves behind, and what of the record of an altered picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import hypot, isfinite
from pathlib import Path
from typing import Any

from attack_pictures import Expect, Shot

Record = dict[str, Any]

NAME, NUMBER, COMMENT = "Plantedname^Veryrare", "PLANTED-4711", "plantedcomment"
GOOD = {"projected_in_thick_bone", "right_spot", "spread_at_target"}
INSIDE = {"projected_in_thick_bone", "projected_in_marginal_bone", "projected_in_thin_bone", "projected_inside"}
SILENT = {"not_assessable", "indeterminate"}
DOUBT = {"scale_conflict", "scale_unknown", "scale_at_detector_plane"}
THIN_MM, OUT_MM, MISS_MM, TIP_MM = 5.5, 1.0, 2.0, 3.0

PARTS = {
    "frame": "source view documented calibration needle needle_candidates bone measurements points verdict provenance overlay",
    "study": "study_instance_uid site frames tip_3d measurements verdict provenance",
    "run": "source view calibration times changes needle contrast strip verdict provenance",
    "failure": "source error",
}
INSIDE_PARTS = {
    "source": "path frame modality rows columns sop_instance_uid study_instance_uid acquired pixel_sha256",
    "view": "kind origin primary_deg secondary_deg side",
    "calibration": "method mm_per_px relative_u conflicts rungs",
    "needle": "tip_xy axis_xy shaft_width_px tip_u_px tip_u_along_px tip_u_across_px length_px outer_diameter_mm confidence "
    "end_on second_instrument alternatives",
    "bone": "contour_xy confidence edge_u_px",
    "measurements": "tip_to_cortex insertion_depth bone_thickness thin_bone_margin far_cortex_reserve in_plane_width",
    "verdict": "code severity text flags reasons",
    "provenance": "marrowpoint profile profile_sha256 model_sha256",
}


def violations(record: Record) -> Iterator[str]:
    """What the record lacks of the contract."""
    kind = record.get("record")
    if kind not in PARTS or record.get("schema") != 1:
        yield f"unknown record {kind!r}"
        return
    yield from (f"{kind} has no {part}" for part in PARTS[kind].split() if part not in record)
    if kind == "frame":
        for part, names in INSIDE_PARTS.items():
            if record.get(part) is not None:
                yield from (f"{part} has no {name}" for name in names.split() if name not in record[part])
        yield from _frame_violations(record)
    for name, length in (record.get("measurements") or {}).items():
        if length is not None:
            yield from _length_violations(name, length)
    verdict = record.get("verdict")
    if verdict is not None:
        reasons = verdict["reasons"]
        if not verdict["text"] or not reasons or not all(reason["code"] and reason["text"] for reason in reasons):
            yield f"{verdict['code']} without a reason in words"


def _length_violations(name: str, length: Record) -> Iterator[str]:
    if set(length) != {"value", "lower", "upper", "unit", "bound", "method"}:
        yield f"{name} has the fields {sorted(length)}"
    elif not all(isfinite(length[key]) for key in ("value", "lower", "upper")):
        yield f"{name} is not finite"
    elif not length["lower"] <= length["value"] <= length["upper"]:
        yield f"{name} lies outside of its interval"
    elif length["unit"] not in ("mm", "px") or length["bound"] not in ("estimate", "lower_bound", "upper_bound"):
        yield f"{name} has unit {length['unit']}, bound {length['bound']}"
    elif name != "tip_to_cortex" and length["lower"] < 0:
        yield f"{name} is negative"


def _frame_violations(record: Record) -> Iterator[str]:
    rows, columns = record["source"]["rows"], record["source"]["columns"]
    needle, distance = record["needle"], record["measurements"]["tip_to_cortex"]
    if needle is not None:
        x, y = needle["tip_xy"]
        if not (-1 <= x <= columns and -1 <= y <= rows):
            yield "the tip lies outside of the picture"
        if abs(hypot(*needle["axis_xy"]) - 1) > 1e-3:
            yield "the axis is no unit vector"
        if needle["tip_u_px"] < max(needle["tip_u_along_px"], needle["tip_u_across_px"]):
            yield "tip_u_px is smaller than its parts"
    if distance is not None and needle is None:
        yield "a distance without a needle"
    if distance is not None and (distance["value"] > 0) != (distance["bound"] == "upper_bound"):
        yield f"tip_to_cortex {distance['value']} is called {distance['bound']}"
    scale = record["calibration"]
    if distance is not None and (distance["unit"] == "mm") != (scale["mm_per_px"] is not None):
        yield "unit and scale do not fit together"
    for line in (record["bone"] or {}).get("contour_xy", ()):
        if any(not (-1 <= x <= columns and -1 <= y <= rows) for x, y in line):
            yield "the outline leaves the picture"
            break


def findings(shot: Shot, record: Record, expect: Expect) -> Iterator[str]:
    """What is wrong with what is said of an altered picture; each begins with its kind."""
    code, needle = record["verdict"]["code"], record["needle"]
    distance = record["measurements"]["tip_to_cortex"]
    if expect is Expect.NOTHING:
        if code not in SILENT:
            yield f"says of nothing: {code}"
        return
    off_mm = None if needle is None else hypot(*(needle["tip_xy"] - shot.tip)) * shot.mm_per_px
    if expect is Expect.NO_TIP:
        if code not in SILENT and off_mm is not None and off_mm > TIP_MM:
            yield f"measured from a false tip: {code}, {off_mm:.0f} mm off"
        return
    told = bool(DOUBT & set(record["verdict"]["flags"])) or record["calibration"]["conflicts"]
    yield from _reassurances(shot, code)
    if distance is not None and shot.distance_mm is not None and distance["unit"] == "mm":
        missed = max(distance["lower"] - shot.distance_mm, shot.distance_mm - distance["upper"], 0.0)
        if missed > MISS_MM:
            doubt = "no verdict" if code in SILENT else "doubt of scale told" if told else "nothing told"
            yield f"interval missed ({doubt}): {missed:.1f} mm, says {distance['value']:.1f}, is {shot.distance_mm:.1f}"
    if off_mm is not None and off_mm > TIP_MM:
        yield f"tip off ({'no verdict' if code in SILENT else code}): {off_mm:.0f} mm"


def _reassurances(shot: Shot, code: str) -> Iterator[str]:
    if code in GOOD and shot.thickness_mm is not None and shot.thickness_mm < THIN_MM:
        yield f"thin called thick: {shot.thickness_mm:.1f} mm"
    if shot.distance_mm is not None and shot.distance_mm < -OUT_MM and code in INSIDE:
        yield f"outside called inside: {shot.distance_mm:.1f} mm, {code}"
    if shot.distance_mm is not None and shot.distance_mm > 1.5 and code == "outside_bone":
        yield f"inside called outside: {shot.distance_mm:.1f} mm"


def contradiction(plain: Record, other: Record) -> str:
    """How the verdicts of two copies of one picture stand to each other."""
    first, second = plain["verdict"]["code"], other["verdict"]["code"]
    if first == second:
        return "same"
    if SILENT & {first, second}:
        return "one silent"
    if "projected_inside" in (first, second) and {first, second} <= INSIDE:
        return "one silent"
    return f"contradiction: {first} and {second}"


def leaked(data: bytes) -> bool:
    """Whether what was planted about the patient stands in it."""
    return any(part.lower().encode() in data.lower() for part in (*NAME.split("^"), NUMBER, COMMENT))


def leaks(out: Path) -> list[str]:
    """Files of a run that hold what was planted about the patient."""
    files = (file for file in sorted(out.rglob("*")) if file.is_file())
    return [str(file.relative_to(out)) for file in files if leaked(file.read_bytes()) or leaked(str(file).encode())]


def read_records(out: Path) -> list[Record]:
    def refuse(token: str) -> float:
        raise ValueError(f"{token} in the result file")

    return [json.loads(line, parse_constant=refuse) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]
