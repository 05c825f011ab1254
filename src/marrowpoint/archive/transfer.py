"""Pull studies from an archive and push them to one: never half a file, never sent without looking whether it arrived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from pydicom import dcmread
from pydicom.dataelem import RawDataElement

from marrowpoint.archive.extra import require
from marrowpoint.archive.peer import DimsePeer, Peer, Transfer
from marrowpoint.errors import ArchiveError
from marrowpoint.read.quiet import quiet
from marrowpoint.report.write import whole_file

UNDEFINED = 0xFFFFFFFF  # a length that the file does not state
Tell = Callable[[int, int], None]


def find_studies(peer: Peer, **keys: str) -> list[str]:
    """UIDs of the studies that match.

    Parameters
    ----------
    peer : DimsePeer or WebPeer
    **keys : str
        Attributes of the study, such as ``PatientID`` or ``StudyDate`` (``20260101-20260131``).

    Returns
    -------
    list of str
    """
    speaker = _speaker(peer)
    if isinstance(peer, DimsePeer):
        answers = speaker.find(peer, "STUDY", StudyInstanceUID="", **keys)
        return [str(each.StudyInstanceUID) for each in answers]
    found: list[str] = speaker.studies(peer, **keys)
    return found


def pull(peer: Peer, study: str, out: Path, *, tell: Tell = lambda done, of: None) -> Transfer:
    """Fetch a study.

    Parameters
    ----------
    peer : DimsePeer or WebPeer
    study : str
        Study instance UID.
    out : Path
        Folder; files are named ``<study>/<series>/<instance>.dcm`` and appear whole or not at all. Those that are there and
        can be read to their end are not fetched again.
    tell : callable
        Called with instances here and instances in all.

    Returns
    -------
    Transfer

    Raises
    ------
    ArchiveError
        ``unreachable``, ``refused``, ``no_study``, ``partial`` (what arrived stays, a second pull goes on from there).
    """
    speaker = _speaker(peer)
    instances = speaker.instances_of(peer, study)
    if not instances:
        raise ArchiveError("no_study", f"{peer} knows no study of this UID")
    places = {uid: out / _plain(study) / _plain(series) / f"{_plain(uid)}.dcm" for series, uid, _ in instances}
    missing = [each for each in instances if not is_whole(places[each[1]], each[1])]
    here = len(instances) - len(missing)
    tell(here, len(instances))
    arrived: set[str] = set()

    def keep(uid: str, data: bytes) -> None:
        if uid not in places:
            return
        with whole_file(places[uid]) as stream:
            stream.write(data)
        arrived.add(uid)
        tell(here + len(arrived), len(instances))

    if missing:
        speaker.get(peer, study, missing, keep)
    lost = [uid for _, uid, _ in missing if not is_whole(places[uid], uid)]
    if lost:
        text = f"{len(lost)} of {len(instances)} instances of the study did not arrive: pull again, what is here is kept"
        raise ArchiveError("partial", text)
    return Transfer(moved=len(missing), present=here)


def push(peer: Peer, paths: Sequence[Path], *, tell: Tell = lambda done, of: None) -> Transfer:
    """Store files and ask afterwards whether each is there.

    Parameters
    ----------
    peer : DimsePeer or WebPeer
    paths : sequence of Path
        DICOM files of any kind.
    tell : callable
        Called with files sent and files in all.

    Returns
    -------
    Transfer

    Raises
    ------
    ArchiveError
        ``unreachable``, ``refused``, ``partial``, ``not_stored`` (said to be stored, but not found by a query),
        ``source_unreadable``.
    """
    speaker = _speaker(peer)
    files, studies = [], defaultdict(set)
    for path in paths:
        study, uid, sop_class, syntax = _named(path)
        files.append((path, sop_class, syntax))
        studies[study].add(uid)
    sent = 0

    def step() -> None:
        nonlocal sent
        sent += 1
        tell(sent, len(files))

    speaker.send(peer, files, step)
    for study, uids in studies.items():
        there = {uid for _, uid, _ in speaker.instances_of(peer, study)}
        lost = len(uids - there)
        if lost:
            raise ArchiveError("not_stored", f"{peer} took {lost} of {len(uids)} objects of a study but does not find them")
    return Transfer(moved=len(files))


def is_whole(path: Path, uid: str) -> bool:
    """Whether a file is there, is the instance `uid`, and can be read to its end."""
    try:
        with quiet():
            read = dcmread(path)
            # the reader takes a last value that is cut short as it is
            last = read.get_item(max(read.keys()))
            cut = isinstance(last, RawDataElement) and last.length != UNDEFINED and len(last.value or b"") < last.length
            return not cut and str(read.SOPInstanceUID) == uid
    except Exception:
        return False


def _named(path: Path) -> tuple[str, str, str, str]:
    try:
        with quiet():
            tags = ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"]
            head = dcmread(path, stop_before_pixels=True, specific_tags=tags)
            named = (head.StudyInstanceUID, head.SOPInstanceUID, head.SOPClassUID, head.file_meta.TransferSyntaxUID)
            return (str(named[0]), str(named[1]), str(named[2]), str(named[3]))
    except Exception as error:
        raise ArchiveError("source_unreadable", "one of the files is no complete DICOM object: take it out") from error


def _plain(uid: str) -> str:
    # a hostile archive must not name a place outside of the folder
    if not uid or len(uid) > 64 or set(uid) - set("0123456789."):
        raise ArchiveError("bad_uid", "the archive names an instance by something that is no UID")
    if set(uid) == {"."}:
        raise ArchiveError("bad_uid", "the archive names an instance by something that is no UID")
    return uid


def _speaker(peer: Peer) -> ModuleType:
    # the libraries are imported where they are needed
    if isinstance(peer, DimsePeer):
        require("pynetdicom")
        from marrowpoint.archive import dimse  # noqa: PLC0415

        return dimse
    require("dicomweb_client")
    from marrowpoint.archive import web  # noqa: PLC0415

    return web
