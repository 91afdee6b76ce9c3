r"""Shapes of an event's text -> steps for the compiled loop: a literal, then a value of a kind, and so on.

Words between blanks are steps as they stand. Of the catalogue's patterns those are, whose parts are literals and plain
classes (`\d+`, `[0-9a-f]+`, `\S*` ...) that end where the next literal begins; alternatives in `(?:a|b)` and `(?:a)?`
are spelled out. What a step takes, the pattern takes alike; what it does not take is left to the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from tracereplay import schema
from tracereplay.parsers.catalog.spec import Read, Spelling
from tracereplay.parsers.text.fast import line_kernels as kernels
from tracereplay.parsers.text.fast import value_kernels as values
from tracereplay.parsers.text.fast.intern_kernels import LONGEST
from tracereplay.parsers.text.payloads import EventText, PayloadShape
from tracereplay.parsers.text.spans import Spans
from tracereplay.parsers.text.values import read_values

OPTION = re.compile(r"\(\?:((?:[^()\\]|\\.)*)\)(\??)")
PART = re.compile(
    r"\(\?P<(?P<key>\w+)>(?P<named>[^()]+)\)|(?P<class>\\d\+|\\S\+|0x\[0-9a-f\]\+)"
    r"|\\(?P<escaped>[().])|(?P<plain>[^\\()\[\]{}?*+.|^$])"
)
NUMBERS = {
    r"\d+": values.DECIMAL,
    r"-?\d+": values.DECIMAL | values.NEGATIVE,
    r"0x[0-9a-f]+": values.PREFIXED,
    r"[0-9a-f]+": values.BARE_HEX,
    r"\w+": values.DECIMAL | values.BARE_HEX | values.PREFIXED,
    r"\S+": values.DECIMAL | values.BARE_HEX | values.NEGATIVE | values.PREFIXED,
}
# What each way of reading a number lets pass of these.
READS = {
    Read.NUMBER: values.DECIMAL | values.NEGATIVE | values.PREFIXED,
    Read.OFFSET: values.DECIMAL | values.NEGATIVE | values.PREFIXED,
    Read.HEX: values.BARE_HEX | values.PREFIXED,
}
# Classes that let pass any word, also an empty one: what follows it tells where it ends.
TEXTS = {r"\S*", ".*?", ".*"}
ParseWord = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a program's cells."""

    name: str
    type: pa.DataType


