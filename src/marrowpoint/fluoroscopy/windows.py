"""Square windows of a frame that the network looks at, and the way of its maps back onto the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Mask

INPUT_PX = 192  # side of the network's input ...
OUTPUT_PX = INPUT_PX // 2  # ... and of its output
CLOSER = 0.85  # side of the closer window: smaller ones hide what tells the two hips apart
SEAM = 0.08  # of the closer window: over this rim its answer fades in


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Square part of a frame that the network sees: corner (row, column) and side [px]; it may reach over the frame's edge."""

    row: float
    column: float
    side: float


def field_window(field: Mask) -> Window:
    """Smallest square around the field of view, centred on it.

    Parameters
    ----------
    field : ndarray of shape (M, N), bool

    Returns
    -------
    Window
    """
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    if rows.size == 0:
        rows, columns = np.arange(field.shape[0]), np.arange(field.shape[1])
    side = float(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1)
    centre_row, centre_column = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    return Window(row=centre_row - side / 2, column=centre_column - side / 2, side=side)


def placed(window: Window, size: int) -> NDArray[np.float64]:
    """Where the pixels of a square picture of the window lie in the frame.

    Parameters
    ----------
    window : Window
    size : int
        Side of the picture [px].

    Returns
    -------
    ndarray of shape (2, 3)
        Affine map from (x, y) of the picture to the frame's (x, y).
    """
    step = window.side / size
    return np.array([[step, 0, window.column + step / 2 - 0.5], [0, step, window.row + step / 2 - 0.5]])


def closer_window(tip: FloatImage, window: Window) -> Window:
    """A smaller window around the likeliest tip, inside the first one.

    Parameters
    ----------
    tip : ndarray of shape (n, n)
        The network's map of the tip over `window`.
    window : Window

    Returns
    -------
    Window
    """
    row, column = np.unravel_index(int(tip.argmax()), tip.shape)
    side, step = CLOSER * window.side, window.side / len(tip)
    top, left = ((at + 0.5) * step - side / 2 for at in (float(row), float(column)))
    most = window.side - side
    return Window(row=window.row + min(max(top, 0.0), most), column=window.column + min(max(left, 0.0), most), side=side)


def grid_shape(window: Window, field: Mask) -> tuple[int, int]:
    """Rows and columns of the maps over a frame: about as fine as the network's input.

    Parameters
    ----------
    window : Window
        The first window of the frame.
    field : ndarray of shape (M, N), bool

    Returns
    -------
    tuple of int
    """
    shrink = max(1.0, window.side / INPUT_PX)
    return max(1, round(field.shape[0] / shrink)), max(1, round(field.shape[1] / shrink))


def _onto_grid(window: Window, first: Window, field: Mask) -> NDArray[np.float64]:
    """Affine map (2, 3) from (x, y) of the grid over the frame to that of the network's output for a window."""
    grid = grid_shape(first, field)
    step = window.side / OUTPUT_PX
    sx, sy = field.shape[1] / grid[1], field.shape[0] / grid[0]
    left, top = (sx / 2 - window.column) / step - 0.5, (sy / 2 - window.row) / step - 0.5
    return np.array([[sx / step, 0, left], [0, sy / step, top]])


def lay_over(planes: FloatImage, window: Window, first: Window, field: Mask) -> FloatImage:
    """Lay the maps of a window over the frame's grid.

    Parameters
    ----------
    planes : ndarray of shape (K, OUTPUT_PX, OUTPUT_PX)
    window : Window
        What they show.
    first : Window
        The first window of the frame; it sets the grid.
    field : ndarray of shape (M, N), bool

    Returns
    -------
    ndarray of shape (K, m, n), float32
        0 outside the window.
    """
    there, size = _onto_grid(window, first, field), grid_shape(first, field)[::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    maps = [cv2.warpAffine(p, there, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0) for p in planes]
    return np.asarray(maps, np.float32)


def rim_weight(closer: Window, first: Window, field: Mask) -> FloatImage:
    """What a closer look counts at every grid place: a half inside its window, nothing outside, with a soft seam.

    Parameters
    ----------
    closer, first : Window
    field : ndarray of shape (M, N), bool

    Returns
    -------
    ndarray of shape (m, n), float32
    """
    side = OUTPUT_PX
    edge = np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side)) / (SEAM * side)
    share = 0.5 * np.clip(np.minimum(edge[:, None], edge[None, :]), 0, 1).astype(np.float32)
    there, size = _onto_grid(closer, first, field), grid_shape(first, field)[::-1]
    return np.asarray(cv2.warpAffine(share, there, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.float32)
