"""What every trace reader offers, whatever the container: metadata, event tables, the page stream, losses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.tasks.names import NameHistory
from tracereplay.schema import Op, PageStream, Window
from tracereplay.units import NS_PER_S
from tracereplay.wall_clock import WallClock

if TYPE_CHECKING:
    from tracereplay.parsers.probes.lookup import ProbeLookup

SAMPLE = 1024  # entries of the page stream between two sampled times
EXACT_TIME_LIMIT = 1 << 53  # beyond, times are known relative to an origin (DESIGN 4)


def origin_ns(start_ns: int | None, end_ns: int | None) -> int:
    """What is taken off every time of a trace so that doubles hold them exactly: whole seconds, mostly none."""
    return (start_ns or 0) // NS_PER_S * NS_PER_S if (end_ns or 0) >= EXACT_TIME_LIMIT else 0


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
    wall_clock: WallClock | None = None  # where the trace itself ties its times to it
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
        ...

    @property
    def losses(self) -> list[Loss]:
        """What this input lacks."""
        ...

    def comm_of(self, tid: int) -> str | None:
        """Name of a task, where the trace saved it."""
        ...

    @property
    def comms(self) -> Mapping[int, str]:
        """Names of all tasks that the trace saved, by tid."""
        ...

    def comm_at(self, tid: int, time_ns: int) -> str | None:
        """Name of a task at this time; None where the trace does not tell. `<...>` is no name.

        Before the first record of the task it is None. A task without any record of a change has the name `comm_of`.
        """
        ...

    @property
    def name_history(self) -> NameHistory:
        """The changes that `comm_at` reads; tasks without entry have one name, that of `comms`."""
        ...

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One Arrow table per event name (all events when names is None); events without rows are absent.

        Columns: `schema.EVENT_COLUMNS`, then the event's fields in the order of its format. `seq` orders the rows
        of all tables of this call.
        """
        ...

    def tables_and_names(self, names: Collection[str]) -> dict[str, pa.Table]:
        """`tables(names)` of a trace whose `name_history` is used later: what that needs is read in the same walk."""
        ...

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream in time order, in chunks of about `chunk_events`; `ops` restricts it."""
        ...

    def page_flag_bits(self) -> Mapping[str, int] | None:
        """Bit numbers of the page flag names in page_ref events; None where the trace does not tell."""
        ...

    def name_of_address(self, address: int) -> str | None:
        """The kernel function at an address, `try_get_folio+0x42`; None without symbols."""
        ...

    def sample_times(self) -> npt.NDArray[np.int64]:
        """Times in ns, ascending, with about as many events between each two: where to cut a long trace."""
        ...

    @property
    def probe_events(self) -> ProbeLookup | None:
        """The kprobe events of page references; None without any."""
        ...

    @property
    def page_pointers(self) -> str:
        """Lines with page pointers beside page frames (probes/pointers.py); "" where the recording has none."""
        ...

    @property
    def shifts(self) -> Sequence[int]:
        """For each trace read as one: ns to add to its own times. (0,) for a single trace."""
        ...

    def losses_of(self, number: int) -> list[Loss]:
        """What trace `number` of those read as one lacks, on its own times."""
        ...


class BaseReader:
    """What readers have in common; those of a container add `comms`, `tables` and `stream`."""

    info: TraceInfo
    losses: list[Loss]

    @property
    def comms(self) -> Mapping[int, str]:
        """See `TraceReader.comms`."""
        raise NotImplementedError

    @property
    def name_history(self) -> NameHistory:
        """See `TraceReader.name_history`."""
        return self._name_history

    @cached_property
    def _name_history(self) -> NameHistory:
        """What readers whose traces have names over time replace."""
        return NameHistory()

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """See `TraceReader.stream`."""
        raise NotImplementedError

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """See `TraceReader.tables`."""
        raise NotImplementedError

    def tables_and_names(self, names: Collection[str]) -> dict[str, pa.Table]:
        """See `TraceReader.tables_and_names`; here of readers that know names without reading events."""
        return self.tables(names)

    def comm_of(self, tid: int) -> str | None:
        """See `TraceReader.comm_of`."""
        return self.comms.get(tid)

    def comm_at(self, tid: int, time_ns: int) -> str | None:
        """See `TraceReader.comm_at`."""
        return self.name_history.name_at(tid, time_ns, self.comms)

    def page_flag_bits(self) -> Mapping[str, int] | None:
        """See `TraceReader.page_flag_bits`."""
        return None

    def name_of_address(self, address: int) -> str | None:  # noqa: ARG002
        """See `TraceReader.name_of_address`."""
        return None

    def sample_times(self) -> npt.NDArray[np.int64]:
        """See `TraceReader.sample_times`; here from the page stream."""
        return np.concatenate([np.empty(0, np.int64), *(chunk.time_ns[::SAMPLE] for chunk in self.stream())])

    @property
    def probe_events(self) -> ProbeLookup | None:
        """See `TraceReader.probe_events`."""
        return None

    @property
    def shifts(self) -> Sequence[int]:
        """See `TraceReader.shifts`."""
        return (0,)

    @property
    def page_pointers(self) -> str:
        """See `TraceReader.page_pointers`."""
        return ""

    def losses_of(self, number: int) -> list[Loss]:  # noqa: ARG002
        """See `TraceReader.losses_of`."""
        return self.losses


class ReaderAround:
    """A reader that answers as `inner` does; subclasses change what they differ in."""

    def __init__(self, inner: TraceReader) -> None:
        self.inner = inner

    @property
    def info(self) -> TraceInfo:
        """See `TraceReader.info`."""
        return self.inner.info

    @property
    def losses(self) -> list[Loss]:
        """See `TraceReader.losses`."""
        return self.inner.losses

    @property
    def comms(self) -> Mapping[int, str]:
        """See `TraceReader.comms`."""
        return self.inner.comms

    @property
    def name_history(self) -> NameHistory:
        """See `TraceReader.name_history`."""
        return self.inner.name_history

    def comm_of(self, tid: int) -> str | None:
        """See `TraceReader.comm_of`."""
        return self.inner.comm_of(tid)

    def comm_at(self, tid: int, time_ns: int) -> str | None:
        """See `TraceReader.comm_at`."""
        return self.inner.comm_at(tid, time_ns)

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """See `TraceReader.tables`."""
        return self.inner.tables(names, window)

    def tables_and_names(self, names: Collection[str]) -> dict[str, pa.Table]:
        """See `TraceReader.tables_and_names`; what is around a reader may add tables of its own."""
        return self.tables(names)

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """See `TraceReader.stream`."""
        return self.inner.stream(ops, window, chunk_events)

    def page_flag_bits(self) -> Mapping[str, int] | None:
        """See `TraceReader.page_flag_bits`."""
        return self.inner.page_flag_bits()

    def name_of_address(self, address: int) -> str | None:
        """See `TraceReader.name_of_address`."""
        return self.inner.name_of_address(address)

    def sample_times(self) -> npt.NDArray[np.int64]:
        """See `TraceReader.sample_times`."""
        return self.inner.sample_times()

    @property
    def probe_events(self) -> ProbeLookup | None:
        """See `TraceReader.probe_events`."""
        return self.inner.probe_events

    @property
    def page_pointers(self) -> str:
        """See `TraceReader.page_pointers`."""
        return self.inner.page_pointers

    @property
    def shifts(self) -> Sequence[int]:
        """See `TraceReader.shifts`."""
        return self.inner.shifts

    def losses_of(self, number: int) -> list[Loss]:
        """See `TraceReader.losses_of`."""
        return self.inner.losses_of(number)
