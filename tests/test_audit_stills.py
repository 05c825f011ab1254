"""Stills of one needle in order of time are a run in the audit too: what ``analyze`` says, however often it is broken off."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from audit_cases import a_job, audit_here, dump
from build_dicom import make_dicom
from run_frames import disc, make_run

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.audit.engine import run_here
from marrowpoint.audit.pool import Pool
from marrowpoint.audit.stills import find_still_runs, still_tasks
from marrowpoint.audit.store import failure_records, open_audit, run_records
from marrowpoint.audit.task import A_STILL_RUN, Done, Failed, FrameDone, RunDone, StillsTask
from marrowpoint.read import find_images
from marrowpoint.report.results import write_results

pytestmark = pytest.mark.timeout(900)

COUNT, ONSET = 6, 3
TIMES = [f"1015{5 * k:02d}" for k in range(COUNT)]


def make_still(path: Path, values: np.ndarray, number: int, **tags: str) -> Path:
    # the last still comes first in the folder: names do not tell the order
    told = {"Modality": "XA", "StudyInstanceUID": "1.9.1", "SeriesInstanceUID": "1.8.1"} | tags
    uid = f"{told['SeriesInstanceUID']}.{number}"
    return make_dicom(
        path / f"s{told['SeriesInstanceUID'][-1]}_{COUNT - number}.dcm", values, bits=12, SOPInstanceUID=uid,
        AcquisitionDate="20260101", AcquisitionTime=TIMES[number], **told,
    )  # fmt: skip


def as_values(frame) -> np.ndarray:
    return np.round(4000 * (1 - frame.pixels)).astype(np.uint16)


def make_case(root: Path) -> Path:
    root.mkdir()
    frames = make_run(COUNT, lambda k: None if k < ONSET else disc(128, 120, 6 + 4 * (k - ONSET), 0.15))
    for k, frame in enumerate(frames):
        make_still(root, as_values(frame), k)
    for k, frame in enumerate(make_run(3, seed=5)):  # three stills are no run
        make_still(root, as_values(frame), k, StudyInstanceUID="1.9.2", SeriesInstanceUID="1.8.2")
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_case(tmp_path_factory.mktemp("files") / "case")


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    audit_here(folder, out)
    return out


def test_the_audit_says_of_stills_what_analyze_says(folder, undisturbed, tmp_path) -> None:
    request = Request(profile=a_job().profile)
    written = write_results(analyze_images(find_images([folder]), request), tmp_path, masks=False)
    (wanted,) = written.runs
    assert wanted["source"]["paths"] == [f"case/s1_{COUNT - k}.dcm" for k in range(COUNT)]
    assert wanted["times"]["seconds"] == [5.0 * k for k in range(COUNT)]
    lines = [json.loads(line) for line in (undisturbed / "results.jsonl").read_text("utf-8").splitlines()]
    assert [line for line in lines if line["record"] == "run"] == json.loads(json.dumps([wanted]))
    assert (undisturbed / wanted["strip"]).read_bytes() == (tmp_path / wanted["strip"]).read_bytes()


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [RunDone, Done])
def test_broken_off_at_stills_it_goes_on_with_them_alone(folder, undisturbed, tmp_path, at) -> None:
    job = a_job()

    def stopping(tasks):
        for task, event in run_here(job, None, tasks):
            if isinstance(task, StillsTask) and isinstance(event, at):
                raise Stopped
            yield task, event

    seen: list[type] = []

    def going_on(tasks):
        for task, event in run_here(job, None, tasks):
            seen.append(type(event))
            yield task, event

    with pytest.raises(Stopped):
        audit_here(folder, tmp_path, job, run=stopping)
    audit_here(folder, tmp_path, job, run=going_on)
    # what was kept before the end of the task is not done again
    assert (seen.count(FrameDone), seen.count(RunDone)) == (0, int(at is RunDone))
    assert dump(tmp_path) == dump(undisturbed)
    assert (tmp_path / "results.jsonl").read_bytes() == (undisturbed / "results.jsonl").read_bytes()


def test_a_run_of_stills_holds_only_with_all_its_files(tmp_path) -> None:
    folder, out, counted = make_case(tmp_path / "case"), tmp_path / "out", []
    audit_here(folder, out)
    audit_here(folder, out, counted=counted)
    assert counted == []
    frame = make_run(COUNT, seed=9)[2]
    make_still(folder, as_values(frame), 2)
    audit_here(folder, out, counted=counted)
    assert [task.images[0].relative_path for task in counted if isinstance(task, StillsTask)] == [f"case/s1_{COUNT}.dcm"]
    for k in range(COUNT - 3):
        (folder / f"s1_{COUNT - k}.dcm").unlink()
    audit_here(folder, out)
    with closing(open_audit(out)) as db:
        assert list(run_records(db)) == []
    assert "run" not in {json.loads(line)["record"] for line in (out / "results.jsonl").read_text("utf-8").splitlines()}


def test_stills_that_take_too_long_cost_the_run_alone(folder, undisturbed) -> None:
    job = a_job()
    images = list(find_images([folder]))
    with closing(open_audit(undisturbed, read_only=True)) as db:
        tasks = list(still_tasks(db, find_still_runs(db, job), images))
    with Pool(job, 1, limit_s=1e-4) as pool:
        events = [event for _, event in pool.run(tasks)]
    assert [type(event) for event in events] == [Failed, Done]
    record = json.loads(events[0].record)
    assert (events[0].number, record["error"]["code"]) == (A_STILL_RUN, "time_limit")
    assert record["source"] == {"path": f"case/s1_{COUNT}.dcm"}


def test_a_failed_run_of_stills_is_tried_again(folder, undisturbed, tmp_path) -> None:
    job = a_job()

    def failing(tasks):
        for task, event in run_here(job, None, tasks):
            failure = '{"record":"failure","source":{"path":"case/s1_6.dcm"},"error":{"code":"crashed","text":"by hand"}}'
            yield task, Failed(number=A_STILL_RUN, record=failure) if isinstance(event, RunDone) else event

    audit_here(folder, tmp_path, job, run=failing)
    with closing(open_audit(tmp_path)) as db:
        assert [record["error"]["code"] for record in failure_records(db)] == ["crashed"]
    audit_here(folder, tmp_path, job)
    assert dump(tmp_path) == dump(undisturbed)
