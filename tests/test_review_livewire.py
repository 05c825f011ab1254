"""A line between clicks follows the edge; an outline's points can be added, moved, taken away and replaced by such a line."""

from __future__ import annotations

from time import process_time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowpoint.fluoroscopy.outline import fill_rings
from marrowpoint.review.livewire import (
    delete_point,
    edge_cost,
    insert_point,
    is_closed,
    move_point,
    nearest_edge,
    nearest_index,
    replace_stretch,
    snap_path,
)

SHAPE, CENTRE, RADIUS = (600, 700), (300.0, 350.0), 180.0


def at(angle, radius=RADIUS) -> tuple[float, float]:
    return CENTRE[0] + radius * float(np.sin(angle)), CENTRE[1] + radius * float(np.cos(angle))


def picture(*, contrast=0.2, noise=0.02, drift=0.3) -> np.ndarray:
    """A disc with a blurred rim on ground that grows brighter from left to right."""
    rows, columns = np.indices(SHAPE)
    inside = np.clip(RADIUS + 0.5 - np.hypot(rows - CENTRE[0], columns - CENTRE[1]), 0, 1)
    image = 0.2 + contrast * cv2.GaussianBlur(inside, (0, 0), 1.5) + drift * columns / SHAPE[1]
    return (image + np.random.default_rng(2).normal(0, noise, SHAPE)).astype(np.float32)


EDGES = edge_cost(picture())


def ring(count=60) -> np.ndarray:
    line = np.array([at(t) for t in np.linspace(0, 2 * np.pi, count + 1)])
    line[-1] = line[0]
    return line


@given(start=st.floats(0, 6.28), span=st.floats(0.15, 1.4))
def test_a_snapped_line_lies_on_the_rim(start, span):
    path = snap_path(EDGES, at(start), at(start + span))
    assert path[0] == pytest.approx(at(start)) and path[-1] == pytest.approx(at(start + span))
    off = np.abs(np.hypot(*(path - CENTRE).T) - RADIUS)
    assert np.percentile(off, 90) < 2.0
    assert off.max() < 5.0
    assert np.hypot(*np.diff(path, axis=0).T).max() < 4.0


def test_polarity_does_not_matter():
    image = picture()
    assert snap_path(edge_cost(1 - image), at(0.1), at(1.0)) == pytest.approx(snap_path(edge_cost(image), at(0.1), at(1.0)))


def test_a_stronger_edge_elsewhere_does_not_hide_a_faint_one_here():
    image = picture(contrast=0.08, noise=0.004)
    image[:, :60] += 0.9
    path = snap_path(edge_cost(image), at(-0.6), at(0.6))
    assert np.abs(np.hypot(*(path - CENTRE).T) - RADIUS).max() < 4.0


def test_what_is_hidden_draws_no_line():
    field = np.ones(SHAPE, bool)
    field[:, :200] = False
    image = picture(contrast=0.0)
    image[:, :200] = 0.0
    cost = edge_cost(image, field).cost
    assert cost[:, :204].min() == 1.0


def test_a_click_beside_the_edge_finds_it_and_one_far_off_stays():
    found = nearest_edge(EDGES, at(0.7, RADIUS + 5), 10.0)
    assert abs(np.hypot(found[0] - CENTRE[0], found[1] - CENTRE[1]) - RADIUS) < 2.0
    even = edge_cost(np.full(SHAPE, 0.5, np.float32))
    assert nearest_edge(even, (40.0, 50.0), 8.0) == (40.0, 50.0)


def test_clicks_at_the_border_and_on_one_another_are_lines_too():
    for start, end in (((0.0, 0.0), (599.0, 0.0)), ((-3.0, 5.0), (602.0, 720.0)), ((50.0, 50.0), (50.0, 50.0))):
        path = snap_path(EDGES, start, end)
        assert np.isfinite(path).all() and len(path) >= 2
        assert tuple(path[0]) == start and tuple(path[-1]) == end


def test_it_is_quick_enough_to_follow_a_mouse():
    snap_path(EDGES, at(0.0), at(1.0))
    start = process_time()
    for k in range(10):
        snap_path(EDGES, at(0.1 * k), at(0.1 * k + 1.2))
    assert (process_time() - start) / 10 < 0.060


def area(line) -> int:
    return int(fill_rings([line], SHAPE).sum())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("first", "last"), [(3, 9), (9, 3), (55, 5), (0, 6), (57, 0)])
def test_a_stretch_of_a_closed_line_is_replaced_the_short_way(first, last, turned):
    line = ring()
    if turned:
        line = line[::-1].copy()
    outward = np.array([line[first], np.array(CENTRE) + 1.3 * ((line[first] + line[last]) / 2 - CENTRE), line[last]])
    new = replace_stretch(line, first, last, outward)
    assert is_closed(new)
    between = (last - first) % 60 if (last - first) % 60 <= 30 else (first - last) % 60
    assert len(new) - 1 == 60 - (between - 1) + 1
    assert area(new) > area(line)
    assert area(new) < 1.3 * area(line)


def test_a_stretch_of_an_open_line_is_replaced_in_either_direction():
    line = np.column_stack([np.zeros(10), np.arange(10.0)])
    path = np.array([[0.0, 2.0], [5.0, 4.0], [0.0, 6.0]])
    one, other = replace_stretch(line, 2, 6, path), replace_stretch(line, 6, 2, path[::-1])
    assert (one == other).all()
    assert one.tolist() == [[0, 0], [0, 1], [0, 2], [5, 4], [0, 6], [0, 7], [0, 8], [0, 9]]
    with pytest.raises(ValueError, match="10"):
        replace_stretch(line, 2, 10, path)


@given(angle=st.floats(0.0, 6.2), radius=st.floats(100, 260))
def test_an_added_point_is_taken_away_again(angle, radius):
    line = ring()
    new = insert_point(line, at(angle, radius))
    assert len(new) == len(line) + 1 and is_closed(new)
    place = nearest_index(new, at(angle, radius))
    assert np.allclose(new[place], at(angle, radius))
    assert np.allclose(delete_point(new, place), line)


def test_an_open_line_grows_at_its_ends():
    line = np.array([[0.0, 0.0], [0.0, 10.0]])
    assert insert_point(line, (0.0, -5.0)).tolist()[0] == [0, -5]
    assert insert_point(line, (0.0, 15.0)).tolist()[-1] == [0, 15]
    assert insert_point(line, (1.0, 4.0)).tolist()[1] == [1, 4]


def test_the_seam_of_a_closed_line_moves_and_goes_in_one_piece():
    line = ring()
    for end in (0, 60, -1):
        assert is_closed(move_point(line, end, (1.0, 2.0)))
        gone = delete_point(line, end)
        assert is_closed(gone) and len(gone) == 60
    assert not np.shares_memory(move_point(line, 5, (0.0, 0.0)), line)


def test_a_line_never_vanishes():
    triangle = np.array([[0.0, 0], [0, 9], [9, 0], [0, 0]])
    with pytest.raises(ValueError, match="three"):
        delete_point(triangle, 1)
    with pytest.raises(ValueError, match="two"):
        delete_point(triangle[:2], 0)
