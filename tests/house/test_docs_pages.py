"""The pages in docs/: generated ones are current, links lead somewhere, and every command on them runs."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import captures
from tests.support.captures import ROOT
from tracereplay.cli.main import main
from tracereplay.reports import FORMATS

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
COMMAND = re.compile(r"^    (tracereplay (?:[^\n\\]|\\\n)*)$", re.MULTILINE)


def generator() -> ModuleType:
    """docs/generate.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = generator().PAGES


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_pages_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path](), "run: python docs/generate.py"


def test_the_readme_has_a_row_for_every_format() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in FORMATS if f"\n| `{name}` | " not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titles = {title.strip().lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for target, anchor in re.findall(r"\]\(([\w./-]*)#?([\w-]*)\)", text):
        assert target or anchor in titles, anchor
        assert not target or (DOCS / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_runs(page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = COMMAND.findall(page.read_text(encoding="utf-8"))
    if any("--perfetto" in command for command in commands):
        pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")
    if any(command.startswith("tracereplay corpus") for command in commands):
        pytest.importorskip("deltalake", reason="deltalake is not installed (extra `corpus`)")
    if any(command.startswith("tracereplay plot") or " --plot " in command for command in commands):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")
    capture = captures.capture("cma_pin_vmsplice")
    for name, target in (("trace.dat", "trace.dat"), ("snapshot", "layout_before"), ("dmesg.txt", "dmesg.txt")):
        (tmp_path / name).symlink_to(capture / target)
    for kind in ("kpageflags", "kpagecount"):
        (tmp_path / f"{kind}.0xfc00-0x1fc00.bin").symlink_to(next(capture.glob(f"{kind}.before.*")))
    (tmp_path / "page_owner").symlink_to(captures.capture("cma_bufferhead") / "page_owner.txt.gz")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    for build in ("7.1", "7.2"):
        folder = tmp_path / "traces" / build / "board"
        folder.mkdir(parents=True)
        (folder / "run.dat").symlink_to(capture / "trace.dat")
    with contextlib.chdir(tmp_path):
        for command in commands:
            status = main([*shlex.split(command)[1:], *_quietly(command)])
            assert status in (0, 1), f"{command}: {capsys.readouterr().err}"


def _quietly(command: str) -> list[str]:
    """No progress on the terminal of who runs the tests."""
    reads_traces = command.split()[1] in ("blame", "info", "page", "plot", "export", "whatif")
    return ["--quiet"] if reads_traces and "--quiet" not in command else []


def test_the_pages_hold_commands() -> None:
    assert sum(len(COMMAND.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 20
