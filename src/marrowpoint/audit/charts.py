"""The audit's charts as drawings: numbers in, marks out; colours for every kind of colour vision, and the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from marrowpoint.audit.drawing import BLUE, FAINT, INK, QUIET, Box, Dot, Drawing, Line, Mark, Words
from marrowpoint.audit.statistics import Agreement

WIDTH = 440.0
LETTER = 7.7  # width of a letter of 13 units, rather too wide than too narrow
ROW = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of case in stacked bars."""

    name: str
    colour: str
    hatched: bool = False


def stacked_rows(title: str, note: str, parts: Sequence[Part], rows: Sequence[tuple[str, Sequence[int]]]) -> Drawing:
    """Horizontal stacked bars, one a row, with the counts inside.

    Parameters
    ----------
    title, note : str
    parts : sequence of Part
        In the order they are stacked.
    rows : sequence of (str, counts)
        Name of the row and a count for each part.

    Returns
    -------
    Drawing
    """
    marks, top = _legend(parts)
    longest = max((len(name) for name, _ in rows), default=0)
    left = min(0.5 * WIDTH, 14 + LETTER * longest)
    most = max((sum(counts) for _, counts in rows), default=0) or 1
    per_case = (WIDTH - left - 8) / most
    y = top
    for name, counts in rows:
        marks.append(Words(left - 8, y + 16, _short(name, left - 8), anchor="end"))
        x = left
        for part, count in zip(parts, counts, strict=True):
            width = count * per_case
            if count:
                marks.append(Box(x, y + 2, width, ROW - 5, part.colour, part.hatched))
            if width > 4 + LETTER * len(str(count)):
                marks.append(Words(x + width / 2, y + 16, str(count), 12, "#000000", "middle"))
            x += width
        y += ROW
    return Drawing(title=title, note=note, width=WIDTH, height=y + 6, marks=tuple(marks))


def plain_rows(title: str, note: str, rows: Sequence[tuple[str, int]], total: int, colour: str = BLUE) -> Drawing:
    """Horizontal bars with count and share beside them."""
    left = min(0.56 * WIDTH, 14 + LETTER * max((len(name) for name, _ in rows), default=0))
    most = max((count for _, count in rows), default=0) or 1
    per_case = (WIDTH - left - 96) / most
    marks: list[Mark] = []
    for number, (name, count) in enumerate(rows):
        y = 4 + number * ROW
        marks.append(Words(left - 8, y + 16, _short(name, left - 8), anchor="end"))
        marks.append(Box(left, y + 2, count * per_case, ROW - 5, colour))
        marks.append(Words(left + count * per_case + 6, y + 16, f"{count} ({100 * count / (total or 1):.0f} %)", 12, QUIET))
    return Drawing(title=title, note=note, width=WIDTH, height=10 + ROW * max(1, len(rows)), marks=tuple(marks))


def histogram(
    title: str,
    note: str,
    parts: Sequence[Part],
    values: Sequence[Sequence[float]],
    limits: Sequence[tuple[float, str]],
    unit: str,
) -> Drawing:
    """Stacked histogram with named vertical limits.

    Parameters
    ----------
    title, note : str
    parts : sequence of Part
        One a list of values.
    values : sequence of sequence of float
    limits : sequence of (float, str)
        Where lines stand, and their names.
    unit : str
        Of the values, under the axis.

    Returns
    -------
    Drawing
    """
    every = [value for part in values for value in part]
    marks, top = _legend(parts)
    low, high = min([*every, *(x for x, _ in limits)], default=0.0), max([*every, *(x for x, _ in limits)], default=1.0)
    width = _nice((high - low) / 14 or 1.0)
    first, last = floor(low / width) * width, (floor(high / width) + 1) * width
    bins = round((last - first) / width)
    counts = [
        [sum(first + k * width <= value < first + (k + 1) * width for value in part) for k in range(bins)] for part in values
    ]
    most = max((sum(column) for column in zip(*counts, strict=True)), default=0) or 1
    left, right, bottom = 40.0, WIDTH - 10, top + 190
    step = (right - left) / bins
    head = top + 16.0 * len(limits) + 6
    for tick in [tick for tick in ticks(0, most) if tick == round(tick)]:
        y = bottom - (bottom - head) * tick / most
        marks += [Line(((left, y), (right, y)), FAINT), Words(left - 6, y + 4, f"{tick:g}", 12, QUIET, "end")]
    for k in range(bins):
        y = bottom
        for part, column in zip(parts, counts, strict=True):
            height = (bottom - head) * column[k] / most
            y -= height
            if height:
                marks.append(Box(left + k * step + 0.6, y, step - 1.2, height, part.colour, part.hatched))
    for tick in ticks(first, last):
        marks.append(Words(left + (tick - first) / width * step, bottom + 16, f"{tick:g}", 12, QUIET, "middle"))
    marks.append(Words((left + right) / 2, bottom + 33, unit, 12, QUIET, "middle"))
    for number, (place, name) in enumerate(limits):
        x, y = left + (place - first) / width * step, top + 12 + 16.0 * number
        marks.append(Line(((x, y - 8), (x, bottom)), INK, 1.3, dashed=True))
        near_edge = x + 6 + LETTER * len(name) > WIDTH
        marks.append(Words(x - 4 if near_edge else x + 4, y, name, 12, INK, "end" if near_edge else "start"))
    return Drawing(title=title, note=note, width=WIDTH, height=bottom + 40, marks=tuple(marks))


