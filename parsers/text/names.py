"""Names of tasks as lines of trace text give them, and from when on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.tasks.names import MAX_CHANGES_OF_A_TASK, UNKNOWN_COMM, Change, NameHistory
from tracereplay.parsers.text.lines_ftrace import NO_TID, NO_TIME, LineBlock

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class NameScan:
    """Follows the tasks through a file. last -- the last name of each; `<...>` is none."""

    last: dict[int, str] = field(default_factory=dict)
    _now: dict[int, str] = field(default_factory=dict)  # as printed, of lines with a time
    _changes: dict[int, list[Change]] = field(default_factory=dict)
    _history: NameHistory | None = None

    def take(self, block: LineBlock) -> None:
        """Take a block. Rows are looked at only of tasks that have several names in it."""
        last = _last_rows(block.task, len(block.tasks))
        for _, task in sorted(zip(last.tolist(), block.tasks, strict=True), key=lambda pair: pair[0]):
            if task.comm != UNKNOWN_COMM and task.tid != NO_TID:
                self.last[task.tid] = task.comm
        timed = np.flatnonzero(block.time_ns != NO_TIME)
        if len(timed) < len(block):
            self._take(block, block.task[timed], block.time_ns[timed])
        else:
            self._take(block, block.task, block.time_ns)

    def _take(self, block: LineBlock, task: Ints, time_ns: Ints) -> None:
        """Lines with a time: their tasks (indices into `block.tasks`) and times."""
        first = len(task) - 1 - _last_rows(task[::-1], len(block.tasks))
        places: dict[int, dict[str, list[int]]] = {}  # by tid and name: numbers of tasks, one for each CPU
        for number, row in enumerate(first.tolist()):
            if row < len(task):
                one = block.tasks[number]
                places.setdefault(one.tid, {}).setdefault(one.comm, []).append(number)
        places.pop(NO_TID, None)
        for tid, names in places.items():
            if len(names) == 1:
                ((name, numbers),) = names.items()
                if self._now.get(tid) != name:
                    self._note(tid, name, int(time_ns[first[numbers].min()]))
                continue
            rows = np.flatnonzero(np.isin(task, [number for numbers in names.values() for number in numbers]))
            comms = [block.tasks[number].comm for number in task[rows].tolist()]
            for before, comm, row in zip([self._now.get(tid), *comms[:-1]], comms, rows.tolist(), strict=True):
                if before != comm:
                    self._note(tid, comm, int(time_ns[row]))

    def _note(self, tid: int, name: str, time_ns: int) -> None:
        self._now[tid] = name
        changes = self._changes.setdefault(tid, [])
        if len(changes) <= MAX_CHANGES_OF_A_TASK:
            changes.append((time_ns, None if name == UNKNOWN_COMM else name))

    def history(self) -> NameHistory:
        """All changes; made once, when the file has been read."""
        if self._history is None:
            changes = self._changes.items()
            self._history = NameHistory.of((tid, *change) for tid, many in changes for change in many)
        return self._history


def _last_rows(task: Ints, tasks: int) -> Ints:
    """int64[tasks]: the last row of each task, -1 = it has none."""
    last = np.full(tasks, -1, np.int64)
    last[task] = np.arange(len(task))
    return last
