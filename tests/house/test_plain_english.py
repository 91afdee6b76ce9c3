"""Words of a dialect that a kernel engineer has to translate: none in code, documentation or what users read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIALECT = ("told", "behind", "lies", "asked", "nobody")
# Spellings that documents and scripts of users rely on: the code of a loss, and a quantity of tracereplay.whatif/1.
PUBLIC = ("losses_not_told", '"asked"', "`asked`", "quantity -- asked:")
ROOMS = ("tracereplay", "parsers", "reports", "benchmarks", "docs")
KINDS = (".py", ".md", ".sh", ".js", ".html", ".css", ".ipynb", ".c")
# One word of prose or one part of a name: `told`, `_told`, `MAX_TOLD`, `wasTold`.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def dialect_in(text: str) -> list[str]:
    """The words of the dialect in comments, strings and names alike; public spellings left out."""
    for spelling in PUBLIC:
        text = text.replace(spelling, "")
    return [word.lower() for word in WORD.findall(text) if word.lower() in DIALECT]


def sources() -> list[Path]:
    """Files that people read, but for tests and recorded traces; the symlinks to rooms are left out."""
    rooms = [path for room in ROOMS for path in (ROOT / room).rglob("*") if "__pycache__" not in path.parts]
    return [
        path.relative_to(ROOT) for path in [*ROOT.glob("*"), *rooms]
        if path.suffix in KINDS and path.is_file() and not any(one.is_symlink() for one in (path, *path.parents))
    ]  # fmt: skip


def test_there_are_none() -> None:
    lines = [
        f"{path}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if dialect_in(line)
    ]
    assert not lines, "\n".join(lines)


def test_every_room_is_read() -> None:
    read = {path.parts[0] for path in sources()}
    assert read >= {*ROOMS, "README.md", "ARCHITECTURE.md"}
    assert Path("tracereplay/capture/record.sh") in sources()
    assert Path("tracereplay/replay/replay_kernels.py") in sources()


@pytest.mark.parametrize(
    "text",
    ['"""Told."""', "# it lies there", "say(f'{x} was asked')", "_told_heads = 1", "MAX_TOLD", "wasAsked", "Nobody:"],
)
def test_a_word_is_found_wherever_it_is(text: str) -> None:
    assert len(dialect_in(text)) == 1


@pytest.mark.parametrize(
    "text", ["relies on", "applies", "masked", "untold_", 'Loss("losses_not_told")', 'quantity="asked"']
)
def test_other_words_are_not(text: str) -> None:
    assert not dialect_in(text)
