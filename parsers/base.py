"""What every trace reader offers, whatever the container: metadata, event tables, the page stream, losses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.tasks.names import NameHistory
from tracereplay.schema import Op, PageStream
from tracereplay.units import NS_PER_S

EXACT_TIME_LIMIT = 1 << 53  # beyond, times are told relative to an origin (DESIGN 4)


def origin_ns(start_ns: int | None, end_ns: int | None) -> int:
    """What is taken off every time of a trace so that doubles hold them exactly: whole seconds, mostly none."""
    return (start_ns or 0) // NS_PER_S * NS_PER_S if (end_ns or 0) >= EXACT_TIME_LIMIT else 0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends included; None = open."""

    start_ns: int | None = None
    end_ns: int | None = None


@dataclass(slots=True)
class TraceInfo:
    """What a file says of itself and of the machine it comes from. Unknown is None."""

    path: Path
    format: str  # "trace.dat v7 (zstd)", "trace-cmd report", "ftrace text" ...
    kernel: str | None = None  # release: 6.12.117
    machine: str | None = None  # x86_64
    boot_id: str | None = None  # boot or trace id: inputs with the same one come from the same boot
    clock: str | None = None  # local, global, mono, boot, x86-tsc ...
    clock_unit: str = "ns"  # "ns" or "tick"
    origin_ns: int = 0
    page_size_bytes: int | None = None
    memory_block_bytes: int | None = None
    memory_blocks: tuple[int, ...] = ()  # numbers of the memory blocks present; empty where it does not tell
    cpus: int | None = None
    by_event: dict[str, int] = field(default_factory=dict)  # events by name
    enabled_events: frozenset[str] | None = None  # events whose format the file carries; None where it cannot tell
    start_ns: int | None = None
    end_ns: int | None = None
    has_stacks: bool = False
    content: Path | None = None  # where the bytes lie when not at `path`: a copy of standard input or of a pipe

    @property
    def events(self) -> int:
        """Number of events."""
        return sum(self.by_event.values())


class TraceReader(Protocol):
    """A trace that has been opened. Reading is repeatable; every read yields events in (time, cpu, file) order."""

    @property
    def info(self) -> TraceInfo:
        """Metadata; counts and times are exact (the container has been scanned once)."""

    @property
    def losses(self) -> list[Loss]:
        """What this input lacks."""

    def comm_of(self, tid: int) -> str | None:
        """Name of a task, where the trace saved it."""

    @property
    def comms(self) -> Mapping[int, str]:
        """Names of all tasks that the trace saved, by tid."""

    def comm_at(self, tid: int, time_ns: int) -> str | None:
        """Name of a task at this time; None where the trace does not tell. `<...>` is no name.

        Before the first record of the task it is None. A task without any record of a change has the name `comm_of`.
        """

    @property
    def name_history(self) -> NameHistory:
        """The changes behind `comm_at`; tasks without entry have one name, that of `comms`."""

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One Arrow table per event name (all events when names is None); events without rows are absent.

        Columns: `schema.EVENT_COLUMNS`, then the event's fields in the order of its format. `seq` orders the rows
        of all tables of this call.
        """

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream in time order, in chunks of about `chunk_events`; `ops` restricts it."""
