"""What DICOM objects are made from: records, the files they speak of, pictures, a PDF and what persons decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from marrowpoint.report.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What persons decided about one frame, as far as it still holds.

    Parameters
    ----------
    raters : tuple of str
        Who; not empty.
    agrees : bool
        All of them accepted what the program said of these very pixels with this very profile and model.
    decided_at : datetime
        The latest decision, with its time zone.
    words : str
        What was decided otherwise, in words; empty where all agree.
    """

    raters: tuple[str, ...]
    agrees: bool
    decided_at: datetime
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomMaterial:
    """Everything that `write_dicom` needs.

    Parameters
    ----------
    records : sequence of dict
        Frame and study records of the result file; others are passed over.
    sources : mapping of str to Path
        DICOM file of each frame record, by its ``source.path``.
    overlays : mapping of str to Path
        Overlay picture by `frame_key`.
    reviews : mapping of str to Review
        By `frame_key`.
    pdfs : mapping of str to bytes
        A PDF about one study and nobody else, by its study instance UID.
    """

    records: Sequence[Record]
    sources: Mapping[str, Path]
    overlays: Mapping[str, Path] = field(default_factory=dict)
    reviews: Mapping[str, Review] = field(default_factory=dict)
    pdfs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWritten:
    """What was written, and what was not and why.

    Parameters
    ----------
    files : tuple of Path
    left_out : tuple of tuple of str
        What (a record's key or a study) and the reason; nothing of the patient. A problem.
    notes : tuple of tuple of str
        The same for what cannot exist, such as a grayscale presentation state of a colour picture. No problem.
    """

    files: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


def frame_key(record: Record) -> str:
    """``path#frame`` of a frame record, as study records name their frames."""
    return f"{record['source']['path']}#{record['source']['frame']}"
