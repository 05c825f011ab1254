"""The napari plugin: pure translation, a reader that never raises, a manifest that is valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from build_dicom import make_dicom
from drawn import bare_assessment, drawn_assessment

import napari_marrowpoint
from napari_marrowpoint.layers import assessment_layers
from napari_marrowpoint.reader import NOTHING, get_reader, read_layers


def test_layers_keep_row_column_and_share_one_scale() -> None:
    layers = assessment_layers(drawn_assessment())
    assert [kind for _, _, kind in layers] == ["image", "shapes", "shapes", "points"]
    assert {attributes["scale"] for _, attributes, _ in layers} == {(0.2, 0.2)}
    assert {attributes["units"] for _, attributes, _ in layers} == {("mm", "mm")}
    assert np.array_equal(layers[-1][0], [[90.0, 140.0], [90.0, 260.0], [90.0, 240.0]])


def test_a_frame_in_which_nothing_was_found_is_a_picture_in_pixels() -> None:
    ((pixels, attributes, kind),) = assessment_layers(bare_assessment())
    assert kind == "image"
    assert pixels.shape == (200, 300)
    assert attributes["units"] == ("px", "px")


def test_the_reader_takes_what_holds_a_picture(tmp_path) -> None:
    make_dicom(tmp_path / "a.dcm", np.random.default_rng(1).integers(0, 4000, (96, 96)).astype(np.uint16))
    reader = get_reader(str(tmp_path))
    assert reader is not None
    assert reader(str(tmp_path))[0][2] == "image"


def test_the_reader_declines_an_empty_folder(tmp_path) -> None:
    assert get_reader(str(tmp_path)) is None


def test_a_broken_file_becomes_a_warning_and_an_empty_layer(tmp_path) -> None:
    (tmp_path / "bad.dcm").write_bytes(b"not a picture")
    with pytest.warns(UserWarning, match=r"bad\.dcm"):
        assert read_layers(str(tmp_path / "bad.dcm")) == NOTHING


def test_the_manifest_names_things_that_exist() -> None:
    text = (Path(napari_marrowpoint.__file__).parent / "napari.yaml").read_text()
    assert "napari_marrowpoint.reader:get_reader" in text
    assert text.startswith("name: marrowpoint\n")
