"""Frames and results for teaching: copies without identity, each written whole, and a list of what was held back and why."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from marrowpoint.archive.burned import Blank, blanked, find_blank, joined
from marrowpoint.archive.deidentify import clean_header, patient_of, telling_words
from marrowpoint.archive.pseudonym import Pseudonyms
from marrowpoint.archive.records import Exported, clean_records, tells
from marrowpoint.errors import ArchiveError, MarrowpointError
from marrowpoint.profile import ScaleLimits
from marrowpoint.read import ImageFile, read_frames
from marrowpoint.read.header import open_dicom
from marrowpoint.read.pixels import decode_frames, describe_pixels
from marrowpoint.read.quiet import quiet
from marrowpoint.report.record import Record, record_line
from marrowpoint.report.results import RESULTS
from marrowpoint.report.write import whole_file

MANIFEST, FRAMES = "export.json", "frames"
# A file is read whole for its copy: no clinical run is longer, and the copy must fit in memory.
MOST_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One line of the manifest.

    Parameters
    ----------
    path : str
        Of the copy; empty where it was held back.
    number : int
        Place of the original among the files found, from 1: its name is not repeated.
    held_back : str
        Reason code; empty where it was exported.
    suspected_writing : int
        Rows of what looked like writing inside the picture, blanked or not: a person should look.
    blanked_writing : int
        Those of them that were blanked; the others may be anatomy.
    stated_burned_in : bool
        The original's header says that it holds burned-in annotation.
    blanked_part : float
        Part of the frame that was blanked.
    """

    number: int
    path: str = ""
    held_back: str = ""
    suspected_writing: int = 0
    blanked_writing: int = 0
    stated_burned_in: bool = False
    blanked_part: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is exported, and how.

    Parameters
    ----------
    images : sequence of ImageFile
    pseudonyms : Pseudonyms
    scale : ScaleLimits
        As for reading.
    records : sequence of dict
        Results of these files; may be empty.
    hold_suspected : bool
        Hold a file back where writing is suspected inside its picture, instead of blanking it.
    """

    images: Sequence[ImageFile]
    pseudonyms: Pseudonyms
    scale: ScaleLimits
    records: Sequence[Record] = ()
    hold_suspected: bool = False


def export_frames(
    out: Path, request: ExportRequest, *, tell: Callable[[int, int], None] = lambda done, of: None
) -> tuple[ExportedFile, ...]:
    """Write copies without identity.

    Parameters
    ----------
    out : Path
        Folder, empty or missing: ``frames/<study>/<file>.dcm``, ``results.jsonl`` and ``export.json`` appear in it.
    request : ExportRequest
    tell : callable
        Called with files done and files in all.

    Returns
    -------
    tuple of ExportedFile
        One for each file, also for those held back.

    Raises
    ------
    ArchiveError
        ``not_empty``: something stands in `out` already, which nobody could tell from the copies.
    OSError
        Where `out` cannot be written.
    """
    if out.exists() and any(out.iterdir()):
        raise ArchiveError("not_empty", "the folder for the export is not empty: name a new one")
    lines: list[ExportedFile] = []
    exported: dict[str, Exported] = {}
    counts: Counter[str] = Counter()
    for number, image in enumerate(request.images, 1):
        try:
            line, found = _export(image, number, out, request, counts)
            exported |= found
        except MarrowpointError as error:
            line = ExportedFile(number=number, held_back=error.code)
        except OSError:
            raise
        except Exception:
            # a file of a kind nobody foresaw is held back, never passed on
            line = ExportedFile(number=number, held_back="unreadable")
        lines.append(line)
        tell(number, len(request.images))
    if request.records:
        with whole_file(out / RESULTS) as stream:
            for record in clean_records(request.records, exported, request.pseudonyms):
                stream.write(record_line(record).encode())
    with whole_file(out / MANIFEST) as stream:
        stream.write(json.dumps({"files": [asdict(line) for line in lines]}, indent=1).encode())
    return tuple(lines)


def _export(
    image: ImageFile, number: int, out: Path, request: ExportRequest, counts: Counter[str]
) -> tuple[ExportedFile, dict[str, Exported]]:
    with quiet():
        source = dcmread(image.path, stop_before_pixels=True, force=True)
        source.decode()
        clean = clean_header(source, request.pseudonyms)
        stated = str(source.get("BurnedInAnnotation") or "").upper() == "YES"
    words = telling_words(source) | _words_of_name(image)
    _check(clean, words)
    blank = joined([find_blank(frame) for frame in read_frames(image, scale=request.scale)])
    suspected = blank.rows_of_writing + blank.suspected
    if request.hold_suspected and suspected:
        raise ArchiveError("suspected_writing", "writing is suspected inside the picture")
    if stated and not blank.mask.any():
        raise ArchiveError("stated_writing", "the header says that something is burned in, and it was not found")
    hashes = _fill(clean, image, blank)
    study = f"s{request.pseudonyms.name('study', str(source.StudyInstanceUID))}"
    counts[study] += 1
    clean.InstanceNumber = counts[study]
    path = f"{FRAMES}/{study}/f{counts[study]:04d}.dcm"
    with quiet(), whole_file(out / path) as stream:
        clean.save_as(stream, enforce_file_format=True)
    line = ExportedFile(
        number=number,
        path=path,
        suspected_writing=suspected,
        blanked_writing=blank.rows_of_writing,
        stated_burned_in=stated,
        blanked_part=round(float(blank.mask.mean()), 4),
    )
    made = Exported(
        path=path, pixel_sha256="", patient=patient_of(source), transfer_syntax_uid=ExplicitVRLittleEndian, words=words
    )
    keys = {f"{image.relative_path}#{index}": replace(made, pixel_sha256=value) for index, value in enumerate(hashes, 1)}
    return line, keys


def _words_of_name(image: ImageFile) -> frozenset[str]:
    stem = image.path.stem.lower()
    return frozenset({stem}) if len(stem) > 5 and not stem.isdigit() else frozenset()


def _check(clean: Dataset, words: frozenset[str]) -> None:
    # the list of what may stay holds no free text; should it ever, this is the second net
    ours = {"DeidentificationMethod", "DeidentificationMethodCodeSequence", "PatientName", "PatientID", "SOPClassUID"}
    for element in clean:
        if element.keyword not in ours and element.VR not in ("SQ", "OW", "OB") and tells(str(element.value), words):
            raise ArchiveError("telling_word", "a word of the original's identity would stand in the copy")


def _fill(clean: Dataset, image: ImageFile, blank: Blank) -> list[str]:
    """Put the blanked pixels in, uncompressed: no comment, icon or spare bit of the original's encoding is taken over."""
    hashes, frames = [], []
    with open_dicom(image) as file:
        described = describe_pixels(file)
        size = described.rows * described.columns * described.samples * described.frames * described.bits_allocated // 8
        if size > MOST_BYTES:
            raise ArchiveError("too_large", "the file is too large to be copied whole")
        photometric = described.photometric
        for stored in decode_frames(file, described):
            values = blanked(stored, blank, bits_stored=described.bits_stored, signed=described.signed)
            little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
            hashes.append(hashlib.sha256(little.data).hexdigest())
            frames.append(little.tobytes())
            photometric = stored.photometric
    _describe(clean, values, photometric)
    clean.BitsStored, clean.HighBit = described.bits_stored, described.bits_stored - 1
    clean.PixelRepresentation = int(described.signed)
    if described.frames > 1:
        clean.NumberOfFrames = described.frames
    data = b"".join(frames)
    clean.PixelData = data + b"\0" * (len(data) % 2)
    clean["PixelData"].VR = "OW" if values.dtype.itemsize == 2 else "OB"
    clean.preamble = b"\0" * 128
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return hashes


def _describe(clean: Dataset, values: NDArray[Any], photometric: str) -> None:
    clean.Rows, clean.Columns = values.shape[:2]
    clean.SamplesPerPixel = 3 if values.ndim == 3 else 1
    if photometric.startswith("YBR_PARTIAL"):
        raise ArchiveError("unsupported_colour", "the colours are of a kind that cannot be written uncompressed")
    # decoding gives every pixel its own colour
    clean.PhotometricInterpretation = "YBR_FULL" if photometric == "YBR_FULL_422" else photometric
    if values.ndim == 3:
        clean.PlanarConfiguration = 0
    clean.BitsAllocated = 8 * values.dtype.itemsize


def held_back(lines: Sequence[ExportedFile]) -> Iterator[tuple[int, str]]:
    """Number and reason of each file that was held back."""
    return ((line.number, line.held_back) for line in lines if line.held_back)
