"""Trace text: /sys/kernel/tracing/trace and `trace-cmd report` (with and without -t and -R), plain or gzip.

The file is read in blocks of lines, each time anew; nothing is kept but counts, names and losses. Sources: KERNEL
1.11, 1.12; kernel/trace/trace_output.c; libtraceevent's event-parse.c.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.base import BaseReader, TraceInfo
from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.catalog.enums import PAGE_FLAGS
from tracereplay.parsers.events.page_stream import page_stream, page_streams, rechunked
from tracereplay.parsers.tasks.names import NameHistory, unresolved
from tracereplay.parsers.text import lines_ftrace as lines
from tracereplay.parsers.text.blocks import text_blocks, text_views
from tracereplay.parsers.text.fast.lines import PlainReader
from tracereplay.parsers.text.lost_events import LossScan
from tracereplay.parsers.text.names import NameScan
from tracereplay.parsers.text.normalize import Rewrite, shapes_of
from tracereplay.parsers.text.payloads import typed
from tracereplay.parsers.text.tables import TextTableBuilder, joined, padding
from tracereplay.schema import Op, PageStream, Window, integers

SNIFF_BYTES = 1 << 16
ADVICE = "pass the text of /sys/kernel/tracing/trace or of trace-cmd report"


@dataclass(slots=True)
class Scan:
    """What the first reading finds out."""

    by_event: dict[str, int] = field(default_factory=dict)
    names: NameScan = field(default_factory=NameScan)
    tids: set[int] = field(default_factory=set)
    start_ns: int | None = None
    end_ns: int | None = None
    in_order: bool = True
    ticks: bool = False
    cpus: int | None = None
    cpu_ids: set[int] = field(default_factory=set)
    untimed: int = 0
    kernel: str | None = None
    odd_lines: int = 0
    first_odd: int | None = None
    first_prose: int | None = None


class TextTraceReader(BaseReader):
    """A trace as text, opened and scanned once. Implements `base.TraceReader`.

    page_size_bytes -- of the traced machine: offsets in files are printed in bytes.
    Errors: InputError when the file cannot be read or no line of it is understood.
    """

    def __init__(self, path: str | Path, page_size_bytes: int = 4096) -> None:
        self.path = Path(path)
        self.page_size_bytes = page_size_bytes
        self.losses: list[Loss] = []
        self.losses += shapes_of(self.path).losses
        self._padded = self._is_padded()
        self._scan = self._scan_file()
        scan = self._scan
        self.info = TraceInfo(
            path=self.path,
            format=self._form(),
            kernel=scan.kernel,
            clock_unit="tick" if scan.ticks else "ns",
            cpus=scan.cpus or len(scan.cpu_ids) or None,
            by_event=dict(sorted(scan.by_event.items())),
            start_ns=scan.start_ns,
            end_ns=scan.end_ns,
            has_stacks="kernel_stack" in scan.by_event,
        )

    @property
    def comms(self) -> dict[int, str]:
        """The last name that the text gives to each task, by tid."""
        return self._scan.names.last

    @cached_property
    def _name_history(self) -> NameHistory:
        """Names over time, as the lines give them."""
        return self._scan.names.history()

    def page_flag_bits(self) -> dict[str, int]:
        """Bit numbers of the page flag names in `flags` of page_ref events: text prints names, so they are ours.

        `trace-cmd report` resolves `locked` only and leaves the other bits as a number of the kernel's own.
        """
        return {name: bit.bit_length() - 1 for name, bit in PAGE_FLAGS.items()}

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One Arrow table per event with rows; see `base.TraceReader.tables`. Stacks are lists of function names."""
        builder = self._builder(names, window)
        parts: dict[str, list[pa.Table]] = {}
        for tables in self._read(builder):
            for name, table in tables.items():
                parts.setdefault(name, []).append(table)
        whole = {name: typed(joined(parts[name]), SPECS.get(name)) for name in sorted(parts)}
        return whole if self._scan.in_order else _in_time_order(whole)

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream in time order; see `base.TraceReader.stream`."""
        names = stream_events(ops)
        if not self._scan.in_order:
            yield from page_streams(self.tables(names, window), ops, chunk_events)
            return
        builder = self._builder(names, window)
        yield from rechunked((page_stream(tables, ops) for tables in self._read(builder)), chunk_events)

    # ------------------------------------------------------------------------------------------------------- reading

    def _is_padded(self) -> bool:
        """Whether libtraceevent padded the names of events."""
        return _is_padded(self.path, shapes_of(self.path).rewrite)

    def _form(self) -> str:
        """What kind of text this is."""
        return "trace-cmd report" if self._padded else "ftrace text"

    def _builder(self, names: Collection[str] | None, window: Window | None) -> TextTableBuilder:
        return TextTableBuilder(
            names=None if names is None else frozenset(names),
            window=window or Window(),
            padded=self._padded,
            page_size_bytes=self.page_size_bytes,
        )

    def _blocks(self, builder: TextTableBuilder, losses: list[Loss]) -> Iterator[tuple[int, lines.LineBlock]]:
        """The file's lines taken apart, with the number of each block's first line. A block is good until the next."""
        number = 1
        rewrite = shapes_of(self.path).rewrite
        reader = PlainReader(builder.event, self.page_size_bytes)
        pieces: Iterator[bytes | memoryview]
        if rewrite is None:
            pieces = text_views(self.path, losses)
        else:
            pieces = (rewrite(raw.replace(b"\r\n", b"\n")) for raw in text_blocks(self.path, losses))
        for plain in reader.take(pieces):
            yield number, lines.take_lines(plain)
            number += plain.lines

    def _read(self, builder: TextTableBuilder) -> Iterator[dict[str, pa.Table]]:
        seq = 0
        for _, block in self._blocks(builder, []):
            if len(block):
                yield builder.tables(block, seq)
                seq += len(block)

    def _recorded_cpus(self, scan: Scan) -> int | None:
        """How many CPUs were recorded, by the text's header."""
        return scan.cpus

    def _scan_file(self) -> Scan:
        scan = Scan()
        losses = LossScan()
        builder = self._builder(None, None)
        for number, block in self._blocks(builder, self.losses):
            scan.odd_lines += len(block.odd)
            if block.odd and scan.first_odd is None:
                scan.first_odd = number + block.odd[0]
            if block.prose and scan.first_prose is None:
                scan.first_prose = number + block.prose[0]
            scan.cpus = block.cpus or scan.cpus
            scan.kernel = block.kernel or scan.kernel
            losses.take(block)
            if len(block):
                builder.check(block)
                _count(scan, block)
        lost = losses.result(self._recorded_cpus(scan), ticks=scan.ticks)
        if not scan.by_event and not lost and not shapes_of(self.path).graph:
            first = min((line for line in (scan.first_odd, scan.first_prose) if line is not None), default=None)
            where = f"line {first} is no trace event" if first else "there is no event in it"
            raise InputError(where, path=self.path, advice=ADVICE)
        self.losses += lost
        if scan.odd_lines:
            self.losses.append(Loss("unparsed_line", scan.odd_lines, detail=f"the first is line {scan.first_odd}"))
        for name, count in sorted(builder.unreadable.items()):
            self.losses.append(Loss("unparsed_line", count, detail=f"values of {name} that were not understood"))
        if scan.untimed:
            self.losses.append(Loss("untimed_events", scan.untimed))
        self.losses += unresolved(scan.tids, scan.names.last)
        return scan


