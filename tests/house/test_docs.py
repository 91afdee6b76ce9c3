"""The documentation names what exists, and public code says what it does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.case import cases
from tests.support.captures import ROOT
from tracereplay.cli.main import cli

DOCS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
SOURCES = sorted(
    path for folder in ("tracereplay", "parsers", "reports") for path in (ROOT / folder).rglob("*.py") if path.is_file()
)


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring; the module itself as `module`."""
    if ast.get_docstring(tree) is None:
        yield "module"
    scopes: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    for prefix, scope in scopes:
        for node in scope.body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None and not _is_overload(node):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                scopes.append((f"{prefix}{node.name}.", node))


def _is_overload(node: ast.AST) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in getattr(node, "decorator_list", ()))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_code_is_documented(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if source:
        assert list(undocumented(ast.parse(source))) == []


def test_undocumented_finds_what_it_should() -> None:
    tree = ast.parse("def f(): ...\ndef _g(): ...\nclass C:\n    'doc'\n    def m(self): ...\n    def _n(self): ...\n")
    assert list(undocumented(tree)) == ["module", "f", "C.m"]


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_readme_names_every_verb(verb: str) -> None:
    assert f"tracereplay {verb}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_shows_what_is_really_said() -> None:
    case = next(case for case in cases() if case.name == "blame_pinned")
    said = case.expected.replace("CAPTURE/", "fixtures/captures/cma_pin_vmsplice/").splitlines()[1:-1]
    assert "\n".join(f"    {line}".rstrip() for line in said) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCS)
def test_paths_that_documents_name_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:tracereplay|parsers|reports|tests|fixtures|benchmarks)/[\w./-]+)`", text):
        assert (ROOT / path).exists() or "NAME" in path, path
