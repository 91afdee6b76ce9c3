"""Records of all CPUs as one sequence in time order, through an arena that does not grow with the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError
from tracereplay.parsers.binary.record_batch import IDS, SPARE_WORDS, Plan, RecordRows
from tracereplay.parsers.ring_buffer import page_kernels as kernels
from tracereplay.parsers.ring_buffer.pages import MAX_ARENA_BYTES, SLOT_BYTES, Clock, CpuPages
from tracereplay.schema import Window


def _events_of(plan: Plan, pages: CpuPages) -> int:
    """The set of events read from these pages, as `CpuPages.events` has them by block."""
    ids = np.flatnonzero(plan.kind_of_id[pages.buffer * IDS : (pages.buffer + 1) * IDS] >= 0)
    return sum(1 << bit for bit in set(pages.bit_of_id[ids].tolist()) if bit >= 0)


def _fill(pages: CpuPages, begin: int, end: int, wanted: int, arena: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Copy blocks begin.. with wanted events into the arena while they fit: (next block, bytes filled)."""
    used = 0
    while begin < end and used + pages.blocks[begin].n_bytes <= len(arena):
        if not int(pages.events[begin]) & wanted:
            begin += 1
            continue
        block = pages.blocks[begin]
        pages.load(block, arena[used : used + block.n_bytes])
        used += block.n_bytes
        begin += 1
    return begin, used


class _Arena:
    """The pages of all streams that are being read: one slot each in `words`, refilled from its blocks when it is dry.

    cursor, stamps, last_slots -- where each stream is, as `page_kernels.read_rows` keeps them.
    """

    def __init__(
        self,
        live: Sequence[tuple[CpuPages, tuple[int, int]]],
        plan: Plan,
        layout: npt.NDArray[np.int64],
        min_bytes: npt.NDArray[np.int64],
    ) -> None:
        self._live, self._plan, self.layout, self.min_bytes = live, plan, layout, min_bytes
        least = SLOT_BYTES // (1 + len(live) // 64)
        longest = (max([least, *(block.n_bytes for block in pages.blocks[a:b])]) for pages, (a, b) in live)
        sizes = [-(-size // 8) * 8 for size in longest]
        if sum(sizes) > MAX_ARENA_BYTES:
            raise InputError(f"reading needs {sum(sizes)} bytes for pages of {len(live)} CPUs at once")
        self._begins = np.cumsum([0, *sizes]).tolist()
        self._wanted = [_events_of(plan, pages) for pages, _ in live]
        self.words = np.zeros(self._begins[-1] // 4 + SPARE_WORDS, np.uint32)
        self.cursor = np.zeros((len(live), kernels.CURSOR_FIELDS), np.int64)
        self.cursor[:, kernels.STATE] = kernels.EMPTY
        self.cursor[:, kernels.PAGE_SIZE] = [pages.page_bytes for pages, _ in live]
        self.cursor[:, kernels.IDS_AT] = [pages.buffer * IDS for pages, _ in live]
        self.stamps = np.zeros(len(live), np.uint64)
        self.last_slots = np.zeros(len(live), np.int64)
        self.cpu_of = np.array([pages.cpu for pages, _ in live], np.int64)
        self._at = [span[0] for _, span in live]

    def refill(self, stream: int) -> None:
        """Load the next blocks of a stream into its slot."""
        pages, (_, end) = self._live[stream]
        begin = self._begins[stream]
        slot = self.words.view(np.uint8)[begin : self._begins[stream + 1]]
        self._at[stream], used = _fill(pages, self._at[stream], end, self._wanted[stream], slot)
        self.last_slots[stream] = self._at[stream] >= end
        kernels.begin_slot(
            self.words, self.cursor, self.stamps, stream, begin, used, self.last_slots[stream], self.layout,
            self._plan.kind_of_id, self.min_bytes,
        )  # fmt: skip

    def read(self, scale: npt.NDArray[np.uint64], limits: npt.NDArray[np.int64], out: RecordRows) -> tuple[int, bool]:
        """Fill `out` with the next rows: how many there are, and whether they are the last."""
        plan = self._plan
        state = np.zeros(2, np.int64)
        while True:
            dry = kernels.read_rows(
                self.words, self.cursor, self.stamps, self.last_slots, self.cpu_of, self.layout, plan.kind_of_id,
                self.min_bytes, plan.n_fields, plan.field_at, plan.blank, plan.keep, scale, limits,
                out.time_ns, out.cpu, out.tid, out.kind, out.common, out.fields, out.blob, out.blob_at, state,
            )  # fmt: skip
            if dry < 0:
                return int(state[0]), dry == -2
            self.refill(int(dry))


def _empty_rows(rows: int, fields: int, blob_words: int) -> RecordRows:
    return RecordRows(
        np.empty(rows, np.int64),
        np.empty(rows, np.uint16),
        np.empty(rows, np.int32),
        np.empty(rows, np.uint16),
        np.empty((rows, 2), np.uint8),
        np.empty((rows, fields), np.int64),
        np.empty(blob_words, np.uint32),
        np.zeros((rows if blob_words else 0, 2), np.int64),
    )


def _first(rows: RecordRows, n: int) -> RecordRows:
    return RecordRows(
        rows.time_ns[:n], rows.cpu[:n], rows.tid[:n], rows.kind[:n], rows.common[:n], rows.fields[:n],
        rows.blob, rows.blob_at[:n],
    )  # fmt: skip


def read_rows(
    streams: Sequence[CpuPages],
    layout: npt.NDArray[np.int64],
    min_bytes: npt.NDArray[np.int64],
    clock: Clock,
    plan: Plan,
    window: Window | None = None,
    rows: int = 1 << 19,
) -> Iterator[RecordRows]:
    """Records of the plan within the window, merged by (time, stream, place in the file), `rows` at a time."""
    window = window or Window()
    spans = [pages.span(window, clock) for pages in streams]
    live = [(pages, span) for pages, span in zip(streams, spans, strict=True) if span[0] < span[1]]
    if not live:
        return
    arena = _Arena(live, plan, layout, min_bytes)
    limits = np.array(window.limits_ns, np.int64)
    longest_words = max(pages.page_bytes for pages, _ in live) // 4
    blob_words = max(rows * 8, longest_words) + SPARE_WORDS if plan.keep.any() else 0
    finished = False
    while not finished:
        out = _empty_rows(rows, plan.field_at.shape[1], blob_words)
        n, finished = arena.read(clock.array, limits, out)
        if n:
            yield _first(out, n)
