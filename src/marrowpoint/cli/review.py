"""``marrowpoint review``: opens napari."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from marrowpoint.cli.common import refuse
from marrowpoint.report.record import printable


def review(folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Folder to open.")] = None) -> None:
    """Open napari with the marrowpoint plugin."""
    if importlib.util.find_spec("napari") is None:
        refuse("review needs napari: install it with  pip install 'marrowpoint[gui]'")
    if folder is not None and not folder.exists():
        refuse(f"{printable(str(folder))} does not exist")
    shown = [] if folder is None else [str(folder), "--plugin", "marrowpoint"]
    raise typer.Exit(subprocess.run([sys.executable, "-m", "napari", *shown], check=False).returncode)
