"""Runs on the cards: film strip cut into its pictures, curves with their interval, and which frames stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from build_audit import PROVENANCE, UID, frame, length, procedure

from marrowpoint.assessment import Provenance
from marrowpoint.audit.cards import make_cards
from marrowpoint.audit.cards_run import FEW_FRAMES, shown_frames
from marrowpoint.audit.charts_run import draw_curve
from marrowpoint.audit.drawing import Line, Words
from marrowpoint.audit.facts_run import Curve, RunEvent
from marrowpoint.frame import FrameReference, View
from marrowpoint.report.run_strip import strip_png
from marrowpoint.runs.run import RunAssessment, RunTimes, StripPicture
from marrowpoint.verdict import Code, Verdict

COUNT = 20
EVENT = {"code": "cortex_reached", "frame": 5, "earliest": 5, "latest": 5, "time_s": 2.0, "text": "at the <b>"}


def needle_run(**changed: Any) -> dict[str, Any]:
    points = [
        {"frame": k + 1, "state": "seen", "tip_xy": [1, 1], "advance": length(0.5 * k, 0.25), "tip_to_cortex": length(k - 4)}
        for k in range(COUNT)
    ]
    return {
        "record": "run",
        "source": {
            "paths": ["cine.dcm"], "study_instance_uid": UID, "acquired": "2026-03-02T10:00:00", "frames": COUNT,
            "rows": 80, "columns": 40,
        },
        "times": {"seconds": [0.5 * k for k in range(COUNT)], "origin": "by hand"},
        "needle": {"unit": "mm", "key_frames": [1, 5, 20], "events": [EVENT], "points": points},
        "contrast": None,
        "verdict": {"code": "needle_followed", "text": "Needle followed", "flags": [], "reasons": []},
        "strip": None,
        "provenance": PROVENANCE,
    } | changed  # fmt: skip


def cine(worst: int = 9) -> list[dict[str, Any]]:
    """Frames of the run, one of them in a wrong spot."""
    records = []
    for k in range(COUNT):
        code = Code.THIN_BONE if k + 1 == worst else Code.INDETERMINATE
        record = frame("cine.dcm", code)
        record["source"] |= {"frame": k + 1, "number_of_frames": COUNT}
        records.append(record)
    return records


def test_a_long_run_keeps_its_telling_frames_and_the_worst_one() -> None:
    found = shown_frames(procedure([*cine(), needle_run()]))
    assert found == {f"cine.dcm#{k}" for k in (1, 5, 9, 20)}


def test_a_short_run_is_shown_whole() -> None:
    records = cine()[:FEW_FRAMES]
    assert len(shown_frames(procedure([*records, needle_run()]))) == FEW_FRAMES


def strip(rows: int, columns: int, tiles: int) -> bytes:
    """A strip whose pictures are each of one grey, from dark to bright."""
    pictures = tuple(
        StripPicture(frame=k, label=f"frame {k + 1}", picture=np.full((rows, columns), (k + 1) / 8, np.float32))
        for k in range(tiles)
    )
    provenance = Provenance(marrowpoint="0", profile="p", profile_sha256="ab")
    run = RunAssessment(
        references=(FrameReference(path="cine.dcm", rows=rows, columns=columns),), view=View(),
        times=RunTimes(seconds=None, origin=""), verdict=Verdict(code=Code.NEEDLE_FOLLOWED, text="x"), provenance=provenance,
        strip=pictures,
    )  # fmt: skip
    return strip_png(run)


@pytest.mark.parametrize(("rows", "columns"), [(80, 80), (80, 40), (40, 80), (97, 61)])
@pytest.mark.parametrize("tiles", [1, 3, 6])
def test_the_strip_comes_apart_into_its_pictures(tmp_path, rows, columns, tiles) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "s.png").write_bytes(strip(rows, columns, tiles))
    record = needle_run(strip="runs/s.png")
    record["source"] |= {"rows": rows, "columns": columns}
    cards = make_cards([procedure([*cine(), record])], {}, pictures=tmp_path, beside=tmp_path, side_px=100, identities={})
    (view,) = next(cards).runs
    assert view.link == "runs/s.png"
    greys = []
    for jpeg in view.tiles:
        tile = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        middle = tile[tile.shape[0] // 2, 3:-3].astype(float)
        assert np.ptp(middle) < 4  # of one picture alone
        greys.append(middle.mean() / 255)
    assert greys == pytest.approx([(k + 1) / 8 for k in range(tiles)], abs=0.02)


def test_a_curve_keeps_its_numbers_and_its_events() -> None:
    curve = Curve(
        name="tip to cortex", unit="mm", points=((0.0, -4.0, -5.0, -3.0), (1.0, 0.0, -1.0, 1.0), (2.0, 6.0, 5.0, 8.0))
    )
    drawing = draw_curve(curve, (RunEvent(at=1.0, words="a"), RunEvent(at=1.0, words="b")), timed=True)
    path = max((mark for mark in drawing.marks if isinstance(mark, Line)), key=lambda line: len(line.points))
    (x0, y0), (x1, y1), (x2, y2) = path.points
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert (y1 - y2) / (y0 - y1) == pytest.approx(6 / 4)
    named = {mark.text: mark for mark in drawing.marks if isinstance(mark, Words)}
    assert {"1", "2", "seconds"} <= named.keys()
    assert all(0 <= mark.x <= drawing.width and 0 <= mark.y <= drawing.height for mark in named.values())


@pytest.mark.parametrize("points", [((3.0, 0.0, 0.0, 0.0),), ((1.0, 2.0, 2.0, 2.0), (2.0, 2.0, 2.0, 2.0))])
def test_a_flat_curve_can_be_drawn(points) -> None:
    drawing = draw_curve(Curve(name="way", unit="px", points=points), (), timed=False)
    every = [value for mark in drawing.marks if isinstance(mark, Line) for point in mark.points for value in point]
    assert np.isfinite(every).all()


def test_the_card_tells_curves_events_and_what_is_left_out(tmp_path: Path) -> None:
    card = next(
        make_cards([procedure([*cine(), needle_run()])], {}, pictures=tmp_path, beside=tmp_path, side_px=0, identities={})
    )
    (view,) = card.runs
    assert [curve.title for curve in view.curves] == ["Way along the shaft, mm", "Tip to cortex, mm"]
    assert view.events == ("Cortex reached: at the <b>",)
    assert view.shown.startswith(f"4 of its {COUNT} frames")
    assert (view.name, view.words) == ("cine.dcm", "Needle followed")
    assert sum(len(position.pictures) for position in card.positions) + len(card.loose) == 4
