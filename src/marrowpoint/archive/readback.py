"""Read our own Structured Reports back: the same numbers must come out that went in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from marrowpoint.archive import codes
from marrowpoint.archive.graphics import CENTRE
from marrowpoint.errors import ArchiveError
from marrowpoint.read.quiet import quiet

_NAMES = {code.value: name for name, code in codes.MEASUREMENTS.items()}
_BOUNDS = {code.value: name for name, code in codes.BOUNDS.items()}
_ABOVE, _BELOW = "371886008", "371885007"  # TID 310, SCT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLength:
    """One length of a report.

    Parameters
    ----------
    value : float
    lower, upper : float
        Limits of the 95 % interval.
    unit : str
        UCUM: ``mm`` or ``{pixels}``.
    bound : str
        As in the result file.
    judged : bool
        False where the report says that the value is indeterminate.
    """

    value: float
    lower: float
    upper: float
    unit: str
    bound: str
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadGroup:
    """One measurement group of a report: a frame, or a needle position over several frames.

    Parameters
    ----------
    frames : tuple of tuple
        (SOP instance UID, frame number) of each image it speaks of; frame 1 where the report names none.
    verdict : str
        Value of the verdict's code.
    confirmation : str
        ``CONFIRMED``, ``AWAITING`` or ``DISPUTED``.
    lengths : dict of str to ReadLength
        By name of the result file.
    failed : tuple of str
        Names of the lengths that could not be measured.
    tip_xy : tuple of float or None
        Needle tip (column, row) [px], as in the result file.
    """

    frames: tuple[tuple[str, int], ...]
    verdict: str
    confirmation: str
    lengths: dict[str, ReadLength]
    failed: tuple[str, ...]
    tip_xy: tuple[float, float] | None


def read_report(path: Path) -> tuple[ReadGroup, ...]:
    """Read the measurement groups of a report.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of ReadGroup

    Raises
    ------
    ArchiveError
        ``no_report``: no Structured Report of ours.
    """
    try:
        with quiet():
            report = dcmread(path)
            return tuple(_group(item) for item in _walk(report) if _concept(item) == "125007")
    except Exception as error:
        raise ArchiveError("no_report", f"this is no Structured Report of marrowpoint ({type(error).__name__})") from error


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or ():
        yield child
        yield from _walk(child)


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""


def _group(group: Dataset) -> ReadGroup:
    items = list(group.ContentSequence)
    coded = [(_concept(item), str(item.ConceptCodeSequence[0].CodeValue)) for item in items if item.ValueType == "CODE"]
    told = dict(coded)
    images = [item.ReferencedSOPSequence[0] for item in items if item.ValueType == "IMAGE"]
    return ReadGroup(
        frames=tuple((str(image.ReferencedSOPInstanceUID), int(image.get("ReferencedFrameNumber") or 1)) for image in images),
        verdict=told.get(codes.VERDICT.value, ""),
        confirmation=told.get(codes.CONFIRMATION.value, ""),
        lengths={
            _NAMES[_concept(item)]: _length(item) for item in items if _concept(item) in _NAMES and item.ValueType == "NUM"
        },
        failed=tuple(_NAMES[name] for name, value in coded if name in _NAMES and value == codes.FAILED.value),
        tip_xy=_tip(items),
    )


def _number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def _length(item: Dataset) -> ReadLength:
    children = {_concept(child): child for child in item.get("ContentSequence") or ()}
    value = _number(item)
    derivations = [c for c in children.values() if c.ValueType == "CODE" and str(c.ConceptCodeSequence[0].CodeValue) in _BOUNDS]
    return ReadLength(
        value=value,
        lower=round(value - _number(children[_BELOW]), 6) if _BELOW in children else value,
        upper=round(value + _number(children[_ABOVE]), 6) if _ABOVE in children else value,
        unit=str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue),
        bound=_BOUNDS[str(derivations[0].ConceptCodeSequence[0].CodeValue)] if derivations else "estimate",
        judged=not item.get("NumericValueQualifierCodeSequence"),
    )


def _tip(items: list[Dataset]) -> tuple[float, float] | None:
    children = [child for item in items for child in item.get("ContentSequence") or ()]
    points = [child for child in children if child.ValueType == "SCOORD" and _concept(child) == codes.TIP.value]
    if not points:
        return None
    x, y = points[0].GraphicData[:2]
    return (round(float(x) - CENTRE, 3), round(float(y) - CENTRE, 3))
