"""Limits of size: modules, functions, nesting. Kernels, which numba compiles as they stand, may be larger."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES = 500
FUNCTION_LINES, KERNEL_LINES = 60, 120
NESTING, KERNEL_NESTING = 4, 5
CODE = [
    path for room in ("tracereplay", "parsers", "reports") for path in sorted((ROOT / room).rglob("*.py"))
    if not any(part.is_symlink() for part in path.parents)
]  # fmt: skip
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, methods and inner ones too."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def depth(node: ast.AST) -> int:
    """Blocks within blocks; `elif` is as deep as its `if`, and an inner function begins anew."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        inner = depth(child)
        is_elif = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        deepest = max(deepest, inner + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def too_large(path: Path, text: str) -> list[str]:
    """What is beyond the limits, a line each."""
    kernels = path.name.endswith("_kernels.py")
    found = [f"{len(text.splitlines())} lines"] if len(text.splitlines()) > MODULE_LINES else []
    for function in functions(ast.parse(text)):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > (KERNEL_LINES if kernels else FUNCTION_LINES):
            found.append(f"{function.name}() has {lines} lines")
        if depth(function) > (KERNEL_NESTING if kernels else NESTING):
            found.append(f"{function.name}() is nested {depth(function)} deep")
    return found


def test_nothing_is_too_large() -> None:
    large = {str(path.relative_to(ROOT)): too_large(path, path.read_text()) for path in CODE}
    assert {path: found for path, found in large.items() if found} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f():\n" + "    x = 1\n" * FUNCTION_LINES, ["f() has 61 lines"]),
        ("x = 1\n" * (MODULE_LINES + 1), ["501 lines"]),
        (
            "def f():\n" + "".join(" " * (n + 1) + "if x:\n" for n in range(5)) + " " * 6 + "pass\n",
            ["f() is nested 5 deep"],
        ),
        ("def f():\n if a: pass\n" + "".join(f" elif a{n}: pass\n" for n in range(9)), []),
    ],
)
def test_what_is_too_large(text: str, found: list[str]) -> None:
    assert too_large(Path("x.py"), text) == found
