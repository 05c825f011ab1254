"""The overlay as a Secondary Capture and a PDF about a study as an Encapsulated PDF: what any archive shows."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import cv2
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from marrowpoint.archive import codes
from marrowpoint.archive.source import UTF8, derived_uid
from marrowpoint.assess import marrowpoint_version
from marrowpoint.errors import ArchiveError
from marrowpoint.report.record import Record
from marrowpoint.report.words import RESEARCH_ONLY

CAPTURE_SERIES, DOCUMENT_SERIES = 9902, 9903
_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip


def build_capture(record: Record, source: Dataset, overlay: Path, number: int) -> Dataset:
    """Build a Secondary Capture of a frame's overlay.

    Parameters
    ----------
    record : dict
        Frame record.
    source : Dataset
        Header of the frame's file.
    overlay : Path
        PNG.
    number : int
        Instance number in its series, from 1.

    Returns
    -------
    Dataset
        8-bit RGB, uncompressed, ready to be saved.

    Raises
    ------
    ArchiveError
        ``overlay_unreadable``.
    """
    picture = cv2.imread(str(overlay), cv2.IMREAD_COLOR)
    if picture is None:
        raise ArchiveError("overlay_unreadable", "the overlay picture is missing or damaged: run analyze again")
    picture = picture[:, : picture.shape[1] - picture.shape[1] % 2, ::-1]
    capture = _derived(source, SecondaryCaptureImageStorage, ("sc", record, _hash(picture.tobytes())))
    capture.Modality = "OT"
    capture.SeriesInstanceUID = derived_uid("sc series", str(source.StudyInstanceUID))
    capture.SeriesNumber, capture.InstanceNumber = CAPTURE_SERIES, number
    capture.SeriesDescription = "marrowpoint: overlays"
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.DerivationDescription = "What marrowpoint found, drawn on the frame; not for measuring"
    # the caption names the file and the time of acquisition
    capture.BurnedInAnnotation = "YES"
    capture.PatientOrientation = ""
    capture.Laterality = record["view"].get("side") or ""
    capture.ImageComments = f"{record['verdict']['text']}. {RESEARCH_ONLY}"
    capture.SourceImageSequence = [_reference(source, record)]
    capture.SamplesPerPixel, capture.PhotometricInterpretation, capture.PlanarConfiguration = 3, "RGB", 0
    capture.Rows, capture.Columns = picture.shape[:2]
    capture.BitsAllocated, capture.BitsStored, capture.HighBit, capture.PixelRepresentation = 8, 8, 7, 0
    capture.PixelData = picture.tobytes()
    capture["PixelData"].VR = "OB"
    return capture


def build_pdf(pdf: bytes, source: Dataset, title: str) -> Dataset:
    """Build an Encapsulated PDF of a study.

    Parameters
    ----------
    pdf : bytes
        A PDF about this study and nobody else.
    source : Dataset
        Header of any file of the study.
    title : str
        Document title.

    Returns
    -------
    Dataset

    Raises
    ------
    ArchiveError
        ``no_pdf``: the bytes are none.
    """
    if not pdf.startswith(b"%PDF-"):
        raise ArchiveError("no_pdf", "the document given is no PDF")
    document = _derived(source, EncapsulatedPDFStorage, ("pdf", str(source.StudyInstanceUID), title, _hash(pdf)))
    document.Modality = "DOC"
    document.SeriesInstanceUID = derived_uid("pdf series", str(source.StudyInstanceUID))
    document.SeriesNumber, document.InstanceNumber = DOCUMENT_SERIES, 1
    document.SeriesDescription = "marrowpoint: report"
    document.ConversionType = "WSD"
    document.BurnedInAnnotation = "YES"
    document.AcquisitionDateTime = ""
    document.DocumentTitle = title
    document.ConceptNameCodeSequence = [_code_item()]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(pdf)
    document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return document


def _derived(source: Dataset, sop_class: UID, content: tuple[object, ...]) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SpecificCharacterSet = UTF8
    for keyword in _PATIENT_AND_STUDY:
        if keyword in source:
            made[keyword] = source[keyword]
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = derived_uid(str(source.SOPInstanceUID), *content)
    now = datetime.now()
    made.InstanceCreationDate = made.ContentDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.ContentTime = now.strftime("%H%M%S")
    made.Manufacturer = made.ManufacturerModelName = "marrowpoint"
    made.SoftwareVersions = marrowpoint_version()
    made.DeviceSerialNumber = "none"
    return made


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _reference(source: Dataset, record: Record) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if source.get("NumberOfFrames"):
        item.ReferencedFrameNumber = record["source"]["frame"]
    return item


def _code_item() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = codes.DOCUMENT
    return item
