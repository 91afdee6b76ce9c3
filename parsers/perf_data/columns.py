"""perf.data samples -> one Arrow table per event: columns are filled in place, straight from the bytes.

All columns of an event lie in one piece of memory that is as large as its rows will need: fresh memory is dear in small
pieces, and nothing is moved afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.binary.format_text import FieldKind
from tracereplay.parsers.events.tables import EventTableBuilder, numbers_array
from tracereplay.parsers.perf_data import column_kernels as kernels
from tracereplay.parsers.perf_data.comms import TaskNames
from tracereplay.parsers.perf_data.record_kernels import MAX_CPU
from tracereplay.parsers.perf_data.samples import Batch
from tracereplay.schema import EVENT_COLUMNS, Column

MIN_PFN_BYTES = 4
LINE_BYTES = 64  # Arrow wants its buffers aligned to this
HEAD_BYTES = (8, 8, 2, 4, 4, 1, 1)  # as kernels.HEADS; the comm is an int32 into the dictionary


class _Arena:
    """Room for `rows` rows of all columns of numbers (widths in bytes), `used` of which are filled.

    heads, plan -- the columns as `kernels.take_columns` wants them; unnamed -- how many rows have no comm.
    """

    def __init__(self, rows: int, widths: npt.NDArray[np.int64], plan: npt.NDArray[np.int64]) -> None:
        self.rows, self.used, self.unnamed = rows, 0, 0
        sizes = -(-rows * widths // LINE_BYTES) * LINE_BYTES
        self._widths, self._begins = widths.tolist(), (np.cumsum(sizes) - sizes).tolist()
        starts = np.array(self._begins) // widths
        self.heads, self.plan = starts[: kernels.HEADS], plan.copy()
        self.plan[:, kernels.OUT_AT] = starts[kernels.HEADS :]
        self.of_64 = np.empty(int(sizes.sum()) // 8, np.uint64)
        self.of_32, self.of_16 = self.of_64.view(np.uint32), self.of_64.view(np.uint16)
        self.of_8 = self.of_64.view(np.uint8)
        comm = int(self.heads[kernels.COMM])
        self.comm = self.of_64.view(np.int32)[comm : comm + rows]

    def column(self, place: int, kind: str) -> npt.NDArray[Any]:
        """The filled part of a column, as `i` or `u`."""
        begin, width = self._begins[place], self._widths[place]
        return self.of_8[begin : begin + self.used * width].view(f"{kind}{width}")


class EventColumns:
    """The table of one event, batch by batch. rows -- how many it will have, 0 = unknown."""

    def __init__(self, maker: EventTableBuilder, rows: int, common: tuple[int, int] | None, names: TaskNames) -> None:
        self.maker, self._rows, self._names = maker, rows, names
        self._common = np.array([*(common or (-1, -1)), maker.big_endian], np.int64)
        pairs = list(zip(maker.event.fields, maker.columns, strict=True))
        self._bytes: dict[int, list[pa.Array]] = {
            place: [] for place, (found, _) in enumerate(pairs) if found.kind is not FieldKind.INT
        }
        numbers = [column for found, column in pairs if found.kind is FieldKind.INT]
        self._widths = np.array([*HEAD_BYTES, *(column.type.bit_width // 8 for column in numbers)], np.int64)
        self._plan = np.zeros((len(numbers), kernels.NUMBER_FIELDS), np.int64)
        loaded = (found for found in maker.event.fields if found.kind is FieldKind.INT or found.is_dynamic)
        places = [place for found, place in zip(loaded, maker.places, strict=True) if found.kind is FieldKind.INT]
        for row, (offset, size, signed) in enumerate(places):
            self._plan[row, :4] = offset, size, 64 - 8 * size if signed else 0, self._widths[kernels.HEADS + row]
        self._arenas: list[_Arena] = []
        self._known_names = kernels.nothing_remembered()

    def add(self, batch: Batch, seq: npt.NDArray[np.int64], first_seq: int) -> None:
        """Take the samples of a batch that have these numbers in it; first_seq -- what to add to those."""
        samples = batch.samples[seq]
        n, listed, names = len(samples), batch.listed, self._names
        arena = self._room(n)
        here = np.empty(n, np.int64)
        kernels.take_columns(
            batch.words,
            batch.halves,
            batch.octets,
            batch.at,
            listed.time_ns,
            listed.cpu,
            listed.tid,
            samples,
            seq,
            first_seq,
            arena.heads,
            arena.plan,
            self._common,
            here,
            arena.of_8,
            arena.of_16,
            arena.of_32,
            arena.of_64,
            arena.used,
        )
        comm = arena.comm[arena.used : arena.used + n]
        arena.unnamed += kernels.names_at(
            listed.tid,
            listed.time_ns,
            samples,
            names.tids,
            names.times,
            names.codes,
            self._known_names,
            comm,
        )
        arena.used += n
        if self._bytes:
            self._add_bytes(batch, here, listed.size[samples])

    def _room(self, n: int) -> _Arena:
        """The arena that n more rows go to."""
        if not self._arenas or self._arenas[-1].used + n > self._arenas[-1].rows:
            left = self._rows - sum(arena.used for arena in self._arenas)
            self._arenas.append(_Arena(max(n, left), self._widths, self._plan))
        return self._arenas[-1]

    def _add_bytes(self, batch: Batch, here: npt.NDArray[np.int64], size: npt.NDArray[np.uint16]) -> None:
        """Columns of texts and lists, for payloads at `here` of `size` bytes."""
        maker = self.maker
        blob_at = np.stack([here, size.astype(np.int64)], axis=1)
        for column, arrays in self._bytes.items():
            found, place = maker.event.fields[column], None
            if found.is_dynamic:
                place = np.empty(len(here), np.int64)
                kernels.take_numbers(batch.words, here, found.offset, found.size, int(maker.big_endian), place)
            arrays.append(maker.bytes_column(found, batch.words, blob_at, place))

    def table(self) -> pa.Table | None:
        """All rows; None without any."""
        if not self._arenas:
            return None
        columns = [self._head(place) for place in range(kernels.HEADS)]
        numbers = iter(range(kernels.HEADS, len(self._widths)))
        for place, column in enumerate(self.maker.columns):
            arrays = self._bytes.get(place)
            columns.append(self._number(next(numbers), column) if arrays is None else pa.chunked_array(arrays))
        return pa.Table.from_arrays(columns, schema=self.maker.schema)

    def _number(self, place: int, column: Column) -> pa.ChunkedArray:
        """A column of numbers."""
        # a pfn that is no page is all ones; 32-bit kernels have 4 bytes for it
        nullable = column.unit == "pfn" and self._plan[place - kernels.HEADS, kernels.SIZE] >= MIN_PFN_BYTES
        arrays = []
        for arena in self._arenas:
            values = arena.column(place, "i")
            arrays.append(numbers_array(values, column.type, values == -1 if nullable else None))
        return pa.chunked_array(arrays)

    def _head(self, place: int) -> pa.ChunkedArray:
        """One of EVENT_COLUMNS."""
        arrays = []
        for arena in self._arenas:
            if place == kernels.COMM:
                codes = arena.column(place, "i")
                index = numbers_array(codes, pa.int32(), codes < 0 if arena.unnamed else None)
                arrays.append(pa.DictionaryArray.from_arrays(index, self._names.names))
            else:
                column = EVENT_COLUMNS[place]
                values = arena.column(place, "u")
                untold = values == MAX_CPU if column.name == "cpu" else None
                arrays.append(
                    numbers_array(values, column.type, untold if untold is not None and untold.any() else None)
                )
        return pa.chunked_array(arrays)
