"""What perf.data says was lost: as the kernel noted while recording, and each counter when it was closed.

LOST and LOST_SAMPLES records stand in the buffer of their CPU, between the samples that surround the loss. Since 6.1
perf also asks every counter for its lost samples at the end (LOST_SAMPLES without a time): the same losses by event,
and those after the last sample of a CPU, of which no record could tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tracereplay.losses import Loss

MAX_EVENTS_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Open:
    """A loss whose CPU has had no sample since."""

    count: int
    before_ns: int | None


@dataclass(slots=True)
class LossTracker:
    """Follows the losses of all CPUs through the files."""

    cpu_of_id: dict[int, int] = field(default_factory=dict)
    _losses: list[Loss] = field(default_factory=list)
    _open: dict[int, list[_Open]] = field(default_factory=dict)
    _reported: dict[int, int] = field(default_factory=dict)  # by CPU; -1 = unknown
    _at_close: dict[int, dict[str, int]] = field(default_factory=dict)  # by CPU and event

    def lost(self, count: int, cpu: int, time: int, before: int) -> None:
        """A record of a loss, with the time of the CPU's last sample before; -1 = unknown."""
        self._reported[cpu] = self._reported.get(cpu, 0) + count
        if cpu < 0 or time <= 0:
            self._losses.append(Loss("lost_events", count, cpu if cpu >= 0 else None))
        else:
            self._open.setdefault(cpu, []).append(_Open(count, before if before >= 0 else None))

    def resumed(self, cpu: int, time: int) -> None:
        """The first sample of a CPU after its losses."""
        self._losses += [Loss("lost_events", one.count, cpu, one.before_ns, time) for one in self._open.pop(cpu, [])]

    def counter_closed(self, count: int, sample_id: int, name: str) -> None:
        """What a counter lost in all."""
        events = self._at_close.setdefault(self.cpu_of_id.get(sample_id, -1), {})
        events[name] = events.get(name, 0) + count

    def result(self, cpu_last: npt.NDArray[np.int64]) -> list[Loss]:
        """All losses. cpu_last int64[CPUs] -- time of each CPU's last sample, -1 = it has none."""
        for cpu, losses in sorted(self._open.items()):
            self._losses += [Loss("lost_events", one.count, cpu, one.before_ns, None) for one in losses]
        if -1 in self._at_close:  # counters of a task move between CPUs
            self._at_close = {-1: _sum(self._at_close.values())}
            self._reported = {-1: sum(self._reported.values())}
        for cpu, events in sorted(self._at_close.items()):
            known, in_all = self._reported.get(cpu, 0), sum(events.values())
            detail = f"in all {_listed(events)}"
            if in_all > known:
                last = cpu_last[cpu_last >= 0].min(initial=np.iinfo(np.int64).max) if cpu < 0 else cpu_last[cpu]
                start = int(last) if 0 <= last < np.iinfo(np.int64).max else None
                self._losses.append(Loss("lost_events", in_all - known, cpu if cpu >= 0 else None, start, None, detail))
            else:
                self._detail(cpu, detail)
        return self._losses

    def _detail(self, cpu: int, detail: str) -> None:
        """Say beside the first loss of a CPU what was lost there in all."""
        for place, loss in enumerate(self._losses):
            if cpu < 0 or loss.cpu == cpu:
                self._losses[place] = replace(loss, detail=detail)
                return


def _sum(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for events in parts:
        for name, count in events.items():
            total[name] = total.get(name, 0) + count
    return total


def _listed(events: dict[str, int]) -> str:
    """`mm_page_alloc 232, mm_page_free 249`, the most frequent first."""
    ordered = sorted(events.items(), key=lambda event: (-event[1], event[0]))
    words = [f"{name} {count}" for name, count in ordered[:MAX_EVENTS_LISTED]]
    rest = len(ordered) - MAX_EVENTS_LISTED
    return ", ".join(words) + (f" and {rest} more events" if rest > 0 else "")
