"""What JPEG decoders say on standard error and nowhere else: that the data are damaged and the picture is partly a guess.

The JPEG libraries go on after damage and return a picture; the only trace is a line on the file descriptor of standard error.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import cv2
import numpy as np

from marrowpoint.errors import UnreadableImage

_STDERR = 2
# Warnings of the JPEG library after which the rest of the picture is invented; its others (an unknown maker's mark) harm none.
_DAMAGE = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG|Invalid SOS parameters|Inconsistent progression"
    rb"|Application transferred too many)[^\r\n]*[\r\n]*"
)
# Standard error belongs to the whole process.
_LOCK = Lock()


@contextmanager
def refuse_damaged() -> Iterator[None]:
    """Listen on the file descriptor of standard error while a JPEG decoder works inside the block.

    What others write there meanwhile (a progress bar) is passed on when the block ends.

    Raises
    ------
    UnreadableImage
        Code ``damaged_pixels``: the decoder found damage and guessed.
    """
    with _LOCK, tempfile.TemporaryFile() as heard:
        kept = _redirected(heard.fileno())
        try:
            yield
        finally:
            _restored(kept)
            heard.seek(0)
            said = heard.read()
            others = _DAMAGE.sub(b"", said)
            if others and kept is not None:
                with suppress(OSError):  # nobody listens there any more
                    os.write(_STDERR, others)
        if others != said:
            raise _damaged()


def check_jpeg(coded: bytes) -> None:
    """Decode an 8-bit JPEG once more with a decoder that tells of damage, for one that keeps silent.

    Parameters
    ----------
    coded : bytes
        One picture; its size has been checked.

    Raises
    ------
    UnreadableImage
        Code ``damaged_pixels``.
    """
    with refuse_damaged():
        # an eighth of the size: the whole stream is still read, little of it is drawn
        picture = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if picture is None:
        raise _damaged()


def _redirected(target: int) -> int | None:
    """Let standard error write to `target`; the old descriptor, None where there was none."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a window without a terminal
        kept = None
    os.dup2(target, _STDERR)
    return kept


def _restored(kept: int | None) -> None:
    if kept is None:
        os.close(_STDERR)
    else:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _damaged() -> UnreadableImage:
    return UnreadableImage(
        "damaged_pixels", "the compressed pixels are damaged and part of the picture is lost: export it again"
    )
