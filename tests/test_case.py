"""Needle sizes: the Stubs gauge, not the wire gauge, and lengths with their unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowpoint.case import OUTER_DIAMETER_MM, parse_needle
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
