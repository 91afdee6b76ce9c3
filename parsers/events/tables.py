"""Rows of raw fields -> one typed Arrow table per event: the same for every container of binary records.

Types come from the catalogue where it knows the field, else from the format text: integers by size and sign, text
for char arrays, lists for arrays of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.binary.format_text import EventFormat, Field, FieldKind
from tracereplay.parsers.binary.record_batch import RecordRows
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.events import table_kernels as kernels
from tracereplay.schema import ARGS, EVENT_COLUMNS, PFN, Column

Place = tuple[int, int, bool]  # offset, size, signed: what a kernel needs to load a number

_INTS = {
    1: (pa.uint8(), pa.int8()),
    2: (pa.uint16(), pa.int16()),
    4: (pa.uint32(), pa.int32()),
    8: (pa.uint64(), pa.int64()),
}
_RESERVED = frozenset(column.name for column in EVENT_COLUMNS)


def column_name(field_name: str) -> str:
    """Name of a field's column; fields that are named like one of EVENT_COLUMNS get `_field` after (sched: comm)."""
    return f"{field_name}_field" if field_name in _RESERVED else field_name


def number_place(field: Field, is_pfn: bool = False) -> Place:
    """How to load a field as int64; a pfn of a 32-bit kernel is loaded signed, so that "none" is -1 everywhere."""
    return field.offset, field.size, field.signed or (is_pfn and field.size == 4)


def stream_places(event: EventFormat) -> list[Place]:
    """Where the arguments of the page stream lie in this event's record; (-1, 0, False) = the event has none such."""
    args = SPECS[event.name].args
    places = []
    for index, name in enumerate(ARGS):
        found = event.field(args[name]) if name in args else None
        usable = found is not None and found.kind is FieldKind.INT
        places.append(number_place(found, index == PFN) if found is not None and usable else (-1, 0, False))
    return places


@dataclass(slots=True)
class EventTableBuilder:
    """Builds the table of one event, batch by batch.

    places -- the numbers to load per record, one per field that is a number or holds the place of one.
    """

    event: EventFormat
    big_endian: bool = False
    places: list[Place] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    bad_fields: set[str] = field(default_factory=set)
    _batches: list[pa.RecordBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        spec = SPECS.get(self.event.name)
        known = {column.name: column for column in spec.fields} if spec else {}
        for found in self.event.fields:
            column = known.get(found.name)
            arrow = _arrow_type(found)
            if column is None:
                column = Column(column_name(found.name), arrow, None, found.type)
            elif _family(column.type) != _family(arrow):  # damage, or another event of this name: nothing to rely on
                column = Column(f"{found.name}_field", arrow, None, found.type)
            self.columns.append(column)
            if found.kind is FieldKind.INT or found.is_dynamic:
                self.places.append(number_place(found, column.unit == "pfn"))

    @property
    def keeps_bytes(self) -> bool:
        """Whether some field needs the record's bytes, not only numbers."""
        return any(found.kind is not FieldKind.INT for found in self.event.fields)

    def add(self, rows: RecordRows, order: npt.NDArray[np.int64], first_seq: int, comms: Comms) -> None:
        """Take the rows `order` (ascending) of a batch whose first row has number first_seq."""
        numbers = np.empty((len(self.places), len(order)), np.int64)
        kernels.take_columns(rows.fields, order, numbers)
        tid = rows.tid[order]
        arrays: list[pa.Array] = [
            numbers_array(order + first_seq, pa.uint64()),
            numbers_array(rows.time_ns[order], pa.int64()),
            numbers_array(rows.cpu[order], pa.uint16()),
            numbers_array(tid, pa.int32()),
            comms.array(tid),
            numbers_array(rows.common[order, 0], pa.uint8()),
            numbers_array(rows.common[order, 1], pa.uint8()),
        ]
        blob_at = rows.blob_at[order] if self.keeps_bytes else rows.blob_at
        used = 0
        for found, column in zip(self.event.fields, self.columns, strict=True):
            if found.kind is FieldKind.INT:
                arrays.append(_numbers(numbers[used], column))
                used += 1
            elif found.is_dynamic:
                arrays.append(self.bytes_column(found, rows.blob, blob_at, numbers[used]))
                used += 1
            else:
                arrays.append(self.bytes_column(found, rows.blob, blob_at, None))
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))

    @property
    def schema(self) -> pa.Schema:
        """EVENT_COLUMNS, then the event's own fields."""
        return pa.schema([column.field for column in (*EVENT_COLUMNS, *self.columns)])

    def table(self) -> pa.Table | None:
        """All batches as one table; None without rows."""
        return pa.Table.from_batches(self._batches, self.schema) if self._batches else None

    def bytes_column(
        self, found: Field, blob: npt.NDArray[np.uint32], at: npt.NDArray[np.int64], place: npt.NDArray[np.int64] | None
    ) -> pa.Array:
        """A text or list column; a dynamic field that points outside its record is null and noted."""
        is_stack = found.name == "caller" and self.event.name in {"kernel_stack", "user_stack"}
        offset, size = np.full(len(at), found.offset, np.int64), np.full(len(at), found.size, np.int64)
        if place is not None:
            offset, size = place & 0xFFFF, place >> 16 & 0xFFFF
            if found.kind is FieldKind.REL_LOC:
                offset = offset + (found.offset + found.size)
        elif not found.size or is_stack:  # the kernel writes as many frames as there are, whatever `caller[8]` says
            size = np.maximum(at[:, 1] - found.offset, 0)
        elif found.kind is FieldKind.INTS:
            size = np.minimum(size, at[:, 1] - found.offset)
        bad = (offset + size > at[:, 1]) | (size < 0)
        if bad.any():
            self.bad_fields.add(found.name)
            size = np.where(bad, 0, size)
            offset = np.where(bad, 0, offset)
        starts, sizes = at[:, 0] + offset, np.ascontiguousarray(size)
        mask = bad if bad.any() else None
        if found.is_text:
            return _texts(blob, starts, sizes, mask)
        return _lists(blob, starts, sizes, mask, found, is_stack, self.big_endian)


