"""``marrowpoint review``: opens napari."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from marrowpoint.cli.common import parse_needle_or_refuse, read_or_refuse, refuse
from marrowpoint.read import read_profile
from marrowpoint.report.record import printable
from marrowpoint.review.entry import MAX_RATER
from marrowpoint.review.launch import ReviewRequest, request_from_environment
from marrowpoint.review.ledger import read_entries

# named, not imported: the core must run where there is no screen
PLUGIN = "napari_marrowpoint.launch"


def review(
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Folder to open.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File of the decisions; else marrowpoint-review.sqlite in the folder.")
    ] = None,
    profile: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file of thresholds.")] = None,
    rater: Annotated[str, typer.Option(metavar="NAME", help="Who reviews.")] = "",
    needle: Annotated[str | None, typer.Option(metavar="11G|3.05mm", help="Needle of every frame.")] = None,
) -> None:
    """Open napari with the marrowpoint plugin on a folder of saved frames."""
    if importlib.util.find_spec("napari") is None:
        refuse("review needs napari: install it with  pip install 'marrowpoint[gui]'")
    said = request_from_environment(folder=folder)
    request = ReviewRequest(
        folder=folder,
        ledger=ledger or said.ledger,
        profile=profile or said.profile,
        rater=rater.strip() or said.rater,
        outer_diameter_mm=None if needle is None else parse_needle_or_refuse(needle),
    )
    _check(request)
    raise typer.Exit(importlib.import_module(PLUGIN).launch(request))


def _check(request: ReviewRequest) -> None:
    """Stop before a window opens on something that cannot be used."""
    if request.folder is not None and not request.folder.exists():
        refuse(f"{printable(str(request.folder))} does not exist")
    if len(request.rater) > MAX_RATER:
        refuse(f"a rater's name has at most {MAX_RATER} characters")
    if request.profile is not None:
        read_or_refuse(read_profile, request.profile)
    if request.ledger is not None:
        if request.ledger.is_dir():
            refuse(f"--ledger {printable(str(request.ledger))} is a folder: name a file")
        read_or_refuse(read_entries, request.ledger)
