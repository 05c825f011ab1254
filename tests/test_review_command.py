"""``marrowpoint review``: what is wrong is said before a window opens; what is right is handed to the viewer."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marrowpoint.cli import app
from marrowpoint.review.launch import LEDGER, PROFILE, RATER, ReviewRequest, request_from_environment
from marrowpoint.review.ledger import open_ledger


@pytest.fixture
def viewer(monkeypatch):
    """A viewer that only remembers what it was asked for; it stands in for a window, not for the command."""
    asked: list[ReviewRequest] = []
    module = types.ModuleType("napari_marrowpoint.launch")
    module.launch = lambda request: asked.append(request) or 7
    monkeypatch.setitem(sys.modules, "napari_marrowpoint.launch", module)
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: ModuleSpec(name, None) if name == "napari" else known(name, *rest)
    )
    for name in (LEDGER, PROFILE, RATER):
        monkeypatch.delenv(name, raising=False)
    return asked


def invoke(*args):
    return CliRunner().invoke(app, ["review", *map(str, args)])


def test_the_viewer_gets_what_was_asked_for_and_its_status_is_the_commands(viewer, tmp_path):
    result = invoke(tmp_path, "--ledger", tmp_path / "l.sqlite", "--rater", " A. Reader ")
    assert result.exit_code == 7
    assert viewer == [ReviewRequest(folder=tmp_path, ledger=tmp_path / "l.sqlite", rater="A. Reader")]
    assert not (tmp_path / "l.sqlite").exists()
    invoke()
    assert viewer[1] == ReviewRequest()


def test_the_environment_gives_what_the_command_does_not_say(viewer, monkeypatch, tmp_path):
    monkeypatch.setenv(RATER, "B")
    monkeypatch.setenv(LEDGER, str(tmp_path / "env.sqlite"))
    invoke(tmp_path, "--rater", "A")
    assert (viewer[0].rater, viewer[0].ledger) == ("A", tmp_path / "env.sqlite")
    assert request_from_environment({PROFILE: "mine.toml"}) == ReviewRequest(profile=Path("mine.toml"))


def test_what_cannot_be_used_is_named_and_nothing_opens(viewer, tmp_path):
    (tmp_path / "words.txt").write_text("words " * 100)
    newer = open_ledger(tmp_path / "newer.sqlite").path
    base = sqlite3.connect(newer)
    base.execute("PRAGMA user_version = 99")
    base.commit()
    base.close()
    for wrong, named in (
        ([tmp_path / "nowhere"], "nowhere does not exist"),
        ([tmp_path, "--profile", tmp_path / "no.toml"], "no.toml"),
        ([tmp_path, "--profile", tmp_path / "words.txt"], "no TOML"),
        ([tmp_path, "--ledger", tmp_path / "words.txt"], "no review ledger"),
        ([tmp_path, "--ledger", newer], "schema 99"),
        ([tmp_path, "--ledger", tmp_path], "name a file"),
        ([tmp_path, "--rater", "x" * 81], "80 characters"),
    ):
        result = invoke(*wrong)
        assert (result.exit_code, viewer) == (2, [])
        assert named in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_without_a_viewer_the_way_to_one_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    result = invoke(tmp_path)
    assert result.exit_code == 2
    assert "marrowpoint[gui]" in result.stderr
