"""``marrowpoint analyze``: frames in, records, overlays and a page out."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from marrowpoint.analyze import Failure, Outcome, Request, analyze_images
from marrowpoint.cli.common import (
    OK,
    SOME_FAILED,
    STOPPED,
    VIEWS,
    check_writable,
    existing_images,
    packaged_network,
    parse_needle_or_refuse,
    parse_view_or_refuse,
    read_or_refuse,
    refuse,
)
from marrowpoint.read import ImageFile, read_procedure, read_profile
from marrowpoint.report.record import printable
from marrowpoint.report.results import Written, write_results
from marrowpoint.report.table import print_results

# Where the table goes to a file, nobody says how wide it may be.
WIDTH_OF_A_FILE = 130


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
    images = existing_images(paths)
    request = Request(
        profile=read_or_refuse(read_profile, profile),
        network=packaged_network(),
        view=None if view is None else parse_view_or_refuse(view),
        outer_diameter_mm=None if needle is None else parse_needle_or_refuse(needle),
        procedure={} if procedure is None else read_or_refuse(read_procedure, procedure),
    )
    check_writable(out)
    # a polite stop cleans up like an interruption from the keyboard
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        written = _run(images, request, out, masks=masks)
    except KeyboardInterrupt:
        typer.echo(f"stopped: no result file was written to {printable(str(out))}", err=True)
        raise typer.Exit(STOPPED) from None
    except OSError as error:
        refuse(f"{printable(str(error.filename or out))} cannot be written: {error.strerror or error}")
    width = None if sys.stdout.isatty() else WIDTH_OF_A_FILE
    print_results(written, Console(width=width, emoji=False, highlight=False))
    raise typer.Exit(SOME_FAILED if written.failures else OK)


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
