"""The region where the contrast should be: clicked corner by corner, and drawn where it lies in a frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.report.ink import GREEN
from marrowpoint.review.corrections import LEAST_CORNERS, Point
from marrowpoint.review.runs import onto_frame
from marrowpoint.runs.run import RunAssessment
from napari_marrowpoint.canvas import Canvas
from napari_marrowpoint.layers import AT_ENTRY, DASH_SHARE, DRAFT, Label, Line, code_of

COLOUR = code_of(GREEN)
CLOSE_PX, SAME_PX = 14.0, 4.0  # on the screen: a click so near to the first corner closes, one so near to the last is none


class TargetTool:
    """Corners that are clicked one after the other.

    Parameters
    ----------
    canvas : Canvas
        Shows what is being drawn.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.corners: list[Point] = []
        self.drawn: Callable[[Points | None], None] = lambda corners: None
        """Told the corners of a closed region, or None to take the target away."""

    def click(self, at: Point) -> bool:
        """One more corner; returns whether the click closes the region (on its first corner)."""
        away = [float(np.hypot(*np.subtract(corner, at))) * self.canvas.px_per_pixel for corner in self.corners]
        if len(away) >= LEAST_CORNERS and away[0] <= CLOSE_PX:
            return True
        if not away or away[-1] > SAME_PX:  # the second press of a double click is no corner
            self.corners.append(at)
        self.show(at)
        return False

    def show(self, mouse: Point) -> None:
        """Draw what there is, with the corner that a click would add."""
        if self.corners:
            line = np.array([*self.corners, mouse, self.corners[0]])
            self.canvas.draft(DRAFT, [Line(points=line, colour=AT_ENTRY)])
        else:
            self.canvas.remove(DRAFT)

    def take_back(self, mouse: Point) -> None:
        """Take the last corner back; without one the whole target goes."""
        if self.corners:
            self.corners.pop()
            self.show(mouse)
        else:
            self.drawn(None)

    def drop(self) -> bool:
        """Forget what is half done; returns whether there was anything."""
        busy, self.corners = bool(self.corners), []
        return busy


def target_marks(
    corners: Points, run: RunAssessment, frame: int, by: str, *, in_frame: bool
) -> tuple[list[Line], tuple[Label, ...]]:
    """A target as lines and words.

    Parameters
    ----------
    corners : ndarray of shape (K, 2)
        (row, column) in the picture before contrast [px].
    run : RunAssessment
    frame : int
        From 0.
    by : str
        Who drew it.
    in_frame : bool
        As it lies in that frame; else as it lies in the picture before contrast.

    Returns
    -------
    lines : list of Line
    labels : tuple of Label
    """
    line = np.vstack([corners, corners[:1]])
    line = onto_frame(line, run, frame) if in_frame else line
    top = line[np.argmin(line[:, 0])]
    label = Label(text=f"target, {by}", at=(float(top[0]), float(top[1])), colour=COLOUR, toward=(-1.0, 0.0))
    dash_px = DASH_SHARE * max(run.references[0].rows, run.references[0].columns)
    return [Line(points=line, colour=COLOUR, dash_px=dash_px)], (label,)
