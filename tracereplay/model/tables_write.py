"""Tables -> a folder of Parquet files, all or nothing."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from tracereplay.errors import UsageError
from tracereplay.model.tables import SPECS, Tables

MARKER = "tracereplay.json"
SCHEMA = "tracereplay.tables/1"


def write_tables(tables: Tables, folder: str | Path) -> None:
    """Write `<name>.parquet` for each table, and a marker that says the folder is ours.

    A folder written earlier is replaced as a whole; while this fails, it stays as it was.
    Raises UsageError where `folder` holds anything else, or cannot be written.
    """
    target = Path(os.path.realpath(folder))
    _refuse_foreign(target, str(folder))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            for name, table in tables.items():
                pq.write_table(table, new / f"{name}.parquet", compression="zstd")
            rows = {name: table.num_rows for name, table in tables.items()}
            (new / MARKER).write_text(json.dumps({"schema": SCHEMA, "rows": rows}, indent=2) + "\n", encoding="utf-8")
            _put_in_place(new, target, Path(scratch) / "old")
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot write the tables: {error.strerror or error}") from error


def _put_in_place(new: Path, target: Path, old: Path) -> None:
    """Swap folders; `old` lies in the scratch folder and is removed with it."""
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
        raise UsageError(f"--out {shown}: is a file, not a folder; name a new folder")
    ours = {MARKER, *(f"{name}.parquet" for name in SPECS)}
    present = {entry.name for entry in target.iterdir()}
    if present and (MARKER not in present or present - ours):
        other = sorted(present - ours)
        what = f"holds {other[0]!r}" if other else f"has no {MARKER}"
        raise UsageError(f"--out {shown}: not written by tracereplay ({what}); name a new folder")
