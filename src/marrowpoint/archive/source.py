"""The header of a source file, made fit to be copied from: whose study it is, and what a picture needs to be shown."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from marrowpoint.errors import ArchiveError
from marrowpoint.read.quiet import quiet

UTF8 = "ISO_IR 192"
# Whose study it is, what the picture is, how it is shown: all that a derived object needs, and nothing that nests deep.
_TAGS = """
    SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID SeriesNumber InstanceNumber Modality
    PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex PatientAge
    StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName StudyDescription
    AcquisitionDate AcquisitionTime ContentDate ContentTime Laterality ImageLaterality PatientOrientation
    Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit PixelRepresentation
    WindowCenter WindowWidth VOILUTFunction RescaleIntercept RescaleSlope RescaleType PixelAspectRatio
"""
_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
_EMPTY_IF_MISSING = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
                     "AccessionNumber", "ReferringPhysicianName")  # fmt: skip
_SEXES = ("M", "F", "O", "")


def read_source(path: Path) -> Dataset:
    """Read what derived objects take over from a source file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Dataset
        Without pixels, in UTF-8, with the attributes present (if empty) that every object must have.

    Raises
    ------
    ArchiveError
        ``source_unreadable``: no DICOM, damaged, or without the UIDs that an object must point to.
    """
    try:
        with quiet():
            read = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS.split()))
            read.decode()
            source = _normal(read)
    except ArchiveError:
        raise
    except Exception as error:
        # what a parser says may quote the file
        text = f"the header of the source file cannot be used ({type(error).__name__})"
        raise ArchiveError("source_unreadable", text) from error
    return source


def _normal(read: Dataset) -> Dataset:
    source = Dataset()
    for keyword in _TAGS.split():
        element = read.get_item(keyword)
        if element is not None and element.VR != "SQ":
            source[keyword] = read[keyword]
    missing = [keyword for keyword in _REQUIRED if not source.get(keyword)]
    if missing:
        raise ArchiveError("source_unreadable", f"the source file has no {missing[0]}: an object cannot point to it")
    # code extensions are refused by writers; what was decoded is written as UTF-8
    source.SpecificCharacterSet = UTF8
    for keyword in _EMPTY_IF_MISSING:
        if keyword not in source or source[keyword].value is None:
            setattr(source, keyword, "")
    if str(source.PatientSex) not in _SEXES:
        source.PatientSex = ""
    return source


def same_patient(sources: Sequence[Dataset]) -> bool:
    """Whether all headers name one patient: nothing may be filed where two persons share a study UID."""
    people = {(str(each.PatientID).strip(), str(each.PatientName).strip("^ ")) for each in sources}
    return len(people) <= 1


def derived_uid(*parts: Any) -> UID:
    """A UID that follows from what an object says: written twice from the same material it is the same object.

    Parameters
    ----------
    *parts : any
        Plain values that JSON knows.

    Returns
    -------
    UID
        Below ``2.25``, from a SHA-256.
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def person_name(text: str) -> str:
    """A reader's name as a DICOM person name of one component (PS3.5 6.2.1): its separators become spaces."""
    plain = re.sub(r"[\\^=\x00-\x1f]+", " ", text).strip()[:60]
    return f"{plain or 'unknown'}^"
