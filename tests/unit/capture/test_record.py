"""Recording on this machine's own kernel: a folder that reads back whole, and nothing left behind however it ends."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import ROOT
from tests.support.tracing import mounted_tracefs, needs, needs_tracing, state_of
from tests.support.tracing import tracereplay as run
from tracereplay.capture.tracefs import key_of
from tracereplay.parsers.snapshots.layout import read_layout


def entries(folder: Path) -> int:
    """Events that were read out of the buffers: written pages hold what stats no longer count."""
    return tracereplay.open([folder / "trace"]).reader.info.events


def test_a_command_is_recorded_and_its_status_returned(tmp_path: Path) -> None:
    needs_tracing()
    out = tmp_path / "capture"
    done = run("record", "-o", str(out), "--buffer", "8", "--", "sh", "-c", "cat /proc/meminfo > /dev/null; exit 7")
    assert done.returncode == 7, done.stderr
    assert entries(out) > 100
    blamed = run("blame", str(out))
    assert blamed.returncode == 0, blamed.stderr
    assert "with dmesg.txt (log) and layout_before (layout)" in blamed.stdout
    for name in ("zoneinfo", "iomem", "buddyinfo", "memory_blocks.txt", "ps.txt", "mountinfo"):
        assert (out / "layout_after" / name).exists(), name
    assert re.search(r"recording took [\d.]+ s of CPU", (out / "record.log").read_text())


def test_every_cpu_is_marked_at_both_ends(tmp_path: Path) -> None:
    """An idle CPU has no other event: without marks its silence would be a loss."""
    needs_tracing()
    out = tmp_path / "capture"
    assert run("record", "-o", str(out), "--buffer", "8", "--no-pages", "--for", "2").returncode == 0
    reader = tracereplay.open([out / "trace"]).reader
    marks = reader.tables(("print",))["print"]
    cpus = os.sched_getaffinity(0)
    assert sorted(marks["cpu"].to_pylist()) == sorted([*cpus, *cpus])
    assert not [loss for loss in reader.losses if loss.code.startswith("cpu_")]


def test_a_block_has_its_page_flags_from_before(tmp_path: Path) -> None:
    needs_tracing()
    blocks = sorted(int(path.name[6:]) for path in Path("/sys/devices/system/memory").glob("memory[0-9]*"))
    if not blocks:
        pytest.skip("this kernel has no memory blocks")
    out = tmp_path / "capture"
    done = run("record", "-o", str(out), "--buffer", "8", "--block", str(blocks[-1]), "--for", "0.2")
    assert done.returncode == 0, done.stderr
    (copy,) = out.glob("kpageflags.before.*.bin")
    assert copy.stat().st_size > 0
    assert any(one.role == "kpageflags" for one in tracereplay.open(out).inputs)


def test_every_page_is_written_and_trace_cmd_reads_the_same(tmp_path: Path) -> None:
    needs_tracing()
    needs("trace-cmd")
    out = tmp_path / "capture"
    assert run("record", "-o", str(out), "--for", "0.5", "--trace-dat").returncode == 0
    listed = subprocess.run(
        ["trace-cmd", "report", "-i", str(out / "trace-cmd.out")], capture_output=True, text=True, check=False
    )
    lines = [line for line in listed.stdout.splitlines() if re.search(r"\[\d+\]", line)]
    assert len(lines) == entries(out) == tracereplay.open([out / "trace-cmd.out"]).reader.info.events


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    done = run("record", "-o", str(tmp_path), "--for", "1")
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "exists" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], "takes"), (["--no-stacks"], ""), (["--stacks", "--block", "1"], "all"), (["--block", "1"], "takes")],
)
def test_the_printed_script_records_stacks_as_requested(arguments: list[str], expected: str) -> None:
    done = run("record", "--print-script", *arguments)
    assert f" stacks={expected}\n" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--for", "1", "--until-failure"], ["--area", "a", "--block", "1"], ["--print-script", "--for", "1"],
        ["--stacks", "--for", "1"],
    ],
)  # fmt: skip
def test_contradictions_are_one_line(arguments: list[str]) -> None:
    done = run("record", *arguments)
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 0)


def test_an_unknown_area_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    needs_tracing()
    done = run("record", "-o", str(tmp_path / "capture"), "--area", "no such area")
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 0)
    assert not (tmp_path / "capture").exists()


def started(out: Path, *arguments: str) -> subprocess.Popen[str]:
    with (out.parent / f"{out.name}.stderr").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "tracereplay", "record", "-o", str(out), "--buffer", "4", *arguments],
            stderr=said, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip


def wait_until_it_records(out: Path) -> None:
    said = out.parent / f"{out.name}.stderr"
    for _ in range(600):
        if "Ctrl-C ends it" in said.read_text():
            return
        time.sleep(0.1)
    pytest.fail(said.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_recording_and_keeps_it(number: signal.Signals, tmp_path: Path) -> None:
    needs_tracing()
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        child = started(tmp_path / "capture")
        wait_until_it_records(tmp_path / "capture")
        child.send_signal(number)
        assert child.wait(60) == 0
        assert state_of(tracefs) == before
    assert entries(tmp_path / "capture") > 0


def test_after_kill_9_the_next_recording_cleans_up(tmp_path: Path) -> None:
    needs_tracing()
    moments = random.Random(9)
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        for number in range(10):
            child = started(tmp_path / f"killed-{number}")
            time.sleep(0.3 + moments.random() * 1.5)
            child.kill()
            child.wait()
        assert run("record", "-o", str(tmp_path / "last"), "--for", "0.1", "--buffer", "4").returncode == 0
        assert state_of(tracefs) == before


def test_two_recordings_are_separate(tmp_path: Path) -> None:
    needs_tracing()
    child = started(tmp_path / "first")
    wait_until_it_records(tmp_path / "first")
    assert run("record", "-o", str(tmp_path / "second"), "--for", "0.2", "--buffer", "4").returncode == 0
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0
    assert entries(tmp_path / "first") > entries(tmp_path / "second") > 0


def test_until_failure_is_refused_or_waits_and_ctrl_c_copies(tmp_path: Path) -> None:
    needs_tracing()
    child = started(tmp_path / "capture", "--until-failure", "--dumps", "3")
    wait_until_it_records(tmp_path / "capture")
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0
    assert entries(tmp_path / "capture") > 0


def test_a_key_tells_a_process_from_a_later_one_of_its_number() -> None:
    mine = key_of(os.getpid())
    assert mine is not None
    assert mine == key_of(os.getpid())
    assert key_of(1 << 22) is None


def test_a_snapshot_is_a_layout(tmp_path: Path) -> None:
    needs_tracing()
    assert run("snapshot", "-o", str(tmp_path / "now")).returncode == 0
    layout = tmp_path / "now" / "layout"
    assert (layout / "zoneinfo").exists()
    tables = read_layout(layout).tables
    assert tables["zones"].num_rows
    assert tables["tasks"].num_rows > 5


def test_check_tells_what_this_kernel_has() -> None:
    needs_tracing()
    done = run("check")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"ok      kernel {os.uname().release}")
    assert any("tracepoints" in line for line in lines)
