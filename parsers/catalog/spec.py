"""How a tracepoint is declared: its fields with type and meaning, what it does to the model, how text spells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import pyarrow as pa

from tracereplay.schema import Column, Op

# Semantic field types shared by all events.
INT = pa.int64()
TEXT = pa.string()


def pfn(doc: str = "Page frame number", name: str = "pfn") -> Column:
    """A page frame number; all ones (~0) means "none" and is null in tables."""
    return Column(name, pa.uint64(), "pfn", doc)


def count(name: str, doc: str, unit: str | None = None) -> Column:
    """A signed number."""
    return Column(name, pa.int64(), unit, doc)


def bits(name: str, doc: str) -> Column:
    """A flags word, kept as a number."""
    return Column(name, pa.uint64(), None, doc)


def text(name: str, doc: str) -> Column:
    """A string field."""
    return Column(name, pa.string(), None, doc)


class Read(Enum):
    """How a value in text becomes a number (`parsers/text/values.py` does it)."""

    NUMBER = auto()  # decimal, or hexadecimal with 0x; the default of number columns
    HEX = auto()  # hexadecimal with or without 0x; pointers: (nil), (null)
    NAME = auto()  # a name of `Spelling.names`, or its number
    FLAGS = auto()  # names of `Spelling.names` joined by `|`, unknown bits as hexadecimal; `none`
    DEV = auto()  # major:minor -> major << 20 | minor
    OFFSET = auto()  # a byte's offset -> the page that holds it
    LETTERS = auto()  # one letter of `Spelling.names` per bit, blanks for none
    LOG2 = auto()  # a power of two -> its exponent
    DISPLAY = auto()  # computed for display, no field: left out
    NULL_PAGE = auto()  # a page pointer: when it is NULL, the field (a pfn printed as 0) is null


@dataclass(frozen=True, slots=True)
class Spelling:
    """What text prints under a key of its own: the field it gives, how to read it, and the names of its values."""

    column: str = ""
    read: Read = Read.NUMBER
    names: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One tracepoint.

    fields -- the columns we know, by the kernel's field names (versions may lack some: then the column is absent);
    op, args -- its entry in the page stream: `schema.ARGS` name -> field name;
    text -- regular expressions (named groups = fields or keys of `spelling`) for shapes that are not plain
            `name=value` lists; none may match a line end;
    spelling -- text keys that are no field names, or whose values are no plain numbers.
    """

    system: str
    name: str
    doc: str
    fields: tuple[Column, ...]
    op: Op = Op.NONE
    args: Mapping[str, str] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    spelling: Mapping[str, Spelling] = field(default_factory=dict)
