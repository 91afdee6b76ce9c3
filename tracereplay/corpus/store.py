"""The store of a corpus: one Delta table for each of tables.TABLES, in a folder or on object storage.

Delta keeps a log beside plain Parquet files: a commit is atomic, appending needs no rewriting, and polars, DuckDB,
pandas and Spark read it in place. The tables of what was found are committed first, their rows of `runs` last: what has
no row in `runs` does not count, and is removed by the next run. One run writes at a time.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from tracereplay.corpus.batches import PARTITION, DataFile
from tracereplay.corpus.run_summary import BROKEN_ROWS, outcome_of
from tracereplay.corpus.tables import ANALYSED, FOUND, RUN_SCHEMA, RUNS, TABLES, found_schemas
from tracereplay.discovery.discover import absolute, file_system
from tracereplay.errors import UsageError
from tracereplay.model.corpus import Broken, Outcome
from tracereplay.units import format_bytes

LOCK = ".lock"
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
ROOM_BYTES = 16 << 20  # free on a local disk for a commit: its rows of `runs`, and a log entry for each table
SMALL_FILES = 64  # a table of more files is compacted at the end of a run


class Store:
    """An opened store; rows are read and written through its methods alone."""

    def __init__(self, place: str) -> None:
        """Open a store that exists. Raises UsageError where there is none."""
        self.url = absolute(place).rstrip("/")
        if not _is_store(self.url):
            raise UsageError(f"{place}: is no corpus; `tracereplay corpus run PATHS -o {place}` makes one")

    @classmethod
    def create(cls, place: str) -> Store:
        """Open a store, made where there is none. Raises UsageError where something else is there."""
        url = absolute(place).rstrip("/")
        if not _is_store(url):
            _refuse_foreign(place, url)
            _refuse_full(_existing(url))
            partition = pa.field(PARTITION, pa.string())
            schemas = {name: schema.append(partition) for name, schema in found_schemas().items()}
            with _as_usage_error(f"{place}: a corpus cannot be made there"):
                for name, schema in {**schemas, RUNS: RUN_SCHEMA}.items():  # `runs` last: it makes a store
                    DeltaTable.create(f"{url}/{name}", schema, mode="ignore", partition_by=[PARTITION])
        return cls(place)

    def table(self, name: str) -> DeltaTable:
        """The newest version of a table."""
        return DeltaTable(f"{self.url}/{name}")

    def rows(self, name: str) -> ds.Dataset:
        """A table's rows, read when requested."""
        return self.table(name).to_pyarrow_dataset(filesystem=self._file_system(name))

    def _file_system(self, name: str) -> SubTreeFileSystem | None:
        """Arrow's own files for a local table; None: deltalake's, which is written in Python.

        Arrow's I/O threads read ahead, and outlive the interpreter. One that calls Python then is ended by it, which
        C++ answers with abort().
        """
        return None if "://" in self.url else SubTreeFileSystem(f"{self.url}/{name}", LocalFileSystem())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """No other run writes at the same time. Raises UsageError where another run does (local stores only)."""
        if "://" in self.url:
            yield
            return
        with self._lock_file() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"{self.url}: another run is writing to this corpus; wait for its end") from None
            yield

    def _lock_file(self) -> IO[str]:
        try:
            return (Path(self.url) / LOCK).open("w")
        except OSError as error:
            raise UsageError(f"{self.url}: cannot be written: {error.strerror}") from error

    def commit(self, files: Sequence[DataFile], runs: Sequence[Mapping[str, Any]], stale: Collection[str]) -> None:
        """Add files that were written, then rows of `runs`; stale -- paths among them that have a row already.

        Raises UsageError where they cannot be written.
        """
        _refuse_full(self.url)
        with _as_usage_error(f"{self.url}: cannot be written"):
            self._commit(files, runs, stale)

    def _commit(self, files: Sequence[DataFile], runs: Sequence[Mapping[str, Any]], stale: Collection[str]) -> None:
        for name in FOUND:
            mine = [file for file in files if file.table == name]
            if mine:
                self._add(name, mine)
        schema = self._run_schema(runs)
        fresh = [row for row in runs if row["path"] not in stale]
        if fresh:
            rows = pa.Table.from_pylist(fresh, schema)
            write_deltalake(self.table(RUNS), rows, mode="append", schema_mode="merge")
        replaced = [row for row in runs if row["path"] in stale]
        if replaced:
            merge = self.table(RUNS).merge(
                pa.Table.from_pylist(replaced, schema),
                "old.path = new.path",
                source_alias="new",
                target_alias="old",
                merge_schema=True,
            )
            merge.when_matched_update_all().when_not_matched_insert_all().execute()

    def outcome(self) -> Outcome:
        """What became of all traces, for the end of a run."""
        rows = self.rows(RUNS)
        counts = rows.to_table(["status"]).column("status").value_counts().to_pylist()
        broken = rows.to_table(["path", "status", "reason"], filter=pc.field("status") != ANALYSED).sort_by("path")
        return outcome_of(
            ((row["values"], row["counts"]) for row in counts),
            (Broken(**row) for row in broken.slice(0, BROKEN_ROWS).to_pylist()),
        )

    def remove_unfinished(self) -> None:
        """Drop rows that an interrupted run has committed without their row of `runs`; raises as `commit`."""
        known = set(self._keys(RUNS))
        for name in FOUND:
            left = [key for key in self._keys(name) if key not in known]
            if left:
                with _as_usage_error(f"{self.url}: cannot be written"):
                    self.table(name).delete(f"key IN ({', '.join(repr(key) for key in left)})")

    def _keys(self, name: str) -> list[str]:
        """The keys a table has rows of."""
        keys: list[str] = self.rows(name).to_table(["key"]).column("key").unique().to_pylist()
        return keys

    def compact(self) -> None:
        """Join the small files of each run into large ones; the old ones go after a week (Delta's retention).

        Raises as `commit`.
        """
        with _as_usage_error(f"{self.url}: cannot be written"):
            for name in TABLES:
                table = self.table(name)
                if len(table.file_uris()) > SMALL_FILES:
                    table.optimize.compact()
                    table.vacuum(dry_run=False)

    def _run_schema(self, rows: Sequence[Mapping[str, Any]]) -> pa.Schema:
        """The columns of `runs` and, as text, those of metadata: of these rows and of earlier ones."""
        have = {field.name for field in self.table(RUNS).schema().fields}
        more = sorted((have | {name for row in rows for name in row}) - set(RUN_SCHEMA.names))
        return pa.schema([*RUN_SCHEMA, *((name, pa.string()) for name in more)])

    def _add(self, name: str, files: Sequence[DataFile]) -> None:
        table = self.table(name)
        now_ms = time.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [
            AddAction(
                path=file.path,
                size=file.size_bytes,
                partition_values={PARTITION: file.path.split("/")[0].removeprefix(f"{PARTITION}=")},
                modification_time=now_ms,
                data_change=True,
                stats=json.dumps({"numRecords": file.rows}),
            )
            for file in files
        ]
        table.create_write_transaction(actions, "append", table.schema(), partition_by=[PARTITION])


