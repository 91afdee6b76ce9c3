"""A trace whose kprobe events join the page stream: any reader, with what the probes tell added."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.base import ReaderAround, TraceInfo, TraceReader
from tracereplay.parsers.binary.page_flag_bits import V5_4, V6_12
from tracereplay.parsers.catalog import stream_events
from tracereplay.parsers.catalog.probes import (
    FOLL_UP_TO_6_2,
    KNOWN_PAGE,
    OFFLINE_EVENT,
    PROBE_EVENTS,
    ROLES,
    TELLING_ROLES,
    FollFlags,
    Role,
)
from tracereplay.parsers.probes.callers import from_their_callers
from tracereplay.parsers.probes.folios import PAIRED_EVENTS, Folios, fetched_base, paired_base
from tracereplay.parsers.probes.lookup import ProbeLookup
from tracereplay.parsers.probes.moves import refused_and_moved
from tracereplay.parsers.probes.offlines import ROLES_READ, offline_table
from tracereplay.parsers.probes.part import Part
from tracereplay.parsers.probes.pointers import struct_pages
from tracereplay.parsers.probes.rows import Ints, ProbeRows, probe_rows
from tracereplay.parsers.probes.sizes import CALLS, large_folio_pages
from tracereplay.parsers.probes.stream import Decoder, foll_flags, ordered
from tracereplay.schema import FLAGS, OP_INFO, PFN, Op, PageStream, Window

PROBE_OPS = frozenset({Op.PROBE_GET, Op.PROBE_PUT, Op.PROBE_PIN, Op.PROBE_UNPIN, Op.PROBE_REFUSED, Op.PROBE_MOVED})
# Of a page with these the ledger has every change of its count: what probes saw would be counted twice.
COUNTING_OPS = frozenset(op for op, info in OP_INFO.items() if info.changes_count)
EVENTS_AT_ONCE = 1 << 20  # some 300 MB while they are decoded
MARGIN_NS = 1_000_000_000  # what belongs together (a call and its return) comes within this time


def with_probes(reader: TraceReader) -> TraceReader:
    """The reader, with its kprobe events in the page stream if it has any that tell of references or offlines."""
    counts = reader.info.by_event
    telling = any(counts.get(name) for name, role in ROLES.items() if role in TELLING_ROLES)
    return ProbedReader(reader) if telling else reader


def without_probes(reader: TraceReader) -> TraceReader:
    """The reader that `with_probes` wrapped; any other reader unchanged."""
    return reader.unprobed if isinstance(reader, ProbedReader) else reader


class ProbedReader(ReaderAround):
    """A `base.TraceReader` around another one, with the entries of its probes added to the page stream."""

    def __init__(self, reader: TraceReader) -> None:
        super().__init__(reader)
        self._windows = windows_of_probes(reader.info)
        self._whole = self._read(None) if len(self._windows) == 1 else None
        vmemmap = struct_pages(reader.page_pointers)
        page = KNOWN_PAGE if vmemmap is None else replace(KNOWN_PAGE, size=vmemmap.size_bytes)
        base, foll = self._base() if vmemmap is None else vmemmap.base - (1 << 64), self._foll()
        self._own_losses = [] if base is not None else [Loss("vmemmap_base_unknown")]
        self._flag_bits = {name: bit for bit, name in enumerate(V5_4 if foll is FOLL_UP_TO_6_2 else V6_12)}
        swap_cache = 1 << self._flag_bits["owner_priv_1"] | 1 << self._flag_bits["swapbacked"]
        self._decoder = None if base is None else Decoder(Folios(base, page), foll, swap_cache)
        self._has_counts = any(reader.info.by_event.get(name) for name in stream_events(COUNTING_OPS))
        if self._decoder is not None:
            self._learn(self._decoder.folios)

    @property
    def unprobed(self) -> TraceReader:
        """The same trace, with its kprobe events in its tables only."""
        return self.inner

    @property
    def losses(self) -> list[Loss]:
        """What the trace lacks."""
        return [*self.inner.losses, *self._own_losses]

    def page_flag_bits(self) -> Mapping[str, int] | None:
        """Bits of page->flags: as page_ref events tell them; else of the kernel's family, which FOLL_* tells."""
        return self.inner.page_flag_bits() if self._has_counts else self._flag_bits

    @cached_property
    def _counted_pfns(self) -> Ints:
        """Pages whose counts page_ref events tell, ascending."""
        if not self._has_counts:
            return np.empty(0, np.int64)
        chunks = self.inner.stream(COUNTING_OPS)
        return np.unique(np.concatenate([np.empty(0, np.int64), *(np.unique(chunk.args[:, PFN]) for chunk in chunks)]))

    @property
    def probe_events(self) -> ProbeLookup:
        """The events that the entries of probes are made from."""
        return self._probe_events

    @cached_property
    def _probe_events(self) -> ProbeLookup:
        def stream(window: Window) -> Iterator[PageStream]:
            return self._probed(self._decoder, window) if self._decoder else iter(())

        return ProbeLookup(self._rows, stream, self._decoder.foll.longterm if self._decoder else 0)

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """See `base.TraceReader.tables`; if requested by name, the calls of offline_pages() too."""
        if names is None or OFFLINE_EVENT not in names:
            return self.inner.tables(names, window)
        # One call for both: merged traces number the rows of each call anew.
        read = {name for name, role in ROLES.items() if role in ROLES_READ}
        found = self.inner.tables({*names, *read}, window)
        calls = offline_table(probe_rows({name: table for name, table in found.items() if name in read}))
        tables = {name: table for name, table in found.items() if name in names}
        if calls is not None:
            tables[OFFLINE_EVENT] = calls
        return tables

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream with the entries of probes in it; see `base.TraceReader.stream`."""
        others = self.inner.stream(ops, window, chunk_events)
        if self._decoder is None or (ops is not None and not PROBE_OPS & set(ops)):
            yield from others
            return
        waiting: list[PageStream] = []  # of probes, not yet due
        probed = self._probed(self._decoder, window)
        following: PageStream | None = next(probed, None)
        for chunk in others:
            if not len(chunk):
                continue
            end_ns = int(chunk.time_ns[-1])
            while following is not None and following.time_ns[0] <= end_ns:
                waiting.append(following)
                following = next(probed, None)
            due, waiting = _split(waiting, end_ns)
            yield _merged([chunk, *due])
        yield from (one for one in waiting if len(one))
        while following is not None:
            yield following
            following = next(probed, None)

    # ------------------------------------------------------------------------------------------------------- reading

    def _read(self, window: Window | None, names: Collection[str] = PROBE_EVENTS) -> list[ProbeRows]:
        found = [from_their_callers(one, self.name_of_address) for one in probe_rows(self.inner.tables(names, window))]
        return [one for one in found if len(one)]

    def _rows(self, window: Window) -> list[ProbeRows]:
        return self._read(window) if self._whole is None else self._whole

    def _base(self) -> int | None:
        for window in self._windows:
            base = fetched_base(self._rows(window))
            if base is not None:
                return base
        return paired_base(self.inner.tables(PAIRED_EVENTS))

    def _foll(self) -> FollFlags:
        rows: list[ProbeRows] = []
        for window in self._windows:
            rows = self._rows(window)
            if any(one.role is Role.TAKE for one in rows):
                break
        return foll_flags(rows, self.info.kernel)

    def _learn(self, folios: Folios) -> None:
        """Tails and sizes of folios, out of all events: an event may name a tail whose head a later one tells."""
        for window in self._windows:
            for one in self._rows(window):
                folios.learn(one)
        for window in self._windows if folios.extents else ():
            moves = refused_and_moved(self._rows(window), folios)
            pages = large_folio_pages(moves, self.inner.tables((CALLS,), window), folios)
            if pages:
                folios.size_large(pages)
                return

    def _probed(self, decoder: Decoder, wanted: Window | None) -> Iterator[PageStream]:
        """The entries of probes in time order."""
        wanted = wanted or Window()
        for window in self._windows:
            start, end = _larger(window.start_ns, wanted.start_ns), _smaller(window.end_ns, wanted.end_ns)
            if start is not None and end is not None and start > end:
                continue
            rows = self._whole
            if rows is None:
                wide = Window(None if start is None else start - MARGIN_NS, None if end is None else end + MARGIN_NS)
                rows = self._read(wide)
            stream = ordered([self._uncounted(part) for part in decoder.parts(rows)])
            low = 0 if start is None else int(np.searchsorted(stream.time_ns, start, "left"))
            high = len(stream) if end is None else int(np.searchsorted(stream.time_ns, end, "right"))
            if low < high:
                yield stream.select(slice(low, high))

    def _uncounted(self, part: Part) -> Part:
        """Without what page_ref events tell as well. Then flags are theirs: ours may have other bits."""
        if not self._has_counts:
            return part
        part.args[part.op == Op.PROBE_REFUSED, FLAGS] = 0
        return part.take(~np.isin(part.args[:, PFN], self._counted_pfns))


def _larger(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)


def _smaller(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def windows_of_probes(info: TraceInfo) -> list[Window]:
    """The trace in windows, each with few enough probe events to hold in memory."""
    events = sum(info.by_event.get(name, 0) for name in PROBE_EVENTS)
    number = -(-events // EVENTS_AT_ONCE)
    start, end = info.start_ns, info.end_ns
    if number <= 1 or start is None or end is None or end <= start:
        return [Window()]
    edges = [start + (end - start) * step // number for step in range(1, number)]
    starts, ends = [None, *edges], [*(edge - 1 for edge in edges), None]
    return [Window(*one) for one in zip(starts, ends, strict=True)]


def _split(streams: Sequence[PageStream], end_ns: int) -> tuple[list[PageStream], list[PageStream]]:
    """What comes up to a time, and the rest."""
    due, rest = [], []
    for stream in streams:
        at = int(np.searchsorted(stream.time_ns, end_ns, "right"))
        due.append(stream.select(slice(0, at)))
        rest.append(stream.select(slice(at, None)))
    return [one for one in due if len(one)], [one for one in rest if len(one)]


def _merged(streams: Sequence[PageStream]) -> PageStream:
    if len(streams) == 1:
        return streams[0]
    whole = PageStream.concatenate(streams)
    return whole.select(np.argsort(whole.time_ns, kind="stable"))
