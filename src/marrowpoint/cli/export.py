"""``marrowpoint export``: copies without identity, for teaching."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from marrowpoint.archive.export import ExportRequest, export_frames, held_back
from marrowpoint.archive.pseudonym import Pseudonyms, forgotten_pseudonyms, kept_pseudonyms
from marrowpoint.cli.common import OK, SOME_FAILED, existing_images, read_or_refuse, refuse
from marrowpoint.cli.dicom import read_records
from marrowpoint.errors import MarrowpointError
from marrowpoint.read import read_profile
from marrowpoint.report.record import printable


def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="DICOM files.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder for the copies.")],
    results: Annotated[Path | None, typer.Option(metavar="RESULTS_DIR", help="Folder that analyze or audit wrote.")] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Secret that makes two exports fit together; made if missing.")
    ] = None,
    hold_suspected: Annotated[
        bool, typer.Option("--hold-suspected", help="Hold back what may hold writing, instead of blanking it.")
    ] = False,
) -> None:
    """Write copies of frames and results without identity, for teaching.

    Look at every copy before it leaves the house: no program finds all writing in pictures. Exit status: 0 all was exported;
    1 some file was held back (by number, with the reason); 2 wrong use.
    """
    images = existing_images([folder])
    request = ExportRequest(
        images=images,
        pseudonyms=_pseudonyms(key, out),
        scale=read_or_refuse(read_profile, None).scale,
        records=[] if results is None else read_records(results),
        hold_suspected=hold_suspected,
    )
    screen = Console(stderr=True)
    columns = (TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=len(images))
        try:
            lines = export_frames(out, request, tell=lambda done, of: progress.update(task, completed=done))
        except MarrowpointError as error:
            refuse(error.text)
        except OSError as error:
            refuse(f"--out cannot be written: {error.strerror or error}")
    back = list(held_back(lines))
    for number, reason in back:
        # a file's name may be a patient's
        typer.echo(f"file {number} of {len(lines)} was held back: {reason}", err=True)
    suspected = sum(line.suspected_writing > 0 for line in lines)
    typer.echo(f"{len(lines) - len(back)} files exported to {printable(str(out))}, {len(back)} held back")
    blanked = sum(line.blanked_writing > 0 for line in lines)
    typer.echo(f"writing is suspected inside {suspected} of them, and was blanked in {blanked}; export.json names them.")
    typer.echo("Look at every copy before it leaves the house.")
    raise typer.Exit(SOME_FAILED if back else OK)


def _pseudonyms(key: Path | None, out: Path) -> Pseudonyms:
    if key is None:
        return forgotten_pseudonyms()
    if key.absolute().resolve().is_relative_to(out.absolute().resolve()):
        refuse("--key must not lie in --out: whoever has both can undo the export")
    try:
        return kept_pseudonyms(key)
    except MarrowpointError as error:
        refuse(error.text)
