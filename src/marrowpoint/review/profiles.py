"""A profile as a form: every threshold with its unit and source, and back to the TOML that ``--profile`` reads."""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from marrowpoint.errors import InvalidProfile
from marrowpoint.profile import SECTIONS, Profile, parse_profile
from marrowpoint.read import read_profile

# endings of the names of thresholds; the rest are plain numbers
UNITS = {"mm_per_px": "mm/px", "per_thickness": "", "mm": "mm", "px": "px", "deg": "deg", "min": "min", "h": "h", "ml": "ml",
         "s": "s", "u": "relative (k = 2)", "confidence": "0 to 1"}  # fmt: skip
EDITED = "edited in review"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileField:
    """One threshold as a row of a form.

    Parameters
    ----------
    section, name : str
        Table and key of the TOML.
    value : float
    unit : str
        Empty for a plain number.
    source : str
        Where the value comes from.
    """

    section: str
    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileForm:
    """A whole profile as a form.

    Parameters
    ----------
    name, version : str
    fields : tuple of ProfileField
        In the order of the sections and their thresholds.
    """

    name: str
    version: str
    fields: tuple[ProfileField, ...]

    def changed(self, section: str, name: str, value: float, source: str = "") -> ProfileForm:
        """A copy with another threshold.

        Parameters
        ----------
        section, name : str
        value : float
        source : str
            Why; a changed value without a source says that it was edited, and what it was.

        Returns
        -------
        ProfileForm

        Raises
        ------
        KeyError
            For a threshold that there is not.
        """
        old = self.field(section, name)
        if not source.strip():
            source = old.source if value == old.value else f"{EDITED}; before: {old.value:g} ({old.source})"
        new = replace(old, value=float(value), source=source.strip())
        return replace(self, fields=tuple(new if each is old else each for each in self.fields))

    def field(self, section: str, name: str) -> ProfileField:
        """The row of one threshold."""
        for each in self.fields:
            if (each.section, each.name) == (section, name):
                return each
        raise KeyError(f"{section}.{name}")


def profile_form(path: Path | None = None) -> ProfileForm:
    """Read a profile into a form.

    Parameters
    ----------
    path : Path or None
        None for the packaged one.

    Returns
    -------
    ProfileForm
        Optional sections that the file lacks are left out.

    Raises
    ------
    InvalidProfile
        If it cannot be opened or understood.
    """
    profile = read_profile(path)  # refuses what is wrong, by name
    data = files("marrowpoint").joinpath("profiles", "default.toml").read_bytes() if path is None else path.read_bytes()
    table = tomllib.loads(data.decode("utf-8"))
    fields = [
        ProfileField(section=section, name=name, value=float(entry["value"]), unit=unit_of(name), source=str(entry["source"]))
        for section in SECTIONS
        for name, entry in table.get(section, {}).items()
    ]
    return ProfileForm(name=profile.name, version=profile.version, fields=tuple(fields))


def profile_toml(form: ProfileForm) -> bytes:
    """The bytes of the TOML file of a form."""
    lines = ["# The thresholds of marrowpoint, saved from a review. A changed threshold is a changed result."]
    lines += [f"name = {_text(form.name)}", f"version = {_text(form.version)}"]
    for section in SECTIONS:
        rows = [each for each in form.fields if each.section == section]
        if rows:
            lines += ["", f"[{section}]"]
            lines += [f"{each.name} = {{ value = {each.value!r}, source = {_text(each.source)} }}" for each in rows]
    return ("\n".join(lines) + "\n").encode()


def save_profile(form: ProfileForm, path: Path) -> Profile:
    """Write the file, whole or not at all.

    Parameters
    ----------
    form : ProfileForm
    path : Path

    Returns
    -------
    Profile
        As ``--profile`` will read it.

    Raises
    ------
    InvalidProfile
        For an impossible value, a changed profile under the packaged one's name and version, or a place that cannot be written.
    """
    data = profile_toml(form)
    profile = parse_profile(data)
    packaged = profile_form(None)
    same = [(each.section, each.name, each.value) for each in form.fields] == [
        (each.section, each.name, each.value) for each in packaged.fields
    ]
    if not same and (form.name, form.version) == (packaged.name, packaged.version):
        text = f"these are not the thresholds of {packaged.name}@{packaged.version}: give the changed profile a name of its own"
        raise InvalidProfile("invalid_profile", text)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with fresh.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        text = f"the profile cannot be written ({error.strerror}): choose another folder"
        raise InvalidProfile("invalid_profile", text) from error
    return profile


def unit_of(name: str) -> str:
    """Unit of a threshold, read from the end of its name."""
    return next((unit for ending, unit in UNITS.items() if name == ending or name.endswith(f"_{ending}")), "")


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
