"""Rows of trace text -> one Arrow table per event, a block of lines at a time."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.events.tables import numbers_array
from tracereplay.parsers.tasks.names import UNKNOWN_COMM
from tracereplay.parsers.text.fast.value_kernels import MISSING
from tracereplay.parsers.text.lines_ftrace import NO_CPU, NO_TID, NO_TIME, LineBlock
from tracereplay.parsers.text.payloads import EventText
from tracereplay.parsers.text.spans import Spans
from tracereplay.schema import EVENT_COLUMNS, Window

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# An event's name, rows of a block, and their fields.
Part = tuple[str, Ints, dict[str, pa.Array]]

# libtraceevent pads `event: ` to this width; kernel text does not.
PADDED_NAME = 22
_COMMON = [column.field for column in EVENT_COLUMNS]
FRAMES = pa.field(
    "frames", pa.list_(pa.string()), metadata={"unit": "", "doc": "Functions of the stack, innermost first"}
)


@dataclass(slots=True)
class BlockColumns:
    """What every event of a block has. Of a row: task, time_ns, flags; of a task: its cpu, tid, comm (an index into
    `names`, -1 = not saved). NO_TIME, NO_TID and NO_CPU stand for null, MISSING for flags that are not known."""

    task: Ints
    time_ns: Ints
    flags: Ints
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    comm: npt.NDArray[np.int32]
    names: pa.StringArray
    untold: dict[str, bool]  # whether some value of a column may be null

    @classmethod
    def of(cls, block: LineBlock) -> BlockColumns:
        """From the distinct tasks of a block."""
        names = sorted({task.comm for task in block.tasks} - {UNKNOWN_COMM})
        place = {name: index for index, name in enumerate(names)}
        cpu = np.array([task.cpu for task in block.tasks], np.uint16)
        tid = np.array([task.tid for task in block.tasks], np.int32)
        comm = np.array([place.get(task.comm, -1) for task in block.tasks], np.int32)
        untold = {
            "time_ns": bool((block.time_ns == NO_TIME).any()),
            "cpu": bool((cpu == NO_CPU).any()),
            "tid": bool((tid == NO_TID).any()),
            "comm": bool((comm < 0).any()),
        }
        return cls(block.task, block.time_ns, block.flags, cpu, tid, comm, pa.array(names, pa.string()), untold)

    def arrays(self, rows: Ints, first_seq: int) -> list[pa.Array]:
        """EVENT_COLUMNS of these rows."""
        task, flags = self.task[rows], self.flags[rows]
        comm = self._numbers("comm", self.comm[task], -1, pa.int32())
        return [
            numbers_array(rows + first_seq, pa.uint64()),
            self._numbers("time_ns", self.time_ns[rows], NO_TIME, pa.int64()),
            self._numbers("cpu", self.cpu[task], NO_CPU, pa.uint16()),
            self._numbers("tid", self.tid[task], NO_TID, pa.int32()),
            pa.DictionaryArray.from_arrays(comm, self.names),
            *_common(flags),
        ]

    def _numbers(self, name: str, values: npt.NDArray[np.generic], unknown: int, kind: pa.DataType) -> pa.Array:
        """Numbers, null where they are unknown."""
        return numbers_array(values, kind, values == unknown if self.untold[name] else None)


def _common(flags: Ints) -> tuple[pa.Array, pa.Array]:
    """common_flags and preempt_count; trace-cmd tells neither."""
    untold = flags == MISSING
    if untold.all():
        return pa.nulls(len(flags), pa.uint8()), pa.nulls(len(flags), pa.uint8())
    return (
        numbers_array(flags.astype(np.uint8), pa.uint8(), untold),
        numbers_array((flags >> 8).astype(np.uint8), pa.uint8(), untold),
    )


def padding(name: str) -> int:
    """Blanks that libtraceevent puts between `event: ` and the payload."""
    return max(PADDED_NAME - len(name) - 2, 0)


@dataclass(slots=True)
class TextTableBuilder:
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
    _schemas: dict[tuple[str, ...], pa.Schema] = field(default_factory=dict)

    def tables(self, block: LineBlock, first_seq: int) -> dict[str, pa.Table]:
        """Tables by event; `seq` is the row's place in the file."""
        inside = self._inside(block.time_ns)
        columns = BlockColumns.of(block)
        tables: dict[str, list[pa.Table]] = {}
        for name, rows, values in chain(self._read_rows(block, inside), self._unread_rows(block, inside)):
            arrays = [*columns.arrays(rows, first_seq), *values.values()]
            table = pa.Table.from_arrays(arrays, schema=self._schema(name, tuple(values)))
            tables.setdefault(name, []).append(table)
        return {name: joined(parts) for name, parts in tables.items()}

    def check(self, block: LineBlock) -> None:
        """Note in `unreadable` what `tables` would."""
        for _ in self._unread_rows(block, None):
            pass

    def _inside(self, time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        if self.window.start_ns is None and self.window.end_ns is None:
            return None
        start = self.window.start_ns if self.window.start_ns is not None else np.iinfo(np.int64).min
        end = self.window.end_ns if self.window.end_ns is not None else np.iinfo(np.int64).max
        return np.asarray((time_ns >= start) & (time_ns <= end) & (time_ns != NO_TIME))

    def _schema(self, name: str, columns: tuple[str, ...]) -> pa.Schema:
        """EVENT_COLUMNS and these columns of an event."""
        schema = self._schemas.get((name, *columns))
        if schema is None:
            fields = [FRAMES] if columns == (FRAMES.name,) else self.event(name).fields(columns)
            schema = self._schemas[(name, *columns)] = pa.schema([*_COMMON, *fields])
        return schema

    def event(self, name: str) -> EventText:
        """The shapes of an event."""
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = EventText(name, SPECS.get(name))
        return event

    def _read_rows(self, block: LineBlock, inside: Mask | None) -> Iterator[Part]:
        """Rows whose fields the compiled loop has read."""
        for code, parts in block.read.items():
            name = block.events[code]
            if self.names is not None and name not in self.names:
                continue
            for part in parts:
                chosen = part if inside is None else part.kept(inside[part.rows])
                if len(chosen.rows):
                    yield name, chosen.rows, chosen.fields()

    def _unread_rows(self, block: LineBlock, inside: Mask | None) -> Iterator[Part]:
        """All others, a part for each way in which an event is spelled."""
        unread = np.ones(len(block), bool) if inside is None else inside.copy()
        for part in chain.from_iterable(block.read.values()):
            unread[part.rows] = False
        rows = np.flatnonzero(unread)
        if not len(rows):
            return
        rows = rows[np.argsort(block.event[rows], kind="stable")]
        bounds = np.searchsorted(block.event[rows], np.arange(len(block.events) + 1))
        for code, name in enumerate(block.events):
            mine = rows[bounds[code] : bounds[code + 1]]
            if len(mine) and (self.names is None or name in self.names):
                yield from self._spelled(name, mine, block)

    def _spelled(self, name: str, rows: Ints, block: LineBlock) -> Iterator[Part]:
        if len(block.stack_rows) and (stacks := np.isin(rows, block.stack_rows)).any():
            places = pa.array(np.searchsorted(block.stack_rows, rows[stacks]))
            yield name, rows[stacks], {FRAMES.name: block.frames.take(places)}
            rows = rows[~stacks]
        event = self.event(name)
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
                yield name, places, values
        if bad:
            self.unreadable[name] = self.unreadable.get(name, 0) + bad


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables of one event as one, in the order of `seq`; columns that only some have are null in the others."""
    if len(parts) == 1:
        return parts[0]
    table = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    seq = table.column("seq").to_numpy()
    return table if np.all(seq[1:] > seq[:-1]) else table.take(pa.array(np.argsort(seq, kind="stable")))
