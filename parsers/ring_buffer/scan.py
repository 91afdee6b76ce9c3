"""One walk over all pages of a trace: exact counts, the span of time, and what is missing where."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.losses import Loss
from tracereplay.parsers.binary.record_batch import IDS, SPARE_WORDS
from tracereplay.parsers.events.cpu_coverage import CpuActivity
from tracereplay.parsers.ring_buffer import page_kernels as kernels
from tracereplay.parsers.ring_buffer.kept import KeptRecords
from tracereplay.parsers.ring_buffer.pages import SLOT_BYTES, Clock, CpuPages

MAX_WORKERS = 8  # threads; each has 10 MiB of counters
SLOTS_AT_ONCE = 16
MAX_KEPT_BYTES = 1 << 27  # of all records that are kept: more of them are not rare, and none is kept then
LEAST_RECORD_BYTES = 12  # that are kept: a word before it, and what all records have in common


@dataclass(slots=True)
class Scan:
    """What one walk over all pages found.

    counts int64[buffers, 65536], faults and shortest (bytes) int64[65536] by event id, bit_of_id
    int64[65537] as `scan_pages` says, tids bool[kernels.MAX_TID]; activity by (buffer, cpu); kept -- copies of the
    records of some events.
    """

    counts: npt.NDArray[np.int64]
    faults: npt.NDArray[np.int64]
    shortest: npt.NDArray[np.int64]
    bit_of_id: npt.NDArray[np.int64]
    tids: npt.NDArray[np.bool_]
    kept: KeptRecords
    start_ns: int | None = None
    end_ns: int | None = None
    losses: list[Loss] = field(default_factory=list)
    activity: dict[tuple[int, int], CpuActivity] = field(default_factory=dict)

    @classmethod
    def empty(cls, buffers: int, kept: KeptRecords) -> Scan:
        """Of a trace with so many ring buffers, before the first page."""
        return cls(
            np.zeros((buffers, IDS), np.int64),
            np.zeros(IDS, np.int64),
            np.full(IDS, IDS, np.int64),
            np.append(np.full(IDS, -1, np.int64), 0),
            np.zeros(kernels.MAX_TID, np.bool_),
            kept,
        )

    def saw(self, start_ns: int, end_ns: int) -> None:
        """The trace reaches over this span of time, too."""
        self.start_ns = start_ns if self.start_ns is None else min(start_ns, self.start_ns)
        self.end_ns = end_ns if self.end_ns is None else max(end_ns, self.end_ns)

    def add(self, other: Scan) -> None:
        """What a walk over other streams found; bits stay each walk's own, losses in the order of adding."""
        self.counts += other.counts
        self.faults += other.faults
        np.minimum(self.shortest, other.shortest, out=self.shortest)
        self.tids |= other.tids
        self.losses += other.losses
        self.kept.add(other.kept)
        self.activity.update(other.activity)
        if other.start_ns is not None and other.end_ns is not None:
            self.saw(other.start_ns, other.end_ns)


