"""The journal: undo and redo, and nothing lost when the window dies."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_cases import circle
from test_review_ledger import FORKS, KEY, window

from marrowpoint.errors import MarrowpointError
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.journal import open_journal

OTHER = replace(KEY, path="folder/b.dcm", pixel_sha256="cd" * 32)


def state(k: float) -> Corrections:
    return Corrections().changed(by="A", tip=(float(k), 2.0))


def opened(tmp_path, folder=None):
    return open_journal(folder, data_folder=tmp_path)


def test_undo_and_redo_walk_the_states_of_one_frame(tmp_path):
    with opened(tmp_path) as journal:
        assert not journal.can_undo(KEY)
        for k in (1, 2, 3):
            journal.record(KEY, state(k))
        journal.record(OTHER, state(9))
        assert journal.undo(KEY).tip == (2.0, 2.0)
        assert journal.undo(KEY).tip == (1.0, 2.0)
        assert journal.redo(KEY).tip == (2.0, 2.0)
        assert journal.current(OTHER).tip == (9.0, 2.0)
        journal.record(KEY, state(7))
        assert not journal.can_redo(KEY)
        assert [journal.undo(KEY).tip for _ in range(4)] == [(2.0, 2.0), (1.0, 2.0), None, None]
        assert journal.current(KEY).empty and not journal.can_undo(KEY)


def test_the_same_state_twice_is_one_step(tmp_path):
    with opened(tmp_path) as journal:
        once = state(1)
        journal.record(KEY, once)
        journal.record(KEY, once)
        assert journal.undo(KEY).empty


@settings(max_examples=12)
@given(steps=st.lists(st.sampled_from(["set", "undo", "redo", "settle", "reopen"]), max_size=25))
def test_after_any_steps_a_new_window_holds_the_same(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    journal, states, at = opened(folder), [], -1
    for k, step in enumerate(steps):
        match step:
            case "set":
                journal.record(KEY, state(k))
                states, at = [*states[: at + 1], state(k).tip], at + 1
            case "undo":
                journal.undo(KEY)
                at = max(at - 1, -1)
            case "redo":
                journal.redo(KEY)
                at = min(at + 1, len(states) - 1)
            case "settle":
                journal.settle(KEY)
                states, at = [], -1
            case "reopen":
                journal.close()
                journal = opened(folder)
        assert journal.current(KEY).tip == (states[at] if at >= 0 else None)
        assert (journal.can_undo(KEY), journal.can_redo(KEY)) == (at >= 0, at < len(states) - 1)
    journal.close()


def test_only_the_last_steps_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("marrowpoint.review.journal.DEPTH", 7)
    with opened(tmp_path) as journal:
        for k in range(12):
            journal.record(KEY, state(k))
        count = 0
        while journal.can_undo(KEY):
            journal.undo(KEY)
            count += 1
        assert count == 7


def test_an_outline_comes_back_to_the_thousandth_of_a_pixel(tmp_path):
    wanted = Corrections().changed(by="A", outline=(circle(),))
    with opened(tmp_path) as journal:
        journal.record(KEY, wanted)
    with opened(tmp_path) as journal:
        assert journal.current(KEY) == wanted
        assert abs(journal.current(KEY).outline[0] - wanted.outline[0]).max() < 1e-3


def work_until_killed(tmp_path, told) -> None:
    journal = opened(tmp_path)
    with told.open("a", buffering=1) as stream:
        for k in range(100_000):
            journal.record(KEY, state(k).changed(by="A", outline=(circle(),)))
            stream.write(f"{k}\n")


@FORKS
@pytest.mark.parametrize("pause", [0.0, 0.004, 0.013])
def test_a_killed_window_loses_nothing(tmp_path, pause):
    told = tmp_path / "told"
    pid = window(lambda: work_until_killed(tmp_path, told))
    while not told.exists() or told.read_text().count("\n") < 5:
        time.sleep(0.002)
    time.sleep(pause)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    last = int(told.read_text().split()[-1])
    with opened(tmp_path) as journal:
        assert journal.current(KEY).tip[0] in (last, last + 1)
        before = journal.current(KEY).tip[0]
        assert journal.undo(KEY).tip[0] == before - 1
        assert journal.unsettled() == (KEY,)


def test_a_torn_last_line_costs_only_itself(tmp_path):
    with opened(tmp_path) as journal:
        journal.record(KEY, state(1))
        journal.record(KEY, state(2))
        path = journal.path
    whole = path.read_bytes()
    lengths = [len(line) + 1 for line in whole.splitlines()]
    for cut in (1, 2, 3, 40, 100, lengths[1] - 2, lengths[1] - 1):
        path.write_bytes(whole[:-cut])
        with opened(tmp_path) as journal:
            assert journal.current(KEY).tip == ((1.0, 2.0) if cut > 1 else (2.0, 2.0))
            journal.record(OTHER, state(5))
        with opened(tmp_path) as journal:
            assert journal.current(OTHER).tip == (5.0, 2.0)  # what came after the torn line did not join it
            assert journal.lines_lost == 0
            journal.settle(OTHER)


def test_damage_in_the_middle_is_counted_and_the_rest_comes_back(tmp_path):
    with opened(tmp_path) as journal:
        journal.record(KEY, state(1))
        path = journal.path
    line = path.read_bytes()
    for damage in (b"\x00\xff garbage", b"[]", b'{"schema": 99}', b'{"schema":1,"do":"dance","frame":{}}', line.strip()[:-5]):
        path.write_bytes(damage + b"\n" + line)
        with opened(tmp_path) as journal:
            assert journal.lines_lost == 1
            assert journal.current(KEY).tip == (1.0, 2.0)


def test_a_window_that_is_open_keeps_its_journal_to_itself(tmp_path):
    first = opened(tmp_path)
    first.record(KEY, state(1))
    with opened(tmp_path) as second:
        assert second.path != first.path
        assert second.current(KEY).empty
        second.record(KEY, state(2))
        assert first.current(KEY).tip == (1.0, 2.0)
    first.close()
    with opened(tmp_path) as third:  # both windows' states are steps of one history now
        assert {third.current(KEY).tip, third.undo(KEY).tip} == {(1.0, 2.0), (2.0, 2.0)}


def test_journals_of_two_folders_stay_apart(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    with opened(tmp_path, tmp_path / "a") as journal:
        journal.record(KEY, state(1))
    with opened(tmp_path, tmp_path / "b") as journal:
        assert journal.current(KEY).empty
    with opened(tmp_path, tmp_path / "a") as journal:
        assert not journal.current(KEY).empty


def test_a_settled_review_leaves_no_file_behind(tmp_path):
    with opened(tmp_path) as journal:
        journal.record(KEY, state(1))
        journal.settle(KEY)
        path = journal.path
        assert path.exists()
    assert not path.exists()


def test_a_full_disk_is_told_and_the_state_not_taken(tmp_path, monkeypatch):
    with opened(tmp_path) as journal:
        journal.record(KEY, state(1))

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(MarrowpointError, match="No space left") as refused:
            journal.record(KEY, state(2))
        assert refused.value.code == "journal_unwritable"
        assert journal.current(KEY).tip == (1.0, 2.0)
        monkeypatch.undo()
        journal.record(KEY, state(3))
    with opened(tmp_path) as journal:
        assert journal.current(KEY).tip == (3.0, 2.0)
        assert journal.undo(KEY).tip == (1.0, 2.0)


def test_each_line_is_plain_json(tmp_path):
    with opened(tmp_path) as journal:
        journal.record(KEY, state(1))
        (line,) = journal.path.read_text().splitlines()
    tree = json.loads(line)
    assert tree["corrections"]["tip_xy"] == [2.0, 1.0]
    assert tree["corrections"]["set_by"]["tip"]["by"] == "A"
