"""Samples of all files and CPUs as one sequence in time order.

Samples lie in a file as perf emptied the buffers, CPU after CPU, round after round. The scan knows the least time of
every block, so blocks are taken by their beginning, and a sample is due when no block to come may hold an earlier one.
What waits is the place of a sample, not its content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.binary.record_batch import SPARE_WORDS, Plan, RecordRows
from tracereplay.parsers.perf_data import column_kernels as table_kernels
from tracereplay.parsers.perf_data import record_kernels as kernels
from tracereplay.parsers.perf_data.attrs import Events
from tracereplay.parsers.perf_data.records import Block, Records
from tracereplay.parsers.perf_data.scan import Chunk
from tracereplay.schema import NS_MAX, Window

MAX_BLOB_WORDS = 1 << 24


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read: kind_of_event int64[events] and the kind of kernel stacks (-1 = skipped), and the fields."""

    kind_of_event: npt.NDArray[np.int64]
    stack_kind: int
    plan: Plan


@dataclass(slots=True)
class Listed:
    """Samples as they were read, and where their payload is: arrays with room to spare, the first `used` are filled.

    buffer -- number of the words that the payload is in.
    """

    time_ns: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    cpu: npt.NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))
    tid: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    kind: npt.NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))
    at: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    size: npt.NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))
    buffer: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    used: int = 0

    def make_room(self, rows: int) -> None:
        """Have room for so many more."""
        if self.used + rows > len(self.time_ns):
            room = max(self.used + rows, 2 * self.used)
            for column in COLUMNS:
                have = getattr(self, column)
                more = np.empty(room, have.dtype)
                more[: self.used] = have[: self.used]
                setattr(self, column, more)

    def keep(self, samples: npt.NDArray[np.int64]) -> None:
        """Keep these (ascending) only."""
        for column in COLUMNS:
            have = getattr(self, column)
            have[: len(samples)] = have[samples]
        self.used = len(samples)

    def order(self) -> npt.NDArray[np.int64]:
        """Their order by time, then CPU, then as they were read."""
        time_ns, cpu = self.time_ns[: self.used], self.cpu[: self.used]
        order = np.argsort(time_ns, kind="stable")
        return order if table_kernels.ties_are_ordered(order, time_ns, cpu) else np.lexsort((cpu, time_ns))


COLUMNS = ("time_ns", "cpu", "tid", "kind", "at", "size", "buffer")