def bland_altman(title: str, note: str, pairs: Sequence[tuple[float, float]], agreement: Agreement) -> Drawing:
    """Difference over mean of each pair, with bias and limits of agreement [mm].

    Parameters
    ----------
    title, note : str
    pairs : sequence of (float, float)
        Program and reader [mm].
    agreement : Agreement

    Returns
    -------
    Drawing
    """
    means, differences = [(a + b) / 2 for a, b in pairs], [a - b for a, b in pairs]
    reach = 1.15 * max(0.5, *(abs(value) for value in (*differences, agreement.lower.lower, agreement.upper.upper)))
    low, high = min(means), max(means)
    pad = 0.06 * (high - low) or 1.0
    left, right, top, bottom = 48.0, WIDTH - 10, 10.0, 220.0

    def place(mean: float, difference: float) -> tuple[float, float]:
        x = left + (right - left) * (mean - low + pad) / (high - low + 2 * pad)
        return x, bottom - (bottom - top) * (difference + reach) / (2 * reach)

    marks: list[Mark] = []
    for tick in ticks(-reach, reach):
        y = place(low, tick)[1]
        marks += [Line(((left, y), (right, y)), FAINT), Words(left - 6, y + 4, f"{tick:g}", 12, QUIET, "end")]
    for limit, name in ((agreement.upper, "+1.96 SD"), (agreement.bias, "bias"), (agreement.lower, "-1.96 SD")):
        y, y_low, y_high = (place(low, value)[1] for value in (limit.value, limit.lower, limit.upper))
        marks.append(Box(left, y_high, right - left, y_low - y_high, "#e8eef5"))
        marks.append(Line(((left, y), (right, y)), INK, 1.4, dashed=name != "bias"))
        marks.append(Words(right - 2, y - 4, f"{name} {limit.value:+.1f}", 12, INK, "end"))
    marks += [Dot(*place(mean, difference), 4, BLUE) for mean, difference in zip(means, differences, strict=True)]
    for tick in ticks(low - pad, high + pad):
        marks.append(Words(place(tick, 0)[0], bottom + 16, f"{tick:g}", 12, QUIET, "middle"))
    marks.append(Words((left + right) / 2, bottom + 33, "mean of program and reader, mm", 12, QUIET, "middle"))
    return Drawing(title=title, note=note, width=WIDTH, height=bottom + 40, marks=tuple(marks))


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, about five."""
    if high <= low:
        return [low]
    step = _nice((high - low) / 5)
    return [round(k * step, 10) for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _nice(step: float) -> float:
    power = 10.0 ** floor(log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step - 1e-12)


def _legend(parts: Sequence[Part]) -> tuple[list[Mark], float]:
    marks: list[Mark] = []
    x, y = 8.0, 6.0
    for part in parts:
        width = 26 + LETTER * len(part.name)
        if x + width > WIDTH and x > 8:
            x, y = 8.0, y + 20
        marks += [Box(x, y, 13, 13, part.colour, part.hatched), Words(x + 18, y + 11, part.name, 12, INK)]
        x += width + 4
    return marks, y + 24


def _short(name: str, room: float) -> str:
    most = max(4, int(room / LETTER) + 1)
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
