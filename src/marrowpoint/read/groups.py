"""One value of a header, wherever it stands: in the frame's own functional groups, in the shared ones, or at the top."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue


def first_value(header: Dataset, keyword: str, index: int) -> Any:
    """Value of a tag for one frame.

    Parameters
    ----------
    header : Dataset
    keyword : str
        DICOM keyword.
    index : int
        0-based number of the frame.

    Returns
    -------
    object or None
        From the per-frame groups, else the shared ones, else the top of the header (DICOM PS3.3 C.7.6.16).
    """
    for item in _macros(header, index):
        value = item.get(keyword)
        if value is not None and value != "":
            return value
    value = header.get(keyword)
    return None if value == "" else value


def _macros(header: Dataset, index: int) -> Iterator[Dataset]:
    for keyword, place in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        groups = header.get(keyword)
        if not groups or place >= len(groups):
            continue
        for element in groups[place]:
            if element.VR == "SQ" and element.value:
                yield element.value[0]


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """Read `count` finite or infinite numbers from a tag's value.

    Parameters
    ----------
    value : object
    count : int

    Returns
    -------
    tuple of float or None
        None where there is nothing.

    Raises
    ------
    ValueError
        If there is something, but not `count` numbers.
    """
    if value is None or value == "" or (isinstance(value, MultiValue | list | tuple) and not value):
        return None
    items = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        found = tuple(float(item) for item in items)
    except (TypeError, ValueError) as error:
        raise ValueError("not numbers") from error
    if len(found) != count or not all(map(isfinite, found)):
        raise ValueError(f"not {count} numbers")
    return found
