"""Which files to read: a file, a folder searched to its end, or a DICOMDIR."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from marrowpoint.read.quiet import quiet

_PREAMBLE = 128
# Value representations that stand at byte 4 of a dataset without preamble in explicit encoding.
_VALUE_REPRESENTATIONS = {
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"OB", b"OW",
    b"PN", b"SH", b"SQ", b"ST", b"TM", b"UI", b"UL", b"UN", b"US", b"UT",
}  # fmt: skip
# Media Storage SOP Class UID (0002,0002) of a DICOMDIR, as its bytes stand in the file.
_DIRECTORY = b"\x02\x00\x02\x00UI\x14\x00" + MediaStorageDirectoryStorage.encode()
# Characters that file systems or a page could trip over in a result path; letters of every script stay.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"|?*\\]')
# A single file outside the working folder is named by this many last parts: enough to tell, never an absolute path.
_PARTS_OF_A_DISTANT_FILE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A file that may hold frames.

    Parameters
    ----------
    path : Path
        Absolute path.
    relative_path : str
        How results name it: with forward slashes, never absolute, different for every file of a run.
    """

    path: Path
    relative_path: str


def find_images(paths: Iterable[str | Path]) -> Iterator[ImageFile]:
    """Find the DICOM files that the paths mean.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, folders (searched to their end, with or without the .dcm ending), DICOMDIRs.

    Yields
    ------
    ImageFile
        Sorted within each folder; each file once. What was named by the caller, ends in ``.dcm`` or cannot be opened is yielded
        even if it is no DICOM, so that `read_frames` can say so; other files of a folder that are no DICOM are passed over.
    """
    seen: set[Path] = set()
    names: set[str] = set()
    for given in paths:
        start = Path(given)
        for path, name in _members(start):
            absolute = path.absolute()
            real = Path(os.path.realpath(absolute))
            if real in seen:
                continue
            seen.add(real)
            yield ImageFile(path=absolute, relative_path=_unused(_clean(name), names))


def _members(start: Path) -> Iterator[tuple[Path, str]]:
    if start.is_dir():
        # the folder's own name stands first, so that two folders of one run stay apart
        root = Path(os.path.realpath(start)).name
        for path in _walk(start):
            yield path, "/".join(part for part in (root, path.relative_to(start).as_posix()) if part)
    elif start.is_file() and _is_dicomdir(start):
        root = start.resolve().parent.name
        for path in _referenced(start):
            yield path, "/".join(part for part in (root, path.relative_to(start.parent).as_posix()) if part)
    else:
        yield start, _name_of_file(start)


def _walk(folder: Path) -> Iterator[Path]:
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        folders.sort()
        for name in sorted(files):
            path = Path(place, name)
            if path.is_file() and not _is_dicomdir(path) and _may_be_image(path):
                yield path
    # a folder that may not be opened hides images: it must come to light as a failure
    for error in closed:
        yield Path(os.fsdecode(error.filename))


def _may_be_image(path: Path) -> bool:
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    try:
        with path.open("rb") as stream:
            return looks_like_dicom(stream.read(_PREAMBLE + 4))
    except OSError:
        return True


def looks_like_dicom(head: bytes) -> bool:
    """Tell DICOM by the first 132 bytes of a file, with or without preamble.

    Parameters
    ----------
    head : bytes

    Returns
    -------
    bool
    """
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    if len(head) < 12:
        return False
    group, element = int.from_bytes(head[0:2], "little"), int.from_bytes(head[2:4], "little")
    if group not in (0x0002, 0x0008) or element > 0x0100:
        return False
    if head[4:6] in _VALUE_REPRESENTATIONS:
        return True
    # implicit encoding: a short even length follows the tag
    length = int.from_bytes(head[4:8], "little")
    return length % 2 == 0 and length <= 256


def _is_dicomdir(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR":
        return True
    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError:
        return False
    return head[_PREAMBLE : _PREAMBLE + 4] == b"DICM" and _DIRECTORY in head


def _referenced(dicomdir: Path) -> list[Path]:
    try:
        with quiet():
            records = dcmread(dicomdir, specific_tags=["DirectoryRecordSequence"]).get("DirectoryRecordSequence") or ()
            found = [path for record in records for path in _file_of(record, dicomdir.parent)]
    except Exception:
        # the index is broken, the files it should list are not: read_frames names what is wrong with it
        return [dicomdir]
    return found or [dicomdir]


def _file_of(record: Dataset, folder: Path) -> list[Path]:
    file_id = record.get("ReferencedFileID")
    if not file_id or str(record.get("DirectoryRecordType", "")) not in ("IMAGE", ""):
        return []
    parts = [file_id] if isinstance(file_id, str) else [str(part) for part in file_id]
    # an index may only point below its own folder
    if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in parts):
        return []
    exact = folder.joinpath(*parts)
    lower = folder.joinpath(*(part.lower() for part in parts))
    return [lower if not exact.exists() and lower.exists() else exact]


def _name_of_file(path: Path) -> str:
    absolute = Path(os.path.normpath(path.absolute()))
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return "/".join(absolute.parts[1:][-_PARTS_OF_A_DISTANT_FILE:])


def _clean(name: str) -> str:
    return _UNSAFE.sub("_", name) or "_"


def _unused(name: str, names: set[str]) -> str:
    unique, copy = name, 2
    while unique in names:
        unique, copy = f"{copy}/{name}", copy + 1
    names.add(unique)
    return unique