def _refuse_foreign(place: str, url: str) -> None:
    """Raises UsageError where anything but the beginning of a store is there."""
    fs, path = file_system(url)
    if not fs.exists(path):
        return
    names = {str(name).rstrip("/").rpartition("/")[2] for name in fs.ls(path, detail=False)} if fs.isdir(path) else {""}
    if names - {*TABLES, LOCK}:
        raise UsageError(f"{place}: holds something else than a corpus; name a new folder")


def _is_store(url: str) -> bool:
    with _as_usage_error(f"{url}: cannot be read"):
        return DeltaTable.is_deltatable(f"{url}/{RUNS}")


def _existing(url: str) -> str:
    """A URL as it is; of a path the part that is there."""
    paths = (Path(url), *Path(url).parents)
    return url if "://" in url else str(next(path for path in paths if path.exists()))


def _refuse_full(url: str) -> None:
    """Raises UsageError where a local disk is nearly full: deltalake's threads panic aloud when one fills up."""
    if "://" in url:
        return
    free = shutil.disk_usage(url).free
    if free < ROOM_BYTES:
        raise UsageError(f"{url}: cannot be written: {format_bytes(free)} are free; make room and run again")


@contextmanager
def _as_usage_error(what: str) -> Iterator[None]:
    """What goes wrong within, as a UsageError of one line; deltalake says it in several, with colours."""
    try:
        yield
    except (OSError, DeltaError) as error:
        why = " ".join(_COLOURS.sub("", str(error)).split())
        raise UsageError(f"{what}: {why}") from error
