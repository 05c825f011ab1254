"""``marrowpoint run``: multi-frame files as runs only, without a record for each frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from marrowpoint.analyze import Failure, Outcome
from marrowpoint.cli.common import (
    OK,
    SOME_FAILED,
    VIEWS,
    check_writable,
    existing_images,
    packaged_network,
    parse_needle_or_refuse,
    parse_view_or_refuse,
    read_or_refuse,
    refuse,
)
from marrowpoint.errors import MarrowpointError
from marrowpoint.read import ImageFile, read_profile
from marrowpoint.report.record import printable
from marrowpoint.report.results import write_results
from marrowpoint.runs.collect import RunRequest, assess_file


def run(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Multi-frame DICOM files, folders or DICOMDIRs.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for results.jsonl, film strips and index.html.")],
    needle: Annotated[str | None, typer.Option(metavar="11G|3.05mm", help="Needle.")] = None,
    view: Annotated[str | None, typer.Option(metavar="KIND", help=f"View of every frame: {VIEWS}.")] = None,
    profile: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Thresholds other than the default ones.")] = None,
) -> None:
    """Follow needle and contrast through runs; the frames get no records of their own.

    Exit status as for analyze.
    """
    images = existing_images(paths)
    request = RunRequest(
        profile=read_or_refuse(read_profile, profile),
        network=packaged_network(),
        view=None if view is None else parse_view_or_refuse(view),
        outer_diameter_mm=None if needle is None else parse_needle_or_refuse(needle),
    )
    check_writable(out)
    try:
        written = write_results(_outcomes(images, request), out, masks=False)
    except OSError as error:
        refuse(f"{printable(str(error.filename or out))} cannot be written: {error.strerror or error}")
    for record in written.runs:
        typer.echo(f"{', '.join(record['source']['paths'])}: {record['verdict']['text']} ({record['verdict']['code']})")
    for record in written.failures:
        typer.echo(f"{record['source']['path']}: {record['error']['text']} ({record['error']['code']})", err=True)
    raise typer.Exit(SOME_FAILED if written.failures else OK)


def _outcomes(images: list[ImageFile], request: RunRequest) -> Iterator[Outcome]:
    for image in images:
        try:
            yield assess_file(image, request)
        except MarrowpointError as error:
            yield Failure(path=image.relative_path, code=error.code, text=error.text)
