"""Files beside a trace that is named as a file, and a kernel log named as an input."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import capture
from tracereplay.cli.main import main
from tracereplay.discovery.beside import logs_as_options, with_files_beside
from tracereplay.discovery.discover import file_system
from tracereplay.discovery.folder import opened_folders
from tracereplay.errors import UsageError

NOTHING: dict[str, object] = {"layout": None, "kernel_log": None, "page_owner": None, "page_pinner": None}
NAMES = tuple(NOTHING)


def recording(folder: Path) -> Path:
    source = capture("cma_pin_vmsplice")
    for name in ("trace.dat", "dmesg.txt", "layout_before"):
        (folder / name).symlink_to(source / name)
    return folder / "trace.dat"


def test_log_and_layout_beside_a_trace_are_found(tmp_path: Path) -> None:
    trace = recording(tmp_path)
    found = with_files_beside(str(trace), NOTHING)
    assert found == NOTHING | {"layout": str(tmp_path / "layout_before"), "kernel_log": str(tmp_path / "dmesg.txt")}
    assert with_files_beside(str(trace), {"layout": "mine", "kernel_log": "mine"}) == {
        "layout": "mine", "kernel_log": "mine",
    }  # fmt: skip


def test_beside_one_of_several_traces_only_its_own_are_taken(tmp_path: Path) -> None:
    trace = recording(tmp_path)
    shutil.copy(tmp_path / "dmesg.txt", tmp_path / "other.dat")
    assert with_files_beside(str(trace), NOTHING) == NOTHING
    shutil.copy(tmp_path / "dmesg.txt", tmp_path / "trace.dmesg.txt")
    assert with_files_beside(str(trace), NOTHING)["kernel_log"] == str(tmp_path / "trace.dmesg.txt")


def test_a_file_that_is_not_what_its_name_says_is_left_out(tmp_path: Path) -> None:
    trace = recording(tmp_path)
    (tmp_path / "dmesg.txt").unlink()
    (tmp_path / "dmesg.txt").write_text("no log at all")
    (tmp_path / "page_owner").write_text("")
    found = with_files_beside(str(trace), NOTHING)
    assert found["kernel_log"] is found["page_owner"] is None


def test_a_kernel_log_is_an_input_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    log = capture("cma_pin_vmsplice") / "dmesg.txt"
    assert main(["blame", "-q", str(log)]) == 0
    as_input = capsys.readouterr().out
    assert main(["blame", "-q", "--kernel-log", str(log)]) == 0
    assert as_input == capsys.readouterr().out
    assert 'FAILED  cma_alloc "reserved"' in as_input
    assert tracereplay.open(log).blame().attempts[0].outcome_basis == "log"
    assert main(["blame", "-q", str(log), str(log)]) == 2
    assert "give one kernel log" in capsys.readouterr().err


def test_only_a_log_moves_to_the_option_and_an_option_wins(tmp_path: Path) -> None:
    trace, log = recording(tmp_path), str(tmp_path / "dmesg.txt")
    assert logs_as_options([str(trace), log], {"kernel_log": None}) == ((str(trace),), {"kernel_log": log})
    assert logs_as_options([log], {"kernel_log": "mine"}) == ((log,), {"kernel_log": "mine"})
    assert logs_as_options(["none.dat"], {}) == (("none.dat",), {})


def test_an_installation_without_fsspec_finds_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the extra `corpus` alone; folders and files of this machine need no more than Python."""
    trace = recording(tmp_path)
    found = opened_folders([str(tmp_path)], NOTHING)
    for name in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    assert opened_folders([str(tmp_path)], NOTHING) == found
    assert found[0] == (str(trace),)
    assert found[1]["kernel_log"] == with_files_beside(str(trace), NOTHING)["kernel_log"]
    with pytest.raises(UsageError, match="a URL needs"):
        file_system("s3://bucket/trace.dat")
