"""The printed script, run by busybox in guests of kernels with and without page_ref: `blame` names who held the pages.

`make test-guests` installs what this needs and runs it (an hour or more: QEMU emulates). Without QEMU, and in other
test runs, these tests are skipped. Kernels: those of ../shared/lab; Debian's cloud kernels, from their packages, in
folders named by TRACEREPLAY_GUEST_KERNELS (colon-separated, as `dpkg -x` leaves them; arm64 with bin/busybox in it).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import tracereplay
from tests.guests import jobs
from tests.support.guest import GUESTS, LAB, Machine, machines
from tracereplay.capture.check import findings
from tracereplay.capture.kernel import kernel_in
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.discovery.folder import opened_folders
from tracereplay.model.result import Attempt

pytestmark = pytest.mark.guests
KILLED_SECONDS = 3600
STOCK = ("debian-6.1", "debian-6.12")
DEBIAN = (*STOCK, "debian-6.1-arm64")
REFERENCE_CAUSES = ("pin_short", "task_reference")
Workload = Callable[[str], Path]


def machine(name: str) -> Machine:
    if os.environ.get("TRACEREPLAY_GUESTS") != "1":
        pytest.skip("guests take minutes: make test-guests")
    if name not in machines():
        pytest.skip(f"no kernel {name} at hand")
    lacking = [tool for tool in machines()[name].architecture.tools if shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    return machines()[name]


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """The workload, built for a kernel's architecture."""

    @cache
    def built(cc: str) -> Path:
        target = tmp_path_factory.mktemp("bin") / "hold"
        subprocess.run([cc, "-O1", "-static", "-o", str(target), str(GUESTS / "hold.c")], check=True)
        return target

    return lambda name: built(machine(name).architecture.cc)


def recorded(name: str, job: str, hold: Workload, tmp_path: Path, options: ScriptOptions) -> tuple[Path, list[Attempt]]:
    """Run the job in a guest under the printed script; the folder that came out, and its attempts."""
    path = tmp_path / "record.sh"
    path.write_text(script(options))
    out = tmp_path / "out"
    log = machine(name).run(job, [hold(name), path], out)
    assert (out / "capture" / "trace").is_dir(), log[-3000:]
    (trace,), sides = opened_folders([str(out / "capture")], {})
    return out, tracereplay.open([trace], **sides).blame().attempts


def held(out: Path) -> tuple[int, set[int]]:
    """(tid, pages) of the holder, as pagemap told while they were held."""
    words = next(line for line in (out / "held.txt").read_text().splitlines() if line.startswith("held")).split()
    return int(words[2]), {int(word, 16) for word in words[4:]}


def assert_named(attempt: Attempt, out: Path, verdict: str) -> None:
    tid, pages = held(out)
    low, high = attempt.request.start_pfn, attempt.request.end_pfn
    inside = {pfn for pfn in pages if low is None or high is None or low <= pfn < high}
    assert inside
    for pfn in inside:
        (culprit,) = (c for c in attempt.culprits if c.covers(pfn))
        assert culprit.holder is not None
        assert (culprit.holder.tid, culprit.holder.comm) == (tid, "hold")
        assert (culprit.verdict, culprit.cause in REFERENCE_CAUSES) == (verdict, True)
    assert {c.holder.tid for c in attempt.culprits if c.holder and c.verdict == "proved"} <= {tid}
    assert (out / "left.txt").read_text() == ""


@pytest.mark.parametrize("name", [*DEBIAN, *LAB])
@pytest.mark.parametrize("work", ["offline", "direct"])
def test_a_failing_offline_is_blamed_on_its_holder(name: str, work: str, hold: Workload, tmp_path: Path) -> None:
    out, attempts = recorded(name, getattr(jobs, work)(), hold, tmp_path, ScriptOptions(buffer_kib=32768))
    attempt = next(one for one in attempts if one.operation == "memory_offline" and one.outcome_basis == "event")
    assert attempt.errno == "EINTR"
    assert_named(attempt, out, "proved")
    assert "record.sh: line" not in (out / "job.log").read_text()


@pytest.mark.parametrize("name", DEBIAN)
def test_a_block_alone_is_recorded(name: str, hold: Workload, tmp_path: Path) -> None:
    """Takes elsewhere are dropped in the kernel, and page flags are known from before."""
    options = ScriptOptions(block=machine(name).architecture.first_block, buffer_kib=32768)
    out, attempts = recorded(name, jobs.offline(), hold, tmp_path, options)
    attempt = next(one for one in attempts if one.operation == "memory_offline" and one.outcome_basis == "event")
    assert_named(attempt, out, "proved")
    assert {one.mechanism for one in attempt.culprits} == {"vmsplice"}
    assert "record.sh: line" not in (out / "job.log").read_text()
    events = tracereplay.open([out / "capture" / "trace"]).reader.info.by_event
    assert 8 <= events["kernel_stack"] <= sum(events.get(name, 0) for name in ("getf", "get", "get1"))


