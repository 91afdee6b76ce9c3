"""Names of tasks over time: perf writes a record for each new name and each new task, so none has to be guessed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.events.tables import texts_array
from tracereplay.parsers.tasks.names import BEGIN_NS, NameHistory

IDLE = "swapper"
MAX_TID = 1 << 31


@dataclass(slots=True)
class TaskChanges:
    """COMM and FORK records in file order: (time, tid, name), or (time, tid, tid of its parent)."""

    _changes: list[tuple[int, int, str | int]] = field(default_factory=list)

    def renamed(self, time: int, tid: int, name: str) -> None:
        """A COMM record."""
        if 0 < tid < MAX_TID:
            self._changes.append((time, tid, name))

    def forked(self, time: int, tid: int, parent: int) -> None:
        """A FORK record: the new task has its parent's name at first."""
        if 0 < tid < MAX_TID:
            self._changes.append((time, tid, parent))

    def names(self, origin_ns: int) -> TaskNames:
        """All of them in order of time."""
        now: dict[int, str] = {0: IDLE}
        found: list[tuple[int, int, str | None]] = [(0, BEGIN_NS, IDLE)]
        for time, tid, what in sorted(self._changes, key=lambda change: change[0]):
            name = what if isinstance(what, str) else now.get(what)
            if now.get(tid) == name:
                continue
            if name is None:  # the id is used again, by the child of a task without a name
                del now[tid]
            else:
                now[tid] = name
            found.append((tid, time - origin_ns if time else BEGIN_NS, name))
        return TaskNames.over_time(found, now)


@dataclass(slots=True)
class TaskNames:
    """Changes of names sorted by (tid, time): tids int32[n], times int64[n], codes int32[n] into `names`, -1 = unknown.

    last -- each task's last name.
    """

    tids: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]
    names: pa.Array
    last: dict[int, str]

    @classmethod
    def over_time(cls, found: list[tuple[int, int, str | None]], last: dict[int, str]) -> TaskNames:
        """From (tid, time, name) in order of time."""
        found.sort(key=lambda change: change[:2])
        codes: dict[str, int] = {}
        for *_, name in found:
            if name is not None:
                codes.setdefault(name, len(codes))
        return cls(
            np.array([tid for tid, *_ in found], np.int32),
            np.array([time for _, time, _ in found], np.int64),
            np.array([-1 if name is None else codes[name] for *_, name in found], np.int32),
            texts_array(list(codes)),
            last,
        )

    def history(self) -> NameHistory:
        """The same by task."""
        names = [name.as_py() for name in self.names]
        rows = zip(self.tids.tolist(), self.times.tolist(), self.codes.tolist(), strict=True)
        return NameHistory.of((tid, time, names[code] if code >= 0 else None) for tid, time, code in rows)
