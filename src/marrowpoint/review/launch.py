"""What the command line hands to the viewer."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from marrowpoint.review.entry import MAX_RATER
from marrowpoint.review.place import user_data_folder

LEDGER, PROFILE, RATER = "MARROWPOINT_LEDGER", "MARROWPOINT_PROFILE", "MARROWPOINT_RATER"
LAST_RATER = "last-reviewer.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What the person asked for at the start of a review.

    Parameters
    ----------
    folder : Path or None
        Folder or file to open; None opens an empty window.
    ledger : Path or None
        File of the ledger; None puts it into the folder, or where `ledger.place_ledger` says.
    profile : Path or None
        TOML of thresholds; None for the packaged ones.
    rater : str
        Who reviews; may be empty, then the window asks before the first decision.
    outer_diameter_mm : float or None
        Needle of every frame, where it was stated at the start [mm].
    """

    folder: Path | None = None
    ledger: Path | None = None
    profile: Path | None = None
    rater: str = ""
    outer_diameter_mm: float | None = None


def request_from_environment(environment: Mapping[str, str] | None = None, *, folder: Path | None = None) -> ReviewRequest:
    """Request of a viewer that was not started by the ``marrowpoint`` command.

    Parameters
    ----------
    environment : mapping or None
        The process's own, if not given.
    folder : Path or None

    Returns
    -------
    ReviewRequest
        Ledger, profile and rater from `LEDGER`, `PROFILE` and `RATER`, where they are set.
    """
    said = os.environ if environment is None else environment
    ledger, profile = said.get(LEDGER, ""), said.get(PROFILE, "")
    return ReviewRequest(
        folder=folder,
        ledger=Path(ledger) if ledger else None,
        profile=Path(profile) if profile else None,
        rater=said.get(RATER, "").strip(),
    )


def suggested_name() -> str:
    """The name that was last signed with under this account, else the account's own."""
    try:
        return (user_data_folder() / LAST_RATER).read_text(encoding="utf-8").strip()[:MAX_RATER] or account_name()
    except (OSError, ValueError):
        return account_name()


def remember_name(name: str) -> None:
    """Keep a name for the next window to suggest; a disk that cannot take it is no error."""
    with suppress(OSError):
        user_data_folder().mkdir(parents=True, exist_ok=True)
        (user_data_folder() / LAST_RATER).write_text(f"{name}\n", encoding="utf-8")


def account_name() -> str:
    """Name of the account as a suggestion for the rater's name; empty where the system tells none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
