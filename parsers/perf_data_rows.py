"""Samples of all files and CPUs as one sequence in time order.

Samples lie in a file as perf emptied the buffers, CPU after CPU, round after round. The scan knows the least time of
every block, so blocks are taken by their beginning, and a sample is due when no block to come may hold an earlier one.
What waits is the place of a sample, not its content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.parsers import perf_data_kernels as kernels
from tracereplay.parsers.base import Window
from tracereplay.parsers.perf_data_blocks import Block, Records
from tracereplay.parsers.perf_data_events import Events
from tracereplay.parsers.perf_data_scan import Chunk
from tracereplay.parsers.ring_buffer import NS_MAX, NS_MIN, SPARE_WORDS
from tracereplay.parsers.ring_buffer_rows import Plan, Rows

LEAST_SAMPLE_BYTES = 8  # of a record; a sample with a stack has 16 more
MAX_BLOB_WORDS = 1 << 24
MAPPED = 1 << 32  # buffers from this number on lie in mapped files and need not be let go


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read: kind_of_event int64[events] and the kind of kernel stacks (-1 = skipped), and the fields.

    traced int64[kinds] -- 1: the payload begins with ftrace's common fields.
    """

    kind_of_event: npt.NDArray[np.int64]
    stack_kind: int
    traced: npt.NDArray[np.int64]
    plan: Plan


@dataclass(slots=True)
class _Listed:
    """Samples and where their payload lies: arrays of n; block -- number of the buffer it lies in."""

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    kind: npt.NDArray[np.uint16]
    at: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_ns)

    def arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        return self.time_ns, self.cpu, self.tid, self.kind, self.at, self.size, self.block

    def part(self, rows: slice | npt.NDArray[np.int64]) -> _Listed:
        """Some of them."""
        return _Listed(*(array[rows] for array in self.arrays()))  # type: ignore[arg-type]

    def sorted_with(self, other: _Listed) -> _Listed:
        """Both, by time, then CPU, then the order in which they were read."""
        both = [np.concatenate(pair) for pair in zip(self.arrays(), other.arrays(), strict=True)]
        time = both[0]
        order = np.argsort(time, kind="stable")
        ties = time[order]
        if (ties[1:] == ties[:-1]).any():
            order = np.lexsort((both[1], time))
        return _Listed(*(array[order] for array in both))  # type: ignore[arg-type]


def _nothing() -> _Listed:
    kinds = (np.int64, np.uint16, np.int32, np.uint16, np.int64, np.int64, np.int64)
    return _Listed(*(np.zeros(0, kind) for kind in kinds))  # type: ignore[arg-type]


