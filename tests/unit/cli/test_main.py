"""The command line: exit status, one line on stderr, files written all or nothing, a quick start."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

import tracereplay
from tests.support import result_examples as example
from tests.support.captures import ROOT, capture
from tracereplay.cli.main import main
from tracereplay.cli.progress import Progress
from tracereplay.errors import InputError
from tracereplay.model.info import InfoResult
from tracereplay.model.page import PageLife
from tracereplay.model.result import Result
from tracereplay.reports import FORMATS
from tracereplay.reports.json import read_json, render_json

Opened = list[tuple[Any, dict[str, Any]]]


class Terminal(io.StringIO):
    """Says it is one."""

    def isatty(self) -> bool:
        return True


class FakeSession:
    """Answers with results built by hand."""

    answer: Result | Exception = example.pinned()
    argv: ClassVar[list[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def blame(self) -> Result:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def info(self) -> InfoResult:
        return InfoResult(can_prove=["pin_short"])

    def page(self, pfn: int) -> PageLife:
        return PageLife(pfn=pfn)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """What `tracereplay.open` was called with; it gives a FakeSession."""
    calls: Opened = []
    session = FakeSession()

    def fake_open(paths: object, **options: object) -> FakeSession:
        calls.append((paths, options))
        return session

    monkeypatch.setattr(tracereplay, "open", fake_open, raising=False)
    monkeypatch.setattr("tracereplay.compiled.kernels_are_compiled", lambda: True)  # else a note on stderr says so
    yield calls
    FakeSession.answer = example.pinned()


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A process of its own, for what cannot be seen from inside."""
    return subprocess.run(
        [sys.executable, "-m", "tracereplay", *args],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **(env or {})}, check=False, timeout=60,
    )  # fmt: skip


def test_blame_prints_the_report(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blame", "a.dat", "b.dat", "--layout", "l", "--kernel-log", "k"]) == 0
    out, err = capsys.readouterr()
    assert "pin-vmsplice (145)" in out
    assert err == ""
    paths, options = opened[0]
    assert paths == ["a.dat", "b.dat"]
    assert (options["layout"], options["kernel_log"]) == ("l", "k")


def test_a_log_alone_is_an_input(opened: Opened) -> None:
    assert main(["blame", "--kernel-log", "dmesg.txt"]) == 0
    assert opened[0][0] == []


@pytest.mark.usefixtures("opened")
def test_output_and_out_write_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, tables = tmp_path / "report.json", tmp_path / "tables"
    assert main(["blame", "x", "--format", "json", "--output", str(report), "--out", str(tables)]) == 0
    assert read_json(report) == example.pinned()
    assert (tables / "culprits.parquet").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "tables"]
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("opened")
def test_unwritable_output_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blame", "x", "--output", str(tmp_path / "none" / "report.txt")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "cannot be written" in err


@pytest.mark.usefixtures("opened")
def test_fail_on_sets_the_status_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blame", "x", "--fail-on", "loss>=loss,cause=task_reference"]) == 1
    out, err = capsys.readouterr()
    assert "FAILED" in out
    assert err.startswith("tracereplay: --fail-on cause=task_reference: PFN 0x1e403")
    assert err.count("\n") == 1
    assert main(["blame", "x", "--fail-on", "loss>=loss"]) == 0


def test_wrong_rule_is_found_before_any_work(opened: Opened) -> None:
    assert main(["blame", "x", "--fail-on", "nope"]) == 2
    assert opened == []


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (InputError("is no trace", path="x.dat", advice="name a trace"), 2, "x.dat: is no trace; name a trace"),
        (RuntimeError("boom\nand more"), 2, "a bug in tracereplay (RuntimeError: boom and more)"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_one_line(error: Exception, status: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    FakeSession.answer = error
    assert main(["blame", "x"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == (1 if says else 0)


@pytest.mark.usefixtures("opened")
def test_debug_shows_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    FakeSession.answer = RuntimeError("boom")
    main(["--debug", "blame", "x"])
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("TRACEREPLAY_DEBUG", "1")
    main(["blame", "x"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("opened")
def test_info_and_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "x"]) == 0
    assert "pin_short" in capsys.readouterr().out
    assert main(["page", "0x1e403", "x", "--format", "json"]) == 0
    assert '"pfn": 123907' in capsys.readouterr().out


@pytest.mark.parametrize("pfn", ["-1", "x", "0x", "1.5", str(1 << 60)])
def test_what_is_no_pfn(pfn: str) -> None:
    assert main(["page", "--", pfn, "trace.dat"]) == 2


def test_report_from_a_stored_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "blame.json"
    path.write_text(render_json(example.mixed()), encoding="utf-8")
    assert main(["report", str(path), "--fail-on", "failed"]) == 1
    assert "DATA LOST" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "none.json")]) == 2


def test_names_that_are_not_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copied log or layout beside the trace too; bytes that no document can hold are shown as escapes."""
    source = capture("offline_dimm_einval")
    odd = tmp_path / "lab\udcff"
    shutil.copytree(source / "layout_before", odd / "layout")
    trace, log = (str(shutil.copy(source / name, odd)) for name in ("trace.dat", "dmesg.txt"))
    beside = ["--layout", str(odd / "layout"), "--kernel-log", log]
    for form in FORMATS:
        assert main(["blame", trace, *beside, "--format", form]) == 0
        out = capsys.readouterr().out
        assert "lab\\udcff/trace.dat" in out.replace("\\\\", "\\")
    assert main(["info", trace, *beside, "--format", "json"]) == 0
    assert main(["page", "0x1000", trace]) == 0
    assert main(["ingest", trace, "-o", str(tmp_path / "events")]) == 0
    assert main(["blame", str(tmp_path / "events"), "--out", str(tmp_path / "tables")]) == 0
    assert main(["export", trace, "--perfetto", str(tmp_path / "x.pftrace")]) == 0


def test_help_and_explain_load_nothing_heavy() -> None:
    code = (
        "import sys; from tracereplay.cli.main import main; main(['explain']); main(['--help']); "
        "print(sorted({'numba', 'numpy', 'pyarrow', 'polars', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == "[]\n"


def test_version_and_module() -> None:
    assert run("--version").stdout == f"tracereplay {tracereplay.__version__}\n"


def test_reader_that_leaves_early_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tracereplay", "explain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_disk_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tracereplay", "explain"],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "tracereplay: stdout: cannot be written: No space left on device\n")
    path = tmp_path / "blame.json"
    path.write_text(render_json(example.pinned()), encoding="utf-8")
    assert main(["report", str(path), "-o", "/dev/full"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_progress_shows_nothing_early_or_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1e6
    monkeypatch.setattr("tracereplay.cli.progress.time.monotonic", lambda: now_s)
    streams = {"early": Terminal(), "terminal": Terminal(), "file": io.StringIO()}
    for name, stream in streams.items():
        progress = Progress(stream)
        now_s += 0.5 if name == "early" else 2.0
        progress("reading", 0.5)
        progress.close()
    shown = {name: "reading  50%" in stream.getvalue() for name, stream in streams.items()}
    assert shown == {"early": False, "terminal": True, "file": False}
    assert streams["terminal"].getvalue().endswith(" \r")
