"""``marrowpoint audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from marrowpoint.cli.common import refuse


def audit(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of cases.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the audit.")],
) -> None:
    """Audit a folder of cases (not part of this version)."""
    refuse("audit is not part of this version yet; use: marrowpoint analyze FOLDER --out DIR")
