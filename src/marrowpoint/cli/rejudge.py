"""``marrowpoint rejudge``: an audit under other thresholds, without its pictures."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from marrowpoint.audit.finish import Wanted, finish_audit
from marrowpoint.audit.rejudge import rejudge_audit
from marrowpoint.cli.common import OK, check_writable, read_or_refuse, refuse
from marrowpoint.errors import MarrowpointError
from marrowpoint.read import read_profile
from marrowpoint.report.record import printable


def rejudge(
    database: Annotated[Path, typer.Argument(metavar="DB", help="audit.sqlite of a finished audit, or its folder.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the audit under the other thresholds.")],
    profile: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Thresholds; by default the packaged ones.")] = None,
    tables: Annotated[bool, typer.Option("--tables", help="Also write Parquet and Excel tables (extra [tables]).")] = False,
) -> None:
    """Judge the stored measurements of an audit under another profile, in seconds.

    Exit status: 0 done; 2 wrong use, or a profile that changes how lengths are measured.
    """
    thresholds = read_or_refuse(read_profile, profile)
    check_writable(out)
    try:
        with closing(rejudge_audit(database, out, thresholds)) as db:
            for line in finish_audit(db, out, Wanted(profile=thresholds, tables=tables)):
                typer.echo(line)
    except MarrowpointError as error:
        refuse(error.text)
    except (OSError, sqlite3.Error) as error:
        refuse(f"{printable(str(out))} cannot be written: {error}")
    raise typer.Exit(OK)
