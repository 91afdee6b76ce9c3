"""Names of tasks over time: a thread id is used again, and a task changes its name (exec, prctl)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from tracereplay.losses import Loss

Change = tuple[int, str | None]  # from this time (ns) on; None = unknown

UNKNOWN_COMM = "<...>"  # what the kernel prints for a task whose name it did not save
BEGIN_NS = -(1 << 63)  # of a name that holds from before the first event
# A task that changes its name more often (hostile text) has no known name from there on.
MAX_CHANGES_OF_A_TASK = 1 << 10


def unresolved(tids: Iterable[int], named: Container[int]) -> list[Loss]:
    """The loss of the tasks, of these, that have no name."""
    unnamed = sum(tid not in named for tid in tids)
    return [Loss("comm_unresolved", unnamed)] if unnamed else []


def settled(changes: Iterable[Change]) -> list[Change]:
    """One task's changes by time; of equal times the last counts. Repeated names are dropped."""
    known: list[Change] = []
    for time_ns, name in sorted(changes, key=itemgetter(0)):
        if known and known[-1][0] == time_ns:
            known.pop()
        if not (known and known[-1][1] == name) and len(known) <= MAX_CHANGES_OF_A_TASK:
            known.append((time_ns, name if len(known) < MAX_CHANGES_OF_A_TASK else None))
    return known


@dataclass(slots=True)
class NameHistory:
    """Changes of names by tid, ascending in time. Tasks with one name throughout need no entry."""

    changes: Mapping[int, list[Change]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, str | None]]) -> NameHistory:
        """From (tid, time_ns, name) in any order; of equal times the last row counts. Repeated names are dropped."""
        by_tid: dict[int, list[Change]] = {}
        for tid, time_ns, name in rows:
            by_tid.setdefault(tid, []).append((time_ns, name))
        return cls({tid: settled(changes) for tid, changes in by_tid.items()})

    def rows_of(self, tids: Iterable[int]) -> Iterator[tuple[int, int, str | None]]:
        """(tid, time_ns, name) of every change of these tasks, by tid and time."""
        return ((tid, *change) for tid in sorted(tids) for change in self.changes.get(tid, ()))

    def rows(self) -> Iterator[tuple[int, int, str | None]]:
        """(tid, time_ns, name) of every change, by tid and time."""
        return self.rows_of(self.changes)

    def last_change(self, tid: int, time_ns: int) -> Change | None:
        """The change that holds at this time; None where the first one is later or there is none."""
        changes = self.changes.get(tid, ())
        place = bisect_right(changes, time_ns, key=lambda change: change[0])
        return changes[place - 1] if place else None

    def name_at(self, tid: int, time_ns: int, otherwise: Mapping[int, str]) -> str | None:
        """The name at this time, None = unknown; of a task without entry the name in `otherwise`."""
        if tid not in self.changes:
            return otherwise.get(tid)
        change = self.last_change(tid, time_ns)
        return change[1] if change else None
