"""Other names for patients, objects and days, the same for the same secret, and of no use without it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydicom.uid import UID

from marrowpoint.errors import ArchiveError

SECRET_BYTES = 32
# Moved back by one to ten years: old enough to be no date of the treatment, near enough for ages and devices to make sense.
LEAST_SHIFT_S, MOST_SHIFT_S = 365 * 86400, 3650 * 86400


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonyms:
    """Replaces what identifies, by HMAC-SHA-256 with a secret.

    Parameters
    ----------
    secret : bytes
        At least 32 random bytes. Whoever has it can link a copy to its original: it never goes into an export, a log or a
        representation of this object.
    """

    secret: bytes

    def uid(self, original: str) -> UID:
        """A UID below ``2.25`` for another one; nothing of the original, such as a date in it, is left."""
        return UID(f"2.25.{int.from_bytes(self._mac('uid', original)[:16], 'big')}")

    def name(self, kind: str, original: str) -> str:
        """Ten hexadecimal digits that stand for `original`."""
        return self._mac(kind, original).hex()[:10]

    def shift(self, patient: str) -> timedelta:
        """How far all moments of a patient are moved back, to the second."""
        spread = MOST_SHIFT_S - LEAST_SHIFT_S
        return -timedelta(seconds=LEAST_SHIFT_S + int.from_bytes(self._mac("shift", patient)[:8], "big") % spread)

    def moved(self, moment: datetime, patient: str) -> datetime:
        """A moment of a patient, moved; intervals between moments of one patient stay what they were."""
        return moment + self.shift(patient)

    def _mac(self, kind: str, text: str) -> bytes:
        return hmac.new(self.secret, f"{kind}\0{text}".encode(), hashlib.sha256).digest()


def forgotten_pseudonyms() -> Pseudonyms:
    """Pseudonyms of a secret that nobody keeps: consistent within one export, and no way back."""
    return Pseudonyms(secrets.token_bytes(SECRET_BYTES))


def kept_pseudonyms(key: Path) -> Pseudonyms:
    """Pseudonyms of a secret in a file, made where it is missing.

    Parameters
    ----------
    key : Path
        File with 64 hexadecimal digits, readable by its owner only. Two exports with the same key fit together.

    Returns
    -------
    Pseudonyms

    Raises
    ------
    ArchiveError
        ``bad_key``: the file is no key, or cannot be read or made.
    """
    try:
        if not key.exists():
            descriptor = os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_hex(SECRET_BYTES) + "\n")
        secret = bytes.fromhex(key.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no hexadecimal digits"
        raise ArchiveError("bad_key", f"the key file cannot be used ({reason}): name a new file to have one made") from error
    if len(secret) < SECRET_BYTES:
        raise ArchiveError("bad_key", f"the key file holds fewer than {2 * SECRET_BYTES} hexadecimal digits: name a new file")
    return Pseudonyms(secret)
