"""An audit survives what happens to it: bad files, dead and hanging workers, kills, full disks; and ends as if nothing had."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from audit_cases import FRAMES, a_job, audit_here, dump, make_folder, noise, pictures
from build_dicom import PATIENT_ID, PATIENT_NAME, make_dicom
from typer.testing import CliRunner

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.audit.engine import only_audit, run_here
from marrowpoint.audit.plan import names_that_may_meet
from marrowpoint.audit.pool import Pool
from marrowpoint.audit.store import failure_records, frame_records, open_audit, study_records
from marrowpoint.audit.task import Done, Failed, FileTask, FrameDone
from marrowpoint.case import Site
from marrowpoint.cli import app
from marrowpoint.errors import InvalidAudit
from marrowpoint.read import ImageFile, find_images
from marrowpoint.report.results import write_results

KILLS = 3

pytestmark = pytest.mark.timeout(900)  # workers start; on a machine under load that takes minutes


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("files") / "case")


@pytest.fixture(scope="module")
def timed(folder, tmp_path_factory) -> tuple[Path, float]:
    out, began = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    audit_here(folder, out)
    return out, time.monotonic() - began


@pytest.fixture(scope="module")
def undisturbed(timed) -> Path:
    return timed[0]


def test_what_is_written_is_what_analyze_writes(folder, undisturbed, tmp_path) -> None:
    request = Request(profile=a_job().profile)
    thin = request.profile.verdict.thin_below_mm
    write_results(analyze_images(find_images([folder]), request), tmp_path, masks=False, thin_below_mm=thin)
    assert (undisturbed / "results.jsonl").read_bytes() == (tmp_path / "results.jsonl").read_bytes()
    assert pictures(undisturbed) == pictures(tmp_path)


def test_nothing_of_the_patient_is_kept(undisturbed) -> None:
    content = b"".join(path.read_bytes() for path in undisturbed.rglob("*") if path.is_file())
    assert PATIENT_NAME.encode() not in content
    assert PATIENT_ID.encode() not in content


def killed(folder: Path, out: Path, after_s: float) -> bool:
    """Whether an audit in a process of its own was killed before its end."""
    child = os.fork()
    if child == 0:
        try:
            audit_here(folder, out)
        finally:
            os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_again_and_again_it_ends_like_the_undisturbed_one(folder, timed, tmp_path) -> None:
    chance, (undisturbed, whole_s) = random.Random(4), timed
    kills = sum(killed(folder, tmp_path, chance.uniform(0.05, 0.6) * whole_s) for _ in range(KILLS))
    audit_here(folder, tmp_path)
    assert kills, "no audit was slow enough to be killed"
    assert dump(tmp_path) == dump(undisturbed)
    assert (tmp_path / "results.jsonl").read_bytes() == (undisturbed / "results.jsonl").read_bytes()
    assert pictures(tmp_path) == pictures(undisturbed)


class Stopped(Exception):
    pass


def stopping(job, after: int):
    """Work that is broken off after so many frames."""

    def run(tasks):
        frames = 0
        for task, event in run_here(job, None, tasks):
            yield task, event
            frames += isinstance(event, FrameDone)
            if frames == after:
                raise Stopped

    return run


@pytest.mark.parametrize("after", [1, 3])
def test_what_is_done_is_not_done_again(folder, undisturbed, tmp_path, after) -> None:
    job = a_job()
    with pytest.raises(Stopped):
        audit_here(folder, tmp_path, run=stopping(job, after))
    done: list[int] = []

    def run(tasks):
        for task, event in run_here(job, None, tasks):
            done.append(isinstance(event, FrameDone))
            yield task, event

    audit_here(folder, tmp_path, run=run)
    # stopped between the two frames of a run, the second alone is left
    assert sum(done) == FRAMES - after
    assert dump(tmp_path) == dump(undisturbed)
    counted: list = []
    audit_here(folder, tmp_path, counted=counted)
    assert [task for task in counted if isinstance(task, FileTask)] == []


def files_done(folder: Path, out: Path, job=None) -> list[str]:
    job, frames = job or a_job(), []

    def run(tasks):
        for task, event in run_here(job, None, tasks):
            if isinstance(event, FrameDone):
                frames.append(f"{Path(task.image.relative_path).name}#{event.number}")
            yield task, event

    audit_here(folder, out, job, run=run)
    return frames


def test_only_what_changed_is_done_again(tmp_path) -> None:
    folder, out = make_folder(tmp_path / "case"), tmp_path / "out"
    assert len(files_done(folder, out)) == FRAMES
    # touched, not changed
    os.utime(folder / "a0.dcm", (1, 1))
    assert files_done(folder, out) == []
    # other pixels in one file; one file gone, one new
    make_dicom(folder / "a0.dcm", noise(50), SOPInstanceUID="1.2.0", StudyInstanceUID="1.9.0")
    (folder / "a1.dcm").unlink()
    make_dicom(folder / "a2.dcm", noise(51), SOPInstanceUID="1.2.51", StudyInstanceUID="1.9.51")
    assert files_done(folder, out) == ["a0.dcm#1", "a2.dcm#1"]
    fresh = tmp_path / "fresh"
    audit_here(folder, fresh)
    assert dump(out) == dump(fresh)
    assert (out / "results.jsonl").read_bytes() == (fresh / "results.jsonl").read_bytes()
    # the sheet names the needle of one study; then another profile and program
    sheet = {"1.9.51": (Site(study_instance_uid="1.9.51", needle_od_mm=3.05),)}
    assert files_done(folder, out, a_job(procedure=sheet)) == ["a2.dcm#1"]
    other = replace(a_job(procedure=sheet).profile, sha256="0" * 64)
    assert len(files_done(folder, out, a_job(procedure=sheet, profile=other, program="another"))) == FRAMES


def test_one_picture_in_two_studies_refuses_both_though_each_is_judged_alone(tmp_path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    for name, uid in (("a", "1.9.1"), ("b", "1.9.2"), ("copy", "1.9.1"), ("other", "1.9.3")):
        make_dicom(folder / f"{name}.dcm", noise(3 if name != "other" else 4), SOPInstanceUID=f"1.{uid}", StudyInstanceUID=uid)
    audit_here(folder, tmp_path / "out")
    with closing(open_audit(tmp_path / "out")) as db:
        reasons = {r["study_instance_uid"]: [each["code"] for each in r["verdict"]["reasons"]] for r in study_records(db)}
    assert "picture_in_two_studies" in reasons["1.9.1"]
    assert "picture_in_two_studies" in reasons["1.9.2"]
    assert "picture_in_two_studies" not in reasons["1.9.3"]


def test_names_of_files_may_be_anything(tmp_path) -> None:
    folder = tmp_path / "<script>alert(1)<"
    folder.mkdir()
    for k, name in enumerate((b"bad\xff.dcm", b"line\nend.dcm", "=cmd|' -C \u202egnp.dcm".encode(), b"n" * 240 + b".dcm")):
        (folder / os.fsdecode(name)).write_bytes(b"no picture" if k else make_dicom(tmp_path / "one", noise(k)).read_bytes())
    audit_here(folder, tmp_path / "out")
    request = Request(profile=a_job().profile)
    write_results(analyze_images(find_images([folder]), request), tmp_path / "analyzed", masks=False, thin_below_mm=5.5)
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == (tmp_path / "analyzed" / "results.jsonl").read_bytes()
    assert len(pictures(tmp_path / "out")) == 1


def test_names_that_could_meet_are_told_before_anything_is_read() -> None:
    images = [ImageFile(path=Path(name), relative_path=name) for name in ("a/x", "a/./x", "a/x_f0001", "b/x", "c_f0002")]
    assert names_that_may_meet(images) == {"a/x", "a/./x", "a/x_f0001"}


def test_a_folder_belongs_to_one_audit_at_a_time(tmp_path) -> None:
    with only_audit(tmp_path), pytest.raises(InvalidAudit) as caught, only_audit(tmp_path):
        pass
    assert caught.value.code == "audit_in_use"
    with only_audit(tmp_path):
        pass


# --- workers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overlays(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("worker") / "overlays"


@pytest.fixture(scope="module")
def pool(overlays):
    with Pool(a_job(overlays=overlays), 1, limit_s=120) as workers:
        yield workers


def task_of(path: Path, **more) -> FileTask:
    return FileTask(image=ImageFile(path=path, relative_path=path.name), **more)


def test_a_pool_gives_what_this_process_gives(folder, undisturbed, tmp_path, pool, overlays) -> None:
    audit_here(folder, tmp_path, run=pool.run)
    assert dump(tmp_path) == dump(undisturbed)
    assert pictures(overlays.parent) == pictures(undisturbed)


def test_no_room_for_an_overlay_stops_the_audit_and_blames_no_file(folder, tmp_path, pool, overlays) -> None:
    kept = overlays.rename(overlays.with_name("kept"))
    overlays.write_text("a file where the folder should be")
    try:
        with pytest.raises(OSError, match=r"[Ee]xists|directory"):
            audit_here(folder, tmp_path, run=pool.run)
    finally:
        overlays.unlink()
        kept.rename(overlays)
    with closing(open_audit(tmp_path)) as db:
        assert not list(failure_records(db))
    # the pool broke off in the middle: a fresh start
    pool.close()


def test_a_worker_killed_from_outside_costs_nothing(folder, pool) -> None:
    tasks = [task_of(folder / f"a{k}.dcm") for k in range(2)]
    found, shot = [], False
    for task, event in pool.run(tasks):
        if not shot:
            shot = True
            os.kill(pool.pids()[0], signal.SIGKILL)
        found.append((task.image.relative_path, type(event)))
    done = [name for name, kind in found if kind is FrameDone]
    assert sorted(done) == ["a0.dcm", "a1.dcm"]
    assert not [name for name, kind in found if kind is Failed]


def pipe_of(path: Path) -> Path:
    """A file that never ends and never gives anything: reading it hangs in the system, as a dead network drive does."""
    os.mkfifo(path)
    return path


def test_a_hanging_file_is_a_row_and_the_others_go_on(folder, tmp_path, pool, monkeypatch) -> None:
    monkeypatch.setattr(pool, "_limit_s", 8.0)
    hanging = pipe_of(tmp_path / "hangs.dcm")
    events = list(pool.run([task_of(hanging), task_of(folder / "broken.dcm")]))
    failures = [(task.image.relative_path, event) for task, event in events if isinstance(event, Failed)]
    assert [name for name, _ in failures].count("broken.dcm") == 1
    last = [event for name, event in failures if name == "hangs.dcm"][-1]
    assert last.number == 0
    assert '"time_limit"' in last.record
    assert [task.image.relative_path for task, event in events if isinstance(event, Done)].count("hangs.dcm") == 1


def test_a_worker_ends_when_its_owner_is_gone() -> None:
    # however an owner ends, what it held of the pipe is closed
    held, given = os.pipe()
    worker = subprocess.Popen([sys.executable, "-m", "marrowpoint.audit.worker"], stdin=held, stdout=subprocess.DEVNULL)
    os.close(held)
    os.close(given)
    assert worker.wait(120) == 0


# --- the command ------------------------------------------------------------------------------------------------------


def command(*words: str | Path):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def small(tmp_path) -> Path:
    root = tmp_path / "case"
    root.mkdir()
    make_dicom(root / "a.dcm", noise(1))
    return root


def test_wrong_use_is_one_line_and_status_two(small, tmp_path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("study_instance_uid,colour\n1.2,red\n")
    for words in (
        ("audit", tmp_path / "missing", "--out", tmp_path / "out"),
        ("audit", small, "--out", tmp_path / "out", "--procedure", sheet),
        ("audit", small, "--out", tmp_path / "out", "--workers", "0"),
        ("audit", small, "--out", tmp_path / "out", "--ledger", tmp_path / "none.sqlite"),
        ("audit", small, "--out", sheet / "below a file"),
        ("rejudge", tmp_path / "none.sqlite", "--out", tmp_path / "out"),
    ):
        result = command(*words)
        assert result.exit_code == 2, words
        assert "Traceback" not in result.output
    assert "colour" in command("audit", small, "--out", tmp_path / "out", "--procedure", sheet).stderr


def test_an_audit_that_stands_is_not_overwritten_and_a_newer_one_is_refused(small, undisturbed, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "audit.sqlite").write_bytes((undisturbed / "audit.sqlite").read_bytes())
    result = command("audit", small, "--out", out)
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    with closing(open_audit(out)) as db:
        db.execute("PRAGMA user_version = 99")
    result = command("audit", small, "--out", out, "--resume")
    assert result.exit_code == 2
    assert "newer" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(small, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o500)
    assert command("audit", small, "--out", out).exit_code == 2


def _audit_with_little_room(folder: Path, out: Path, limit_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
    audit_here(folder, out)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("limit_bytes", [20_000, 90_000])
def test_a_full_disk_stops_it_and_room_lets_it_go_on(folder, undisturbed, tmp_path, limit_bytes) -> None:
    child = os.fork()
    if child == 0:
        status = 0
        try:
            _audit_with_little_room(folder, tmp_path, limit_bytes)
        except Exception:
            status = 7
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    audit_here(folder, tmp_path)
    assert dump(tmp_path) == dump(undisturbed)
    assert pictures(tmp_path) == pictures(undisturbed)


def test_records_name_each_file_once(undisturbed) -> None:
    with closing(open_audit(undisturbed)) as db:
        names = [(r["source"]["path"], r["source"]["frame"]) for r in frame_records(db)]
        failures = list(failure_records(db))
    assert len(names) == len(set(names)) == FRAMES
    assert [(r["source"]["path"], r["error"]["code"]) for r in failures] == [("case/broken.dcm", "not_dicom")]
