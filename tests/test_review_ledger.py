"""The ledger: nothing is lost, nothing is rewritten, several windows write at once, and what is stale is called so."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, make_dicom
from review_cases import PROFILE, assessment, circle, provenance

from marrowpoint.assess import assess_frame
from marrowpoint.errors import MarrowpointError
from marrowpoint.read import find_images, read_frames
from marrowpoint.review import ledger
from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections, KnownLength
from marrowpoint.review.entry import Action, Entry, FrameKey, Said, decide, flagged, stale_because, standing
from marrowpoint.review.ledger import FILE_NAME, SCHEMA, open_ledger, place_ledger, read_entries

KEY = FrameKey(path="folder/a.dcm", frame_number=1, pixel_sha256="ab" * 32, sop_instance_uid="1.2.3", study_instance_uid="1.2")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def entry(action=Action.ACCEPT, rater="A. Reader", **more) -> Entry:
    said = Said(code="outside_bone", text="Outside the bone")
    given = {"frame": KEY, "decided_at": AT, "before": said, "after": said, "provenance": provenance(),
             "reason": "why" if action in (Action.REJECT, Action.COMMENT) else ""} | more  # fmt: skip
    return Entry(action=action, rater=rater, **given)


def test_an_entry_comes_back_whole(tmp_path):
    base = assessment()
    wanted = (
        Corrections()
        .changed(by="A. Reader", at=AT, tip=(201.25, 300.5), outline=(circle(radius=100.0),), side="L", outer_diameter_mm=3.05)
        .changed(by="B. Reader", at=AT, scale=KnownLength(start=(1.0, 2.0), end=(1.0, 102.0), length_mm=20.0))
    )
    corrected = reassess(base, wanted, PROFILE)
    made = decide(base, Action.CORRECT, rater=" A. Reader ", corrected=corrected, corrections=wanted, reason="off", at=AT)
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    kept = ledger.append(made)
    assert kept.number == 1
    (found,) = read_entries(tmp_path / "ledger.sqlite")
    assert found == kept
    assert found.rater == "A. Reader"
    assert found.corrections.marks["scale"].by == "B. Reader"
    assert (found.before.code, found.after.code) == (base.verdict.code.value, corrected.verdict.code.value)
    number = found.after.numbers["tip_to_cortex"]
    assert (number["value"], number["unit"]) == (pytest.approx(corrected.placement.tip_to_cortex.value, abs=1e-3), "mm")


def test_nothing_in_a_ledger_can_be_changed_or_taken_away(tmp_path):
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).append(entry())
    for statement in (
        "UPDATE decision SET rater = 'someone else'",
        "DELETE FROM decision",
        "INSERT OR REPLACE INTO decision SELECT * FROM decision WHERE number = 1",
        "UPDATE OR REPLACE decision SET number = 2",
    ):
        base = sqlite3.connect(path)
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            base.execute(statement)
        base.close()
    assert [found.rater for found in read_entries(path)] == ["A. Reader"]


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="the other windows are forked processes")


def window(work) -> int:
    """Another process that does `work` and ends; a fork, because a fresh interpreter takes seconds to start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of this process hold nothing that the child needs
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def write(path: Path, rater: str, count: int, go: Path, told: Path) -> None:
    while not go.exists():
        time.sleep(0.002)
    ledger = open_ledger(path)
    with told.open("a", buffering=1) as stream:
        for k in range(count):
            ledger.append(entry(rater=rater, reason=str(k)))
            stream.write(f"{k}\n")


def test_a_ledger_that_another_window_makes_meanwhile_is_no_foreign_file(tmp_path, monkeypatch):
    path, refused = tmp_path / "ledger.sqlite", []
    monkeypatch.setattr(ledger, "BUSY_S", 0.01)

    class Slow:
        """A connection that another window overtakes after its first look."""

        in_transaction = property(lambda self: base.in_transaction)

        def execute(self, statement: str) -> sqlite3.Cursor:
            found = base.execute(statement)
            if statement == "PRAGMA user_version":
                found = [found.fetchone()]
                try:
                    open_ledger(path)
                except MarrowpointError as error:
                    refused.append(error.code)
                return type("Row", (), {"fetchone": lambda self: found[0]})()
            return found

    base = ledger._connect(path, "rwc")
    assert ledger._check(Slow(), path, may_be_new=True) is False
    base.close()
    assert refused == ["ledger_unwritable"], "it has to wait"
    assert open_ledger(path).entries() == ()


