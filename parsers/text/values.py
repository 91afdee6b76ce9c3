"""Values of text events -> typed Arrow arrays, a column at a time.

What is no plain number goes through the column's distinct values, each read once in Python: names, flags,
pointers printed as (nil). A value that cannot be read is null and marked.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.dev_t import dev_of
from tracereplay.parsers.catalog.spec import Read, Spelling
from tracereplay.parsers.text.spans import Spans
from tracereplay.schema import Column

# Old kernels pad it: `page=          (null)`.
NULL_POINTER = re.compile(r" *(?:\(nil\)|\(null\)|NULL|(?:0x)?0+)")
# The `fields` option of ftrace prints both: 0xffffffff (-1).
BOTH = re.compile(r"0x([0-9a-fA-F]{1,16}) \((-?\d{1,20})\)")
NO_VALUE = {"", "(____ptrval____)", "(efault)", "(einval)"}
ZERO = {"(nil)", "(null)", "NULL", "none"}

Reader = Callable[[str], int | None]


class PartlyReadError(ValueError):
    """Some names of a flags word are not known; `value` holds the others."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value


def _number(text: str, base: int = 10) -> int | None:
    """A number, null for hidden pointers. Errors: ValueError."""
    if text in NO_VALUE:
        return None
    if text in ZERO:
        return 0
    if both := BOTH.fullmatch(text):
        return int(both[2]) if both[2].startswith("-") else int(both[1], 16)
    return int(text, 16 if text.startswith(("0x", "0X", "-0x")) else base)


def _name(text: str, names: dict[str, int]) -> int | None:
    """An enum's value by name or number (libtraceevent prints numbers it has no name for)."""
    return names[text] if text in names else _number(text)


def _flags(text: str, names: dict[str, int]) -> int | None:
    """A flags word: names and numbers joined by `|`. Errors: PartlyReadError when a name is new to us."""
    if "|" not in text and text not in names:
        return _number(text)
    parts = text.split("|")
    value = 0
    unknown = False
    for part in parts:
        if part in names:
            value |= names[part]
        elif part[:1].isdigit():
            value |= _number(part) or 0
        else:
            unknown = True
    if unknown:
        raise PartlyReadError(value)
    return value


def _dev(text: str) -> int | None:
    """A device number as the kernel keeps it."""
    if ":" not in text:
        return _number(text)
    major, minor = text.split(":")
    return dev_of(int(major), int(minor))


def _log2(text: str) -> int | None:
    number = _number(text)
    if number is None or number <= 0 or number & (number - 1):
        raise ValueError(text)
    return number.bit_length() - 1


def _scaled(text: str, page_size_bytes: int) -> int | None:
    number = _number(text)
    return None if number is None else number // page_size_bytes


def matches(texts: Spans, pattern: re.Pattern[str]) -> npt.NDArray[np.bool_]:
    """Which texts are as the pattern says, from beginning to end."""
    codes, words = texts.distinct()
    return np.array([pattern.fullmatch(word) is not None for word in words], bool)[codes]


def _by_distinct_value(texts: Spans, read: Reader, type_: pa.DataType) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Each distinct text read once; numbers that do not fit the type, and unreadable ones, are null and marked."""
    codes, words = texts.distinct()
    low, high = (0, (1 << 64) - 1) if type_ == pa.uint64() else (-(1 << 63), (1 << 63) - 1)
    values: list[int | None] = []
    unreadable: list[int] = []
    for index, text in enumerate(words):
        try:
            value = read(text.strip())
            if value is not None and low == 0 and -(1 << 63) <= value < 0:
                value += 1 << 64  # -1 of an unsigned field
            if value is not None and not low <= value <= high:
                raise ValueError(text)
        except ValueError as error:
            value = error.value if isinstance(error, PartlyReadError) else None
            unreadable.append(index)
        values.append(value)
    return pa.array(values, type_).take(pa.array(codes)), np.isin(codes, unreadable)


def read_values(
    texts: Spans, column: Column, spelling: Spelling | None, page_size_bytes: int
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Texts -> an array of the column's type, and which of them could not be read.

    A pfn of all ones means "none" and becomes null.
    """
    if pa.types.is_string(column.type):
        return texts.arrow(), np.zeros(len(texts), bool)
    how = spelling.read if spelling else Read.NUMBER
    names = dict(spelling.names) if spelling else {}
    readers: dict[Read, Reader] = {
        Read.NUMBER: _number,
        Read.HEX: partial(_number, base=16),
        Read.NAME: partial(_name, names=names),
        Read.FLAGS: partial(_flags, names=names),
        Read.DEV: _dev,
        Read.OFFSET: partial(_scaled, page_size_bytes=page_size_bytes),
        Read.LETTERS: lambda text: sum(names.get(letter, 0) for letter in set(text)),
        Read.LOG2: _log2,
    }
    bad = np.zeros(len(texts), bool)
    values = None
    if how in (Read.NUMBER, Read.HEX):
        values = texts.numbers(column.type, hexadecimal=how is Read.HEX)
    if values is None:
        values, bad = _by_distinct_value(texts, readers[how], column.type)
    if column.unit == "pfn":
        values = pc.if_else(
            pc.equal(values, pa.scalar((1 << 64) - 1, pa.uint64())), pa.scalar(None, pa.uint64()), values
        )
    return values, bad
