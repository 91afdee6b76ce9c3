"""How a tracepoint is declared: its fields with type and meaning, what it does to the model, how text spells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from tracereplay.schema import Column, Op

# Semantic field types shared by all events.
INT = pa.int64()
UINT = pa.uint64()
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


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One tracepoint.

    fields -- the columns we know, by the kernel's field names (versions may lack some: then the column is absent);
    op, args -- its entry in the page stream: `schema.ARGS` name -> field name;
    text -- regular expressions (named groups = fields) for shapes that are not plain `name=value` lists.
    """

    system: str
    name: str
    doc: str
    fields: tuple[Column, ...]
    op: Op = Op.NONE
    args: Mapping[str, str] = field(default_factory=dict)
    text: tuple[str, ...] = ()
