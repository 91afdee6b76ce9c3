"""Several traces of one machine and one clock, read as one: split files, a file for each CPU or set of events.

Rows and entries come in the order of (time, cpu, trace); `seq` is counted anew. Where a trace has nothing to say while
another runs, the time counts as lost: for the CPUs and kinds of events of which none of the others tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.errors import UsageError
from tracereplay.losses import Loss
from tracereplay.parsers.base import BaseReader, TraceInfo, TraceReader
from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.catalog.probes import PROBE_EVENTS, REFERENCE_PROBES
from tracereplay.parsers.events.page_stream import rechunked
from tracereplay.parsers.probes.reader import windows_of_probes, with_probes, without_probes
from tracereplay.parsers.tasks.names import BEGIN_NS, NameHistory
from tracereplay.schema import Op, PageStream, Window, integers

PROBES = "kprobes"  # stands for a subsystem: the probes on functions that take and release references
Lane = tuple[str, int]  # what one CPU recorded of one event
Times = tuple[int, int]  # first, last
# Who took a page and who gave it back: where a trace may lack these, their silence proves nothing.
TELLING = frozenset({"kmem", "page_ref", PROBES})
# Losses of a CPU that another trace may have recorded.
ABSENT_CPU = frozenset({"cpu_silent", "cpu_starts_late", "cpu_ends_early"})
OP_NAMES = {int(spec.op): spec.name for spec in reversed(SPECS.values()) if spec.op is not Op.NONE}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a trace tells of: kinds of events (subsystems), each CPU from when to when, and all of them."""

    systems: frozenset[str]
    cpus: Mapping[int, Times]
    times: Times

    @classmethod
    def of(cls, lanes: Mapping[Lane, Times]) -> Coverage:
        """Of the lanes of one trace, which has some."""
        cpus: dict[int, Times] = {}
        for (_, cpu), (first, last) in lanes.items():
            known = cpus.get(cpu, (first, last))
            cpus[cpu] = min(known[0], first), max(known[1], last)
        times = min(first for first, _ in cpus.values()), max(last for _, last in cpus.values())
        return cls(frozenset(_system(name) for name, _ in lanes) & TELLING, cpus, times)

    def tells(self, other: Coverage) -> bool:
        """Whether it tells of all that the other tells of, in its own time."""
        return self.systems >= other.systems and self.cpus.keys() >= other.cpus.keys()

    def fills(self, loss: Loss, other: Coverage) -> bool:
        """Whether it recorded on the CPU that the other trace, as this loss says, recorded nothing on at that time."""
        first, last = self.cpus.get(-1 if loss.cpu is None else loss.cpu, (0, -1))
        return loss.code in ABSENT_CPU and self.systems >= other.systems and first <= last and loss.touches(first, last)


def _system(event: str) -> str:
    """Subsystem of a tracepoint; PROBES for a probe on references, the event's own name for any other probe."""
    if event in PROBE_EVENTS:
        return PROBES if event in REFERENCE_PROBES else event
    return SPECS[event].system


class DoubledEventsError(UsageError):
    """Two traces recorded the same event on one CPU at one time: read as one or side by side, it would count twice."""


