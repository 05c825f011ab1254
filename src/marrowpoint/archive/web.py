"""DICOMweb: QIDO, WADO and STOW, every refusal as one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from dicomweb_client.session_utils import create_session, create_session_from_user_pass
from pydicom import dcmread

from marrowpoint.archive.peer import WebPeer
from marrowpoint.errors import ArchiveError
from marrowpoint.read.quiet import quiet

Instance = tuple[str, str, str]  # series UID, SOP instance UID, SOP class UID
_PAGE = 500
_REFUSED = {
    401: "it wants a user and password",
    403: "the user may not do that",
    404: "there is no DICOMweb service at the address",
}


@contextmanager
def _named(peer: WebPeer) -> Iterator[None]:
    try:
        with quiet():
            yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise ArchiveError("refused", f"{peer} refuses: {_REFUSED.get(status, f'status {status}')}") from error
    except requests.RequestException as error:
        raise ArchiveError("unreachable", f"{peer} cannot be reached ({type(error).__name__}): check the address") from error
    except ValueError as error:
        raise ArchiveError("refused", f"{peer} gives an answer that is no DICOMweb") from error


def _client(peer: WebPeer) -> DICOMwebClient:
    session = create_session() if peer.user is None else create_session_from_user_pass(*peer.user)
    client = DICOMwebClient(url=peer.url, session=session, headers=dict(peer.headers) or None)
    # nobody waits for ever, and a refused connection is said at once
    client.set_http_retry_params(retry=False)
    return client


def studies(peer: WebPeer, **filters: str) -> list[str]:
    """UIDs of the studies that match (QIDO)."""
    with _named(peer):
        answers = _client(peer).search_for_studies(search_filters=filters, limit=_PAGE)
    return [uid for each in answers if (uid := _value(each, "0020000D"))]


def instances_of(peer: WebPeer, study: str) -> list[Instance]:
    """Every instance of a study (QIDO); empty where the study is not known."""
    found: list[Instance] = []
    with _named(peer):
        client = _client(peer)
        while True:
            try:
                answers = client.search_for_instances(study_instance_uid=study, limit=_PAGE, offset=len(found))
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code == 404:
                    return found
                raise
            found += [(_value(each, "0020000E"), _value(each, "00080018"), _value(each, "00080016")) for each in answers]
            if len(answers) < _PAGE:
                return found


def _value(answer: Any, tag: str) -> str:
    values = answer.get(tag, {}).get("Value") or [""]
    return str(values[0])


def get(peer: WebPeer, study: str, wanted: Sequence[Instance], keep: Callable[[str, bytes], None]) -> None:
    """Fetch instances one by one (WADO), each handed to `keep` as the bytes of a file."""
    with _named(peer):
        client = _client(peer)
        for series, uid, _ in wanted:
            # any syntax: what is kept compressed stays so
            found = client.retrieve_instance(study, series, uid, media_types=(("application/dicom", "*"),))
            whole = BytesIO()
            found.save_as(whole, enforce_file_format=True)
            keep(uid, whole.getvalue())


def send(peer: WebPeer, paths: Sequence[tuple[Path, str, str]], tell: Callable[[], None]) -> None:
    """Store files one by one (STOW)."""
    with _named(peer):
        client = _client(peer)
        for path, _, _ in paths:
            answer = client.store_instances([dcmread(path)])
            if answer.get("FailedSOPSequence"):
                raise ArchiveError("refused", f"{peer} refuses an object")
            tell()
