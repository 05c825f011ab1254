"""What a person set: only sensible values, marked with who and when, and the same after JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_cases import circle

from marrowpoint.frame import ViewKind
from marrowpoint.review.corrections import Corrections, KnownLength, from_json, to_json

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
coordinate = st.floats(-50, 4000).map(lambda x: round(x, 3))
point = st.tuples(coordinate, coordinate)


@given(
    tip=st.none() | point, far_end=st.none() | point, end_on=st.none() | st.booleans(), side=st.sampled_from([None, "L", "R"]),
    view=st.none() | st.sampled_from(ViewKind), diameter=st.none() | st.floats(0.3, 6),
    outline=st.none() | st.lists(st.lists(point, min_size=2, max_size=6), max_size=3),
    length=st.none() | st.floats(0.1, 500),
)  # fmt: skip
def test_corrections_come_back_from_json_as_they_were(tip, far_end, end_on, side, view, diameter, outline, length):
    wanted = Corrections().changed(
        by="A", at=AT, tip=tip, far_end=far_end, end_on=end_on, side=side, view=view, outer_diameter_mm=diameter,
        outline=None if outline is None else tuple(np.array(line) for line in outline),
        scale=None if length is None else KnownLength(start=(0.0, 0.0), end=(3.0, 40.0), length_mm=length),
    )  # fmt: skip
    back = from_json(json.loads(json.dumps(to_json(wanted), allow_nan=False)))
    assert back == wanted
    assert back.marks == wanted.marks
    assert (back.tip, back.view, back.scale) == (tip, view, wanted.scale)
    assert back.fields_set == wanted.fields_set


def test_points_are_written_as_x_and_y():
    assert to_json(Corrections().changed(by="A", tip=(10.0, 20.0)))["tip_xy"] == [20.0, 10.0]


def test_each_field_carries_who_set_it_last_and_when():
    later = AT + timedelta(hours=1)
    one = Corrections().changed(by="A", at=AT, tip=(1.0, 2.0), side="L")
    two = one.changed(by=" B ", at=later.astimezone(timezone(timedelta(hours=2))), tip=(3.0, 4.0))
    assert (two.marks["tip"].by, two.marks["tip"].at) == ("B", later)
    assert two.marks["tip"].at.tzinfo is UTC
    assert two.marks["side"].by == "A"
    assert two.set_by("tip", "side") == "B, A"
    assert one.tip == (1.0, 2.0)  # the older one is as it was
    given_back = two.changed(by="B", at=later, tip=None)
    assert given_back.fields_set == ("side",) and "tip" not in given_back.marks
    assert given_back.changed(by="A", side=None).empty


@pytest.mark.parametrize(
    "fields",
    [
        {"tip": (float("nan"), 1.0)},
        {"tip": (1.0,)},
        {"far_end": (float("inf"), 1.0)},
        {"side": "left"},
        {"outer_diameter_mm": 9.0},
        {"outer_diameter_mm": 0.0},
        {"outline": (np.array([[1.0, 2.0]]),)},
        {"outline": (np.array([[1.0, np.nan], [2.0, 3.0]]),)},
        {"colour": "red"},
    ],
)
def test_what_makes_no_sense_is_refused(fields):
    with pytest.raises(ValueError, match=r"\w"):
        Corrections().changed(by="A", **fields)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan"), float("inf")])
def test_a_known_length_is_a_length(length):
    with pytest.raises(ValueError, match="length"):
        KnownLength(start=(0.0, 0.0), end=(0.0, 10.0), length_mm=length)
    with pytest.raises(ValueError, match="points"):
        KnownLength(start=(0.0, 0.0), end=(0.0, 0.5), length_mm=1.0)


def test_nobody_corrects_without_a_name():
    with pytest.raises(ValueError, match="name"):
        Corrections().changed(by=" ", side="L")


@pytest.mark.parametrize("wrong", [{}, {"schema": 2, "set_by": {}}, {"schema": 1}, {"schema": 1, "set_by": {}, "tip_xy": [1]}])
def test_other_json_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        from_json(wrong)


def test_equal_means_the_same_outline_too():
    one, other = (Corrections().changed(by="A", at=AT, outline=(circle(radius=r),)) for r in (100.0, 101.0))
    assert one != other
    assert one == Corrections().changed(by="A", at=AT, outline=(circle(radius=100.0),))


@pytest.mark.parametrize("corners", [[(1, 1), (2, 2)], [(1, 1), (5, 5), (9, 9)], [(1, 1), (5, float("nan")), (9, 1)]])
def test_a_target_without_an_inside_is_refused(corners):
    with pytest.raises(ValueError, match=r"target|corners"):
        Corrections().changed(by="A. Reader", target=np.array(corners, float))


def test_a_target_comes_back_and_is_marked():
    drawn = Corrections().changed(by="A. Reader", target=np.array([(10.0, 20.5), (10.0, 60.0), (50.25, 30.0)]))
    assert to_json(drawn)["target_xy"][0] == [20.5, 10.0]
    assert from_json(to_json(drawn)) == drawn
    assert drawn.fields_set == ("target",) and drawn.set_by("target") == "A. Reader"
    assert drawn.changed(by="A. Reader", target=None).empty
