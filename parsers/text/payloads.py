"""Payloads of one event, as text -> typed columns.

Shapes are regular expressions (RE2's): the catalogue's own first, then inferred from the keys of a `name=value` list,
so that the text of any kernel, and undeclared events, come out with a column per key. A shape is tried on all
payloads of a block at once.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.catalog.spec import EventSpec, Read
from tracereplay.parsers.text.spans import Spans
from tracereplay.parsers.text.values import NULL_POINTER, matches, read_values
from tracereplay.schema import EVENT_COLUMNS, Column

KEY = re.compile(r"(?:^|(?<=[ ,(]))([A-Za-z_]\w*)=", re.ASCII)
BOTH_NUMBERS = re.compile(r"=0x[0-9a-fA-F]+ \(-?\d+\)")
# Fields named like one of these get `_field` after, as in every reader.
RESERVED = frozenset(column.name for column in EVENT_COLUMNS)
# Bounds what free text that looks like name=value can cost.
MAX_KEYS = 40
MAX_SHAPES = 12


@dataclass(frozen=True, slots=True)
class PayloadShape:
    """One way in which an event is spelled: a pattern for a whole payload, and the key of each of its groups.

    pattern -- None: `key=value` words in this order with single blanks between, which need no matching.
    """

    pattern: str | None
    keys: tuple[str, ...]

    def find(self, payloads: Spans) -> tuple[npt.NDArray[np.bool_], list[Spans]]:
        """Which payloads have this shape, and the texts of each key in them."""
        if self.pattern is None:
            return payloads.words(self.keys)
        found = pc.extract_regex(payloads.arrow(), self.pattern)
        fits = np.asarray(found.is_valid())
        rows = found if fits.all() else found.filter(pa.array(fits))
        return fits, [Spans.of(pc.struct_field(rows, key)) for key in self.keys]


@dataclass(slots=True)
class ParsedRows:
    """Payloads that had one shape: their places among those given, and the texts of each key."""

    places: npt.NDArray[np.int64]
    keys: tuple[str, ...]
    texts: list[Spans]


def _declared(pattern: str) -> PayloadShape:
    groups = re.compile(pattern).groupindex
    lead = "" if pattern.startswith("(?P<") else " *"
    return PayloadShape(f"^{lead}{pattern} *$", tuple(sorted(groups, key=groups.__getitem__)))


def _inferred(payload: str) -> list[PayloadShape]:
    """Shapes of a `name=value` list: words, if it is one, and one whose values may hold blanks and commas."""
    keys = tuple(KEY.findall(payload))
    if not keys or len(keys) > MAX_KEYS or len(set(keys)) < len(keys):
        return []
    lead = "" if payload.lstrip(" ").startswith(f"{keys[0]}=") else "(?:.*? )??"
    comma = ",?" if "," in payload else ""
    value = r"0x[0-9a-fA-F]+ \(-?\d+\)|[^ ]*" if BOTH_NUMBERS.search(payload) else ".*?"
    loose = f"^ *{lead}" + f"{comma} +".join(f"{key}=(?P<{key}>{value})" for key in keys) + f"{comma} *$"
    words = payload.strip(" ").split(" ")
    plain = len(words) == len(keys) and all(map(str.startswith, words, keys))
    return [PayloadShape(None, keys)] * plain + [PayloadShape(loose, keys)]


class EventText:
    """The shapes of one event met so far."""

    def __init__(self, name: str, spec: EventSpec | None) -> None:
        self.name, self.spec = name, spec
        self.shapes = [_declared(pattern) for pattern in spec.text] if spec else []
        self._columns = {column.name: column for column in spec.fields} if spec else {}

    @property
    def takes_text_whole(self) -> bool:
        """Whether blanks before the payload may belong to it (console)."""
        return bool(self.spec and any(pattern.startswith("(?P<") for pattern in self.spec.text))

    @property
    def subject(self) -> str | None:
        """The column that tells the page the event is about, where it has one."""
        return (self.spec.args.get("pfn") or self.spec.args.get("mapping")) if self.spec else None

    def column(self, name: str) -> Column | None:
        """What the catalogue says of a column."""
        return self._columns.get(name)

    def column_name(self, name: str) -> str:
        """The column of a field that the catalogue does not know."""
        return f"{name}_field" if name in RESERVED and name not in self._columns else name

    def plain_shapes(self, payload: str) -> list[PayloadShape]:
        """Shapes that rows may have without trying any shape that comes before them: those that the catalogue
        declares (they exclude each other), else what the first payload shows."""
        if not self.spec or not self.spec.text:
            if not self.shapes:
                self.shapes += _inferred(payload)
            return self.shapes[:1] if self.shapes and self.shapes[0].pattern is None else []
        return self.shapes[: len(self.spec.text)]

    def parse(self, payloads: Spans) -> Iterator[ParsedRows]:
        """Split by shape. Payloads that no shape fits come last, with no keys (events that the catalogue does not
        know: with the key `text`)."""
        places = np.arange(len(payloads))
        tried = 0
        while len(places):
            if tried == len(self.shapes):
                fresh = _inferred(payloads[0]) if tried < MAX_SHAPES else []
                if not fresh:
                    break
                self.shapes += fresh
            shape = self.shapes[tried]
            tried += 1
            fits, texts = shape.find(payloads)
            if fits.any():
                yield ParsedRows(places[fits], shape.keys, texts)
                places, payloads = places[~fits], payloads.take(~fits)
        if len(places):
            text = [] if self.spec else [Spans.of(pc.utf8_trim(payloads.arrow(), " "))]
            yield ParsedRows(places, () if self.spec else ("text",), text)

    def columns(
        self, parsed: ParsedRows, page_size_bytes: int
    ) -> tuple[dict[str, pa.Array], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Typed columns by field name, which rows hold values that could not be read, and which do not tell the page
        they are about: an unreadable pfn must not pass for "none", which says that an allocation failed.

        Keys that the catalogue does not know are kept as string columns; `typed` makes them numbers at the end.
        """
        columns: dict[str, pa.Array] = {}
        null_pages: tuple[str, Spans] | None = None
        subject = self.subject
        unreadable = np.zeros(len(parsed.places), bool)
        astray = np.full(len(parsed.places), subject is not None)
        for key, texts in zip(parsed.keys, parsed.texts, strict=True):
            spelling = self.spec.spelling.get(key) if self.spec else None
            if spelling and spelling.read is Read.DISPLAY:
                continue
            name = spelling.column if spelling else key
            if spelling and spelling.read is Read.NULL_PAGE:
                null_pages = name, texts
                continue
            column = self._columns.get(name)
            if column is None:
                columns[self.column_name(name)] = texts.arrow()
                continue
            columns[name], bad = read_values(texts, column, spelling, page_size_bytes)
            unreadable |= bad
            if name == subject:
                astray = bad
        if null_pages and (pfn := columns.get(null_pages[0])) is not None:
            none = pc.and_(pa.array(matches(null_pages[1], NULL_POINTER)), pc.equal(pfn, pa.scalar(0, pfn.type)))
            columns[null_pages[0]] = pc.if_else(none, pa.scalar(None, pfn.type), pfn)
        return columns, unreadable | astray, astray

    def fields(self, names: Sequence[str]) -> list[pa.Field]:
        """Arrow fields of these columns; strings where the catalogue has none."""
        return [self._columns[name].field if name in self._columns else pa.field(name, pa.string()) for name in names]


def typed(table: pa.Table, spec: EventSpec | None) -> pa.Table:
    """String columns that the catalogue does not declare as numbers, where every value is one."""
    known = RESERVED | {"text"} | {column.name for column in (spec.fields if spec else ())}
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
