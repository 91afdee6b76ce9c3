"""Ring-buffer pages of all CPUs, read as one sequence of records in time order.

A `CpuPages` hands out blocks of pages; `scan` walks all of them once; `read_rows` merges CPUs through a small arena, so
memory does not grow with the trace. The loops are in `ring_buffer_kernels`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers import ring_buffer_kernels as kernels
from tracereplay.parsers.base import Window
from tracereplay.parsers.format_text import EventFormat, PageHeader

IDS = 1 << 16
SLOT_BYTES = 1 << 20
MAX_ARENA_BYTES = 1 << 31
SPARE_WORDS = 2  # kernels read whole words: this many may lie behind the last byte
NS_MIN, NS_MAX = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Clock:
    """How raw stamps become ns: (raw * mult >> shift) + add, all 64 bits wide; mult 0 = no multiplication."""

    mult: int = 0
    shift: int = 0
    add_ns: int = 0

    def ns(self, raw: int) -> int:
        """The time of one raw stamp."""
        value = (raw * self.mult) >> self.shift if self.mult else raw
        value = (value + self.add_ns) & (2**64 - 1)
        return value - (1 << 64) if value >> 63 else value

    @property
    def array(self) -> npt.NDArray[np.uint64]:
        """For kernels: uint64[3] = mult, shift, add."""
        return np.array([self.mult, self.shift, self.add_ns & (2**64 - 1)], np.uint64)


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole pages as stored: `stored_bytes` at `offset`, `n_bytes` when unpacked."""

    offset: int
    stored_bytes: int
    n_bytes: int


@dataclass(slots=True)
class CpuPages:
    """One CPU's pages of one ring buffer (their number in the file) in file order.

    load(block) returns the block's `n_bytes` bytes, or raises ValueError.

    tail -- (loss code, detail) of what is missing behind the last block.
    After `scan`: first, last uint64[blocks] raw times of each block's records (first > last: it has none), damaged
    blocks are gone.
    """

    cpu: int
    buffer: int
    page_bytes: int
    blocks: list[Block]
    load: Callable[[Block], bytes | memoryview]
    tail: list[tuple[str, str]] = field(default_factory=list)
    first: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    last: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    def span(self, window: Window, clock: Clock) -> tuple[int, int]:
        """Blocks [begin, end) that may hold records of the window; the rest is never unpacked."""
        reached = np.maximum.accumulate(self.last) if len(self.last) else self.last
        ahead = np.minimum.accumulate(self.first[::-1])[::-1] if len(self.first) else self.first
        begin, end = 0, len(self.blocks)
        if window.start_ns is not None:
            begin = bisect_left(range(end), window.start_ns, key=lambda i: clock.ns(int(reached[i])))
        if window.end_ns is not None:
            end = bisect_left(range(end), window.end_ns + 1, key=lambda i: clock.ns(int(ahead[i])))
        return begin, max(begin, end)


@dataclass(slots=True)
class Scan:
    """What one walk over all pages found.

    counts int64[buffers, 65536] and faults int64[65536] by event id, tids uint8[kernels.MAX_TID]; cpu_start_ns by
    (buffer, cpu).
    """

    counts: npt.NDArray[np.int64]
    faults: npt.NDArray[np.int64]
    tids: npt.NDArray[np.uint8]
    start_ns: int | None = None
    end_ns: int | None = None
    losses: list[Loss] = field(default_factory=list)
    cpu_start_ns: dict[tuple[int, int], int] = field(default_factory=dict)


def page_layout(header: PageHeader, big_endian: bool, formats: Sequence[EventFormat]) -> npt.NDArray[np.int64]:
    """The kernels' `layout`: where a page and the common part of a record keep their parts."""
    layout = np.zeros(kernels.LAYOUT_FIELDS, np.int64)
    layout[kernels.BIG_ENDIAN] = big_endian
    layout[kernels.COMMIT_BYTES] = header.commit_bytes
    layout[kernels.DATA_OFFSET] = header.data_offset
    offsets = {field.name: field.offset for event in formats[:1] for field in event.common}
    layout[kernels.ID_OFFSET] = offsets.get("common_type", 0)
    layout[kernels.FLAGS_OFFSET] = offsets.get("common_flags", 2)
    layout[kernels.PREEMPT_OFFSET] = offsets.get("common_preempt_count", 3)
    layout[kernels.TID_OFFSET] = offsets.get("common_pid", 4)
    layout[kernels.COMMON_BYTES] = max([8, *(offset + 4 for offset in offsets.values())])
    return layout


