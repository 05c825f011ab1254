"""The HTML page of a run: one file that opens anywhere, without a network."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
from jinja2 import Environment, PackageLoader, StrictUndefined

from marrowpoint.assess import ULTRASOUND
from marrowpoint.frame import SpacingSource
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.needle import TipVisibility
from marrowpoint.report.ink import SEVERITY_COLOUR
from marrowpoint.report.record import Record
from marrowpoint.report.words import (
    FLAG_WORDS,
    LARGE,
    MEASUREMENT_WORDS,
    RESEARCH_ONLY,
    VIEW_WORDS,
    VISIBILITY_WORDS,
    measured,
    scale_source,
)
from marrowpoint.report.write import whole_file
from marrowpoint.verdict import SEVERITY, Code, Flag, Severity

# Longer side and JPEG quality of the pictures inside the page; beyond MANY frames they shrink, so that a phone still opens it.
PICTURE_PX, SMALL_PICTURE_PX, MANY, JPEG_QUALITY = 900, 420, 150, 78
STRIP_PX = 1800

SEVERITY_WORDS: dict[Severity, str] = {
    Severity.PROBLEM: "Problem",
    Severity.UNKNOWN: "Problem: no answer",
    Severity.CAUTION: "Caution",
    Severity.GOOD: "Good in this view",
}
SEVERITY_SIGNS: dict[Severity, str] = {Severity.PROBLEM: "✕", Severity.UNKNOWN: "?", Severity.CAUTION: "!", Severity.GOOD: "✓"}


def write_page(
    path: Path,
    frames: Sequence[Record],
    studies: Sequence[Record],
    failures: Sequence[Record],
    runs: Sequence[Record] = (),
) -> None:
    """Write the page of a run.

    Pictures are taken from the overlays beside the page, one at a time, and put inside it small.

    Parameters
    ----------
    path : Path
        Where the page shall stand; the records' overlays are found from its folder.
    frames, studies, failures, runs : sequence of dict
        Records of the result file; every text in them is taken as hostile.
    """
    environment = Environment(
        loader=PackageLoader("marrowpoint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    provenance = next((record["provenance"] for record in (*frames, *studies, *runs)), None)
    pieces = environment.get_template("page.html").generate(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        research_only=RESEARCH_ONLY,
        provenance=provenance,
        counts=_counts(frames),
        total=len(frames),
        severities=_severity_counts(frames),
        colours={severity.value: f"rgb{colour}" for severity, colour in SEVERITY_COLOUR.items()},
        signs={severity.value: sign for severity, sign in SEVERITY_SIGNS.items()},
        words={severity.value: word for severity, word in SEVERITY_WORDS.items()},
        cards=_cards(path.parent, frames),
        studies=[_study(record) for record in studies],
        failures=failures,
        runs=[_run(path.parent, record) for record in runs],
    )
    with whole_file(path) as stream:
        for piece in pieces:
            stream.write(piece.encode("utf-8", "backslashreplace"))


def _counts(frames: Sequence[Record]) -> list[dict[str, Any]]:
    counter = Counter(record["verdict"]["code"] for record in frames)
    order = list(Severity)
    ranked = sorted(counter.items(), key=lambda item: (-order.index(SEVERITY[Code(item[0])]), -item[1]))
    return [{"code": code, "severity": SEVERITY[Code(code)].value, "count": count} for code, count in ranked]


def _severity_counts(frames: Sequence[Record]) -> list[tuple[str, int]]:
    counter = Counter(record["verdict"]["severity"] for record in frames)
    return [(severity.value, counter.get(severity.value, 0)) for severity in SEVERITY_WORDS]


def _cards(folder: Path, frames: Sequence[Record]) -> Iterator[dict[str, Any]]:
    side_px = PICTURE_PX if len(frames) <= MANY else SMALL_PICTURE_PX
    for number, record in enumerate(frames, 1):
        yield {
            "number": number,
            "name": frame_label(record),
            "verdict": record["verdict"],
            "flags": [FLAG_WORDS[Flag(flag)] for flag in record["verdict"]["flags"]],
            "numbers": _numbers(record),
            "facts": _facts(record),
            "conflicts": record["calibration"]["conflicts"],
            "picture": _picture(folder / record["overlay"], side_px),
            "link": quote(record["overlay"]),
        }


def frame_label(record: Record) -> str:
    """Path of a frame record, with ``#frame`` where the file holds several."""
    source = record["source"]
    several: bool = source["number_of_frames"] > 1
    return f"{source['path']}#{source['frame']}" if several else str(source["path"])