@dataclass(slots=True)
class Comms:
    """Task names by tid: tids int32[n] ascending, names beside them."""

    tids: npt.NDArray[np.int32]
    names: pa.Array

    @classmethod
    def of(cls, names: dict[int, str]) -> Comms:
        """From a mapping; tids that do not fit int32 cannot occur in records and are left out."""
        tids = sorted(tid for tid in names if 0 <= tid < 1 << 31)
        return cls(np.array(tids, np.int32), texts_array([names[tid] for tid in tids]))

    def array(self, tid: npt.NDArray[np.int32]) -> pa.Array:
        """A dictionary array of names; null where unknown."""
        index = np.empty(len(tid), np.int32)
        kernels.look_up(tid, self.tids, index)
        return pa.DictionaryArray.from_arrays(numbers_array(index, pa.int32(), index < 0), self.names)


def numbers_array(
    values: npt.NDArray[np.generic], kind: pa.DataType, null: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """An Arrow array over numpy values of the same width; pa.array would import pandas to look for a Series."""
    return pa.Array.from_buffers(kind, len(values), [_validity(null), pa.py_buffer(np.ascontiguousarray(values))])


def texts_array(texts: Sequence[str]) -> pa.Array:
    """An Arrow array of strings."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def _validity(null: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    """Arrow's bitmap of values that are there; None where none is null."""
    if null is None or not null.any():
        return None
    return pa.py_buffer(np.packbits(~null, bitorder="little"))


def _family(kind: pa.DataType) -> str:
    """Whether a column holds numbers, text or lists."""
    return "number" if pa.types.is_integer(kind) else "text" if pa.types.is_string(kind) else "list"


def _arrow_type(found: Field) -> pa.DataType:
    if found.kind is FieldKind.INT:
        return _INTS[found.size][found.signed]
    if found.is_text:
        return pa.string()
    return pa.list_(_INTS[found.element_bytes][found.signed])


def _numbers(values: npt.NDArray[np.int64], column: Column) -> pa.Array:
    null = values == -1 if column.unit == "pfn" else None
    width = column.type.bit_width
    # the low bits are the number, signed or not
    narrow = values if width == 64 else values.astype(f"i{width // 8}")
    return numbers_array(narrow, column.type, null)


def _texts(
    blob: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    mask: npt.NDArray[np.bool_] | None,
) -> pa.Array:
    offsets = np.empty(len(starts) + 1, np.int32)
    out = np.empty(int(sizes.sum()), np.uint8)
    out = out[: kernels.take_texts(blob.view(np.uint8), starts, sizes, offsets, out)]
    buffers = [_validity(mask), pa.py_buffer(offsets), pa.py_buffer(out)]
    array = pa.Array.from_buffers(pa.string(), len(starts), buffers)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:  # not UTF-8
        array = texts_array([bytes(out[a:b]).decode("utf-8", "replace") for a, b in pairwise(offsets)])
        array = pa.Array.from_buffers(pa.string(), len(starts), [_validity(mask), *array.buffers()[1:]])
    return array


def _lists(
    blob: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    mask: npt.NDArray[np.bool_] | None,
    found: Field,
    is_stack: bool,
    big: bool,
) -> pa.Array:
    element = found.element_bytes
    offsets = np.empty(len(starts) + 1, np.int32)
    out = np.empty(int((sizes // element).sum()), np.int64)
    total = kernels.take_arrays(blob, starts, sizes, element, int(found.signed), int(is_stack), int(big), offsets, out)
    kind = _INTS[element][found.signed]
    values = numbers_array(out[:total] if element == 8 else out[:total].astype(f"i{element}"), kind)
    return pa.Array.from_buffers(
        pa.list_(kind), len(starts), [_validity(mask), pa.py_buffer(offsets)], children=[values]
    )


def by_event(makers: Sequence[EventTableBuilder], rows: RecordRows, first_seq: int, comms: Comms) -> None:
    """Hand each event's rows of a batch to its maker."""
    starts, order = np.empty(len(makers) + 1, np.int64), np.empty(len(rows), np.int64)
    kernels.group_rows(rows.kind, len(rows), starts, order)
    for kind, maker in enumerate(makers):
        if starts[kind] < starts[kind + 1]:
            maker.add(rows, order[starts[kind] : starts[kind + 1]], first_seq, comms)


def note_bad_fields(makers: Iterable[EventTableBuilder], losses: list[Loss]) -> None:
    """Add fields that pointed outside their records to `losses`."""
    for maker in makers:
        for name in sorted(maker.bad_fields):
            loss = Loss("bad_record", detail=f"{maker.event.name}.{name} points outside its record")
            if loss not in losses:
                losses.append(loss)


def finished_tables(makers: Mapping[str, EventTableBuilder], losses: list[Loss]) -> dict[str, pa.Table]:
    """The tables of all makers with rows; fields that pointed outside their records are added to `losses`."""
    note_bad_fields(makers.values(), losses)
    tables = ((name, maker.table()) for name, maker in makers.items())
    return {name: table for name, table in tables if table is not None}
