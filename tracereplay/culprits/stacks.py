"""Kernel stacks of single events: found when requested, numbered once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.model.result import Stack
from tracereplay.schema import INTERRUPT_FLAGS, integers

# The stacktrace trigger writes the stack right after its event, on the same CPU: within microseconds, or later where
# the CPU is a virtual one that had to wait in between. Then nothing but interrupts has recorded an event meanwhile.
STACK_DELAY_NS = 1_000_000
LATE_STACK_NS = 100_000_000
STACK = "kernel_stack"

FetchStacks = Callable[[int, int], pa.Table | None]  # kernel_stack events between two times (both included)
FetchEvents = Callable[[int, int], Mapping[str, pa.Table]]  # all events between them
NameAddress = Callable[[int], str | None]


@dataclass(slots=True)
class Stacks:
    """Stacks of events, by (time, cpu, tid)."""

    fetch: FetchStacks
    name_of: NameAddress
    exact: bool = False  # perf: a stack carries its event's own time
    events: FetchEvents | None = None
    _known: dict[tuple[int, int, int], tuple[str, ...] | None] = field(default_factory=dict)
    _ids: dict[tuple[str, ...], str] = field(default_factory=dict)

    def of(self, ns: int, cpu: int, tid: int) -> tuple[str, ...] | None:
        """Function names, innermost first; None where no stack was recorded."""
        key = (ns, cpu, tid)
        if key not in self._known:
            self._known[key] = self._find(ns, cpu, tid)
        return self._known[key]

    def id_of(self, ns: int, cpu: int, tid: int) -> str | None:
        """The stack's id in the document; None where there is none."""
        frames = self.of(ns, cpu, tid)
        if frames is None:
            return None
        return self._ids.setdefault(frames, f"stack-{len(self._ids)}")

    def listed(self) -> list[Stack]:
        """Every stack that was given an id."""
        return [Stack(id=name, frames=list(frames)) for frames, name in self._ids.items()]

    def _find(self, ns: int, cpu: int, tid: int) -> tuple[str, ...] | None:
        row = self._row(ns, ns if self.exact else ns + STACK_DELAY_NS, cpu, tid)
        if row is None and not self.exact and self.events is not None:
            row = self._row(ns + STACK_DELAY_NS, ns + LATE_STACK_NS, cpu, tid)
            if row is not None and not _is_next(row, self.events(ns, int(row["time_ns"])), ns):
                return None
        if row is None:
            return None
        if "frames" in row:
            return tuple(row["frames"])
        callers = row.get("caller")
        addresses = callers if isinstance(callers, list) else ()  # a damaged format may call it anything
        return tuple(self.name_of(address) or f"{address:#x}" for address in addresses)

    def _row(self, start_ns: int, end_ns: int, cpu: int, tid: int) -> dict[str, Any] | None:
        """The first stack of this task on this CPU between these times."""
        table = self.fetch(start_ns, end_ns)
        if table is None:
            return None
        places = np.flatnonzero(_is_of(table, cpu, tid))
        return table.slice(int(places[0]), 1).to_pylist()[0] if len(places) else None


def _is_of(table: pa.Table, cpu: int, tid: int) -> npt.NDArray[np.bool_]:
    cpus, tids = integers(table["cpu"]), integers(table["tid"])
    found: npt.NDArray[np.bool_] = (cpus == cpu) & (tids == tid)
    return found


def _is_next(stack: Mapping[str, Any], events: Mapping[str, pa.Table], ns: int) -> bool:
    """Whether its task recorded nothing else on its CPU since, interrupts left out."""
    for name, table in events.items():
        others = _is_of(table, stack["cpu"], stack["tid"]) & (integers(table["common_flags"]) & INTERRUPT_FLAGS == 0)
        times = integers(table["time_ns"])[others]
        if np.any((times > ns) & (times < stack["time_ns"] + (name != STACK))):
            return False
    return True
