"""A folder with a trace in it as INPUT: what lies beside the trace is found, as `corpus run` does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import capture
from tests.support.kprobe_text import HEADER, KprobeText, page
from tracereplay.cli.main import main
from tracereplay.discovery.folder import opened_folders


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


def test_the_library_opens_the_folder_as_blame_does(tmp_path: Path) -> None:
    folder = recording(tmp_path / "one")
    by_hand = tracereplay.open(
        folder / "trace.dat", layout=folder / "layout_before", kernel_log=folder / "dmesg.txt"
    ).blame()
    found = tracereplay.open(folder).blame()
    assert found.attempts == by_hand.attempts
    assert [one.role for one in found.inputs] == [one.role for one in by_hand.inputs] == ["trace", "log", "layout"]


def test_copies_of_page_flags_are_found_and_what_is_named_wins(tmp_path: Path) -> None:
    folder = recording(tmp_path / "one")
    for name in ("kpageflags", "kpagecount"):
        (folder / f"{name}.before.0x1000-0x1004.bin").write_bytes(bytes(4 * 8))
    _, found = opened_folders([str(folder)], {"kpageflags": None, "kpagecount": None})
    assert found["kpageflags"] == str(folder / "kpageflags.before.0x1000-0x1004.bin")
    assert found["kpagecount"] == str(folder / "kpagecount.before.0x1000-0x1004.bin")
    _, named = opened_folders([str(folder)], {"kpageflags": "mine", "kpagecount": None})
    assert (named["kpageflags"], named["kpagecount"]) == ("mine", None)
    assert any(one.role == "kpageflags" for one in tracereplay.open(folder).inputs)


def test_copies_of_proc_beside_the_trace_are_the_layout(tmp_path: Path) -> None:
    source, folder = capture("cma_pin_vmsplice"), tmp_path / "by hand"
    shutil.copytree(source / "layout_before", folder)
    (folder / "trace.dat").symlink_to(source / "trace.dat")
    inputs, options = opened_folders([str(folder)], {"layout": None})
    assert (inputs, options["layout"]) == ((str(folder / "trace.dat"),), str(folder))
    with_layout = tracereplay.open(source / "trace.dat", layout=source / "layout_before").blame()
    assert tracereplay.open(folder).blame().attempts == with_layout.attempts


def test_several_traces_of_one_machine_are_taken_from_one_folder(tmp_path: Path) -> None:
    """A take in one file, the refused migration in the other, the log beside both."""
    text = KprobeText().taken("holder-21", 0x8010).add("sh-7", "sipr_r", "s=0x8000 e=0x10000 ret=0")
    lines = text.refused("sh-7", 0x8010, 2).failed_pass("sh-7", 1).offlined("sh-7", -16).lines
    lines += KprobeText().add("holder-21", "gput", f"page={page(0x8010)} refs=1 flags=0x2", after_us=90).lines
    for number in (0, 1):
        mine = [line for line in lines if (": getf:" in line or ": gput:" in line) != bool(number)]
        (tmp_path / f"cpu{number}.trace").write_text(HEADER + "".join(mine))
    (tmp_path / "dmesg.txt").write_text("[    1.000000] Linux version 6.12.0\n")
    (attempt,) = tracereplay.open(tmp_path, same_machine=True).blame().attempts
    (culprit,) = attempt.culprits
    assert culprit.holder is not None
    assert (culprit.holder.tid, culprit.verdict) == (21, "proved")
    _, options = opened_folders([str(tmp_path)], {"kernel_log": None}, same_machine=True)
    assert options["kernel_log"] == str(tmp_path / "dmesg.txt")
