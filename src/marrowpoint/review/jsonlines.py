"""Files of JSON lines that survive a crash: what is whole is read, a rewritten file is whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO


def read_lines(path: Path) -> list[dict[str, Any] | None]:
    """What stands in a file; None for a line that is no JSON object, a torn last one included."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found: list[dict[str, Any] | None] = []
    for line in data.split(b"\n"):
        if line:
            try:
                tree = json.loads(line)
                found.append(tree if isinstance(tree, dict) else None)
            except ValueError:
                found.append(None)
    return found


def rewritten(path: Path, lines: list[dict[str, Any] | None]) -> BinaryIO:
    """Put all that was restored into one file, whole or not at all, and open it to go on."""
    fresh = path.with_suffix(".tmp")
    with fresh.open("wb") as stream:
        for line in lines:
            if line is not None:
                stream.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)
    return path.open("r+b")


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders; it needs no sync of them either
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
