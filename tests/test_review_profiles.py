"""The thresholds as a form, and back to the file that the commands read."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowpoint.errors import InvalidProfile
from marrowpoint.profile import SECTIONS, parse_profile
from marrowpoint.read import read_profile
from marrowpoint.review.profiles import profile_form, profile_toml, save_profile

FORM = profile_form(None)


def test_every_threshold_is_a_field_with_its_value_and_source():
    profile = read_profile()
    wanted = {(section, field.name) for section, kind in SECTIONS.items() for field in dataclasses.fields(kind)}
    assert {(each.section, each.name) for each in FORM.fields} == wanted
    for each in FORM.fields:
        assert getattr(getattr(profile, each.section), each.name) == each.value
        assert len(each.source) > 5


@pytest.mark.parametrize(
    ("section", "name", "unit"),
    [
        ("verdict", "thin_below_mm", "mm"),
        ("scale", "min_mm_per_px", "mm/px"),
        ("scale", "instrument_edge_px", "px"),
        ("study", "separate_from_deg", "deg"),
        ("study", "depth_per_thickness", ""),
        ("scale", "fiducial_u", "relative (k = 2)"),
        ("verdict", "abstain_above_u_mm", "mm"),
        ("verdict", "min_bone_confidence", "0 to 1"),
    ],
)
def test_the_unit_follows_from_the_name(section, name, unit):
    assert FORM.field(section, name).unit == unit


def test_an_unchanged_form_is_the_same_profile():
    there, back = read_profile(), parse_profile(profile_toml(FORM))
    assert replace(back, sha256="") == replace(there, sha256="")


def test_a_saved_form_is_what_the_command_reads(tmp_path):
    path = tmp_path / "mine.toml"
    form = replace(FORM.changed("verdict", "thin_below_mm", 6.5, "our own"), name="mine", version="2")
    saved = save_profile(form, path)
    read = read_profile(path)
    assert saved == read
    assert (read.label, read.verdict.thin_below_mm) == ("mine@2", 6.5)
    again = profile_form(path)
    assert again.field("verdict", "thin_below_mm").source == "our own"
    assert again == form
    assert [each.name for each in tmp_path.iterdir()] == ["mine.toml"]


TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


@given(name=TEXT, source=TEXT.filter(str.strip), value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_come_back(name, source, value):
    form = replace(FORM.changed("verdict", "thin_below_mm", value, source), name=name)
    read = parse_profile(profile_toml(form))
    assert read.name == name
    assert read.verdict.thin_below_mm == value


def test_a_changed_value_without_a_source_says_what_it_was():
    field = FORM.changed("verdict", "thin_below_mm", 6.5).field("verdict", "thin_below_mm")
    assert "5.5" in field.source and "edited" in field.source


def test_a_changed_profile_needs_a_name_of_its_own(tmp_path):
    with pytest.raises(InvalidProfile, match="name of its own"):
        save_profile(FORM.changed("verdict", "thin_below_mm", 6.5), tmp_path / "x.toml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_impossible_value_is_refused_and_the_old_file_stays(tmp_path, value):
    path = tmp_path / "mine.toml"
    mine = replace(FORM, name="mine")
    save_profile(mine, path)
    before = path.read_bytes()
    with pytest.raises(InvalidProfile):
        save_profile(mine.changed("verdict", "thin_below_mm", value, "x"), path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(InvalidProfile, match="cannot be written"):
        save_profile(replace(FORM, name="mine"), tmp_path / "nowhere" / "mine.toml")


def test_an_older_profile_without_the_newer_sections_is_still_a_form(tmp_path):
    older = replace(FORM, name="older", fields=tuple(each for each in FORM.fields if each.section not in ("review", "audit")))
    save_profile(older, tmp_path / "older.toml")
    assert profile_form(tmp_path / "older.toml") == older


def test_an_unknown_threshold_is_no_field():
    with pytest.raises(KeyError, match="thin"):
        FORM.changed("verdict", "thin", 1.0)
