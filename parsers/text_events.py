"""Payloads of one event, as text -> typed columns.

Shapes are regular expressions: the catalogue's own first, then inferred from the keys of a `name=value` list, so
that the text of any kernel, and events nobody declared, come out with a column per key. A shape is tried on all
payloads of a block at once.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.catalog.spec import EventSpec, Read
from tracereplay.parsers.text_values import NULL_POINTER, read_values
from tracereplay.schema import EVENT_COLUMNS

KEY = re.compile(r"(?:^|(?<=[ ,(]))([A-Za-z_]\w*)=")
BOTH_NUMBERS = re.compile(r"=0x[0-9a-fA-F]+ \(-?\d+\)")
# Fields named like one of these get `_field` behind, as in every reader.
RESERVED = frozenset(column.name for column in EVENT_COLUMNS)
# Bounds what free text that looks like name=value can cost.
MAX_KEYS = 40
MAX_SHAPES = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """One way in which an event is spelled: a pattern for a whole payload, and what its groups are."""

    pattern: re.Pattern[str]
    keys: tuple[str, ...]


@dataclass(slots=True)
class ParsedRows:
    """Payloads that had one shape: their places among those given, and a tuple of texts per key."""

    rows: list[int] | None  # None: all of them
    keys: tuple[str, ...]
    values: Sequence[Sequence[str]]


def _declared(pattern: str) -> Shape:
    compiled = re.compile(rf"^ ?{pattern}$" if pattern.startswith("msg=") else rf"^{pattern}$", re.MULTILINE)
    return Shape(compiled, tuple(sorted(compiled.groupindex, key=compiled.groupindex.__getitem__)))


def _inferred(payload: str) -> list[Shape]:
    """Shapes of a `name=value` list: a strict, fast one, and one whose values may hold blanks."""
    keys = tuple(KEY.findall(payload))
    if not keys or len(keys) > MAX_KEYS or len(set(keys)) < len(keys):
        return []
    lead = "" if payload.lstrip(" ").startswith(f"{keys[0]}=") else r"(?:.*? )??"
    values = (r"(0x[0-9a-fA-F]+ \(-?\d+\))", r"(.*?)") if BOTH_NUMBERS.search(payload) else (r"([^ \n]*?)", r"(.*?)")
    return [
        Shape(re.compile("^ *" + lead + ",? +".join(f"{key}={value}" for key in keys) + ",? *$", re.MULTILINE), keys)
        for value in values
    ]


class EventText:
    """The shapes of one event met so far."""

    def __init__(self, name: str, spec: EventSpec | None) -> None:
        self.name, self.spec = name, spec
        self.shapes = [_declared(pattern) for pattern in spec.text] if spec else []
        self._columns = {column.name: column for column in spec.fields} if spec else {}

    def parse(self, payloads: list[str]) -> tuple[list[ParsedRows], list[int]]:
        """Split by shape; the second list holds the places of payloads that no shape fits."""
        text = "\n".join(payloads)
        for shape in self.shapes:
            found = shape.pattern.findall(text)
            if len(found) == len(payloads):
                return [ParsedRows(None, shape.keys, _transposed(found, shape))], []
        by_shape: dict[Shape, tuple[list[int], list[tuple[str, ...]]]] = {}
        rest: list[int] = []
        for place, payload in enumerate(payloads):
            found_shape, match = self._match(payload)
            if match is None or found_shape is None:
                rest.append(place)
                continue
            places, groups = by_shape.setdefault(found_shape, ([], []))
            places.append(place)
            groups.append(match.groups(""))
        parsed = [
            ParsedRows(places, shape.keys, list(zip(*groups, strict=True)))
            for shape, (places, groups) in by_shape.items()
        ]
        if self.spec is None and rest:  # an event without keys, of a kind we do not know: its text is its column
            parsed.append(ParsedRows(rest, ("text",), [[payloads[place].strip() for place in rest]]))
            rest = []
        return parsed, rest

    def _match(self, payload: str) -> tuple[Shape | None, re.Match[str] | None]:
        for shape in self.shapes:
            if match := shape.pattern.match(payload):
                return shape, match
        if len(self.shapes) < MAX_SHAPES:
            for shape in _inferred(payload):
                if match := shape.pattern.match(payload):
                    self.shapes.append(shape)
                    return shape, match
        return None, None

    def columns(self, parsed: ParsedRows, page_size_bytes: int) -> tuple[dict[str, pa.Array], int]:
        """Typed columns by field name, and the number of values that could not be read.

        Keys that the catalogue does not know are kept as string columns; `typed` makes them numbers at the end.
        """
        columns: dict[str, pa.Array] = {}
        null_pages: tuple[str, pa.Array] | None = None
        unreadable = 0
        for key, values in zip(parsed.keys, parsed.values, strict=True):
            spelling = self.spec.spelling.get(key) if self.spec else None
            if spelling and spelling.read is Read.DISPLAY:
                continue
            name = spelling.column if spelling else key
            texts = pa.array(values, pa.string())
            if spelling and spelling.read is Read.NULL_PAGE:
                null_pages = name, texts
                continue
            column = self._columns.get(name)
            if column is None:
                columns[f"{name}_field" if name in RESERVED else name] = texts
                continue
            columns[name], bad = read_values(texts, column, spelling, page_size_bytes)
            unreadable += bad
        if null_pages and (pfn := columns.get(null_pages[0])) is not None:
            none = pc.and_(pc.match_substring_regex(null_pages[1], NULL_POINTER), pc.equal(pfn, pa.scalar(0, pfn.type)))
            columns[null_pages[0]] = pc.if_else(none, pa.scalar(None, pfn.type), pfn)
        return columns, unreadable

    def fields(self, names: Sequence[str]) -> list[pa.Field]:
        """Arrow fields of these columns; strings where the catalogue has none."""
        return [self._columns[name].field if name in self._columns else pa.field(name, pa.string()) for name in names]


def _transposed(found: list[str] | list[tuple[str, ...]], shape: Shape) -> Sequence[Sequence[str]]:
    """What `findall` gives, as one sequence per group."""
    if len(shape.keys) == 1:
        return [found]  # type: ignore[list-item]
    return list(zip(*found, strict=True))


def typed(table: pa.Table, spec: EventSpec | None) -> pa.Table:
    """String columns that the catalogue does not declare as numbers, where every value is one."""
    known = RESERVED | {column.name for column in (spec.fields if spec else ())}
    for name in table.column_names:
        texts = table.column(name)
        if name in known or not pa.types.is_string(texts.type):
            continue
        hexadecimal = pc.any(pc.starts_with(texts, "0x")).as_py()
        for type_ in (pa.uint64(),) if hexadecimal else (pa.int64(), pa.uint64()):
            try:
                numbers = texts.cast(type_)
            except pa.ArrowInvalid:
                continue
            table = table.set_column(table.column_names.index(name), name, numbers)
            break
    return table