@pytest.mark.parametrize("name", STOCK)
def test_a_flight_recorder_dumps_each_failure(name: str, hold: Workload, tmp_path: Path) -> None:
    """Two offlines fail under one recorder, each held up by another task: a dump names the one of its own failure."""
    path, out = tmp_path / "record.sh", tmp_path / "out"
    path.write_text(script(ScriptOptions(buffer_kib=32768, dumps=9)))
    log = machine(name).run(jobs.flight(), [hold(name), path], out)
    assert (out / "left.txt").exists(), log[-3000:]
    assert (out / "left.txt").read_text() == ""
    holders = [int((out / f"held-{number}.txt").read_text().split()[2]) for number in (1, 2)]
    proved: set[int | None] = set()
    for dump in sorted((out / "capture").glob("dump-*")):
        (trace,), sides = opened_folders([str(dump)], {})
        assert tracereplay.open([trace]).reader.info.events
        for attempt in tracereplay.open([trace], **sides).blame().attempts:
            named = {c.holder.tid for c in attempt.culprits if c.holder and c.verdict == "proved"}
            assert len(named) <= 1
            proved |= named
    assert proved == set(holders)


@pytest.mark.parametrize("name", list(LAB))
@pytest.mark.parametrize("area", [None, "reserved"])
def test_a_failing_cma_allocation_is_blamed_on_its_holder(
    name: str, area: str | None, hold: Workload, tmp_path: Path
) -> None:
    """Without a range by kprobes, with one by page_ref: the same holder, proved by both."""
    out, attempts = recorded(name, jobs.cma(), hold, tmp_path, ScriptOptions(area=area, buffer_kib=65536))
    failed = [one for one in attempts if one.operation == "cma_alloc" and one.outcome == "failed"]
    tid, _ = held(out)
    by_holder = [
        one for one in failed if any(c.holder and c.holder.tid == tid for c in one.culprits if c.effect == "blocked")
    ]
    assert by_holder
    for attempt in by_holder:
        assert_named(attempt, out, "proved")


@pytest.mark.parametrize("name", STOCK)
def test_after_kill_9_nothing_is_left_and_two_recordings_are_separate(
    name: str, hold: Workload, tmp_path: Path
) -> None:
    moments = random.Random(name)
    path, out = tmp_path / "record.sh", tmp_path / "out"
    path.write_text(script(ScriptOptions(buffer_kib=16384)))
    log = machine(name).run(jobs.killed(moments.sample(range(20, 1000), 10)), [hold(name), path], out, KILLED_SECONDS)
    assert (out / "after.txt").exists(), log[-3000:]
    assert (out / "after.txt").read_text() == (out / "before.txt").read_text()
    left = [int(line) for line in (out / "probes-left.txt").read_text().split()]
    assert len(left) == 10
    assert any(left), "no recording was killed while it had probes: the moments are too early"
    assert all(f"{line}\n" in log for line in ("second 0", "first records on", "first 0"))
    for folder in ("first", "second"):
        (trace,), _ = opened_folders([str(out / folder)], {})
        assert tracereplay.open([trace]).reader.info.events


def test_a_locked_down_kernel_is_one_line(tmp_path: Path) -> None:
    locked = machine("debian-6.12")
    path, out = tmp_path / "record.sh", tmp_path / "out"
    path.write_text(script(ScriptOptions()))
    log = replace(locked, append=f"{locked.append} lockdown=confidentiality").run(jobs.locked_down(), [path], out)
    assert "status 2" in log
    assert "tracereplay." not in log
    (line,) = (out / "record.txt").read_text().splitlines()
    assert "lockdown=confidentiality" in line
    kernel = kernel_in(out / "check")
    assert kernel.locked_down
    assert [one.what for one in findings(kernel) if not one.ok] == ["tracefs"]


@pytest.mark.parametrize("name", [*DEBIAN, *LAB])
def test_check_tells_what_the_kernel_has(name: str, hold: Workload, tmp_path: Path) -> None:
    path, out = tmp_path / "record.sh", tmp_path / "out"
    path.write_text(script(ScriptOptions()))
    log = machine(name).run(jobs.check(), [hold(name), path], out)
    assert (out / "check" / "kernel.txt").exists(), log[-3000:]
    assert "record.sh: line" not in log
    assert (out / "check" / "proc" / "sys" / "kernel" / "kptr_restrict").exists()
    found = {line.what: line.ok for line in findings(kernel_in(out / "check"))}
    is_lab = name in LAB
    assert found["proof of holders of a failing memory offline"]
    assert found["page_ref tracepoints"] == found["debugfs cma"] == found["page_owner"] == is_lab
    assert found.get("proof of holders of a failing CMA allocation", False) == (name not in STOCK)
