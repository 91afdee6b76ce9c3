"""The events of a perf.data file: where the parts of their samples lie, and which format decodes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.binary.format_text import (
    EventFormat,
    Field,
    FieldKind,
    PageHeader,
    parse_format,
    parse_header_page,
)
from tracereplay.parsers.perf_data import record_kernels as kernels
from tracereplay.parsers.perf_data.header import Attr, PerfHeader

# enum perf_event_sample_format
IP, TID, TIME, ADDR, READ, CALLCHAIN, ID, CPU, PERIOD, STREAM_ID, RAW = (1 << bit for bit in range(11))
IDENTIFIER = 1 << 16
# The fixed parts of a sample and of the sample_id after other records, in their order, 8 bytes each.
SAMPLE_ORDER = (IDENTIFIER, IP, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD)
TRAILER_ORDER = (TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER)
# Columns of events that are no tracepoints.
PLAIN_FIELDS = (("ip", IP), ("addr", ADDR), ("period", PERIOD))

STACK_FORMAT = EventFormat(
    "kernel_stack", 0, (), (Field("caller", "unsigned long", 0, 0, False, FieldKind.INTS, 8, False),), ""
)
RAW_BYTES = 8  # the least a trace event has: ftrace's common fields
_COMMON = {"common_type": 0, "common_flags": 2, "common_preempt_count": 3, "common_pid": 4}


def sample_place(sample_type: int, part: int) -> int:
    """Offset of a fixed part within a sample, -1 where it has none."""
    if not sample_type & part:
        return -1
    before = SAMPLE_ORDER[: SAMPLE_ORDER.index(part)]
    return kernels.HEADER_BYTES + 8 * sum(bool(sample_type & known) for known in before)


def trailer_layout(attrs: list[Attr]) -> npt.NDArray[np.int64]:
    """The sample_id after records that are no samples: (bytes, offset of the time, offset of the CPU; -1 = absent)."""
    first = next((attr for attr in attrs if attr.sample_id_all), None)
    if first is None:
        return np.array([0, -1, -1], np.int64)
    parts = [part for part in TRAILER_ORDER if first.sample_type & part]
    places = [8 * parts.index(part) if part in parts else -1 for part in (TIME, CPU)]
    return np.array([8 * len(parts), *places], np.int64)


def _plain_format(attr: Attr, name: str) -> EventFormat:
    """What a sample of hardware and software events has."""
    places = ((column, sample_place(attr.sample_type, part)) for column, part in PLAIN_FIELDS)
    fields = (Field(column, "u64", at, 8, False, FieldKind.INT, 8, False) for column, at in places if at >= 0)
    return EventFormat(name, 0, (), tuple(fields), "")


@dataclass(slots=True)
class Events:
    """The events, one per attr, as the kernels take them.

    names, formats -- of each attr; None: a tracepoint whose format the file lacks. The arrays are offsets in
    `record_kernels`.
    """

    attrs: list[Attr]
    names: list[str | None]
    formats: list[EventFormat | None]
    losses: list[Loss]
    tables: npt.NDArray[np.int64] = field(init=False)
    trailer: npt.NDArray[np.int64] = field(init=False)

    @classmethod
    def of(cls, header: PerfHeader) -> Events:
        """From the head of a file."""
        losses: list[Loss] = []
        tracepoints = _tracepoints(header, losses)
        name_of_id = {event.id: name for name, event in tracepoints.items()}
        names, formats = [], []
        for attr in header.attrs:
            name = name_of_id.get(attr.config) if attr.is_tracepoint else attr.name
            if not attr.is_tracepoint and name in tracepoints:
                name = f"perf:{name}"
            known = tracepoints.get(name or "")
            if not attr.is_tracepoint and name is not None:
                known = _plain_format(attr, name)
            elif known is not None and not attr.sample_type & RAW:
                known = _plain_format(attr, known.name)
            names.append(name)
            formats.append(known)
        events = cls(header.attrs, names, formats, losses)
        events._fill(header, next(iter(tracepoints.values()), None))
        return events

    def _fill(self, header: PerfHeader, any_format: EventFormat | None) -> None:
        self.trailer = trailer_layout(self.attrs)
        rows = [self._layout(place) for place in range(len(self.attrs))]
        ids = np.array([number for attr in self.attrs for number in attr.ids], np.uint64)
        owners = np.repeat(np.arange(len(rows)), [len(attr.ids) for attr in self.attrs]).astype(np.int64)
        bits = max(len(ids).bit_length() + 2, 4)
        slots_at = kernels.EVENTS_AT + kernels.EVENT_FIELDS * len(rows)
        of_type_at = slots_at + (2 << bits)
        self.tables = tables = np.full(of_type_at + (1 << 16), -1, np.int64)
        tables[kernels.EVENTS_AT : slots_at] = np.array(rows, np.int64).reshape(-1)
        tables[kernels.BIG_ENDIAN] = header.big_endian
        tables[kernels.ID_AT] = self._id_place()
        # within the 8 bytes that every trace event has
        offsets = {
            f.name: f.offset for f in (any_format.common if any_format else ()) if f.offset + f.size <= RAW_BYTES
        }
        common = _COMMON | offsets
        tables[kernels.TYPE_OFFSET] = common["common_type"]
        tables[kernels.FLAGS_OFFSET] = common["common_flags"]
        tables[kernels.PREEMPT_OFFSET] = common["common_preempt_count"]
        tables[kernels.PID_OFFSET] = common["common_pid"]
        tables[kernels.SLOTS_AT], tables[kernels.SLOTS_SHIFT] = slots_at, 64 - bits
        tables[kernels.OF_TYPE_AT] = of_type_at
        kernels.hash_ids(ids, owners, tables)
        if not header.big_endian and tables[kernels.ID_AT] >= 0:
            self._mark_plain(rows)
        # where all samples look alike, they can be read without knowing their event
        if all(row[: kernels.MIN_BYTES] == rows[0][: kernels.MIN_BYTES] for row in rows):
            tables[kernels.ONLY] = 0
            for place in range(len(rows) - 1, -1, -1):
                attr = self.attrs[place]
                if attr.is_tracepoint and attr.config < 1 << 16:
                    tables[of_type_at + attr.config] = place

    def _mark_plain(self, rows: list[list[int]]) -> None:
        """Find how most tracepoints were recorded, and which they are: kernels read those without a detour."""
        layouts = [tuple(row[: kernels.MIN_BYTES]) for row in rows if _may_be_plain(row)]
        if not layouts:
            return
        usual = max(set(layouts), key=layouts.count)
        places = {
            kernels.USUAL_TID: kernels.AT_TID,
            kernels.USUAL_TIME: kernels.AT_TIME,
            kernels.USUAL_CPU: kernels.AT_CPU,
            kernels.USUAL_FIXED_BYTES: kernels.FIXED_BYTES,
        }
        for column, source in places.items():
            self.tables[column] = usual[source]
        for place, row in enumerate(rows):
            if tuple(row[: kernels.MIN_BYTES]) == usual:
                at = kernels.EVENTS_AT + kernels.EVENT_FIELDS * place
                self.tables[at + kernels.PLAIN_BYTES] = max(row[kernels.MIN_BYTES], RAW_BYTES)

    def _layout(self, place: int) -> list[int]:
        attr, event = self.attrs[place], self.formats[place]
        row = [0] * kernels.EVENT_FIELDS
        for column, part in ((kernels.AT_TID, TID), (kernels.AT_TIME, TIME), (kernels.AT_CPU, CPU)):
            row[column] = sample_place(attr.sample_type, part)
        row[kernels.FIXED_BYTES] = kernels.HEADER_BYTES + 8 * sum(bool(attr.sample_type & p) for p in SAMPLE_ORDER)
        row[kernels.READ_FORMAT] = attr.read_format & 0x1F if attr.sample_type & READ else -1
        row[kernels.HAS_CHAIN] = bool(attr.sample_type & CALLCHAIN)
        row[kernels.RAW_IS_EVENT] = attr.is_tracepoint and bool(attr.sample_type & RAW)
        # other events keep data of their own in the raw part: their payload is the sample itself
        row[kernels.HAS_RAW] = row[kernels.RAW_IS_EVENT]
        row[kernels.MIN_BYTES] = event.min_bytes if event is not None and attr.is_tracepoint else 0
        row[kernels.PLAIN_BYTES] = -1
        return row

    def _id_place(self) -> int:
        """Where samples have their id: all of them at the same place, or nowhere (perf makes sure of it)."""
        places = set()
        for attr in self.attrs:
            if attr.sample_type & IDENTIFIER:
                places.add(kernels.HEADER_BYTES)
            else:
                places.add(sample_place(attr.sample_type, ID))
        return places.pop() if len(places) == 1 and any(attr.ids for attr in self.attrs) else -1


def _may_be_plain(row: list[int]) -> bool:
    """Whether an event's samples have what `record_kernels` expects of plain ones."""
    parts = (kernels.AT_TID, kernels.AT_TIME, kernels.AT_CPU)
    varying = row[kernels.READ_FORMAT] >= 0 or row[kernels.HAS_CHAIN]
    return bool(row[kernels.RAW_IS_EVENT]) and not varying and all(row[part] >= 0 for part in parts)


def _tracepoints(header: PerfHeader, losses: list[Loss]) -> dict[str, EventFormat]:
    """The formats of the file by name."""
    if header.tracing is None:
        return {}
    tracing = header.tracing
    page = parse_header_page(tracing.formats.header_page) if tracing.formats.header_page else PageHeader()
    formats: dict[str, EventFormat] = {}
    texts = tracing.formats.by_system
    for system, text in texts:
        try:
            event = parse_format(text, system, page.commit_bytes)
        except InputError as error:
            losses.append(Loss("bad_record", detail=error.what))
            continue
        formats[event.name if event.name not in formats else f"{system}:{event.name}"] = event
    return formats
