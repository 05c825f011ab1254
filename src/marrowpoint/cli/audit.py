"""``marrowpoint audit``: months of procedures into one database, a report and the files of ``analyze``."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from marrowpoint.audit.cluster import Cluster
from marrowpoint.audit.engine import Progress, Run, only_audit, run_audit
from marrowpoint.audit.finish import Wanted, finish_audit, identities_of
from marrowpoint.audit.limits import limits_of
from marrowpoint.audit.pool import Pool
from marrowpoint.audit.store import DATABASE, failure_records, open_audit, write_ledger
from marrowpoint.audit.task import Job, program_fingerprint
from marrowpoint.cli.audit_archive import EXPORT, write_copies, write_objects
from marrowpoint.cli.common import (
    OK,
    SOME_FAILED,
    STOPPED,
    check_writable,
    existing_images,
    packaged_network,
    parse_needle_or_refuse,
    read_or_refuse,
    refuse,
)
from marrowpoint.errors import MarrowpointError
from marrowpoint.read import ImageFile, read_procedure, read_profile
from marrowpoint.report.record import printable
from marrowpoint.report.results import OVERLAYS
from marrowpoint.review.entry import Entry
from marrowpoint.review.ledger import read_entries

# Without a screen a line now and then says how far it is.
SAY_EVERY_S = 30.0

FOLDER = typer.Argument(metavar="FOLDER", help="Folder of studies, searched to its end.", exists=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Who does the work, and for how long at most."""

    workers: int
    scheduler: str | None
    limit_s: float
    overlays: Path


def audit(  # noqa: PLR0913, PLR0917  (options of a command)
    folder: Annotated[Path, FOLDER],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for audit.sqlite, results, overlays, tables and report.")],
    procedure: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="The operator's sheet: one row a site.")] = None,
    profile: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Thresholds other than the default ones.")] = None,
    needle: Annotated[str | None, typer.Option(metavar="11G|3.05mm", help="Needle, where the sheet names none.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes; by default one a core.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Let a dask cluster do the work (extra [cluster]).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the audit in DIR; what is done is kept.")] = False,
    time_limit: Annotated[float, typer.Option(metavar="S", min=1.0, help="Longest time for one frame, in seconds.")] = 60.0,
    ledger: Annotated[Path | None, typer.Option(metavar="FILE", help="Review ledger to compare the program with.")] = None,
    dicom: Annotated[bool, typer.Option("--dicom", help="Also write DICOM objects (extra [archive]).")] = False,
    export: Annotated[bool, typer.Option("--export", help="Also write copies without identity, for teaching.")] = False,
    identify: Annotated[bool, typer.Option("--identify", help="Name the patients in the report.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Also write Parquet and Excel tables (extra [tables]).")] = False,
) -> None:
    """Measure and judge every frame of a folder, and write a database, tables and a report.

    Exit status: 0 every image was analysed, whatever the verdicts; 1 some file could not be read or analysed; 2 wrong use;
    130 stopped, and --resume goes on.
    """
    _refuse_missing(dicom=dicom, tables=tables)
    if export and (out / EXPORT).exists():
        refuse(f"{printable(str(out / EXPORT))} stands there already: move it away, copies of two exports must not mix")
    job = _job(procedure, profile, needle)
    entries = _entries(ledger)
    check_writable(out)
    images = _images(folder, out)
    if (out / DATABASE).exists() and not resume:
        refuse(f"an audit stands in {printable(str(out))}: --resume goes on with it, or give another folder")
    # a polite stop is like an interruption from the keyboard, also in the background, where a shell has that one ignored
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes, overlays = min(workers or _cores(), len(images)), out.absolute() / OVERLAYS
    asked = _Asked(workers=processes, scheduler=scheduler, limit_s=time_limit, overlays=overlays)
    try:
        with only_audit(out), closing(open_audit(out / DATABASE, create=True)) as db:
            _analyse(db, out, images, job, asked)
            write_ledger(db, entries)
            names = identities_of(db, images) if identify else {}
            for line in finish_audit(db, out, Wanted(profile=job.profile, entries=entries, identities=names, tables=tables)):
                typer.echo(line)
            left_out = write_objects(db, out, images, entries) if dicom else ()
            left_out += write_copies(out, images, job.profile) if export else ()
            failures = list(failure_records(db))
    except KeyboardInterrupt:
        typer.echo(f"stopped: --resume --out {printable(str(out))} goes on from here", err=True)
        raise typer.Exit(STOPPED) from None
    except MarrowpointError as error:
        refuse(error.text)
    except (OSError, sqlite3.Error) as error:
        refuse(f"{printable(str(out))} cannot be written ({_cause(error)}): make room, then go on with --resume")
    for record in failures:
        typer.echo(f"{record['source']['path']}: {record['error']['text']} ({record['error']['code']})", err=True)
    for what, why in left_out:
        typer.echo(f"{what}: {why}", err=True)
    raise typer.Exit(SOME_FAILED if failures or left_out else OK)


