"""Events on disk: one Parquet file per event, beside tasks, symbols and a description, in one folder.

    DATASET/dataset.json            what the trace said of itself, its losses, and the stretches of time it is cut into
    DATASET/events/<event>.parquet  columns as in the event tables; one row group for each stretch that has rows
    DATASET/tasks.parquet           tid, comm
    DATASET/task_names.parquet      tid, time_ns, comm: of tasks whose names are known over time (absent: of none)
    DATASET/symbols.parquet         address, name: of the frames that occur in kernel_stack

Any Parquet reader understands it as it stands. It is written beside its place and moved there when complete.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tracereplay.concurrency import prefetch
from tracereplay.errors import InputError, UsageError
from tracereplay.losses import LOSS_KINDS, Loss
from tracereplay.parsers.base import BaseReader, TraceInfo, TraceReader
from tracereplay.parsers.binary.symbols import Symbols
from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.events.page_stream import page_stream, rechunked, stream_columns
from tracereplay.parsers.events.tables import numbers_array, texts_array
from tracereplay.parsers.tasks.names import NameHistory
from tracereplay.schema import EVENT_COLUMNS, Column, Op, PageStream, Window, arrow_schema, integers
from tracereplay.units import NOT_UTF8, to_valid_utf8

SCHEMA = "tracereplay.dataset/1"
DESCRIPTION = "dataset.json"
NAMES = "task_names.parquet"
STRETCH_EVENTS = 1 << 19  # rows held at once while writing and streaming
UNTIMED: tuple[int, int] = (0, -1)  # the stretch of events to which their text gives no time; no window touches it
ADVICE = "write it again with `tracereplay ingest`"

TASK_COLUMNS = (
    Column("tid", pa.int32(), None, "Task"),
    Column("comm", pa.string(), None, "Its name"),
)
NAME_COLUMNS = (
    Column("tid", pa.int32(), None, "Task"),
    Column("time_ns", pa.int64(), "ns", "From when on it has this name; the least number: from before the trace on"),
    Column("comm", pa.string(), None, "Its name from then on; null where unknown"),
)
SYMBOL_COLUMNS = (
    Column("address", pa.uint64(), None, "Address of a stack frame"),
    Column("name", pa.string(), None, "Function there"),
)
NEVER_NULL = ("seq", "address")

Progress = Callable[[str, float | None], None]


class LossRow(msgspec.Struct):
    """A loss, as losses.Loss has it."""

    code: str
    count: int | None = None
    cpu: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    detail: str = ""


class Description(msgspec.Struct):
    """dataset.json. stretches -- [start_ns, end_ns] each; groups -- by event, the row group of each stretch or -1."""

    source: str
    format: str
    by_event: dict[str, int]
    stretches: list[tuple[int, int]]
    groups: dict[str, list[int]]
    losses: list[LossRow]
    kernel: str | None = None
    machine: str | None = None
    boot_id: str | None = None
    clock: str | None = None
    clock_unit: str = "ns"
    origin_ns: int = 0
    page_size_bytes: int | None = None
    memory_block_bytes: int | None = None
    memory_blocks: tuple[int, ...] = ()
    cpus: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    has_stacks: bool = False
    page_flag_bits: dict[str, int] | None = None
    schema: str = SCHEMA


def write_dataset(reader: TraceReader, target: str | Path, progress: Progress | None = None) -> None:
    """Write all events of an opened trace to the folder `target`, all or nothing.

    A dataset written earlier is replaced. Raises UsageError where the folder holds anything else or cannot be written.
    """
    target = Path(target)
    if target.exists() and not (target / DESCRIPTION).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target}: is there and is no dataset; name a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            new = Path(scratch) / "new"
            (new / "events").mkdir(parents=True)
            _write(reader, new, progress or (lambda _what, _fraction: None))
            if target.exists():
                target.rename(Path(scratch) / "old")
            new.rename(target)
    except UnicodeEncodeError as error:
        raise UsageError(f"{to_valid_utf8(target)}: {NOT_UTF8}") from error
    except OSError as error:
        raise UsageError(f"{target}: cannot write the dataset: {error.strerror or error}") from error


def _write(reader: TraceReader, folder: Path, progress: Progress) -> None:
    info = reader.info
    stretches = _stretches(reader)
    writers: dict[str, pq.ParquetWriter] = {}
    groups: dict[str, list[int]] = {}
    frames: set[int] = set()
    seq = 0
    with _closing(writers):
        for number, tables in enumerate(prefetch(_tables_of(reader, stretch) for stretch in stretches)):
            for name, table in tables.items():
                numbers = pa.array(table["seq"].to_numpy() + np.uint64(seq))
                moved = table.set_column(0, table.schema.field("seq"), numbers)
                if name not in writers:
                    writers[name] = _writer(folder / "events" / f"{file_name(name)}.parquet", moved.schema)
                    groups[name] = [-1] * len(stretches)
                groups[name][number] = sum(group >= 0 for group in groups[name])
                writers[name].write_table(_names_that_occur(moved), row_group_size=max(moved.num_rows, 1))
                if name == "kernel_stack":
                    frames.update(_addresses(moved))
            seq += sum(table.num_rows for table in tables.values())
            progress("writing", (number + 1) / len(stretches))
    comms = dict(sorted(reader.comms.items()))
    tasks = pa.table([list(comms), list(comms.values())], arrow_schema(TASK_COLUMNS))
    pq.write_table(tasks, folder / "tasks.parquet")
    changes = list(reader.name_history.rows())
    if changes:
        columns = [list(column) for column in zip(*changes, strict=True)]
        pq.write_table(pa.table(columns, arrow_schema(NAME_COLUMNS)), folder / NAMES)
    _write_symbols(reader, sorted(frames), folder)
    shared = (field for field in Description.__struct_fields__ if field in TraceInfo.__dataclass_fields__)
    described = {name: getattr(info, name) for name in shared}
    text = msgspec.json.encode(
        Description(
            **described,
            source=to_valid_utf8(info.path),
            stretches=stretches,
            groups=groups,
            losses=[LossRow(x.code, x.count, x.cpu, x.start_ns, x.end_ns, x.detail) for x in reader.losses],
            page_flag_bits=dict(reader.page_flag_bits() or {}) or None,
        )
    )
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(text, indent=1) + b"\n")


@contextmanager
def _closing(writers: Mapping[str, pq.ParquetWriter]) -> Iterator[None]:
    """Closes the writers of the body. Where one fails, all are discarded: left open they would fail at collection."""
    try:
        yield
        for writer in writers.values():
            writer.close()
    except BaseException:
        for writer in writers.values():
            writer.is_open = False
        raise


def _addresses(stacks: pa.Table) -> set[int]:
    """The addresses of its frames; none where the trace's format text calls them something else."""
    if "caller" not in stacks.column_names or not pa.types.is_list(stacks.schema.field("caller").type):
        return set()
    return {address for row in stacks["caller"].to_pylist() for address in row or ()}


