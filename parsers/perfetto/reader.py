"""Perfetto traces: ftrace events in the bundles of a perfetto.protos.Trace, packed or not.

Sources: protos/perfetto/trace/ftrace/ftrace_event_bundle.proto, src/traced/probes/ftrace/cpu_reader.cc. Stacks and
symbols are not in such events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracereplay.errors import InputError, path_in_errors
from tracereplay.losses import Loss
from tracereplay.parsers.base import BaseReader, TraceInfo, origin_ns
from tracereplay.parsers.binary.format_text import EventFormat
from tracereplay.parsers.binary.page_flag_bits import page_flag_bits_of_release
from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.events.cpu_coverage import coverage_losses
from tracereplay.parsers.events.tables import Comms, EventTableBuilder, by_event, finished_tables
from tracereplay.parsers.perfetto.clocks import read_wall_clock
from tracereplay.parsers.perfetto.descriptions import read_enabled, read_machine, read_names, stats_losses
from tracereplay.parsers.perfetto.events import Batch, EventReader
from tracereplay.parsers.perfetto.fields import CLOCKS, Message
from tracereplay.parsers.perfetto.kinds import event_name, format_of
from tracereplay.parsers.perfetto.names import compact_names, switch_names
from tracereplay.parsers.perfetto.packets import read_packets
from tracereplay.parsers.perfetto.rows import rows_of, without_unknown_flags
from tracereplay.parsers.perfetto.scan import Scan, scan
from tracereplay.parsers.tasks.events import names_recorded, tables_and_names
from tracereplay.parsers.tasks.names import NameHistory, unresolved
from tracereplay.schema import ARGS, IrqContext, Op, PageStream, Window, irq_context

_BATCH_EVENTS = 1 << 16
MAX_ROWS = 64  # of one loss; beyond, one row tells of all CPUs


class PerfettoReader(BaseReader):
    """A Perfetto trace, opened and scanned once. Implements `base.TraceReader`.

    Raises InputError where the file is none or holds no ftrace events; damaged packets become `losses`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with path_in_errors(self.path):
            self._open()

    def _open(self) -> None:
        self._packets = packets = read_packets(self.path)
        self._scan = found = scan(packets)
        span = found.span
        if span is None:
            raise InputError(
                "the Perfetto trace holds no ftrace events",
                advice="record the data source linux.ftrace with the events of memory (docs/capture.md)",
            )
        self._origin = origin_ns(*span)
        self._name_kinds()
        machine = read_machine(packets)
        self.losses: list[Loss] = [*packets.losses, *found.losses]
        for loss in packets.ends:
            self.losses += _after_the_end(loss, found)
        placed = {loss.cpu for loss in found.losses if loss.code == "lost_events" and loss.cpu is not None}
        self.losses += stats_losses(packets, placed)
        activity = found.activity()
        self.losses += coverage_losses(activity, activity.keys(), machine.cpus, known_losses=self.losses)
        self.losses = [loss.shifted(self._origin) for loss in self.losses]
        clock = CLOCKS.get(max(found.clocks, key=lambda clock: found.clocks[clock]))
        self.info = TraceInfo(
            path=self.path,
            format="Perfetto trace (compressed packets)" if packets.is_packed else "Perfetto trace",
            kernel=machine.kernel,
            machine=machine.machine,
            boot_id=machine.trace_id,
            clock=clock,
            origin_ns=self._origin,
            page_size_bytes=machine.page_size_bytes,
            cpus=machine.cpus or len(activity),
            by_event=dict(sorted(self._by_event.items())),
            enabled_events=read_enabled(packets),
            start_ns=span[0] - self._origin,
            end_ns=span[1] - self._origin,
            wall_clock=read_wall_clock(packets, clock, self._origin),
        )
        self._comms = self._read_comms()
        self.losses += unresolved(np.flatnonzero(found.tids).tolist(), self._comms)
        self._names_array = Comms.of(self._comms)

    # ------------------------------------------------------------------------------------------------ TraceReader

    @property
    def comms(self) -> dict[int, str]:
        """Names of tasks from the process tree and from switches, by tid."""
        return self._comms

    @cached_property
    def _name_history(self) -> NameHistory:
        """Names over time, where events tell of them; read when first used."""
        return names_recorded(self)

    def tables_and_names(self, names: Collection[str]) -> dict[str, pa.Table]:
        """See `TraceReader.tables_and_names`."""
        tables, self._name_history = tables_and_names(self, names)
        return tables

    @property
    def formats(self) -> dict[str, EventFormat]:
        """Every event that occurred, by name, with the fields that occurred in it."""
        return self._formats

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One Arrow table per event with rows; see `base.TraceReader.tables`."""
        wanted = [name for name in self.info.by_event if names is None or name in names]
        makers = [EventTableBuilder(self._formats[name]) for name in wanted]
        keeps = np.array([maker.keeps_bytes for maker in makers], np.uint8)
        seq = 0
        for batch in self._read(wanted, window, _BATCH_EVENTS):
            by_event(makers, rows_of(batch, keeps, self._packets.data), seq, self._names_array)
            seq += len(batch)
        tables = finished_tables(dict(zip(wanted, makers, strict=True)), self.losses)
        return {name: without_unknown_flags(table) for name, table in tables.items()}

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 16
    ) -> Iterator[PageStream]:
        """The page stream in time order; see `base.TraceReader.stream`."""
        selected = stream_events(ops)
        wanted = [name for name in self.info.by_event if name in selected]
        if not wanted:
            return
        op_table = np.array([SPECS[name].op for name in wanted], np.uint8)
        columns = np.array([self._argument_columns(name) for name in wanted], np.int64)
        for batch in self._read(wanted, window, max(chunk_events, 1)):
            place = columns[batch.kind]
            args = np.where(place < 0, 0, np.take_along_axis(batch.fields, np.maximum(place, 0), axis=1))
            irq = irq_context(batch.flags.astype(np.uint8))
            irq[batch.flags < 0] = IrqContext.UNKNOWN
            args = np.ascontiguousarray(args)
            yield PageStream(batch.time_ns, batch.cpu, batch.tid, irq, op_table[batch.kind], args)

    def page_flag_bits(self) -> dict[str, int] | None:
        """Bit numbers of the page flag names in page_ref events, as the kernel of this release has them."""
        return page_flag_bits_of_release(self.info.kernel)

    # ------------------------------------------------------------------------------------------------------- reading

    def _read(self, wanted: list[str], window: Window | None, events: int) -> Iterator[Batch]:
        """Batches of these events with times relative to the origin; kind is the place of their name in `wanted`."""
        place = {name: number for number, name in enumerate(wanted)}
        of_source = np.full(self._kept.shape, -1, np.int64)
        for kind, name in enumerate(self._kind_names):
            of_source[self._kept[:, kind], kind] = place.get(name, -1)
        messages = [self._messages[name] for name in wanted]
        reader = EventReader(self._packets, self._scan, of_source, wanted, messages)
        for batch in reader.batches(_shifted(window, self._origin), events):
            batch.time_ns -= self._origin
            yield batch

    def _argument_columns(self, name: str) -> list[int]:
        """The column of each of ARGS among the fields of an event; -1 = it has none such."""
        numbers = {one.name: at for at, one in enumerate(self._messages[name].fields) if not one.is_text}
        spec = SPECS[name]
        return [numbers.get(spec.args.get(arg, ""), -1) for arg in ARGS]

    # ------------------------------------------------------------------------------------------------------- opening

    def _name_kinds(self) -> None:
        """Names, messages and formats of the events; those that several data sources recorded are read from one."""
        found: Scan = self._scan
        self._messages: dict[str, Message] = {}
        self._kind_names: list[str] = []
        for message in found.table.messages(found.n_kinds, self._packets.data):
            name = event_name(message, self._messages)
            self._kind_names.append(name)
            self._messages[name] = message
        self._formats = {name: format_of(name, message) for name, message in self._messages.items()}
        counts = found.counts[: max(found.sources, 1), : found.n_kinds]
        self._kept = counts > 0
        self._by_event: dict[str, int] = {}
        for kind, name in enumerate(self._kind_names):
            best = int(counts[:, kind].argmax())
            left = int(counts[:, kind].sum() - counts[best, kind])
            self._kept[:, kind] = np.arange(len(counts)) == best
            self._by_event[name] = int(counts[best, kind])
            if left:
                detail = f"{name} was recorded by several data sources of the trace, and is read from one"
                found.losses.append(Loss("instance_left_out", left, detail=detail))

    def _read_comms(self) -> dict[int, str]:
        found = self._scan
        names = read_names(self._packets) | compact_names(self._packets, found.compact)
        if "sched_switch" in self._messages:
            batches = self._read(["sched_switch"], None, _BATCH_EVENTS)
            names |= switch_names(self._packets, self._messages["sched_switch"], batches)
        return {0: "<idle>"} | {tid: name for tid, name in names.items() if tid > 0}


def _shifted(window: Window | None, origin: int) -> Window | None:
    """A window on the trace's own times."""
    if window is None or not origin:
        return window
    start, end = (None if time_ns is None else time_ns + origin for time_ns in (window.start_ns, window.end_ns))
    return Window(start, end)


def _after_the_end(loss: Loss, found: Scan) -> list[Loss]:
    """What the end of the file lacks is, on each CPU, after its last event that is there."""
    last = {cpu: activity.last_ns for cpu, activity in found.activity().items()}
    if len(last) > MAX_ROWS:
        return [replace(loss, start_ns=min(last.values()))]
    return [replace(loss, cpu=cpu, start_ns=last_ns) for cpu, last_ns in sorted(last.items())]
