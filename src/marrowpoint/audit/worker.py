"""A process of its own for native decoders: tasks come in on its input, events go out; it ends when its owner is gone.

Run as ``python -m marrowpoint.audit.worker`` by `pool`, never by hand.
"""

from __future__ import annotations

import os
import sys
from queue import SimpleQueue
from threading import Thread
from typing import IO

from marrowpoint.audit.wire import Ready, receive, send


def main() -> None:
    """Serve until the input ends."""
    inbox: SimpleQueue[object] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    # a native library that prints must not break the messages
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        try:
            _serve(inbox, out)
        except BrokenPipeError:
            os._exit(0)


def _listen(stream: IO[bytes], inbox: SimpleQueue[object]) -> None:
    try:
        while True:
            inbox.put(receive(stream))
    except (EOFError, OSError):
        # the owner is gone, however it ended: nobody waits for the frame at hand
        os._exit(0)


def _serve(inbox: SimpleQueue[object], out: IO[bytes]) -> None:
    import cv2  # noqa: PLC0415  (after the streams are safe)

    from marrowpoint.audit.task import FileTask, Job, StillsTask, StudyTask, program_fingerprint  # noqa: PLC0415
    from marrowpoint.audit.work import work  # noqa: PLC0415
    from marrowpoint.errors import MarrowpointError  # noqa: PLC0415
    from marrowpoint.fluoroscopy.prior import load_network  # noqa: PLC0415

    cv2.setNumThreads(1)
    job = inbox.get()
    assert isinstance(job, Job)
    refusal, network = "", None
    try:
        network = None if job.model_sha256 is None else load_network()
    except MarrowpointError as error:
        refusal = error.text
    if network is not None and network.sha256 != job.model_sha256:
        refusal = "its bone model is another one: install the same model everywhere"
    if program_fingerprint() != job.program:
        refusal = f"it runs another program ({program_fingerprint()}, not {job.program}): install the same version everywhere"
    send(out, Ready(refusal=refusal))
    while True:
        task = inbox.get()
        assert isinstance(task, FileTask | StudyTask | StillsTask)
        try:
            for event in work(task, job, network):
                send(out, event)
        except BrokenPipeError:
            raise
        except OSError as error:  # no fault of the file: the overlay has no room
            send(out, error)


if __name__ == "__main__":
    main()
