"""Tables -> a folder of Parquet, Arrow or CSV files, all or nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv, feather

from tracereplay.errors import UsageError
from tracereplay.model.table_formats import TABLE_FORMATS
from tracereplay.model.tables import SPECS, Tables
from tracereplay.model.whatif_tables import WHATIF_SPECS
from tracereplay.units import NOT_UTF8, to_valid_utf8

MARKER = "tracereplay.json"
SCHEMA = "tracereplay.tables/1"


def write_tables(tables: Tables, folder: str | Path, table_format: str = "parquet", *, option: str = "--out") -> None:
    """Write `<name>.<table_format>` for each table, and a marker that says the folder is ours.

    option -- the command-line option, for error messages. A folder written earlier is replaced as a whole; if that
    fails it stays as it was.
    Raises UsageError where `folder` holds anything else, or cannot be written.
    """
    target = Path(os.path.realpath(folder))
    _refuse_foreign(target, f"{option} {folder}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            for name, table in tables.items():
                _WRITERS[table_format](table, new / f"{name}.{table_format}")
            rows = {name: table.num_rows for name, table in tables.items()}
            (new / MARKER).write_text(json.dumps({"schema": SCHEMA, "rows": rows}, indent=2) + "\n", encoding="utf-8")
            _put_in_place(new, target, Path(scratch) / "old")
    except UnicodeEncodeError as error:
        raise UsageError(f"{option} {to_valid_utf8(folder)}: {NOT_UTF8}") from error
    except OSError as error:
        raise UsageError(f"{option} {folder}: cannot write the tables: {error.strerror or error}") from error


def _parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _arrow(table: pa.Table, path: Path) -> None:
    """The Arrow file format (Feather 2), which most tools map into memory as it is."""
    feather.write_feather(table, path, compression="zstd")


def write_csv(table: pa.Table, path: Path | IO[bytes]) -> None:
    """Structs become columns (`task.comm`), lists JSON, absent values nothing."""
    while any(pa.types.is_struct(column.type) for column in table.schema):
        table = table.flatten()
    for place, column in enumerate(table.schema):
        if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
            texts = [None if value is None else json.dumps(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, column.name, pa.array(texts, pa.string()))
    csv.write_csv(table, path)


_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {"parquet": _parquet, "arrow": _arrow, "csv": write_csv}


def _put_in_place(new: Path, target: Path, old: Path) -> None:
    """Swap folders; `old` is in the scratch folder and is removed with it."""
    replaces = target.exists()
    if replaces:
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if replaces:
            old.rename(target)
        raise


def _refuse_foreign(target: Path, shown: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{shown}: is a file, not a folder; name a new folder")
    names = (*SPECS, *WHATIF_SPECS)
    ours = {MARKER, *(f"{name}.{suffix}" for name in names for suffix in TABLE_FORMATS)}
    present = {entry.name for entry in target.iterdir()}
    if present and (MARKER not in present or present - ours):
        other = sorted(present - ours)
        what = f"holds {other[0]!r}" if other else f"has no {MARKER}"
        raise UsageError(f"{shown}: not written by tracereplay ({what}); name a new folder")
