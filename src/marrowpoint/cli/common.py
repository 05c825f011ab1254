"""What the commands share: inputs that exist or one clear line, exit statuses."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import typer

from marrowpoint.case import parse_needle
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork, load_network
from marrowpoint.frame import ViewKind
from marrowpoint.read import ImageFile, find_images
from marrowpoint.report.record import printable

OK, SOME_FAILED, WRONG_USE, STOPPED = 0, 1, 2, 130
VIEWS = ", ".join(kind.value for kind in ViewKind if kind is not ViewKind.UNKNOWN)

P = TypeVar("P", Path, Path | None)
T = TypeVar("T")


def packaged_network() -> BoneNetwork | None:
    """The network of the package, or none with a line on stderr."""
    try:
        return load_network()
    except MarrowpointError as error:
        typer.echo(f"marrowpoint: {error.text}; going on without it", err=True)
        return None


def existing_images(paths: list[Path]) -> list[ImageFile]:
    """Images under the paths given; stops the command where there is none."""
    for path in paths:
        if not os.path.lexists(path):
            refuse(f"{printable(str(path))} does not exist: give a DICOM file, a folder or a DICOMDIR")
    images = list(find_images(paths))
    if not images:
        refuse(f"no DICOM file in {', '.join(printable(str(path)) for path in paths)}")
    return images


def read_or_refuse(read: Callable[[P], T], path: P) -> T:
    """What `read` makes of `path`; a MarrowpointError stops the command with one line."""
    try:
        return read(path)
    except MarrowpointError as error:
        refuse(error.text if path is None else f"{printable(str(path))}: {error.text}")


def parse_needle_or_refuse(text: str) -> float:
    """Outer diameter in mm of ``11G`` or ``3.05mm``."""
    try:
        return parse_needle(text)
    except MarrowpointError as error:
        refuse(error.text)


def parse_view_or_refuse(text: str) -> ViewKind:
    """The view named by `text`."""
    try:
        return ViewKind(text.strip().lower().replace("-", "_"))
    except ValueError:
        refuse(f"{printable(text)!r} is no view: use one of {VIEWS}")


def check_writable(out: Path) -> None:
    """Stop the command unless files can be written into `out`, made if need be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        refuse(f"--out {printable(str(out))} cannot be written: {error.strerror or error}")


def refuse(text: str) -> NoReturn:
    """Stop with one line on stderr and the exit status of wrong use."""
    typer.echo(f"marrowpoint: {text}", err=True)
    raise typer.Exit(WRONG_USE)
