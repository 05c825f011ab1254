"""Files that are either whole or not there: written beside their place under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import cv2

from marrowpoint.frame import FrameReference, Mask
from marrowpoint.report.record import printable

# Most file systems stop at 255 bytes a name; room is left for ``_f0001.png`` and the temporary ending.
NAME_MAX_BYTES = 200


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears at `path` only when it is complete.

    Parameters
    ----------
    path : Path
        Where the file shall stand; its folder is made.

    Yields
    ------
    file object
        Binary, for writing. On any error or interruption nothing is left and a former file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def picture_name(reference: FrameReference) -> PurePosixPath:
    """Relative name of a frame's pictures: ``<same relative path>.png``, ``_f0001`` before it for one of several frames.

    Parameters
    ----------
    reference : FrameReference

    Returns
    -------
    PurePosixPath
        Never absolute and never out of its folder; printable, and short enough for a file system.
    """
    parts = [part for part in PurePosixPath(reference.path).parts if part not in ("/", "..", ".")]
    safe = [_short(printable(part).replace("\\", "_")) for part in parts] or ["frame"]
    number = f"_f{reference.frame_number:04d}" if reference.number_of_frames > 1 else ""
    return PurePosixPath(*safe[:-1], f"{safe[-1]}{number}.png")


def write_mask(mask: Mask, path: Path) -> None:
    """Write a mask as an 8-bit PNG, 255 where True.

    Parameters
    ----------
    mask : ndarray of shape (M, N), bool
    path : Path
    """
    _, data = cv2.imencode(".png", mask.astype("uint8") * 255)
    with whole_file(path) as stream:
        stream.write(data.tobytes())


def _short(name: str) -> str:
    data = name.encode("utf-8")
    if len(data) <= NAME_MAX_BYTES:
        return name
    digest = hashlib.sha256(data).hexdigest()[:16]
    return data[: NAME_MAX_BYTES - 17].decode("utf-8", "ignore") + "-" + digest
