"""What a trace says beside its events: the machine, names of tasks, what was enabled, what was lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracereplay.losses import Loss
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.perfetto import wire
from tracereplay.parsers.perfetto.fields import Packet
from tracereplay.parsers.perfetto.packets import Packets
from tracereplay.parsers.tasks.events import COMM_CHARS

START_OF_TRACE = 1  # FtraceStats.phase; else it is the end
# Of FtraceCpuStats, with the loss each of them is.
_COUNTERS = {3: "overrun", 4: "dropped_events", 8: "dropped_events"}

Fields = dict[int, wire.Value]


@dataclass(slots=True)
class Machine:
    """Of SystemInfo and TraceUuid; None where they do not tell."""

    kernel: str | None = None
    machine: str | None = None
    page_size_bytes: int | None = None
    cpus: int | None = None
    trace_id: str | None = None


def _last(data: wire.Value) -> Fields:
    """A message's fields, of repeated ones the last."""
    return dict(wire.whole_fields(data)) if isinstance(data, bytes) else {}


def _number(known: Fields, number: int) -> int | None:
    value = known.get(number)
    return value if isinstance(value, int) and value < 1 << 63 else None


def read_machine(packets: Packets) -> Machine:
    """SystemInfo: utsname = 1 (release = 3, machine = 4), page_size = 6, num_cpus = 8; TraceUuid: msb, lsb."""
    found = Machine()
    for data in packets.of(Packet.SYSTEM_INFO):
        known = _last(data)
        names = _last(known.get(1, b""))
        found.kernel = wire.text(names.get(3, b"")) or found.kernel
        found.machine = wire.text(names.get(4, b"")) or found.machine
        size = _number(known, 6)
        if size and 1 << 12 <= size <= 1 << 20 and size & (size - 1) == 0:
            found.page_size_bytes = size
        count = _number(known, 8)
        found.cpus = count if count and count < 1 << 16 else found.cpus
    for data in packets.of(Packet.TRACE_UUID):
        high, low = (value if isinstance(value, int) else 0 for value in (_last(data).get(1), _last(data).get(2)))
        found.trace_id = f"{high:016x}{low:016x}" if high or low else None
    return found


def read_names(packets: Packets) -> dict[int, str]:
    """Names of tasks in ProcessTree: threads have theirs, of a process its command line tells."""
    processes: dict[int, str] = {}
    threads: dict[int, str] = {}
    for data in packets.of(Packet.PROCESS_TREE):
        for number, value in wire.whole_fields(data):
            known = _last(value)
            tid = _number(known, 1)
            if tid is None or tid > 1 << 22:
                continue
            if number == 1 and isinstance(value, bytes):  # pid = 1, cmdline = 3, cmdline_is_comm = 9
                line = next((wire.text(text) for one, text in wire.whole_fields(value) if one == 3), "")
                processes[tid] = line if known.get(9) else _comm_of(line)
            elif number == 2:  # tid = 1, name = 2
                threads[tid] = wire.text(known.get(2, b""))
    return {tid: name for tid, name in (processes | threads).items() if name}


def _comm_of(command: str) -> str:
    """The name of a process by its command line: the file's; of an Android app the end of its package's."""
    if "/" in command or len(command) <= COMM_CHARS:
        return command.rpartition("/")[2][:COMM_CHARS]
    return command[-COMM_CHARS:]


def read_enabled(packets: Packets) -> frozenset[str] | None:
    """Tracepoints that the configuration names, with those of the catalogue for whole groups; None without one.

    TraceConfig.data_sources = 2, DataSource.config = 1, DataSourceConfig.ftrace_config = 100, ftrace_events = 1.
    """
    names: set[str] = set()
    found = False
    for data in packets.of(Packet.TRACE_CONFIG):
        for number, source in wire.whole_fields(data):
            ftrace = _last(_last(source).get(1, b"")).get(100) if number == 2 else None
            if not isinstance(ftrace, bytes):
                continue
            found = True
            for one, value in wire.whole_fields(ftrace):
                if one == 1:
                    group, _, name = wire.text(value).rpartition("/")
                    whole = {spec.name for spec in SPECS.values() if spec.system == group} if name == "*" else {name}
                    names |= whole
    for stats in packets.of(Packet.FTRACE_STATS):
        for number, value in wire.whole_fields(stats):
            if number in (6, 7):  # requested, but unknown to the kernel or not enabled
                names.discard(wire.text(value).rpartition("/")[2])
    return frozenset(names) if found else None


@dataclass(slots=True)
class _Counts:
    """Counters of each CPU at the start and at the end, by (cpu, field); statuses of pages that were not parsed."""

    start: dict[tuple[int, int], int] = field(default_factory=dict)
    end: dict[tuple[int, int], int] = field(default_factory=dict)
    errors: set[int] = field(default_factory=set)

    def take(self, stats: bytes) -> None:
        """A FtraceStats message: phase = 1, cpu_stats = 2, ftrace_parse_errors = 9 (packed in newer writers)."""
        kept = self.start if _last(stats).get(1) == START_OF_TRACE else self.end
        for number, value in wire.whole_fields(stats):
            known = _last(value) if number == 2 else {}
            cpu = _number(known, 1)
            if cpu is not None and cpu < 1 << 16:
                kept |= {(cpu, column): _number(known, column) or 0 for column in _COUNTERS}
            if number == 9:
                self.errors.update(wire.packed(value))


def stats_losses(packets: Packets, placed: set[int]) -> list[Loss]:
    """Overruns and drops that FtraceStats count; placed -- CPUs whose bundles say between which events they lost some.

    The kernel's counters go on from before the trace: the first reading is taken off.
    """
    counts = _Counts()
    for data in packets.of(Packet.FTRACE_STATS):
        counts.take(data)
    losses = []
    for (cpu, column), count in sorted(counts.end.items()):
        lost = count - counts.start.get((cpu, column), 0)
        if lost > 0 and not (_COUNTERS[column] == "overrun" and cpu in placed):
            losses.append(Loss(_COUNTERS[column], lost, cpu))
    if counts.errors:
        words = ", ".join(map(str, sorted(counts.errors)))
        losses.append(Loss("corrupt_page", detail=f"Perfetto could not parse pages of the kernel's buffer: {words}"))
    return losses
