"""A header without identity: built anew from the closed list of what may stay (`keep`), never by taking things away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import VR

from marrowpoint.archive.keep import GROUPS, MOMENT, MOMENTS, NUMBERS, SEQUENCES, TABLES, TERMS, UIDS
from marrowpoint.archive.pseudonym import Pseudonyms
from marrowpoint.errors import ArchiveError

# PS3.16 CID 7050: basic profile; clean pixel data; modified dates; patient characteristics (age and sex only).
METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
OLDEST_Y = 90  # ages above 89 years are one group
_DEEPEST = 4  # floors of sequences; enhanced objects need three


def patient_of(source: Dataset) -> str:
    """What stands for the patient when pseudonyms are made; never written anywhere."""
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        text = str(source.get(keyword) or "").strip()
        if text:
            return f"{keyword}:{text}"
    return "unknown"


def clean_header(source: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """Build the header of a copy.

    Parameters
    ----------
    source : Dataset
        Header of the original.
    pseudonyms : Pseudonyms

    Returns
    -------
    Dataset
        Without pixels, and without the attributes that describe them.

    Raises
    ------
    ArchiveError
        ``no_class``: the kind of object is unknown, or the file lacks a UID.
    """
    kind = UID(str(source.get("SOPClassUID", "")))
    missing = [keyword for keyword in UIDS[:3] if not source.get(keyword)]
    if missing or kind.is_private or kind.name == str(kind):
        raise ArchiveError("no_class", "the kind of the file is unknown or one of its UIDs is missing")
    clean = _kept(source, floor=0, grouped=False)
    patient = patient_of(source)
    clean.SOPClassUID = kind
    for keyword in UIDS:
        if source.get(keyword):
            setattr(clean, keyword, pseudonyms.uid(str(source[keyword].value)))
    _move(source, clean, pseudonyms.shift(patient))
    clean.PatientName = f"{pseudonyms.name('patient', patient)}^"
    clean.PatientID = pseudonyms.name("patient", patient)
    clean.PatientBirthDate = ""
    if "PatientSex" not in clean:
        clean.PatientSex = ""
    age = _age(source)
    if age:
        clean.PatientAge = age
    for keyword in (
        "AccessionNumber",
        "ReferringPhysicianName",
        "StudyID",
        "SeriesNumber",
        "Manufacturer",
        "StudyDate",
        "StudyTime",
    ):
        if keyword not in clean:
            setattr(clean, keyword, None if keyword == "SeriesNumber" else "")
    _state(clean)
    return clean


def _state(clean: Dataset) -> None:
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = "marrowpoint: closed list of kept attributes, PS3.15 Annex E"
    clean.DeidentificationMethodCodeSequence = []
    for value, meaning in METHODS.items():
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning[:64]
        clean.DeidentificationMethodCodeSequence.append(item)
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    clean.BurnedInAnnotation = "NO"


def _kept(source: Dataset, *, floor: int, grouped: bool) -> Dataset:
    clean = Dataset()
    for tag in list(source.keys()):
        keyword = keyword_for_tag(tag)
        if not keyword or (tag.group % 2):
            continue
        try:
            element = source[tag]
        except Exception:
            # what cannot be understood cannot be judged
            continue
        if element.VR == VR.SQ:
            if floor < _DEEPEST and (keyword in SEQUENCES | GROUPS or grouped):
                items = [_kept(item, floor=floor + 1, grouped=grouped or keyword in GROUPS) for item in element.value]
                if any(len(item) for item in items):
                    setattr(clean, keyword, items)
        elif _may_stay(keyword, element):
            clean[tag] = DataElement(tag, element.VR, element.value)
    return clean


def _may_stay(keyword: str, element: DataElement) -> bool:
    values = list(element.value) if isinstance(element.value, MultiValue | list) else [element.value]
    if keyword in NUMBERS:
        return bool(values) and all(_is_number(value) for value in values)
    if keyword in TERMS:
        return bool(values) and all(str(value) in TERMS[keyword] for value in values)
    return keyword in TABLES and element.VR in (VR.OW, VR.US, VR.OB, VR.US_OW)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _move(source: Dataset, clean: Dataset, shift: timedelta) -> None:
    for date, time in MOMENTS:
        moment = read_moment(str(source.get(date) or "") + str(source.get(time) or ""))
        if moment is None:
            continue
        moved = moment + shift
        setattr(clean, date, moved.strftime("%Y%m%d"))
        if source.get(time):
            setattr(clean, time, moved.strftime("%H%M%S"))
    moment = read_moment(str(source.get(MOMENT) or ""))
    if moment is not None:
        setattr(clean, MOMENT, (moment + shift).strftime("%Y%m%d%H%M%S"))


def read_moment(text: str) -> datetime | None:
    """Date with or without time as DICOM writes them, to the second; None where it is none."""
    match = re.match(r"(\d{8})(\d{2})?(\d{2})?(\d{2})?", text)
    if match is None:
        return None
    day, *clock = match.groups()
    try:
        return datetime.strptime(day + "".join(part or "00" for part in clock), "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _age(source: Dataset) -> str:
    text = str(source.get("PatientAge") or "").strip()
    match = re.fullmatch(r"(\d{3})([DWMY])", text)
    if match is None:
        return ""
    return f"{OLDEST_Y:03d}Y" if match[2] == "Y" and int(match[1]) >= OLDEST_Y else text


def telling_words(source: Dataset) -> frozenset[str]:
    """Words of the original that must not be found in a copy: names, numbers of persons and orders, institutions, UIDs.

    Parameters
    ----------
    source : Dataset

    Returns
    -------
    frozenset of str
        Lower case; words of four letters or more, numbers of six digits or more.
    """
    return frozenset(
        word.lower()
        for text in _texts(source, 0)
        for word in (text, *([] if re.fullmatch(r"[\d.]+", text) else re.split(r"[\s^=\\,;/_.]+", text)))
        if len(word) >= (6 if word.isdigit() else 4)
    )


_IDENTIFYING = re.compile(r"Name$|ID$|IDs$|Address|Accession|Institution|Physician|Operator|Telephone|StationName|SerialNumber")


def _texts(source: Dataset, floor: int) -> Iterator[str]:
    for tag in list(source.keys()):
        try:
            element = source[tag]
        except Exception:
            continue
        if element.VR == VR.SQ:
            if floor < _DEEPEST:
                for item in element.value:
                    yield from _texts(item, floor + 1)
        elif element.VR == VR.PN or element.keyword in (*UIDS, "PatientBirthDate") or _IDENTIFYING.search(element.keyword):
            values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
            yield from (str(value).strip() for value in values if value)
