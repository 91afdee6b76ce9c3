"""The first reading of perf.data records: what there is, where and when, which tasks, and what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tracereplay.losses import Loss
from tracereplay.parsers import perf_data_kernels as kernels
from tracereplay.parsers.perf_data_blocks import Block, Records
from tracereplay.parsers.perf_data_events import Events
from tracereplay.parsers.perf_data_names import TaskChanges

# enum perf_event_type
LOST, COMM, FORK, LOST_SAMPLES = 2, 3, 7, 13
# How `scan_block` takes them: 1 = noted, 2 = events of its CPU are missing there.
SPECIAL = np.zeros(256, np.uint8)
SPECIAL[[COMM, FORK]] = 1
SPECIAL[[LOST, LOST_SAMPLES]] = 2
MISC_LOST_BY_BPF = 1 << 15  # PERF_RECORD_MISC_LOST_SAMPLES_BPF: left out by a filter, not lost
NOTES = 1 << 12
_NS_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Chunk:
    """A block of one file, its number there, and the times of its samples (least > greatest: it has none).

    at, end -- its place in the file; -1 where it is compressed.
    """

    source: int
    index: int
    at: int
    end: int
    least: int
    greatest: int


@dataclass(slots=True)
class _OpenLoss:
    """A loss whose CPU has had no sample since."""

    count: int
    before_ns: int | None


@dataclass(slots=True)
class Scan:
    """What the first reading found.

    totals int64[events + 1, 3] -- samples, stacks and bad samples by event, as in `perf_data_kernels`; the last row: of
    no known event. cpu_first, cpu_last int64[65536] -- times by CPU; tids uint8[tasks] -- 1: it has samples.
    """

    totals: npt.NDArray[np.int64]
    chunks: list[Chunk] = field(default_factory=list)
    tasks: TaskChanges = field(default_factory=TaskChanges)
    losses: list[Loss] = field(default_factory=list)
    cpu_first: npt.NDArray[np.int64] = field(default_factory=lambda: np.full(kernels.MAX_CPU + 1, _NS_MAX, np.int64))
    cpu_last: npt.NDArray[np.int64] = field(default_factory=lambda: np.full(kernels.MAX_CPU + 1, -1, np.int64))
    tids: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(kernels.MAX_TID, np.uint8))
    lost_by_event: dict[str, int] = field(default_factory=dict)

    @property
    def start(self) -> int | None:
        """Least time of all samples, as recorded."""
        return min((chunk.least for chunk in self.chunks if chunk.least <= chunk.greatest), default=None)

    @property
    def end(self) -> int | None:
        """Greatest time of all samples, as recorded."""
        return max((chunk.greatest for chunk in self.chunks if chunk.least <= chunk.greatest), default=None)


def scan(sources: Sequence[Records], events: Events) -> Scan:
    """Read all records once."""
    scanner = _Scanner(events)
    for number, records in enumerate(sources):
        scanner.read(number, records)
    scanner.finish()
    return scanner.found


class _Scanner:
    def __init__(self, events: Events) -> None:
        self.events = events
        self.found = Scan(np.zeros((len(events.attrs) + 1, kernels.TOTAL_FIELDS), np.int64))
        self._names = {
            number: name
            for attr, name in zip(events.attrs, events.names, strict=True)
            for number in attr.ids
            if name is not None
        }
        self._open: dict[int, list[_OpenLoss]] = {}
        self._open_cpus = np.zeros(kernels.MAX_CPU + 1, np.int64)
        self._notes = np.zeros((NOTES, kernels.SPECIAL_FIELDS), np.int64)
        self._order: Literal["big", "little"] = "big" if events.shared[kernels.BIG_ENDIAN] else "little"
        self._lost_in_records = 0
        self._lost_at_close = 0

    def read(self, number: int, records: Records) -> None:
        """All blocks of one file."""
        for index, (at, block) in enumerate(records.blocks()):
            span = np.array([_NS_MAX, -1], np.int64)
            self._block(block, span)
            end = at + block.end - block.begin if at >= 0 else -1
            self.found.chunks.append(Chunk(number, index, at, end, int(span[0]), int(span[1])))
        self.found.losses += records.losses

    def _block(self, block: Block, span: npt.NDArray[np.int64]) -> None:
        events, found = self.events, self.found
        at, state = block.begin, np.zeros(1, np.int64)
        while at < block.end:
            at = int(
                kernels.scan_block(
                    block.words,
                    at,
                    block.end,
                    events.shared,
                    events.layout,
                    events.slot_ids,
                    events.slot_events,
                    events.event_of_id,
                    SPECIAL,
                    events.trailer,
                    found.totals,
                    span,
                    found.cpu_first,
                    found.cpu_last,
                    self._open_cpus,
                    found.tids,
                    self._notes,
                    state,
                )
            )
            for place, cpu, time, before in self._notes[: int(state[0])].tolist():
                if place < 0:
                    self._close(cpu, time)
                else:
                    self._take(block, place, cpu, time, before)

    def _take(self, block: Block, place: int, cpu: int, time: int, before: int) -> None:
        """A record that is no sample."""
        head = block.bytes_at(place, 8)
        kind, misc, size = self._number(head, 0, 4), self._number(head, 4, 2), self._number(head, 6, 2)
        record = block.bytes_at(place, size).ljust(40, b"\0")
        if kind == COMM:
            name = record[16:32].split(b"\0")[0].decode("utf-8", "replace")
            self.found.tasks.renamed(max(time, 0), self._number(record, 12, 4), name)
        elif kind == FORK:
            when = time if time >= 0 else self._number(record, 24, 8)
            self.found.tasks.forked(when, self._number(record, 16, 4), self._number(record, 20, 4))
        elif kind == LOST:
            self._lost(self._number(record, 16, 8), cpu, time, before)
        elif not misc & MISC_LOST_BY_BPF:
            count = self._number(record, 8, 8)
            if time > 0:
                self._lost(count, cpu, time, before)
            else:  # perf asks each counter for its lost samples when it closes it
                self._lost_at_close += count
                trailer = int(self.events.trailer[0])
                name = self._names.get(self._number(record, size - 8, 8)) if trailer else None
                if name is not None:
                    self.found.lost_by_event[name] = self.found.lost_by_event.get(name, 0) + count

    def _number(self, data: bytes, at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], self._order)

    def _lost(self, count: int, cpu: int, time: int, before: int) -> None:
        """Events of a CPU lost between its samples before and behind this place."""
        self._lost_in_records += count
        if cpu < 0 or time <= 0:
            self.found.losses.append(Loss("lost_events", count, cpu if cpu >= 0 else None))
        else:
            self._open.setdefault(cpu, []).append(_OpenLoss(count, before if before >= 0 else None))

    def _close(self, cpu: int, time: int) -> None:
        for loss in self._open.pop(cpu, []):
            self.found.losses.append(Loss("lost_events", loss.count, cpu, loss.before_ns, time))

    def finish(self) -> None:
        """Losses behind the last samples."""
        for cpu, losses in sorted(self._open.items()):
            self.found.losses += [Loss("lost_events", loss.count, cpu, loss.before_ns, None) for loss in losses]
        # the kernel tells of a loss with the next record it can write: what is not told was lost behind all of them
        behind = self._lost_at_close - self._lost_in_records
        if behind > 0:
            starts = self.found.cpu_last[self.found.cpu_last >= 0]
            start = int(starts.min()) if len(starts) else None
            self.found.losses.append(Loss("lost_events", behind, None, start, None, "told when recording ended"))
