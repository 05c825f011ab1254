"""``marrowpoint push``: files of a folder into an archive, and a look whether they arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from marrowpoint.archive.transfer import push
from marrowpoint.cli.common import OK, SOME_FAILED, existing_images
from marrowpoint.cli.pull import COLUMNS, peer_or_refuse
from marrowpoint.errors import MarrowpointError
from marrowpoint.report.record import printable


def push_files(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="DICOM files of any kind.")],
    target: Annotated[str, typer.Argument(metavar="AET@HOST:PORT|URL", help="The archive, DIMSE or DICOMweb.")],
    aet: Annotated[str, typer.Option(metavar="TITLE", help="Our own AE title.")] = "MARROWPOINT",
) -> None:
    """Store every DICOM file of a folder, then ask the archive whether it finds each of them.

    Exit status: 0 all are there; 1 they are not; 2 wrong use.
    """
    peer = peer_or_refuse(target, aet)
    paths = [image.path for image in existing_images([folder])]
    screen = Console(stderr=True)
    with Progress(*COLUMNS, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task("Pushing", total=len(paths))
        try:
            done = push(peer, paths, tell=lambda sent, of: progress.update(task, completed=sent, total=of))
        except MarrowpointError as error:
            typer.echo(f"marrowpoint: {printable(error.text)} ({error.code})", err=True)
            raise typer.Exit(SOME_FAILED) from None
    typer.echo(f"{done.moved} objects stored and found by a query")
    raise typer.Exit(OK)
