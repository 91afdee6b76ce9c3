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
    """Samples as they were read, and where their payload lies: arrays of n; buffer -- number of its words."""

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    kind: npt.NDArray[np.uint16]
    at: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    buffer: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_ns)

    def part(self, rows: slice | npt.NDArray[np.int64]) -> _Listed:
        """Some of them."""
        return _Listed(
            self.time_ns[rows],
            self.cpu[rows],
            self.tid[rows],
            self.kind[rows],
            self.at[rows],
            self.size[rows],
            self.buffer[rows],
        )

    def order(self) -> npt.NDArray[np.int64]:
        """Their order by time, then CPU, then as they were read."""
        order = np.argsort(self.time_ns, kind="stable")
        times = self.time_ns[order]
        if (times[1:] == times[:-1]).any():
            order = np.lexsort((self.cpu, self.time_ns))
        return order

    @classmethod
    def joined(cls, parts: Sequence[_Listed]) -> _Listed:
        """One behind the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.time_ns for part in parts]),
            np.concatenate([part.cpu for part in parts]),
            np.concatenate([part.tid for part in parts]),
            np.concatenate([part.kind for part in parts]),
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.size for part in parts]),
            np.concatenate([part.buffer for part in parts]),
        )


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
        waiting: list[_Listed] = []
        goal = self._rows
        for number, (chunk, block, following) in enumerate(self._in_order()):
            buffer = MAPPED + chunk.source if self._sources[chunk.source].is_mapped(block) else number
            self._buffers[buffer] = block.words
            waiting.append(self._list(buffer, block, chunk.rows))
            if sum(map(len, waiting)) < goal and following < NS_MAX:
                continue
            listed = _Listed.joined(waiting)
            order = listed.order()
            due = int(np.searchsorted(listed.time_ns, following, side="left", sorter=order))
            yield from self._give(listed, order[:due])
            rest = listed.part(np.sort(order[due:]))
            waiting, goal = [rest], self._rows + 2 * len(rest)  # what waits long is not sorted at every step
            self._forget(rest)

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

    def _list(self, buffer: int, block: Block, room: int) -> _Listed:
        """The wanted samples of a block, which are `room` at most."""
        wanted = self._wanted
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
            self._events.tables,
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
        out.buffer[:n] = buffer
        return out.part(slice(0, int(n)))

    def _forget(self, waiting: _Listed) -> None:
        """Let go of unpacked blocks that no waiting sample lies in."""
        oldest = int(waiting.buffer.min()) if len(waiting) else MAPPED
        for number in [number for number in self._buffers if number < min(oldest, MAPPED)]:
            del self._buffers[number]

    def _give(self, listed: _Listed, order: npt.NDArray[np.int64]) -> Iterator[Rows]:
        """Rows of samples in this order, so many at a time as memory is meant for."""
        keep = self._wanted.plan.keep
        kept = np.where(keep[listed.kind[order]] > 0, listed.size[order], 0) if keep.any() else np.zeros(1, np.int64)
        ends = np.cumsum((kept + 3) >> 2)
        start = 0
        while start < len(order):
            stop = min(start + self._rows, len(order))
            if keep.any():
                used = int(ends[start - 1]) if start else 0
                stop = min(stop, max(int(np.searchsorted(ends, used + MAX_BLOB_WORDS, side="right")), start + 1))
            yield self._taken(listed, order[start:stop], kept[start:stop])
            start = stop

    def _taken(self, listed: _Listed, order: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]) -> Rows:
        n, plan = len(order), self._wanted.plan
        blob_at = np.zeros((n, 2), np.int64)
        words = 0
        if plan.keep.any():
            ends = np.cumsum((kept + 3) >> 2)
            words = int(ends[-1])
            blob_at[:, 0], blob_at[:, 1] = 4 * (ends - ((kept + 3) >> 2)), kept
        rows = Rows(
            np.empty(n, np.int64),
            np.empty(n, np.uint16),
            np.empty(n, np.int32),
            np.empty(n, np.uint16),
            np.empty((n, 2), np.uint8),
            np.empty((n, plan.field_at.shape[1]), np.int64),
            np.empty(words + SPARE_WORDS, np.uint32),
            blob_at,
        )
        kernels.take_heads(
            order, listed.time_ns, listed.cpu, listed.tid, listed.kind, rows.time_ns, rows.cpu, rows.tid, rows.kind
        )
        for buffer, mine in _by_buffer(listed.buffer, order):
            kernels.take_fields(
                self._buffers[buffer],
                listed.at,
                order,
                mine,
                rows.kind,
                plan.n_fields,
                plan.field_at,
                plan.blank,
                self._wanted.traced,
                self._events.tables,
                blob_at,
                rows.common,
                rows.fields,
                rows.blob,
            )
        return rows


def _by_buffer(
    buffers: npt.NDArray[np.int64], order: npt.NDArray[np.int64]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """(buffer, rows that lie in it) for rows in this order."""
    if buffers[0] == buffers[-1] and (buffers == buffers[0]).all():
        yield int(buffers[0]), np.arange(len(order))
        return
    of_row = buffers[order]
    by_buffer = np.argsort(of_row, kind="stable")
    starts = np.flatnonzero(np.diff(of_row[by_buffer], prepend=of_row[by_buffer[0]] - 1))
    for rows in np.split(by_buffer, starts[1:]):
        yield int(of_row[rows[0]]), rows
