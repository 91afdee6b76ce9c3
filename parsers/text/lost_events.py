"""What trace text says is missing, as intervals on a CPU: from its last event before the mark to its next one."""

from __future__ import annotations

import numpy as np

from tracereplay.losses import Loss
from tracereplay.parsers.events.cpu_coverage import CpuActivity, coverage_losses
from tracereplay.parsers.text.lines_ftrace import NO_CPU, NO_TIME, LineBlock, LostMark


class LossScan:
    """Follows the CPUs through a file."""

    def __init__(self) -> None:
        self._losses: list[Loss] = []
        self._first_ns: dict[int, int] = {}
        self._last_ns: dict[int, int] = {}
        self._open: dict[int, list[tuple[LostMark, int | None]]] = {}  # marks whose CPU's next event has not come
        self._silence_ns: dict[int, int] = {}
        self._empty: set[int] = set()  # CPUs said to have recorded nothing
        self._overwritten: int | None = None

    def take(self, block: LineBlock) -> None:
        """Take a block."""
        if block.overwritten:
            self._overwritten = (self._overwritten or 0) + block.overwritten
        events = _by_cpu(block)
        for cpu, (_, times) in events.items():
            self._first_ns.setdefault(cpu, int(times[0]))
        self._close(events)
        for mark in block.lost:
            rows, times = events.get(mark.cpu, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
            place = int(np.searchsorted(rows, mark.row))
            before = int(times[place - 1]) if place else self._last_ns.get(mark.cpu)
            if place < len(rows):
                self._add(mark, before, int(times[place]))
            else:
                self._open.setdefault(mark.cpu, []).append((mark, before))
        self._empty.update(block.empty)
        for cpu, (_, times) in events.items():
            before = self._last_ns.get(cpu, int(times[0]))
            silence = max(int(times[0]) - before, int(np.diff(times).max(initial=0)))
            self._silence_ns[cpu] = max(silence, self._silence_ns.get(cpu, 0))
            self._last_ns[cpu] = int(times[-1])

    def _close(self, events: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
        """Marks of earlier blocks end at their CPU's first event of this one."""
        for cpu in self._open.keys() & events.keys():
            for mark, before in self._open.pop(cpu):
                self._add(mark, before, int(events[cpu][1][0]))

    def _add(self, mark: LostMark, start_ns: int | None, end_ns: int | None) -> None:
        if not mark.starts:
            self._losses.append(Loss("lost_events", mark.count, mark.cpu, start_ns, end_ns))
        elif start_ns is None:  # a CPU that had events before did not start here
            self._losses.append(Loss("cpu_starts_late", None, mark.cpu, None, end_ns))

    def result(self, cpus: int | None, *, ticks: bool) -> list[Loss]:
        """All losses; overwritten entries were older than the oldest event of their CPU, whichever that was.

        cpus -- how many CPUs the text says there were.
        """
        for marks in self._open.values():
            for mark, before in marks:
                self._add(mark, before, None)
        self._open.clear()
        if self._overwritten:
            self._losses.insert(
                0, Loss("overrun", self._overwritten, None, None, max(self._first_ns.values(), default=None))
            )
        active = {
            cpu: CpuActivity(min(first, last), max(first, last), self._silence_ns[cpu])
            for cpu, first in self._first_ns.items()
            if cpu != NO_CPU and (last := self._last_ns[cpu]) is not None
        }
        return self._losses + coverage_losses(active, self._empty, cpus, known_losses=self._losses, ticks=ticks)


def _by_cpu(block: LineBlock) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Rows and times of each CPU, in file order; events without a time are passed over."""
    cpus = np.array([task.cpu for task in block.tasks], np.int64)[block.task]
    cpus[block.time_ns == NO_TIME] = -1
    found = {}
    for cpu in np.flatnonzero(np.bincount(cpus + 1)[1:]).tolist():
        rows = np.flatnonzero(cpus == cpu)
        found[cpu] = (rows, block.time_ns[rows])
    return found
