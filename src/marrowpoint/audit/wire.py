"""Messages between an audit and its workers: their length, then a pickle; both ends are our own processes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import IO

LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker waits for tasks; `refusal` says why it cannot take any."""

    refusal: str = ""


def send(stream: IO[bytes], message: object) -> None:
    """Write one message.

    Parameters
    ----------
    stream : file object
    message : object
        Anything that can be pickled; both ends are our own processes.
    """
    data = pickle.dumps(message, protocol=5)
    stream.write(len(data).to_bytes(LENGTH_BYTES, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> object:
    """Read one message.

    Parameters
    ----------
    stream : file object

    Returns
    -------
    object

    Raises
    ------
    EOFError
        When the other end is gone.
    """
    head = stream.read(LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    data = stream.read(length) if len(head) == LENGTH_BYTES else b""
    if not data or len(data) < length:
        raise EOFError
    return pickle.loads(data)
