"""Traces that are given twice, under one name, two names or in two formats: each is read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from tracereplay.inputs import sha256
from tracereplay.losses import Loss
from tracereplay.parsers.base import TraceReader
from tracereplay.parsers.same_trace import same_events


def open_each_once(
    paths: Sequence[str | Path], open_reader: Callable[[str | Path], TraceReader]
) -> tuple[list[TraceReader], dict[int, int]]:
    """A reader for each path, and {number of a repeated trace: number of the first}. Equal content is opened once.

    Raises InputError where one cannot be read.
    """
    first_of = same_content(paths)
    readers: list[TraceReader] = []
    for number, path in enumerate(paths):
        readers.append(readers[first_of[number]] if number in first_of else open_reader(path))
    for number, reader in enumerate(readers):
        if number not in first_of:
            earlier = (n for n in range(number) if n not in first_of and same_events(readers[n], reader))
            if (first := next(earlier, None)) is not None:
                first_of.update({n: first for n, known in first_of.items() if known == number})
                first_of[number] = first
    return readers, first_of


def given_twice(first: int) -> Loss:
    """What is said of a trace that is the same as trace number `first`."""
    return Loss("trace_given_twice", detail=f"the same as trace-{first}")


def same_content(paths: Sequence[str | Path]) -> dict[int, int]:
    """{number: number of the first path with the same content}; digests are made only where sizes are equal."""
    first_of: dict[int, int] = {}
    for number, path in enumerate(paths):
        for earlier in range(number):
            if earlier not in first_of and _same_file(Path(paths[earlier]), Path(path)):
                first_of[number] = earlier
                break
    return first_of


def _same_file(one: Path, other: Path) -> bool:
    if str(one) == str(other):
        return True
    try:
        if one.samefile(other):
            return True
        a, b = one.stat(), other.stat()
        if S_ISDIR(a.st_mode) and S_ISDIR(b.st_mode):
            return _sizes(one) == _sizes(other) and sha256(one) == sha256(other)
        regular = S_ISREG(a.st_mode) and S_ISREG(b.st_mode)
        return regular and a.st_size == b.st_size and sha256(one) == sha256(other)
    except OSError:
        return False  # opening it says what is wrong


def _sizes(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_size for file in folder.rglob("*") if file.is_file()}
