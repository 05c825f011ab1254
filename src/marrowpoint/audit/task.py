"""What goes to a worker and what comes back: plain nouns that travel between processes and machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import marrowpoint
from marrowpoint.analyze import Failure
from marrowpoint.assess import marrowpoint_version
from marrowpoint.case import Site
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile
from marrowpoint.report.record import failure_record, record_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What holds for a whole audit.

    Parameters
    ----------
    profile : Profile
    outer_diameter_mm : float or None
        Needle of every study that the sheet says nothing about [mm].
    procedure : mapping of str to tuple of Site
        The operator's sheet.
    model_sha256 : str or None
        The learned prior that every worker must have.
    program : str
        The program that every worker must run.
    overlays : Path or None
        Where workers write the overlays themselves; None where they send them, as they share no disk with the audit.
    """

    profile: Profile
    outer_diameter_mm: float | None = None
    procedure: Mapping[str, tuple[Site, ...]] = field(default_factory=dict)
    model_sha256: str | None = None
    program: str
    overlays: Path | None = None

    def key(self, study_instance_uid: str) -> str:
        """What, beside the file's bytes, the results of a study's frames depend on."""
        sites = self.procedure.get(study_instance_uid, ())
        stated = sorted({(str(site.needle_od_mm), site.entry_time) for site in sites}), sorted({site.side for site in sites})
        told = [self.program, self.profile.sha256, self.model_sha256, self.outer_diameter_mm, stated]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTask:
    """One file to analyse.

    Parameters
    ----------
    image : ImageFile
    known_sha256 : str or None
        Hash of the content that former results in `skip` belong to.
    complete : bool
        Those are all of its results.
    skip : frozenset of int
        Frames that are done, from 1.
    own_name : bool
        The names of its overlays could meet those of another file.
    most_frames : int or None
        Stop after so many.
    follow : bool
        Also assess the file as a run.
    size, mtime_ns : int
        Of the file when the task was made.
    """

    image: ImageFile
    known_sha256: str | None = None
    complete: bool = False
    skip: frozenset[int] = frozenset()
    own_name: bool = False
    most_frames: int | None = None
    follow: bool = True
    size: int = -1
    mtime_ns: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTask:
    """One study UID to judge: its frames as packed `StoredFrame`, and hashes of pictures that stand in other studies too."""

    study_instance_uid: str
    frames: tuple[str, ...]
    reused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StillsTask:
    """Stills that make a run, in order of time.

    Parameters
    ----------
    images : tuple of ImageFile
    frames : tuple of str
        Their frames as packed `StoredFrame`.
    own_name : bool
        As in `FileTask`.
    """

    images: tuple[ImageFile, ...]
    frames: tuple[str, ...]
    own_name: bool = False


Task = FileTask | StudyTask | StillsTask


def name_of(task: Task) -> str:
    """What a task is about, as failures name it: a path or a study."""
    if isinstance(task, StudyTask):
        return f"study {task.study_instance_uid}"
    return task.image.relative_path if isinstance(task, FileTask) else task.images[0].relative_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The file was read through; `same` says that former results hold."""

    sha256: str
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDone:
    """One frame: record and nouns as JSON, overlay as PNG (empty where the worker wrote it) and its name under the overlays."""

    number: int
    study_instance_uid: str
    record: str
    nouns: str
    overlay: bytes
    overlay_name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The frames of a file are done, so many; now it is gone through as a run."""

    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone:
    """A file as a run: record as JSON, film strip as PNG (empty where there is none) and its name under the runs."""

    record: str
    strip: bytes
    strip_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A file (`number` 0), frame or run (`A_RUN`) without a result."""

    number: int
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The end of a task; `more` where it stopped at its most frames, `records` of a study task."""

    study_instance_uid: str = ""
    more: bool = False
    records: tuple[str, ...] = ()


Event = Opened | FrameDone | Following | RunDone | Failed | Done

A_RUN = 1_000_000_000  # stands for the frame in a failure that is a run's: after all frames of its file
A_STILL_RUN = A_RUN + 1  # the same for the run that a still begins


@cache
def program_fingerprint() -> str:
    """Version and a hash of the package's own source and models: results of two programs never mix."""
    root = Path(marrowpoint.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.glob("models/*")]):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{marrowpoint_version()}+{digest.hexdigest()[:16]}"


def failed(path: str, number: int, code: str, text: str) -> Failed:
    """A failure as an event; `number` 0 for the whole file, `A_RUN` or `A_STILL_RUN` for the run it is or begins."""
    frame_number = None if number in (0, A_RUN, A_STILL_RUN) else number
    record = failure_record(Failure(path=path, frame_number=frame_number, code=code, text=text))
    return Failed(number=number, record=record_text(record))


def record_text(record: dict[str, object]) -> str:
    """A record as one line of JSON without its end."""
    return record_line(record).rstrip("\n")
