"""Read a profile of thresholds."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from marrowpoint.errors import InvalidProfile
from marrowpoint.profile import Profile, parse_profile


def read_profile(path: str | Path | None = None) -> Profile:
    """Read a profile, or the packaged default.

    Parameters
    ----------
    path : str or Path or None
        A TOML file; None for the default.

    Returns
    -------
    Profile

    Raises
    ------
    InvalidProfile
        If it cannot be opened or understood.
    """
    if path is None:
        return parse_profile(files("marrowpoint").joinpath("profiles", "default.toml").read_bytes())
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InvalidProfile("invalid_profile", f"the profile cannot be opened ({error.strerror}): check its path") from error
    return parse_profile(data)
