"""A study's results as a Structured Report (Comprehensive SR, TID 1500): one measurement group a frame or needle position.

What could not be measured stands in it as "Measurement failure", so that silence is never taken for a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import highdicom as hd
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    CoordinatesForMeasurement,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from marrowpoint.archive import codes
from marrowpoint.archive.graphics import Graphic, measured_graphics, needle_graphics, outline_graphics
from marrowpoint.archive.material import Review, frame_key
from marrowpoint.archive.source import UTF8, derived_uid, person_name
from marrowpoint.report.record import Record
from marrowpoint.verdict import Code as VerdictCode

MANUFACTURER = "marrowpoint"
NOT_STATED = "not stated"
SERIES_NUMBER = 9901
# Of these the report always speaks, if only to say that they could not be measured.
ALWAYS = ("tip_to_cortex", "insertion_depth", "bone_thickness", "thin_bone_margin", "far_cortex_reserve")


def build_report(
    frames: Sequence[Record], studies: Sequence[Record], sources: Mapping[str, Dataset], reviews: Mapping[str, Review],
    runs: Sequence[tuple[Record, MeasurementsAndQualitativeEvaluations]] = (),
) -> Dataset:  # fmt: skip
    """Build the report of one study.

    Parameters
    ----------
    frames : sequence of dict
        Frame records of one study; not empty.
    studies : sequence of dict
        Its study records, one a needle position.
    sources : mapping of str to Dataset
        Header of each frame, by `frame_key`.
    reviews : mapping of str to Review
        By `frame_key`. The report is COMPLETE and VERIFIED only if persons accepted every frame in it; else it stays
        PARTIAL and UNVERIFIED.
    runs : sequence of (dict, MeasurementsAndQualitativeEvaluations)
        Run records with their groups. Nobody confirms a run by its frames: a report with one stays UNVERIFIED.

    Returns
    -------
    Dataset
        A Comprehensive SR, ready to be saved.
    """
    verified = not runs and all(frame_key(record) in reviews and reviews[frame_key(record)].agrees for record in frames)
    decisions = [reviews[frame_key(record)] for record in frames] if verified else []
    raters = sorted({rater for review in decisions for rater in review.raters})
    evidence = list({str(source.SOPInstanceUID): source for source in sources.values()}.values())
    groups = [_frame_group(record, sources[frame_key(record)], reviews.get(frame_key(record))) for record in frames]
    groups += [_study_group(record, frames, sources) for record in studies] + [group for _, group in runs]
    provenance = frames[0]["provenance"]
    content = MeasurementReport(
        observation_context=_observers(frames[0], raters),
        procedure_reported=_procedures(frames),
        imaging_measurements=groups,
        title=standard.DCM.ImagingMeasurementReport,
        referenced_images=None,
    )
    study_uid = str(evidence[0].StudyInstanceUID)
    keys = {frame_key(record) for record in frames}
    decided = {key: [review.raters, review.agrees, review.words] for key, review in reviews.items() if key in keys}
    report = hd.sr.ComprehensiveSR(
        evidence=evidence,
        content=content[0],
        series_instance_uid=derived_uid("sr", study_uid),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid("sr", list(frames), list(studies), decided, *([record for record, _ in runs] or ())),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="marrowpoint",
        software_versions=str(provenance["marrowpoint"]),
        device_serial_number="none",
        series_description="marrowpoint: needle placement",
        is_complete=verified,
        is_final=verified,
        is_verified=verified,
        verifying_observer_name=person_name(raters[0]) if verified else None,
        verifying_organization=NOT_STATED if verified else None,
        specific_character_set=UTF8,
        coding_schemes=[_scheme()],
    )
    if verified:
        report.VerifyingObserverSequence = [_verifier(rater, max(each.decided_at for each in decisions)) for rater in raters]
    return report


def _verifier(rater: str, at: datetime) -> Dataset:
    item = Dataset()
    item.VerifyingObserverName = person_name(rater)
    item.VerifyingObserverIdentificationCodeSequence = []
    item.VerifyingOrganization = NOT_STATED
    item.VerificationDateTime = at.strftime("%Y%m%d%H%M%S%z")
    return item


def _scheme() -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=codes.SCHEME, name=codes.SCHEME_NAME, responsible_organization="The marrowpoint developers"
    )


def _observers(record: Record, raters: Sequence[str]) -> ObservationContext:
    version = record["provenance"]["marrowpoint"]
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", "marrowpoint", version),
        name="marrowpoint",
        manufacturer_name=MANUFACTURER,
        model_name=version,
    )
    person = None
    if raters:
        person = ObserverContext(
            observer_type=standard.DCM.Person,
            observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=person_name(raters[0])),
        )
    return ObservationContext(
        observer_person_context=person,
        observer_device_context=ObserverContext(observer_type=standard.DCM.Device, observer_identifying_attributes=device),
    )


def _procedures(frames: Sequence[Record]) -> list[Code]:
    ultrasound = {record["source"]["modality"] == "US" for record in frames}
    return [code for code, used in ((codes.FLUOROSCOPY, False in ultrasound), (codes.ULTRASOUND, True in ultrasound)) if used]


def _frame_group(record: Record, source: Dataset, review: Review | None) -> MeasurementsAndQualitativeEvaluations:
    numbers = _frame_numbers(source, record)
    image = SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID, numbers)
    lengths = [_measurement(record, name, image) for name, entry in record["measurements"].items() if entry is not None]
    measurements = lengths + _found(record, image) + _scale(record)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("group", source.SOPInstanceUID, record["source"]["frame"]),
            identifier=f"Frame {record['source']['frame']} of instance {source.get('InstanceNumber') or '-'}",
        ),
        finding_type=codes.NEEDLE,
        algorithm_id=algorithm_of(record),
        finding_sites=[FindingSite(codes.ILIUM, laterality=codes.SIDES.get(record["view"].get("side") or ""))],
        measurements=measurements or None,
        qualitative_evaluations=_evaluations(record, review),
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID, numbers)],
    )
    say(group, _texts(record, review))
    return group


def _study_group(
    record: Record, frames: Sequence[Record], sources: Mapping[str, Dataset]
) -> MeasurementsAndQualitativeEvaluations:
    shown = [frame for frame in frames if frame_key(frame) in record["frames"]]
    images = []
    for frame in shown:
        source = sources[frame_key(frame)]
        images.append(SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID, _frame_numbers(source, frame)))
    tip = record.get("tip_3d")
    found = record.get("measurements") or {}
    measurements = [_length(name, entry, assessed=_assessed(record)) for name, entry in found.items() if entry is not None]
    if tip is not None and tip.get("residual_mm") is not None:
        measurements.append(Measurement(codes.TIP_RESIDUAL, tip["residual_mm"], codes.UNITS["mm"]))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("position", record["study_instance_uid"], record["frames"]),
            identifier=f"Needle position in {len(shown)} frame(s)",
        ),
        finding_type=codes.NEEDLE,
        algorithm_id=algorithm_of(record),
        finding_sites=[FindingSite(codes.ILIUM)],
        measurements=measurements or None,
        qualitative_evaluations=_evaluations(record, None),
        source_images=images or None,
    )
    say(group, _texts(record, None))
    return group


def _frame_numbers(source: Dataset, record: Record) -> list[int] | None:
    return [record["source"]["frame"]] if source.get("NumberOfFrames") else None


def algorithm_of(record: Record) -> AlgorithmIdentification:
    """Program, profile and model of a record."""
    made = record["provenance"]
    return AlgorithmIdentification(
        name="marrowpoint",
        version=str(made["marrowpoint"]),
        parameters=[
            f"profile {made['profile']}",
            f"profile sha256 {made['profile_sha256']}",
            f"model sha256 {made['model_sha256'] or 'none'}",
        ],
    )


def _measurement(record: Record, name: str, image: SourceImageForRegion) -> Measurement:
    drawn = _drawn(measured_graphics(record, name), image)
    return _length(name, record["measurements"][name], assessed=_assessed(record), drawn=drawn)


def _assessed(record: Record) -> bool:
    return str(record["verdict"]["code"]) != VerdictCode.NOT_ASSESSABLE


def _drawn(graphics: Sequence[Graphic], image: SourceImageForRegion) -> list[CoordinatesForMeasurement] | None:
    drawn = [CoordinatesForMeasurement(each.kind, each.points, image, purpose=each.code) for each in graphics]
    return drawn or None


def _found(record: Record, image: SourceImageForRegion) -> list[Measurement]:
    # what was found stands on the frame, also where no length could be measured
    needle, bone, found = record["needle"], record["bone"], []
    if needle is not None:
        drawn = _drawn(needle_graphics(record), image)
        found.append(Measurement(codes.SHAFT_WIDTH, needle["shaft_width_px"], codes.UNITS["px"], referenced_coordinates=drawn))
    if bone is not None:
        drawn = _drawn(outline_graphics(record), image)
        found.append(Measurement(codes.BONE_CONFIDENCE, bone["confidence"], codes.RATIO, referenced_coordinates=drawn))
    return found


def _length(
    name: str, entry: Record, *, assessed: bool, drawn: Sequence[CoordinatesForMeasurement] | None = None
) -> Measurement:
    unit = codes.UNITS[entry["unit"]]
    return Measurement(
        codes.MEASUREMENTS[name] if name in codes.MEASUREMENTS else codes.named_code(name),
        entry["value"],
        unit,
        # a length of a frame that could not be judged must not be read as one that was
        qualifier=None if assessed else codes.INDETERMINATE,
        derivation=codes.BOUNDS[entry["bound"]],
        properties=_interval(entry["value"], entry["lower"], entry["upper"], unit),
        referenced_coordinates=drawn,
    )


def _interval(value: float, lower: float, upper: float, unit: Code) -> MeasurementProperties:
    # TID 310: how far the 95 % interval reaches above and below the value
    properties = MeasurementProperties(
        upper_measurement_uncertainty=round(upper - value, 6), lower_measurement_uncertainty=round(value - lower, 6)
    )
    for item in properties:
        # the library writes "no units"; a doubt has the unit of its value
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [CodedConcept.from_code(unit)]
    return properties


def _scale(record: Record) -> list[Measurement]:
    calibration, needle = record["calibration"], record["needle"]
    found = []
    if calibration["mm_per_px"] is not None:
        value, reach = calibration["mm_per_px"], calibration["mm_per_px"] * calibration["relative_u"]
        interval = _interval(value, value - reach, value + reach, codes.MM_PER_PX)
        found.append(Measurement(codes.SCALE, value, codes.MM_PER_PX, properties=interval))
    if needle is not None and needle["outer_diameter_mm"] is not None:
        found.append(Measurement(codes.OUTER_DIAMETER, needle["outer_diameter_mm"], codes.UNITS["mm"]))
    return found


def _evaluations(record: Record, review: Review | None) -> list[QualitativeEvaluation]:
    verdict = record["verdict"]
    standing = codes.AWAITING if review is None else codes.CONFIRMED if review.agrees else codes.DISPUTED
    told = [(codes.VERDICT, codes.verdict_code(verdict["code"])), (codes.CONFIRMATION, standing)]
    told += [(codes.BESIDE, codes.named_code(flag)) for flag in verdict["flags"]]
    if record["record"] == "frame":
        missing = (name for name in ALWAYS if record["measurements"].get(name) is None)
        told += [(codes.MEASUREMENTS[name], codes.FAILED) for name in missing]
        told.append((codes.VIEW, codes.named_code(record["view"]["kind"])))
        told.append((codes.SCALE_SOURCE, codes.named_code(record["calibration"]["method"])))
    return [QualitativeEvaluation(CodedConcept.from_code(name), CodedConcept.from_code(value)) for name, value in told]


def _texts(record: Record, review: Review | None) -> list[tuple[Code, str]]:
    verdict = record["verdict"]
    told = [(codes.VERDICT_WORDS, verdict["text"])]
    told += [(codes.REASON, f"{reason['text']} ({reason['code']})") for reason in verdict["reasons"]]
    if record["record"] == "frame":
        calibration = record["calibration"]
        notes = [calibration.get("note"), *calibration["conflicts"]]
        told += [(codes.SCALE_NOTE, note) for note in notes if note]
        entries = record["measurements"].items()
        told += [(codes.METHOD, f"{name}: {entry['method']}") for name, entry in entries if entry and entry["method"]]
    if review is not None:
        said = f"{', '.join(review.raters)}, {review.decided_at.isoformat(timespec='minutes')}"
        told.append((codes.COMMENT, f"{said}: {review.words or 'accepted'}"))
    return told


def say(group: MeasurementsAndQualitativeEvaluations, texts: Sequence[tuple[Code, str]]) -> None:
    """Put sentences into a group."""
    # TID 1501 allows sentences beside the codes; the library has no argument for them
    for name, text in texts:
        item = TextContentItem(name=name, value=text, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(item)
