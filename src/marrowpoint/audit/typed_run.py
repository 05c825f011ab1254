"""A run record of the result file, with types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from marrowpoint.audit.facts_run import Curve, RunEvent, RunFacts
from marrowpoint.audit.typed import moment, verdict
from marrowpoint.report.record import Record
from marrowpoint.verdict import Code

NEEDLE_CURVES = {"advance": "way along the shaft", "tip_to_cortex": "tip to cortex"}


def run_facts(record: Record) -> tuple[str, RunFacts]:
    """A run record with types, and the UID of its study.

    Parameters
    ----------
    record : dict

    Returns
    -------
    uid : str
    run : RunFacts
    """
    source, needle, contrast = record["source"], record["needle"], record["contrast"]
    seconds = record["times"]["seconds"]
    onset = None if contrast is None else contrast["onset_frame"]
    # what the verdict is about: where a needle was followed, contrast was at most looked for beside it
    needle_run = contrast is None or record["verdict"]["code"] == Code.NEEDLE_FOLLOWED
    return source["study_instance_uid"], RunFacts(
        paths=tuple(source["paths"]),
        kind="needle" if needle_run else "contrast_not_seen" if onset is None else "contrast",
        acquired=moment(source["acquired"]),
        timed_frames=0 if seconds is None or onset is None else len(seconds) - onset + 1,
        mask=contrast is not None and bool(contrast["mask_frames"]),
        verdict=verdict(record["verdict"]),
        frames=source["frames"],
        key_frames=tuple(_keys(source["paths"], _key_numbers(needle, contrast))),
        strip=record.get("strip") or "",
        tile_shape=(source["rows"], source["columns"]),
        timed=seconds is not None,
        curves=tuple(_curves(record, seconds)),
        events=tuple(_events(needle, seconds)),
    )


def _key_numbers(needle: Record | None, contrast: Record | None) -> list[int]:
    numbers = [] if needle is None else list(needle["key_frames"])
    if contrast is not None:
        numbers += [contrast[name] for name in ("onset_frame", "peak_frame") if contrast[name] is not None]
    return sorted(set(numbers))


def _keys(paths: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    for number in numbers:
        if len(paths) == 1:
            yield f"{paths[0]}#{number}"
        elif number <= len(paths):
            yield f"{paths[number - 1]}#1"


def _curves(record: Record, seconds: Sequence[float] | None) -> Iterator[Curve]:
    needle, contrast = record["needle"], record["contrast"]
    if contrast is not None and any(point["seen_area"] for point in contrast["points"]):
        unit = contrast["unit"]
        for name, field, of in (("area of contrast", "area", f"{unit}2"), ("front from the tip", "front", unit)):
            known = [(_place(point, seconds), point[field]) for point in contrast["points"] if point[field] is not None]
            yield Curve(name=name, unit=of, points=tuple((at, value, value, value) for at, value in known))
    elif needle is not None:
        for field, name in NEEDLE_CURVES.items():
            entries = [(_place(point, seconds), point[field]) for point in needle["points"] if point[field] is not None]
            points = tuple((at, entry["value"], entry["lower"], entry["upper"]) for at, entry in entries)
            if len(points) > 1:
                yield Curve(name=name, unit=needle["unit"], points=points)


def _events(needle: Record | None, seconds: Sequence[float] | None) -> Iterator[RunEvent]:
    for event in () if needle is None else needle["events"]:
        words = event["code"].replace("_", " ").capitalize()
        yield RunEvent(at=_place(event, seconds), words=f"{words}: {event['text']}" if event["text"] else words)


def _place(point: Record, seconds: Sequence[float] | None) -> float:
    number = point["frame"]
    return float(number) if seconds is None or number > len(seconds) else float(seconds[number - 1])
