"""Where a folder's ledger lies, and where a system keeps a user's own files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FILE_NAME = "marrowpoint-review.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPlace:
    """Where a ledger goes.

    Parameters
    ----------
    path : Path
    note : str
        One sentence to show where it is not in the reviewed folder; else empty.
    """

    path: Path
    note: str = ""


def place_ledger(folder: Path | None, asked: Path | None = None, *, data_folder: Path | None = None) -> LedgerPlace:
    """Decide where the ledger of a folder lies.

    Parameters
    ----------
    folder : Path or None
        The reviewed folder, or a file in it.
    asked : Path or None
        What ``--ledger`` says; it wins, and nothing takes its place.
    data_folder : Path or None
        The user's data folder; the system's if not given.

    Returns
    -------
    LedgerPlace
        In the folder if it can be written; else in the user's data folder, under a name of the folder's own.
    """
    if asked is not None:
        return LedgerPlace(path=asked.absolute())
    kept = user_data_folder() if data_folder is None else data_folder
    if folder is None:
        return LedgerPlace(path=kept / FILE_NAME, note=f"No folder is open: decisions are kept in {kept / FILE_NAME}")
    home = folder.absolute() if folder.is_dir() else folder.absolute().parent
    if _can_hold(home):
        return LedgerPlace(path=home / FILE_NAME)
    name = f"{home.name or 'root'}-{sha256(os.fsencode(os.path.realpath(home))).hexdigest()[:12]}.sqlite"
    path = kept / "ledgers" / name
    return LedgerPlace(path=path, note=f"The folder cannot be written: decisions are kept in {path}")


def user_data_folder() -> Path:
    """Where the system keeps a user's data of this program."""
    import platformdirs  # noqa: PLC0415 - the audit reads ledgers without it

    return Path(platformdirs.user_data_dir("marrowpoint", appauthor=False))


def _can_hold(home: Path) -> bool:
    """Whether SQLite can write there: the folder itself, because of its journal, and the ledger if there is one."""
    ledger = home / FILE_NAME
    if ledger.exists() and not os.access(ledger, os.W_OK):
        return False
    probe = home / f".{FILE_NAME}.{os.getpid()}.tmp"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError:
        return False
    return True
