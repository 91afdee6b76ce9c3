"""perf.data as `perf record` writes it: files, pipes, directories, compressed or not, of either byte order.

Sources: tools/perf/Documentation/perf.data-file-format.txt, man perf_event_open(2). Tracepoints are decoded by the
`format` texts in the file; other events keep address and period.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracereplay.errors import InputError, path_in_errors
from tracereplay.losses import Loss
from tracereplay.parsers.base import BaseReader, TraceInfo, origin_ns
from tracereplay.parsers.binary.format_text import EventFormat
from tracereplay.parsers.binary.page_flag_bits import page_flag_bits
from tracereplay.parsers.binary.record_batch import IDS, Plan
from tracereplay.parsers.binary.symbols import Symbols
from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.events.cpu_coverage import coverage_losses
from tracereplay.parsers.events.table_kernels import group_rows
from tracereplay.parsers.events.tables import EventTableBuilder, Place, note_bad_fields, stream_places
from tracereplay.parsers.files.mapped import Mapped
from tracereplay.parsers.perf_data import record_kernels as kernels
from tracereplay.parsers.perf_data.attrs import RAW, STACK_FORMAT, Events
from tracereplay.parsers.perf_data.columns import EventColumns
from tracereplay.parsers.perf_data.header import (
    ARCH,
    CLOCKS,
    DIR_FORMAT,
    OSRELEASE,
    REALTIME,
    TRACING_DATA,
    read_header,
)
from tracereplay.parsers.perf_data.pipe import take_header_records, take_tracing_records
from tracereplay.parsers.perf_data.record_kernels import BAD, SAMPLES, STACKS
from tracereplay.parsers.perf_data.records import Records
from tracereplay.parsers.perf_data.samples import RowReader, Wanted
from tracereplay.parsers.perf_data.scan import Scan, scan
from tracereplay.parsers.tasks.names import NameHistory, unresolved
from tracereplay.schema import ARGS, Op, PageStream, Window, irq_context
from tracereplay.wall_clock import WallClock

STACK = STACK_FORMAT.name
_BATCH_ROWS = 1 << 15  # few enough that their bytes stay in a cache


class PerfDataReader(BaseReader):
    """A perf.data file or directory, opened and scanned once. Implements `base.TraceReader`.

    Raises InputError where it is none, or its head is cut; damaged records become `losses`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with path_in_errors(self.path):
            self._open()

    def _open(self) -> None:
        main = self.path / "data" if self.path.is_dir() else self.path
        self._main, data = main, Mapped.of(main)
        self._header = header = read_header(data)
        records = Records(data, header.begin, header.end, header.big_endian, announced_end=header.announced_end)
        if header.is_pipe:
            records.announced_end = records.end  # a pipe announces nothing
            take_header_records(records, header)
        elif TRACING_DATA not in header.features and any(attr.is_tracepoint for attr in header.attrs):
            take_tracing_records(records, header)
        if not header.attrs:
            raise InputError("it describes no events", advice="copy the file again, or record again")
        header.name_attrs()
        self._sources = [records, *self._directory_records(main)]
        self._events = Events.of(header)
        self._scan = found = scan(self._sources, self._events)
        self._origin = origin_ns(found.start, found.end)
        self._formats, self._chosen = self._choose_events(found)
        losses = header.losses + self._events.losses + found.losses
        # without ids of its own each CPU that was online counts
        online = None if found.cpus else header.online_cpus()
        losses += coverage_losses(found.activity(), found.cpus, online, known_losses=losses)
        if header.cut:  # no record lay there: nothing before the trace's end is hidden
            losses.append(Loss("truncated", start_ns=found.end, detail=header.cut))
        self.losses = [loss.shifted(self._origin) for loss in losses]
        self.losses += self._sample_losses(found)
        self._names = found.tasks.names(self._origin)
        self.losses += unresolved(found.tasks_seen(), self._names.last)
        self.info = self._describe(found)

    # ------------------------------------------------------------------------------------------------ TraceReader

    @property
    def comms(self) -> dict[int, str]:
        """The last names of all tasks, by tid."""
        return self._names.last

    @cached_property
    def _name_history(self) -> NameHistory:
        """Names over time, from COMM and FORK records."""
        return self._names.history()

    @property
    def formats(self) -> dict[str, EventFormat]:
        """The layout of every event that was recorded, by name."""
        return self._formats

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One Arrow table per event with rows; see `base.TraceReader.tables`.

        A sample with a call chain is followed by a row of `kernel_stack` of the same time, CPU and task.
        """
        wanted = [name for name in self.info.by_event if names is None or name in names]
        columns = {name: self._columns(name, whole=window is None) for name in wanted}
        kinds: list[tuple[int, list[Place], bool]] = [(0, [], event.maker.keeps_bytes) for event in columns.values()]
        starts, seq = np.empty(len(wanted) + 1, np.int64), 0
        for batch in self._read(wanted, kinds, 1, window, _BATCH_ROWS).batches():
            numbers = np.empty(len(batch.samples), np.int64)
            group_rows(batch.listed.kind[batch.samples], len(numbers), starts, numbers)
            for event, begin, end in zip(columns.values(), starts[:-1].tolist(), starts[1:].tolist(), strict=True):
                if begin < end:
                    event.add(batch, numbers[begin:end], seq)
            seq += len(batch.samples)
        note_bad_fields((event.maker for event in columns.values()), self.losses)
        tables = ((name, event.table()) for name, event in columns.items())
        return {name: table for name, table in tables if table is not None}

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 16
    ) -> Iterator[PageStream]:
        """The page stream in time order; see `base.TraceReader.stream`."""
        selected = stream_events(ops)
        wanted = [name for name in self.info.by_event if name in selected]
        if not wanted:
            return
        kinds = [(self._formats[name].id, stream_places(self._formats[name]), False) for name in wanted]
        op_table = np.array([SPECS[name].op for name in wanted], np.uint8)
        for rows in self._read(wanted, kinds, len(ARGS), window, max(chunk_events, 1)):
            irq = irq_context(rows.common[:, 0])
            yield PageStream(rows.time_ns, rows.cpu, rows.tid, irq, op_table.take(rows.kind), rows.fields)

    @cached_property
    def symbols(self) -> Symbols:
        """Kernel symbols beside the file (perf record --kcore) or in it (old perf), for stacks; may be empty."""
        beside = self._main.parent / "kcore_dir" / "kallsyms"
        try:
            return Symbols.parse(beside.read_text("utf-8", "replace"))
        except OSError:
            pass
        tracing = self._header.tracing
        if tracing is None or tracing.kallsyms is None:
            return Symbols([], [])
        at, size = tracing.kallsyms
        return Symbols.parse(self._header.tracing_bytes[at : at + size].decode("utf-8", "replace"))

    def name_of_address(self, address: int) -> str | None:
        """The kernel function at an address, by the symbols beside or in the file."""
        return self.symbols.name_of(address)

    def page_flag_bits(self) -> dict[str, int] | None:
        """Bit numbers of the page flag names in page_ref events; None where the file has none or they are unknown."""
        for name, event in self._formats.items():
            if name.startswith("page_ref"):
                return page_flag_bits(event.print_fmt)
        return None

    # ------------------------------------------------------------------------------------------------------- reading

    def _read(
        self,
        wanted: list[str],
        kinds: list[tuple[int, list[Place], bool]],
        width: int,
        window: Window | None,
        rows: int,
    ) -> RowReader:
        place = {name: kind for kind, name in enumerate(wanted)}
        kind_of_event = np.array(
            [place.get(name or "", -1) if chosen else -1
             for name, chosen in zip(self._events.names, self._chosen, strict=True)], np.int64
        )  # fmt: skip
        plan = Plan.make(kinds, width, np.zeros((1, IDS), np.bool_), blank=width)
        what = Wanted(kind_of_event, place.get(STACK, -1), plan)
        return RowReader(self._sources, self._scan.chunks, self._events, what, -self._origin, window, rows)

    def _columns(self, name: str, *, whole: bool) -> EventColumns:
        """The columns of an event, to be filled; whole -- with all its samples."""
        event, tables = self._formats[name], self._events.tables
        common = (int(tables[kernels.FLAGS_OFFSET]), int(tables[kernels.PREEMPT_OFFSET])) if event.common else None
        maker = EventTableBuilder(event, self._header.big_endian)
        return EventColumns(maker, self.info.by_event[name] if whole else 0, common, self._names)

    # ------------------------------------------------------------------------------------------------------- opening

    def _directory_records(self, main: Path) -> list[Records]:
        """The files beside `data`, one per CPU or thread (perf record --threads)."""
        if DIR_FORMAT not in self._header.features:
            return []
        found = sorted(main.parent.glob("data.*"), key=lambda path: (len(path.name), path.name))
        records = []
        for path in found:
            data = Mapped.of(path)
            part = Records(data, 0, len(data), self._header.big_endian, f"{path.name}: ", len(data))
            records.append(part)
        return records

    def _choose_events(self, found: Scan) -> tuple[dict[str, EventFormat], list[bool]]:
        """(format by name, whether each event is read): one that was opened twice is read once, where it has more."""
        events = self._events
        chosen = [format_ is not None for format_ in events.formats]
        best: dict[str, int] = {}
        for place, name in enumerate(events.names):
            if name is None or not chosen[place]:
                continue
            other = best.setdefault(name, place)
            if other != place:
                worse = min((other, place), key=lambda one: int(found.totals[one, SAMPLES]))
                chosen[worse] = False
                best[name] = place if worse == other else other
                left = int(found.totals[worse, SAMPLES])
                if left:
                    self._header.losses.append(Loss("instance_left_out", left, detail=f"{name} was recorded twice"))
        formats = {name: event for name, event in zip(events.names, events.formats, strict=True) if name and event}
        if found.totals[:, STACKS].any():
            formats[STACK] = STACK_FORMAT
        return formats, chosen

    def _sample_losses(self, found: Scan) -> list[Loss]:
        """Samples that cannot be read, and events of which only every nth was recorded."""
        losses = []
        without_format: dict[str, int] = {}
        without_raw: dict[str, int] = {}
        for attr, name, total in zip(self._events.attrs, self._events.names, found.totals.tolist(), strict=False):
            label = name or f"event id {attr.config}"
            if total[BAD]:
                losses.append(Loss("bad_record", total[BAD], detail=f"{label}: shorter than its format"))
            if name is None and total[SAMPLES]:
                without_format[label] = without_format.get(label, 0) + total[SAMPLES]
            if attr.is_tracepoint and total[SAMPLES] and (attr.freq or attr.sample_period > 1):
                losses.append(Loss("lost_events", detail=f"{label} was sampled, not recorded each time"))
            if attr.is_tracepoint and total[SAMPLES] and not attr.sample_type & RAW:
                without_raw[label] = without_raw.get(label, 0) + total[SAMPLES]
        losses += [Loss("unknown_event_id", count, detail=label) for label, count in sorted(without_format.items())]
        if without_raw:
            losses.append(
                Loss("fields_not_recorded", sum(without_raw.values()), detail=", ".join(sorted(without_raw)[:20]))
            )
        if unknown := int(found.totals[-1, BAD]):
            losses.append(Loss("unknown_event_id", unknown, detail="samples of events that the file does not describe"))
        return losses

    def _describe(self, found: Scan) -> TraceInfo:
        header, events = self._header, self._events
        by_event: dict[str, int] = {}
        for name, chosen, total in zip(events.names, self._chosen, found.totals.tolist(), strict=False):
            if name and chosen and total[SAMPLES]:
                by_event[name] = total[SAMPLES]
        if STACK in self._formats:
            by_event[STACK] = int(found.totals[:, STACKS].sum())
        clockid = next((attr.clockid for attr in header.attrs if attr.clockid is not None), None)
        forms = [
            *(["pipe"] if header.is_pipe else []),
            *(["directory"] if len(self._sources) > 1 else []),
            *(["zstd"] if any(records.packed for records in self._sources) else []),
        ]
        start, end = found.start, found.end
        return TraceInfo(
            path=self.path,
            format="perf.data" + (f" ({', '.join(forms)})" if forms else ""),
            kernel=header.text(OSRELEASE),
            machine=header.text(ARCH),
            clock="perf" if clockid is None else CLOCKS.get(clockid, f"clock {clockid}"),
            origin_ns=self._origin,
            page_size_bytes=header.tracing.page_bytes or None if header.tracing else None,
            memory_block_bytes=header.memory.block_bytes if header.memory else None,
            memory_blocks=header.memory.blocks if header.memory else (),
            cpus=header.cpus() or int((found.cpu_last >= 0).sum()) or None,
            by_event=dict(sorted(by_event.items())),
            enabled_events=frozenset(
                name for name, attr in zip(events.names, header.attrs, strict=True) if name and attr.is_tracepoint
            ),
            start_ns=None if start is None else start - self._origin,
            end_ns=None if end is None else end - self._origin,
            has_stacks=STACK in by_event,
            wall_clock=self._wall_clock(clockid),
        )

    def _wall_clock(self, clockid: int | None) -> WallClock | None:
        """Times of the realtime clock are of the wall's; others where the file read both clocks at once."""
        if clockid == REALTIME:
            return WallClock(self._origin, "perf record -k realtime")
        tied = self._header.clock_data()
        if tied is None or tied[0] != clockid:
            return None
        return WallClock(self._origin + tied[1], "the clock data of perf.data")
