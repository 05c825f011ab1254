"""Stills of one series in order of time are a run, as in `analyze`: found when all files are in, done where they changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from marrowpoint.assessment import Assessment
from marrowpoint.audit.nouns import StoredFrame, unpack
from marrowpoint.audit.plan import names_that_may_meet
from marrowpoint.audit.task import A_STILL_RUN, Job, StillsTask
from marrowpoint.read import ImageFile
from marrowpoint.runs.collect import LEAST_STILLS, still_series


@dataclass(frozen=True, slots=True, kw_only=True)
class StillRun:
    """A run that stills make.

    Parameters
    ----------
    ordinal : int
        From 1, in the order of the results: after the runs of files, whose ordinal is 0.
    key : str
        What its result depends on: the bytes of its files in their order, and what their frames depend on.
    paths : tuple of str
        In order of time.
    """

    ordinal: int
    key: str
    paths: tuple[str, ...]


def find_still_runs(db: sqlite3.Connection, job: Job) -> list[StillRun]:
    """Runs that the stored frames make.

    Parameters
    ----------
    db : sqlite3.Connection
        With all frames.
    job : Job

    Returns
    -------
    list of StillRun
        None where the profile judges no runs.
    """
    if job.profile.run is None:
        return []
    digests = dict(db.execute("SELECT path, sha256 FROM files"))
    found = []
    for ordinal, members in enumerate(still_series(_light_frames(db)), start=1):
        reference = members[0].frame.reference
        paths = tuple(member.frame.reference.path for member in members)
        told = [job.key(reference.study_instance_uid), [(path, digests[path]) for path in paths]]
        key = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        found.append(StillRun(ordinal=ordinal, key=key, paths=paths))
    return found


def keep_still_runs(db: sqlite3.Connection, wanted: Sequence[StillRun]) -> list[StillRun]:
    """Take away what no longer holds, and say what is still to be done.

    Parameters
    ----------
    db : sqlite3.Connection
    wanted : sequence of StillRun

    Returns
    -------
    list of StillRun
        Those without a result.
    """
    keys = {run.paths[0]: run.key for run in wanted}
    stored = dict(db.execute("SELECT path, key FROM runs WHERE key <> ''"))
    with db:
        db.execute("DELETE FROM failures WHERE frame = ?", (A_STILL_RUN,))
        db.executemany("DELETE FROM runs WHERE path = ?", [(path,) for path, key in stored.items() if keys.get(path) != key])
        db.executemany("UPDATE runs SET ordinal = ? WHERE path = ?", [(run.ordinal, run.paths[0]) for run in wanted])
    return [run for run in wanted if stored.get(run.paths[0]) != run.key]


def still_tasks(db: sqlite3.Connection, runs: Sequence[StillRun], images: Sequence[ImageFile]) -> Iterator[StillsTask]:
    """Tasks for runs of stills.

    Parameters
    ----------
    db : sqlite3.Connection
    runs : sequence of StillRun
    images : sequence of ImageFile

    Yields
    ------
    StillsTask
        In the order of `runs`; one run's frames are held.
    """
    places = {image.relative_path: image for image in images}
    met = names_that_may_meet(images)
    for run in runs:
        query = "SELECT nouns FROM frames WHERE path = ?"
        yield StillsTask(
            images=tuple(places[path] for path in run.paths),
            frames=tuple(nouns for path in run.paths for (nouns,) in db.execute(query, (path,))),
            own_name=run.paths[0] in met,
        )


def _light_frames(db: sqlite3.Connection) -> Iterator[Assessment]:
    """Frames of series with enough stills, without what was found in them."""
    series = "json_extract(record, '$.source.series_instance_uid')"
    many = (
        f"SELECT study_instance_uid, {series} FROM frames WHERE json_extract(record, '$.source.number_of_frames') = 1 "
        f"GROUP BY 1, 2 HAVING count(*) >= {LEAST_STILLS}"
    )
    query = (
        f"SELECT nouns FROM frames JOIN files USING (path) WHERE (frames.study_instance_uid, {series}) IN ({many}) "
        "ORDER BY files.ordinal, frames.frame"
    )
    for (nouns,) in db.execute(query):
        assessment = unpack(StoredFrame, nouns).assessment
        yield replace(assessment, needle=None, candidates=(), cortex=None, placement=None)
