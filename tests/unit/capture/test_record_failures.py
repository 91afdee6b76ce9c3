"""Recording until an attempt fails: here an allocation stands for the failure, which this kernel cannot be given."""

from __future__ import annotations

import os
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
from tracereplay.capture import wanted
from tracereplay.capture.instance import FUNCTIONS, Instance, probed_functions
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.capture.selftest import _direct, _vmsplice
from tracereplay.capture.target import Target
from tracereplay.capture.tracefs import Tracefs, is_locked_down
from tracereplay.parsers.catalog.probes import GUP_FAST, KNOWN_PAGE

STAND_IN = wanted.Sign("kmem/mm_page_alloc", "order == 0")


# In a process of its own: what is not mounted here, recording mounts in a namespace that the process then stays in.
RECORD = """
import sys
from pathlib import Path
from tracereplay.capture import recording, wanted
wanted.FAILURES = (wanted.Sign("kmem/mm_page_alloc", "order == 0"),)
request = recording.Request(
    Path(sys.argv[1]), buffer_kib=4096, until_failure=True, after_seconds=0.2, dumps=int(sys.argv[2])
)
recording.record(request, print)
"""


def recording_until_failure(out: Path, dumps: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RECORD, str(out), str(dumps)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    needs_tracing()
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        said, _ = recording_until_failure(tmp_path / "out").communicate(timeout=60)
        assert state_of(tracefs) == before
    assert re.search("failed: .*mm_page_alloc", said)
    assert tracereplay.open([tmp_path / "out" / "trace"]).reader.info.by_event["mm_page_alloc"]


def test_a_flight_recorder_keeps_the_last_dumps(tmp_path: Path) -> None:
    needs_tracing()
    child = recording_until_failure(tmp_path / "out", dumps=2)
    for _ in range(600):
        if (tmp_path / "out" / "dump-4").exists():
            break
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    folders = sorted(int(path.name.partition("-")[2]) for path in (tmp_path / "out").glob("dump-*"))
    assert len(folders) == 2
    assert folders[1] >= 4
    for number in folders:
        assert tracereplay.open([tmp_path / "out" / f"dump-{number}" / "trace"]).reader.info.events


@pytest.mark.parametrize("shell", [["dash"], ["busybox", "sh"]], ids=lambda shell: shell[0])
def test_the_script_ends_at_a_failure(shell: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_tracing()
    needs(shell[0])
    monkeypatch.setattr(wanted, "FAILURES", (STAND_IN,))
    path = tmp_path / "record.sh"
    path.write_text(script(ScriptOptions(buffer_kib=4096, after_s=1)))
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        done = subprocess.run(
            [*shell, str(path), "-o", str(tmp_path / "out"), "--until-failure"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert state_of(tracefs) == before
    assert "mm_page_alloc" in (tmp_path / "out" / "failure.txt").read_text()
    assert tracereplay.open([tmp_path / "out" / "trace"]).reader.info.events


LINGER = """
import sys
from pathlib import Path
from tracereplay.capture import recording
recording.record(recording.Request(Path(sys.argv[1]), buffer_kib=8192, until_failure=True, after_seconds=60), print)
"""
FAILED = "tracereplay's test says cma: __cma_alloc: nothing: alloc failed, req-size: 0 pages"
FAIL_AND_ALLOCATE = ["sh", "-c", f'echo "{FAILED}" > /dev/kmsg; while sleep 0.01; do cat /proc/meminfo; done']


@pytest.mark.parametrize("shell", ["python", "dash", "busybox", "mksh"])
def test_a_line_of_the_log_is_a_failure_and_stays_in_the_ring(shell: str, tmp_path: Path) -> None:
    """Recording goes on for a minute, in which the ring is overwritten many times: it ends before that.

    The CPU of the line was idle until then: its ring holds next to nothing, and gets all that follows.
    """
    needs_tracing()
    out, path = tmp_path / "out", tmp_path / "record.sh"
    if shell == "python":
        command = [sys.executable, "-u", "-c", LINGER, str(out)]
    else:
        needs(shell)
        path.write_text(script(ScriptOptions(buffer_kib=8192, after_s=60)))
        command = [shell, *(["sh"] if shell == "busybox" else []), str(path), "-o", str(out), "--until-failure"]
    *others, idle = sorted(os.sched_getaffinity(0))
    with subprocess.Popen(
        ["taskset", "-c", ",".join(map(str, others or [idle])), *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        said = next(line for line in child.stdout if "recording" in line and "Ctrl-C" in line)
        time.sleep(2)
        with subprocess.Popen(["taskset", "-c", str(idle), *FAIL_AND_ALLOCATE], stdout=subprocess.DEVNULL) as load:
            load_began = time.monotonic()
            said += child.communicate(timeout=120)[0]
            load.kill()
    assert time.monotonic() - load_began < 60
    assert "failed: " in said
    assert child.returncode == 0
    console = tracereplay.open([out / "trace"]).reader.tables(("console",))["console"]
    assert any(FAILED in str(row) for row in console.to_pylist())


@pytest.mark.parametrize("next_one", ["script", "python"])
def test_a_recorder_killed_while_it_waits_for_a_failure_is_cleaned_up(
    next_one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it started to wait lives on, and has the instance open."""
    needs_tracing()
    needs("dash")
    monkeypatch.setattr(wanted, "FAILURES", (wanted.Sign("kmem/mm_page_alloc", "order == 77"),))
    path = tmp_path / "record.sh"
    path.write_text(script(ScriptOptions(buffer_kib=4096)))
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        with subprocess.Popen(
            ["dash", str(path), "-o", str(tmp_path / "killed"), "--until-failure"], stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stderr is not None
            assert any("until an attempt fails" in line for line in child.stderr)
            time.sleep(1)
            child.kill()
        assert state_of(tracefs) != before
        last = ["dash", str(path)] if next_one == "script" else [sys.executable, "-m", "tracereplay", "record"]
        done = subprocess.run(
            [*last, "-o", str(tmp_path / "last"), "--for", "0"],
            capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert state_of(tracefs) == before


def test_references_of_our_own_are_taken_at_known_page_frames(tmp_path: Path) -> None:
    needs_tracing()
    assert _vmsplice()
    assert _direct(tmp_path) != 0  # None where the disk has no O_DIRECT


def test_probes_are_defined_for_the_functions_of_the_kernel(tmp_path: Path) -> None:
    """Into files that stand for tracefs: 6.12 has the fast function, and gets arguments at returns."""
    tracefs = Tracefs(tmp_path)
    instance = Instance(tracefs, key="1_2")
    (tmp_path / "available_filter_functions").write_text(f"{GUP_FAST}\ntry_grab_folio\nmove_to_new_folio [mod]\nfoo\n")
    (tmp_path / "kprobe_events").write_text("")
    for name in ("getf", "get", "mig", "mig_r"):
        place = tmp_path / "instances" / "tracereplay_1_2" / "events" / "tracereplay_1_2" / name
        place.mkdir(parents=True)
        (place / "enable").write_text("")
        (place / "filter").write_text("")
        (place / "format").write_text("\tfield:u64 page;\toffset:16;\n" if name == "getf" else "\tfield:u64 folio;\n")
    instance.enable_probes(KNOWN_PAGE)
    assert instance.probes == ["getf", "get", "mig", "mig_r"]
    lines = (tmp_path / "kprobe_events").read_text().splitlines()
    assert lines[1].startswith("p:tracereplay_1_2/get try_grab_folio folio=$arg1:x64")
    assert lines[3] == "r:tracereplay_1_2/mig_r move_to_new_folio src=$arg2:x64 ret=$retval:s32"
    instance.filter_takes(Target(1, 2), 0x1000, KNOWN_PAGE)
    written = (tmp_path / instance.place / "events" / instance.name / "getf" / "filter").read_text()
    assert "flags & 0x" in written
    assert "folio" not in written  # no field of it: the kernel would refuse that, and disable the filter before
    (tmp_path / instance.place / "events" / instance.name / "getf" / "trigger").write_text("")
    assert instance.record_stacks(Target(1, 2), wanted.Stacks.TAKES) is False  # `get` has no trigger
    trigger = (tmp_path / instance.place / "events" / instance.name / "getf" / "trigger").read_text()
    assert trigger.startswith("stacktrace if ")
    assert instance.stacked == ["getf"]
    assert trigger.strip().endswith(written.strip().splitlines()[-1])
    assert ">= 0x1040" in written
    assert "< 0x1080" in written


def test_without_dynamic_ftrace_symbols_say_which_functions_there_are(tmp_path: Path) -> None:
    """Else both rows of one event would be tried, and the one of another kernel's arguments be taken."""
    symbols = tmp_path / "kallsyms"
    symbols.write_text("0 T try_grab_folio\n0 t try_grab_page\t[mod]\n0 D dump_page\n0 T something\n\n0 T\n")
    assert probed_functions(Tracefs(tmp_path), symbols) == {"try_grab_folio", "try_grab_page"}
    (tmp_path / "available_filter_functions").write_text("dump_page\n")
    assert probed_functions(Tracefs(tmp_path), symbols) == {"dump_page"}
    assert probed_functions(Tracefs(tmp_path / "none"), tmp_path / "none") == FUNCTIONS


@pytest.mark.parametrize(
    ("file", "text", "locked"),
    [
        ("sys/kernel/security/lockdown", "none integrity [confidentiality]\n", True),
        ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n", False),
        ("proc/cmdline", "root=/dev/vda lockdown=confidentiality quiet\n", True),
        ("proc/cmdline", "lockdown=integrity xlockdown=confidentiality\n", False),
    ],
)
def test_a_kernel_that_is_locked_down_is_known(file: str, text: str, locked: bool, tmp_path: Path) -> None:
    assert not is_locked_down(tmp_path)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert is_locked_down(tmp_path) == locked


def test_what_a_killed_recording_left_is_told_by_its_key(tmp_path: Path) -> None:
    mine = Instance(Tracefs(tmp_path)).key
    (tmp_path / "kprobe_events").write_text(
        f"p:tracereplay_{mine}/get try_grab_folio\np:tracereplay_99999999_5/get try_grab_folio\np:other/get x\n"
    )
    (tmp_path / "instances" / "tracereplay_99999998_7_watch").mkdir(parents=True)
    assert Tracefs(tmp_path).leftovers() == ["99999998_7", "99999999_5"]
