"""Names of tasks from the events that change them, for containers that save one name per thread id (saved_cmdlines).

task:task_rename           pid, oldcomm, newcomm       exec, prctl(PR_SET_NAME)      (__set_task_comm(), fs/exec.c)
task:task_newtask          pid, comm                   a new task: the id had another owner before
sched:sched_process_fork   child_pid, child_comm       likewise
sched:sched_process_exec   pid, filename               the name becomes the file's
sched:sched_process_exit   pid, comm                   the id is free soon after
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.tasks.names import BEGIN_NS, Change, NameHistory, settled
from tracereplay.schema import integers

if TYPE_CHECKING:
    from tracereplay.parsers.base import TraceReader

TASK_EVENTS = frozenset(
    {"task_rename", "task_newtask", "sched_process_fork", "sched_process_exec", "sched_process_exit"}
)
COMM_CHARS = 15  # TASK_COMM_LEN without the final NUL

USED = ("seq", "time_ns", "pid", "child_pid", "comm_field", "child_comm", "oldcomm", "newcomm", "filename")

Event = tuple[int, int, str, Mapping[str, Any]]  # seq, time_ns, event, fields


def names_recorded(reader: TraceReader) -> NameHistory:
    """The history of the tasks of a trace, from those of TASK_EVENTS that it has."""
    recorded = TASK_EVENTS & reader.info.by_event.keys()
    return names_from_events(reader.tables(recorded), reader.comms) if recorded else NameHistory()


def tables_and_names(reader: TraceReader, names: Collection[str]) -> tuple[dict[str, pa.Table], NameHistory]:
    """`reader.tables(names)` and `names_recorded(reader)`, from one walk over the trace."""
    recorded = TASK_EVENTS & reader.info.by_event.keys()
    tables = reader.tables({*names, *recorded})
    history = names_from_events({name: tables[name] for name in recorded & tables.keys()}, reader.comms)
    return {name: table for name, table in tables.items() if name in names}, history


def names_from_events(tables: Mapping[str, pa.Table], saved: Mapping[int, str]) -> NameHistory:
    """The history of the tasks in these tables (of TASK_EVENTS). saved -- each task's name when recording ended."""
    return NameHistory(RecordedChanges(tables, saved))


class RecordedChanges(Mapping[int, list[Change]]):
    """Changes by tid, computed at first use: a trace has many tasks, and few of them are looked up."""

    def __init__(self, tables: Mapping[str, pa.Table], saved: Mapping[int, str]) -> None:
        found = ((name, _TaskRows.of(table)) for name, table in tables.items())
        self._tables = {name: rows for name, rows in found if rows is not None}
        self._saved, self._renames_recorded = saved, "task_rename" in tables
        self._known: dict[int, list[Change]] = {}

    def __getitem__(self, tid: int) -> list[Change]:
        if tid not in self._known:
            events = [
                (row["seq"], row["time_ns"], name, row) for name, rows in self._tables.items() for row in rows[tid]
            ]
            if not events:
                raise KeyError(tid)
            self._known[tid] = settled(_changes(events, self._saved.get(tid), self._renames_recorded))
        return self._known[tid]

    def __iter__(self) -> Iterator[int]:
        tids = [rows.tids for rows in self._tables.values()]
        return iter(np.unique(np.concatenate(tids)).tolist() if tids else ())

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(slots=True)
class _TaskRows:
    """The rows of one table by task: tids ascending, and the row of each."""

    columns: dict[str, pa.ChunkedArray]
    tids: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table) -> _TaskRows | None:
        """None where the table does not tell whose name changes."""
        columns = {name: table.column(name) for name in USED if name in table.column_names}
        owner = columns.get("child_pid", columns.get("pid"))
        if owner is None or not pa.types.is_integer(owner.type):
            return None
        tids = integers(owner)
        order = np.argsort(tids, kind="stable")
        order = order[np.searchsorted(tids[order], 0) :]  # null: damage
        return cls(columns, tids[order], order)

    def __getitem__(self, tid: int) -> list[dict[str, Any]]:
        begin, end = np.searchsorted(self.tids, [tid, tid + 1]).tolist()
        rows = self.order[begin:end].tolist()
        return [{name: column[row].as_py() for name, column in self.columns.items()} for row in rows]


def _changes(events: Sequence[Event], saved: str | None, renames_recorded: bool) -> list[Change]:
    """Names of one task id.

    Without task_rename the name at exit, or the saved one, counts from the start of that life on: fork gives the
    parent's name, which exec replaces soon after.
    """
    changes: list[Change] = [(BEGIN_NS, None)]
    exit_ns: int | None = None

    def settle(name: str | None) -> None:
        if not renames_recorded or changes[-1][1] is None:
            changes[-1] = (changes[-1][0], name)

    for _, time_ns, event, row in sorted(events, key=lambda event: event[0]):
        exit_ns = None
        if event == "task_rename":
            if changes == [(BEGIN_NS, None)]:
                changes = [(BEGIN_NS, _text(row, "oldcomm"))]
            changes.append((time_ns, _text(row, "newcomm")))
        elif event == "sched_process_exec":
            file = (_text(row, "filename") or "").rpartition("/")[2]
            changes.append((time_ns, file[:COMM_CHARS] or None))
        elif event == "sched_process_exit":  # it runs on: its files are closed after the event (do_exit(), 6.12)
            settle(_text(row, "comm_field"))
            exit_ns = time_ns
        else:
            changes.append((time_ns, _text(row, "child_comm") or _text(row, "comm_field")))
    if saved is not None and saved != changes[-1][1]:
        if exit_ns is None:
            settle(saved)
        else:  # the name of the id's next owner, whose start was not recorded
            changes.append((exit_ns, None))
    return changes


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None
