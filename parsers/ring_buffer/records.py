"""Records of all CPUs as one sequence in time order, through an arena that does not grow with the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError
from tracereplay.parsers.binary.record_batch import IDS, NS_MAX, NS_MIN, SPARE_WORDS, Plan, Rows
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
        data = pages.load(pages.blocks[begin])
        arena[used : used + len(data)] = np.frombuffer(data, np.uint8)
        used += len(data)
        begin += 1
    return begin, used


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
    wanted = [_events_of(plan, pages) for pages, _ in live]
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
        at[stream], used = _fill(pages, at[stream], end, wanted[stream], arena[begin : begins[stream + 1]])
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
                plan.blank,
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
            refill(int(dry))
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