@FORKS
def test_windows_that_write_at_once_lose_nothing_and_make_one_ledger(tmp_path):
    path, go = tmp_path / "ledger.sqlite", tmp_path / "go"
    raters = ("first", "second", "third")
    pids = [window(lambda rater=rater: write(path, rater, 20, go, tmp_path / rater)) for rater in raters]
    go.touch()  # none finds a ledger: all try to make it
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0, 0]
    found = read_entries(path)
    assert [each.number for each in found] == list(range(1, 61))
    for rater in raters:
        assert [each.reason for each in found if each.rater == rater] == [str(k) for k in range(20)]


@FORKS
@pytest.mark.parametrize("pause", [0.0, 0.003, 0.011])
def test_a_window_killed_while_it_writes_leaves_whole_entries(tmp_path, pause):
    path, go, told = tmp_path / "ledger.sqlite", tmp_path / "go", tmp_path / "told"
    go.touch()
    pid = window(lambda: write(path, "killed", 100_000, go, told))
    while not told.exists() or told.read_text().count("\n") < 4:
        time.sleep(0.002)
    time.sleep(pause)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    last = int(told.read_text().split()[-1])
    found = read_entries(path)
    assert [each.reason for each in found] == [str(k) for k in range(len(found))]
    assert len(found) in (last + 1, last + 2)  # what was told as written is there; one more may be
    open_ledger(path).append(entry(rater="next"))
    assert len(read_entries(path)) == len(found) + 1


def test_a_newer_ledger_is_refused_by_name_and_left_alone(tmp_path):
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).append(entry())
    base = sqlite3.connect(path)
    base.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    base.commit()
    base.close()
    before = path.read_bytes()
    for use in (open_ledger, read_entries):
        with pytest.raises(MarrowpointError, match=f"schema {SCHEMA + 1}") as refused:
            use(path)
        assert refused.value.code == "ledger_newer"
    assert path.read_bytes() == before


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path):
    words, foreign = tmp_path / "words.sqlite", tmp_path / "foreign.sqlite"
    words.write_text("no database, only words" * 100)
    base = sqlite3.connect(foreign)
    base.execute("CREATE TABLE other (x)")
    base.commit()
    base.close()
    for path in (words, foreign):
        before = path.read_bytes()
        for use in (open_ledger, read_entries):
            with pytest.raises(MarrowpointError) as refused:
                use(path)
            assert refused.value.code == "ledger_foreign"
        assert path.read_bytes() == before


def test_a_ledger_that_is_not_there_holds_nothing_and_is_not_made_by_reading(tmp_path):
    assert read_entries(tmp_path / "none.sqlite") == ()
    assert not (tmp_path / "none.sqlite").exists()


def test_a_folder_that_can_be_written_holds_its_ledger(tmp_path):
    assert place_ledger(tmp_path, data_folder=tmp_path / "data").path == tmp_path / FILE_NAME
    assert place_ledger(tmp_path, data_folder=tmp_path / "data").note == ""
    assert list(tmp_path.iterdir()) == []  # to ask leaves nothing behind
    assert place_ledger(tmp_path, tmp_path / "mine.sqlite").path == tmp_path / "mine.sqlite"
    assert place_ledger(None, data_folder=tmp_path).path == tmp_path / FILE_NAME


