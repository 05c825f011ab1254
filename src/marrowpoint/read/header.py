"""Open a DICOM file up to its pixels: the few tags needed, nothing of the patient, no memory for what is only claimed."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from marrowpoint.errors import MarrowpointError, UnreadableImage, UnsupportedImage
from marrowpoint.read.files import ImageFile, looks_like_dicom
from marrowpoint.read.quiet import quiet

# Everything that is read; what is not listed here (comments, overlays, dates of birth) never enters memory.
_TAGS = """
    Manufacturer SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality
    StudyDate StudyTime SeriesDate SeriesTime AcquisitionDate AcquisitionTime AcquisitionDateTime ContentDate ContentTime
    Laterality ImageLaterality FrameLaterality PatientPosition
    ImageAndFluoroscopyAreaDoseProduct AcquiredImageAreaDoseProduct EntranceDoseInmGy TotalTimeOfFluoroscopy
    MechanicalIndex SoftTissueThermalIndex BoneThermalIndex CranialThermalIndex
    PositionerPrimaryAngle PositionerSecondaryAngle
    PositionerPrimaryAngleIncrement PositionerSecondaryAngleIncrement PositionerMotion
    FrameTime FrameTimeVector CineRate PatientOrientation PixelIntensityRelationship
    PixelSpacing PixelSpacingCalibrationType ImagerPixelSpacing ObjectPixelSpacingInCenterOfBeam
    EstimatedRadiographicMagnificationFactor DistanceSourceToDetector DistanceSourceToPatient DistanceSourceToIsocenter
    ShutterShape ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge ShutterLowerHorizontalEdge
    CenterOfCircularShutter RadiusOfCircularShutter VerticesOfThePolygonalShutter
    SequenceOfUltrasoundRegions SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
    BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
    RescaleIntercept RescaleSlope ModalityLUTSequence
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor
    RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
    ExtendedOffsetTable ExtendedOffsetTableLengths
"""
_OURS = "marrowpoint"  # manufacturer of the objects that `archive` writes
# Read only to tell two patients in one study apart, and taken out at once (see `_forget`).
_PATIENT = ("PatientID", "PatientName")
_PIXEL_TAGS = {(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)}
# A deflated dataset is inflated in memory: no clinical picture shrinks this far or is this large, a bomb is.
_MAX_INFLATED_BYTES = 400_000_000
_MAX_DEFLATION = 100
_ALWAYS_INFLATED_BYTES = 30_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenFile:
    """A DICOM file opened up to its pixels.

    Parameters
    ----------
    stream : BinaryIO
        Positioned anywhere; the pixel data's value begins at `pixel_offset`.
    dataset : Dataset
        The tags that marrowpoint uses.
    transfer_syntax : UID
    pixel_offset : int
        Where the value of Pixel Data begins [bytes].
    pixel_length : int or None
        Bytes of pixel data the file claims; None where they come in fragments.
    size : int
        Bytes of the whole stream.
    damaged : frozenset of str
        Keywords of tags that stand in the file but cannot be understood; they were taken out of `dataset`.
    person : int or None
        As `marrowpoint.frame.Frame.person`.
    """

    stream: BinaryIO
    dataset: Dataset
    transfer_syntax: UID
    pixel_offset: int
    pixel_length: int | None
    size: int
    damaged: frozenset[str]
    person: int | None = None


@contextmanager
def open_dicom(image: ImageFile) -> Iterator[OpenFile]:
    """Open a file and read its header.

    Parameters
    ----------
    image : ImageFile

    Yields
    ------
    OpenFile

    Raises
    ------
    UnreadableImage
        Missing or not permitted, not DICOM, a broken header, an unknown transfer syntax.
    UnsupportedImage
        DICOM without pixels.
    """
    try:
        stream = image.path.open("rb")
    except OSError as error:
        raise _cannot_open(error) from error
    with stream:
        yield _read(stream, image)


def _cannot_open(error: OSError) -> UnreadableImage:
    if isinstance(error, FileNotFoundError):
        return UnreadableImage("no_such_file", "there is no such file: check the path")
    if isinstance(error, IsADirectoryError | PermissionError):
        return UnreadableImage("not_permitted", "the file or folder may not be opened: check its permissions")
    return UnreadableImage("cannot_open", f"the file cannot be opened ({error.strerror or 'input error'}): check the disk")


def _read(stream: BinaryIO, image: ImageFile) -> OpenFile:
    try:
        with quiet():
            stream = _inflated(stream, image)
            size = stream.seek(0, 2)
            stream.seek(0)
            head = stream.read(132)
            if size == 0:
                raise UnreadableImage("empty_file", "the file is empty: export it again")
            if not looks_like_dicom(head):
                raise UnreadableImage("not_dicom", "this is no DICOM file: export the picture as DICOM")
            stream.seek(0)
            dataset = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=[*_TAGS.split(), *_PATIENT])
            person = _forget(dataset)
            _refuse_our_own(dataset)
            return replace(_at_pixels(stream, dataset, size, frozenset(_settle(dataset))), person=person)
    except MarrowpointError:
        raise
    except RecursionError as error:
        raise nested_too_deep() from error
    except MemoryError as error:
        raise out_of_memory() from error
    except Exception as error:
        # what the parser says may quote the file; its kind is enough
        text = f"the DICOM header is damaged ({type(error).__name__}): export the file again"
        raise UnreadableImage("broken_header", text) from error


def _refuse_our_own(dataset: Dataset) -> None:
    """An overlay that came back from an archive shows lines that the program drew itself: it is no evidence of anything."""
    capture = str(dataset.get("SOPClassUID", "")) == SecondaryCaptureImageStorage
    if capture and str(dataset.get("Manufacturer", "")).strip() == _OURS:
        raise UnsupportedImage("own_overlay", "this is an overlay that marrowpoint drew: leave it out")


def _forget(dataset: Dataset) -> int | None:
    """Take name and number of the patient out of the header; one byte of a hash with the study's UID is left."""
    named = [_raw(dataset, keyword).strip(b" ^\0").lower() for keyword in _PATIENT]
    for keyword in _PATIENT:
        if keyword in dataset:
            del dataset[keyword]
    who = next((text for text in named if text), b"")
    salt = _raw(dataset, "StudyInstanceUID").strip(b" \0")
    return hashlib.sha256(salt + b"/" + who).digest()[0] if who else None