def file_name(event: str) -> str:
    """The event's file name: `sys:event` of events that share a name gets a dot."""
    return event.replace(":", ".").replace("/", "_")


def _stretches(reader: TraceReader) -> list[tuple[int, int]]:
    """The trace's time cut where about STRETCH_EVENTS events are, by samples of its times; UNTIMED where needed."""
    info = reader.info
    untimed = [UNTIMED] if any(loss.code == "untimed_events" for loss in reader.losses) else []
    if info.start_ns is None or info.end_ns is None:
        return untimed
    parts = -(-info.events // STRETCH_EVENTS)
    times = reader.sample_times()
    if len(times) < parts:
        times = np.linspace(info.start_ns, info.end_ns, parts + 1).astype(np.int64)
    places = np.linspace(0, len(times) - 1, max(parts, 1) + 1).astype(np.int64)[1:-1]
    cuts = np.unique(times[places]).tolist()
    edges = [info.start_ns, *(cut for cut in cuts if info.start_ns < cut <= info.end_ns), info.end_ns + 1]
    return [(begin, end - 1) for begin, end in itertools.pairwise(edges)] + untimed


def _tables_of(reader: TraceReader, stretch: tuple[int, int]) -> dict[str, pa.Table]:
    return _without_time(reader.tables()) if stretch == UNTIMED else reader.tables(None, Window(*stretch))


def _without_time(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The rows to which the text gives no time."""
    left = {name: table.filter(table["time_ns"].is_null()) for name, table in tables.items()}
    return {name: table for name, table in left.items() if table.num_rows}


def _names_that_occur(table: pa.Table) -> pa.Table:
    """The table with a dictionary of its own names: the trace has thousands, and every row group carries one."""
    place = table.column_names.index("comm")
    column = table.column(place).unify_dictionaries().combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    nameless = len(column.dictionary)
    known = integers(pa.chunked_array([column.indices]), none=nameless)
    there = np.zeros(nameless + 1, np.bool_)
    there[known] = True
    codes = (np.cumsum(there) - 1).astype(np.int32)[known]
    names = texts_array([column.dictionary[name].as_py() for name in np.flatnonzero(there[:-1]).tolist()])
    indices = numbers_array(codes, pa.int32(), known == nameless)
    return table.set_column(place, table.schema.field(place), pa.DictionaryArray.from_arrays(indices, names))


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Times, sequence numbers and pfns as differences, other numbers by dictionary where they repeat."""
    differences = [
        field.name
        for field in schema
        if field.name in ("seq", "time_ns") or (field.metadata or {}).get(b"unit") == b"pfn"
    ]
    nested = [field.name for field in schema if pa.types.is_list(field.type)]
    repeating: Any = [name for name in schema.names if name not in differences and name not in nested]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeating,
        column_encoding=dict.fromkeys(differences, "DELTA_BINARY_PACKED"),
    )


def _write_symbols(reader: TraceReader, addresses: list[int], folder: Path) -> None:
    named = {address: name for address in addresses if (name := reader.name_of_address(address)) is not None}
    if not named:
        return
    table_of_names = pa.table([list(named), list(named.values())], arrow_schema(SYMBOL_COLUMNS))
    pq.write_table(table_of_names, folder / "symbols.parquet")


class DatasetReader(BaseReader):
    """A dataset, opened. Implements `parsers.base.TraceReader`; reads only the files and stretches that are requested.

    Raises InputError where the folder is no dataset, or a file of it is missing or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._described = described = _read_description(self.path / DESCRIPTION)
        shared = (name for name in TraceInfo.__dataclass_fields__ if hasattr(described, name))
        known = {name: getattr(described, name) for name in shared}
        self.info = TraceInfo(**(known | {"path": self.path, "format": f"dataset of {described.format}"}))
        self.losses = [
            Loss(row.code, row.count, row.cpu, row.start_ns, row.end_ns, row.detail)
            for row in described.losses
            if row.code in LOSS_KINDS
        ]

    @property
    def comms(self) -> Mapping[int, str]:
        """Names of all tasks that the trace saved, by tid."""
        return self._comms

    @cached_property
    def _comms(self) -> dict[int, str]:
        table = self._read("tasks.parquet", TASK_COLUMNS)
        return dict(zip(table["tid"].to_pylist(), table["comm"].to_pylist(), strict=True))

    @cached_property
    def _name_history(self) -> NameHistory:
        """Names over time, as the trace has them."""
        if not (self.path / NAMES).exists():
            return NameHistory()
        table = self._read(NAMES, NAME_COLUMNS)
        return NameHistory.of(zip(*(table[column.name].to_pylist() for column in NAME_COLUMNS), strict=True))

    def page_flag_bits(self) -> dict[str, int] | None:
        """Bit numbers of the page flag names in page_ref events."""
        return self._described.page_flag_bits

    def name_of_address(self, address: int) -> str | None:
        """The function at an address that occurs in a stack."""
        return self._symbols.name_of(address)

    @cached_property
    def _symbols(self) -> Symbols:
        """Names of the stack frames that occur."""
        if not (self.path / "symbols.parquet").exists():
            return Symbols([], [])
        table = self._read("symbols.parquet", SYMBOL_COLUMNS)
        named = [(a, n) for a, n in zip(table["address"].to_pylist(), table["name"].to_pylist(), strict=True) if n]
        return Symbols([address for address, _ in named], [name for _, name in named])

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One table per event with rows; see `parsers.base.TraceReader.tables`. `seq` is the whole trace's."""
        found = {}
        for name in self._described.groups:
            if names is None or name in names:
                table = self._event(name, self._stretches_of(window))
                if table is not None:
                    table = _within(table, window)
                if table is not None and table.num_rows:
                    found[name] = table
        return found

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream in time order; see `parsers.base.TraceReader.stream`."""
        wanted = stream_events(ops) & self._described.groups.keys()

        def stretch(number: int) -> PageStream:
            tables = {name: self._event(name, [number], stream_columns(name)) for name in sorted(wanted)}
            within = {name: _within(table, window or Window()) for name, table in tables.items() if table is not None}
            return page_stream(within, ops)

        return rechunked((stretch(number) for number in self._stretches_of(window or Window())), chunk_events)

    def _stretches_of(self, window: Window | None) -> list[int]:
        """The stretches that a window touches; without one all, that of events without time among them."""
        low = window.start_ns if window and window.start_ns is not None else None
        high = window.end_ns if window and window.end_ns is not None else None
        return [
            number
            for number, (start, end) in enumerate(self._described.stretches)
            if window is None or (start <= end and (low is None or end >= low) and (high is None or start <= high))
        ]

    def _event(self, name: str, stretches: list[int], columns: Sequence[str] | None = None) -> pa.Table | None:
        groups = [group for number in stretches if (group := self._described.groups[name][number]) >= 0]
        if not groups:
            return None
        path = self.path / "events" / f"{file_name(name)}.parquet"
        with _reading(path):
            file = pq.ParquetFile(path)
            if max(groups) >= file.num_row_groups:
                raise InputError("has fewer row groups than the description says", path=path, advice=ADVICE)
            table = file.read_row_groups(groups, columns=columns)
            table.validate(full=True)
        fields = SPECS[name].fields if name in SPECS else ()
        known = (*EVENT_COLUMNS, *(column for column in fields if column.name in table.column_names))
        _check(table, [column for column in known if columns is None or column.name in columns], path)
        return table

    def _read(self, name: str, columns: Sequence[Column]) -> pa.Table:
        path = self.path / name
        with _reading(path):
            table = pq.ParquetFile(path).read()  # pq.read_table would load pyarrow.dataset
            table.validate(full=True)
        _check(table, columns, path)
        return table


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What pyarrow raises on damaged files and values (text that is not UTF-8), as InputError."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"cannot be read: {error}", path=path, advice=ADVICE) from None


def _check(table: pa.Table, columns: Sequence[Column], path: Path) -> None:
    """Raises InputError where a column is absent, of another type, or lacks values that every row has."""
    for column in columns:
        kind = table.schema.field(column.name).type if column.name in table.column_names else None
        if kind != column.type:
            raise InputError(
                f"its column {column.name} is {kind or 'absent'}, not {column.type}", path=path, advice=ADVICE
            )
        if column.name in NEVER_NULL and table[column.name].null_count:
            raise InputError(f"its column {column.name} has gaps", path=path, advice=ADVICE)


def _read_description(path: Path) -> Description:
    """dataset.json, checked. Raises InputError."""
    try:
        described = msgspec.json.decode(path.read_bytes(), type=Description)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"is no description of a dataset: {error}", path=path, advice=ADVICE) from None
    if described.schema != SCHEMA:
        raise InputError(f"is of schema {described.schema!r}", path=path, advice=ADVICE)
    wrong = [name for name, rows in described.groups.items() if len(rows) != len(described.stretches)]
    if wrong:
        raise InputError(f"row groups of {wrong[0]} do not match the stretches", path=path, advice=ADVICE)
    return described


def _within(table: pa.Table, window: Window | None) -> pa.Table:
    if window is None:
        return table
    if table["time_ns"].null_count:
        table = table.filter(table["time_ns"].is_valid())
    times = table["time_ns"].to_numpy()
    low = 0 if window.start_ns is None else int(np.searchsorted(times, window.start_ns, "left"))
    high = len(times) if window.end_ns is None else int(np.searchsorted(times, window.end_ns, "right"))
    return table.slice(low, max(high - low, 0))
