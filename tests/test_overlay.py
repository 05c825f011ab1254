"""The overlay: readable on any frame, for any eye, and never over the tip."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from drawn import RIGHT, bare_assessment, drawn_assessment, drawn_cortex, drawn_frame, drawn_needle, mm
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from marrowpoint.frame import Calibration, SpacingSource, View, ViewKind
from marrowpoint.measurement import Bound
from marrowpoint.report.greys import Window, grey_levels
from marrowpoint.report.icons import _key, draw_icon
from marrowpoint.report.ink import SEVERITY_COLOUR, SKY, WHITE, dashes, letters, plain, wrap
from marrowpoint.report.marks import draw_marks, thin_borders
from marrowpoint.report.overlay import _bar, draw_overlay, encode_png
from marrowpoint.report.words import FLAG_WORDS, SCALE_WORDS, VIEW_WORDS, in_words, next_view
from marrowpoint.verdict import Code, Flag, Severity, Verdict

# Machado, Oliveira and Fernandes (2009), simulation of colour vision deficiency, severity 1.0
COLOUR_BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize("shape", [(64, 64), (256, 256), (768, 1024), (1500, 700), (2048, 2048), (40, 900)])
def test_every_size_gives_a_picture_that_is_not_smaller(shape) -> None:
    picture = draw_overlay(bare_assessment(frame=drawn_frame(shape)))
    assert picture.dtype == np.uint8
    assert picture.shape[0] > shape[0]
    assert picture.shape[1] > shape[1]


def test_a_large_frame_is_shown_pixel_by_pixel() -> None:
    assessment = bare_assessment(frame=drawn_frame((1200, 1300)))
    picture = draw_overlay(assessment)
    grey = grey_levels(assessment)
    margin = round(20 * 1.3)
    starts = [
        r for r in range(picture.shape[0] - 1200) if np.array_equal(picture[r : r + 1200, margin : margin + 1300, 0], grey)
    ]
    assert len(starts) == 1


@given(st.integers(5, 195), st.integers(5, 295), st.floats(0, 6.28))
def test_nothing_covers_the_tip(row, column, angle) -> None:
    tip = (float(row), float(column))
    needle = drawn_needle(tip=tip, axis=(np.sin(angle), np.cos(angle)), tip_sd_along_px=4.0, tip_sd_across_px=4.0)
    assessment = drawn_assessment(needle=needle, cortex=None, placement=None)
    base = np.full((600, 900, 3), 120, np.uint8)
    window = Window(row=1 / 6 - 0.5, column=1 / 6 - 0.5, zoom=3.0, line_px=2.0)
    drawn = draw_marks(base, assessment, window, None)
    r, c = (round(x) for x in window.place(np.array(tip))[0])
    around = (slice(max(r - 6, 0), r + 7), slice(max(c - 6, 0), c + 7))
    assert np.array_equal(drawn[around], base[around])
    assert not np.array_equal(drawn, base)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_outline_stands_out_on_any_grey(grey) -> None:
    base = np.full((200, 300, 3), grey, np.uint8)
    drawn = draw_marks(base, drawn_assessment(needle=None, placement=None), Window(row=0, column=0, zoom=1, line_px=2), None)
    column = drawn[30:50, 150].astype(int)
    assert (np.abs(column - SKY).max(axis=1) < 30).any()
    # the rim is darker than the line by far, so that the line shows even on its own grey
    assert column.sum(axis=1).min() < sum(SKY) / 3


def test_marks_lie_where_they_were_found() -> None:
    base = np.zeros((400, 600, 3), np.uint8)
    window = Window(row=0.25 - 0.5, column=0.25 - 0.5, zoom=2.0, line_px=2.0)
    drawn = draw_marks(base, drawn_assessment(needle=None, placement=None), window, None)
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - SKY).max(axis=2) < 40)
    # row 40 of the frame is row 40.5 * 2 - 0.5 of a picture enlarged by two
    assert abs(rows.min() - 80.5) <= 1.5
    assert abs(rows.max() - 320.5) <= 1.5
    assert abs(columns.min() - 120.5) <= 1.5
    assert abs(columns.max() - 480.5) <= 1.5


def test_an_uncertain_outline_is_dashed_and_named_so() -> None:
    def sky(confidence: float, *flags: Flag) -> tuple[int, list[str]]:
        sure = drawn_assessment(needle=None, placement=None, cortex=drawn_cortex(thin=True))
        verdict = Verdict(code=Code.NOT_ASSESSABLE, text="Cannot tell", flags=flags)
        shown = replace(sure, cortex=replace(sure.cortex, confidence=confidence), verdict=verdict)
        base = np.full((600, 900, 3), 120, np.uint8)
        drawn = draw_marks(base, shown, Window(row=1 / 6 - 0.5, column=1 / 6 - 0.5, zoom=3.0, line_px=2.0), None)
        with_border = draw_marks(base, shown, Window(row=1 / 6 - 0.5, column=1 / 6 - 0.5, zoom=3.0, line_px=2.0), 5.5)
        assert np.array_equal(drawn, with_border) == (confidence < 0.75), "thin bone on an outline that nobody trusts"
        return int(np.all(drawn == SKY, axis=2).sum()), [name for name, _, dashed in _key(shown) if dashed]

    whole, named = sky(0.9)
    assert named == ["thin bone"]
    for doubtful, named in (sky(0.02), sky(0.6, Flag.LOW_CONFIDENCE_BONE)):
        assert 0.3 * whole < doubtful < 0.7 * whole
        assert named == ["hip bone, uncertain"]


def test_thin_bone_is_bordered_where_it_begins_and_not_along_the_outline() -> None:
    borders = thin_borders(drawn_cortex(thin=True), 5.5)
    points = np.vstack(borders)
    assert np.abs(points[:, 1] - 149).max() <= 1
    assert points[:, 0].min() < 50
    assert points[:, 0].max() > 150
    assert thin_borders(drawn_cortex(), 5.5) == []
    assert thin_borders(drawn_cortex(thin=True), 1.0) == []


@pytest.mark.parametrize("eye", COLOUR_BLIND)
def test_severities_differ_for_every_eye(eye) -> None:
    seen = {name: np.array(COLOUR_BLIND[eye]) @ np.array(colour) for name, colour in SEVERITY_COLOUR.items()}
    for a, b in combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 25, (a, b)


def test_severities_differ_by_shape_alone() -> None:
    shapes = []
    for severity in Severity:
        page = Image.new("RGB", (60, 60), WHITE)
        draw_icon(ImageDraw.Draw(page), severity, (2, 2), 56)
        shapes.append(np.asarray(page.convert("L")) < 60)
    for a, b in combinations(shapes, 2):
        assert (a ^ b).mean() > 0.05


@given(st.text(max_size=300), st.integers(8, 60), st.floats(80, 900))
def test_wrapped_lines_fit_and_lose_nothing(text, size_px, width_px) -> None:
    lines = wrap(text, size_px, width_px, most_lines=10_000)
    assert all(letters(size_px).getlength(line) <= width_px for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(plain(text).split())


def test_too_many_lines_are_cut_with_a_sign() -> None:
    lines = wrap("word " * 100, 20, 100, most_lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("...")


@given(st.floats(0.01, 2), st.integers(200, 3000), st.floats(1, 8))
def test_the_scale_bar_has_its_length(mm_per_px, width_px, zoom) -> None:
    length, unit, px_per_unit = _bar(width_px, zoom, mm_per_px)
    assert unit == "mm"
    assert length * px_per_unit == pytest.approx(length / mm_per_px * zoom)
    assert 0.1 * width_px < length * px_per_unit < 0.4 * width_px


def test_without_a_scale_the_bar_is_in_pixels() -> None:
    _, unit, px_per_unit = _bar(1000, 4.0, None)
    assert unit == "px"
    assert px_per_unit == 4.0


def test_a_dashed_line_is_half_there() -> None:
    line = np.array([[0.0, 0.0], [0.0, 100.0]])
    pieces = dashes(line, 10.0)
    assert sum(np.hypot(*(piece[-1] - piece[0])) for piece in pieces) == pytest.approx(50.0)


def test_changing_the_verdict_changes_the_picture() -> None:
    good = draw_overlay(drawn_assessment())
    bad = draw_overlay(drawn_assessment(verdict=replace(RIGHT, code=Code.OUTSIDE_BONE, text="Outside the bone")))
    assert good.shape != bad.shape or not np.array_equal(good[:40], bad[:40])


def test_png_keeps_the_colours() -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200
    back = np.asarray(Image.open(io.BytesIO(encode_png(picture))))
    assert np.array_equal(back, picture)


def test_a_gap_outside_is_told_as_a_positive_length() -> None:
    # outside, the printed gap is the least it can be (design section 3)
    assert in_words("tip_to_cortex", mm(-7.0, 1.0, Bound.LOWER)) == ("at least 7.0 mm outside", "6.0 to 8.0")
    assert in_words("tip_to_cortex", mm(7.0, 1.0, Bound.UPPER)) == ("at most 7.0 mm inside", "6.0 to 8.0")
    assert in_words("bone_thickness", mm(7.0, 1.0, Bound.ESTIMATE)) == ("7.0 mm", "6.0 to 8.0")
    # an interval across the cortex names both sides
    both = "0.8 mm outside to 2.4 mm inside"
    assert in_words("tip_to_cortex", mm(0.8, 1.6, Bound.UPPER)) == ("at most 0.8 mm inside", both)
    both = "2.4 mm outside to 0.8 mm inside"
    assert in_words("tip_to_cortex", mm(-0.8, 1.6, Bound.LOWER)) == ("at least 0.8 mm outside", both)


def test_every_word_is_there() -> None:
    assert set(FLAG_WORDS) == set(Flag)
    assert set(SCALE_WORDS) == set(SpacingSource)
    assert set(VIEW_WORDS) == set(ViewKind)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ViewKind.TANGENTIAL, "oblique"),
        (ViewKind.ILIAC_OBLIQUE, "tangential"),
        (ViewKind.AP, "tangential"),
        (ViewKind.UNKNOWN, "state"),
    ],
)
def test_the_next_view_complements_this_one(kind, word) -> None:
    assert word in next_view(View(kind=kind), RIGHT)
    assert next_view(View(kind=kind), Verdict(code=Code.OUTSIDE_BONE, text="Outside")) == ""


def test_a_frame_without_contrast_is_drawn() -> None:
    draw_overlay(drawn_assessment(frame=drawn_frame(grey=0.0)))
    draw_overlay(bare_assessment(frame=drawn_frame(grey=1.0), calibration=Calibration(conflicts=("Pixel Spacing 0 refused",))))
