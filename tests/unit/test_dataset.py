"""Events written as Parquet and read again are the same events."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

import tracereplay
from tests.captures import capture
from tracereplay import dataset
from tracereplay.dataset import DatasetReader, write_dataset
from tracereplay.errors import InputError, UsageError
from tracereplay.parsers.base import Window
from tracereplay.parsers.trace_dat import TraceDatReader
from tracereplay.session import open_reader


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
    for name in ("time_ns", "cpu", "tid", "op", "args"):
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
