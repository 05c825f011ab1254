"""Charts of a share: over time, and over the size of the group, with the limits between which chance alone keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from marrowpoint.audit.charts import LETTER, WIDTH, ticks
from marrowpoint.audit.drawing import BLUE, FAILED, FAINT, INK, PAPER, QUIET, Box, Dot, Drawing, Line, Mark, Words
from marrowpoint.audit.statistics import limits_around

MOST_LETTERS = 18  # of a name in a chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cases of one month or one role: how many in all, how many of them count."""

    name: str
    count: int
    total: int


def run_chart(title: str, note: str, groups: Sequence[Group]) -> Drawing:
    """Share by month around the common share, with the limits between which chance alone keeps it.

    Parameters
    ----------
    title, note : str
    groups : sequence of Group
        In order of time.

    Returns
    -------
    Drawing
    """
    marks, place_y, bottom = _share_axis()
    total, count = sum(group.total for group in groups), sum(group.count for group in groups)
    common = count / total if total else 0.0
    left, step = 48.0, (WIDTH - 60) / max(1, len(groups))
    held = [(left + (number + 0.5) * step, group) for number, group in enumerate(groups) if group.total]
    marks.append(Line(((left, place_y(common)), (WIDTH - 8, place_y(common))), QUIET, 1.5))
    for x, group in held:
        low, high = limits_around(common, group.total, 0.998)
        for limit in (low, high):
            marks.append(Line(((x - 0.42 * step, place_y(limit)), (x + 0.42 * step, place_y(limit))), INK, 1.2, dashed=True))
    marks.append(Line(tuple((x, place_y(group.count / group.total)) for x, group in held), BLUE, 2))
    for x, group in held:
        low, high = limits_around(common, group.total, 0.998)
        outside = not low <= group.count / group.total <= high
        marks.append(Dot(x, place_y(group.count / group.total), 6 if outside else 4.5, FAILED if outside else BLUE))
    marks += _under(groups, left, step, bottom)
    return Drawing(title=title, note=note, width=WIDTH, height=bottom + 40, marks=tuple(marks))


def funnel(title: str, note: str, groups: Sequence[Group]) -> Drawing:
    """Share of each group over its size, between the limits of chance around the common share.

    Parameters
    ----------
    title, note : str
    groups : sequence of Group

    Returns
    -------
    Drawing
    """
    marks, place_y, bottom = _share_axis()
    groups = [group for group in groups if group.total]
    total, count = sum(group.total for group in groups), sum(group.count for group in groups)
    common = count / total if total else 0.0
    most = max(5, ceil(1.15 * max((group.total for group in groups), default=1)))
    left, right = 48.0, WIDTH - 10

    def place_x(size: float) -> float:
        return left + (right - left) * size / most

    marks.append(Line(((left, place_y(common)), (right, place_y(common))), QUIET, 1.5))
    sizes = sorted({round(1 + k * (most - 1) / 60) for k in range(61)})
    for confidence, dashed in ((0.95, True), (0.998, False)):
        for side in (0, 1):
            path = tuple((place_x(n), place_y(limits_around(common, n, confidence)[side])) for n in sizes)
            marks.append(Line(path, INK, 1.2, dashed))
    for tick in ticks(0, most):
        marks.append(Words(place_x(tick), bottom + 16, f"{tick:g}", 12, QUIET, "middle"))
    marks.append(Words((left + right) / 2, bottom + 33, "imaged sites", 12, QUIET, "middle"))
    named: dict[tuple[float, float], list[str]] = {}
    dots: list[Mark] = []
    for group in sorted(groups, key=lambda each: each.total):
        x, y = place_x(group.total), place_y(group.count / group.total)
        low, high = limits_around(common, group.total, 0.998)
        outside = not low <= group.count / group.total <= high
        dots.append(Dot(x, y, 6, FAILED if outside else BLUE))
        named.setdefault((x, y), []).append(group.name)
    marks += [*_names([(x, y, _together(names)) for (x, y), names in named.items()], bottom), *dots]
    return Drawing(title=title, note=note, width=WIDTH, height=bottom + 40, marks=tuple(marks))


def _share_axis() -> tuple[list[Mark], Callable[[float], float], float]:
    top, bottom = 12.0, 222.0

    def place(value: float) -> float:
        return bottom - (bottom - top) * value

    marks: list[Mark] = []
    for percent in (0, 25, 50, 75, 100):
        y = place(percent / 100)
        marks += [Line(((48, y), (WIDTH - 8, y)), FAINT), Words(42, y + 4, f"{percent} %", 12, QUIET, "end")]
    return marks, place, bottom


def _under(groups: Sequence[Group], left: float, step: float, bottom: float) -> list[Mark]:
    # every label where there is room, else every second, third, ...
    every = max(1, ceil(LETTER * 8 / step))
    return [
        mark
        for number, group in enumerate(groups)
        if number % every == 0
        for mark in (
            Words(left + (number + 0.5) * step, bottom + 16, group.name, 12, QUIET, "middle"),
            Words(left + (number + 0.5) * step, bottom + 32, f"{group.count}/{group.total}", 12, QUIET, "middle"),
        )
    ]


def _together(names: Sequence[str]) -> str:
    """Names of groups whose dots lie on one another."""
    told = ", ".join(
        name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}" for name in names[:3]
    )
    return told if len(names) <= 3 else f"{told} and {len(names) - 3} more"


def _names(named: Sequence[tuple[float, float, str]], bottom: float) -> list[Mark]:
    """Names beside their dots, each moved until it covers no other name, no dot and no number of the axis."""
    marks: list[Mark] = []
    taken = [(x - 7, x + 7, y + 4) for x, y, _ in named]
    for x, y, name in named:
        width = LETTER * len(name)
        left = x + 9 if x + 9 + width < WIDTH else max(50.0, x - 9 - width)
        line = y - 7 if y > 30 else y + 16
        away = 14 if line + 42 < bottom else -14
        while any(abs(line - other) < 14 and left < end and start < left + width for start, end, other in taken):
            line += away
        taken.append((left, left + width, line))
        # paper under the letters: the limits run through here
        marks += [Box(left - 1, line - 11, width, 14, PAPER), Words(left, line, name, 12, INK)]
    return marks
