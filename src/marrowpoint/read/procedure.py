"""Read the operator's procedure sheet: one row a site, what the files cannot say."""

from __future__ import annotations

import csv
import re
from io import StringIO
from math import isfinite
from pathlib import Path

from marrowpoint.case import Site, parse_needle
from marrowpoint.errors import InvalidNeedle, InvalidProcedure

_COLUMNS = (
    "study_instance_uid", "site", "side", "needle", "volume_ml", "syringe_ml", "entry_time", "phase", "operator_role", "note",
    "total_ml", "site_kind", "contrast", "adverse_event",
)  # fmt: skip
_PHASES = ("harvest", "reinjection")
_SITE_KINDS = ("entry", "trajectory", "level")
_YES_NO = ("yes", "no")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
# A sheet lists sites, not patients of a lifetime.
_MAX_BYTES = 10_000_000
# More than is ever drawn from one site or held by one syringe.
_MAX_ML = 2000.0


def read_procedure(path: str | Path) -> dict[str, tuple[Site, ...]]:
    """Read a procedure sheet.

    Parameters
    ----------
    path : str or Path
        CSV with a header row, separated by comma, semicolon or tab; UTF-8 with or without byte order mark, else Windows-1252.

    Returns
    -------
    dict of str to tuple of Site
        Sites by study instance UID, in the order of the sheet.

    Raises
    ------
    InvalidProcedure
        Names line and column of what cannot be understood.
    """
    rows = csv.reader(StringIO(text := _text(Path(path)), newline=""), delimiter=_delimiter(text), strict=True)
    sites: dict[str, tuple[Site, ...]] = {}
    try:
        columns = _header(next(rows, []))
        for row in rows:
            if any(cell.strip() for cell in row):
                site = _site(columns, row, rows.line_num)
                sites[site.study_instance_uid] = (*sites.get(site.study_instance_uid, ()), site)
    except csv.Error as error:
        raise _invalid(f"line {rows.line_num}: {error}") from error
    return sites


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(f"it cannot be opened ({error.strerror}): check its path") from error
    if len(data) > _MAX_BYTES:
        raise _invalid("it is larger than 10 MB: this is no procedure sheet")
    if b"\0" in data:
        raise _invalid("it is no text: save it as CSV (UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # what spreadsheet programs write on western Windows; the few undefined bytes become a mark
        return data.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _header(cells: list[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    if not any(columns):
        raise _invalid("it is empty: the first line must name the columns")
    for number, column in enumerate(columns, start=1):
        if column not in _COLUMNS:
            raise _invalid(f"line 1, column {number}: {_shown(column)} is unknown; known are {', '.join(_COLUMNS)}")
        if columns.index(column) != number - 1:
            raise _invalid(f"line 1, column {number}: {column} stands there twice")
    if "study_instance_uid" not in columns:
        raise _invalid("line 1: there is no column study_instance_uid")
    return columns


def _site(columns: list[str], row: list[str], line: int) -> Site:
    if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
        raise _invalid(f"line {line}: {len(row)} values under {len(columns)} columns; quote values that hold the separator")
    cells = {column: value.strip() for column, value in zip(columns, row, strict=False)}
    uid = cells.get("study_instance_uid", "")
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise _invalid(f"line {line}, study_instance_uid: {_shown(uid)} is no UID")
    return Site(
        study_instance_uid=uid,
        site=cells.get("site", ""),
        side=_choice(cells.get("side", "").upper(), ("L", "R"), f"line {line}, side"),
        needle_od_mm=_needle(cells.get("needle", ""), f"line {line}, needle"),
        volume_ml=_millilitres(cells.get("volume_ml", ""), f"line {line}, volume_ml"),
        syringe_ml=_millilitres(cells.get("syringe_ml", ""), f"line {line}, syringe_ml"),
        entry_time=cells.get("entry_time", ""),
        phase=_choice(cells.get("phase", "").lower(), _PHASES, f"line {line}, phase"),
        operator_role=cells.get("operator_role", ""),
        note=cells.get("note", ""),
        needle=cells.get("needle", ""),
        total_ml=_millilitres(cells.get("total_ml", ""), f"line {line}, total_ml"),
        site_kind=_choice(cells.get("site_kind", "").lower(), _SITE_KINDS, f"line {line}, site_kind"),
        contrast=_choice(cells.get("contrast", "").lower(), _YES_NO, f"line {line}, contrast"),
        adverse_event=cells.get("adverse_event", ""),
    )


def _choice(value: str, allowed: tuple[str, ...], place: str) -> str:
    if value and value not in allowed:
        raise _invalid(f"{place}: {_shown(value)} is none of {', '.join(allowed)}")
    return value


def _needle(value: str, place: str) -> float | None:
    if not value:
        return None
    try:
        return parse_needle(value)
    except InvalidNeedle as error:
        raise _invalid(f"{place}: {error.text}") from error


def _millilitres(value: str, place: str) -> float | None:
    if not value:
        return None
    # a comma is the decimal mark in much of Europe
    try:
        volume_ml = float(value.replace(",", "."))
    except ValueError as error:
        raise _invalid(f"{place}: {_shown(value)} is no number") from error
    if not isfinite(volume_ml) or not 0 <= volume_ml <= _MAX_ML:
        raise _invalid(f"{place}: {_shown(value)} is no volume in ml")
    return volume_ml


def _shown(value: str) -> str:
    # a sheet is written by people: what is quoted is short and printable
    return repr(value if len(value) <= 40 else value[:37] + "...")


def _invalid(text: str) -> InvalidProcedure:
    return InvalidProcedure("invalid_procedure", f"the procedure sheet: {text}")
