"""page_pinner of Android's common kernels: which pages were held for long, or at a failed alloc_contig_range().

    At least, pinned for 376 us                           android13-5.10 on; `Freed at [  123.456789]`,
    PFN 0x1083e9 Block 2113 count 2 mapcount 0 mapping 0x0 Flags 0x8(uptodate)       `Failure detected at [..]`
     put_page+0x1/0x2

Files: /sys/kernel/debug/page_pinner/longterm_pinner, alloc_contig_failed, or buffer, which holds both. Earlier forms
begin `Page pinned for N us`, `Page pinned ts [123.456789]`, or (android12-5.10) `Page pinned ts N us count N`.
Source: print_page_pinner() in mm/page_pinner.c of the Android common kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.snapshots.record_dump import (
    BATCH_ROWS,
    DumpCounts,
    Row,
    Span,
    Spans,
    batches,
    bounded,
    empty_table,
    frame,
    pfn_of,
    records,
)
from tracereplay.schema import PAGE_PINNER_COLUMNS
from tracereplay.units import NS_PER_S, NS_PER_US

BEGINS = re.compile(rb"At least, pinned for |Page pinned for |Page pinned ts |Freed at \[|Failure detected at \[")
FIRST = re.compile(
    r"(?:(?:At least, p|Page p)inned for (?P<held_us>-?\d{1,19}) us"
    r"|Page pinned ts (?P<stamp_us>-?\d{1,19}) us count (?P<count>-?\d{1,10})"
    r"|(?P<what>Page pinned ts|Freed at|Failure detected at) \[ *(?P<seconds>\d{1,10})\.(?P<micros>\d{6})\])\s*$",
    re.ASCII,
)
STATES = {"Page pinned ts": "put", "Freed at": "freed", "Failure detected at": "failure_detected"}
SECOND = re.compile(
    r"PFN (?P<hex>0x)?(?P<pfn>[0-9a-fA-F]{1,16}) Block (?P<block>\d{1,19})"
    r"(?: type (?P<block_type>\S+))?"
    r"(?: count (?P<count>-?\d{1,10}) mapcount (?P<mapcount>-?\d{1,10}) mapping (?P<mapping>.*?))?"
    r" Flags (?P<flags>0x[0-9a-f]{1,16}|0)?(?:\((?P<names>.*)\))?\s*$",
    re.ASCII,
)
NO_MAPPING = re.compile(r"(?:0x)?0+$|\(null\)$")


@dataclass(slots=True)
class PagePinnerDump:
    """A page_pinner file. Iterating reads it once and yields tables of PAGE_PINNER_COLUMNS, in the order of the file
    (newest first).

    spans -- stretches [start_pfn, end_pfn): only pages in one of them are kept; None: all. `counts` is as in
    `page_owner.PageOwnerDump`. Errors, when read: InputError where the file cannot be read or holds no record.
    """

    path: Path
    spans: Spans | None = None
    batch_rows: int = BATCH_ROWS
    counts: DumpCounts = field(default_factory=DumpCounts)

    def __iter__(self) -> Iterator[pa.Table]:
        self.counts = DumpCounts()
        yield from batches(self._rows(), PAGE_PINNER_COLUMNS, self.batch_rows)
        self.counts.finish()
        if self.counts.unreadable == self.counts.records:
            raise InputError(
                "no page_pinner record in it",
                path=self.path,
                advice="pass a copy of a file of /sys/kernel/debug/page_pinner",
            )

    def _rows(self) -> Iterator[Row]:
        for record in records(self.path, BEGINS, self.counts):
            row = parse_record(record.decode("utf-8", "replace"))
            if row is None:
                self.counts.miss(record)
            elif self.spans is None or self.spans.touch(row["pfn"], row["pfn"] + 1):
                self.counts.kept += 1
                yield row


def page_pinner_dump(path: str | Path, spans: Iterable[Span] | None = None) -> PagePinnerDump:
    """A dump to be iterated; see `PagePinnerDump`. Nothing is read yet."""
    return PagePinnerDump(Path(path), None if spans is None else Spans.of(spans))


def read_page_pinner(path: str | Path, spans: Iterable[Span] | None = None) -> tuple[pa.Table, list[Loss]]:
    """The records of pages in `spans` as one table, and what is missing. Errors: InputError."""
    dump = page_pinner_dump(path, spans)
    tables = list(dump)
    return (pa.concat_tables(tables) if tables else empty_table(PAGE_PINNER_COLUMNS)), dump.counts.losses


def parse_record(text: str) -> Row | None:
    """One record as a row of PAGE_PINNER_COLUMNS; None where its first two lines are not understood."""
    lines = text.split("\n")
    first = FIRST.match(lines[0])
    second = SECOND.match(lines[1]) if len(lines) > 1 else None
    pfn = pfn_of(second["hex"], second["pfn"]) if second else None
    if first is None or second is None or pfn is None:
        return None
    row: Row = {
        "pfn": pfn,
        "pageblock": bounded(second["block"]),
        "pageblock_migratetype": second["block_type"],
        "count": bounded(second["count"] or first["count"], 31),
        "mapcount": bounded(second["mapcount"], 31),
        "mapping": None if second["mapping"] is None or NO_MAPPING.match(second["mapping"]) else second["mapping"],
        "page_flags": bounded(second["flags"], 64, 16),
        "page_flag_names": second["names"],
    }
    if first["seconds"]:
        row["state"] = STATES[first["what"]]
        row["time_ns"] = int(first["seconds"]) * NS_PER_S + int(first["micros"]) * NS_PER_US
    elif first["held_us"]:
        row["state"], row["pinned_ns"] = "put", _nanoseconds(first["held_us"])
    else:
        row["state"], row["stamp_ns"] = "pinned", _nanoseconds(first["stamp_us"])
    frames: list[str] = []
    for line in lines[2:]:
        function = frame(line)
        if function is None:
            break
        frames.append(function)
    row["stack"] = tuple(frames) or None
    return row


def _nanoseconds(micros: str) -> int | None:
    value = int(micros) * NS_PER_US
    return value if abs(value) < 1 << 63 else None