def scan(
    streams: Sequence[CpuPages],
    layout: npt.NDArray[np.int64],
    min_bytes: npt.NDArray[np.int64],
    clock: Clock,
    is_kept: npt.NDArray[np.uint8],
) -> Scan:
    """Walk all pages once, on all processors: exact counts, first and last times, losses.

    Fills `first`, `last`, `events` and `bit_of_id` of every stream. is_kept -- of which events records are kept.
    """
    buffers = 1 + max((pages.buffer for pages in streams), default=0)
    workers = max(min(len(streams), len(os.sched_getaffinity(0)), MAX_WORKERS), 1)
    size = max(-(-len(streams) // workers), 1)

    def walk(part: Sequence[CpuPages]) -> Scan:
        found = Scan.empty(buffers, KeptRecords(is_kept, MAX_KEPT_BYTES // workers))
        for pages in part:
            _scan_cpu(pages, layout, min_bytes, clock, found)
        return found

    found = Scan.empty(buffers, KeptRecords(is_kept, MAX_KEPT_BYTES))
    with ThreadPoolExecutor(workers, "scan") as pool:
        for part in pool.map(walk, [streams[begin : begin + size] for begin in range(0, len(streams), size)]):
            found.add(part)
    return found


def _load_blocks(pages: CpuPages, at: int, arena: npt.NDArray[np.uint8]) -> tuple[list[int], int, str]:
    """Unpack blocks from `at` on while they fit: pages in each, bytes of all, and why the next cannot be unpacked."""
    sizes: list[int] = []
    used = 0
    while at < len(pages.blocks) and used + pages.blocks[at].n_bytes <= len(arena):
        block = pages.blocks[at]
        try:
            pages.load(block, arena[used : used + block.n_bytes])
        except ValueError as error:
            return sizes, used, str(error)
        used += block.n_bytes
        sizes.append(-(-block.n_bytes // pages.page_bytes))
        at += 1
    return sizes, used, ""


def _scan_cpu(
    pages: CpuPages, layout: npt.NDArray[np.int64], min_bytes: npt.NDArray[np.int64], clock: Clock, found: Scan
) -> None:
    room = max([SLOT_BYTES, *(block.n_bytes for block in pages.blocks)])
    words = np.zeros(-(-room // 4) + SPARE_WORDS, np.uint32)
    arena = words.view(np.uint8)[:room]
    kept_rows = np.empty((room // LEAST_RECORD_BYTES + 1, 4), np.int64)  # memory of it is taken when written
    kept_words = np.empty(len(words), np.uint32)
    watch = _Watch(pages.cpu, clock, found.losses)
    seen: list[_SeenPages] = []
    of_blocks: list[npt.NDArray[np.uint64]] = [np.zeros((3, 0), np.uint64)]
    at = 0
    while at < len(pages.blocks):
        sizes, used, bad = _load_blocks(pages, at, arena)
        at += len(sizes)
        part = _SeenPages.unset(sizes)
        n_kept, n_words = kernels.scan_pages(
            words, used, pages.page_bytes, layout, min_bytes, found.counts[pages.buffer], found.faults, found.shortest,
            found.bit_of_id, found.tids, part.table, part.status, part.missed,
            found.kept.is_kept, kept_rows, kept_words,
        )  # fmt: skip
        found.kept.copy(pages, kept_rows[:n_kept], kept_words[:n_words])
        seen.append(part)
        if bad or at == len(pages.blocks) or len(seen) == SLOTS_AT_ONCE:
            of_blocks.append(_of_blocks(seen, watch))
            seen = []
        if bad:  # dropped, so that later reads need not look
            watch.lost_chunk(bad, pages.blocks[at].offset)
            del pages.blocks[at]
    watch.open += [(code, None, detail) for code, detail in pages.tail]
    watch.finish()
    pages.first, pages.last, pages.events = np.concatenate(of_blocks, axis=1)
    pages.bit_of_id = found.bit_of_id
    if watch.start is not None and watch.latest is not None:
        start, end = clock.ns(watch.start), clock.ns(watch.latest)
        found.activity[pages.buffer, pages.cpu] = CpuActivity(start, end, clock.duration_ns(watch.silence))
        found.saw(start, end)


@dataclass(slots=True)
class _SeenPages:
    """What `scan_pages` tells of some pages; sizes -- how many of them are in each block."""

    sizes: list[int]
    table: npt.NDArray[np.uint64]
    status: npt.NDArray[np.uint8]
    missed: npt.NDArray[np.int64]

    @classmethod
    def unset(cls, sizes: list[int]) -> _SeenPages:
        n_pages = sum(sizes)
        return cls(sizes, np.zeros((n_pages, 5), np.uint64), np.zeros(n_pages, np.uint8), np.zeros(n_pages, np.int64))


def _of_blocks(parts: Sequence[_SeenPages], watch: _Watch) -> npt.NDArray[np.uint64]:
    """uint64[3, blocks] = (first, last, events) of the next blocks, as `CpuPages` has them; `watch` sees their pages.

    Several slots at once cost less.
    """
    sizes = [size for part in parts for size in part.sizes]
    if not sizes:
        return np.zeros((3, 0), np.uint64)
    table = np.concatenate([part.table for part in parts])
    watch.pages(table, np.concatenate([part.status for part in parts]), np.concatenate([part.missed for part in parts]))
    empty = table[:, 2] == 0
    starts = np.cumsum([0, *sizes[:-1]])
    firsts = np.minimum.reduceat(np.where(empty, np.uint64(2**64 - 1), table[:, 0]), starts)
    lasts = np.maximum.reduceat(np.where(empty, np.uint64(0), table[:, 1]), starts)
    return np.stack([firsts, lasts, np.bitwise_or.reduceat(table[:, 3], starts)])


class _Watch:
    """Turns what the scan saw of one CPU's pages into loss rows placed between its neighbours in time."""

    def __init__(self, cpu: int, clock: Clock, losses: list[Loss]) -> None:
        self.cpu, self.clock, self.losses = cpu, clock, losses
        self.start: int | None = None
        self.previous: int | None = None  # last raw time seen
        self.latest: int | None = None
        self.silence = 0  # longest time between two records, raw
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
            self._follow(table[filled])

    def _follow(self, table: npt.NDArray[np.uint64]) -> None:
        """Keep the latest time and the longest silence, those between pages among them. table -- pages with records."""
        firsts, lasts = table[:, 0], table[:, 1]
        before = lasts[:-1] if self.latest is None else np.concatenate([[np.uint64(self.latest)], lasts[:-1]])
        after = firsts[len(firsts) - len(before) :]
        between = np.where(after > before, after - before, np.uint64(0))
        self.silence = max(self.silence, int(table[:, 4].max()), int(between.max(initial=np.uint64(0))))
        top = int(lasts.max())
        self.latest = top if self.latest is None else max(self.latest, top)

    def _page(self, p: int, table: npt.NDArray[np.uint64], status: int, missed: int) -> None:
        first, last, records = (int(value) for value in table[p, :3])
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
        """Losses after the last record have no end."""
        start = None if self.previous is None else self.clock.ns(self.previous)
        for code, count, detail in self.open:
            self._lose(code, count, start, None, detail)
        self.open.clear()

    def _lose(self, code: str, count: int | None, start: int | None, end: int | None, detail: str) -> None:
        if start is not None and end is not None and start > end:
            start, end = end, start
        self.losses.append(Loss(code, count, self.cpu, start, end, detail))
