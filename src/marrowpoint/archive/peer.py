"""The archive at the other end: a DIMSE peer ``AET@host:port`` or the address of a DICOMweb service."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from marrowpoint.errors import ArchiveError

TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]{0,15}")
USER, PASSWORD, TOKEN = "MARROWPOINT_DICOMWEB_USER", "MARROWPOINT_DICOMWEB_PASSWORD", "MARROWPOINT_DICOMWEB_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class DimsePeer:
    """A DIMSE application entity.

    Parameters
    ----------
    title : str
        Its AE title, up to 16 characters.
    host : str
    port : int
    calling : str
        Our own AE title.
    listen_port : int
        Where it sends to on C-MOVE; 0 to ask by C-GET instead.
    timeout_s : float
    """

    title: str
    host: str
    port: int
    calling: str = "MARROWPOINT"
    listen_port: int = 0
    timeout_s: float = 30.0

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPeer:
    """A DICOMweb service; its credentials come from the environment and stand in no representation.

    Parameters
    ----------
    url : str
    headers : mapping of str to str
    user : tuple of str or None
        Name and password.
    timeout_s : float
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: tuple[str, str] | None = field(default=None, repr=False)
    timeout_s: float = 60.0

    def __str__(self) -> str:
        return self.url


Peer = DimsePeer | WebPeer


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a pull or push did.

    Parameters
    ----------
    moved : int
        Instances transferred now.
    present : int
        Instances that were there already.
    """

    moved: int
    present: int = 0


def parse_peer(
    text: str, *, calling: str = "MARROWPOINT", listen_port: int = 0, environment: Mapping[str, str] = os.environ
) -> Peer:
    """Read ``AET@host:port`` or ``http(s)://...``.

    Parameters
    ----------
    text : str
    calling : str
        Our own AE title.
    listen_port : int
    environment : mapping of str to str
        Where the credentials of a DICOMweb service stand.

    Returns
    -------
    DimsePeer or WebPeer

    Raises
    ------
    ArchiveError
        ``bad_peer``.
    """
    if text.startswith(("http://", "https://")):
        return _web(text, environment)
    match = re.fullmatch(r"(.+)@([^@:\s]+):(\d{1,5})", text)
    if match is None or not TITLE.fullmatch(match[1]) or not TITLE.fullmatch(calling) or not 0 < int(match[3]) < 65536:
        raise ArchiveError(
            "bad_peer", "this is no archive: write AET@host:port (AE title up to 16 characters) or http(s)://address"
        )
    return DimsePeer(title=match[1], host=match[2], port=int(match[3]), calling=calling, listen_port=listen_port)


def _web(text: str, environment: Mapping[str, str]) -> WebPeer:
    parts = urlsplit(text)
    if not parts.hostname:
        raise ArchiveError("bad_peer", "the address of the DICOMweb service names no host")
    if parts.username or parts.password:
        raise ArchiveError("bad_peer", f"a password must not stand in an address: set {USER} and {PASSWORD} instead")
    token, user = environment.get(TOKEN), environment.get(USER)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return WebPeer(url=text.rstrip("/"), headers=headers, user=(user, environment.get(PASSWORD, "")) if user else None)
