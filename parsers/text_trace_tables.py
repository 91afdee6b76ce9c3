"""Rows of trace text -> one Arrow table per event, a block of lines at a time."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers import text_trace_lines as lines
from tracereplay.parsers.base import Window
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.text_events import EventText
from tracereplay.schema import COMM, EVENT_COLUMNS

# libtraceevent pads `event:` to this column; one blank follows in kernel text.
PADDED_NAME = 21
UNKNOWN_COMM = "<...>"
QUOTING = re.compile(r"^(?:(?://|[>|*]) *)+")
FRAMES = pa.field(
    "frames", pa.list_(pa.string()), metadata={"unit": "", "doc": "Functions of the stack, innermost first"}
)

# The flags column, letter by letter (trace_print_lat_fmt() in kernel/trace/trace_output.c): TRACE_FLAG_* bits.
IRQS = {".": 0, "d": 0x01, "X": 0x02, "b": 0x80, "D": 0x81, "B": 0x80}
RESCHED = {".": 0, "N": 0x24, "n": 0x04, "p": 0x20, "l": 0x02, "L": 0x22, "b": 0x06, "B": 0x26}
CONTEXT = {".": 0, "s": 0x10, "h": 0x08, "H": 0x18, "z": 0x40, "Z": 0x48, "S": 0x10}


@dataclass(slots=True)
class BlockColumns:
    """What every event of a block has: arrays over its rows."""

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    comm: pa.DictionaryArray
    common_flags: pa.Array
    preempt_count: pa.Array

    @classmethod
    def of(cls, rows: Sequence[tuple[str, ...]]) -> BlockColumns:
        """From the groups of `text_trace_lines.LINE`."""
        columns = list(zip(*rows, strict=True))
        flags = pa.array(columns[lines.FLAGS], pa.string()).dictionary_encode()
        words = flags.dictionary.to_pylist()
        return cls(
            _times(columns[lines.SECONDS], columns[lines.FRACTION], columns[lines.TICKS]),
            pa.array(columns[lines.CPU]).cast(pa.uint16()).to_numpy(),
            pa.array(columns[lines.TID]).cast(pa.int32()).to_numpy(),
            _comms(columns[lines.COMM]),
            pa.array([_common_flags(word) for word in words], pa.uint8()).take(flags.indices),
            pa.array([_preempt_count(word) for word in words], pa.uint8()).take(flags.indices),
        )


def has_ticks(rows: Sequence[tuple[str, ...]]) -> bool:
    """Whether stamps are bare integers, whose unit text does not tell (counter, x86-tsc; boot in trace-cmd 3.1)."""
    return bool(rows) and not rows[0][lines.FRACTION]


def _times(seconds: Sequence[str], fractions: Sequence[str], ticks: Sequence[str]) -> npt.NDArray[np.int64]:
    digits = {len(fraction) for fraction in set(fractions)} if len(fractions[0]) < 6 else {*map(len, fractions)}
    if digits == {0}:
        return np.array([int(high + low) for high, low in zip(seconds, ticks, strict=True)], np.int64)
    whole = pa.array(seconds).cast(pa.int64()).to_numpy()
    if len(digits) == 1:
        part = pa.array(fractions).cast(pa.int64()).to_numpy() * 10 ** (9 - digits.pop())
    else:
        part = np.array([int(fraction.ljust(9, "0")) for fraction in fractions], np.int64)
    return np.asarray(whole * 1_000_000_000 + part, np.int64)


def _comms(texts: Sequence[str]) -> pa.DictionaryArray:
    """Task names; `<...>` (not saved) is null."""
    encoded = pa.array(texts, pa.string()).dictionary_encode()
    names = [QUOTING.sub("", text) for text in encoded.dictionary.to_pylist()]
    known = sorted({name for name in names if name != UNKNOWN_COMM})
    place = {name: index for index, name in enumerate(known)}
    renumbered = pa.array([place.get(name) for name in names], pa.int32())
    return pa.DictionaryArray.from_arrays(renumbered.take(encoded.indices), pa.array(known, pa.string()))


def _common_flags(word: str) -> int | None:
    return IRQS.get(word[0], 0) | RESCHED.get(word[1], 0) | CONTEXT.get(word[2], 0) if len(word) >= 4 else None


def _preempt_count(word: str) -> int | None:
    """Preemption depth, and migrate-disable depth in the high nibble (the fifth letter, 5.15+)."""
    if len(word) < 4:
        return None
    depth = 0 if word[3] == "." else int(word[3], 16)
    disabled = int(word[4], 16) if len(word) > 4 and word[4] != "." else 0
    return disabled << 4 | depth


@dataclass(slots=True)
class TableBuilder:
    """Turns blocks into tables; remembers the shapes of events between blocks.

    names -- the events wanted (None: all); unreadable -- payloads and values not understood so far, by event.
    """

    names: Collection[str] | None = None
    window: Window = field(default_factory=Window)
    padded: bool = False
    page_size_bytes: int = 4096
    unreadable: dict[str, int] = field(default_factory=dict)
    _events: dict[str, EventText] = field(default_factory=dict)

    def tables(self, block: lines.LineBlock, columns: BlockColumns, first_seq: int) -> dict[str, pa.Table]:
        """Tables by event; `seq` is the row's place in the file."""
        inside = self._inside(columns.time_ns)
        rows_of: dict[str, list[int]] = {}
        for row, name in enumerate(block.names):
            if self.names is None or name in self.names:
                rows_of.setdefault(name, []).append(row)
        tables = {}
        for name, rows in rows_of.items():
            kept = rows if inside is None else [row for row in rows if inside[row]]
            if kept and (table := self._table(name, kept, block, columns, first_seq)) is not None:
                tables[name] = table
        return tables

    def _inside(self, time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        if self.window.start_ns is None and self.window.end_ns is None:
            return None
        start = self.window.start_ns if self.window.start_ns is not None else np.iinfo(np.int64).min
        end = self.window.end_ns if self.window.end_ns is not None else np.iinfo(np.int64).max
        return np.asarray((time_ns >= start) & (time_ns <= end))

    def _table(
        self, name: str, rows: list[int], block: lines.LineBlock, columns: BlockColumns, first_seq: int
    ) -> pa.Table | None:
        if rows[0] in block.frames or rows[-1] in block.frames:
            kept = [row for row in rows if row in block.frames]
            frames = pa.array([block.frames[row] for row in kept], FRAMES.type)
            return _assembled(kept, columns, first_seq, [FRAMES], [frames])
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = EventText(name, SPECS.get(name))
        skip = max(PADDED_NAME - len(name), 1) if self.padded else 1
        payloads = [block.rows[row][lines.PAYLOAD][skip:] for row in rows]
        parsed, rest = event.parse(payloads)
        parts = []
        bad = len(rest)
        for shape in parsed:
            places = rows if shape.rows is None else [rows[place] for place in shape.rows]
            values, unreadable = event.columns(shape, self.page_size_bytes)
            bad += unreadable
            parts.append(_assembled(places, columns, first_seq, event.fields(list(values)), list(values.values())))
        if rest:  # the event happened, whatever it said
            parts.append(_assembled([rows[place] for place in rest], columns, first_seq, [], []))
        if bad:
            self.unreadable[name] = self.unreadable.get(name, 0) + bad
        return joined(parts)


def _assembled(
    rows: list[int], columns: BlockColumns, first_seq: int, fields: list[pa.Field], values: list[pa.Array]
) -> pa.Table:
    places = np.array(rows, np.int64)
    base = [
        pa.array((places + first_seq).astype(np.uint64)),
        pa.array(columns.time_ns[places]),
        pa.array(columns.cpu[places]),
        pa.array(columns.tid[places]),
        columns.comm.take(pa.array(places)).cast(COMM),
        columns.common_flags.take(pa.array(places)),
        columns.preempt_count.take(pa.array(places)),
    ]
    schema = pa.schema([*(column.field for column in EVENT_COLUMNS), *fields])
    return pa.Table.from_arrays([*base, *values], schema=schema)


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables of one event as one, in the order of `seq`; columns that only some have are null in the others."""
    if len(parts) == 1:
        return parts[0]
    table = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    seq = table.column("seq").to_numpy()
    return table if np.all(seq[1:] > seq[:-1]) else table.take(pa.array(np.argsort(seq, kind="stable")))


def comm_names(columns: BlockColumns) -> Mapping[int, str]:
    """Names by tid in this block; the last one seen."""
    names = columns.comm.dictionary.to_pylist()
    known = columns.comm.indices.is_valid().to_numpy(zero_copy_only=False)
    pairs = np.stack([columns.tid[known], columns.comm.indices.drop_null().to_numpy()])
    tids, last = np.unique(pairs[0][::-1], return_index=True)
    return {int(tid): names[pairs[1][::-1][place]] for tid, place in zip(tids, last, strict=True)}
