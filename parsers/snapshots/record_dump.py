"""Text dumps of many pages, tens of GB long: records distinguished, filtered by PFN, made into tables in batches.

    Page allocated via order 0, mask 0x...(...), ...     one line that begins a record
    PFN 0x100 ...                                        one that names the page
     func+0x1/0x2                                        frames, and further lines

Used for debugfs' page_owner and Android's page_pinner. Nothing is held but the record and the batch in hand.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.text.blocks import text_blocks
from tracereplay.schema import Column, arrow_schema

Row = dict[str, Any]
Span = tuple[int, int]

# The kernel refuses records longer than a page (print_page_owner clamps its buffer); the rest is not a dump's.
LONGEST_RECORD_BYTES = 1 << 16
# No machine has more: x86-64 and arm64 address 52 bits.
MAX_PFN = 1 << 52
BATCH_ROWS = 1 << 15
NEWLINE = ord("\n")

# 4.19 may print `[<0>] func+0x1/0x2`.
ADDRESS = re.compile(r"\[<[^>]*>\] ")


@dataclass(slots=True)
class Spans:
    """Stretches of page frames [start, end), overlaps joined."""

    starts: list[int]
    ends: list[int]

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Spans:
        """From any spans, in any order; empty ones are left out."""
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(span for span in spans if span[0] < span[1]):
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        return cls(starts, ends)

    def touch(self, start: int, end: int) -> bool:
        """Whether some page of [start, end) is in them."""
        place = bisect_right(self.starts, end - 1) - 1
        return place >= 0 and self.ends[place] > start


@dataclass(slots=True)
class DumpCounts:
    """What a reading came upon: records in the file, rows kept (within the spans), records not understood."""

    records: int = 0
    kept: int = 0
    unreadable: int = 0
    first_unreadable: str = ""
    losses: list[Loss] = field(default_factory=list)

    def miss(self, record: bytes) -> None:
        """Note a record that was not understood."""
        self.unreadable += 1
        if self.unreadable == 1:
            first = record[:80].split(b"\n")[0].decode("utf-8", "replace")
            self.first_unreadable = f"the first is record {self.records}: {first!r}"

    def finish(self) -> None:
        """Turn what was missed into a loss."""
        if self.unreadable:
            self.losses.append(Loss("unparsed_line", self.unreadable, detail=self.first_unreadable))


QUOTING = re.compile(rb"^(?:[>|] ?)+", re.MULTILINE)
QUOTED_RECORD = re.compile(rb"^(?:[>|] ?)+Page (?:allocated via order|pinned|frame)", re.MULTILINE)


def records(path: Path, begins: re.Pattern[bytes], counts: DumpCounts) -> Iterator[bytes]:
    """The records of a dump, each from the line that begins it (`begins` at its start) to the next.

    What stands before the first is passed over. Errors: InputError when the file cannot be read.
    """
    rest, quoted = b"", None
    for block in text_blocks(path, counts.losses):
        if quoted is None:  # a mail quotes all of it
            quoted = QUOTED_RECORD.search(block) is not None
        plain = QUOTING.sub(b"", block) if quoted else block
        whole = rest + (plain.replace(b"\r\n", b"\n") if b"\r" in plain else plain)
        # not by `^`: a search for a literal is twenty times as fast
        places = (match.start() for match in begins.finditer(whole))
        starts = [place for place in places if not place or whole[place - 1] == NEWLINE]
        for start, end in pairwise(starts):
            counts.records += 1
            yield whole[start : min(end, start + LONGEST_RECORD_BYTES)]
        rest = whole[starts[-1] : starts[-1] + LONGEST_RECORD_BYTES] if starts else b""
    if rest:
        counts.records += 1
        if not rest.endswith(b"\n\n"):
            counts.losses.append(Loss("truncated", detail="the dump ends within its last record"))
        yield rest


def frame(line: str) -> str | None:
    """The function of a stack line (they are indented), or None."""
    if line[:1] not in " \t":
        return None
    return ADDRESS.sub("", line.strip(), count=1) or None


def bounded(text: str | bytes | None, bits: int = 63, base: int = 10) -> int | None:
    """A number of at most so many bits; None for none."""
    if not text:
        return None
    value = int(text, base)
    return value if -(1 << bits) <= value < 1 << bits else None


def pfn_of(prefix: object, digits: bytes | str) -> int | None:
    """A PFN: hexadecimal after `0x`, else decimal (the kernel printed %lu up to 6.x). None where it can be none."""
    try:
        value = int(digits, 16 if prefix else 10)
    except ValueError:
        return None
    return value if value < MAX_PFN else None


def batches(rows: Iterable[Row], columns: Sequence[Column], batch_rows: int) -> Iterator[pa.Table]:
    """Rows as tables of at most `batch_rows`."""
    schema = arrow_schema(columns)
    waiting: dict[str, list[Any]] = {column.name: [] for column in columns}
    held = 0
    for row in rows:
        for name, values in waiting.items():
            values.append(row.get(name))
        held += 1
        if held >= batch_rows:
            yield _table(waiting, schema)
            held = 0
    if held:
        yield _table(waiting, schema)


def _table(waiting: Mapping[str, list[Any]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for name in schema.names:
        values = waiting[name]
        arrays.append(_array(values, schema.field(name).type))
        values.clear()
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Values as an array; names and stacks, which repeat, are converted once each."""
    if not (pa.types.is_list(kind) or pa.types.is_dictionary(kind)):
        return pa.array(values, kind)
    place = {value: index for index, value in enumerate(dict.fromkeys(value for value in values if value is not None))}
    codes = pa.array([None if value is None else place[value] for value in values], pa.int32())
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(codes, pa.array(list(place), kind.value_type))
    return pa.array(list(place), kind).take(codes)


def empty_table(columns: Sequence[Column]) -> pa.Table:
    """A table without rows."""
    return arrow_schema(columns).empty_table()