def _fill(pages: CpuPages, begin: int, end: int, arena: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Copy blocks begin.. into the arena while they fit: (next block, bytes filled)."""
    used = 0
    while begin < end and used + pages.blocks[begin].n_bytes <= len(arena):
        data = pages.load(pages.blocks[begin])
        arena[used : used + len(data)] = np.frombuffer(data, np.uint8)
        used += len(data)
        begin += 1
    return begin, used


def scan(
    streams: Sequence[CpuPages], layout: npt.NDArray[np.int64], min_bytes: npt.NDArray[np.int64], clock: Clock
) -> Scan:
    """Walk all pages once: exact counts, first and last times, losses. Fills `first` and `last` of every stream."""
    buffers = 1 + max((pages.buffer for pages in streams), default=0)
    found = Scan(np.zeros((buffers, IDS), np.int64), np.zeros(IDS, np.int64), np.zeros(kernels.MAX_TID, np.uint8))
    for pages in streams:
        _scan_cpu(pages, layout, min_bytes, clock, found)
    return found


def _scan_cpu(
    pages: CpuPages, layout: npt.NDArray[np.int64], min_bytes: npt.NDArray[np.int64], clock: Clock, found: Scan
) -> None:
    page_bytes = pages.page_bytes
    room = max([SLOT_BYTES, *(block.n_bytes for block in pages.blocks)])
    words = np.zeros(-(-room // 4) + SPARE_WORDS, np.uint32)
    arena = words.view(np.uint8)[:room]
    watch = _Watch(pages.cpu, clock, found.losses)
    firsts: list[npt.NDArray[np.uint64]] = []
    lasts: list[npt.NDArray[np.uint64]] = []
    at = 0
    while at < len(pages.blocks):
        # a block that cannot be unpacked is dropped here, once, so that later reads need not look
        sizes: list[int] = []
        used = 0
        while at < len(pages.blocks) and used + pages.blocks[at].n_bytes <= len(arena):
            try:
                data = pages.load(pages.blocks[at])
            except ValueError as error:
                watch.lost_chunk(str(error), pages.blocks[at].offset)
                del pages.blocks[at]
                if sizes:
                    break
                continue
            arena[used : used + len(data)] = np.frombuffer(data, np.uint8)
            used += len(data)
            sizes.append(-(-len(data) // page_bytes))
            at += 1
        if not sizes:
            continue
        n_pages = sum(sizes)
        table = np.zeros((n_pages, 3), np.uint64)
        status, missed = np.zeros(n_pages, np.uint8), np.zeros(n_pages, np.int64)
        kernels.scan_pages(
            words,
            used,
            page_bytes,
            layout,
            min_bytes,
            found.counts[pages.buffer],
            found.faults,
            found.tids,
            table,
            status,
            missed,
        )
        watch.pages(table, status, missed)
        empty = table[:, 2] == 0
        starts = np.cumsum([0, *sizes[:-1]])
        firsts.append(np.minimum.reduceat(np.where(empty, np.uint64(2**64 - 1), table[:, 0]), starts))
        lasts.append(np.maximum.reduceat(np.where(empty, np.uint64(0), table[:, 1]), starts))
    watch.open += [(code, None, detail) for code, detail in pages.tail]
    watch.finish()
    pages.first = np.concatenate(firsts) if firsts else np.zeros(0, np.uint64)
    pages.last = np.concatenate(lasts) if lasts else np.zeros(0, np.uint64)
    if watch.start is not None and watch.latest is not None:
        start, end = clock.ns(watch.start), clock.ns(watch.latest)
        found.cpu_start_ns[pages.buffer, pages.cpu] = start
        found.start_ns = start if found.start_ns is None else min(start, found.start_ns)
        found.end_ns = end if found.end_ns is None else max(end, found.end_ns)


class _Watch:
    """Turns what the scan saw of one CPU's pages into loss rows placed between its neighbours in time."""

    def __init__(self, cpu: int, clock: Clock, losses: list[Loss]) -> None:
        self.cpu, self.clock, self.losses = cpu, clock, losses
        self.start: int | None = None
        self.previous: int | None = None  # last raw time seen
        self.latest: int | None = None
        self.open: list[tuple[str, int | None, str]] = []  # losses waiting for the time of the next record

    def lost_chunk(self, why: str, offset: int) -> None:
        self.open.append(("corrupt_chunk", None, f"chunk at byte {offset}: {why}"))

    def pages(
        self, table: npt.NDArray[np.uint64], status: npt.NDArray[np.uint8], missed: npt.NDArray[np.int64]
    ) -> None:
        """Every page that says something, in order; pages without anything odd are passed over at once."""
        has = table[:, 2] > 0
        odd = (missed != 0) | ((status != kernels.PAGE_OK) & (status != kernels.PAGE_EMPTY))
        filled = np.flatnonzero(has)
        steps = np.flatnonzero(table[filled[1:], 0] < table[filled[:-1], 1])
        interesting = np.union1d(np.flatnonzero(odd), filled[steps + 1])
        if len(filled):
            interesting = np.union1d(interesting, filled[[0, -1]])
        for p in interesting.tolist():
            before = filled[: np.searchsorted(filled, p)]
            if len(before):
                self.previous = int(table[before[-1], 1])
            self._page(p, table, int(status[p]), int(missed[p]))
        if len(filled):
            top = int(table[filled, 1].max())
            self.latest = top if self.latest is None else max(self.latest, top)

    def _page(self, p: int, table: npt.NDArray[np.uint64], status: int, missed: int) -> None:
        first, last, records = (int(value) for value in table[p])
        if missed:
            self.open.append(("lost_events", missed if missed > 0 else None, ""))
        if status == kernels.PAGE_BAD_COMMIT:
            self.open.append(("corrupt_page", None, "it says to hold more than a page"))
        if records:
            if self.start is None:
                self.start = first
            self.start = min(self.start, first)
            if self.previous is not None and first < self.previous:
                self._lose("clock_step_back", 1, self.clock.ns(first), self.clock.ns(self.previous), "")
            self._close(first)
            self.previous = last
        if status == kernels.PAGE_BAD_RECORD:
            self.open.append(("corrupt_page", None, "a record is longer than what is left of its page"))
        if status == kernels.PAGE_CUT:
            self.open.append(("truncated", None, "the last page is cut"))

    def _close(self, first: int) -> None:
        start = None if self.previous is None else self.clock.ns(self.previous)
        for code, count, detail in self.open:
            self._lose(code, count, start, self.clock.ns(first), detail)
        self.open.clear()

    def finish(self) -> None:
        """Losses behind the last record have no end."""
        start = None if self.previous is None else self.clock.ns(self.previous)
        for code, count, detail in self.open:
            self._lose(code, count, start, None, detail)
        self.open.clear()

    def _lose(self, code: str, count: int | None, start: int | None, end: int | None, detail: str) -> None:
        if start is not None and end is not None and start > end:
            start, end = end, start
        self.losses.append(Loss(code, count, self.cpu, start, end, detail))


@dataclass(slots=True)
class Plan:
    """Which records are read and which of their fields.

    kind_of_id int64[buffers * 65536] (-1 = skipped); per kind: n_fields, field_at int64[kinds, fields, 6] as the kernel takes it,
    keep int64[kinds]: 1 = the record's bytes are kept too.
    """

    kind_of_id: npt.NDArray[np.int64]
    n_fields: npt.NDArray[np.int64]
    field_at: npt.NDArray[np.int64]
    keep: npt.NDArray[np.int64]

    @classmethod
    def make(
        cls,
        kinds: Sequence[tuple[int, Sequence[tuple[int, int, bool]], bool]],
        width: int,
        wanted: npt.NDArray[np.bool_],
    ) -> Plan:
        """From (event id, [(offset, size, signed) ...], keep the bytes) per kind; `width` columns of fields.

        A place of offset -1 makes a column of zeros. wanted bool[buffers, 65536]: which buffer an event is read from.
        """
        kind_of_id = np.full(wanted.shape, -1, np.int64)
        n_fields = np.zeros(len(kinds), np.int64)
        field_at = np.zeros((len(kinds), width, 6), np.int64)
        keep = np.zeros(len(kinds), np.int64)
        for kind, (event_id, fields, kept) in enumerate(kinds):
            kind_of_id[wanted[:, event_id], event_id] = kind
            keep[kind] = kept
            for column, (offset, size, signed) in enumerate(fields):
                if offset < 0:
                    continue
                unused = 64 - 8 * size if signed else 0
                mask = -1 if signed or size == 8 else (1 << 8 * size) - 1
                field_at[kind, n_fields[kind]] = offset, size, unused, mask, size == 8 and offset % 4, column
                n_fields[kind] += 1
        return cls(kind_of_id.reshape(-1), n_fields, field_at, keep)


@dataclass(slots=True)
class Rows:
    """Records in time order: arrays of n rows; fields int64[n, width]; blob_at int64[n, 2] = (start, length)
    in bytes of blob, the kept records."""

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    kind: npt.NDArray[np.uint16]
    common: npt.NDArray[np.uint8]
    fields: npt.NDArray[np.int64]
    blob: npt.NDArray[np.uint32]
    blob_at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_ns)