def measurement_words(name: str, entry: Record | None, *, sound: bool = False) -> str | None:
    """A measurement of a record in words; None where it was not found. `sound`: the frame is ultrasound."""
    if entry is None:
        return None
    return measured(
        name,
        Measurement(
            value=entry["value"],
            lower=entry["lower"],
            upper=entry["upper"],
            unit=Unit(entry["unit"]),
            bound=Bound(entry["bound"]),
            method=entry["method"],
        ),
        sound=sound,
    )


def seen_by_sound(record: Record) -> bool:
    """Whether a frame record is of an ultrasound frame."""
    return record["source"]["modality"] in ULTRASOUND


def _numbers(record: Record) -> list[tuple[str, str, str, bool]]:
    """Title, value, method, and whether it is one of the large ones, which are named also where they are missing."""
    sound = seen_by_sound(record)
    rows = []
    for name, title in MEASUREMENT_WORDS.items():
        entry = record["measurements"].get(name)
        # sound sees no thickness: it is not missing
        large = name in LARGE and not (sound and name == "bone_thickness")
        if entry is not None:
            rows.append((title, measurement_words(name, entry, sound=sound) or "", str(entry["method"]), large))
        elif large:
            rows.append((title, "not measured", "", True))
    return rows


def _facts(record: Record) -> list[tuple[str, str]]:
    calibration, view, needle = record["calibration"], record["view"], record["needle"]
    scale = scale_source(SpacingSource(calibration["method"]), calibration.get("note", ""))
    if calibration["mm_per_px"] is not None:
        scale = f"{calibration['mm_per_px']:.4f} mm/px \N{PLUS-MINUS SIGN}{100 * calibration['relative_u']:.0f} %, from {scale}"
    angles = [f"{view[name]:.1f}\N{DEGREE SIGN}" for name in ("primary_deg", "secondary_deg") if view[name] is not None]
    facts = [
        ("Acquired", (record["source"]["acquired"] or "not stated").replace("T", " ")),
        ("View", " ".join([next(words for kind, words in VIEW_WORDS.items() if kind.value == view["kind"]), *angles])),
        ("Scale", scale),
    ]
    if needle is not None and needle.get("tip_visibility") is not None:
        facts.append(("Tip visibility", VISIBILITY_WORDS[TipVisibility(needle["tip_visibility"])]))
    if needle is not None and needle["outer_diameter_mm"] is not None:
        facts.append(("Declared needle", f"{needle['outer_diameter_mm']:.2f} mm outer diameter"))
    return facts


def _study(record: Record) -> dict[str, Any]:
    severity = record["verdict"]["severity"]
    told = {name: measurement_words(name, entry) for name, entry in record["measurements"].items()}
    return record | {
        "severity": severity,
        "flags": [FLAG_WORDS[Flag(flag)] for flag in record["verdict"]["flags"]],
        # a bound must not pass for a measurement: the words say "at most"
        "lengths": [f"{MEASUREMENT_WORDS[name]} {words}" for name, words in told.items() if words],
    }


def _run(folder: Path, record: Record) -> dict[str, Any]:
    strip = record["strip"]
    return {
        "name": ", ".join(record["source"]["paths"][:3]),
        "frames": record["source"]["frames"],
        "verdict": record["verdict"],
        "flags": [FLAG_WORDS[Flag(flag)] for flag in record["verdict"]["flags"]],
        "picture": "" if strip is None else _picture(folder / strip, STRIP_PX),
        "link": "" if strip is None else quote(strip),
    }


def _picture(path: Path, side_px: int) -> str:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return ""
    scale = min(1.0, side_px / max(picture.shape[:2]))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    _, data = cv2.imencode(
        ".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