class RowReader:
    """Reads the wanted samples of a window, up to `rows` at a time. add_ns -- what to add to times as recorded."""

    def __init__(
        self,
        sources: Sequence[Records],
        chunks: Sequence[Chunk],
        events: Events,
        wanted: Wanted,
        add_ns: int,
        window: Window | None,
        rows: int,
    ) -> None:
        self._sources, self._chunks, self._events = sources, chunks, events
        self._wanted, self._rows = wanted, rows
        first, last = (window.start_ns, window.end_ns) if window else (None, None)
        self._window = np.array(
            [NS_MIN if first is None else first, NS_MAX if last is None else last, add_ns], np.int64
        )
        self._buffers: dict[int, npt.NDArray[np.uint32]] = {}

    def __iter__(self) -> Iterator[Rows]:
        waiting = _nothing()
        for number, (chunk, block, following) in enumerate(self._in_order()):
            buffer = MAPPED + chunk.source if self._sources[chunk.source].is_mapped(block) else number
            self._buffers[buffer] = block.words
            waiting = waiting.sorted_with(self._list(buffer, block))
            due = int(np.searchsorted(waiting.time_ns, following, side="left"))
            if due >= self._rows:
                yield from self._give(waiting.part(slice(0, due)))
                waiting = waiting.part(slice(due, None))
                self._forget(waiting)
        yield from self._give(waiting)

    def _in_order(self) -> Iterator[tuple[Chunk, Block, int]]:
        """Blocks that may hold samples of the window, each with the least time of all that follow."""
        order = self._order()
        streams: dict[int, Iterator[tuple[int, tuple[int, Block]]]] = {}
        for place, (_, number) in enumerate(order):
            chunk = self._chunks[number]
            records = self._sources[chunk.source]
            following = order[place + 1][0] if place + 1 < len(order) else NS_MAX
            if not records.packed:
                yield chunk, records.block(chunk.at, chunk.end), following
                continue
            if chunk.source not in streams:
                streams[chunk.source] = enumerate(records.blocks())
            for index, (_, block) in streams[chunk.source]:
                if index == chunk.index:
                    yield chunk, block, following
                    break

    def _order(self) -> list[tuple[int, int]]:
        """(time from which on it may hold samples, number of the chunk), ascending.

        Compressed files are read front to back: a block counts as early as the earliest behind it.
        """
        first, last, add_ns = self._window.tolist()
        least_behind: dict[int, int] = {}
        order = []
        for number in range(len(self._chunks) - 1, -1, -1):
            chunk = self._chunks[number]
            least, greatest = chunk.least + add_ns, chunk.greatest + add_ns
            if chunk.least > chunk.greatest or greatest < first or least > last:
                continue
            if self._sources[chunk.source].packed:
                least = least_behind[chunk.source] = min(least, least_behind.get(chunk.source, least))
            order.append((least, number))
        return sorted(order)

    def _list(self, buffer: int, block: Block) -> _Listed:
        """The wanted samples of a block."""
        room = (block.end - block.begin) // LEAST_SAMPLE_BYTES
        events, wanted = self._events, self._wanted
        out = _Listed(
            np.empty(room, np.int64),
            np.empty(room, np.uint16),
            np.empty(room, np.int32),
            np.empty(room, np.uint16),
            np.empty(room, np.int64),
            np.empty(room, np.int64),
            np.empty(room, np.int64),
        )
        n = kernels.list_samples(
            block.words,
            block.begin,
            block.end,
            events.shared,
            events.layout,
            events.slot_ids,
            events.slot_events,
            events.event_of_id,
            wanted.kind_of_event,
            wanted.stack_kind,
            self._window,
            out.time_ns,
            out.cpu,
            out.tid,
            out.kind,
            out.at,
            out.size,
        )
        out.block[:n] = buffer
        return out.part(slice(0, int(n)))

    def _forget(self, waiting: _Listed) -> None:
        """Let go of unpacked blocks that no waiting sample lies in."""
        oldest = int(waiting.block.min()) if len(waiting) else MAPPED
        for number in [number for number in self._buffers if number < min(oldest, MAPPED)]:
            del self._buffers[number]

    def _give(self, listed: _Listed) -> Iterator[Rows]:
        """Rows of samples in their order, so many at a time as memory is meant for."""
        kept = np.where(self._wanted.plan.keep[listed.kind] > 0, listed.size, 0)
        ends = np.cumsum((kept + 3) >> 2)
        start = 0
        while start < len(listed):
            used = int(ends[start - 1]) if start else 0
            fitting = int(np.searchsorted(ends, used + MAX_BLOB_WORDS, side="right"))
            stop = min(start + self._rows, max(fitting, start + 1), len(listed))
            yield self._taken(listed.part(slice(start, stop)), kept[start:stop])
            start = stop

    def _taken(self, listed: _Listed, kept: npt.NDArray[np.int64]) -> Rows:
        n, wanted = len(listed), self._wanted
        words = (kept + 3) >> 2
        ends = np.cumsum(words)
        blob_at = np.stack([4 * (ends - words), kept], axis=1)
        rows = Rows(
            listed.time_ns,
            listed.cpu,
            listed.tid,
            listed.kind,
            np.empty((n, 2), np.uint8),
            np.empty((n, wanted.plan.field_at.shape[1]), np.int64),
            np.empty(int(ends[-1]) + SPARE_WORDS, np.uint32),
            blob_at,
        )
        buffers = np.unique(listed.block)
        for buffer in buffers.tolist():
            mine = np.flatnonzero(listed.block == buffer) if len(buffers) > 1 else np.arange(n)
            kernels.take_fields(
                self._buffers[buffer],
                listed.at[mine],
                listed.kind[mine],
                mine,
                wanted.plan.n_fields,
                wanted.plan.field_at,
                wanted.traced,
                self._events.shared,
                blob_at,
                rows.common,
                rows.fields,
                rows.blob,
            )
        return rows
