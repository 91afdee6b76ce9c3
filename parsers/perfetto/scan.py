"""One walk over the bundles of a trace: exact counts, the span of time, where the events of each stretch lie."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.losses import Loss
from tracereplay.parsers.events.cpu_coverage import CpuActivity
from tracereplay.parsers.perfetto import event_kernels as kernels
from tracereplay.parsers.perfetto import wire
from tracereplay.parsers.perfetto import wire_kernels as wires
from tracereplay.parsers.perfetto.fields import CLOCKS, Bundle, Event, Packet
from tracereplay.parsers.perfetto.kinds import KindTable
from tracereplay.parsers.perfetto.packets import Packets

MAX_CPU = (1 << 16) - 2  # cpu is a uint16 column, and 65535 means that none is known
MAX_SOURCES = 64
PIECE_EVENTS = 1 << 12  # decoded at once, so that memory does not grow with a bundle
EVENT_NUMBERS = np.array([Event.TIMESTAMP, Event.PID, Event.COMMON_FLAGS, Bundle.EVENT, Event.GENERIC], np.int64)
_HEAD_NUMBERS = np.array([Bundle.CPU, Bundle.LOST_EVENTS, Bundle.FTRACE_CLOCK, Bundle.EVENT], np.int64)

DROPPED = "packets were dropped from Perfetto's buffer"

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Scan:
    """What the walk found.

    pieces int64[n, PIECE_COLUMNS], counts int64[sources, MAX_KINDS], cpus int64[65536, CPU_COLUMNS], tids bool;
    compact -- (byte, bytes) of the scheduling events that are in a compact form.
    """

    table: KindTable = field(default_factory=KindTable)
    counts: Ints = field(default_factory=lambda: np.zeros((MAX_SOURCES, kernels.MAX_KINDS), np.int64))
    cpus: Ints = field(default_factory=lambda: np.zeros((MAX_CPU + 2, kernels.CPU_COLUMNS), np.int64))
    tids: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(wires.MAX_TID + 1, np.bool_))
    counters: Ints = field(default_factory=lambda: np.zeros(kernels.COUNTERS, np.int64))
    pieces: Ints = field(default_factory=lambda: np.zeros((0, kernels.PIECE_COLUMNS), np.int64))
    compact: list[tuple[int, int]] = field(default_factory=list)
    clocks: dict[int, int] = field(default_factory=dict)  # bundles by FtraceClock
    losses: list[Loss] = field(default_factory=list)
    sources: int = 0

    @property
    def n_kinds(self) -> int:
        """How many tracepoints occurred."""
        return int(self.counters[kernels.N_KINDS])

    def activity(self) -> dict[int, CpuActivity]:
        """When each CPU recorded."""
        seen = np.flatnonzero(self.cpus[:, kernels.CPU_EVENTS])
        return {cpu: CpuActivity(*map(int, self.cpus[cpu, : kernels.CPU_EVENTS])) for cpu in seen.tolist()}

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last time; None without events."""
        seen = self.cpus[self.cpus[:, kernels.CPU_EVENTS] > 0]
        if not len(seen):
            return None
        return int(seen[:, kernels.CPU_FIRST].min()), int(seen[:, kernels.CPU_LAST].max())


def scan(packets: Packets) -> Scan:
    """Walk all bundles of the machine that recorded the trace."""
    found, data = Scan(), packets.data
    rows = packets.rows[packets.rows[:, wires.WHAT] == Packet.FTRACE_EVENTS]
    guests = int((rows[:, wires.MACHINE] != 0).sum())
    if guests:
        found.losses.append(Loss("instance_left_out", guests, detail="bundles of other machines (guests)"))
        rows = rows[rows[:, wires.MACHINE] == 0]
    sources = {number: place for place, number in enumerate(dict.fromkeys(rows[:, wires.SEQUENCE].tolist()))}
    walk = _Walk(found, data, np.zeros(wires.HEAD_COLUMNS, np.int64), np.zeros(wires.EVENT_COLUMNS, np.int64))
    parts = [found.pieces]
    for row in rows.tolist():
        packets.mapped.reading(row[wires.AT], row[wires.END])
        walk.prepare(row[wires.AT], row[wires.END])
    cut_at = int(packets.rows[-1, wires.AT]) if packets.is_cut else -1
    for row in rows.tolist():
        packets.mapped.reading(row[wires.AT], row[wires.END])
        source = min(sources[row[wires.SEQUENCE]], MAX_SOURCES - 1)
        parts.append(walk.bundle(row[wires.AT], row[wires.END], source, bool(row[wires.DROPPED])))
        if row[wires.AT] == cut_at:  # that is known
            walk.damaged = max(walk.damaged - 1, 0)
    found.pieces = np.concatenate(parts)
    found.sources = min(len(sources), MAX_SOURCES)
    walk.finish()
    return found


