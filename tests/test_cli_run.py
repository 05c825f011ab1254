"""``marrowpoint run`` on runs that cannot be answered: each is written as a file, and each gets its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, make_dataset, make_dicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless
from run_frames import disc, make_run
from typer.testing import CliRunner

from marrowpoint.cli import app

COUNT, LEFT = 14, 6
POOL = disc(120.0, 140.0, 14.0, 0.12)
GOOD_NEWS = {"spread_at_target", "local_pool"}


def stored(frames: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.round(frame * 60000) for frame in frames]).astype(np.uint16)


def pixels(added: Callable[[int], np.ndarray | None] = lambda i: POOL if i >= 8 else None) -> list[np.ndarray]:
    return [frame.pixels for frame in make_run(COUNT, added)]


def written(folder: Path, name: str, frames: list[np.ndarray], **tags: Any) -> None:
    make_dicom(folder / f"{name}.dcm", stored(frames), frames=len(frames), **{"FrameTime": "100", **tags})


def closed_in(picture: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(picture.shape)
    return np.where((abs(rows - 127.5) < 62) & (abs(columns - 127.5) < 62), picture, 0).astype(np.float32)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every run of a folder in one go; by name, its record or its failure."""
    folder, out = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("out")
    plain = pixels()
    written(folder, "one", plain[:1])
    written(folder, "early", pixels(lambda i: POOL * min(1.0, 0.3 + 0.2 * i)))
    written(folder, "always", pixels(lambda _: POOL))
    written(folder, "zoom", [cv2.resize(p[40:-40, 40:-40], (256, 256)) if i >= 7 else p for i, p in enumerate(plain)])
    written(folder, "collimator", [closed_in(p) if i >= 7 else p for i, p in enumerate(plain)])
    written(folder, "untimed", plain, FrameTime="")
    written(folder, "contradictory", plain, CineRate="30")
    short = make_dataset(stored(plain), frames=COUNT, FrameTime="100")
    short.PixelData = short.PixelData[: LEFT * 256 * 256 * 2 + 1000]
    short.save_as(folder / "short.dcm", enforce_file_format=True)
    # one frame that cannot be decoded ends a run whose frames before it can
    damaged = make_dataset(stored(plain), frames=COUNT, FrameTime="100")
    damaged.compress(RLELossless)
    pieces = list(generate_frames(damaged.PixelData, number_of_frames=COUNT))
    pieces[LEFT] = pieces[LEFT][:64] + bytes(len(pieces[LEFT]) - 64)
    damaged.PixelData = encapsulate(pieces)
    damaged.save_as(folder / "damaged.dcm", enforce_file_format=True)
    (folder / "text.dcm").write_text("no picture")
    result = CliRunner().invoke(app, ["run", str(folder), "--out", str(out)])
    assert result.exit_code in (0, 1), result.output
    assert PATIENT_ID not in result.output and PATIENT_NAME not in result.output
    found = {}
    for line in (out / "results.jsonl").read_text().splitlines():
        record = json.loads(line)
        source = record["source"]
        found[Path(source["path"] if "path" in source else source["paths"][0]).stem] = record
    return found


def reasons(record: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in record["verdict"]["reasons"]]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("one", {"one_frame"}),
        ("early", {"no_mask"}),
        ("zoom", {"zoom_changed", "view_changed"}),
        ("collimator", {"collimator_changed", "view_changed"}),
    ],
)
def test_a_run_that_cannot_be_answered_says_why(records: dict[str, dict[str, Any]], name: str, codes: set[str]) -> None:
    record = records[name]
    assert record["record"] == "run"
    assert record["verdict"]["code"] == "not_assessable"
    assert codes & set(reasons(record)), reasons(record)


def test_contrast_all_along_is_no_good_news(records: dict[str, dict[str, Any]]) -> None:
    record = records["always"]
    assert record["verdict"]["code"] in ("no_contrast_seen", "not_assessable")
    assert any("before its first frame cannot be told" in reason["text"] for reason in record["verdict"]["reasons"])


@pytest.mark.parametrize(("name", "code"), [("untimed", "frame_times_missing"), ("contradictory", "frame_times_contradictory")])
def test_without_times_contrast_is_seen_and_no_time_is_said(records: dict[str, dict[str, Any]], name: str, code: str) -> None:
    record = records[name]
    assert code in reasons(record) and "times_unknown" in record["verdict"]["flags"]
    assert record["contrast"]["onset_frame"] is not None
    assert record["contrast"]["time_to_peak_s"] is None and record["contrast"]["front_speed"] is None


def test_a_damaged_run_tells_how_far_it_goes(records: dict[str, dict[str, Any]]) -> None:
    verdict = records["damaged"]["verdict"]
    assert verdict["code"] == "not_assessable" and "run_incomplete" in verdict["flags"]
    assert any(f"Only {LEFT} frames" in reason["text"] for reason in verdict["reasons"])


def test_what_is_no_run_is_a_failure(records: dict[str, dict[str, Any]]) -> None:
    assert records["text"]["record"] == "failure" and records["text"]["error"]["code"] == "not_dicom"
    assert records["short"]["record"] == "failure" and records["short"]["error"]["code"] == "truncated"


def test_nothing_bad_is_good_news(records: dict[str, dict[str, Any]]) -> None:
    answered = {"untimed", "contradictory"}
    codes = {name: record["verdict"]["code"] for name, record in records.items() if "verdict" in record}
    assert answered < set(codes)
    assert not {code for name, code in codes.items() if name not in answered} & GOOD_NEWS
