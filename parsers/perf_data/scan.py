"""The first reading of perf.data records: what there is, where and when, which tasks, and what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tracereplay.losses import Loss
from tracereplay.parsers.events.cpu_coverage import CpuActivity
from tracereplay.parsers.perf_data import record_kernels as kernels
from tracereplay.parsers.perf_data.attrs import Events
from tracereplay.parsers.perf_data.comms import TaskChanges
from tracereplay.parsers.perf_data.losses import LossTracker
from tracereplay.parsers.perf_data.records import Block, Records

# enum perf_event_type
LOST, COMM, FORK, LOST_SAMPLES, ID_INDEX, THREAD_MAP = 2, 3, 7, 13, 69, 73
ID_ENTRY_BYTES = 32  # struct id_index_entry: id, idx, cpu, tid
THREAD_ENTRY_BYTES = 24  # struct perf_record_thread_map_entry: u64 pid, comm[16]
ALL_TASKS = (1 << 64) - 1  # the one pid of a map that stands for no task: perf record -a, -C
MOST_TASKS_NAMED = 8
FINISHED_ROUND = 68  # perf wrote it when it had emptied all buffers once
# How `scan_block` takes them: 1 = noted, 2 = noted, and events of its CPU are missing there, 3 = the end of a round.
SPECIAL = np.zeros(256, np.uint8)
SPECIAL[[COMM, FORK, ID_INDEX, THREAD_MAP]] = 1
SPECIAL[[LOST, LOST_SAMPLES]] = 2
SPECIAL[FINISHED_ROUND] = 3
MISC_LOST_BY_BPF = 1 << 15  # PERF_RECORD_MISC_LOST_SAMPLES_BPF: left out by a filter, not lost
NOTES = 1 << 12
_NS_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Chunk:
    """A block of one file, its number there, its samples (and stacks), and their times (least > greatest: none).

    at, end -- its place in the file; -1 where it is compressed.
    """

    source: int
    index: int
    rows: int
    at: int
    end: int
    least: int
    greatest: int


@dataclass(slots=True)
class Scan:
    """What the first reading found.

    totals int64[events + 1, 3] -- samples, stacks and bad samples by event, as in `record_kernels`; the last row: of
    no known event. cpu_first, cpu_last, cpu_silence int64[65536] -- times by CPU, and the longest between two samples;
    cpus -- those that were recorded, where the file tells; tids uint8[tasks] -- 1: it has samples.
    """

    totals: npt.NDArray[np.int64]
    chunks: list[Chunk] = field(default_factory=list)
    tasks: TaskChanges = field(default_factory=TaskChanges)
    losses: list[Loss] = field(default_factory=list)
    cpu_first: npt.NDArray[np.int64] = field(default_factory=lambda: np.full(kernels.MAX_CPU + 1, _NS_MAX, np.int64))
    cpu_last: npt.NDArray[np.int64] = field(default_factory=lambda: np.full(kernels.MAX_CPU + 1, -1, np.int64))
    cpu_silence: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(kernels.MAX_CPU + 1, np.int64))
    cpus: frozenset[int] = frozenset()
    tids: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(kernels.MAX_TID, np.uint8))

    def tasks_seen(self) -> list[int]:
        """Tasks that have samples."""
        eights = np.flatnonzero(self.tids.view(np.uint64))
        places = (8 * eights[:, None] + np.arange(8)).reshape(-1)
        return [int(tid) for tid in places[self.tids[places] > 0]]

    def activity(self) -> dict[int, CpuActivity]:
        """The CPUs that have samples; times as recorded."""
        cpus = np.flatnonzero(self.cpu_first <= self.cpu_last)
        columns = (cpus, self.cpu_first[cpus], self.cpu_last[cpus], self.cpu_silence[cpus])
        return {cpu: CpuActivity(*times) for cpu, *times in zip(*(c.tolist() for c in columns), strict=True)}

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
        self._losses = LossTracker()
        self._open_cpus = np.zeros(kernels.MAX_CPU + 1, np.int64)
        self._notes = np.zeros((NOTES, kernels.SPECIAL_FIELDS), np.int64)
        self._state = np.full(kernels.STATE_FIELDS, -1, np.int64)
        self._order: Literal["big", "little"] = "big" if events.tables[kernels.BIG_ENDIAN] else "little"

    def read(self, number: int, records: Records) -> None:
        """All blocks of one file."""
        self._state[:] = -1
        for index, (at, block) in enumerate(records.blocks()):
            span = np.array([_NS_MAX, -1], np.int64)
            before = self._rows()
            self._block(block, span)
            self._state[kernels.LATEST] = max(self._state[kernels.LATEST], span[1])
            end = at + block.end - block.begin if at >= 0 else -1
            self.found.chunks.append(Chunk(number, index, self._rows() - before, at, end, int(span[0]), int(span[1])))
        # records of a round are never earlier than the latest of the round before the last
        since = int(self._state[kernels.ROUND_BEFORE])
        start = since if since >= 0 else None
        self.found.losses += [replace(loss, start_ns=start) for loss in records.losses]

    def _rows(self) -> int:
        return int(self.found.totals[:, : kernels.BAD].sum())

    def _block(self, block: Block, span: npt.NDArray[np.int64]) -> None:
        events, found = self.events, self.found
        at = block.begin
        while at < block.end:
            at = int(
                kernels.scan_block(
                    block.words,
                    at,
                    block.end,
                    events.tables,
                    SPECIAL,
                    events.trailer,
                    found.totals,
                    span,
                    found.cpu_first,
                    found.cpu_last,
                    found.cpu_silence,
                    self._open_cpus,
                    found.tids,
                    self._notes,
                    self._state,
                )
            )
            for place, cpu, time, before in self._notes[: int(self._state[kernels.NOTED])].tolist():
                if place < 0:
                    self._losses.resumed(cpu, time)
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
            self._losses.lost(self._number(record, 16, 8), cpu, time, before)
        elif kind == ID_INDEX:
            self._index(record[:size])
        elif kind == THREAD_MAP:
            self._tasks(record[:size])
        elif not misc & MISC_LOST_BY_BPF:
            count = self._number(record, 8, 8)
            if time != 0:
                self._losses.lost(count, cpu, time, before)
            else:
                number = self._number(record, size - 8, 8) if self.events.trailer[0] else -1
                self._losses.counter_closed(count, number, self._names.get(number, "unknown"))

    def _index(self, record: bytes) -> None:
        """ID_INDEX: which CPU each id belongs to."""
        count = min(self._number(record, 8, 8), (len(record) - 16) // ID_ENTRY_BYTES)
        for at in range(16, 16 + ID_ENTRY_BYTES * count, ID_ENTRY_BYTES):
            cpu = self._number(record, at + 16, 8)
            if cpu <= kernels.MAX_CPU:
                self._losses.cpu_of_id[self._number(record, at, 8)] = cpu

    def _tasks(self, record: bytes) -> None:
        """THREAD_MAP: the tasks that were recorded (-p, -t, or a command), where not all were."""
        count = min(self._number(record, 8, 8), (len(record) - 16) // THREAD_ENTRY_BYTES)
        pids = [self._number(record, 16 + THREAD_ENTRY_BYTES * place, 8) for place in range(count)]
        if not pids or ALL_TASKS in pids:
            return
        named = ", ".join(map(str, pids[:MOST_TASKS_NAMED])) + (" ..." if len(pids) > MOST_TASKS_NAMED else "")
        self.found.losses.append(Loss("tasks_left_out", detail=f"recorded: {named}"))

    def _number(self, data: bytes, at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], self._order)

    def finish(self) -> None:
        """Losses, once all files are read."""
        # samples without a CPU say nothing of any
        self.found.cpu_first[kernels.MAX_CPU], self.found.cpu_last[kernels.MAX_CPU] = _NS_MAX, -1
        self.found.cpus = frozenset(self._losses.cpu_of_id.values())
        self.found.losses += self._losses.result(self.found.cpu_last)