def _refuse_missing(*, dicom: bool, tables: bool) -> None:
    """What is not installed is said now, not after hours of work."""
    for wanted, name, extra in ((dicom, "highdicom", "archive"), (tables, "pyarrow", "tables"), (tables, "openpyxl", "tables")):
        if wanted and find_spec(name) is None:
            refuse(f"this needs {name}: install it with  pip install 'marrowpoint[{extra}]'")


def _entries(ledger: Path | None) -> tuple[Entry, ...]:
    if ledger is None:
        return ()
    if not ledger.exists():
        refuse(f"--ledger {printable(str(ledger))} does not exist")
    return read_or_refuse(read_entries, ledger)


def _images(folder: Path, out: Path) -> list[ImageFile]:
    """Images of the folder; what an audit wrote into it does not count."""
    images = [image for image in existing_images([folder]) if not image.path.is_relative_to(out.absolute())]
    return images or refuse(f"no DICOM file in {printable(str(folder))} but those in --out")


def _job(procedure: Path | None, profile: Path | None, needle: str | None) -> Job:
    network = packaged_network()
    thresholds = read_or_refuse(read_profile, profile)
    # a profile without audit rules is refused now, not after hours of work
    read_or_refuse(lambda _: limits_of(thresholds), profile)
    return Job(
        profile=thresholds,
        outer_diameter_mm=None if needle is None else parse_needle_or_refuse(needle),
        procedure={} if procedure is None else read_or_refuse(read_procedure, procedure),
        model_sha256=None if network is None else network.sha256,
        program=program_fingerprint(),
    )


def _analyse(db: sqlite3.Connection, out: Path, images: list[ImageFile], job: Job, asked: _Asked) -> None:
    with _workers(job, asked, images) as (run, words), _shown() as tell:
        run_audit(db, out, images, job, run, workers=words, tell=tell)


@contextmanager
def _workers(job: Job, asked: _Asked, images: list[ImageFile]) -> Iterator[tuple[Run, str]]:
    if asked.scheduler is None:
        with Pool(replace(job, overlays=asked.overlays), asked.workers, limit_s=asked.limit_s) as pool:
            yield pool.run, f"{asked.workers} processes"
    else:
        with Cluster(asked.scheduler, job, limit_s=asked.limit_s) as cluster:
            cluster.check(images[0].path)
            yield cluster.run, f"dask cluster of {cluster.width} threads"


@contextmanager
def _shown() -> Iterator[Progressing]:
    """Progress with time left: a bar on a screen, else a line on stderr now and then."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        yield Progressing(bar, quiet=screen.is_terminal)


class Progressing:
    """Told of progress, shows it."""

    def __init__(self, bar: Bar, *, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self._tasks: dict[str, TaskID] = {}
        self._began, self._at_start, self._said = monotonic(), 0, monotonic()

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        if progress.step not in self._tasks:
            self._tasks[progress.step] = self._bar.add_task(progress.step, total=progress.total, completed=progress.done)
            self._began, self._at_start = monotonic(), progress.done
        self._bar.update(self._tasks[progress.step], completed=progress.done)
        if not self._quiet and monotonic() - self._said >= SAY_EVERY_S:
            self._said = monotonic()
            typer.echo(f"{progress.done} of {progress.total} {progress.step}{self._time_left(progress)}", err=True)

    def _time_left(self, progress: Progress) -> str:
        gained = progress.done - self._at_start
        if not gained:
            return ""
        left_min = (monotonic() - self._began) / gained * (progress.total - progress.done) / 60
        return f", {progress.failures} failed, about {left_min:.0f} min left"


def _cores() -> int:
    # containers and batch systems give a process fewer cores than the machine has
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cause(error: OSError | sqlite3.Error) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
