"""Profiles: every threshold with a source, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
from importlib.resources import files

import pytest

from marrowpoint.errors import InvalidProfile
from marrowpoint.profile import parse_profile
from marrowpoint.read import read_profile

DEFAULT = files("marrowpoint").joinpath("profiles", "default.toml").read_bytes()


def changed(old: str, new: str) -> bytes:
    text = DEFAULT.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


def test_default_is_whole_and_says_which_it_is():
    profile = read_profile()
    assert profile.label == f"{profile.name}@{profile.version}"
    assert profile.sha256 == hashlib.sha256(DEFAULT).hexdigest()
    for section in (profile.verdict, profile.scale):
        assert all(isinstance(value, float) for value in dataclasses.astuple(section))


def test_order_of_the_thresholds_makes_sense():
    verdict, scale = read_profile().verdict, read_profile().scale
    assert 0 < verdict.thin_below_mm < verdict.thick_from_mm
    # half of the quarter inch, to the tenth of a millimetre
    assert verdict.abstain_above_u_mm == pytest.approx(25.4 / 4 / 2, abs=0.05)
    assert scale.fiducial_u <= scale.object_plane_u <= scale.magnification_u <= scale.patient_spacing_u
    assert 0 < scale.min_mm_per_px < scale.max_mm_per_px


def test_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(changed('name = "default"', 'name = "mine"'))
    profile = read_profile(path)
    assert profile.name == "mine"
    assert profile.verdict == read_profile().verdict
    assert profile.sha256 != read_profile().sha256


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"no toml at all",
        b"",
        changed("thin_below_mm", "thin_under_mm"),
        changed("value = 5.5", 'value = "5.5"'),
        changed("value = 5.5", "value = nan"),
        changed("value = 5.5", "value = inf"),
        changed("value = 5.5", "value = true"),
        changed("[scale]", "[scales]"),
        changed('name = "default"', "name = 7"),
        DEFAULT + b'\n[extra]\nx = { value = 1, source = "none" }\n',
        DEFAULT + b'\nx = { value = 1, source = "none" }\n',
        DEFAULT + b'\nx = { value = 1, source = "  " }\n',
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(InvalidProfile) as caught:
        parse_profile(data)
    assert caught.value.code == "invalid_profile"


def test_threshold_without_source_is_refused():
    with pytest.raises(InvalidProfile, match="thin_below_mm"):
        parse_profile(DEFAULT.replace(b'"Hernigou', b'"" # "Hernigou', 1).replace(b'"" #', b'"" } #', 1))


def test_missing_file(tmp_path):
    with pytest.raises(InvalidProfile, match="cannot be opened"):
        read_profile(tmp_path / "missing.toml")


def test_a_profile_from_before_the_audit_still_judges_frames():
    old = parse_profile(DEFAULT[: DEFAULT.index(b"[audit]")])
    assert old.audit is None
    assert old.verdict == read_profile().verdict


def test_an_audit_section_is_whole_or_refused():
    with pytest.raises(InvalidProfile, match=r"audit.*site_ml"):
        parse_profile(changed("site_ml = ", "any_ml = "))


def test_the_order_of_the_audit_thresholds_makes_sense():
    audit = read_profile().audit
    assert audit is not None
    assert 0 < audit.site_ml < audit.site_wrong_ml
    assert 0 < audit.sites_too_few < audit.sites_from < audit.sites_up_to
    assert 0 < audit.total_from_ml < audit.total_up_to_ml
    assert audit.straight_warning_mm < audit.straight_limit_mm < audit.path_limit_mm
