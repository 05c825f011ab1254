"""DIMSE: one association for all that is asked, every refusal as one sentence."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from marrowpoint.archive.peer import DimsePeer
from marrowpoint.errors import ArchiveError

VERIFICATION = UID("1.2.840.10008.1.1")
# Study Root: find, move, get (PS3.4 C.6)
FIND, MOVE, GET = (UID(f"1.2.840.10008.5.1.4.1.2.2.{number}") for number in (1, 2, 3))
SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless,
    JPEG2000Lossless, JPEG2000, RLELossless,
)  # fmt: skip
MOST_CONTEXTS = 126  # of one association are 128; two are for asking
OK, PENDING = 0x0000, (0xFF00, 0xFF01)
_REASONS = {
    1: "it gives no reason",
    2: "it does not know our AE title",
    3: "our AE title is not allowed",
    7: "its AE title is another",
}

Keep = Callable[[str, bytes], None]
Instance = tuple[str, str, str]  # series UID, SOP instance UID, SOP class UID


@contextmanager
def associated(
    peer: DimsePeer, contexts: Sequence[Any], *, keep: Keep | None = None, roles: Sequence[Any] = ()
) -> Iterator[Association]:
    """Open an association and close it.

    Parameters
    ----------
    peer : DimsePeer
    contexts : sequence of PresentationContext
    keep : callable or None
        Called with SOP instance UID and the bytes of a file for each object that the peer sends.
    roles : sequence of role selection items

    Yields
    ------
    Association

    Raises
    ------
    ArchiveError
        ``unreachable``, ``refused``.
    """
    _reach(peer)
    entity = AE(ae_title=peer.calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = peer.timeout_s
    refusals: list[int] = []
    handlers: list[Any] = [(evt.EVT_PDU_RECV, _watch, [refusals])]
    if keep is not None:
        handlers.append((evt.EVT_C_STORE, _store, [keep]))
    association = entity.associate(
        peer.host, peer.port, contexts=list(contexts), ae_title=peer.title, ext_neg=list(roles), evt_handlers=handlers
    )
    if not association.is_established:
        if association.is_rejected:
            reason = _REASONS.get(refusals[0] if refusals else 1, "it gives a reason that is not known")
            raise ArchiveError("refused", f"{peer} refused the association: {reason}")
        raise ArchiveError("refused", f"{peer} broke the association off: it speaks no DICOM there, or supports none of this")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _watch(event: Any, refusals: list[int]) -> None:
    if type(event.pdu).__name__ == "A_ASSOCIATE_RJ":
        refusals.append(int(event.pdu.reason_diagnostic))


def _store(event: Any, keep: Keep) -> int:
    try:
        keep(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
    except OSError:
        return 0xA700  # out of resources
    return OK


def _reach(peer: DimsePeer) -> None:
    try:
        socket.create_connection((peer.host, peer.port), timeout=min(peer.timeout_s, 10)).close()
    except OSError as error:
        reason = error.strerror or "no answer in time"
        raise ArchiveError("unreachable", f"{peer} cannot be reached ({reason}): check host and port") from error


def echo(peer: DimsePeer) -> None:
    """Ask whether somebody is there (C-ECHO)."""
    with associated(peer, [build_context(VERIFICATION)]) as association:
        status = association.send_c_echo()
        if not status or status.Status != OK:
            raise ArchiveError("refused", f"{peer} does not answer to C-ECHO")


def find(peer: DimsePeer, level: str, **keys: str) -> list[Dataset]:
    """Ask what is there (C-FIND, Study Root).

    Parameters
    ----------
    peer : DimsePeer
    level : {"STUDY", "SERIES", "IMAGE"}
    **keys : str
        Attributes to match or to return (empty).

    Returns
    -------
    list of Dataset
    """
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    model = FIND
    with associated(peer, [build_context(model)]) as association:
        found = []
        for status, answer in association.send_c_find(query, model):
            if not status:
                raise ArchiveError("refused", f"{peer} broke the query off")
            if status.Status in PENDING and answer is not None:
                found.append(answer)
            elif status.Status not in (OK, *PENDING):
                raise ArchiveError("refused", f"{peer} refuses the query (status {status.Status:04X})")
    return found


def instances_of(peer: DimsePeer, study: str) -> list[Instance]:
    """Every instance of a study, asked series by series; empty where the study is not known."""
    found = []
    for series in find(peer, "SERIES", StudyInstanceUID=study, SeriesInstanceUID=""):
        uid = str(series.SeriesInstanceUID)
        answers = find(peer, "IMAGE", StudyInstanceUID=study, SeriesInstanceUID=uid, SOPInstanceUID="", SOPClassUID="")
        found += [(uid, str(each.SOPInstanceUID), str(each.get("SOPClassUID") or "")) for each in answers]
    return found


def get(peer: DimsePeer, study: str, wanted: Sequence[Instance], keep: Keep) -> None:
    """Have instances sent over the same association (C-GET), or to a port of ours (C-MOVE) where one is named."""
    if peer.listen_port:
        _move(peer, study, wanted, keep)
        return
    classes = sorted({sop_class for _, _, sop_class in wanted if sop_class})
    # one syntax a context, so that the peer need not decode what it keeps compressed
    syntaxes = SYNTAXES[: max(1, MOST_CONTEXTS // max(1, len(classes)))]
    contexts = [build_context(each, syntax) for each in classes for syntax in syntaxes]
    model = GET
    roles = [build_role(each, scp_role=True) for each in classes]
    with associated(peer, [build_context(model), *contexts], keep=keep, roles=roles) as association:
        for query in _queries(study, wanted):
            _finish(peer, association.send_c_get(query, model))


def _move(peer: DimsePeer, study: str, wanted: Sequence[Instance], keep: Keep) -> None:
    entity = AE(ae_title=peer.calling)
    for each in sorted({sop_class for _, _, sop_class in wanted if sop_class}):
        entity.add_supported_context(each, list(SYNTAXES))
    try:
        server = entity.start_server(("", peer.listen_port), block=False, evt_handlers=[(evt.EVT_C_STORE, _store, [keep])])
    except OSError as error:
        raise ArchiveError("unreachable", f"port {peer.listen_port} cannot be listened on ({error.strerror})") from error
    model = MOVE
    try:
        with associated(peer, [build_context(model)]) as association:
            for query in _queries(study, wanted):
                _finish(peer, association.send_c_move(query, peer.calling, model))
    finally:
        if server is not None:
            server.shutdown()


def _queries(study: str, wanted: Sequence[Instance]) -> Iterator[Dataset]:
    for series in sorted({each[0] for each in wanted}):
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID = study, series
        query.SOPInstanceUID = [uid for own, uid, _ in wanted if own == series]
        yield query


def _finish(peer: DimsePeer, answers: Iterator[tuple[Dataset, Dataset | None]]) -> None:
    for status, _ in answers:
        if not status:
            raise ArchiveError("partial", f"{peer} broke the transfer off: start again, what is here is kept")
        if status.Status == 0xA801:
            raise ArchiveError(
                "refused", f"{peer} does not know our AE title as a destination: enter it there, or leave --listen out"
            )
        if status.Status not in (OK, *PENDING, 0xB000):
            raise ArchiveError("refused", f"{peer} refuses the transfer (status {status.Status:04X})")


def send(peer: DimsePeer, paths: Sequence[tuple[Path, str, str]], tell: Callable[[], None]) -> None:
    """Store files (C-STORE).

    Parameters
    ----------
    peer : DimsePeer
    paths : sequence of tuple
        File, SOP class UID, transfer syntax UID.
    tell : callable
        Called after each file.
    """
    pairs = sorted({(sop_class, syntax) for _, sop_class, syntax in paths})
    for start in range(0, len(pairs), MOST_CONTEXTS):
        now = pairs[start : start + MOST_CONTEXTS]
        with associated(peer, [build_context(*pair) for pair in now]) as association:
            for path, sop_class, syntax in paths:
                if (sop_class, syntax) in now:
                    _send_one(peer, association, path)
                    tell()


def _send_one(peer: DimsePeer, association: Association, path: Path) -> None:
    try:
        status = association.send_c_store(dcmread(path))
    except ValueError as error:
        raise ArchiveError("refused", f"{peer} takes no objects of one of the kinds sent") from error
    except RuntimeError as error:
        raise ArchiveError("partial", f"{peer} broke the transfer off: send again, what is there is skipped") from error
    if not status:
        raise ArchiveError("partial", f"{peer} broke the transfer off: send again")
    if status.Status != OK and status.Status not in (0xB000, 0xB006, 0xB007):
        raise ArchiveError("refused", f"{peer} refuses an object (status {status.Status:04X})")
