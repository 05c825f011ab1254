"""What an audit hands to the archive: DICOM objects of its results, and copies without identity."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import typer

from marrowpoint.archive.export import ExportRequest, export_frames, held_back
from marrowpoint.archive.material import DicomMaterial, frame_key
from marrowpoint.archive.pseudonym import forgotten_pseudonyms
from marrowpoint.archive.write import write_dicom
from marrowpoint.audit.store import frame_records, run_records, study_records
from marrowpoint.cli.dicom import read_records, reviews_of
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile
from marrowpoint.report.record import Record, printable
from marrowpoint.review.entry import Entry

OBJECTS, EXPORT = "dicom", "export"


def write_objects(
    db: sqlite3.Connection, out: Path, images: Sequence[ImageFile], entries: Sequence[Entry]
) -> tuple[tuple[str, str], ...]:
    """Write DICOM objects study by study into ``dicom``.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a finished audit.
    out : Path
        Its folder.
    images : sequence of ImageFile
    entries : sequence of Entry
        Of the review ledger.

    Returns
    -------
    tuple of (str, str)
        What was left out, and why.
    """
    left_out: list[tuple[str, str]] = []
    sources = {image.relative_path: image.path for image in images}
    studies: dict[str, list[Record]] = {}
    for record in study_records(db):
        studies.setdefault(record["study_instance_uid"], []).append(record)
    runs: dict[str, list[Record]] = {}
    for record in run_records(db):
        runs.setdefault(record["source"]["study_instance_uid"], []).append(record)
    count = 0
    for uid, positions in studies.items():
        frames = list(frame_records(db, uid))
        material = DicomMaterial(
            records=[*frames, *positions, *runs.get(uid, ())],
            sources=sources,
            overlays={frame_key(record): out / record["overlay"] for record in frames},
            reviews=reviews_of(frames, entries),
        )
        written = write_dicom(out / OBJECTS, material)
        left_out += [(f"no DICOM object of {what}", why) for what, why in written.left_out]
        count += len(written.files)
    typer.echo(f"DICOM: {count} objects in {printable(str(out / 'dicom'))}")
    return tuple(left_out)


def write_copies(out: Path, images: Sequence[ImageFile], profile: Profile) -> tuple[tuple[str, str], ...]:
    """Write copies of frames and results without identity into ``export``.

    Parameters
    ----------
    out : Path
        Folder of a finished audit.
    images : sequence of ImageFile
    profile : Profile

    Returns
    -------
    tuple of (str, str)
        What was held back, by number as a file's name may be a patient's, and why.
    """
    request = ExportRequest(
        images=images, pseudonyms=forgotten_pseudonyms(), scale=profile.scale, records=read_records(out)
    )
    lines = export_frames(out / EXPORT, request)
    back = tuple((f"file {number} of {len(lines)} was held back", reason) for number, reason in held_back(lines))
    where = printable(str(out / EXPORT))
    typer.echo(f"export: {len(lines) - len(back)} files in {where}. Look at every copy before it leaves the house.")
    return back
