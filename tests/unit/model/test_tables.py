"""Result -> Arrow tables -> Parquet: the document's own names, keys that join, and a folder that is all or nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support import result_examples as example
from tracereplay.errors import UsageError
from tracereplay.model.tables import SPECS, result_tables
from tracereplay.model.tables_write import MARKER, write_tables


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_every_row_is_there(name: str) -> None:
    result = example.EXAMPLES[name]()
    tables = result_tables(result)
    assert list(tables) == list(SPECS)
    culprits = [c for a in result.attempts for c in a.culprits]
    assert tables["attempts"].num_rows == len(result.attempts)
    assert tables["tries"].num_rows == sum(len(a.tries) for a in result.attempts)
    assert tables["culprits"].num_rows == len(culprits)
    assert tables["evidence"].num_rows == sum(len(c.evidence) for c in culprits)
    assert tables["data_loss"].num_rows == len(result.data_loss)


def test_keys_join() -> None:
    tables = result_tables(example.pinned())
    attempts, culprits, evidence = tables["attempts"], tables["culprits"], tables["evidence"]
    assert set(culprits["attempt_id"].to_pylist()) <= set(attempts["attempt_id"].to_pylist())
    assert set(evidence["culprit_id"].to_pylist()) <= set(culprits["culprit_id"].to_pylist())
    assert set(evidence["stack_id"].to_pylist()) <= set(tables["stacks"]["stack_id"].to_pylist())
    assert set(tables["tries"]["attempt_id"].to_pylist()) <= set(attempts["attempt_id"].to_pylist())
    assert tables["tries"]["try_index"].to_pylist() == list(range(17))


def test_values_types_and_nulls() -> None:
    culprits = result_tables(example.pinned())["culprits"]
    assert culprits["start_pfn"].to_pylist() == [0x1E403, 0x1E405, 0x1EDBF, 0x1EDC1]
    assert culprits["holder"].to_pylist()[2] == {"tid": 148, "pid": None, "comm": "pin-dead", "part_of": None}
    assert culprits["allocated_by"].to_pylist()[2] is None
    assert culprits["blocked_tries"].to_pylist()[0] == [[0, 16]]
    assert culprits.schema.field("delay_ns").type == pa.int64()
    task = culprits.schema.field("holder").type
    assert [culprits.schema.field(name).type for name in ("taken_by", "released_by")] == [task, task]
    assert culprits.schema.field("premises_failed").type == pa.list_(pa.string())
    assert result_tables(example.result())["map"].schema.names == [
        "attempt_id", "try_index", "start_pfn", "pages", "state", "culprit_id",
    ]  # fmt: skip


def test_frames_keep_integers_and_nulls() -> None:
    tables = result_tables(example.mixed())
    polars, pandas = tables.to_polars(), tables.to_pandas()
    assert polars["culprits"]["start_pfn"].to_list() == tables["culprits"]["start_pfn"].to_pylist()
    assert polars["culprits"]["held_since_ns"].null_count() == tables["culprits"]["held_since_ns"].null_count
    released = pandas["culprits"]["released_ns"]
    assert "int64" in str(released.dtype)
    assert bool(released.isna().to_numpy().all())


@pytest.mark.parametrize("module", ["polars", "pandas"])
def test_missing_extra_says_how_to_install_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install 'tracereplay\[{module}\]'"):
        getattr(result_tables(example.result()), f"to_{module}")()


def test_written_folder_reads_back(tmp_path: Path) -> None:
    tables = result_tables(example.pinned())
    write_tables(tables, tmp_path / "new" / "report.tables")
    for name, table in tables.items():
        assert pq.read_table(tmp_path / "new" / "report.tables" / f"{name}.parquet").equals(table)


def test_a_folder_that_no_library_can_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(UsageError, match="not UTF-8; name another"):
        write_tables(result_tables(example.pinned()), folder)
    assert not folder.exists()


def test_own_folder_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()  # an empty folder is as good as none
    write_tables(result_tables(example.pinned()), folder)
    write_tables(result_tables(example.result()), folder)
    assert pq.read_table(folder / "attempts.parquet").num_rows == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("foreign", ["thesis.tex", "attempts.parquet"])
def test_foreign_folder_is_refused(tmp_path: Path, foreign: str) -> None:
    (tmp_path / foreign).write_text("mine")
    with pytest.raises(UsageError, match="not written by tracereplay"):
        write_tables(result_tables(example.result()), tmp_path)
    assert (tmp_path / foreign).read_text() == "mine"


def test_own_folder_with_something_added_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_tables(result_tables(example.result()), folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        write_tables(result_tables(example.result()), folder)
    assert (folder / MARKER).exists()


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        write_tables(result_tables(example.result()), tmp_path / "out")
