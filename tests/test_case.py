"""Needle sizes: the Stubs gauge, not the wire gauge, and lengths with their unit."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowpoint.case import OUTER_DIAMETER_MM, Site, parse_needle, stated_diameter_mm
from marrowpoint.errors import InvalidNeedle


@pytest.mark.parametrize(
    ("text", "mm"), [("8G", 4.19), ("11G", 3.05), ("13 g", 2.41), ("25G", 0.51), ("3.05mm", 3.05), ("2,5 MM", 2.5)]
)
def test_sizes(text, mm):
    assert parse_needle(text) == mm


def test_eight_is_not_the_wire_gauge():
    # American wire gauge 8 is 3.26 mm
    assert abs(parse_needle("8G") - 3.26) > 0.9


def test_higher_gauge_is_thinner():
    gauges = sorted(OUTER_DIAMETER_MM, key=lambda gauge: int(gauge[:-1]))
    diameters = [OUTER_DIAMETER_MM[gauge] for gauge in gauges]
    assert diameters == sorted(diameters, reverse=True)


@given(st.integers(30, 600))
def test_length_is_taken_as_written(hundredths):
    assert parse_needle(f"{hundredths / 100}mm") == pytest.approx(hundredths / 100)


@pytest.mark.parametrize("text", ["", "11", "3.05", "12G", "G11", "0.1mm", "30mm", "-3mm", "nanmm", "11G11G", "3.05cm", "<b>"])
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidNeedle) as caught:
        parse_needle(text)
    assert caught.value.code == "invalid_needle"


def rows(*sized: tuple[float, str]) -> tuple[Site, ...]:
    return tuple(Site(study_instance_uid="1.2", needle_od_mm=od, entry_time=entry) for od, entry in sized)


TWO_NEEDLES = rows((3.05, "10:00"), (3.05, "10:20"), (0.72, "2026-01-01T13:30:00"))


@pytest.mark.parametrize(
    ("sites", "taken", "expected"),
    [
        (rows((3.05, ""), (3.05, "10:00")), None, (3.05, False)),
        (TWO_NEEDLES, datetime(2026, 1, 1, 10, 25), (3.05, False)),
        (TWO_NEEDLES, datetime(2026, 1, 1, 13, 31), (0.72, False)),
        (TWO_NEEDLES, datetime(2026, 1, 1, 9, 59), (None, True)),
        (TWO_NEEDLES, None, (None, True)),
        (rows((3.05, "10:00"), (0.72, "")), datetime(2026, 1, 1, 10, 25), (None, True)),
        (rows((3.05, "10:00"), (0.72, "10:00")), datetime(2026, 1, 1, 10, 25), (None, True)),
        ((), datetime(2026, 1, 1, 10, 25), (None, False)),
    ],
)
def test_the_clock_chooses_between_needles_of_two_sizes(sites, taken, expected) -> None:
    assert stated_diameter_mm(sites, taken) == expected
