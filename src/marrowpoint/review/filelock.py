"""A lock that the system itself takes back when a process dies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _take(stream: BinaryIO) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

    def unlock(stream: BinaryIO) -> None:
        """Give a lock free."""
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(stream: BinaryIO) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(stream: BinaryIO) -> None:
        """Give a lock free."""
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)


def lock(path: Path) -> BinaryIO | None:
    """Take a lock without waiting.

    Parameters
    ----------
    path : Path
        A file that exists only for this; made if need be.

    Returns
    -------
    BinaryIO or None
        Keep it open as long as the lock is to hold; None where someone else has it.

    Raises
    ------
    OSError
        Where the file cannot be made.
    """
    stream = path.open("a+b")
    try:
        _take(stream)
    except (BlockingIOError, PermissionError):
        stream.close()
        return None
    return stream
