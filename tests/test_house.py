"""The house keeps its own rules: documents that speak of things that exist, nothing of this machine, light arguments."""

from __future__ import annotations

import csv
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marrowpoint.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_option_of_the_readme_exists() -> None:
    told = set(re.findall(r"`(--[a-z]+)", README))
    known = "".join(CliRunner().invoke(app, [name, "--help"]).stdout for name in ("analyze", "audit", "dicom", "export", "run"))
    assert told
    assert all(option in known for option in told)


def test_every_path_of_the_readme_exists() -> None:
    for name in re.findall(r"`([\w./]+\.(?:md|toml|dcm|csv|txt))`", README):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_two_commands_are_one_line_each(name) -> None:
    block = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert block is not None
    assert block[1].count("\n") == 1
    assert shlex.split(block[1])[:3] == ["python3", "-m", "venv"]


def test_the_declared_needles_belong_to_sample_files() -> None:
    truth = tomllib.loads((ROOT / "sample_dicom" / "truth.toml").read_text("utf-8"))
    with (ROOT / "sample_dicom" / "procedure.csv").open(newline="") as sheet:
        declared = {row["study_instance_uid"] for row in csv.DictReader(sheet)}
    assert declared <= {entry.get("study_instance_uid") for entry in truth.values()}


def test_constraints_are_plain() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9._-]+==[\w.+!]+( ; .+)?", line) for line in lines)
    names = {line.split("==")[0] for line in lines}
    assert not names & {"opencv-python", "pylibjpeg-libjpeg", "torch", "marrowpoint"}


def test_modules_stay_short() -> None:
    lengths = {
        path: len(path.read_text("utf-8").splitlines())
        for folder in ("src", "plugins")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {path.name: count for path, count in lengths.items() if count > 350} == {}
