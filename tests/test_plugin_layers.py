"""What the plugin draws and says, without a window: marks, words, the lazy stack, outline points, keys."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, make_dataset, make_dicom, write_dicom
from drawn import bare_assessment, drawn_assessment, drawn_cortex, drawn_frame, drawn_needle

from marrowpoint.errors import UnreadableImage
from marrowpoint.frame import Calibration
from marrowpoint.read import find_images, read_profile
from marrowpoint.review import Corrections
from marrowpoint.review.livewire import is_closed
from napari_marrowpoint.keys import FAR, KEYS
from napari_marrowpoint.layers import (
    BONE,
    NEEDLE,
    PICTURE,
    THICKNESS,
    Line,
    assessment_layers,
    ground_of,
    marks_of,
    picture_looks,
    thickness_layer,
)
from napari_marrowpoint.reader import read_layers
from napari_marrowpoint.stack import KEPT, FrameStack
from napari_marrowpoint.words import as_html, chapters, headline, numbers

SCALE = read_profile().scale


def stack_of(path: Path) -> FrameStack:
    (image,) = find_images([path])
    return FrameStack([image], SCALE)


def test_the_distance_is_written_beside_the_cortex_and_the_depth_beside_the_entry() -> None:
    marks = marks_of(drawn_assessment())
    told = {label.text: label.at for label in marks.labels}
    assert told == {"10.0 mm": (40.0, 140.0), "depth at least 20.0 mm": (90.0, 240.0)}
    ends = [line.points for line in marks.lines[NEEDLE] if len(line.points) == 2]
    assert any(np.array_equal(points, [[90, 140], [40, 140]]) for points in ends)


def test_the_shaft_is_drawn_beside_its_metal_and_clear_of_the_tip() -> None:
    needle = drawn_needle()
    sides = marks_of(drawn_assessment()).lines[NEEDLE][:2]
    for line in sides:
        rows, columns = line.points.T
        assert np.all(np.abs(rows - needle.tip[0]) > needle.width_px / 2)
        assert columns.min() > needle.tip[1] + needle.width_px


def test_the_ellipse_of_the_tip_is_its_95_percent() -> None:
    needle = drawn_needle()
    ring = next(line.points for line in marks_of(drawn_assessment()).lines[NEEDLE] if len(line.points) > 10) - needle.tip
    assert np.abs(ring[:, 1]).max() == pytest.approx(2 * needle.tip_sd_along_px, rel=1e-3)  # along the shaft: columns
    assert np.abs(ring[:, 0]).max() == pytest.approx(2 * needle.tip_sd_across_px, rel=1e-3)


def test_candidates_are_dashed_and_never_the_needle() -> None:
    marks = marks_of(bare_assessment(candidates=(drawn_needle(), drawn_needle((50.0, 60.0)))))
    assert len(marks.handles) == 0
    assert all(line.dashed for line in marks.lines[NEEDLE])
    assert [label.text for label in marks.labels] == ["needle (1)?", "needle (2)?"]


def test_a_moved_needle_leaves_the_outline_where_it_is() -> None:
    assert BONE not in marks_of(drawn_assessment(), outline=False).lines
    assert BONE in marks_of(drawn_assessment()).lines


def test_every_second_dash_is_left_out() -> None:
    points = np.array([[0.0, 0.0], [0.0, 70.0]])
    whole, dashed = Line(points=points, colour="w").segments(), Line(points=points, colour="w", dash_px=7.0).segments()
    assert np.hypot(*whole[:, 1].T).sum() == 70
    assert 30 < np.hypot(*dashed[:, 1].T).sum() < 40


def test_the_thickness_map_covers_the_frame_it_belongs_to() -> None:
    shape = (200, 300)
    cortex = drawn_cortex(shape, thin=True)
    coarse = replace(cortex.thickness, median_mm=cortex.thickness.median_mm[::10, ::10])
    data, looks = thickness_layer(drawn_assessment(cortex=replace(cortex, thickness=coarse)))
    assert np.isnan(data[0, 0])
    # corners of the map's outermost cells are those of the frame's outermost pixels
    for axis, (count, size) in enumerate(zip(data.shape, shape, strict=True)):
        first = looks["translate"][axis] - looks["scale"][axis] / 2
        last = first + count * looks["scale"][axis]
        assert first == pytest.approx(-0.5 * 0.2)
        assert last == pytest.approx((size - 0.5) * 0.2)


def test_without_a_scale_everything_is_in_pixels() -> None:
    ground = ground_of(Calibration())
    assert ground.attributes(3) == {"scale": (1.0, 1.0, 1.0), "units": ("px", "px", "px")}


def test_monochrome1_is_shown_as_the_file_asks() -> None:
    frame = drawn_assessment().frame
    assert picture_looks(frame)["colormap"] == "gray"
    assert picture_looks(replace(frame, low_is_bright=True))["colormap"] == "gray_r"


def test_a_run_is_read_frame_by_frame_and_few_are_kept(tmp_path: Path) -> None:
    side, count = 128, 60
    run = (np.arange(count)[:, None, None] * 40 + np.zeros((1, side, side))).astype(np.uint16)
    stack = stack_of(make_dicom(tmp_path / "run.dcm", run, frames=count, bits=12))
    assert stack.shape == (count, side, side)
    assert len(stack) == count
    levels = [float(stack[k].mean()) for k in range(count)]
    assert np.all(np.diff(levels) > 0)
    assert stack[3:6].shape == (3, side, side)
    assert np.array_equal(stack[-1], stack[count - 1])
    assert float(stack[2, 5, 7]) == pytest.approx(levels[2])
    tracemalloc.start()
    for k in range(count):
        stack[k]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (KEPT + 6) * side * side * 6


def test_a_damaged_frame_is_black_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of(make_dicom(tmp_path / "run.dcm", np.full((3, 32, 32), 900, np.uint16), frames=3, bits=12))

    def torn(*args: object, **more: object) -> None:
        raise UnreadableImage("cannot_decode", "the pixels are torn")

    monkeypatch.setattr("napari_marrowpoint.stack.read_frame", torn)
    assert not stack[2].any()
    assert stack.damaged == {3: "the pixels are torn"}


def test_a_run_without_a_window_is_one_lazy_layer(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "run.dcm", np.full((5, 32, 32), 900, np.uint16), frames=5, bits=12)
    ((data, attributes, kind),) = read_layers(str(path))
    assert kind == "image"
    assert data.shape == (5, 32, 32)
    assert len(attributes["scale"]) == 3
    assert attributes["contrast_limits"][0] < attributes["contrast_limits"][1]


def test_no_layer_knows_the_patient(tmp_path: Path) -> None:
    dataset = make_dataset(np.random.default_rng(3).integers(0, 4000, (64, 64)).astype(np.uint16))
    layer, *_ = read_layers(str(write_dicom(tmp_path / "a.dcm", dataset)))
    assert PATIENT_NAME.split("^")[0] not in str(layer[1])
    assert PATIENT_ID not in str(layer[1])
    assert str(tmp_path) not in str(layer[1])


def test_the_reasons_name_what_is_missing_what_is_next_and_who_set_what() -> None:
    corrections = Corrections().changed(by="K. M.", tip=(90.0, 140.0))
    told = {each.title: each.sentences for each in chapters(drawn_assessment(), corrections)}
    assert "Because it was drawn so." in told["Why"]
    assert any("Tip to cortex" in text for text in told["From which numbers"])
    assert told["What is missing"] == ("second view needed",)
    assert "iliac oblique" in told["Next picture"][0]
    assert told["Set by hand"][0].startswith("tip, by K. M. at ")
    bare = {each.title: each.sentences for each in chapters(bare_assessment(), Corrections())}
    assert "Tip to cortex was not measured" in bare["What is missing"]
    assert [text.split()[0] for text in bare["What you can do"]] == ["Mark", "Draw", "For"]
    assert "What you can do" not in told
    assert "Set by hand" not in bare


def test_the_headline_is_the_length_with_its_side() -> None:
    assert headline(drawn_assessment()) == "at most 10.0 mm inside"
    assert headline(bare_assessment()) == ""
    assert ("Tip to cortex", "not measured") in numbers(bare_assessment())


def test_words_of_a_file_are_no_markup() -> None:
    frame = drawn_assessment()
    verdict = replace(frame.verdict, text="<script>alert(1)</script>")
    assert "<script>" not in as_html(chapters(replace(frame, verdict=verdict), Corrections()))


def test_no_key_does_two_things_and_each_one_exists() -> None:
    every = [sequence for key in KEYS for sequence in key.keys] + list(FAR.values())
    assert len(every) == len(set(every))
    assert set(FAR) <= {key.does for key in KEYS}


def test_layers_of_a_reader_say_where_they_come_from() -> None:
    note = assessment_layers(drawn_assessment())[0][1]["metadata"]["marrowpoint"]
    assert note["verdict"] == "projected_in_thick_bone"
    assert note["frame"] == "folder/view_1.dcm"


def test_an_outline_keeps_its_shape_with_few_points() -> None:
    pytest.importorskip("psygnal", reason="napari is not installed")
    from marrowpoint.review.lines import joined, sparse  # noqa: PLC0415

    turn = np.linspace(0, 2 * np.pi, 1500)
    ring = np.column_stack([200 + 150 * np.sin(turn), 200 + 100 * np.cos(turn)])
    ring[-1] = ring[0]
    few = sparse(ring)
    assert len(few) < 100
    assert is_closed(few)
    away = [np.abs(np.hypot((r - 200) / 150, (c - 200) / 100) - 1).max() * 100 for r, c in few]
    assert max(away) < 0.6
    bulge = np.array([[200.0, 300.0], [240.0, 340.0], [280.0, 280.0]])
    (changed,) = joined([few], bulge, reach_px=10)
    assert is_closed(changed)
    assert any(np.allclose(point, (240.0, 340.0)) for point in changed)
    assert len(joined([few], np.array([[900.0, 900.0], [950.0, 900.0]]), reach_px=10)) == 2


def test_a_pulled_needle_leaves_every_layer_of_napari_as_it_is() -> None:
    napari = pytest.importorskip("napari.components", reason="napari is not installed")
    from napari_marrowpoint.canvas import Canvas  # noqa: PLC0415

    shown = drawn_assessment(cortex=drawn_cortex(thin=True))
    canvas = Canvas(napari.ViewerModel())
    canvas.show_picture(shown.frame.pixels, shown.frame)
    canvas.show(shown, thin_below_mm=5.5)
    changed, followed = [], []
    for layer in canvas.viewer.layers:
        layer.events.set_data.connect(lambda event: changed.append(event.source.name))
        layer.events.visible.connect(lambda event: changed.append(event.source.name))
    canvas.over_changed.connect(lambda: followed.append(canvas.handle_places()))
    before = canvas.lines_over()
    # another doubt near another tip: the same lines and map
    moved = replace(shown, needle=drawn_needle((95.0, 145.0)), cortex=replace(shown.cortex, edge_sd_px=2.0))
    canvas.show(moved, thin_below_mm=5.5)
    assert changed == [], "napari would send and paint the whole picture at every move of the mouse"
    assert {layer.name for layer in canvas.viewer.layers} == {PICTURE, BONE, THICKNESS}
    assert np.allclose(followed[-1][0], (95.0, 145.0))
    assert not np.array_equal(canvas.lines_over()[0].points, before[0].points)
    canvas.toggle(NEEDLE)
    assert canvas.lines_over() == []
    canvas.clear()
    assert not canvas.viewer.layers
    assert not len(canvas.handle_places())


def test_an_uncertain_outline_is_dashed_until_a_person_vouches_for_it() -> None:
    napari = pytest.importorskip("napari.components", reason="napari is not installed")
    from napari_marrowpoint.canvas import Canvas  # noqa: PLC0415

    sure = drawn_assessment()
    doubtful = replace(sure, cortex=replace(sure.cortex, confidence=0.02))
    assert [line.dashed for line in marks_of(doubtful).lines[BONE]] == [True]
    assert [line.dashed for line in marks_of(sure).lines[BONE]] == [False]
    canvas = Canvas(napari.ViewerModel())
    canvas.show_picture(sure.frame.pixels, sure.frame)
    drawn = []
    for each in (doubtful, sure):  # the same lines, only the trust in them changes
        canvas.show(each)
        drawn.append(float(np.hypot(*canvas.layers[BONE].data[:, 1].T).sum()))
    assert drawn[0] == pytest.approx(drawn[1] / 2, rel=0.1)
    many = replace(doubtful, frame=drawn_frame((1600, 2400)))
    assert marks_of(many).lines[BONE][0].dash_px == 8 * marks_of(doubtful).lines[BONE][0].dash_px
    (outline,) = [data for data, looks, kind in assessment_layers(doubtful) if looks["name"].endswith(BONE)]
    assert len(outline) > 5, "without a window it is dashed too"
