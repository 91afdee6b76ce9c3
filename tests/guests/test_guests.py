"""The printed script, run by busybox in guests of kernels with and without page_ref: `blame` names who held the pages.

`make test-guests` installs what this needs and runs it (some ten minutes: QEMU emulates). Without QEMU, and in other
test runs, these tests are skipped. Kernels: those of ../shared/lab; Debian's cloud kernels, from their packages, in
folders named by TRACEREPLAY_GUEST_KERNELS (colon-separated, as `dpkg -x` leaves them).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import tracereplay
from tests.guests import jobs
from tests.guests.machine import HERE, TOOLS, Machine
from tests.support.captures import SHARED
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.corpus.folder import opened_folders
from tracereplay.model.result import Attempt

pytestmark = pytest.mark.guests
# Under emulation on a busy machine the timer check fails now and then.
STOCK = "no_timer_check"
LAB = {"lab-6.12": "bzImage-6.12.117", "lab-7.2": "bzImage-7.2.13"}
REFERENCE_CAUSES = ("pin_short", "task_reference")


@cache
def machines() -> dict[str, Machine]:
    """The kernels at hand, by name."""
    found = {
        name: Machine(SHARED / "lab" / image, append="cma=256M page_owner=on")
        for name, image in LAB.items()
        if (SHARED / "lab" / image).exists()
    }
    for folder in filter(None, os.environ.get("TRACEREPLAY_GUEST_KERNELS", "").split(":")):
        for kernel in sorted(Path(folder).glob("boot/vmlinuz-*")):
            release = kernel.name.removeprefix("vmlinuz-")
            version = re.match(r"\d+\.\d+", release)
            roots = [Path(folder) / place / release for place in ("lib/modules", "usr/lib/modules")]
            modules = next((root for root in roots if root.is_dir()), None)
            found[f"debian-{version[0] if version else release}"] = Machine(kernel, modules, append=STOCK)
    return found


def machine(name: str) -> Machine:
    if os.environ.get("TRACEREPLAY_GUESTS") != "1":
        pytest.skip("guests take minutes: make test-guests")
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    if name not in machines():
        pytest.skip(f"no kernel {name} at hand")
    return machines()[name]


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc for the workload")
    target = tmp_path_factory.mktemp("bin") / "hold"
    subprocess.run(["gcc", "-O1", "-static", "-o", str(target), str(HERE / "hold.c")], check=True)
    return target


def recorded(name: str, job: str, hold: Path, tmp_path: Path, options: ScriptOptions) -> tuple[Path, list[Attempt]]:
    """Run the job in a guest under the printed script; the folder that came out, and its attempts."""
    path = tmp_path / "record.sh"
    path.write_text(script(options))
    out = tmp_path / "out"
    log = machine(name).run(job, [hold, path], out)
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


@pytest.mark.parametrize("name", ["debian-6.1", "debian-6.12", *LAB])
@pytest.mark.parametrize("work", ["offline", "direct"])
def test_a_failing_offline_is_blamed_on_its_holder(name: str, work: str, hold: Path, tmp_path: Path) -> None:
    out, attempts = recorded(name, getattr(jobs, work)(), hold, tmp_path, ScriptOptions(buffer_kib=32768))
    attempt = next(one for one in attempts if one.operation == "memory_offline" and one.outcome_basis == "event")
    assert attempt.errno == "EINTR"
    assert_named(attempt, out, "proved")


@pytest.mark.parametrize("name", list(LAB))
@pytest.mark.parametrize("area", [None, "reserved"])
def test_a_failing_cma_allocation_is_blamed_on_its_holder(
    name: str, area: str | None, hold: Path, tmp_path: Path
) -> None:
    """Without a range by kprobes, with one by page_ref: the same holder. No probe reads a count there."""
    out, attempts = recorded(name, jobs.cma(), hold, tmp_path, ScriptOptions(area=area, buffer_kib=65536))
    attempt = next(one for one in attempts if one.operation == "cma_alloc" and one.outcome == "failed")
    assert_named(attempt, out, "suggested" if area is None else "proved")