def _count(scan: Scan, block: lines.LineBlock) -> None:
    """Add a block to the scan."""
    for name, count in zip(block.events, np.bincount(block.event, minlength=len(block.events)).tolist(), strict=True):
        scan.by_event[name] = scan.by_event.get(name, 0) + count
    scan.names.take(block)
    scan.tids.update(task.tid for task in block.tasks if task.tid != lines.NO_TID)
    scan.cpu_ids.update(task.cpu for task in block.tasks if task.cpu != lines.NO_CPU)
    times = block.time_ns
    timed = times != lines.NO_TIME
    if not timed.all():
        scan.untimed += int((~timed).sum())
        times = times[timed]
        if not len(times):
            return
    first, last = int(times.min()), int(times.max())
    ordered = bool(np.all(times[1:] >= times[:-1])) and (scan.end_ns is None or int(times[0]) >= scan.end_ns)
    scan.in_order = scan.in_order and ordered
    scan.ticks = scan.ticks or block.ticks
    scan.start_ns = first if scan.start_ns is None else min(scan.start_ns, first)
    scan.end_ns = last if scan.end_ns is None else max(scan.end_ns, last)


def _is_padded(path: Path, rewrite: Rewrite | None) -> bool:
    """Whether event names are padded as libtraceevent does it: decided by the first lines whose name is shorter."""
    for raw in text_blocks(path, []):
        head = raw[:SNIFF_BYTES].rpartition(b"\n")[0] or raw[:SNIFF_BYTES]
        if b"# tracer:" in raw[:SNIFF_BYTES]:
            return False
        text = (head if rewrite is None else rewrite(head.replace(b"\r\n", b"\n"))).decode("utf-8", "replace")
        found = lines.read_lines(enumerate(text.split("\n")))
        for _, row in found.rows:
            blanks = padding(row.event)
            if blanks and row.event != "console":
                return row.payload.startswith(" " * blanks)
        return bool(found.cpus)
    return False


def _in_time_order(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Rows by time, equal stamps in file order; `seq` numbered anew over all tables."""
    if not tables:
        return tables
    names = list(tables)
    time = np.concatenate([integers(tables[name].column("time_ns"), lines.NO_TIME) for name in names])
    seq = np.concatenate([tables[name].column("seq").to_numpy() for name in names])
    rank = np.empty(len(time), np.uint64)
    rank[np.lexsort((seq, time))] = np.arange(len(time), dtype=np.uint64)
    ordered, start = {}, 0
    for name in names:
        table = tables[name]
        ranks = rank[start : start + table.num_rows]
        start += table.num_rows
        place = table.column_names.index("seq")
        table = table.set_column(place, table.schema.field("seq"), pa.array(ranks))
        ordered[name] = table.take(pa.array(np.argsort(ranks)))
    return ordered