@dataclass(frozen=True, slots=True)
class Field:
    """A literal and the value after it. parse_word -- reads a word: its number, None = leave it to the patterns."""

    literal: bytes
    kind: int = kernels.NOTHING
    allowed: int = 0
    column: int = -1
    parse_word: ParseWord | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """One spelling of an event as steps, and the columns they fill (a program's first column is the row)."""

    steps: tuple[Field, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A literal and the value after it: its key (None: of no interest) and its class; "" = no value."""

    literal: str
    key: str | None
    kind: str


def templates_of(event: EventText, shape: PayloadShape, page_size_bytes: int) -> list[Template]:
    """The programs for a shape of an event; none where only its pattern can tell."""
    spelled = [_words(shape.keys)] if shape.pattern is None else [_parts(text) for text in _spelled_out(shape.pattern)]
    made = [_program(event, parts, shape.pattern is None, page_size_bytes) for parts in spelled if parts]
    return [template for template in made if template]


def _words(keys: tuple[str, ...]) -> list[_Part]:
    return [_Part(" " * bool(place) + f"{key}=", key, r"\S*") for place, key in enumerate(keys)]


def _spelled_out(pattern: str) -> Iterator[str]:
    """A declared pattern without its alternatives, one text for each way through them."""
    texts = [pattern.removeprefix("^ *").removesuffix("$").rstrip("* ")]
    while texts and (found := OPTION.search(texts[0])):
        ways = [*found[1].split("|"), *([""] if found[2] else [])]
        texts = [text[: found.start()] + way + text[found.end() :] for way in ways for text in texts]
    yield from texts


def _parts(pattern: str) -> list[_Part]:
    """Literals and values of a pattern; none where it is not made of these alone."""
    parts, literal, at = [], "", 0
    while at < len(pattern):
        found = PART.match(pattern, at)
        if found is None:
            return []
        at = found.end()
        if kind := found["named"] or found["class"]:
            parts.append(_Part(literal, found["key"], kind))
            literal = ""
        else:
            literal += found["escaped"] or found["plain"]
    return [*parts, _Part(literal, None, "")] if literal else parts


def _program(event: EventText, parts: list[_Part], words: bool, page_size_bytes: int) -> Template | None:
    """Steps for these parts. words -- commas after values are no part of them."""
    steps: list[Field] = []
    columns: list[Column] = []
    taken = ""  # what the word before has taken of this part's literal
    for part, following in zip(parts, [*(part.literal for part in parts[1:]), ""], strict=True):
        literal = part.literal.removeprefix(taken)
        taken = ""
        step = _step(event, part, literal, following, words, columns, page_size_bytes)
        if step is None or "] " in literal or len(literal) > LONGEST or not literal.isascii():
            return None
        if step.kind == kernels.WORD:  # a text gives it back
            taken = following.partition(" ")[0]
        steps.append(step)
    names = [column.name for column in columns]
    subject = event.subject
    if not steps[0].literal or len(set(names)) < len(names) or (subject is not None and subject not in names):
        return None
    return Template(tuple(steps), tuple(columns))


def _step(
    event: EventText,
    part: _Part,
    literal: str,
    following: str,
    words: bool,
    columns: list[Column],
    page_size_bytes: int,
) -> Field | None:
    """The step for one part; its column is added to `columns`. following -- the literal after it."""
    text = literal.encode()
    if not part.kind:
        return Field(text)
    ends = following == "" or following[0] == " "  # where a word may end
    if part.key is None:
        if part.kind == r"\S+":
            return Field(text, kernels.PASSED) if ends else None
        return Field(text, kernels.NUMBER, NUMBERS[part.kind] | values.UNSIGNED)
    spelling = event.spec.spelling.get(part.key) if event.spec else None
    how = spelling.read if spelling else Read.NUMBER
    if how in (Read.DISPLAY, Read.NULL_PAGE):
        passed = part.kind in (r"\S*", r"\S+") and ends
        return Field(text, kernels.PAGE if how is Read.NULL_PAGE else kernels.PASSED) if passed else None
    name = spelling.column if spelling else part.key
    column = event.column(name)
    if column is not None and pa.types.is_integer(column.type) and how in READS:
        allowed = (READS[how] | values.COMMAS) if words else READS[how] & NUMBERS.get(part.kind, 0)
        stops = following == "" or re.fullmatch(part.kind, "1" + following[0]) is None or " " in following
        if not allowed or not stops or column.type not in (pa.int64(), pa.uint64()):
            return None
        allowed |= values.UNSIGNED * (column.type == pa.uint64())
        allowed |= values.IS_PFN * (column.unit == "pfn") | values.IN_BYTES * (how is Read.OFFSET)
        columns.append(Column(name, column.type))
        return Field(text, kernels.NUMBER, allowed, len(columns))
    suffix = following.partition(" ")[0]
    if column is None or pa.types.is_string(column.type):
        if part.kind not in TEXTS:
            return None
        columns.append(Column(event.column_name(name), pa.string()))
        return Field(text, kernels.TEXT, values.TRAILING_COMMAS if words else len(suffix), len(columns))
    rest = following == "" and part.kind.startswith("[") and " " in part.kind
    if not rest and part.kind.startswith("["):
        return None
    columns.append(Column(name, column.type))
    parse_word = partial(
        _parsed_word, re.compile(part.kind, re.ASCII), suffix, words, column, spelling, page_size_bytes
    )
    return Field(text, kernels.REST if rest else kernels.WORD, 0, len(columns), parse_word)


def _parsed_word(
    kind: re.Pattern[str],
    suffix: str,
    words: bool,
    column: schema.Column,
    spelling: Spelling | None,
    page_size_bytes: int,
    word: str,
) -> int | None:
    """What a word stands for, as int64; None where the pattern does not find it, or it is no plain number.

    suffix -- of the word, that belongs to the literal after the value.
    """
    if not word.endswith(suffix) or not (word.isascii() and word.isprintable()) or word.endswith("]") or "] " in word:
        return None
    value = word.removesuffix(suffix).rstrip("," if words else "")
    if kind.fullmatch(value) is None:
        return None
    array, bad = read_values(Spans.of(pa.array([value])), column, spelling, page_size_bytes)
    number: int | None = array[0].as_py()
    if bad[0] or number is None:
        return None
    return number - (1 << 64) if number >= 1 << 63 else number
