"""``marrowpoint dicom``: results of a run as DICOM objects of the patients' studies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from marrowpoint.archive.material import DicomMaterial, DicomWritten, Review, frame_key
from marrowpoint.archive.write import write_dicom
from marrowpoint.assessment import Provenance
from marrowpoint.cli.common import OK, SOME_FAILED, check_writable, existing_images, refuse
from marrowpoint.errors import MarrowpointError
from marrowpoint.report.record import Record, printable
from marrowpoint.report.results import RESULTS
from marrowpoint.review.entry import Action, Entry, FrameKey, stale_because, standing
from marrowpoint.review.ledger import read_entries


def dicom(
    results: Annotated[Path, typer.Argument(metavar="RESULTS_DIR", help="Folder that analyze or audit wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The DICOM files that were analysed.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the DICOM objects.")],
    ledger: Annotated[Path | None, typer.Option(metavar="FILE", help="Review ledger: what persons confirmed.")] = None,
    pdf: Annotated[Path | None, typer.Option(metavar="FILE.pdf", help="A PDF about the one study that was analysed.")] = None,
) -> None:
    """Write Structured Reports, overlay pictures and presentation states that any archive shows.

    The objects carry the patient's name of the source files, for they belong to the patient's study. Without a review ledger
    they are PARTIAL and UNVERIFIED. Exit status: 0 all was written; 1 something was left out (named on stderr); 2 wrong use.
    """
    records = read_records(results)
    images = existing_images([folder])
    check_writable(out)
    material = DicomMaterial(
        records=records,
        sources={image.relative_path: image.path for image in images},
        overlays={frame_key(r): results / r["overlay"] for r in records if r["record"] == "frame" and r.get("overlay")},
        reviews=reviews_of(records, _entries(ledger)),
        pdfs=_pdf(pdf, records),
    )
    screen = Console(stderr=True)
    columns = (TextColumn("Writing"), BarColumn(), MofNCompleteColumn(), TextColumn("studies"))
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        try:
            written = write_dicom(out, material, tell=lambda done, of: progress.update(task, completed=done, total=of))
        except MarrowpointError as error:
            refuse(error.text)
        except OSError as error:
            refuse(f"--out cannot be written: {error.strerror or error}")
    _tell(written, out)


def read_records(results: Path) -> list[Record]:
    """Records of a results folder; stops the command where there are none."""
    path = results / RESULTS if results.is_dir() else results
    try:
        with path.open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream if line.strip()]
    except (OSError, ValueError) as error:
        kind = getattr(error, "strerror", None) or "no result file"
        refuse(f"{printable(str(path))} cannot be read: {kind}; give the folder that analyze wrote")


def reviews_of(records: Iterable[Record], entries: Sequence[Entry]) -> dict[str, Review]:
    """What persons decided about the frames, as far as it still holds.

    Parameters
    ----------
    records : iterable of dict
    entries : sequence of Entry
        Of the ledger, in its order.

    Returns
    -------
    dict of str to Review
        By `frame_key`. Decisions on other pixels, another program, profile or model are left out. Only acceptance by all who
        decided agrees.
    """
    reviews = {}
    for record in records:
        if record["record"] != "frame":
            continue
        source, provenance = record["source"], Provenance(**record["provenance"])
        frame = FrameKey(
            path=source["path"],
            frame_number=source["frame"],
            pixel_sha256=source["pixel_sha256"],
            sop_instance_uid=source["sop_instance_uid"],
            study_instance_uid=source["study_instance_uid"],
        )
        held = [e for e in standing(entries, frame).values() if not stale_because(e, frame, provenance)]
        # the verdict they saw must be the one that is written
        held = [entry for entry in held if entry.before.code == record["verdict"]["code"]]
        if held:
            otherwise = [f"{entry.rater}: {entry.after.text}" for entry in held if entry.action is Action.CORRECT]
            otherwise += [f"{entry.rater}: rejected, {entry.reason}" for entry in held if entry.action is Action.REJECT]
            reviews[frame_key(record)] = Review(
                raters=tuple(entry.rater for entry in held),
                agrees=not otherwise,
                decided_at=max(entry.decided_at for entry in held),
                words="; ".join(otherwise),
            )
    return reviews


def _entries(ledger: Path | None) -> tuple[Entry, ...]:
    if ledger is None:
        return ()
    if not ledger.exists():
        refuse(f"--ledger {printable(str(ledger))} does not exist")
    try:
        return read_entries(ledger)
    except MarrowpointError as error:
        refuse(f"--ledger: {error.text}")


def _pdf(path: Path | None, records: Sequence[Record]) -> dict[str, bytes]:
    if path is None:
        return {}
    studies = {record["source"]["study_instance_uid"] for record in records if record["record"] == "frame"}
    if len(studies) != 1:
        refuse(
            f"--pdf is for results of one study, and these are of {len(studies)}: a PDF must never land in a stranger's record"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        refuse(f"--pdf {printable(str(path))} cannot be read: {error.strerror or error}")
    if not data.startswith(b"%PDF-"):
        refuse(f"--pdf {printable(str(path))} is no PDF")
    return {studies.pop(): data}


def _tell(written: DicomWritten, out: Path) -> None:
    for what, why in (*written.left_out, *written.notes):
        typer.echo(f"{printable(what)}: {printable(why)}", err=True)
    typer.echo(f"{len(written.files)} DICOM objects in {printable(str(out))}")
    raise typer.Exit(SOME_FAILED if written.left_out else OK)