@pytest.fixture
def public():
    """A folder that other accounts may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for each in [folder, *folder.rglob("*")]:
        if each.is_dir():
            each.chmod(0o755)
    shutil.rmtree(folder)


def powerless(work) -> None:
    """Do `work` in a process that may not write everywhere, as root may."""

    def step_down() -> None:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        work()

    assert os.waitstatus_to_exitcode(os.waitpid(window(step_down), 0)[1]) == 0


@FORKS
def test_a_folder_that_cannot_be_written_says_where_its_decisions_lie(public):
    folders = [public / "frames", public / "elsewhere" / "frames"]
    data = public / "data"
    data.mkdir()
    data.chmod(0o777)
    for folder in folders:
        folder.mkdir(parents=True)
        folder.chmod(0o555)

    def work() -> None:
        placed = [place_ledger(folder, data_folder=data) for folder in folders]
        assert placed[0].path != placed[1].path  # folders of one name stay apart
        for each in placed:
            assert data in each.path.parents
            assert str(each.path) in each.note
        open_ledger(placed[0].path).append(entry())
        assert len(read_entries(place_ledger(folders[0], data_folder=data).path)) == 1
        assert list(folders[0].iterdir()) == []

    powerless(work)


@FORKS
def test_a_ledger_in_a_folder_that_cannot_be_written_is_read_there(public):
    folder = public / "frames"
    path = open_ledger(folder / FILE_NAME).path
    open_ledger(path).append(entry())
    path.chmod(0o444)
    folder.chmod(0o555)

    def work() -> None:
        assert len(read_entries(path)) == 1
        assert place_ledger(folder, data_folder=public).path != path  # new decisions go where they can be kept

    powerless(work)


def test_an_open_ledger_whose_folder_vanished_is_an_error_and_not_a_new_ledger(tmp_path):
    ledger = open_ledger(tmp_path / "sub" / FILE_NAME)
    ledger.path.unlink()
    with pytest.raises(MarrowpointError):
        ledger.append(entry())


def test_a_busy_ledger_waits_and_then_names_the_trouble(tmp_path, monkeypatch):
    ledger = open_ledger(tmp_path / FILE_NAME)
    monkeypatch.setattr("marrowpoint.review.ledger.BUSY_S", 0.2)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(MarrowpointError, match="locked") as refused:
        ledger.append(entry())
    assert refused.value.code == "ledger_unwritable"
    other.execute("ROLLBACK")
    other.close()
    assert ledger.append(entry()).number == 1


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"marrowpoint": "9.9"}, "program"),
        ({"profile_sha256": "f" * 64}, "profile"),
        ({"model_sha256": None}, "model"),
    ],
)
def test_what_changed_since_a_decision_is_named(changed, name):
    assert stale_because(entry(), KEY, provenance()) == ()
    assert stale_because(entry(), KEY, provenance(**changed)) == (name,)
    both = stale_because(entry(), replace(KEY, pixel_sha256="cd" * 32), provenance(**changed))
    assert both == ("image", name)


def test_a_frame_is_known_again_where_it_was_and_where_it_was_moved_to():
    assert KEY.same_frame(replace(KEY, pixel_sha256="cd" * 32))  # the file was replaced: stale, but the same frame
    assert KEY.same_frame(replace(KEY, path="moved/a.dcm"))
    assert not KEY.same_frame(replace(KEY, frame_number=2))
    assert not KEY.same_frame(replace(KEY, path="moved/b.dcm", pixel_sha256="cd" * 32))
    assert not KEY.same_frame(replace(KEY, path="moved/a.dcm", sop_instance_uid="1.2.4"))


def test_raters_stand_side_by_side_and_the_last_word_of_each_counts():
    entries = (
        entry(rater="A", decided_at=AT),
        entry(Action.REJECT, rater="B"),
        entry(Action.COMMENT, rater="A"),
        entry(Action.REJECT, rater="A", decided_at=AT + timedelta(hours=1)),
        entry(Action.FLAG, rater="C"),
        entry(rater="D"),
        entry(Action.WITHDRAW, rater="D"),
        entry(rater="E", frame=replace(KEY, path="other.dcm", pixel_sha256="cd" * 32)),
    )
    assert {rater: each.action for rater, each in standing(entries, KEY).items()} == {"A": Action.REJECT, "B": Action.REJECT}
    assert set(flagged(entries, KEY)) == {"C"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rater": "  "},
        {"rater": "x" * 81},
        {"action": Action.REJECT, "reason": " "},
        {"action": Action.COMMENT, "reason": ""},
        {"reason": "x" * 2001},
        {"decided_at": datetime(2026, 1, 1)},
    ],
)
def test_an_entry_without_its_essentials_is_refused(wrong):
    with pytest.raises(ValueError, match=r"rater|reason|time"):
        entry(**wrong)


def test_to_correct_needs_corrections():
    with pytest.raises(ValueError, match="corrections"):
        decide(assessment(), Action.CORRECT, rater="A")


def test_no_patient_stands_in_the_ledger(tmp_path):
    make_dicom(tmp_path / "a.dcm", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    (image,) = find_images([tmp_path / "a.dcm"])
    base = assess_frame(next(iter(read_frames(image, scale=PROFILE.scale))), profile=PROFILE)
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).append(decide(base, Action.REJECT, rater="A", reason="no picture"))
    data = path.read_bytes()
    assert b"no picture" in data
    for secret in (PATIENT_NAME, PATIENT_ID, PATIENT_NAME.split("^")[0]):
        assert secret.encode() not in data
    assert str(tmp_path).encode() not in data