@dataclass(slots=True)
class _Walk:
    """The state from bundle to bundle: when each CPU and each source was last heard of."""

    found: Scan
    data: npt.NDArray[np.uint8]
    head: Ints
    event: Ints
    damaged: int = 0
    _until: dict[int, dict[int, int]] = field(default_factory=dict)  # by source and CPU: the last time
    _dropped: set[tuple[int, int]] = field(default_factory=set)

    def prepare(self, at: int, end: int) -> None:
        """What a bundle says beside its events: descriptions may come after the events of other bundles."""
        wires.read_head(self.data, at, end, _HEAD_NUMBERS, self.head)
        if self.head[wires.HAS_EXTRAS]:
            self._extras(at, int(self.head[wires.EVENTS_END]), int(self.head[wires.CPU]))

    def bundle(self, at: int, end: int, source: int, dropped: bool) -> Ints:
        """Its pieces; what it says of losses is noted."""
        found, head = self.found, self.head
        wires.read_head(self.data, at, end, _HEAD_NUMBERS, head)
        cpu, until = int(head[wires.CPU]), int(head[wires.EVENTS_END])
        self.damaged += int(head[wires.HEAD_BAD])
        if not 0 <= cpu <= MAX_CPU:
            self.damaged += 1
            return found.pieces[:0]
        clock = int(head[wires.CLOCK])
        found.clocks[clock] = found.clocks.get(clock, 0) + 1
        pieces = np.zeros(((until - at) // (2 * PIECE_EVENTS) + 2, kernels.PIECE_COLUMNS), np.int64)
        kernels.scan_bundle(
            self.data, at, until, source, cpu, EVENT_NUMBERS, self.event, found.table.kind_of_number,
            found.table.slots, found.table.kinds, found.counts, found.cpus, found.tids, PIECE_EVENTS, pieces,
            found.counters,
        )  # fmt: skip
        self._losses(cpu, source, bool(head[wires.LOST]), dropped)
        return pieces[: int(found.counters[kernels.N_PIECES])]

    def _losses(self, cpu: int, source: int, lost: bool, dropped: bool) -> None:
        """Events missing before this bundle: on its CPU in the kernel's buffer, or of any CPU in Perfetto's.

        What Perfetto dropped is, on each CPU, between the bundles before and after it.
        """
        counters, losses = self.found.counters, self.found.losses
        has_events = bool(counters[kernels.BUNDLE_EVENTS])
        first = int(counters[kernels.BUNDLE_FIRST]) if has_events else None
        until = self._until.setdefault(source, {})
        if lost:
            losses.append(Loss("lost_events", None, cpu, until.get(cpu), first))
        if dropped:  # of a source's first packet it says nothing, and no CPU is known then
            self._dropped.update((source, other) for other in until)
        if has_events:
            if (source, cpu) in self._dropped:
                self._dropped.discard((source, cpu))
                losses.append(Loss("lost_events", None, cpu, until.get(cpu), first, DROPPED))
            until[cpu] = max(int(counters[kernels.BUNDLE_LAST]), until.get(cpu, 0))

    def _extras(self, at: int, end: int, cpu: int) -> None:
        """Descriptions of events, errors of the kernel's pages, compact scheduling events."""
        place = np.array([at], np.int64)
        row = np.zeros(4, np.int64)
        while wires.next_extra(self.data, place, end, int(Bundle.EVENT), row):
            number, begin, stop = row[:3].tolist()
            if number == Bundle.GENERIC_EVENT_DESCRIPTORS:
                self.found.table.describe(self.data[begin:stop].tobytes())
            elif number == Bundle.ERROR:
                known = dict(wire.whole_fields(self.data[begin:stop].tobytes()))
                time_ns = known.get(1)
                when = time_ns if isinstance(time_ns, int) and 0 < time_ns < 1 << 63 else None
                detail = f"Perfetto could not parse a page of the kernel's buffer (status {known.get(2, 0)!r})"
                place_cpu = cpu if 0 <= cpu <= MAX_CPU else None
                self.found.losses.append(Loss("corrupt_page", None, place_cpu, when, None, detail))
            elif number == Bundle.COMPACT_SCHED:
                self.found.compact.append((begin, stop))

    def finish(self) -> None:
        """Losses of the whole walk."""
        counters, losses = self.found.counters, self.found.losses
        for source, cpu in sorted(self._dropped):
            losses.append(Loss("lost_events", None, cpu, self._until[source][cpu], None, DROPPED))
        if counters[kernels.BAD_EVENTS] or self.damaged:
            losses.append(Loss("bad_record", int(counters[kernels.BAD_EVENTS]) + self.damaged, detail="ftrace events"))
        if counters[kernels.UNKNOWN_EVENTS]:
            detail = "events that Perfetto learned of later, or without a name"
            losses.append(Loss("unknown_event_id", int(counters[kernels.UNKNOWN_EVENTS]), detail=detail))
        if counters[kernels.STEPS_BACK]:
            losses.append(Loss("clock_step_back", int(counters[kernels.STEPS_BACK])))
        if len(self.found.clocks) > 1:
            names = ", ".join(sorted(str(CLOCKS.get(clock, clock)) for clock in self.found.clocks))
            losses.append(Loss("clock_step_back", detail=f"bundles are on different clocks: {names}"))
