"""The audit as flat tables for other programs: CSV always, Parquet and Excel where the extra is installed."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from codecs import BOM_UTF8, getwriter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from marrowpoint.audit.columns import TABLES, Column
from marrowpoint.errors import InvalidAudit
from marrowpoint.report.write import whole_file

DICTIONARY = "data_dictionary"
OF_FILES = "JOIN files USING (path) ORDER BY files.ordinal"
OF_RUNS = "JOIN files USING (path) ORDER BY t.ordinal, files.ordinal"
ROWS_AT_ONCE = 10_000
EXCEL_ROWS = 1_048_576  # a sheet of Excel ends there

# A spreadsheet takes a cell that begins so for a formula, and the text comes from files and people.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

# XML, and so Excel, has no place for these
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

Cell = str | float | int | None


def write_tables(db: sqlite3.Connection, out: Path, *, rich: bool = False) -> tuple[Path, ...]:
    """Write every table of an audit, and a data dictionary.

    Parameters
    ----------
    db : sqlite3.Connection
    out : Path
        Folder; made where it is missing.
    rich : bool
        Also ``*.parquet`` and one ``audit.xlsx``.

    Returns
    -------
    tuple of Path
        What was written, each whole or not there.

    Raises
    ------
    InvalidAudit
        Where `rich` and the extra ``[tables]`` is not installed.
    OSError
        Where the folder cannot be written.
    """
    if rich and not (find_spec("pyarrow") and find_spec("openpyxl")):
        raise InvalidAudit("missing_extra", "Parquet and Excel need two libraries: pip install 'marrowpoint[tables]'")
    written = [_csv(out / f"{name}.csv", _header(columns), rows(db, name)) for name, columns in TABLES.items()]
    dictionary = ("table", "column", "kind", "unit", "meaning")
    written.append(_csv(out / f"{DICTIONARY}.csv", dictionary, iter(_dictionary())))
    if rich:
        written += [_parquet(out / f"{name}.parquet", columns, rows(db, name)) for name, columns in TABLES.items()]
        written.append(_excel(out / "audit.xlsx", db))
    return tuple(written)


def rows(db: sqlite3.Connection, table: str) -> Iterator[tuple[Cell, ...]]:
    """Rows of one table in the order of its columns.

    Parameters
    ----------
    db : sqlite3.Connection
    table : str
        One of `columns.TABLES`.

    Yields
    ------
    tuple
        Text, numbers and None; lists are one text, separated by spaces.
    """
    columns = TABLES[table]
    fields = ", ".join(f"json_extract(t.record, '{column.where}')" for column in columns)
    orders = {"frames": OF_FILES + ", t.frame", "failures": OF_FILES + ", t.frame", "runs": OF_RUNS}
    joined = orders.get(table, "ORDER BY t.ordinal")
    lists = [k for k, column in enumerate(columns) if column.kind == "list"]
    for found in db.execute(f"SELECT {fields} FROM {table} t {joined}"):
        row = list(found)
        for k in lists:
            row[k] = " ".join(json.loads(row[k])) if row[k] is not None else None
        yield tuple(row)


def _header(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _dictionary() -> list[tuple[Cell, ...]]:
    return [(table, c.name, c.kind, c.unit, c.meaning) for table, columns in TABLES.items() for c in columns]


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _csv(path: Path, header: tuple[str, ...], found: Iterator[tuple[Cell, ...]]) -> Path:
    with whole_file(path) as stream:
        # the mark at the beginning tells spreadsheet programs that it is UTF-8
        stream.write(BOM_UTF8)
        writer = csv.writer(getwriter("utf-8")(stream))
        writer.writerow(header)
        writer.writerows(tuple(_harmless(cell) for cell in row) for row in found)
    return path


def _parquet(path: Path, columns: tuple[Column, ...], found: Iterator[tuple[Cell, ...]]) -> Path:
    pa: Any = import_module("pyarrow")  # large, and of an extra
    parquet: Any = import_module("pyarrow.parquet")
    kinds = {"number": pa.float64(), "integer": pa.int64()}
    fields = [
        pa.field(c.name, kinds.get(c.kind, pa.string()), metadata={"meaning": c.meaning, "unit": c.unit}) for c in columns
    ]
    schema = pa.schema(fields)
    with whole_file(path) as stream, parquet.ParquetWriter(stream, schema) as writer:
        while chunk := list(islice(found, ROWS_AT_ONCE)):
            filled = zip(zip(*chunk, strict=True), columns, fields, strict=True)
            arrays = [pa.array(_typed(values, column.kind), field.type) for values, column, field in filled]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return path


def _typed(values: tuple[Cell, ...], kind: str) -> list[Any]:
    if kind == "number":
        return [None if value is None else float(value) for value in values]
    if kind == "integer":
        return [None if value is None else int(value) for value in values]
    return [None if value is None else str(value) for value in values]


def _excel(path: Path, db: sqlite3.Connection) -> Path:
    book = import_module("openpyxl").Workbook(write_only=True)  # of an extra
    for name, columns in TABLES.items():
        sheet = book.create_sheet(name)
        sheet.append(list(_header(columns)))
        # rows beyond what Excel can hold stand in the CSV and Parquet files
        for row in islice(rows(db, name), EXCEL_ROWS - 1):
            sheet.append([_CONTROL.sub("", cell) if isinstance(cell, str) else cell for cell in map(_harmless, row)])
    sheet = book.create_sheet(DICTIONARY)
    for row in (("table", "column", "kind", "unit", "meaning"), *_dictionary()):
        sheet.append(list(row))
    with whole_file(path) as stream:
        book.save(stream)
    return path
