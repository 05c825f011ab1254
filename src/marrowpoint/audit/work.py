"""What a worker does: one file frame by frame, or the studies of one UID."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path, PurePosixPath
from time import perf_counter

import numpy as np

from marrowpoint.analyze import FAULT, Failure, Request, analyze_image, analyze_run, analyze_stills
from marrowpoint.assess import without_pixels
from marrowpoint.assessment import Assessment
from marrowpoint.audit.nouns import StoredFrame, pack, unpack
from marrowpoint.audit.task import (
    A_RUN,
    A_STILL_RUN,
    Done,
    Event,
    FileTask,
    Following,
    FrameDone,
    Job,
    Opened,
    RunDone,
    StillsTask,
    StudyTask,
    Task,
    failed,
    record_text,
)
from marrowpoint.cortex import Cortex
from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.frame import FrameReference
from marrowpoint.measure import measure_placement
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile
from marrowpoint.report.overlay import draw_overlay, encode_png
from marrowpoint.report.record import frame_record, study_record
from marrowpoint.report.results import OVERLAYS, RUNS
from marrowpoint.report.run_record import run_record
from marrowpoint.report.run_strip import strip_png
from marrowpoint.report.write import picture_name, whole_file
from marrowpoint.runs.run import RunAssessment
from marrowpoint.study import judge_studies
from marrowpoint.thickness import cell_points

# Thicknesses for which the way to thinner bone is kept [mm]: any sensible threshold lies on or between them.
THIN_GRID_MM = tuple(k / 2 for k in range(4, 31))

CHUNK_BYTES = 1 << 20


def work(task: Task, job: Job, network: BoneNetwork | None) -> Iterator[Event]:
    """Do one task.

    Parameters
    ----------
    task : FileTask, StudyTask or StillsTask
    job : Job
    network : BoneNetwork or None
        The learned prior.

    Yields
    ------
    Opened, FrameDone, Following, RunDone, Failed or Done
        Each as soon as it is known; `Done` last.
    """
    if isinstance(task, FileTask):
        return _file(task, job, network)
    return _study(task, job) if isinstance(task, StudyTask) else _stills(task, job, network)


def _file(task: FileTask, job: Job, network: BoneNetwork | None) -> Iterator[Event]:
    try:
        sha256 = _digest(task.image.path)
    except OSError:
        sha256 = ""  # the reader says why
    same = bool(sha256) and sha256 == task.known_sha256
    yield Opened(sha256=sha256, same=same)
    if same and task.complete:
        yield Done()
        return
    request = _request(job, network)
    skip = task.skip if same else frozenset[int]()
    uid, count, start, faulty = "", 0, perf_counter(), False
    for outcome in analyze_image(task.image, request, skip=skip):
        if isinstance(outcome, Failure):
            faulty = outcome.code == FAULT
            yield failed(outcome.path, outcome.frame_number or 0, outcome.code, outcome.text)
            continue
        uid = outcome.frame.reference.study_instance_uid
        yield _frame(outcome, task, job, start)
        count, start = count + 1, perf_counter()
        if count == task.most_frames:
            yield Done(study_instance_uid=uid, more=True)
            return
    if task.follow and not faulty:
        yield Following(frames=len(skip) + count)
        yield from _runs(analyze_run(task.image, request), A_RUN, own_name=task.own_name)
    yield Done(study_instance_uid=uid)


def _stills(task: StillsTask, job: Job, network: BoneNetwork | None) -> Iterator[Event]:
    stills = [unpack(StoredFrame, text).assessment for text in task.frames]
    files = {image.relative_path: image for image in task.images}
    yield from _runs(analyze_stills(stills, files, _request(job, network)), A_STILL_RUN, own_name=task.own_name)
    yield Done()


def _request(job: Job, network: BoneNetwork | None) -> Request:
    return Request(profile=job.profile, network=network, outer_diameter_mm=job.outer_diameter_mm, procedure=job.procedure)


def _runs(outcomes: Iterable[RunAssessment | Failure], number: int, *, own_name: bool) -> Iterator[Event]:
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            yield failed(outcome.path, number, outcome.code, outcome.text)
            continue
        strip = strip_png(outcome)
        name = str(_picture_name(outcome.references[0], own_name=own_name)) if strip else ""
        record = run_record(outcome) | {"strip": f"{RUNS}/{name}" if strip else None}
        yield RunDone(record=record_text(record), strip=strip, strip_name=name)


def _picture_name(reference: FrameReference, *, own_name: bool) -> PurePosixPath:
    name = picture_name(reference)
    if not own_name:
        return name
    digest = hashlib.sha256(f"{reference.path}#{reference.frame_number}".encode("utf-8", "backslashreplace")).hexdigest()
    return name.with_stem(f"{name.stem}-{digest[:12]}")


def _frame(assessment: Assessment, task: FileTask, job: Job, start: float) -> FrameDone:
    reference = assessment.frame.reference
    name = _picture_name(reference, own_name=task.own_name)
    overlay = encode_png(draw_overlay(assessment, thin_below_mm=job.profile.verdict.thin_below_mm))
    if job.overlays is not None:
        # waiting for the disk is done here, where many do it at a time
        with whole_file(job.overlays / name) as stream:
            stream.write(overlay)
        overlay = b""
    return FrameDone(
        number=reference.frame_number,
        study_instance_uid=reference.study_instance_uid,
        record=record_text(frame_record(assessment) | {"overlay": f"{OVERLAYS}/{name}"}),
        nouns=pack(stored_frame(assessment, job.profile)),
        overlay=overlay,
        overlay_name=str(name),
        seconds=perf_counter() - start,
    )


def stored_frame(assessment: Assessment, profile: Profile) -> StoredFrame:
    """What must be kept of an assessment so that other thresholds can judge it.

    Parameters
    ----------
    assessment : Assessment
        With its pixels.
    profile : Profile
        Of the assessment.

    Returns
    -------
    StoredFrame
    """
    needle, cortex, light = assessment.needle, assessment.cortex, without_pixels(assessment)
    if assessment.placement is None or needle is None or cortex is None or assessment.exposure is None:
        return StoredFrame(assessment=light)
    # a thickness anywhere between thin and thick is held back by the run, but not by every profile
    open_ended = replace(profile, verdict=replace(profile.verdict, thick_from_mm=inf))
    try:
        measured = measure_placement(cortex, needle, assessment.calibration, open_ended)
    except NotAssessable:
        return StoredFrame(assessment=light)
    distances = _thin_distances(assessment, cortex, needle) if measured.bone_thickness is not None else ()
    return StoredFrame(assessment=light, measured=measured, thin_distances=distances)


def _thin_distances(assessment: Assessment, cortex: Cortex, needle: Needle) -> tuple[tuple[float, float], ...]:
    """As `thickness.nearest_thin` from the best tip, for all thicknesses of the grid in one go."""
    if cortex.thickness is None:
        return ()
    median, spacing = cortex.thickness.median_mm, assessment.calibration.spacing
    step = np.array([1.0, 1.0] if spacing is None else [spacing.row_mm, spacing.column_mm])
    half = np.array(cortex.thickness.frame_shape) / np.array(median.shape) / 2
    gap = np.maximum(np.abs(np.asarray(needle.tip) - cell_points(cortex.thickness)) - half, 0.0) * step
    away = np.hypot(gap[..., 0], gap[..., 1])
    thin = [(limit_mm, (median > 0) & (median < limit_mm)) for limit_mm in THIN_GRID_MM]
    return tuple((limit_mm, float(away[cells].min())) for limit_mm, cells in thin if cells.any())


def _study(task: StudyTask, job: Job) -> Iterator[Event]:
    frames = [unpack(StoredFrame, text).assessment for text in task.frames]
    sites = job.procedure.get(task.study_instance_uid, ())
    studies = judge_studies(frames, job.profile, sites, reused=task.reused)
    records = tuple(record_text(study_record(study)) for study in studies)
    yield Done(study_instance_uid=task.study_instance_uid, records=records)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
