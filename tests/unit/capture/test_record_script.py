"""The printed script: what it declares, that shells take it, and that what it records reads back the same."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import tracereplay
from tests.support.tracing import mounted_tracefs, needs, needs_tracing, state_of
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.parsers.catalog.probes import KNOWN_PAGE, PROBES
from tracereplay.parsers.snapshots.layout import read_layout

# mksh is the shell of Android.
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "mksh": ["mksh"]}


SMALL = ScriptOptions(buffer_kib=8192)


def written(folder: Path, options: ScriptOptions = SMALL) -> Path:
    path = folder / "record.sh"
    path.write_text(script(options))
    return path


def counted(out: Path) -> int:
    """Events, as the kernel counted them: those that were read while it recorded, and those left at the end."""
    lines = (out / "record.log").read_text().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.lstrip().startswith(("entries:", "read events:")))


def test_every_placeholder_is_filled(tmp_path: Path) -> None:
    text = written(tmp_path, ScriptOptions(area="my 'area'", block=7)).read_text()
    assert not [word for word in text.split() if word.startswith("@") and word.endswith("@")]
    assert "area='my '\"'\"'area'\"'\"''" in text


def test_it_defines_every_probe_of_the_catalogue(tmp_path: Path) -> None:
    text = written(tmp_path).read_text()
    for probe in PROBES:
        assert f"probe {probe.name} {probe.function} {'r' if probe.returns else 'p'} " in text
    assert f"rc=+{KNOWN_PAGE.refcount:#x}($arg1):s32" in text


@pytest.mark.parametrize("options", [ScriptOptions(), ScriptOptions(area="x", level=0, pages=False)])
def test_shellcheck_finds_nothing(options: ScriptOptions, tmp_path: Path) -> None:
    needs("shellcheck")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", str(written(tmp_path, options))], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_what_it_records_reads_back_whole(shell: str, tmp_path: Path) -> None:
    needs_tracing()
    needs(SHELLS[shell][0])
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        out = tmp_path / "out"
        done = subprocess.run(
            [*SHELLS[shell], str(written(tmp_path)), "-o", str(out), "--", "sh", "-c", "cat /proc/meminfo; exit 3"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert state_of(tracefs) == before
    reader = tracereplay.open([out / "trace"]).reader
    assert reader.info.events == counted(out) > 0
    # Each CPU is marked at both ends; on a busy machine the ring no longer has the marks of the start.
    assert set(reader.tables(("print",))["print"]["cpu"].to_pylist()) == os.sched_getaffinity(0)


@pytest.mark.parametrize("shell", SHELLS)
def test_events_that_the_ring_cannot_hold_are_written_as_they_come(shell: str, tmp_path: Path) -> None:
    needs_tracing()
    needs(SHELLS[shell][0])
    kib, out = 1024, tmp_path / "out"
    work = "n=0; while [ $n -lt 120 ]; do cat /proc/meminfo > /dev/null; sleep 0.05; n=$((n + 1)); done"
    done = subprocess.run(
        [*SHELLS[shell], str(written(tmp_path, ScriptOptions(buffer_kib=kib))), "-o", str(out), "--", "sh", "-c", work],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = sum(path.stat().st_size for path in out.glob("trace/per_cpu/*/trace_pipe_raw"))
    assert pages > 1.5 * kib * 1024
    assert tracereplay.open([out / "trace"]).reader.info.events == counted(out)
    assert not (out / "streaming").exists()


def test_androids_shell_and_tools_record_the_same(tmp_path: Path) -> None:
    """mksh with toybox. Debian's toybox lacks dd and tr, and Android's awk is not toybox's."""
    needs_tracing()
    needs("mksh", "toybox", "awk")
    tools, out = tmp_path / "tools", tmp_path / "out"
    tools.mkdir()
    for name in subprocess.run(["toybox"], capture_output=True, text=True, check=True).stdout.split():
        (tools / name).symlink_to(str(shutil.which("toybox")))
    for name in ("dd", "tr", "awk", "sh"):
        if not (tools / name).exists():
            (tools / name).symlink_to(str(shutil.which("mksh" if name == "sh" else name)))
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        done = subprocess.run(
            [str(shutil.which("mksh")), str(written(tmp_path)), "-o", str(out), "--", "sh", "-c", "exit 4"],
            capture_output=True, text=True, check=False, timeout=120, env={"PATH": str(tools)},
        )  # fmt: skip
        assert done.returncode == 4, done.stderr
        assert state_of(tracefs) == before
    assert "not found" not in done.stderr
    assert tracereplay.open([out / "trace"]).reader.info.events == counted(out) > 0
    assert read_layout(out / "layout_before").tables["zones"].num_rows


@pytest.mark.parametrize("shell", SHELLS)
def test_after_kill_9_the_next_run_cleans_up(shell: str, tmp_path: Path) -> None:
    needs_tracing()
    needs(SHELLS[shell][0])
    moments = random.Random(5)
    path = written(tmp_path)
    with mounted_tracefs(tmp_path) as tracefs:
        before = state_of(tracefs)
        for number in range(5):
            child = subprocess.Popen(
                [*SHELLS[shell], str(path), "-o", str(tmp_path / f"{number}"), "--for", "30"],
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            time.sleep(moments.random() * 1.2)
            child.kill()
            child.wait()
        last = subprocess.run(
            [*SHELLS[shell], str(path), "-o", str(tmp_path / "last"), "--for", "0"], capture_output=True, check=False
        )
        assert last.returncode == 0, last.stderr
        assert state_of(tracefs) == before


@pytest.mark.parametrize("arguments", ["--for", "--for x", "-o", "--what", "--"])
def test_bad_arguments_are_one_line(arguments: str, tmp_path: Path) -> None:
    shell = shutil.which("dash") or "sh"
    done = subprocess.run(
        [shell, str(written(tmp_path)), *shlex.split(arguments)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def function_of(text: str, name: str) -> str:
    start = text.index(f"{name}() {{")
    return text[start : text.index("\n}\n", start) + 3]


@pytest.mark.parametrize("when", ["before", "while"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_signal_ends_the_wait_whenever_it_comes(shell: str, when: str, tmp_path: Path) -> None:
    """One that came while the wait was prepared is not waited for again."""
    needs(SHELLS[shell][0])
    text = written(tmp_path).read_text()
    trap = next(line for line in text.splitlines() if line.startswith("trap 'status="))
    code = f"{function_of(text, 'await')}\nstatus=0; child=; {trap}\n"
    code += {
        "before": "kill -TERM $$; sleep 600 & await",
        "while": "(sleep 1; kill -TERM $$) > /dev/null & sleep 600 & await",
    }[when]
    done = subprocess.run(
        [*SHELLS[shell], "-c", f"{code}\necho $status"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "130", done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_page_pointers_are_computed_in_parts(shell: str, tmp_path: Path) -> None:
    """dash has no numbers above 2^63, mksh none above 2^31."""
    needs(SHELLS[shell][0])
    function = function_of(written(tmp_path).read_text(), "moved")
    for base, pfn in ((0xFFD3DF1900000000, 0x100000), (0xFFEAFFFFFFFFFFC0, 3), (0xFFFFEA0000000000, 0x7FFFFFF)):
        for sign in (1, -1):
            code = f"{function}\nmoved {base:#x} {pfn} {sign}"
            done = subprocess.run([*SHELLS[shell], "-c", code], capture_output=True, text=True, check=True)
            assert int(done.stdout, 16) == base + sign * pfn * 64
