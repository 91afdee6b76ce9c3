"""Rows of trace text -> one Arrow table per event, a block of lines at a time."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.base import Window
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.text_events import EventText
from tracereplay.parsers.text_spans import Spans
from tracereplay.parsers.text_trace_lines import NO_CPU, NO_TID, NO_TIME, UNKNOWN_COMM, LineBlock
from tracereplay.schema import COMM, EVENT_COLUMNS

# libtraceevent pads `event: ` to this width; kernel text does not.
PADDED_NAME = 22
FRAMES = pa.field(
    "frames", pa.list_(pa.string()), metadata={"unit": "", "doc": "Functions of the stack, innermost first"}
)

# The flags column, letter by letter (trace_print_lat_fmt() in kernel/trace/trace_output.c): TRACE_FLAG_* bits.
IRQS = {"d": 0x01, "X": 0x02, "b": 0x80, "D": 0x81}
RESCHED = {"N": 0x24, "n": 0x04, "p": 0x20, "l": 0x02, "L": 0x22, "b": 0x06, "B": 0x26}
CONTEXT = {"s": 0x10, "h": 0x08, "H": 0x18, "z": 0x40, "Z": 0x48}


@dataclass(slots=True)
class BlockColumns:
    """What every event of a block has: arrays over its rows. NO_TIME, NO_TID and NO_CPU stand for null."""

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    comm: pa.DictionaryArray
    common_flags: pa.Array
    preempt_count: pa.Array

    @classmethod
    def of(cls, block: LineBlock) -> BlockColumns:
        """From the distinct tasks and flags of a block. A comm of `<...>` (not saved) is null."""
        names = sorted({task.comm for task in block.tasks} - {UNKNOWN_COMM})
        place = {name: index for index, name in enumerate(names)}
        comm = pa.array([place.get(task.comm) for task in block.tasks], pa.int32())
        words = block.flags.dictionary.to_pylist()
        return cls(
            block.time_ns,
            np.array([task.cpu for task in block.tasks], np.uint16)[block.task],
            np.array([task.tid for task in block.tasks], np.int32)[block.task],
            pa.DictionaryArray.from_arrays(comm.take(pa.array(block.task)), pa.array(names, pa.string())),
            pa.array([_common_flags(word) for word in words], pa.uint8()).take(block.flags.indices),
            pa.array([_preempt_count(word) for word in words], pa.uint8()).take(block.flags.indices),
        )


def padding(name: str) -> int:
    """Blanks that libtraceevent puts between `event: ` and the payload."""
    return max(PADDED_NAME - len(name) - 2, 0)


def _common_flags(word: str) -> int | None:
    return IRQS.get(word[0], 0) | RESCHED.get(word[1], 0) | CONTEXT.get(word[2], 0) if word else None


def _preempt_count(word: str) -> int | None:
    """Preemption depth, and migrate-disable depth in the high nibble (the fifth letter, 5.15+)."""
    if not word:
        return None
    depth = 0 if word[3] == "." else int(word[3], 16)
    disabled = int(word[4], 16) if len(word) > 4 and word[4] != "." else 0
    return disabled << 4 | depth


@dataclass(slots=True)
class TableBuilder:
    """Turns blocks into tables; remembers the shapes of events between blocks.

    names -- the events wanted (None: all); padded -- whether libtraceevent wrote the text;
    unreadable -- payloads and values not understood so far, by event.
    """

    names: Collection[str] | None = None
    window: Window = field(default_factory=Window)
    padded: bool = False
    page_size_bytes: int = 4096
    unreadable: dict[str, int] = field(default_factory=dict)
    _events: dict[str, EventText] = field(default_factory=dict)

    def tables(self, block: LineBlock, columns: BlockColumns, first_seq: int) -> dict[str, pa.Table]:
        """Tables by event; `seq` is the row's place in the file."""
        inside = self._inside(columns.time_ns)
        order = np.argsort(block.event, kind="stable")
        bounds = np.searchsorted(block.event[order], np.arange(len(block.events) + 1))
        tables: dict[str, list[pa.Table]] = {}
        for code, name in enumerate(block.events):
            rows = order[bounds[code] : bounds[code + 1]]
            rows = rows if inside is None else rows[inside[rows]]
            if len(rows) and (self.names is None or name in self.names):
                tables.setdefault(name, []).extend(self._parts(name, rows, block, columns, first_seq))
        return {name: joined(parts) for name, parts in tables.items() if parts}

    def _inside(self, time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        if self.window.start_ns is None and self.window.end_ns is None:
            return None
        start = self.window.start_ns if self.window.start_ns is not None else np.iinfo(np.int64).min
        end = self.window.end_ns if self.window.end_ns is not None else np.iinfo(np.int64).max
        return np.asarray((time_ns >= start) & (time_ns <= end) & (time_ns != NO_TIME))

    def _parts(
        self, name: str, rows: npt.NDArray[np.int64], block: LineBlock, columns: BlockColumns, first_seq: int
    ) -> list[pa.Table]:
        """The event's rows, a table for each way in which they are spelled."""
        parts = []
        if len(block.stack_rows) and (stacks := np.isin(rows, block.stack_rows)).any():
            places = pa.array(np.searchsorted(block.stack_rows, rows[stacks]))
            parts.append(_assembled(rows[stacks], columns, first_seq, [FRAMES], [block.frames.take(places)]))
            rows = rows[~stacks]
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = EventText(name, SPECS.get(name))
        payloads = block.payload.take(rows)
        if event.takes_text_whole and self.padded:
            payloads = Spans.of(pc.utf8_slice_codeunits(payloads.arrow(), padding(name)))
        bad = 0
        for shape in event.parse(payloads):
            values, unreadable, astray = event.columns(shape, self.page_size_bytes)
            bad += int(unreadable.sum()) if shape.keys else len(shape.places)
            places = rows[shape.places]
            if astray.any():
                places = places[~astray]
                values = {field: array.filter(pa.array(~astray)) for field, array in values.items()}
            if len(places):
                fields = event.fields(list(values))
                parts.append(_assembled(places, columns, first_seq, fields, list(values.values())))
        if bad:
            self.unreadable[name] = self.unreadable.get(name, 0) + bad
        return parts


def _assembled(
    rows: npt.NDArray[np.int64], columns: BlockColumns, first_seq: int, fields: list[pa.Field], values: list[pa.Array]
) -> pa.Table:
    places = pa.array(rows)
    base = [
        pa.array((rows + first_seq).astype(np.uint64)),
        _numbers(columns.time_ns[rows], NO_TIME),
        _numbers(columns.cpu[rows], NO_CPU),
        _numbers(columns.tid[rows], NO_TID),
        columns.comm.take(places).cast(COMM),
        columns.common_flags.take(places),
        columns.preempt_count.take(places),
    ]
    schema = pa.schema([*(column.field for column in EVENT_COLUMNS), *fields])
    return pa.Table.from_arrays([*base, *values], schema=schema)


def _numbers(values: npt.NDArray[np.generic], unknown: int) -> pa.Array:
    """Numbers, null where they are unknown."""
    null = values == unknown
    return pa.array(values, mask=null) if null.any() else pa.array(values)


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables of one event as one, in the order of `seq`; columns that only some have are null in the others."""
    if len(parts) == 1:
        return parts[0]
    table = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    seq = table.column("seq").to_numpy()
    return table if np.all(seq[1:] > seq[:-1]) else table.take(pa.array(np.argsort(seq, kind="stable")))


def comm_names(block: LineBlock) -> Mapping[int, str]:
    """Names by tid in this block; the last one seen."""
    last = np.full(len(block.tasks), -1, np.int64)
    last[block.task] = np.arange(len(block))
    return {
        task.tid: task.comm
        for _, task in sorted(zip(last.tolist(), block.tasks, strict=True), key=lambda pair: pair[0])
        if task.comm != UNKNOWN_COMM and task.tid != NO_TID
    }
