"""Events written as Parquet and read again are the same events."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tracereplay
from tests.support.captures import capture
from tracereplay import dataset
from tracereplay.dataset import DatasetReader, write_dataset
from tracereplay.errors import InputError, UsageError
from tracereplay.opening import open_reader
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.schema import Window


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[TraceDatReader, DatasetReader]:
    """A trace, and the dataset made of it in many stretches."""
    reader = TraceDatReader(capture("cma_pin_vmsplice_stack") / "trace.dat")
    folder = tmp_path_factory.mktemp("dataset") / "stack"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "STRETCH_EVENTS", 50_000)
        write_dataset(reader, folder)
    read = open_reader(folder)
    assert isinstance(read, DatasetReader)
    assert len(msgspec.json.decode((folder / "dataset.json").read_bytes())["stretches"]) > 3
    return reader, read


def test_tables_are_the_same(pair: tuple[TraceDatReader, DatasetReader]) -> None:
    reader, read = pair
    expected, found = reader.tables(), read.tables()
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        assert found[name].to_pylist() == table.to_pylist(), name


def test_windows_are_the_same(pair: tuple[TraceDatReader, DatasetReader]) -> None:
    reader, read = pair
    start, end = reader.info.start_ns or 0, reader.info.end_ns or 0
    window = Window(start + (end - start) // 3, start + (end - start) // 2)
    expected, found = reader.tables(None, window), read.tables(None, window)
    assert {n: t.num_rows for n, t in found.items()} == {n: t.num_rows for n, t in expected.items()}


def test_the_page_stream_is_the_same(pair: tuple[TraceDatReader, DatasetReader]) -> None:
    reader, read = pair
    for name in ("time_ns", "cpu", "tid", "irq", "op", "args"):
        expected = np.concatenate([getattr(chunk, name) for chunk in reader.stream()])
        found = np.concatenate([getattr(chunk, name) for chunk in read.stream(chunk_events=7_001)])
        assert np.array_equal(found, expected), name


def test_blame_says_the_same(pair: tuple[TraceDatReader, DatasetReader]) -> None:
    reader, read = pair
    expected, found = tracereplay.open(reader.info.path).blame(), tracereplay.open(read.path).blame()
    assert found.attempts == expected.attempts
    assert found.stacks == expected.stacks
    assert found.stacks


def test_other_programs_read_it(pair: tuple[TraceDatReader, DatasetReader]) -> None:
    reader, read = pair
    frame = pl.read_parquet(read.path / "events" / "mm_page_alloc.parquet")
    assert frame.height == reader.info.by_event["mm_page_alloc"]
    assert frame["time_ns"].is_sorted()


def test_foreign_folders_stay(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    reader = TraceDatReader(capture("offline_dimm_einval") / "trace.dat")
    with pytest.raises(UsageError, match="is no dataset"):
        write_dataset(reader, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_no_library_can_name_is_refused(tmp_path: Path) -> None:
    reader = TraceDatReader(capture("offline_dimm_einval") / "trace.dat")
    with pytest.raises(UsageError, match="not UTF-8; name another"):
        write_dataset(reader, tmp_path / os.fsdecode(b"caf\xe9"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "tracereplay.dataset/9"}', "[1, 2"])
def test_damaged_descriptions_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json"):
        open_reader(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_dataset(TraceDatReader(capture("offline_dimm_einval") / "trace.dat"), folder)
    (folder / "events" / "mm_page_alloc.parquet").unlink()
    with pytest.raises(InputError, match=r"mm_page_alloc\.parquet"):
        open_reader(folder).tables()
    (folder / "events" / "mm_page_alloc.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match=r"mm_page_alloc\.parquet"):
        open_reader(folder).tables()


UNTIMED = """# tracer: function_graph
 0)               |  /* mm_page_free: page=0000000000000000 pfn=0x1f order=0 */
"""
TIMED = "            bash-7       [000] .....     1.000001: mm_page_free: page=0000000000000000 pfn=0x20 order=0\n"


@pytest.mark.parametrize(("text", "rows"), [(UNTIMED, 1), (UNTIMED + TIMED, 2)])
def test_events_without_a_time_are_kept(tmp_path: Path, text: str, rows: int) -> None:
    (tmp_path / "trace.txt").write_text(text)
    reader = open_reader(tmp_path / "trace.txt")
    write_dataset(reader, tmp_path / "dataset")
    read = open_reader(tmp_path / "dataset")
    pfns = read.tables()["mm_page_free"]["pfn"].to_pylist()
    assert sorted(pfns) == sorted(reader.tables()["mm_page_free"]["pfn"].to_pylist())
    assert len(pfns) == rows
    assert sum(map(len, read.stream())) == sum(map(len, reader.stream())) == rows - 1
    assert sum(map(len, read.tables(None, Window(0, 1 << 60)).values())) == rows - 1


@pytest.mark.parametrize(
    ("file", "column", "values", "message"),
    [
        ("events/mm_page_alloc.parquet", "time_ns", "text", "its column time_ns is string, not int64"),
        ("events/mm_page_alloc.parquet", "pfn", "text", "its column pfn is string, not uint64"),
        ("events/mm_page_alloc.parquet", "seq", None, "its column seq has gaps"),
        ("tasks.parquet", "comm", 5, "its column comm is int64, not string"),
    ],
)
def test_columns_of_another_type_are_refused(
    tmp_path: Path, file: str, column: str, values: object, message: str
) -> None:
    folder = tmp_path / "d"
    write_dataset(TraceDatReader(capture("offline_dimm_einval") / "trace.dat"), folder)
    table = pq.read_table(folder / file)
    kind = None if values is not None else table.schema.field(column).type
    other = pa.array([values] * table.num_rows, kind)
    pq.write_table(table.set_column(table.column_names.index(column), column, other), folder / file)
    reader = open_reader(folder)
    with pytest.raises(InputError, match=message):
        _ = reader.tables(), reader.comms


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(b'{"source": "\xee"}')
    with pytest.raises(InputError, match="no description of a dataset"):
        open_reader(tmp_path)


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_dataset(TraceDatReader(capture("offline_dimm_einval") / "trace.dat"), folder)
    name = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], "<i4")), pa.py_buffer(b"a\xa0")])
    pq.write_table(pa.table([pa.array([5], pa.int32()), name], ["tid", "comm"]), folder / "tasks.parquet")
    with pytest.raises(InputError, match=r"tasks\.parquet: cannot be read: .*UTF8"):
        _ = open_reader(folder).comms
