"""What a person set on one frame or run, by whom and when: a frozen noun, and its JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import hypot, isfinite
from typing import Any

import numpy as np

from marrowpoint.frame import Points, ViewKind

Point = tuple[float, float]

FIELDS = ("tip", "far_end", "end_on", "outline", "outline_confirmed", "outer_diameter_mm", "view", "side", "scale", "target")
LEAST_CORNERS = 3  # of a target
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLength:
    """Two points whose distance a person knows.

    Parameters
    ----------
    start, end : tuple of float
        (row, column) [px].
    length_mm : float
        True distance [mm].
    """

    start: Point
    end: Point
    length_mm: float

    def __post_init__(self) -> None:
        if not (isfinite(self.length_mm) and self.length_mm > 0):
            raise ValueError(f"a known length is a positive number of mm, not {self.length_mm}")
        if hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]) < 1:
            raise ValueError("the two points of a known length lie on one another")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Who set a field, and when (UTC)."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corrections:
    """What a person set on a frame, or on the run that frames make; None where the program's own value stands.

    Parameters
    ----------
    tip : tuple of float or None
        (row, column) of the needle's apex [px].
    far_end : tuple of float or None
        (row, column) of the other end of the visible shaft [px].
    end_on : bool or None
        Whether the needle points along the beam.
    outline : tuple of ndarray of shape (K, 2), or None
        The whole outline of the bone, (row, column) [px]; a line whose ends meet is closed.
    outline_confirmed : bool or None
        The person says that the outline near the tip is right as it is.
    outer_diameter_mm : float or None
        Outer diameter of the needle [mm].
    view : ViewKind or None
    side : {"L", "R"} or None
    scale : KnownLength or None
    target : ndarray of shape (K, 2), or None
        Of a run: corners of the region where the person wants the contrast, (row, column) in the picture before contrast [px];
        the last one is joined to the first.
    marks : mapping of str to Mark
        Who set each field above, and when.
    """

    tip: Point | None = None
    far_end: Point | None = None
    end_on: bool | None = None
    outline: tuple[Points, ...] | None = None
    outline_confirmed: bool | None = None
    outer_diameter_mm: float | None = None
    view: ViewKind | None = None
    side: str | None = None
    scale: KnownLength | None = None
    target: Points | None = None
    marks: Mapping[str, Mark] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tip", "far_end"):
            point = getattr(self, name)
            if point is not None and not (len(point) == 2 and all(isfinite(x) for x in point)):
                raise ValueError(f"{name} must be (row, column) in pixels, not {point!r}")
        if self.side not in (None, "L", "R"):
            raise ValueError(f"side must be L or R, not {self.side!r}")
        if self.outer_diameter_mm is not None and not 0.3 <= self.outer_diameter_mm <= 6:
            raise ValueError(f"needles are 0.3 to 6 mm thick, not {self.outer_diameter_mm}")
        for line in self.outline or ():
            if line.ndim != 2 or line.shape[1] != 2 or len(line) < 2 or not np.isfinite(line).all():
                raise ValueError("an outline is made of lines of at least two finite points (row, column)")
        if self.target is not None:
            _check_target(self.target)

    def changed(self, *, by: str, at: datetime | None = None, **fields: Any) -> Corrections:
        """A copy in which a person set some fields; None gives a field back to the program.

        Parameters
        ----------
        by : str
            Who.
        at : datetime or None
            When; now if not given.
        **fields
            Fields of this class.

        Returns
        -------
        Corrections
        """
        if not by.strip():
            raise ValueError("a correction needs the name of the person who made it")
        unknown = set(fields) - set(FIELDS)
        if unknown:
            raise ValueError(f"no such fields: {', '.join(sorted(unknown))}")
        mark = Mark(by=by.strip(), at=(at or datetime.now(UTC)).astimezone(UTC))
        marks = {name: old for name, old in self.marks.items() if name not in fields}
        marks |= {name: mark for name, value in fields.items() if value is not None}
        return replace(self, marks=marks, **fields)

    @property
    def fields_set(self) -> tuple[str, ...]:
        """Names of the fields that a person set."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)

    @property
    def empty(self) -> bool:
        """Whether nothing was set."""
        return not self.fields_set

    def set_by(self, *names: str) -> str:
        """Who set those fields: one name, or several joined; empty for nobody."""
        return ", ".join(dict.fromkeys(self.marks[name].by for name in names if name in self.marks))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Corrections) and to_json(self) == to_json(other)

    __hash__ = None  # type: ignore[assignment]


