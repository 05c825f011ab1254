"""The folder a run leaves behind: result file, overlays, masks and page, each whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from marrowpoint.analyze import Failure, Outcome
from marrowpoint.assessment import Assessment
from marrowpoint.frame import FrameReference, Mask
from marrowpoint.report.overlay import draw_overlay, encode_png
from marrowpoint.report.page import write_page
from marrowpoint.report.record import Record, failure_record, frame_record, record_line, study_record
from marrowpoint.report.run_record import run_record
from marrowpoint.report.run_strip import strip_png
from marrowpoint.report.write import picture_name, whole_file, write_mask
from marrowpoint.runs.run import RunAssessment

RESULTS, PAGE, OVERLAYS, MASKS, RUNS = "results.jsonl", "index.html", "overlays", "masks", "runs"


@dataclass(slots=True, kw_only=True)
class Written:
    """What a run wrote, light enough for thousands of frames.

    Parameters
    ----------
    out : Path
        The folder.
    frames : list of dict
        Frame records without their outlines, in the order of the file.
    studies, failures : list of dict
        Study and failure records.
    runs : list of dict
        Run records.
    """

    out: Path
    frames: list[Record] = field(default_factory=list)
    studies: list[Record] = field(default_factory=list)
    failures: list[Record] = field(default_factory=list)
    runs: list[Record] = field(default_factory=list)


def write_results(
    outcomes: Iterable[Outcome],
    out: Path,
    *,
    masks: bool,
    thin_below_mm: float | None = None,
    tell: Callable[[Outcome], None] = lambda _: None,
) -> Written:
    """Write everything a run leaves behind.

    Each frame goes to disk as it comes; the result file appears when the last record stands in it, the page after it.

    Parameters
    ----------
    outcomes : iterable of Assessment, StudyAssessment, RunAssessment or Failure
    out : Path
        Folder; made where it is missing. A former result file and page in it are taken away first, so that what stands
        there belongs to one whole run.
    masks : bool
        Also write the bone masks.
    thin_below_mm : float or None
        Bone thinner than this gets a border on the overlays [mm].
    tell : callable
        Called with each outcome when it is on disk.

    Returns
    -------
    Written

    Raises
    ------
    OSError
        Where the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for former in (RESULTS, PAGE):
        (out / former).unlink(missing_ok=True)
    written = Written(out=out)
    taken: set[PurePosixPath] = set()
    taken_by_runs: set[PurePosixPath] = set()
    with whole_file(out / RESULTS) as stream:
        for outcome in outcomes:
            if isinstance(outcome, Assessment):
                name = _unused_name(outcome.frame.reference, taken)
                record = frame_record(outcome) | {"overlay": f"{OVERLAYS}/{name}"}
                with whole_file(out / OVERLAYS / name) as picture:
                    picture.write(encode_png(draw_overlay(outcome, thin_below_mm=thin_below_mm)))
                if masks:
                    write_mask(_bone(outcome), out / MASKS / name)
                    record["mask"] = f"{MASKS}/{name}"
                stream.write(record_line(record).encode())
                written.frames.append(_light(record))
            elif isinstance(outcome, Failure):
                written.failures.append(failure_record(outcome))
            elif isinstance(outcome, RunAssessment):
                written.runs.append(run_record(outcome) | {"strip": _write_strip(outcome, out, taken_by_runs)})
            else:
                written.studies.append(study_record(outcome))
            tell(outcome)
        for record in (*written.runs, *written.studies, *written.failures):
            stream.write(record_line(record).encode())
    write_page(out / PAGE, written.frames, written.studies, written.failures, written.runs)
    return written


def _unused_name(reference: FrameReference, taken: set[PurePosixPath]) -> PurePosixPath:
    # names cut short may meet
    first = picture_name(reference)
    names = (first, *(first.with_stem(f"{first.stem}_{number}") for number in range(2, len(taken) + 3)))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def _write_strip(run: RunAssessment, out: Path, taken: set[PurePosixPath]) -> str | None:
    """Write a run's film strip, named after its first frame; where it stands, from the folder."""
    picture = strip_png(run)
    if not picture:
        return None
    name = _unused_name(run.references[0], taken)
    with whole_file(out / RUNS / name) as stream:
        stream.write(picture)
    return f"{RUNS}/{name}"


def _bone(assessment: Assessment) -> Mask:
    reference, cortex = assessment.frame.reference, assessment.cortex
    return np.zeros((reference.rows, reference.columns), np.bool_) if cortex is None else cortex.bone


def _light(record: Record) -> Record:
    bone = record["bone"]
    if bone is None:
        return record
    return record | {"bone": {key: value for key, value in bone.items() if key != "contour_xy"}}
