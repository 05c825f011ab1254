"""The command line: one clear line and the right exit status for everything that can be asked wrongly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from build_dicom import make_dicom
from typer.testing import CliRunner

from marrowpoint.cli import app


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def picture(tmp_path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 4000, (96, 96)).astype(np.uint16)
    return make_dicom(tmp_path / "view_1.dcm", pixels)


def test_a_run_writes_everything_and_says_where(picture, tmp_path) -> None:
    result = invoke("analyze", picture, "--out", tmp_path / "out", "--needle", "11G", "--masks")
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [record["record"] for record in records] == ["frame", "study"]
    for name in ("results.jsonl", "index.html", "overlays"):
        assert str(tmp_path / "out" / name) in result.stdout
    assert result.stdout.count("Research and quality review only.") == 1
    assert "view_1.dcm" in result.stdout


def test_a_bad_file_is_named_on_stderr_and_the_status_is_one(picture, tmp_path) -> None:
    (picture.parent / "bad.dcm").write_bytes(b"\0" * 500)
    result = invoke("analyze", picture.parent, "--out", tmp_path / "out")
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if "bad.dcm" in line]
    assert len(lines) == 1
    records = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [record["record"] for record in records] == ["frame", "study", "failure"]


WRONG = {
    "needle": (["--needle", "thick"], "thick"),
    "wire gauge": (["--needle", "8"], "8"),
    "view": (["--view", "sideways"], "sideways"),
    "profile": (["--profile", "nowhere.toml"], "nowhere.toml"),
    "procedure": (["--procedure", "nowhere.csv"], "nowhere.csv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_one_line_and_status_two(picture, tmp_path, case) -> None:
    arguments, named = WRONG[case]
    result = invoke("analyze", picture, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert named in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_path_is_one_line_and_status_two(tmp_path) -> None:
    result = invoke("analyze", tmp_path / "nothing.dcm", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.strip().count("\n") == 0
    assert "does not exist" in result.stderr


def test_a_folder_without_pictures_is_wrong_use(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    result = invoke("analyze", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no DICOM" in result.stderr


def test_an_unwritable_out_is_one_line_and_status_two(picture, tmp_path) -> None:
    (tmp_path / "taken").write_text("a file")
    for out in (tmp_path / "taken", tmp_path / "taken" / "below", Path("/proc/nothing")):
        result = invoke("analyze", picture, "--out", out)
        assert result.exit_code == 2
        assert result.stderr.strip().count("\n") == 0
        assert str(out) in result.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["analyze"], ["frobnicate"], ["analyze", "x", "--out"], ["audit", "x"]]
)
def test_wrong_use_is_status_two(arguments) -> None:
    assert invoke(*arguments).exit_code == 2


def test_version_and_help() -> None:
    assert invoke("--version").stdout.startswith("marrowpoint ")
    assert "--procedure" in invoke("analyze", "--help").stdout


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_so_and_leaves_nothing_that_looks_whole(tmp_path, stop) -> None:
    pixels = np.random.default_rng(3).integers(0, 4000, (500, 96, 96)).astype(np.uint16)
    make_dicom(tmp_path / "long.dcm", pixels, frames=500)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "marrowpoint", "analyze", str(tmp_path / "long.dcm"), "--out", str(out)]
    # what a terminal does: a background shell would have its children ignore the keyboard
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, preexec_fn=heard) as process:  # noqa: PLW1509
        until = time.monotonic() + 60
        while not list(out.rglob("*.png")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(stop)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.strip().splitlines()[-1].startswith("stopped:")
    assert not (out / "results.jsonl").exists()
    assert not (out / "index.html").exists()
    assert not list(out.rglob("*.part"))
