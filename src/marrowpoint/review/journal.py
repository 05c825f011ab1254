"""Undo, redo and restore: every correction is a line on disk before the next one is made.

One file a window, JSON lines, each written whole and synced. A last line that a crash cut short is dropped, everything before
it comes back. The histories outlive the window, so that undo still works after a restart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from marrowpoint.errors import MarrowpointError
from marrowpoint.review.corrections import Corrections, from_json, to_json
from marrowpoint.review.entry import FrameKey
from marrowpoint.review.filelock import lock, unlock
from marrowpoint.review.jsonlines import read_lines, rewritten
from marrowpoint.review.place import user_data_folder

SCHEMA = 1
DEPTH = 200  # steps of undo that are kept for a frame
MAX_FILES = 64  # windows on one folder, dead or alive


@dataclass(slots=True)
class _History:
    """States of one frame; `at` is the one that holds, -1 before the first."""

    frame: FrameKey
    states: list[Corrections] = field(default_factory=list)
    at: int = -1

    def set(self, corrections: Corrections) -> None:
        del self.states[self.at + 1 :]
        self.states.append(corrections)
        del self.states[:-DEPTH]
        self.at = len(self.states) - 1

    @property
    def current(self) -> Corrections:
        return self.states[self.at] if self.at >= 0 else Corrections()


class Journal:
    """The corrections of one window. Open with `open_journal`; not for several threads at once.

    Parameters
    ----------
    path : Path
        Where its lines go.
    lines_lost : int
        Lines of earlier windows that could not be understood; a last line cut short by a crash is one.
    """

    def __init__(self, path: Path, stream: BinaryIO, guard: BinaryIO) -> None:
        self.path = path
        self.lines_lost = 0
        self._stream, self._guard = stream, guard
        self._histories: dict[str, _History] = {}

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def current(self, frame: FrameKey) -> Corrections:
        """The corrections of a frame as they stand; empty where there are none."""
        history = self._histories.get(_name(frame))
        return Corrections() if history is None else history.current

    def record(self, frame: FrameKey, corrections: Corrections) -> None:
        """Take a new state of a frame; it is on disk when this returns.

        Parameters
        ----------
        frame : FrameKey
        corrections : Corrections
            All of them, not only what changed. What had been undone can no longer be redone.

        Raises
        ------
        MarrowpointError
            ``journal_unwritable``; nothing is taken then.
        """
        if corrections == self.current(frame):
            return
        self._write("set", frame, corrections)
        self._history(frame).set(corrections)

    def can_undo(self, frame: FrameKey) -> bool:
        """Whether there is a state to go back to."""
        history = self._histories.get(_name(frame))
        return history is not None and history.at >= 0

    def can_redo(self, frame: FrameKey) -> bool:
        """Whether there is an undone state to return to."""
        history = self._histories.get(_name(frame))
        return history is not None and history.at < len(history.states) - 1

    def undo(self, frame: FrameKey) -> Corrections:
        """Go one state back; returns the one that holds now."""
        if self.can_undo(frame):
            self._write("undo", frame)
            self._history(frame).at -= 1
        return self.current(frame)

    def redo(self, frame: FrameKey) -> Corrections:
        """Return to the state that was undone last; returns the one that holds now."""
        if self.can_redo(frame):
            self._write("redo", frame)
            self._history(frame).at += 1
        return self.current(frame)

    def settle(self, frame: FrameKey) -> None:
        """Forget a frame's history: its corrections stand in the ledger now."""
        if _name(frame) in self._histories:
            self._write("settle", frame)
            del self._histories[_name(frame)]

    def unsettled(self) -> tuple[FrameKey, ...]:
        """Frames with corrections that no decision has taken up yet, oldest first."""
        return tuple(history.frame for history in self._histories.values() if not history.current.empty)

    def close(self) -> None:
        """Give the file free; it stays only where there is something to restore."""
        if self._stream.closed:
            return
        self._stream.close()
        if not any(history.states for history in self._histories.values()):
            self.path.unlink(missing_ok=True)
        unlock(self._guard)
        self._guard.close()

    def _history(self, frame: FrameKey) -> _History:
        return self._histories.setdefault(_name(frame), _History(frame))

    def _write(self, action: str, frame: FrameKey, corrections: Corrections | None = None) -> None:
        line: dict[str, Any] = {"schema": SCHEMA, "do": action, "frame": asdict(frame)}
        if corrections is not None:
            line["corrections"] = to_json(corrections)
        data = json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        end = self._stream.seek(0, os.SEEK_END)
        try:
            self._stream.write(data)
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            # half a line must not swallow the next one
            self._cut(end)
            text = f"corrections cannot be kept ({error.strerror}): free space on the disk, then make the correction again"
            raise MarrowpointError("journal_unwritable", text) from error

    def _cut(self, end: int) -> None:
        try:
            self._stream.truncate(end)
        except OSError:
            self._stream.write(b"\n")

    def _replay(self, lines: Iterator[dict[str, Any] | None]) -> None:
        for line in lines:
            try:
                self._apply(line)
            except (KeyError, TypeError, ValueError):
                self.lines_lost += 1

    def _apply(self, line: dict[str, Any] | None) -> None:
        if line is None or line["schema"] > SCHEMA:
            raise ValueError("a line that this program does not understand")
        frame = FrameKey(**line["frame"])
        history = self._history(frame)
        match line["do"]:
            case "set":
                history.set(from_json(line["corrections"]))
            case "undo":
                history.at = max(history.at - 1, -1)
            case "redo":
                history.at = min(history.at + 1, len(history.states) - 1)
            case "settle":
                del self._histories[_name(frame)]
            case other:
                raise ValueError(f"unknown step {other}")


def open_journal(folder: Path | None, *, data_folder: Path | None = None) -> Journal:
    """Open a journal for a folder and restore what earlier windows left in theirs.

    Parameters
    ----------
    folder : Path or None
        The reviewed folder.
    data_folder : Path or None
        The user's data folder; the system's if not given.

    Returns
    -------
    Journal
        Its own file; those of windows that are still open are left alone, those of dead ones are taken over.

    Raises
    ------
    MarrowpointError
        ``journal_unwritable``.
    """
    home = (user_data_folder() if data_folder is None else data_folder) / "journals"
    place = "" if folder is None else os.path.realpath(folder)
    stem = sha256(os.fsencode(place)).hexdigest()[:16]
    try:
        home.mkdir(parents=True, exist_ok=True)
        return _restored(home, stem)
    except OSError as error:
        text = f"corrections cannot be kept in {home} ({error.strerror}): make it writable"
        raise MarrowpointError("journal_unwritable", text) from error


def _restored(home: Path, stem: str) -> Journal:
    held: list[tuple[Path, BinaryIO]] = []
    for number in range(MAX_FILES):
        path = home / f"{stem}-{number}.jsonl"
        if held and not path.exists():
            continue
        guard = lock(path.with_suffix(".lock"))
        if guard is not None:
            held.append((path, guard))
    if not held:
        raise MarrowpointError("journal_unwritable", f"{MAX_FILES} windows are open on this folder: close some")
    path, guard = held[0]
    lines = [line for name, _ in held for line in read_lines(name)]
    journal = Journal(path, rewritten(path, lines), guard)
    journal._replay(iter(lines))
    for name, other in held[1:]:
        name.unlink(missing_ok=True)
        unlock(other)
        other.close()
    return journal


def _name(frame: FrameKey) -> str:
    return f"{frame.pixel_sha256}/{frame.frame_number}/{frame.path}"
