"""The command line: arguments in, a table, a page and an exit status out. One module a command."""

from __future__ import annotations

from typing import Annotated

import typer

from marrowpoint.assess import marrowpoint_version
from marrowpoint.cli.analyze import analyze
from marrowpoint.cli.audit import audit
from marrowpoint.cli.common import OK
from marrowpoint.cli.dicom import dicom
from marrowpoint.cli.export import export
from marrowpoint.cli.pull import pull_studies
from marrowpoint.cli.push import push_files
from marrowpoint.cli.rejudge import rejudge
from marrowpoint.cli.review import review
from marrowpoint.cli.run import run

__all__ = ["app", "main"]

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


for command in (analyze, audit, review, run, dicom, export, rejudge):
    app.command()(command)
app.command(name="pull")(pull_studies)
app.command(name="push")(push_files)
