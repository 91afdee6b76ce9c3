"""`plot` and `export`: from a trace or a stored result, to files; and one line where that cannot be."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

from tests.support import result_examples as example
from tracereplay.cli.main import main
from tracereplay.model.table_formats import TABLE_FORMATS
from tracereplay.model.tables import result_tables
from tracereplay.reports.json import render_json


@pytest.fixture
def stored(tmp_path: Path) -> str:
    path = tmp_path / "blame.json"
    path.write_text(render_json(example.pinned()), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("table_format", TABLE_FORMATS)
def test_every_table_in_every_format(stored: str, table_format: str, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    assert main(["export", stored, "--tables", str(folder), "--table-format", table_format]) == 0
    read = {"parquet": pq.read_table, "arrow": feather.read_table, "csv": csv.read_csv}[table_format]
    for name, table in result_tables(example.pinned()).items():
        written = read(folder / f"{name}.{table_format}")
        assert written.num_rows == table.num_rows
        if table_format != "csv":
            assert written.equals(table)


def test_csv_spells_structs_and_lists_out(stored: str, tmp_path: Path) -> None:
    assert main(["export", stored, "--tables", str(tmp_path / "t"), "--table-format", "csv"]) == 0
    (row, *_) = csv.read_csv(tmp_path / "t" / "culprits.csv").to_pylist()
    assert (row["holder.comm"], row["blocked_tries"], row["delay_ns"]) == ("pin-vmsplice", "[[0, 16]]", None)


def test_formats_replace_each_other_in_a_folder_of_ours_only(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "t"
    for table_format in TABLE_FORMATS:
        assert main(["export", stored, "--tables", str(folder), "--table-format", table_format]) == 0
    assert {path.suffix for path in folder.iterdir()} == {".json", ".csv"}
    (folder / "notes.txt").write_text("mine")
    assert main(["export", stored, "--tables", str(folder)]) == 2
    assert f"--tables {folder}: not written by tracereplay" in capsys.readouterr().err


def test_export_needs_a_target(stored: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", stored]) == 2
    assert "--perfetto" in capsys.readouterr().err


def test_perfetto_file_is_written(stored: str, tmp_path: Path) -> None:
    pytest.importorskip("perfetto")
    assert main(["export", stored, "--perfetto", str(tmp_path / "x.pftrace")]) == 0
    assert (tmp_path / "x.pftrace").stat().st_size > 500


@pytest.mark.parametrize("confidential", [False, True])
def test_plot_writes_what_the_ending_says(stored: str, confidential: bool, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "x.svg"
    hidden = ["--confidential"] if confidential else []
    assert main(["plot", stored, "-o", str(target), "--kind", "timeline", *hidden]) == 0
    assert b"<svg" in target.read_bytes()


def test_plot_refuses_other_endings(stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", stored, "-o", str(tmp_path / "x.gif")]) == 2
    assert ".png, .svg, .pdf" in capsys.readouterr().err


def test_a_try_goes_with_the_map_only(stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", stored, "-o", str(tmp_path / "x.svg"), "--kind", "timeline", "--try", "1"]) == 2
    assert "--try goes with --kind map" in capsys.readouterr().err


def test_a_file_that_only_begins_like_a_result_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    assert main(["plot", str(path), "-o", str(tmp_path / "x.svg")]) == 2
    assert "is not a result" in capsys.readouterr().err


@pytest.mark.parametrize("format_", ["text", "json", "html", "md", "junit"])
def test_report_hides_names_when_asked(stored: str, format_: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", stored, "--format", format_, "--confidential"]) == 0
    said = capfdbinary.readouterr().out
    assert b"task-1" in said
    assert b"cma-driver" not in said
