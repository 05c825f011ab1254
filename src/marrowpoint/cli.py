"""The command line: arguments in, a table, a page and an exit status out."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from marrowpoint.analyze import Failure, Outcome, Request, analyze_images
from marrowpoint.assess import marrowpoint_version
from marrowpoint.case import parse_needle
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork, load_network
from marrowpoint.frame import ViewKind
from marrowpoint.read import ImageFile, find_images, read_procedure, read_profile
from marrowpoint.report.record import printable
from marrowpoint.report.results import Written, write_results
from marrowpoint.report.table import print_results

OK, SOME_FAILED, WRONG_USE, STOPPED = 0, 1, 2, 130
# Where the table goes to a file, nobody says how wide it may be.
WIDTH_OF_A_FILE = 130
VIEWS = ", ".join(kind.value for kind in ViewKind if kind is not ViewKind.UNKNOWN)

P = TypeVar("P", Path, Path | None)
T = TypeVar("T")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def main() -> None:
    """Entry point of the ``marrowpoint`` command."""
    app(prog_name="marrowpoint")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Measure where a bone-marrow needle lies in saved fluoroscopy and ultrasound frames. Research and quality review only."""
    if version:
        typer.echo(f"marrowpoint {marrowpoint_version()}")
        raise typer.Exit(OK)


@app.command()
def analyze(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files, folders or DICOMDIRs.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for results.jsonl, overlays and index.html.")],
    needle: Annotated[str | None, typer.Option(metavar="11G|3.05mm", help="Needle, where the sheet names none.")] = None,
    procedure: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="The operator's sheet: needle and side by study.")
    ] = None,
    view: Annotated[str | None, typer.Option(metavar="KIND", help=f"View of every frame: {VIEWS}.")] = None,
    profile: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Thresholds other than the default ones.")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Also write the bone mask of each frame.")] = False,
) -> None:
    """Measure and judge every frame, and write records, overlays and a page.

    Exit status: 0 every image was analysed, whatever the verdicts; 1 some file could not be read or analysed; 2 wrong use.
    """
    images = _existing_images(paths)
    request = Request(
        profile=_read_or_refuse(read_profile, profile),
        network=_packaged_network(),
        view=None if view is None else _parse_view(view),
        outer_diameter_mm=None if needle is None else _parse_needle(needle),
        procedure={} if procedure is None else _read_or_refuse(read_procedure, procedure),
    )
    _check_writable(out)
    # a polite stop cleans up like an interruption from the keyboard
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        written = _run(images, request, out, masks=masks)
    except KeyboardInterrupt:
        typer.echo(f"stopped: no result file was written to {printable(str(out))}", err=True)
        raise typer.Exit(STOPPED) from None
    except OSError as error:
        _refuse(f"{printable(str(error.filename or out))} cannot be written: {error.strerror or error}")
    width = None if sys.stdout.isatty() else WIDTH_OF_A_FILE
    print_results(written, Console(width=width, emoji=False, highlight=False))
    raise typer.Exit(SOME_FAILED if written.failures else OK)


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of cases.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the audit.")],
) -> None:
    """Audit a folder of cases (not part of this version)."""
    _refuse("audit is not part of this version yet; use: marrowpoint analyze FOLDER --out DIR")


@app.command()
def review(folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Folder to open.")] = None) -> None:
    """Open napari with the marrowpoint plugin."""
    if importlib.util.find_spec("napari") is None:
        _refuse("review needs napari: install it with  pip install 'marrowpoint[gui]'")
    if folder is not None and not folder.exists():
        _refuse(f"{printable(str(folder))} does not exist")
    shown = [] if folder is None else [str(folder), "--plugin", "marrowpoint"]
    raise typer.Exit(subprocess.run([sys.executable, "-m", "napari", *shown], check=False).returncode)


def _existing_images(paths: list[Path]) -> list[ImageFile]:
    for path in paths:
        if not os.path.lexists(path):
            _refuse(f"{printable(str(path))} does not exist: give a DICOM file, a folder or a DICOMDIR")
    images = list(find_images(paths))
    if not images:
        _refuse(f"no DICOM file in {', '.join(printable(str(path)) for path in paths)}")
    return images


def _packaged_network() -> BoneNetwork | None:
    try:
        return load_network()
    except MarrowpointError as error:
        typer.echo(f"marrowpoint: {error.text}; going on without it", err=True)
        return None


def _read_or_refuse(read: Callable[[P], T], path: P) -> T:
    try:
        return read(path)
    except MarrowpointError as error:
        _refuse(error.text if path is None else f"{printable(str(path))}: {error.text}")


def _parse_needle(text: str) -> float:
    try:
        return parse_needle(text)
    except MarrowpointError as error:
        _refuse(error.text)


def _parse_view(text: str) -> ViewKind:
    try:
        return ViewKind(text.strip().lower().replace("-", "_"))
    except ValueError:
        _refuse(f"{printable(text)!r} is no view: use one of {VIEWS}")


def _check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        _refuse(f"--out {printable(str(out))} cannot be written: {error.strerror or error}")


def _run(images: list[ImageFile], request: Request, out: Path, *, masks: bool) -> Written:
    screen = Console(stderr=True)
    columns = (TextColumn("Analysing"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeRemainingColumn())
    failures: list[Failure] = []

    def tell(outcome: Outcome) -> None:
        if isinstance(outcome, Failure):
            failures.append(outcome)

    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        outcomes = analyze_images(progress.track(images, total=len(images)), request)
        written = write_results(outcomes, out, masks=masks, thin_below_mm=request.profile.verdict.thin_below_mm, tell=tell)
    for failure in failures:
        typer.echo(f"{printable(failure.path)}: {printable(failure.text)} ({failure.code})", err=True)
    return written


def _refuse(text: str) -> NoReturn:
    typer.echo(f"marrowpoint: {text}", err=True)
    raise typer.Exit(WRONG_USE)
