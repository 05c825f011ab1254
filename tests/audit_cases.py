"""Small folders of studies, and audits of them in this very process: no worker has to start."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from build_dicom import make_dicom

from marrowpoint.audit.engine import run_audit, run_here
from marrowpoint.audit.schema import PASSING_COLUMNS, PASSING_TABLES
from marrowpoint.audit.store import open_audit
from marrowpoint.audit.task import Event, Job, Task, program_fingerprint
from marrowpoint.read import find_images, read_profile

SIDE_PX = 64


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 3000, shape or (SIDE_PX, SIDE_PX)).astype(np.uint16)


FRAMES = 4  # in a folder with two single pictures


def make_folder(root: Path, *, singles: int = 2) -> Path:
    """Pictures of noise in studies of two, a run of two frames, a file that is none."""
    root.mkdir()
    for k in range(singles):
        make_dicom(root / f"a{k}.dcm", noise(k), SOPInstanceUID=f"1.2.{k}", StudyInstanceUID=f"1.9.{k // 2}")
    make_dicom(root / "b.dcm", noise(99, 2, SIDE_PX, SIDE_PX), frames=2, SOPInstanceUID="1.2.99", StudyInstanceUID="1.9.99")
    (root / "broken.dcm").write_bytes(b"this is no picture")
    return root


def a_job(**given: Any) -> Job:
    return Job(**{"profile": read_profile(None), "program": program_fingerprint()} | given)


def audit_here(folder: Path, out: Path, job: Job | None = None, *, run=None, counted: list[Task] | None = None) -> None:
    """One audit, new or gone on with."""
    job = job or a_job()
    run = run or partial(run_here, job, None)

    def counting(tasks: Iterable[Task]) -> Iterator[tuple[Task, Event]]:
        for task, event in run(tasks):
            if counted is not None and task not in counted:
                counted.append(task)
            yield task, event

    out.mkdir(exist_ok=True)
    images = list(find_images([folder]))
    with closing(open_audit(out / "audit.sqlite", create=True)) as db:
        run_audit(db, out, images, job, counting)


def dump(out: Path) -> list[tuple]:
    """Everything in an audit's database but what differs from run to run."""
    with closing(sqlite3.connect(out / "audit.sqlite")) as db:
        found: list[tuple] = [("version", db.execute("PRAGMA user_version").fetchone()[0])]
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for table in tables:
            if table in PASSING_TABLES or table.startswith("sqlite_"):
                continue
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in PASSING_COLUMNS]
            rows = db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns)}").fetchall()
            found += [(table, *row) for row in rows]
    return found


def pictures(out: Path) -> dict[str, bytes]:
    files = [path for path in sorted((out / "overlays").rglob("*")) if path.is_file()]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}