@dataclass(slots=True)
class Batch:
    """Samples that are due: `samples`, in order of time, are places in the arrays of `listed`.

    Their payloads lie in `words` at `at`, an array beside those of `listed`; halves and octets are the words as numbers
    of 2 and 1 bytes. Valid until the next batch.
    """

    listed: Listed
    samples: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint32]
    at: npt.NDArray[np.int64]
    halves: npt.NDArray[np.uint16] = field(init=False)
    octets: npt.NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.halves, self.octets = self.words.view(np.uint16), self.words.view(np.uint8)


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
        self._window = np.array([*(window or Window()).limits_ns, add_ns], np.int64)
        # unpacked blocks by their number; from the number of all blocks on mapped files, which are never let go
        self._buffers: dict[int, npt.NDArray[np.uint32]] = {}

    def __iter__(self) -> Iterator[RecordRows]:
        """Rows of the fields that the plan names."""
        for listed, samples in self._due():
            yield self._taken(listed, samples)

    def batches(self) -> Iterator[Batch]:
        """The samples themselves."""
        for listed, samples in self._due():
            buffers = listed.buffer[samples] if len(self._buffers) > 1 else np.array(list(self._buffers), np.int32)
            if int(buffers.min()) == int(buffers.max()):
                yield Batch(listed, samples, self._buffers[int(buffers[0])], listed.at)
            else:
                yield Batch(listed, samples, *self._gathered(listed, samples))

    def _due(self) -> Iterator[tuple[Listed, npt.NDArray[np.int64]]]:
        """Samples in order of time, so many at once as memory is meant for: what is listed, and places in it."""
        listed, goal = Listed(), self._rows
        for number, (chunk, block, following) in enumerate(self._in_order()):
            buffer = number
            if self._sources[chunk.source].is_mapped(block):
                buffer = len(self._chunks) + chunk.source
            self._buffers[buffer] = block.words
            self._list(listed, buffer, block, chunk.rows)
            if listed.used < goal and following < NS_MAX:
                continue
            order = listed.order()
            due = int(np.searchsorted(listed.time_ns[: listed.used], following, side="left", sorter=order))
            for samples in self._pieces(listed, order[:due]):
                yield listed, samples
            listed.keep(np.sort(order[due:]))
            goal = self._rows + 2 * listed.used  # what waits long is not sorted at every step
            self._forget(listed)

    def _pieces(self, listed: Listed, order: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        """These samples cut so that neither their number nor their bytes, which may be copied, are too many."""
        sizes = listed.size[: listed.used]
        few = int(sizes.sum(dtype=np.int64)) <= 4 * (MAX_BLOB_WORDS - len(sizes))
        ends = np.zeros(1, np.int64) if few else np.cumsum((sizes[order].astype(np.int64) + 3) >> 2)
        start = 0
        while start < len(order):
            stop = min(start + self._rows, len(order))
            if not few:
                used = int(ends[start - 1]) if start else 0
                stop = min(stop, max(int(np.searchsorted(ends, used + MAX_BLOB_WORDS, side="right")), start + 1))
            yield order[start:stop]
            start = stop

    def _gathered(
        self, listed: Listed, samples: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """A copy of all payloads in one place, and where each of them is (int64, beside the arrays of `listed`)."""
        words = np.empty(int(((listed.size[samples].astype(np.int64) + 3) >> 2).sum()) + SPARE_WORDS, np.uint32)
        at = np.empty(listed.used, np.int64)
        used = 0
        for buffer, mine in _by_buffer(listed.buffer, samples):
            source = self._buffers[buffer]
            used = int(table_kernels.copy_payloads(source, listed.at, listed.size, samples[mine], words, at, used))
        words.flags.writeable = False  # as mapped files are: loops are compiled for one kind
        return words, at

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

        Compressed files are read front to back: a block counts as early as the earliest after it.
        """
        first, last, add_ns = self._window.tolist()
        least_lag: dict[int, int] = {}
        order = []
        for number in range(len(self._chunks) - 1, -1, -1):
            chunk = self._chunks[number]
            least, greatest = chunk.least + add_ns, chunk.greatest + add_ns
            if chunk.least > chunk.greatest or greatest < first or least > last:
                continue
            if self._sources[chunk.source].packed:
                least = least_lag[chunk.source] = min(least, least_lag.get(chunk.source, least))
            order.append((least, number))
        return sorted(order)

    def _list(self, listed: Listed, buffer: int, block: Block, room: int) -> None:
        """List the wanted samples of a block, which are `room` at most."""
        wanted = self._wanted
        listed.make_room(room)
        start = listed.used
        n = int(
            kernels.list_samples(
                block.words,
                block.begin,
                block.end,
                self._events.tables,
                wanted.kind_of_event,
                wanted.stack_kind,
                self._window,
                listed.time_ns[start:],
                listed.cpu[start:],
                listed.tid[start:],
                listed.kind[start:],
                listed.at[start:],
                listed.size[start:],
            )
        )
        listed.used += n
        listed.buffer[start : listed.used] = buffer

    def _forget(self, waiting: Listed) -> None:
        """Release unpacked blocks that no waiting sample is in."""
        files = len(self._chunks)
        oldest = int(waiting.buffer[: waiting.used].min()) if waiting.used else files
        for number in [number for number in self._buffers if number < min(oldest, files)]:
            del self._buffers[number]

    def _taken(self, listed: Listed, order: npt.NDArray[np.int64]) -> RecordRows:
        n, plan = len(order), self._wanted.plan
        rows = RecordRows(
            np.empty(n, np.int64),
            np.empty(n, np.uint16),
            np.empty(n, np.int32),
            np.empty(n, np.uint16),
            np.empty((n, 2), np.uint8),
            np.empty((n, plan.field_at.shape[1]), np.int64),
            np.empty(0, np.uint32),  # whoever wants bytes takes batches
            np.zeros((0, 2), np.int64),
        )
        table_kernels.take_heads(
            order, listed.time_ns, listed.cpu, listed.tid, listed.kind, rows.time_ns, rows.cpu, rows.tid, rows.kind
        )
        for buffer, mine in _by_buffer(listed.buffer, order):
            table_kernels.take_fields(
                self._buffers[buffer],
                listed.at,
                order,
                mine,
                rows.kind,
                plan.n_fields,
                plan.field_at,
                plan.blank,
                int(self._events.tables[kernels.BIG_ENDIAN]),
                int(self._events.tables[kernels.FLAGS_OFFSET]),
                int(self._events.tables[kernels.PREEMPT_OFFSET]),
                rows.common,
                rows.fields,
            )
        return rows


def _by_buffer(
    buffers: npt.NDArray[np.int32], order: npt.NDArray[np.int64]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """(buffer, rows that lie in it) for rows in this order."""
    of_row = buffers[order]
    if of_row.min() == of_row.max():
        yield int(of_row[0]), np.arange(len(order))
        return
    by_buffer = np.argsort(of_row, kind="stable")
    starts = np.flatnonzero(np.diff(of_row[by_buffer], prepend=of_row[by_buffer[0]] - 1))
    for rows in np.split(by_buffer, starts[1:]):
        yield int(of_row[rows[0]]), rows
