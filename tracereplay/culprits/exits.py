"""When tasks exited: of few takers only, so the events are read when first used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from tracereplay.attempts.detected_attempt import Moment

EXIT_EVENT = "sched_process_exit"


@dataclass(slots=True)
class Exits:
    """Exits of tasks, by thread id. fetch -- the table of their events; None: not recorded."""

    fetch: Callable[[], pa.Table | None]
    _by_tid: dict[int, list[Moment]] | None = None

    def of(self, tid: int, since_ns: int, until_ns: int) -> Moment | None:
        """The first exit of this thread id within these times (both included)."""
        if self._by_tid is None:
            self._by_tid = self._read()
        return next((moment for moment in self._by_tid.get(tid, ()) if since_ns <= moment.ns <= until_ns), None)

    def _read(self) -> dict[int, list[Moment]]:
        table = self.fetch()
        found: dict[int, list[Moment]] = {}
        if table is not None:
            columns = (table[name].to_pylist() for name in ("tid", "time_ns", "cpu"))
            for tid, ns, cpu in zip(*columns, strict=True):
                found.setdefault(tid, []).append(Moment(ns, cpu, EXIT_EVENT))
        return found
