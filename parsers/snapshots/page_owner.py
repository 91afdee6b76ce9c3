"""page_owner: who allocated every page in use, as /sys/kernel/debug/page_owner prints it, 4.19 to 7.x.

    Page allocated via order 0, mask 0x1100ca(GFP_HIGHUSER_MOVABLE), pid 146, tgid 146 (pin-dead), ts 812 ns
    PFN 0x1083e9 type Movable Block 2113 type CMA Flags 0x17ff(uptodate|lru|node=0|zone=2)
     post_alloc_hook+0x1/0x2
    Page has been migrated, last migrate reason: contig_range
    Charged to memcg user.slice

Only the first page of an allocation is listed. The kernel reads without locks: pages allocated or freed meanwhile
may be missing, and a line may describe two moments. Source: print_page_owner() and stack_print() in mm/page_owner.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
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
    frame,
    pfn_of,
    records,
)
from tracereplay.parsers.text.blocks import text_lines
from tracereplay.schema import PAGE_OWNER_COLUMNS

Stacks = Mapping[int, tuple[str, ...]]

BEGINS = re.compile(rb"Page allocated via order ")
# The cheap look that decides whether a record is wanted at all.
WHERE = re.compile(rb"Page allocated via order (\d{1,2}),[^\n]*\nPFN (0x)?([0-9a-fA-F]{1,16}) ")
FIRST = re.compile(
    r"Page allocated via order (?P<order>\d{1,2}), mask (?P<mask>0x[0-9a-f]{1,16}|0)(?:\((?P<gfp>[^()]*)\))?"
    r"(?:, pid (?P<tid>-?\d{1,10}))?"  # 5.11 (current->pid: the thread)
    r"(?:, tgid (?P<pid>-?\d{1,10}) \((?P<comm>.*)\))?"  # 5.18
    r"(?:, ts (?P<ts>\d{1,20}) ns)?"
    r"(?:, free_ts (?P<free_ts>\d{1,20}) ns)?\s*$",  # 5.13 to 6.7
    re.ASCII,
)
SECOND = re.compile(
    r"PFN (?P<hex>0x)?(?P<pfn>[0-9a-fA-F]{1,16}) type (?P<type>\S+) Block (?P<block>\d{1,19}) type (?P<block_type>\S+)"
    r"(?: Flags (?P<flags>0x[0-9a-f]{1,16}|0)?(?:\((?P<names>.*)\))?)?\s*$",
    re.ASCII,
)
MIGRATED = re.compile(r"Page has been migrated, last migrate reason: (\S+)")
CHARGED = re.compile(r"Charged (?:\(via objcg\) ?)?to (offlined? )?memcg (.*\S)")
HANDLE = re.compile(r"handle: (\d{1,10})\s*$", re.ASCII)
MAX_ORDER = 30
MAX_HANDLES = 1 << 22


@dataclass(slots=True)
class PageOwnerDump:
    """A page_owner file. Iterating reads it once from its beginning and yields tables of PAGE_OWNER_COLUMNS.

    spans -- stretches [start_pfn, end_pfn): only allocations with a page in one of them are kept; None: all.
    stacks -- stacks by handle (`read_stack_handles`), for dumps that print handles in their place.
    counts -- what the last reading came upon; its losses are complete when the reading is.
    Errors, when read: InputError where the file cannot be read or holds no record.
    """

    path: Path
    spans: Spans | None = None
    stacks: Stacks = field(default_factory=dict)
    batch_rows: int = BATCH_ROWS
    counts: DumpCounts = field(default_factory=DumpCounts)

    def __iter__(self) -> Iterator[pa.Table]:
        self.counts = DumpCounts()
        yield from batches(self._rows(), PAGE_OWNER_COLUMNS, self.batch_rows)
        self.counts.finish()
        if not self.counts.records:
            raise InputError(
                "no page_owner record in it", path=self.path, advice="pass a copy of /sys/kernel/debug/page_owner"
            )
        if self.counts.unreadable == self.counts.records:
            raise InputError(
                f"no page_owner record was understood; {self.counts.first_unreadable}",
                path=self.path,
                advice="pass /sys/kernel/debug/page_owner as it is, not sorted or edited",
            )

    def _rows(self) -> Iterator[Row]:
        for record in records(self.path, BEGINS, self.counts):
            where = WHERE.match(record)
            pfn = pfn_of(where[2], where[3]) if where else None
            if where is None or pfn is None or int(where[1]) > MAX_ORDER:
                self.counts.miss(record)
            elif self.spans is None or self.spans.touch(pfn, pfn + (1 << int(where[1]))):
                row = parse_record(record.decode("utf-8", "replace"), self.stacks)
                if row is None:
                    self.counts.miss(record)
                else:
                    self.counts.kept += 1
                    yield row


def page_owner_dump(
    path: str | Path, spans: Iterable[Span] | None = None, stacks: Stacks | None = None, batch_rows: int = BATCH_ROWS
) -> PageOwnerDump:
    """A dump to be iterated; see `PageOwnerDump`. Nothing is read yet."""
    return PageOwnerDump(Path(path), None if spans is None else Spans.of(spans), stacks or {}, batch_rows)


def parse_record(text: str, stacks: Stacks | None = None) -> Row | None:
    """One record as a row of PAGE_OWNER_COLUMNS; None where its first two lines are not understood."""
    head, _, rest = text.partition("\n")
    where, _, rest = rest.partition("\n")
    first, second = FIRST.match(head), SECOND.match(where)
    if first is None or second is None:
        return None
    pfn = pfn_of(second["hex"], second["pfn"])
    if pfn is None:
        return None
    row: Row = {
        "pfn": pfn,
        "order": int(first["order"]),
        "migratetype": second["type"],
        "pageblock": bounded(second["block"]),
        "pageblock_migratetype": second["block_type"],
        "gfp_mask": int(first["mask"], 16),
        "gfp_flags": first["gfp"] or None,
        "page_flags": bounded(second["flags"], 64, 16),
        "page_flag_names": second["names"],
        "tid": bounded(first["tid"], 31),
        "pid": bounded(first["pid"], 31),
        "comm": first["comm"],
        "time_ns": bounded(first["ts"]),
        "free_ts_ns": bounded(first["free_ts"]),
    } | _further_lines(rest)
    if row["stack"] is None and stacks:
        row["stack"] = stacks.get(row.get("handle", -1))
    return row


@lru_cache(maxsize=1 << 12)  # a machine's pages share few stacks
def _further_lines(text: str) -> Row:
    """The stack, and what stands after it, up to a blank line. Shared between rows: not to be changed."""
    row: Row = {"slab": False}
    frames: list[str] = []
    for line in text.split("\n"):
        if not line.strip():
            break  # what follows a blank line is no part of the record
        if function := frame(line):
            frames.append(function)
        elif reason := MIGRATED.match(line):
            row["last_migrate_reason"] = reason[1]
        elif charged := CHARGED.match(line):
            row["memcg"], row["memcg_offline"] = charged[2], charged[1] is not None
        elif handle := HANDLE.match(line):
            row["handle"] = int(handle[1])
        elif line.startswith("Slab cache page"):
            row["slab"] = True
    row["stack"] = tuple(frames) or None
    return row


def read_stack_handles(path: str | Path) -> tuple[dict[int, tuple[str, ...]], list[Loss]]:
    """Stacks by handle, and what is missing, from page_owner_stacks/show_stacks_handles (6.19 on): frames, then
    `handle: N`, blank line.

    A page_owner dump of print mode stack_handle serves as well. Errors: InputError when the file cannot be read,
    names no handle, or names more than any kernel has.
    """
    found: dict[int, tuple[str, ...]] = {}
    frames: list[str] = []
    losses: list[Loss] = []
    for line in text_lines(Path(path), losses):
        if handle := HANDLE.match(line):
            if frames:
                found.setdefault(int(handle[1]), tuple(frames))
            frames = []
            if len(found) > MAX_HANDLES:
                raise InputError(f"more than {MAX_HANDLES} stacks", path=path)
        elif not line.strip():
            frames = []
        elif function := frame(line):
            frames.append(function)
            del frames[256:]
    if not found:
        raise InputError(
            "no stack with a handle in it",
            path=path,
            advice="pass /sys/kernel/debug/page_owner_stacks/show_stacks_handles",
        )
    return found, losses
