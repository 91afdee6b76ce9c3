"""How the process ends: on a full disk, by Ctrl-C at any moment of its start, beside threads that still read."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.captures import ROOT, capture
from tracereplay.errors import UsageError, no_room

TRACE = str(capture("offline_dimm_einval") / "trace.dat")


def test_what_a_full_disk_says() -> None:
    full = OSError(28, "No space left on device", "x.json")
    assert no_room(full) == "No space left on device (x.json); make room, or name another place"
    wrapped = UsageError("x")
    wrapped.__cause__ = full
    assert no_room(wrapped) == no_room(full)
    assert no_room(OSError(2, "No such file")) is None
    assert no_room(ValueError("No space left on device")) is None


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["explain"], ["info", TRACE]])
def test_a_full_device_on_stdout_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "tracereplay", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
    assert "bug" not in done.stderr


def _few_bytes() -> None:
    """Files cannot grow beyond this: write() fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", TRACE, "-q", "-o", "events"],
        ["blame", TRACE, "-q", "--out", "tables"],
        ["blame", TRACE, "-q", "--format", "json", "-o", "blame.json"],
    ],
)
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tracereplay", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, preexec_fn=_few_bytes, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("delay_s", [0.03, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8])
def test_ctrl_c_prints_no_traceback(delay_s: float) -> None:
    """Wherever it comes: the imports of the command line, those of a verb, the work, or the end."""
    # What comes before is the interpreter's own start, and a few lines of the package.
    code = (
        "import sys, tracereplay.cli.startup; print(flush=True); sys.argv[1:] = ['info', sys.argv[1]]; "
        "import tracereplay.__main__"
    )
    command = [sys.executable, "-c", code, TRACE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert said == ""


# Says how Ctrl-C ends the process when one of these libraries begins to load (`find_spec` loads none).
WATCHED = """
import signal, sys
class Watch:
    def find_spec(self, name, _path=None, _target=None):
        if name in ("pyarrow", "numba", "deltalake") and sys._getframe(2).f_globals["__name__"] != "importlib.util":
            print(name, signal.getsignal(signal.SIGINT) == signal.SIG_DFL, file=sys.stderr)
import tracereplay.cli.main
sys.meta_path.insert(0, Watch())
status = tracereplay.cli.main._run(sys.argv[1:])
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("arguments", "libraries"),
    [
        (["info", TRACE], {"pyarrow", "numba"}),
        (["blame", TRACE], {"pyarrow", "numba"}),
        (["ingest", TRACE, "-o", "events"], {"pyarrow", "numba"}),
        (["whatif", "--list"], {"pyarrow", "numba"}),
        (["check"], {"pyarrow"}),
        (["corpus", "report", "nowhere"], {"pyarrow", "deltalake"}),
    ],
)
def test_ctrl_c_kills_while_libraries_are_loaded(arguments: list[str], libraries: set[str], tmp_path: Path) -> None:
    """Their own code may print the exception, or go on without it; nothing is open yet that has to be removed."""
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    said = [line.split() for line in done.stderr.splitlines() if line.startswith(("pyarrow ", "numba ", "deltalake "))]
    assert {name for name, _ in said} >= libraries, done.stderr
    assert {killed for _, killed in said} == {"True"}, done.stderr


def test_a_process_with_arrows_threads_ends_without_python() -> None:
    """What is registered for the interpreter's end does not run: such threads would come back to it meanwhile."""
    code = (
        "import atexit, sys; import tracereplay.cli.main as m; atexit.register(lambda: print('late')); "
        "sys.argv[1:] = ['explain', 'pin_short']; {}; sys.exit(m.main())"
    )
    for load, late in (("pass", True), ("sys.modules['deltalake'] = sys", False)):
        command = [sys.executable, "-c", code.format(load)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        assert "pin_short" in done.stdout
        assert done.stdout.endswith("late\n") == late