def to_json(corrections: Corrections) -> dict[str, Any]:
    """Corrections as plain JSON types; points as ``[x, y]`` = [column, row], as in every record.

    Parameters
    ----------
    corrections : Corrections

    Returns
    -------
    dict
        Only what was set, with ``set_by`` naming who and when.
    """
    record: dict[str, Any] = {"schema": SCHEMA}
    for name in ("tip", "far_end"):
        point = getattr(corrections, name)
        if point is not None:
            record[f"{name}_xy"] = _xy(point)
    if corrections.outline is not None:
        record["outline_xy"] = [np.round(line[:, ::-1], 3).tolist() for line in corrections.outline]
    for name in ("end_on", "outline_confirmed", "outer_diameter_mm", "side"):
        if getattr(corrections, name) is not None:
            record[name] = getattr(corrections, name)
    if corrections.view is not None:
        record["view"] = corrections.view.value
    if corrections.scale is not None:
        scale = corrections.scale
        record["scale"] = {"start_xy": _xy(scale.start), "end_xy": _xy(scale.end), "length_mm": scale.length_mm}
    if corrections.target is not None:
        record["target_xy"] = np.round(corrections.target[:, ::-1], 3).tolist()
    record["set_by"] = {name: {"by": mark.by, "at": mark.at.isoformat()} for name, mark in sorted(corrections.marks.items())}
    return record


def from_json(record: Mapping[str, Any]) -> Corrections:
    """Corrections from what `to_json` wrote.

    Parameters
    ----------
    record : mapping

    Returns
    -------
    Corrections

    Raises
    ------
    ValueError
        For something else.
    """
    try:
        if record["schema"] > SCHEMA:
            raise ValueError(f"corrections of schema {record['schema']} are newer than this program's {SCHEMA}")
        outline, view, scale = record.get("outline_xy"), record.get("view"), record.get("scale")
        target = record.get("target_xy")
        return Corrections(
            tip=_point(record.get("tip_xy")),
            far_end=_point(record.get("far_end_xy")),
            end_on=record.get("end_on"),
            outline=None if outline is None else tuple(np.asarray(line, np.float64)[:, ::-1].copy() for line in outline),
            outline_confirmed=record.get("outline_confirmed"),
            outer_diameter_mm=record.get("outer_diameter_mm"),
            view=None if view is None else ViewKind(view),
            side=record.get("side"),
            scale=None if scale is None else _length(scale),
            target=None if target is None else np.asarray(target, np.float64)[:, ::-1].copy(),
            marks={
                name: Mark(by=str(mark["by"]), at=datetime.fromisoformat(mark["at"])) for name, mark in record["set_by"].items()
            },
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not corrections: {error}") from error


def _check_target(target: Points) -> None:
    if target.ndim != 2 or target.shape[1] != 2 or len(target) < LEAST_CORNERS or not np.isfinite(target).all():
        raise ValueError("a target has at least three finite corners (row, column)")
    rows, columns = target.T
    if abs(float(rows @ np.roll(columns, 1) - columns @ np.roll(rows, 1))) / 2 < 1:
        raise ValueError("the corners of the target lie on one line: it has no inside")


def _xy(point: Point) -> list[float]:
    return [round(float(point[1]), 3), round(float(point[0]), 3)]


def _point(xy: Any) -> Point | None:
    return None if xy is None else (float(xy[1]), float(xy[0]))


def _length(scale: Mapping[str, Any]) -> KnownLength:
    start, end = _point(scale["start_xy"]), _point(scale["end_xy"])
    if start is None or end is None:
        raise ValueError("a known length needs two points")
    return KnownLength(start=start, end=end, length_mm=float(scale["length_mm"]))
