"""A run in the Structured Report: onset, area and reach of contrast, way of the needle, its verdict and events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from highdicom.sr import (
    CodedConcept,
    CoordinatesForMeasurement,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from marrowpoint.archive import codes
from marrowpoint.archive.graphics import CENTRE
from marrowpoint.archive.source import derived_uid
from marrowpoint.archive.structured import algorithm_of, say
from marrowpoint.report.record import Record
from marrowpoint.verdict import Code as VerdictCode

MOST_IMAGES = 12  # of a long run those that tell most are named


def run_group(record: Record, sources: Mapping[str, Dataset]) -> MeasurementsAndQualitativeEvaluations | None:
    """The measurement group of a run.

    Parameters
    ----------
    record : dict
        Run record.
    sources : mapping of str to Dataset
        Header of each frame, by `frame_key`.

    Returns
    -------
    MeasurementsAndQualitativeEvaluations or None
        None where none of its files is at hand.
    """
    images = _images(record, sources)
    if not images:
        return None
    measurements = [*_contrast(record, images), *_needle(record, images)]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("run", record["source"]["sop_instance_uids"]),
            identifier=f"Run of {record['source']['frames']} frame(s)",
        ),
        finding_type=codes.NEEDLE,
        algorithm_id=algorithm_of(record),
        finding_sites=[FindingSite(codes.ILIUM)],
        measurements=measurements or None,
        qualitative_evaluations=list(_evaluations(record)),
        source_images=[
            SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID, numbers)
            for source, numbers in _named(record, images)
        ],
    )
    say(group, list(_texts(record)))
    return group


Images = dict[int, tuple[Dataset, list[int] | None]]


def _images(record: Record, sources: Mapping[str, Dataset]) -> Images:
    """Header and frame number of each frame of the run, from 1."""
    paths, found = record["source"]["paths"], {}
    for number in range(1, record["source"]["frames"] + 1):
        several = len(paths) == 1
        if not several and number > len(paths):
            break
        source = sources.get(f"{paths[0]}#{number}" if several else f"{paths[number - 1]}#1")
        if source is not None:
            found[number] = (source, [number if several else 1] if source.get("NumberOfFrames") else None)
    return found


def _named(record: Record, images: Images) -> Iterator[tuple[Dataset, list[int] | None]]:
    needle, contrast = record["needle"], record["contrast"]
    told = set() if needle is None else set(needle["key_frames"])
    if contrast is not None:
        told |= {contrast[name] for name in ("onset_frame", "peak_frame")} - {None}
    kept = sorted(number for number in (told or images) if number in images) or sorted(images)
    step = -(-len(kept) // MOST_IMAGES)
    for number in kept[::step]:
        yield images[number]


def _contrast(record: Record, images: Images) -> Iterator[Measurement]:
    contrast = record["contrast"]
    if contrast is None:
        return
    qualifier = _qualifier(record)
    onset, seconds = contrast["onset_frame"], record["times"]["seconds"]
    if onset is not None:
        yield Measurement(codes.ONSET_FRAME, onset, codes.FRAMES, qualifier=qualifier)
        if seconds is not None and onset <= len(seconds):
            yield Measurement(codes.ONSET_TIME, seconds[onset - 1], codes.SECONDS, qualifier=qualifier)
        unit = contrast["unit"]
        for code, field, of in (
            (codes.CONTRAST_AREA, "area", codes.AREAS[unit]),
            (codes.CONTRAST_FRONT, "front", codes.UNITS[unit]),
        ):
            known = [point for point in contrast["points"] if point[field] is not None]
            if known:
                most = max(known, key=lambda point: float(point[field]))
                drawn = _point(codes.FRONT_POINT, most["front_xy"] if field == "front" else None, most["frame"], images)
                yield Measurement(code, most[field], of, qualifier=qualifier, referenced_coordinates=drawn)
        plain = (
            (codes.TIME_TO_PEAK, contrast["time_to_peak_s"], codes.SECONDS),
            (codes.WASHOUT, contrast["washout"], codes.RATIO),
            (codes.LEAK, contrast["leak_along_needle"], codes.UNITS[unit]),
            (codes.IN_BONE, contrast["in_bone"], codes.RATIO),
            (codes.IN_TARGET, contrast["in_target"], codes.RATIO),
        )
        for code, value, of in plain:
            if value is not None:
                yield Measurement(code, value, of, qualifier=qualifier)
    if contrast["least_density"] is not None:
        yield Measurement(codes.LEAST_DENSITY, contrast["least_density"], codes.RATIO)
    residual_px = contrast["motion"]["median_residual_px"]
    if residual_px is not None:  # motion that cannot be told is not none
        yield Measurement(codes.RESIDUAL, residual_px, codes.UNITS["px"])


def _needle(record: Record, images: Images) -> Iterator[Measurement]:
    needle = record["needle"]
    if needle is None or not needle["steady"]:
        return
    tips = {point["frame"]: point["tip_xy"] for point in needle["points"] if point["tip_xy"] is not None}
    drawn = [
        each
        for number in needle["key_frames"]
        if number in tips
        for each in _point(codes.TIP, tips[number], number, images) or ()
    ]
    yield Measurement(codes.FOLLOWED, needle["followed_share"], codes.RATIO, referenced_coordinates=drawn or None)
    if needle["travel"] is not None:
        yield Measurement(codes.TRAVEL, needle["travel"], codes.UNITS[needle["unit"]], qualifier=_qualifier(record))


def _qualifier(record: Record) -> Code | None:
    # numbers of a run that could not be judged must not be read as those of one that was
    return codes.INDETERMINATE if record["verdict"]["code"] == VerdictCode.NOT_ASSESSABLE else None


def _point(code: Code, xy: Sequence[float] | None, number: int, images: Images) -> list[CoordinatesForMeasurement] | None:
    if xy is None or number not in images:
        return None
    source, numbers = images[number]
    place = np.clip(np.array([xy], np.float64) + CENTRE, 0, [source.Columns, source.Rows])
    image = SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID, numbers)
    return [CoordinatesForMeasurement("POINT", place, image, purpose=code)]


def _evaluations(record: Record) -> Iterator[QualitativeEvaluation]:
    told = [(codes.VERDICT, codes.verdict_code(record["verdict"]["code"])), (codes.CONFIRMATION, codes.AWAITING)]
    told += [(codes.CONTRAST, _seen(record))]
    told += [(codes.BESIDE, codes.named_code(flag)) for flag in record["verdict"]["flags"]]
    told += [(codes.VIEW, codes.named_code(record["view"]["kind"]))]
    told += [(codes.SCALE_SOURCE, codes.named_code(record["calibration"]["method"]))]
    for name, value in told:
        yield QualitativeEvaluation(CodedConcept.from_code(name), CodedConcept.from_code(value))


def _seen(record: Record) -> Code:
    """Not seen only where it was looked for to the end."""
    contrast, verdict = record["contrast"], record["verdict"]
    if contrast is not None and contrast["onset_frame"] is not None:
        return codes.SEEN
    looked = any(reason["code"] == VerdictCode.NO_CONTRAST_SEEN for reason in verdict["reasons"])
    return codes.NOT_SEEN if looked and verdict["code"] != VerdictCode.NOT_ASSESSABLE else codes.FAILED


def _texts(record: Record) -> Iterator[tuple[Code, str]]:
    verdict, needle, contrast = record["verdict"], record["needle"], record["contrast"]
    yield codes.VERDICT_WORDS, verdict["text"]
    for reason in verdict["reasons"]:
        yield codes.REASON, f"{reason['text']} ({reason['code']})"
    yield codes.TIMES, record["times"]["origin"] or "not stated"
    for event in () if needle is None else needle["events"]:
        when = f"frame {event['frame']}" + ("" if event["time_s"] is None else f", {event['time_s']:g} s")
        yield codes.EVENT, f"{event['code'].replace('_', ' ')} at {when}{': ' if event['text'] else ''}{event['text']}"
    if contrast is not None and contrast["direction"]:
        yield codes.DIRECTION, str(contrast["direction"])
