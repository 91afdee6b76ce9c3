"""trace.dat, versions 6 and 7, as `trace-cmd record` and `trace-cmd extract` write it.

Sources: man trace-cmd.dat.v6(5), trace-cmd.dat.v7(5); events are decoded by the `format` texts inside the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.attempt_events import ATTEMPT_EVENTS
from tracereplay.errors import InputError, path_in_errors
from tracereplay.losses import Loss
from tracereplay.parsers.base import BaseReader, TraceInfo, origin_ns
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.format_text import Formats, PageHeader, parse_header_page
from tracereplay.parsers.binary.page_flag_bits import page_flag_bits
from tracereplay.parsers.binary.record_batch import IDS, Plan, RecordRows
from tracereplay.parsers.binary.symbols import Symbols
from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.events.cpu_coverage import CpuActivity, coverage_losses
from tracereplay.parsers.events.tables import Comms, EventTableBuilder, by_event, finished_tables, stream_places
from tracereplay.parsers.files.mapped import Mapped
from tracereplay.parsers.ring_buffer.kept import LASTING_BYTES
from tracereplay.parsers.ring_buffer.pages import Clock, CpuPages, page_layout
from tracereplay.parsers.ring_buffer.records import read_rows
from tracereplay.parsers.ring_buffer.scan import Scan, scan
from tracereplay.parsers.tasks.events import TASK_EVENTS, names_recorded, tables_and_names
from tracereplay.parsers.tasks.names import UNKNOWN_COMM, NameHistory, unresolved
from tracereplay.parsers.trace_dat import sections
from tracereplay.parsers.trace_dat.chunks import cpu_pages
from tracereplay.parsers.trace_dat.container import read_container, read_kallsyms
from tracereplay.parsers.trace_dat.cpu_stats import cpu_losses
from tracereplay.parsers.trace_dat.sections import Buffer, Container, CpuData
from tracereplay.schema import ARGS, Op, PageStream, Window, irq_context
from tracereplay.wall_clock import WallClock

KEPT_EVENTS = TASK_EVENTS.union(ATTEMPT_EVENTS)
NS_CLOCKS = frozenset({"local", "global", "perf", "mono", "mono_raw", "boot", "tai"})
_ROW_BYTES = 1 << 24


class TraceDatReader(BaseReader):
    """A trace.dat file, opened and scanned once. Implements `base.TraceReader`.

    Raises InputError where the file is not a trace.dat or its metadata is cut; damaged events become `losses`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._data = Mapped.of(self.path)
        with path_in_errors(self.path):
            self._open()

    def _open(self) -> None:
        self._container = container = self._read_container()
        self.losses: list[Loss] = list(container.losses)
        header_page = container.formats.header_page
        self._header = parse_header_page(header_page) if header_page else PageHeader()
        self.formats = self._find_formats()
        self._names = {event_id: name for name, event_id in self.formats.ids.items()}
        self._layout = page_layout(self._header, container.big_endian, [self.formats[next(iter(self.formats))]])
        self._clock, clock_name, unit = self._read_clock()
        self._streams = self._make_streams()
        found = self._scan()
        self._kept = found.kept
        self._wanted = self._choose_buffers(found)
        counts = np.where(self._wanted, found.counts, 0).sum(axis=0)
        origin = origin_ns(found.start_ns, found.end_ns)
        self._comms = self._read_comms()
        self.losses += (
            found.losses
            + self._fault_losses(found.faults)
            + cpu_losses(container.options, [buffer.name for buffer in container.buffers], found)
        )
        self.losses += self._coverage_losses(found, ticks=unit == "tick")
        if container.cut:  # no event lay there: nothing before the trace's end is hidden
            self.losses.append(Loss("truncated", start_ns=found.end_ns, detail=container.cut))
        if origin:
            self._clock = replace(self._clock, add_ns=self._clock.add_ns - origin)
            self.losses = [loss.shifted(origin) for loss in self.losses]
        self.losses += unresolved(np.flatnonzero(found.tids).tolist(), self._comms)
        self._names_array = Comms.of(self._comms)
        by_event = {self._names[i]: int(counts[i]) for i in np.flatnonzero(counts).tolist()}
        kernel, machine = self._read_uname()
        self.info = TraceInfo(
            path=self.path,
            format=self._format_name(),
            kernel=kernel,
            machine=machine,
            boot_id=self._read_trace_id(),
            clock=clock_name,
            clock_unit=unit,
            origin_ns=origin,
            page_size_bytes=container.page_bytes,
            cpus=self._cpu_count(),
            by_event=dict(sorted(by_event.items())),
            enabled_events=frozenset(self.formats),
            start_ns=None if found.start_ns is None else found.start_ns - origin,
            end_ns=None if found.end_ns is None else found.end_ns - origin,
            has_stacks="kernel_stack" in by_event,
            wall_clock=self._wall_clock(unit, origin),
        )

    # ------------------------------------------------------------------------------------------------ TraceReader

    @property
    def comms(self) -> dict[int, str]:
        """Names from the saved cmdlines, by tid; tid 0 is `<idle>`, as the kernel prints it."""
        return self._comms

    @cached_property
    def _name_history(self) -> NameHistory:
        """Names over time, where events tell of them; read when first used."""
        return names_recorded(self)

    def tables_and_names(self, names: Collection[str]) -> dict[str, pa.Table]:
        """See `TraceReader.tables_and_names`."""
        tables, self._name_history = tables_and_names(self, names)
        if self._kept.n_bytes > LASTING_BYTES:
            self._kept.forget()
        return tables

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One Arrow table per event with rows; see `base.TraceReader.tables`."""
        wanted = [name for name in self.info.by_event if names is None or name in names]
        makers = [EventTableBuilder(self.formats[name], self._container.big_endian) for name in wanted]
        width = max([1, *(len(maker.places) for maker in makers)])
        plan = Plan.make([(maker.event.id, maker.places, maker.keeps_bytes) for maker in makers], width, self._wanted)
        seq = 0
        batch = max(_ROW_BYTES // (8 * width), 1 << 12)
        for rows in self._rows(plan, set(wanted), window, batch):
            by_event(makers, rows, seq, self._names_array)
            seq += len(rows)
        return finished_tables(dict(zip(wanted, makers, strict=True)), self.losses)

    def _rows(self, plan: Plan, names: Collection[str], window: Window | None, batch: int) -> Iterator[RecordRows]:
        """Records of the plan, which is of the events `names`; those that the scan has kept are not read again."""
        if self._kept.is_whole and KEPT_EVENTS.issuperset(names):
            return self._kept.rows(plan, self._layout, self._clock, window)
        return read_rows(self._streams, self._layout, self._min_bytes, self._clock, plan, window, batch)

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 16
    ) -> Iterator[PageStream]:
        """The page stream in time order; see `base.TraceReader.stream`."""
        selected = stream_events(ops)
        formats = [self.formats[name] for name in self.info.by_event if name in selected]
        if not formats:
            return
        kinds = [(event.id, stream_places(event), False) for event in formats]
        plan = Plan.make(kinds, len(ARGS), self._wanted, blank=len(ARGS))
        op_table = np.array([SPECS[event.name].op for event in formats], np.uint8)
        for rows in read_rows(
            self._streams, self._layout, self._min_bytes, self._clock, plan, window, max(chunk_events, 1)
        ):
            irq = irq_context(rows.common[:, 0])
            yield PageStream(rows.time_ns, rows.cpu, rows.tid, irq, op_table.take(rows.kind), rows.fields)

    def sample_times(self) -> npt.NDArray[np.int64]:
        """Times in ns, ascending, with about as many events between each two: where to cut a long trace."""
        firsts = [first for pages in self._streams for first in pages.first[pages.first <= pages.last].tolist()]
        return np.sort(np.array([self._clock.ns(first) for first in firsts], np.int64))

    @cached_property
    def symbols(self) -> Symbols:
        """Kernel symbols saved in the file, for stacks; parsed when first used."""
        try:
            return Symbols.parse(self._read_kallsyms())
        except InputError:
            return Symbols([], [])

    def name_of_address(self, address: int) -> str | None:
        """The kernel function at an address, by the symbols saved in the file."""
        return self.symbols.name_of(address)

    def page_flag_bits(self) -> dict[str, int] | None:
        """Bit numbers of the page flag names in page_ref events; None where the file has none or they are unknown."""
        name = next((name for name in self.formats if name.startswith("page_ref")), None)
        return None if name is None else page_flag_bits(self.formats[name].print_fmt)

    # --------------------------------------------------------------- where the bytes lie: RawBuffersReader has its own

    def _read_container(self) -> Container:
        return read_container(self._data)

    def _format_name(self) -> str:
        container = self._container
        packed = "" if container.version == 6 or container.compression == "none" else f" ({container.compression})"
        return f"trace.dat v{container.version}{packed}"

    def _cpu_pages(self, number: int, buffer: Buffer, place: CpuData) -> CpuPages:
        return cpu_pages(self._data, self._container, number, buffer, place)

    def _read_kallsyms(self) -> str:
        return read_kallsyms(self._data, self._container)

    # ------------------------------------------------------------------------------------------------------- opening

    def _find_formats(self) -> Formats:
        texts = self._container.formats.by_system
        formats = Formats(texts, self._header.commit_bytes)
        self.losses += [Loss("bad_record", detail=what) for what in formats.refused]
        if not formats:
            raise InputError("the file holds no event formats", advice=RECORD_AGAIN)
        return formats

    def _scan(self) -> Scan:
        """Walk the records; only formats of events that occur are parsed, for their shortest length."""
        self._min_bytes = np.full(IDS, -1, np.int64)
        self._min_bytes[list(self._names)] = 0
        is_kept = np.zeros(IDS, np.uint8)
        is_kept[[event_id for name, event_id in self.formats.ids.items() if name in KEPT_EVENTS]] = 1
        found = scan(self._streams, self._layout, self._min_bytes, self._clock, is_kept)
        for event_id in np.flatnonzero(found.counts.sum(axis=0)).tolist():
            try:
                self._min_bytes[event_id] = self.formats[self._names[event_id]].min_bytes
            except InputError as error:
                self.losses.append(Loss("bad_record", detail=error.what))
                self._min_bytes[event_id] = -1
        if np.any(found.shortest < np.where(self._min_bytes < 0, IDS, self._min_bytes)):
            # A record too short for its event, or an event whose format is damaged: count again without those.
            first, found = found, scan(self._streams, self._layout, self._min_bytes, self._clock, is_kept)
            # It finds what the first did, between other times; but for the chunks that were dropped.
            dropped = {loss.detail for loss in first.losses if loss.code == "corrupt_chunk"}
            dropped -= {loss.detail for loss in found.losses}
            found.losses = [loss for loss in first.losses if loss.detail in dropped] + found.losses
        return found

    def _make_streams(self) -> list[CpuPages]:
        container = self._container
        streams: list[CpuPages] = []
        clock = container.buffers[0].clock
        for number, buffer in enumerate(container.buffers):
            if buffer.clock != clock:
                detail = f"instance {buffer.name} uses the clock {buffer.clock}, the others {clock}"
                self.losses.append(Loss("instance_left_out", detail=detail))
                continue
            for cpu_data in sorted(buffer.cpus, key=lambda place: place.cpu):
                pages = self._cpu_pages(number, buffer, cpu_data)
                if pages.blocks or pages.tail:
                    streams.append(pages)
        return streams

    def _choose_buffers(self, found: Scan) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        """bool[buffers, 65536]: an event that several instances recorded is read from the one that has most of it.

        Read from all of them, it would have happened twice.
        """
        counts = found.counts
        wanted = counts > 0
        for event_id in np.flatnonzero(wanted.sum(axis=0) > 1).tolist():
            best = int(counts[:, event_id].argmax())
            left = int(counts[:, event_id].sum() - counts[best, event_id])
            wanted[:, event_id] = False
            wanted[best, event_id] = True
            name, kept = self._names[event_id], self._container.buffers[best].name or "the top level"
            self.losses.append(Loss("instance_left_out", left, detail=f"{name} is read from {kept} only"))
        return wanted

    def _coverage_losses(self, found: Scan, *, ticks: bool) -> list[Loss]:
        """CPUs that recorded nothing or not to the end, in any of the buffers."""
        buffers = self._container.buffers
        active: dict[int, CpuActivity] = {}
        for (_, cpu), one in found.activity.items():
            active[cpu] = one.joined(active[cpu]) if cpu in active else one
        # A file may list the CPUs with data only; their number is that of all.
        counted = range(min(self._cpu_count() or 0, sections.MAX_CPU + 1))
        cpus = {place.cpu for buffer in buffers if buffer.clock == buffers[0].clock for place in buffer.cpus}
        return coverage_losses(active, cpus.union(counted), known_losses=self.losses, ticks=ticks)

    def _cpu_count(self) -> int | None:
        option = self._container.option(sections.CPUCOUNT)
        if option is not None and len(option) >= 4:
            return Cursor(option, big=self._container.big_endian).number("I")
        return len({place.cpu for buffer in self._container.buffers for place in buffer.cpus}) or None

    def _read_clock(self) -> tuple[Clock, str | None, str]:
        """(conversion, name, unit) as `trace-cmd report` applies them (lib/trace-cmd/trace-input.c, timestamp_calc)."""
        container = self._container
        name = container.buffers[0].clock or sections.selected_clock(container.option(sections.TRACECLOCK))
        add = _number(container.option(sections.DATE)) * 1000 + _number(container.option(sections.OFFSET))
        mult = shift = 0
        scale = container.option(sections.TSC2NSEC)
        if scale is not None and len(scale) >= 16:
            cursor = Cursor(scale, big=container.big_endian)
            mult, shift = cursor.number("I"), cursor.number("I")
        if shift > 63:
            mult = shift = 0
        unit = "ns" if name is None or name in NS_CLOCKS or mult else "tick"
        return Clock(mult, shift, add), name, unit

    def _wall_clock(self, unit: str, origin_ns: int) -> WallClock | None:
        """`record --date` ties the clocks: its offset makes times of the day of all times, which OFFSET may move on."""
        date, moved = (_number(self._container.option(option)) for option in (sections.DATE, sections.OFFSET))
        return WallClock(origin_ns - moved, "trace-cmd record --date") if date and unit == "ns" else None

    def _read_comms(self) -> dict[int, str]:
        comms = {0: "<idle>"}
        for line in self._container.cmdlines.splitlines():
            tid, _, comm = line.strip().partition(" ")
            if tid.isdigit() and comm and comm != UNKNOWN_COMM:
                comms[int(tid)] = comm
        return comms

    def _read_uname(self) -> tuple[str | None, str | None]:
        words = (self._container.option(sections.UNAME) or b"").rstrip(b"\0").decode("utf-8", "replace").split()
        return (words[2] if len(words) > 2 else None), (words[-1] if len(words) > 3 else None)

    def _read_trace_id(self) -> str | None:
        option = self._container.option(sections.TRACEID)
        return option.hex() if option else None

    def _fault_losses(self, faults: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Loss]:
        losses = []
        for event_id in np.flatnonzero(faults).tolist():
            count = int(faults[event_id])
            if event_id in self._names:
                losses.append(Loss("bad_record", count, detail=f"{self._names[event_id]}: shorter than its format"))
            else:
                losses.append(Loss("unknown_event_id", count, detail=f"event id {event_id}"))
        return losses


def _number(option: bytes | None) -> int:
    """An ASCII number as strtoll(base 0) reads it; 0 where there is none."""
    match = re.match(rb"\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)", option or b"")
    if not match:
        return 0
    digits = match[2].decode()
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") and digits != "0" else 10
    try:
        return int(digits, base) * (-1 if match[1] == b"-" else 1)
    except ValueError:
        return 0
