"""Libraries that only the archive needs, imported when it is used."""

from __future__ import annotations

import importlib

from marrowpoint.errors import ArchiveError

NEEDED = ("highdicom", "pynetdicom", "dicomweb_client")


def require(*names: str) -> None:
    """Stop with one clear sentence where a library of the extra is missing.

    Parameters
    ----------
    *names : str
        Import names, of `NEEDED`.

    Raises
    ------
    ArchiveError
        ``missing_extra``.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.replace("_", "-")
            text = f"this needs {package}: install it with  pip install 'marrowpoint[archive]'"
            raise ArchiveError("missing_extra", text) from error
