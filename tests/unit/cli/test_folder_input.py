"""A folder with a trace in it as INPUT: what lies beside the trace is found, as `corpus run` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.captures import capture
from tracereplay.cli.main import main
from tracereplay.corpus.folder import opened_folders


def recording(folder: Path, name: str = "trace.dat") -> Path:
    source = capture("cma_pin_vmsplice")
    folder.mkdir()
    (folder / name).symlink_to(source / "trace.dat")
    (folder / "dmesg.txt").symlink_to(source / "dmesg.txt")
    (folder / "layout_before").symlink_to(source / "layout_before")
    return folder


def test_the_log_and_the_layout_are_found(tmp_path: Path) -> None:
    folder = recording(tmp_path / "one")
    inputs, options = opened_folders([str(folder)], {"layout": None, "kernel_log": None, "page_owner": ()})
    assert inputs == (str(folder / "trace.dat"),)
    assert options["layout"] == str(folder / "layout_before")
    assert options["kernel_log"] == str(folder / "dmesg.txt")


def test_what_is_given_wins(tmp_path: Path) -> None:
    folder = recording(tmp_path / "one")
    _, options = opened_folders([str(folder)], {"layout": "mine", "kernel_log": None})
    assert options["layout"] == "mine"


def test_of_several_inputs_the_sides_are_not_taken(tmp_path: Path) -> None:
    folders = [str(recording(tmp_path / name)) for name in ("one", "two")]
    inputs, options = opened_folders(folders, {"layout": None})
    assert len(inputs) == 2
    assert options == {"layout": None}


def test_a_folder_of_several_traces_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recording(tmp_path / "one")
    (folder / "other.dat").symlink_to(folder / "trace.dat")
    assert main(["blame", "-q", str(folder)]) == 2
    assert "it holds 2 traces" in capsys.readouterr().err


def test_a_folder_without_a_trace_is_refused_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.md").write_text("nothing")
    assert main(["blame", "-q", str(tmp_path)]) == 2
    assert "not a trace" in capsys.readouterr().err


def test_ingest_takes_the_folder_too(tmp_path: Path) -> None:
    folder = recording(tmp_path / "one")
    assert main(["ingest", "-q", str(folder), "-o", str(tmp_path / "dataset")]) == 0
    assert (tmp_path / "dataset" / "dataset.json").exists()
