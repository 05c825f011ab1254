"""Curves of a run: a length or area over time with its interval, and the moments when something happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from marrowpoint.audit.charts import LETTER, WIDTH, ticks
from marrowpoint.audit.drawing import BLUE, FAINT, INK, QUIET, WARNED, Box, Dot, Drawing, Line, Mark, Words
from marrowpoint.audit.facts_run import Curve, RunEvent

Place = Callable[[float, float], tuple[float, float]]
BAND = "#dcebf7"
TOP, BOTTOM, LEFT, RIGHT = 22.0, 170.0, 48.0, WIDTH - 12
MOST_DOTS = 40  # beyond, points are a line of their own


def draw_curve(curve: Curve, events: Sequence[RunEvent], *, timed: bool) -> Drawing:
    """Draw one curve.

    Parameters
    ----------
    curve : Curve
        At least one point.
    events : sequence of RunEvent
        Numbered from 1 in this order.
    timed : bool
        The axis is seconds, else frame numbers.

    Returns
    -------
    Drawing
    """
    across = [point[0] for point in curve.points] + [event.at for event in events]
    x_low, x_high = min(across), max(across)
    x_high = x_high if x_high > x_low else x_low + 1
    low, high = min(0.0, *(point[2] for point in curve.points)), max(0.0, *(point[3] for point in curve.points))
    high = high if high > low else low + 1

    def place(at: float, value: float) -> tuple[float, float]:
        return LEFT + (RIGHT - LEFT) * (at - x_low) / (x_high - x_low), BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    marks: list[Mark] = [*_bands(curve, place)]
    for tick in ticks(low, high):
        y = place(x_low, tick)[1]
        colour = QUIET if tick == 0 else FAINT
        marks += [Line(((LEFT, y), (RIGHT, y)), colour), Words(LEFT - 6, y + 4, f"{tick:g}", 12, QUIET, "end")]
    for tick in ticks(x_low, x_high):
        marks.append(Words(place(tick, low)[0], BOTTOM + 16, f"{tick:g}", 12, QUIET, "middle"))
    marks.append(Words((LEFT + RIGHT) / 2, BOTTOM + 33, "seconds" if timed else "frame", 12, QUIET, "middle"))
    marks += _events(events, place)
    path = tuple(place(at, value) for at, value, *_ in curve.points)
    marks.append(Line(path, BLUE, 2.0))
    if len(path) <= MOST_DOTS:
        marks += [Dot(*point, 3, BLUE) for point in path]
    title = f"{curve.name[:1].upper()}{curve.name[1:]}, {curve.unit}"
    return Drawing(title=title, note="", width=WIDTH, height=BOTTOM + 40, marks=tuple(marks))


def _bands(curve: Curve, place: Place) -> list[Mark]:
    """The interval of each point, as wide as the way to its neighbours' middle."""
    marks: list[Mark] = []
    ats = [point[0] for point in curve.points]
    for k, (at, _, lower, upper) in enumerate(curve.points):
        if upper <= lower:
            continue
        begin = at if k == 0 else (ats[k - 1] + at) / 2
        end = at if k + 1 == len(ats) else (ats[k + 1] + at) / 2
        (x0, y0), (x1, y1) = place(begin, upper), place(end, lower)
        marks.append(Box(x0, y0, max(x1 - x0, 1.0), max(y1 - y0, 0.5), BAND))
    return marks


def _events(events: Sequence[RunEvent], place: Place) -> list[Mark]:
    marks: list[Mark] = []
    taken: list[float] = []
    for number, event in enumerate(events, start=1):
        x = place(event.at, 0.0)[0]
        marks.append(Line(((x, TOP), (x, BOTTOM)), WARNED, 1.3, dashed=True))
        # numbers that would lie over one another stand side by side
        text_x = max(x, *(other + LETTER * 1.6 for other in taken)) if taken else x
        taken.append(text_x)
        marks.append(Words(min(text_x, RIGHT), TOP - 6, str(number), 12, INK, "middle", bold=True))
    return marks