def _raw(dataset: Dataset, keyword: str) -> bytes:
    """A value as it stands in the file: a name in a broken alphabet must not matter."""
    if keyword not in dataset:
        return b""
    value = dataset.get_item(keyword).value
    return value if isinstance(value, bytes) else str(value or "").encode("utf-8", "replace")


def nested_too_deep() -> UnreadableImage:
    """The error for a header that exhausts recursion."""
    return UnreadableImage("nested_too_deep", "the header nests sequences beyond all use: the file is damaged or hostile")


def out_of_memory() -> UnreadableImage:
    """The error for a file that claims more than memory holds."""
    return UnreadableImage("absurd_size", "the file claims more data than memory holds: it is damaged or hostile")


def _inflated(stream: BinaryIO, image: ImageFile) -> BinaryIO:
    if stream.read(132)[128:] != b"DICM":
        return stream
    meta = read_file_meta_info(image.path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return stream
    # the group length element itself takes 12 bytes after the preamble
    stream.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    deflated = stream.read(_MAX_INFLATED_BYTES)
    allowed = min(_MAX_INFLATED_BYTES, max(_ALWAYS_INFLATED_BYTES, _MAX_DEFLATION * len(deflated)))
    data = inflater.decompress(deflated, allowed)
    if inflater.unconsumed_tail:
        raise UnreadableImage("absurd_size", f"the file inflates beyond {allowed // 1_000_000} MB: it is damaged or hostile")
    plain = FileMetaDataset()
    plain.update(meta)
    plain.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = BytesIO()
    whole.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(DicomIO(whole), plain, enforce_standard=False)
    whole.write(data)
    return whole


def _settle(dataset: Dataset) -> Iterator[str]:
    # values are understood on first use; doing it here keeps every surprise of a damaged one in this place
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value:
                    yield from _settle(item)
        except (RecursionError, MemoryError):
            raise
        except Exception:
            del dataset[tag]
            yield keyword_for_tag(tag)


def _at_pixels(stream: BinaryIO, dataset: Dataset, size: int, damaged: frozenset[str]) -> OpenFile:
    syntax = _transfer_syntax(dataset)
    head = stream.read(8)
    order = "little" if syntax.is_little_endian else "big"
    tag = (int.from_bytes(head[0:2], order), int.from_bytes(head[2:4], order)) if len(head) == 8 else (0, 0)  # type: ignore[arg-type]
    if tag not in _PIXEL_TAGS:
        _refuse_without_pixels(dataset)
    if tag != (0x7FE0, 0x0010):
        raise UnsupportedImage("float_pixels", "the pixels are floating-point numbers: export the picture with 8 to 16 bits")
    length = int.from_bytes(head[4:8] if syntax.is_implicit_VR else stream.read(4), order)  # type: ignore[arg-type]
    return OpenFile(
        stream=stream,
        dataset=dataset,
        transfer_syntax=syntax,
        pixel_offset=stream.tell(),
        pixel_length=None if length == 0xFFFFFFFF else length,
        size=size,
        damaged=damaged,
    )


def _refuse_without_pixels(dataset: Dataset) -> None:
    kind = UID(str(dataset.get("SOPClassUID", ""))).name
    if dataset.get("Rows") is not None or dataset.get("BitsAllocated") is not None or "Image Storage" in kind:
        raise UnreadableImage("no_pixel_data", "the header describes a picture but the file ends there: export it again")
    if dataset.get("SOPClassUID") is None and dataset.get("SOPInstanceUID") is None:
        raise UnreadableImage("broken_header", "the DICOM header ends before anything useful: export the file again")
    name = kind if kind.endswith("Storage") else "a DICOM object of another kind"
    raise UnsupportedImage("no_pixel_data", f"the file holds no picture ({name}): leave it out")


def _transfer_syntax(dataset: Dataset) -> UID:
    meta = getattr(dataset, "file_meta", None)
    stated = None if meta is None else meta.get("TransferSyntaxUID")
    if not stated:
        implicit, little = dataset.original_encoding
        if little is False:
            return ExplicitVRBigEndian
        return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    syntax = UID(str(stated))
    if not syntax.is_transfer_syntax or not syntax.is_valid:
        raise UnreadableImage("unknown_transfer_syntax", "the transfer syntax is unknown: export the file uncompressed")
    return syntax
