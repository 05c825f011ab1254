"""An audit follows multi-frame files as runs: it says of them what ``analyze`` says, however often it is broken off."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_cases import a_job, audit_here, dump, make_folder
from build_dicom import make_dicom
from run_frames import disc, make_run
from typer.testing import CliRunner

from marrowpoint.audit.engine import run_here
from marrowpoint.audit.pool import Pool
from marrowpoint.audit.rejudge import rejudge_audit
from marrowpoint.audit.store import failure_records, finding_records, frame_records, open_audit, run_records
from marrowpoint.audit.task import A_RUN, Done, Failed, FileTask, Following, FrameDone, RunDone
from marrowpoint.cli import app
from marrowpoint.read import ImageFile

pytestmark = pytest.mark.timeout(900)  # workers start; on a machine under load that takes minutes

UID = "1.9.7"
ONSET = 4  # frames before the contrast
SHEET = f"study_instance_uid,site,phase,contrast\n{UID},1,harvest,no\n{UID},disc,reinjection,yes\n"


def make_cine(path: Path, count: int) -> Path:
    """A run in which a pool of contrast grows."""
    frames = make_run(count, lambda k: None if k < ONSET else disc(128, 120, 4 + 2 * (k - ONSET), 0.15))
    values = np.stack([np.round(4000 * (1 - frame.pixels)) for frame in frames]).astype(np.uint16)
    told = {"Modality": "XA", "FrameTime": "250", "SOPInstanceUID": "1.2.77", "StudyInstanceUID": UID}
    return make_dicom(path, values, frames=count, bits=12, **told)


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]


def test_the_command_says_of_a_run_what_analyze_says_and_the_rules_hear_it(tmp_path) -> None:
    folder, sheet, out, other = (tmp_path / name for name in ("case", "sheet.csv", "audit", "analyzed"))
    folder.mkdir()
    make_cine(folder / "cine.dcm", 9)
    sheet.write_text(SHEET)
    for words in (("audit", folder, "--out", out, "--workers", 1), ("analyze", folder, "--out", other)):
        result = CliRunner().invoke(app, [*(str(word) for word in words), "--procedure", str(sheet)])
        assert result.exit_code == 0, result.output
    (wanted,) = [record for record in lines(other) if record["record"] == "run"]
    assert wanted["contrast"]["onset_frame"] == ONSET + 1
    assert [record for record in lines(out) if record["record"] == "run"] == [wanted]
    kinds = [record["record"] for record in lines(out)]
    assert kinds == [record["record"] for record in lines(other)]
    assert (out / wanted["strip"]).read_bytes() == (other / wanted["strip"]).read_bytes()
    with closing(open_audit(out, read_only=True)) as db:
        assert list(run_records(db)) == [wanted]
        findings = {each["rule"]: each for each in finding_records(db) if each["site"] is None}
    # the sheet alone, or its frames one by one, would not do
    assert {rule: findings[rule]["outcome"] for rule in ("A02", "A22", "A23")} == dict.fromkeys(("A02", "A22", "A23"), "pass")
    assert "1 contrast run" in findings["A02"]["sentence"]
    with (out / "tables" / "runs.csv").open(encoding="utf-8-sig") as stream:
        assert "case/cine.dcm" in stream.read()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("files") / "case")


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    audit_here(folder, out)
    return out


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [Following, RunDone])
def test_broken_off_at_a_run_it_goes_on_with_the_run(folder, undisturbed, tmp_path, after) -> None:
    job = a_job()

    def stopping(tasks):
        for task, event in run_here(job, None, tasks):
            yield task, event
            if isinstance(event, after) and task.image.relative_path == "case/b.dcm":
                raise Stopped

    seen: list[type] = []

    def going_on(tasks):
        for task, event in run_here(job, None, tasks):
            seen.append(type(event))
            yield task, event

    with pytest.raises(Stopped):
        audit_here(folder, tmp_path, job, run=stopping)
    audit_here(folder, tmp_path, job, run=going_on)
    assert (seen.count(FrameDone), seen.count(RunDone)) == (0, 1)
    assert dump(tmp_path) == dump(undisturbed)
    assert (tmp_path / "results.jsonl").read_bytes() == (undisturbed / "results.jsonl").read_bytes()


def test_a_run_goes_with_its_file(tmp_path) -> None:
    folder, out = make_folder(tmp_path / "case"), tmp_path / "out"
    audit_here(folder, out)
    make_dicom(folder / "b.dcm", np.zeros((64, 64), np.uint16), SOPInstanceUID="1.2.99", StudyInstanceUID="1.9.99")
    audit_here(folder, out)
    assert "run" not in [record["record"] for record in lines(out)]
    make_cine(folder / "b.dcm", 5)
    audit_here(folder, out)
    assert [r["source"]["study_instance_uid"] for r in lines(out) if r["record"] == "run"] == [UID]
    (folder / "b.dcm").unlink()
    audit_here(folder, out)
    assert "run" not in [record["record"] for record in lines(out)]


def test_a_profile_without_thresholds_of_runs_judges_none(folder, tmp_path) -> None:
    base = a_job().profile
    audit_here(folder, tmp_path, a_job(profile=replace(base, run=None, sha256="0" * 64)))
    assert {record["record"] for record in lines(tmp_path)} == {"frame", "study", "failure"}


def test_a_worker_that_dies_of_a_run_costs_the_run_alone(tmp_path) -> None:
    count = 60
    path = make_cine(tmp_path / "cine.dcm", count)
    known = hashlib.sha256(path.read_bytes()).hexdigest()
    image = ImageFile(path=path, relative_path="cine.dcm")
    task = FileTask(image=image, known_sha256=known, skip=frozenset(range(1, count + 1)))
    found = []
    with Pool(a_job(), 1, limit_s=120) as pool:
        for _, event in pool.run([task]):
            found.append(event)
            if isinstance(event, Following):
                os.kill(pool.pids()[0], signal.SIGKILL)
    assert [event for event in found if isinstance(event, RunDone)] == []
    (failure,) = [event for event in found if isinstance(event, Failed)]
    assert failure.number == A_RUN
    record = json.loads(failure.record)
    assert (record["source"], record["error"]["code"]) == ({"path": "cine.dcm"}, "crashed")
    assert [type(event) for event in found].count(Following) == 2  # once more, it may have been the machine
    assert isinstance(found[-1], Done)


def test_a_failed_run_keeps_its_frames_and_a_failure(folder, tmp_path) -> None:
    job = a_job()

    def failing(tasks):
        for task, event in run_here(job, None, tasks):
            failure = '{"record":"failure","source":{"path":"case/b.dcm"},"error":{"code":"crashed","text":"by hand"}}'
            yield task, Failed(number=A_RUN, record=failure) if isinstance(event, RunDone) else event

    audit_here(folder, tmp_path, job, run=failing)
    with closing(open_audit(tmp_path)) as db:
        assert [r["source"]["path"] for r in frame_records(db)].count("case/b.dcm") == 2
        assert [r["error"]["code"] for r in failure_records(db)] == ["crashed", "not_dicom"]
        assert list(run_records(db)) == []


def test_other_thresholds_of_frames_leave_a_run_and_those_of_runs_need_its_pixels(undisturbed, tmp_path) -> None:
    base = a_job().profile
    with closing(open_audit(undisturbed)) as db:
        (before,) = run_records(db)
    thinner = replace(base, sha256="1" * 64, verdict=replace(base.verdict, thin_below_mm=8.0))
    with closing(rejudge_audit(undisturbed, tmp_path / "thinner", thinner)) as db:
        (kept,) = run_records(db)
    for part in ("source", "times", "needle", "contrast", "verdict"):
        assert kept[part] == before[part]
    assert kept["provenance"]["profile_sha256"] == "1" * 64
    assert kept["rejudged"]["measured_with"] == before["provenance"]
    for k, changed in enumerate(
        (
            replace(base, sha256="2" * 64, run=replace(base.run_limits, vein_from_mm=99.0)),
            replace(base, sha256="2" * 64, verdict=replace(base.verdict, min_bone_confidence=0.99)),
        )
    ):
        with closing(rejudge_audit(undisturbed, tmp_path / str(k), changed)) as db:
            (again,) = run_records(db)
        assert [reason["code"] for reason in again["verdict"]["reasons"]] == ["needs_pixels"]
        assert again["verdict"]["code"] == "not_assessable"
        assert (again["needle"], again["contrast"]) == (None, None)
