"""Result records without identity: rebuilt from what may stay, as the headers are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marrowpoint.archive.material import frame_key
from marrowpoint.archive.pseudonym import Pseudonyms
from marrowpoint.report.record import Record

# Parts of a record that hold only what the program measured or decided.
_FRAME_PARTS = ("view", "calibration", "needle", "needle_candidates", "bone", "measurements", "points", "verdict", "provenance")
_STUDY_PARTS = ("tip_3d", "measurements", "verdict", "provenance")
# Keys whose texts are the program's own words; any other text goes.
_OWN_WORDS = frozenset({
    "kind", "origin", "side", "method", "unit", "bound", "code", "severity", "text", "note", "conflicts", "flags",
    "marrowpoint", "profile", "profile_sha256", "model_sha256",
})  # fmt: skip
# Of these, those that may quote a header.
_SENTENCES = frozenset({"text", "note", "conflicts", "method"})
_FINDERS = ("classical", "learned", "prior", "ultrasound")
_HELD_BACK = "held back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A frame that was exported.

    Parameters
    ----------
    path : str
        Of the copy, relative to the export.
    pixel_sha256 : str
        Of the copy's pixels.
    patient : str
        As `patient_of` the original says; stays in memory.
    transfer_syntax_uid : str
    words : frozenset of str
        Telling words of the original.
    """

    path: str
    pixel_sha256: str
    patient: str
    transfer_syntax_uid: str
    words: frozenset[str]


def clean_frame(record: Record, exported: Exported, pseudonyms: Pseudonyms) -> Record:
    """A frame record of a copy.

    Parameters
    ----------
    record : dict
    exported : Exported
    pseudonyms : Pseudonyms

    Returns
    -------
    dict
        UIDs, path, pixel hash and moment are the copy's.
    """
    source = record["source"]
    acquired = None if source["acquired"] is None else datetime.fromisoformat(source["acquired"])
    clean: Record = {"record": "frame", "schema": record["schema"]}
    clean["source"] = {
        "path": exported.path,
        **{key: source[key] for key in ("frame", "number_of_frames", "modality", "rows", "columns", "sop_class_uid")},
        **{key: str(pseudonyms.uid(source[key])) for key in ("sop_instance_uid", "series_instance_uid", "study_instance_uid")},
        "transfer_syntax_uid": exported.transfer_syntax_uid,
        "acquired": None if acquired is None else pseudonyms.moved(acquired, exported.patient).isoformat(timespec="seconds"),
        "pixel_sha256": exported.pixel_sha256,
    }
    return clean | {part: _own(record.get(part), part, exported.words) for part in _FRAME_PARTS}


def clean_study(record: Record, exported: Mapping[str, Exported], pseudonyms: Pseudonyms) -> Record:
    """A study record; frames that were held back have no name in it, and the operator's name of the site goes."""
    keys = [key for key in record["frames"] if key in exported]
    words = frozenset[str]().union(*(exported[key].words for key in keys))
    clean: Record = {"record": "study", "schema": record["schema"]}
    clean["study_instance_uid"] = str(pseudonyms.uid(record["study_instance_uid"]))
    clean["frames"] = [
        f"{exported[key].path}#{key.rpartition('#')[2]}" if key in exported else _HELD_BACK for key in record["frames"]
    ]
    return clean | {part: _own(record.get(part), part, words) for part in _STUDY_PARTS}


def clean_records(records: Iterable[Record], exported: Mapping[str, Exported], pseudonyms: Pseudonyms) -> list[Record]:
    """Records of the exported frames, and of the studies that have one; failures and all else stay behind."""
    whole = list(records)
    frames = [record for record in whole if record["record"] == "frame" and frame_key(record) in exported]
    studies = [record for record in whole if record["record"] == "study" and any(key in exported for key in record["frames"])]
    return [clean_frame(record, exported[frame_key(record)], pseudonyms) for record in frames] + [
        clean_study(record, exported, pseudonyms) for record in studies
    ]


def _own(value: Any, key: str, words: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _own(entry, name, words) for name, entry in value.items()}
    if isinstance(value, list):
        return [_own(entry, key, words) for entry in value]
    if not isinstance(value, str):
        return value
    if key == "located_by":
        # a reader's name stands there where a person marked it
        return value if re.fullmatch(r"[a-z_]+(\+learned)?", value) and value.split("+")[0] in _FINDERS else "reader"
    if key == "profile" and not value.startswith("default@"):
        return "custom"
    if key not in _OWN_WORDS or (key in _SENTENCES and tells(value, words)):
        return ""
    return value


def tells(text: str, words: frozenset[str]) -> bool:
    """Whether a text holds a word of the original's identity."""
    lower = text.lower()
    return any(word in lower for word in words)
