"""The events attempts are found in, by task: few enough to hold, unlike the page stream."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.attempt_events import ATTEMPT_EVENTS, RECLAIM_WINDOWS
from tracereplay.schema import PageStream, integers

# Without any of these no attempt can be found.
TELLTALE_EVENTS = frozenset(ATTEMPT_EVENTS) - {
    "cma_release",
    "folio_wait_writeback",
    "wait_on_page_writeback",
    "console",
    "mark_victim",
    *(name for window in RECLAIM_WINDOWS for name in window),
}

# An event whose format text lacks these is damaged: a range that begins at 0 for want of a field would be invented.
NEEDED_FIELDS = {
    "test_pages_isolated": {"start_pfn", "end_pfn", "fin_pfn"},
    "mm_compaction_isolate_migratepages": {"start_pfn", "end_pfn"},
    "cma_alloc_busy_retry": {"pfn"},
}

# The page stream of one task between two times (both included): what it did to which pages.
TaskStream = Callable[[int, int, int], PageStream]
NO_PFN = -1
Migration = tuple[int, int, int, int]  # start_ns, end_ns (-1 = not seen), pages moved, pages that failed


def enabled_events(seen: Collection[str], formats: Collection[str] | None, exact: bool) -> frozenset[str]:
    """Events known to have been enabled: those that occurred, and those the file lists as enabled.

    perf.data lists exactly what was opened (`exact`). trace.dat has formats: `trace-cmd record` writes those of the
    enabled events, `trace-cmd extract` those of every event of the kernel. Every kernel has sched_switch: with its
    format among them they may be all.
    """
    listed = formats is not None and (exact or "sched_switch" not in formats)
    return frozenset(seen).union(formats or ()) if listed else frozenset(seen)


@dataclass(frozen=True, slots=True)
class EventRows:
    """Rows of one event: equally long columns in time order."""

    columns: Mapping[str, npt.NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.columns["time_ns"])

    def __getitem__(self, name: str) -> npt.NDArray[np.generic]:
        return self.columns[name]

    @property
    def time_ns(self) -> npt.NDArray[np.int64]:
        """Time stamps."""
        return self.columns["time_ns"].astype(np.int64, copy=False)

    def ints(self, name: str, default: int = 0) -> npt.NDArray[np.int64]:
        """A numeric column as int64; `default` where the kernel's event has no such field."""
        if name not in self.columns:
            return np.full(len(self), default, np.int64)
        return self.columns[name].astype(np.int64, copy=False)

    def text(self, name: str, row: int) -> str | None:
        """One string."""
        value = self.columns[name][row] if name in self.columns else None
        return None if value is None else str(value)

    def take(self, chosen: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> EventRows:
        """Some of the rows."""
        return EventRows({name: column[chosen] for name, column in self.columns.items()})

    def between(self, start_ns: int, end_ns: int) -> EventRows:
        """Rows with start_ns <= time <= end_ns."""
        low = np.searchsorted(self.time_ns, start_ns, "left")
        high = np.searchsorted(self.time_ns, end_ns, "right")
        return self.take(slice(int(low), int(high)))


def _column(column: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    if pa.types.is_integer(column.type):
        return integers(column, NO_PFN)
    objects = np.empty(len(column), object)
    objects[:] = column.to_pylist()
    return objects


@dataclass(slots=True)
class AttemptEvents:
    """The attempt-level events of a trace, and ways to ask for more of one task."""

    tables: Mapping[str, pa.Table]
    task_stream: TaskStream
    end_ns: int  # end of the trace
    comm_of: Callable[[int], str | None]
    hides: Callable[[int, int], bool] = lambda _start, _end: False  # may events of this interval be lost?
    recorded_events: frozenset[str] | None = None  # names of events known to have been enabled; None: all
    _rows: dict[str, EventRows] = field(default_factory=dict)
    _by_task: dict[tuple[str, int], EventRows] = field(default_factory=dict)
    _migrations: dict[tuple[int, int], list[Migration]] = field(default_factory=dict)

    def recorded(self, *names: str) -> bool:
        """Whether all of these kinds of events were enabled: only then does the absence of one show anything."""
        return self.recorded_events is None or self.recorded_events.issuperset(names)

    def of(self, event: str, tid: int | None = None) -> EventRows:
        """All rows of an event, or one task's; without names of tasks, which `comm_of` gives."""
        if event not in self._rows:
            table = self.tables.get(event)
            if table is not None and not NEEDED_FIELDS.get(event, set()) <= set(table.column_names):
                table = None
            columns = {} if table is None else {n: _column(table[n]) for n in table.column_names if n != "comm"}
            self._rows[event] = EventRows(columns or {"time_ns": np.empty(0, np.int64), "tid": np.empty(0, np.int64)})
        rows = self._rows[event]
        if tid is None:
            return rows
        if (event, tid) not in self._by_task:
            self._by_task[event, tid] = rows.take(rows.ints("tid") == tid)
        return self._by_task[event, tid]

    def tids(self, *events: str) -> list[int]:
        """Tasks that recorded any of these events."""
        return sorted({int(tid) for event in events for tid in np.unique(self.of(event).ints("tid"))})

    def migrations(
        self, tid: int, reason: int, start_ns: int | None = None, end_ns: int | None = None
    ) -> list[Migration]:
        """migrate_pages() calls of a task for one reason; with times: those that began between them (both included)."""
        key = (tid, reason)
        if key not in self._migrations:
            self._migrations[key] = list(self._pair_migrations(tid, reason))
        calls = self._migrations[key]
        low = 0 if start_ns is None else bisect_left(calls, start_ns, key=itemgetter(0))
        high = len(calls) if end_ns is None else bisect_right(calls, end_ns, key=itemgetter(0))
        return calls[low:high]

    def _pair_migrations(self, tid: int, reason: int) -> Iterator[Migration]:
        ends = self.of("mm_migrate_pages", tid)
        ends = ends.take(ends.ints("reason", -1) == reason)
        starts = self.of("mm_migrate_pages_start", tid)
        starts = starts.take(starts.ints("reason", -1) == reason)
        end_times, ok, bad = ends.time_ns.tolist(), ends.ints("succeeded").tolist(), ends.ints("failed").tolist()
        start_times = starts.time_ns.tolist()
        at = 0
        for i, end_ns in enumerate(end_times):
            begin = end_ns
            while at < len(start_times) and start_times[at] <= end_ns:
                begin = start_times[at]
                at += 1
            yield begin, end_ns, ok[i], bad[i]
        for begin in start_times[at:]:
            yield begin, -1, 0, 0
