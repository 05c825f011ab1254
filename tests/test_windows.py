"""Windows that the network looks at, and the way back onto the frame."""

import numpy as np
import pytest

from marrowpoint.fluoroscopy.windows import (
    CLOSER,
    OUTPUT_PX,
    Window,
    closer_window,
    field_window,
    grid_shape,
    lay_over,
    placed,
    rim_weight,
)

FIELD = np.zeros((600, 800), bool)
FIELD[40:560, 100:700] = True


def centre_of(picture):
    rows, columns = np.indices(picture.shape)
    return (rows * picture).sum() / picture.sum(), (columns * picture).sum() / picture.sum()


def test_the_first_window_is_the_square_around_the_field():
    window = field_window(FIELD)
    assert (window.row, window.column, window.side) == (0.0, 100.0, 600.0)


@pytest.mark.parametrize("place", [(0, 0), (3, 90), (48, 48), (95, 95)])
def test_the_closer_window_holds_the_tip_and_stays_inside_the_first(place):
    tip = np.zeros((OUTPUT_PX, OUTPUT_PX), np.float32)
    tip[place] = 1
    first = field_window(FIELD)
    window = closer_window(tip, first)
    assert window.side == pytest.approx(CLOSER * first.side)
    step = first.side / OUTPUT_PX
    for low, corner, at in ((first.row, window.row, place[0]), (first.column, window.column, place[1])):
        assert low <= corner <= low + first.side - window.side + 1e-9
        assert corner <= low + (at + 0.5) * step <= corner + window.side


@pytest.mark.parametrize("window", [field_window(FIELD), Window(row=70.0, column=190.0, side=510.0)])
def test_a_place_in_a_window_is_the_same_place_on_the_frame(window):
    """A blob drawn where a frame's point falls in the window's map comes back to that point."""
    point = np.array([300.0, 400.0])  # row, column in the frame
    there = placed(window, OUTPUT_PX)
    x, y = (point[::-1] - there[:, 2]) / np.diag(there[:, :2])
    rows, columns = np.indices((OUTPUT_PX, OUTPUT_PX))
    blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18).astype(np.float32)
    laid = lay_over(blob[None], window, field_window(FIELD), FIELD)[0]
    ratio = np.array(FIELD.shape) / np.array(laid.shape)
    assert (np.array(centre_of(laid)) + 0.5) * ratio - 0.5 == pytest.approx(point, abs=0.3)


def test_a_closer_look_counts_half_where_it_saw_and_not_elsewhere():
    first = field_window(FIELD)
    closer = Window(row=40.0, column=150.0, side=500.0)
    share = rim_weight(closer, first, FIELD)
    ratio = np.array(FIELD.shape) / np.array(grid_shape(first, FIELD))
    rows, columns = ((np.indices(share.shape).T + 0.5) * ratio).T
    outside = (rows < 40) | (rows > 540) | (columns < 150) | (columns > 650)
    core = (rows > 140) & (rows < 440) & (columns > 250) & (columns < 550)
    assert share[core] == pytest.approx(0.5)
    assert share[outside].max() < 0.05
