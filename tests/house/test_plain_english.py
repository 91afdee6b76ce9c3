"""Words of a dialect that a kernel engineer has to translate: their number in comments and documentation only falls."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# At most so often: what is left is to be rewritten, and the number lowered with it.
MOST = {"told": 13, "behind": 12, "lies": 5, "asked": 13, "nobody": 1}
# Compiled code is found by the digest of these files: their comments change with their code.
KERNELS = ("*_kernels.py", "schema.py", "state.py", "page_rows.py", "compiled.py")
ROOMS = ("tracereplay", "parsers", "reports")


def prose(text: str) -> str:
    """The comments and documentation of a module."""
    said: list[str] = []
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        starts = before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and starts):
            said.append(token.string)
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type
    return "\n".join(said)


def sources() -> list[Path]:
    """Modules of the tool, but those whose comments are compiled with them."""
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return [
        path for path in found
        if not any(part.is_symlink() for part in path.parents) and not any(path.match(name) for name in KERNELS)
    ]  # fmt: skip


@pytest.mark.parametrize("word", MOST)
def test_there_are_not_more_of_them(word: str) -> None:
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources()
        for line in prose(path.read_text(encoding="utf-8")).splitlines()
        for _ in pattern.findall(line)
    ]
    assert len(lines) <= MOST[word], "\n".join(lines)


def test_prose_is_comments_and_documentation() -> None:
    said = prose('"""told"""\ntold = "told"  # told\ndef f():\n    """Told."""\n    return told\n')
    assert len(re.findall("told", said, re.IGNORECASE)) == 3
