"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.captures import ROOT

LINES_LIMIT = 600
SOURCES = ("tracereplay", "parsers", "reports")
# A home, root's home, a session's work folder, a CI workspace: places of one machine.
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:work|home/\w+|root|workspace|Users/\w+|tmp/[\w.]+)/[\w.]+")
# Texts made on other machines, kept as they are.
FOREIGN = ("fixtures/",)
# Kernel stacks and paths of a Linux machine that documentation may name.
DOCUMENTED = re.compile(r"/tmp/(?:trace|x|out)\b")


def tracked_files() -> list[Path]:
    """Files git knows and that still exist; symlinks left out."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in done.stdout.splitlines()]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def modules() -> list[Path]:
    """Python files of the package, each once (the links in tracereplay/ are not followed)."""
    return sorted(
        path
        for room in SOURCES
        for path in (ROOT / room).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents if parent != ROOT and ROOT in parent.parents)
    )


def test_imports_point_one_way() -> None:
    command = shutil.which("lint-imports", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert command, "import-linter is not installed"
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    if "Missing layer" in done.stdout:
        pytest.skip(f"a room of the house is not built yet: {done.stdout.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_too_long() -> None:
    files = [*modules(), *sorted((ROOT / "tests").rglob("*.py"))]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LINES_LIMIT} == {}


def public_definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions and classes of a module, methods of its public classes; names with an underscore left out."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (sub for sub in node.body if isinstance(sub, kinds) and not sub.name.startswith("_"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_is_explained(path: Path) -> None:
    tree = ast.parse(path.read_text())
    nodes = list(public_definitions(tree))
    assert [node.name for node in nodes if not (ast.get_docstring(node) or "").strip(" .")] == []
    assert tree.body == [] or (ast.get_docstring(tree) or "").strip()


def test_only_the_house_name_is_imported() -> None:
    """`import parsers` works in the source tree only."""
    wrong = re.compile(r"^\s*(?:from|import) (?:parsers|reports)\b", re.MULTILINE)
    assert [str(path) for path in modules() if wrong.search(path.read_text())] == []


def test_tests_import_no_benchmark_and_support_no_test() -> None:
    """Benchmarks import tests/support; the sdist has tests, and no benchmarks."""
    benchmark = re.compile(r"^\s*(?:from|import) benchmarks\b", re.MULTILINE)
    room = re.compile(r"^\s*(?:from|import) tests\.(?!support\b)", re.MULTILINE)
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert [str(path) for path in tests if benchmark.search(path.read_text())] == []
    shared = [*(ROOT / "tests" / "support").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    assert [str(path) for path in shared if room.search(path.read_text())] == []


def test_what_reports_share_imports_no_report() -> None:
    """A new format is no layer of the import rules, so that it costs no line there; this holds what the layers held."""
    pattern = re.compile(r"from tracereplay\.reports\.(\w+)")
    for path in (ROOT / "reports" / "shared").glob("*.py"):
        assert set(pattern.findall(path.read_text(encoding="utf-8"))) <= {"shared"}, path


def test_kernels_are_compiled_in_kernel_files_only() -> None:
    """Loops are compiled where the name says so, through the one wrapper."""
    users = [path for path in modules() if re.search(r"^\s*@.*njit", path.read_text(), re.MULTILINE)]
    assert [path.name for path in users if not path.name.endswith("_kernels.py")] == []
    importers = [path for path in modules() if re.search(r"^\s*(?:from|import) numba", path.read_text(), re.MULTILINE)]
    assert [
        path.name for path in importers if path.name != "compiled.py" and not path.name.endswith("_kernels.py")
    ] == []


def test_no_path_of_one_machine_is_in_the_tree() -> None:
    found = []
    for path in tracked_files():
        name = str(path.relative_to(ROOT))
        if name.startswith(FOREIGN):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {hit[0]}" for hit in MACHINE_PATH.finditer(text) if not DOCUMENTED.match(hit[0])]
    assert found == []


def test_the_fixtures_stay_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "fixtures").rglob("*") if path.is_file()]
    assert sum(sizes) < 60_000_000
