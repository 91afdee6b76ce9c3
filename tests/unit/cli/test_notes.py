"""What verbs say on stderr of what they wrote, and what they suggest for a name that is not known."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tracereplay.cli.main import main

EVENT = "            x-1     [000] d..1.   5.000001: mm_page_free: page=0000000000000000 pfn=0x5 order=0\n"
TRACE = f"# tracer: nop\n#\n{EVENT}"


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "trace.txt"
    path.write_text(TRACE)
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    main(list(args))
    return capsys.readouterr().err


def test_every_writing_verb_says_what_it_wrote(tmp_path: Path, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    blame = str(tmp_path / "b.json")
    commands = {
        blame: ["blame", trace, "--format", "json", "--output", blame],
        str(tmp_path / "set"): ["ingest", trace, "-o", str(tmp_path / "set")],
        str(tmp_path / "out"): ["blame", trace, "--out", str(tmp_path / "out")],
        str(tmp_path / "info.json"): ["info", trace, "--format", "json", "-o", str(tmp_path / "info.json")],
        str(tmp_path / "tables"): ["export", trace, "--tables", str(tmp_path / "tables")],
        str(tmp_path / "r.html"): ["report", blame, "--format", "html", "-o", str(tmp_path / "r.html")],
        str(tmp_path / "wi"): ["whatif", trace, "--out", str(tmp_path / "wi")],
    }
    for target, args in commands.items():
        (line,) = (line for line in said(capsys, *args).splitlines() if "wrote" in line)
        assert line.startswith(f"tracereplay: wrote {target} (")
        assert ("files, " in line) == Path(target).is_dir()
        assert "wrote" not in said(capsys, *args, "--quiet")


BY_CLICK = pytest.mark.skipif(
    tuple(map(int, version("click").split(".")[:2])) < (8, 4), reason="click suggests commands and options since 8.4"
)


def test_stdout_is_no_file(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "wrote" not in said(capsys, "blame", trace)
    assert "wrote" not in said(capsys, "blame", trace, "--output", "/dev/null")


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        pytest.param(["blam"], "Did you mean 'blame'?", marks=BY_CLICK),
        (["blame", "x", "--format", "jsn"], "did you mean json?"),
        pytest.param(["blame", "x", "--formt", "json"], "'--format'", marks=BY_CLICK),
        (["blame", "x", "--fail-on", "cause=task_referenc"], "did you mean task_reference?"),
        (["blame", "x", "--fail-on", "faild"], "did you mean failed?"),
        (["whatif", "x", "--policy", "cma-rato"], "did you mean cma-ratio?"),
        (["explain", "task_referense"], "did you mean task_reference?"),
    ],
)
def test_names_are_suggested_in_one_line(args: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = said(capsys, *args)
    assert meant in error
    assert error.count("\n") == 1


def test_columns_are_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str], trace: str) -> None:
    pytest.importorskip("deltalake", reason="deltalake is not installed (extra `corpus`)")
    store = str(tmp_path / "store")
    assert f"wrote {store} (" in said(capsys, "corpus", "run", trace, "-o", store, "--match", "*.txt")
    error = said(capsys, "corpus", "report", store, "--by", "kernal")
    assert "no column 'kernal'; did you mean kernel_log?" in error
    error = said(capsys, "corpus", "report", store, "--by", "kernel")
    assert "no column 'kernel'; did you mean kernel_log or kernel_release?" in error
    output = str(tmp_path / "r.md")
    assert f"wrote {output}" in said(capsys, "corpus", "report", store, "--format", "md", "-o", output)
    assert said(capsys, "corpus", "report", store, "--format", "md", "-o", output, "--quiet") == ""