class MergedReader(BaseReader):
    """Several opened traces as one. Implements `parsers.base.TraceReader`.

    Raises UsageError where they cannot be one: other kernels, clocks or flag numbers, or events recorded twice.
    """

    def __init__(self, readers: Sequence[TraceReader]) -> None:
        self._readers = list(readers)
        infos = [reader.info for reader in readers]
        for what in ("kernel", "machine", "clock", "clock_unit", "page_size_bytes"):
            values = sorted({str(value) for info in infos if (value := getattr(info, what)) is not None})
            if len(values) > 1:
                raise UsageError(f"the traces are not of one machine and clock: {what} is {' and '.join(values)}")
        if len({tuple(sorted(bits.items())) for reader in readers if (bits := reader.page_flag_bits())}) > 1:
            raise UsageError("the traces number page flags differently: pass all of them as text, or none")
        self._shifts = [info.origin_ns - infos[0].origin_ns for info in infos]
        self.info = self._merged_info(infos)
        lanes = [self._lanes(number) for number in range(len(readers))]
        _refuse_doubled(lanes, infos)
        self._coverage = [Coverage.of(one) if one else None for one in lanes]
        self.losses = _blind_times([one for one in self._coverage if one is not None])

    def _merged_info(self, infos: Sequence[TraceInfo]) -> TraceInfo:
        by_event: dict[str, int] = {}
        for info in infos:
            for name, number in info.by_event.items():
                by_event[name] = by_event.get(name, 0) + number
        known: dict[str, Any] = {
            what: next((value for info in infos if (value := getattr(info, what)) is not None), None)
            for what in ("kernel", "machine", "boot_id", "clock", "page_size_bytes", "memory_block_bytes")
        }
        shifted = list(zip(infos, self.shifts, strict=True))
        starts = [info.start_ns + shift for info, shift in shifted if info.start_ns is not None]
        ends = [info.end_ns + shift for info, shift in shifted if info.end_ns is not None]
        walls = (info.wall_clock.shifted(-shift) for info, shift in shifted if info.wall_clock is not None)
        return replace(
            infos[0],
            **known,
            wall_clock=next(walls, None),
            cpus=max((info.cpus for info in infos if info.cpus), default=None),
            by_event=dict(sorted(by_event.items())),
            memory_blocks=next((info.memory_blocks for info in infos if info.memory_blocks), ()),
            start_ns=min(starts, default=None),
            end_ns=max(ends, default=None),
            has_stacks=any(info.has_stacks for info in infos),
        )

    @property
    def shifts(self) -> Sequence[int]:
        """For each trace: ns to add to its own times."""
        return self._shifts

    def losses_of(self, number: int) -> list[Loss]:
        """The losses of one of the traces, on its own times, without those of CPUs that another one recorded."""
        mine, shift = self._coverage[number], self.shifts[number]
        others = [one for place, one in enumerate(self._coverage) if one is not None and place != number]
        return [
            loss
            for loss in self._readers[number].losses
            if mine is None or not any(other.fills(loss.shifted(-shift), mine) for other in others)
        ]

    @property
    def comms(self) -> Mapping[int, str]:
        """Names of all tasks; the first trace that names one is believed."""
        return self._comms

    @cached_property
    def _comms(self) -> Mapping[int, str]:
        return {tid: comm for reader in reversed(self._readers) for tid, comm in reader.comms.items()}

    @cached_property
    def _name_history(self) -> NameHistory:
        """The changes that any of the traces tells of; where two tell of one time the first is believed."""
        return NameHistory.of(
            (tid, time_ns if time_ns == BEGIN_NS else time_ns + shift, name)
            for reader, shift in reversed(list(zip(self._readers, self.shifts, strict=True)))
            for tid, time_ns, name in reader.name_history.rows()
        )

    def page_flag_bits(self) -> Mapping[str, int] | None:
        """Bit numbers of the page flag names; the same in all that know them."""
        return next((bits for reader in self._readers if (bits := reader.page_flag_bits())), None)

    @property
    def page_pointers(self) -> str:
        """Of the first trace that has some: they are of one boot."""
        return next((text for reader in self._readers if (text := reader.page_pointers)), "")

    def name_of_address(self, address: int) -> str | None:
        """The function at an address, by the first trace that has symbols: they are of one boot."""
        return next((name for reader in self._readers if (name := reader.name_of_address(address)) is not None), None)

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """One table per event; see `parsers.base.TraceReader.tables`."""
        parts = [
            (number, name, _moved(table, shift))
            for number, (reader, shift) in enumerate(zip(self._readers, self.shifts, strict=True))
            for name, table in reader.tables(names, _window(window, shift)).items()
        ]
        keys = [
            np.stack([_numbers(t, "seq"), np.full(t.num_rows, n), _numbers(t, "cpu"), _numbers(t, "time_ns")])
            for n, _, t in parts
        ]
        if not keys:
            return {}
        order = np.lexsort(np.concatenate(keys, axis=1))
        rank = np.empty(len(order), np.uint64)
        rank[order] = np.arange(len(order), dtype=np.uint64)
        found: dict[str, list[pa.Table]] = {}
        at = 0
        for _, name, table in parts:
            seq = pa.array(rank[at : at + table.num_rows])
            found.setdefault(name, []).append(table.set_column(0, table.schema.field("seq"), seq))
            at += table.num_rows
        return {name: _joined(name, tables) for name, tables in found.items()}

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream in time order; see `parsers.base.TraceReader.stream`."""
        streams = [
            self._stream(number, reader.stream(ops, _window(window, shift), chunk_events))
            for number, (reader, shift) in enumerate(zip(self._readers, self.shifts, strict=True))
        ]
        return rechunked(_in_time_order(streams), chunk_events)

    def _stream(self, number: int, chunks: Iterator[PageStream]) -> Iterator[PageStream]:
        shift = self.shifts[number]
        return (replace(chunk, time_ns=chunk.time_ns + shift) if shift else chunk for chunk in chunks)

    def _lanes(self, number: int) -> dict[Lane, Times]:
        """From when to when each CPU recorded each event; of events outside the page stream those that others have."""
        reader, shift = self._readers[number], self.shifts[number]
        lanes: dict[Lane, Times] = {}
        for chunk in self._stream(number, reader.stream()):
            _note(lanes, OP_NAMES, chunk.op.astype(np.int64), chunk.cpu, chunk.time_ns)
        others = {name for other in self._readers if other is not reader for name in other.info.by_event}
        shared = {name for name in others if name in SPECS and name not in stream_events()}
        wanted = [name for name in reader.info.by_event if name in shared or name in PROBE_EVENTS]
        for window in windows_of_probes(reader.info) if wanted else ():
            for name, table in reader.tables(wanted, window).items():
                timed = table.filter(table["time_ns"].is_valid())
                times = _numbers(timed, "time_ns") + shift
                _note(lanes, {0: name}, np.zeros(len(times), np.int64), _numbers(timed, "cpu"), times)
        return lanes


def merged(readers: Sequence[TraceReader]) -> TraceReader:
    """Traces of one machine as one reader. What kprobes recorded in any of them joins the one page stream.

    A call and its return, a take and its release may be in different traces, so probes are decoded after merging.
    Raises UsageError as `MergedReader`.
    """
    return with_probes(MergedReader([without_probes(reader) for reader in readers]))


def _note(
    lanes: dict[Lane, Times],
    names: Mapping[int, str],
    kind: npt.NDArray[np.int64],
    cpu: npt.NDArray[np.integer],
    time_ns: npt.NDArray[np.int64],
) -> None:
    keys = kind << 16 | cpu
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    firsts, lasts = (ufunc.reduceat(time_ns[order], starts) for ufunc in (np.minimum, np.maximum))
    for key, first, last in zip(found.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
        lane = names[key >> 16], key & 0xFFFF
        before = lanes.get(lane, (first, last))
        lanes[lane] = min(before[0], first), max(before[1], last)


def _refuse_doubled(lanes: Sequence[Mapping[Lane, Times]], infos: Sequence[TraceInfo]) -> None:
    """Raises DoubledEventsError where two traces recorded the same event on the same CPU at the same time."""
    for (a, one), (b, other) in combinations(enumerate(lanes), 2):
        for lane in sorted(one.keys() & other.keys()):
            if max(one[lane][0], other[lane][0]) < min(one[lane][1], other[lane][1]):
                raise DoubledEventsError(
                    f"{infos[a].path} and {infos[b].path} both recorded {lane[0]} on CPU {lane[1]} at the same time: "
                    "it would count twice; leave one of them out"
                )


def _blind_times(coverage: Sequence[Coverage]) -> list[Loss]:
    """Intervals of the merged span in which no trace covers the CPUs and subsystems that one covers elsewhere."""
    begin, end = min((c.times[0] for c in coverage), default=0), max((c.times[1] for c in coverage), default=0)
    losses: list[Loss] = []
    for covered in (one for one in coverage if one.systems):
        at = begin
        for first, last in sorted(other.times for other in coverage if other.tells(covered)):
            if first > at:
                losses.append(_blind(at, first))
            at = max(at, last)
        if at < end:
            losses.append(_blind(at, end))
    return list(dict.fromkeys(losses))


def _blind(start_ns: int, end_ns: int) -> Loss:
    return Loss("trace_gap", start_ns=start_ns, end_ns=end_ns)


def _in_time_order(streams: Sequence[Iterator[PageStream]]) -> Iterator[PageStream]:
    """Streams in time order as one: what is before the end of every stretch in hand can be given out."""
    waiting = [next(stream, None) for stream in streams]
    ended = [chunk is None for chunk in waiting]
    while any(chunk is not None for chunk in waiting):
        ends = [int(c.time_ns[-1]) for c, done in zip(waiting, ended, strict=True) if c is not None and not done]
        limit = min(ends, default=None)
        given = []
        for number, chunk in enumerate(waiting):
            if chunk is not None:
                stop = len(chunk) if limit is None else int(np.searchsorted(chunk.time_ns, limit, "left"))
                given.append(chunk.select(slice(0, stop)))
                waiting[number] = chunk.select(slice(stop, None)) if stop < len(chunk) else None
        whole = PageStream.concatenate(given)
        if len(whole):
            yield whole.select(np.lexsort((whole.cpu, whole.time_ns)))
        for number, chunk in enumerate(waiting):
            # Entries of the same time as a stretch's last may go on in the next.
            if not ended[number] and (chunk is None or int(chunk.time_ns[-1]) == limit):
                following = next(streams[number], None)
                ended[number] = following is None
                more = [one for one in (chunk, following) if one is not None]
                waiting[number] = PageStream.concatenate(more) if more else None


def _joined(name: str, tables: Sequence[pa.Table]) -> pa.Table:
    try:
        whole = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise UsageError(
            f"the fields of {name} are of other types in one of the traces: they are not of one boot"
        ) from None
    return whole.take(pa.array(np.argsort(_numbers(whole, "seq"), kind="stable")))


def _moved(table: pa.Table, shift: int) -> pa.Table:
    if not shift:
        return table
    place = table.column_names.index("time_ns")
    times = _numbers(table, "time_ns") + shift
    null = table["time_ns"].is_null().to_numpy()
    return table.set_column(place, table.schema.field("time_ns"), pa.array(times, mask=null))


def _window(window: Window | None, shift: int) -> Window | None:
    if window is None or not shift:
        return window
    return Window(*(None if ns is None else ns - shift for ns in (window.start_ns, window.end_ns)))


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return integers(table[name])
