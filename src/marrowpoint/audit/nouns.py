"""Assessments without their pixels as JSON, to the last digit: what studies and other thresholds are judged from.

The record of the contract is rounded and made for readers; this form is the program's own and may change with its version.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.placement import Placement

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFrame:
    """What is kept of one frame so that it can be judged again without its pixels.

    Parameters
    ----------
    assessment : Assessment
        Without pixels, outline and maps.
    measured : Placement or None
        All lengths, also those that the thresholds of the run held back.
    thin_distances : tuple of (float, float)
        Thickness [mm], and the distance in the plane from the tip to the nearest bone that the map calls thinner [mm or px as
        `measured`]; empty without a map.
    """

    assessment: Assessment
    measured: Placement | None = None
    thin_distances: tuple[tuple[float, float], ...] = ()


def pack(noun: Any) -> str:
    """A dataclass of plain values, enumerations, moments, tuples and dataclasses as JSON; arrays are left out.

    Parameters
    ----------
    noun : dataclass

    Returns
    -------
    str
    """
    return json.dumps(plain(noun), separators=(",", ":"))


def unpack(kind: type[T], text: str) -> T:
    """The reverse of `pack`.

    Parameters
    ----------
    kind : type
        The dataclass.
    text : str

    Returns
    -------
    dataclass
        Equal to the one packed but for its arrays, which are empty. Fields that a former version did not know keep their
        default values.
    """
    made: T = _build(kind, json.loads(text))
    return made


def plain(value: Any) -> Any:
    """A value as JSON knows it: numbers, text, lists, dicts; arrays are left out of dataclasses and lists."""
    if is_dataclass(value):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: plain(each) for name, each in found.items() if not isinstance(each, np.ndarray)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(each) for each in value if not isinstance(each, np.ndarray)]
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(hint: Any, value: Any) -> Any:
    hint = _without_none(hint)
    if value is None:
        return None
    if is_dataclass(hint):
        return _dataclass(hint, value)
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_build(kind, each) for kind, each in zip(kinds, value, strict=True))
    if hint is datetime:
        return datetime.fromisoformat(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    # JSON does not tell 1 from 1.0
    return float(value) if hint is float and isinstance(value, int) else value


def _dataclass(kind: Any, value: dict[str, Any]) -> Any:
    built: dict[str, Any] = {}
    for field in fields(kind):
        hint = _hints(kind)[field.name]
        if field.name in value:
            built[field.name] = _build(hint, value[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            built[field.name] = _empty(hint)
    return kind(**built)


def _empty(hint: Any) -> Any:
    """An array without points for a field that was left out."""
    if get_origin(hint) is not np.ndarray:
        raise ValueError("a stored frame lacks a field that has no default")
    (dtype,) = get_args(get_args(hint)[1])
    return np.zeros((0, 0), dtype)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        (only,) = [each for each in get_args(hint) if each is not type(None)]
        return only
    return hint
