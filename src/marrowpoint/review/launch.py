"""What the command line hands to the viewer."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LEDGER, PROFILE, RATER = "MARROWPOINT_LEDGER", "MARROWPOINT_PROFILE", "MARROWPOINT_RATER"


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
    """

    folder: Path | None = None
    ledger: Path | None = None
    profile: Path | None = None
    rater: str = ""


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


def account_name() -> str:
    """Name of the account as a suggestion for the rater's name; empty where the system tells none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
