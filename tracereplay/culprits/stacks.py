"""Kernel stacks of single events: found when requested, numbered once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from tracereplay.model.result import Stack

# The stacktrace trigger writes the stack right after its event, on the same CPU.
STACK_DELAY_NS = 1_000_000

FetchStacks = Callable[[int, int], pa.Table | None]  # kernel_stack events between two times (both included)
NameAddress = Callable[[int], str | None]


@dataclass(slots=True)
class Stacks:
    """Stacks of events, by (time, cpu, tid)."""

    fetch: FetchStacks
    name_of: NameAddress
    exact: bool = False  # perf: a stack carries its event's own time
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
        table = self.fetch(ns, ns if self.exact else ns + STACK_DELAY_NS)
        if table is None:
            return None
        for row in table.to_pylist():
            if row["cpu"] == cpu and row["tid"] == tid:
                if "frames" in row:
                    return tuple(row["frames"])
                callers = row.get("caller")
                addresses = callers if isinstance(callers, list) else ()  # a damaged format may call it anything
                return tuple(self.name_of(address) or f"{address:#x}" for address in addresses)
        return None
