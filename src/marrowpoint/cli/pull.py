"""``marrowpoint pull``: studies from an archive into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from marrowpoint.archive.peer import Peer, parse_peer
from marrowpoint.archive.transfer import find_studies, pull
from marrowpoint.cli.common import OK, SOME_FAILED, check_writable, refuse
from marrowpoint.errors import ArchiveError, MarrowpointError
from marrowpoint.report.record import printable

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("instances"))


def pull_studies(
    source: Annotated[str, typer.Argument(metavar="AET@HOST:PORT|URL", help="The archive, DIMSE or DICOMweb.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")],
    study: Annotated[list[str] | None, typer.Option(metavar="UID", help="Study instance UID; may be given again.")] = None,
    patient_id: Annotated[str | None, typer.Option(metavar="ID", help="All studies of this patient.")] = None,
    date: Annotated[str | None, typer.Option(metavar="20260101-20260131", help="All studies of these days.")] = None,
    aet: Annotated[str, typer.Option(metavar="TITLE", help="Our own AE title.")] = "MARROWPOINT",
    listen: Annotated[int, typer.Option(metavar="PORT", help="Ask by C-MOVE and listen here, where C-GET is refused.")] = 0,
) -> None:
    """Fetch studies; what is here already is not fetched again.

    A user and password for DICOMweb come from MARROWPOINT_DICOMWEB_USER and MARROWPOINT_DICOMWEB_PASSWORD. Exit status: 0 all
    is here; 1 some study is not; 2 wrong use.
    """
    keys = {name: value for name, value in (("PatientID", patient_id), ("StudyDate", date)) if value}
    if not study and not keys:
        refuse("name what to pull: --study UID, --patient-id ID or --date 20260101-20260131")
    peer = peer_or_refuse(source, aet, listen)
    try:
        uids = list(study or []) or find_studies(peer, **keys)
    except MarrowpointError as error:
        refuse(printable(error.text))
    if not uids:
        refuse("the archive knows no such study")
    check_writable(out)
    failed = [uid for uid in uids if not _pull_one(peer, uid, out)]
    raise typer.Exit(SOME_FAILED if failed else OK)


def peer_or_refuse(text: str, calling: str, listen_port: int = 0) -> Peer:
    """The archive meant by `text`; stops the command where it means none."""
    try:
        return parse_peer(text, calling=calling, listen_port=listen_port)
    except ArchiveError as error:
        refuse(error.text)


def _pull_one(peer: Peer, uid: str, out: Path) -> bool:
    screen = Console(stderr=True)
    with Progress(*COLUMNS, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task("Pulling", total=None)
        try:
            done = pull(peer, uid, out, tell=lambda here, of: progress.update(task, completed=here, total=of))
        except MarrowpointError as error:
            typer.echo(f"study {printable(uid)}: {printable(error.text)} ({error.code})", err=True)
            return False
        except OSError as error:
            refuse(f"--out cannot be written: {error.strerror or error}")
    typer.echo(f"study {printable(uid)}: {done.moved} instances fetched, {done.present} were here already")
    return True