def read_rows(
    streams: Sequence[CpuPages],
    layout: npt.NDArray[np.int64],
    min_bytes: npt.NDArray[np.int64],
    clock: Clock,
    plan: Plan,
    window: Window | None = None,
    rows: int = 1 << 19,
) -> Iterator[Rows]:
    """Records of the plan within the window, merged by (time, stream, place in the file), `rows` at a time."""
    window = window or Window()
    spans = [pages.span(window, clock) for pages in streams]
    live = [(pages, span) for pages, span in zip(streams, spans, strict=True) if span[0] < span[1]]
    if not live:
        return
    least = SLOT_BYTES // (1 + len(live) // 64)
    sizes = [
        -(-max([least, *(block.n_bytes for block in pages.blocks[begin:end])]) // 8) * 8 for pages, (begin, end) in live
    ]
    if sum(sizes) > MAX_ARENA_BYTES:
        raise InputError(f"reading needs {sum(sizes)} bytes for pages of {len(live)} CPUs at once")
    begins = np.cumsum([0, *sizes]).tolist()
    words = np.zeros(begins[-1] // 4 + SPARE_WORDS, np.uint32)
    arena = words.view(np.uint8)
    cursor = np.zeros((len(live), kernels.CURSOR_FIELDS), np.int64)
    cursor[:, kernels.STATE] = kernels.EMPTY
    cursor[:, kernels.PAGE_SIZE] = [pages.page_bytes for pages, _ in live]
    cursor[:, kernels.IDS_AT] = [pages.buffer * IDS for pages, _ in live]
    stamps = np.zeros(len(live), np.uint64)
    last_slots = np.zeros(len(live), np.int64)
    cpu_of = np.array([pages.cpu for pages, _ in live], np.int64)
    at = [span[0] for _, span in live]

    def refill(stream: int) -> None:
        pages, (_, end) = live[stream]
        begin = begins[stream]
        at[stream], used = _fill(pages, at[stream], end, arena[begin : begins[stream + 1]])
        last_slots[stream] = at[stream] >= end
        kernels.begin_slot(
            words, cursor, stamps, stream, begin, used, last_slots[stream], layout, plan.kind_of_id, min_bytes
        )

    limits = np.array(
        [NS_MIN if window.start_ns is None else window.start_ns, NS_MAX if window.end_ns is None else window.end_ns],
        np.int64,
    )
    keeps = bool(plan.keep.any())
    scale = clock.array
    blob_words = max(rows * 8, max(pages.page_bytes for pages, _ in live) // 4) + SPARE_WORDS if keeps else 0
    finished = False
    while not finished:
        out = Rows(
            np.empty(rows, np.int64),
            np.empty(rows, np.uint16),
            np.empty(rows, np.int32),
            np.empty(rows, np.uint16),
            np.empty((rows, 2), np.uint8),
            np.empty((rows, plan.field_at.shape[1]), np.int64),
            np.empty(blob_words, np.uint32),
            np.zeros((rows if keeps else 0, 2), np.int64),
        )
        state = np.zeros(2, np.int64)
        while True:
            dry = kernels.read_rows(
                words,
                cursor,
                stamps,
                last_slots,
                cpu_of,
                layout,
                plan.kind_of_id,
                min_bytes,
                plan.n_fields,
                plan.field_at,
                plan.keep,
                scale,
                limits,
                out.time_ns,
                out.cpu,
                out.tid,
                out.kind,
                out.common,
                out.fields,
                out.blob,
                out.blob_at,
                state,
            )
            if dry < 0:
                break
            refill(dry)
        finished = dry == -2
        n = int(state[0])
        if n:
            yield Rows(
                out.time_ns[:n],
                out.cpu[:n],
                out.tid[:n],
                out.kind[:n],
                out.common[:n],
                out.fields[:n],
                out.blob,
                out.blob_at[:n],
            )
