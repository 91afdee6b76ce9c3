"""Events of all bundles in time order, in batches that do not grow with the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.perfetto import event_kernels as kernels
from tracereplay.parsers.perfetto import wire_kernels as wires
from tracereplay.parsers.perfetto.fields import Message
from tracereplay.parsers.perfetto.kinds import MAX_FIELDS, readings
from tracereplay.parsers.perfetto.packets import Packets
from tracereplay.parsers.perfetto.scan import EVENT_NUMBERS, Scan
from tracereplay.schema import Window

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Batch:
    """Events in the order of (time, cpu, place in the file): arrays of n rows.

    kind -- the place of the event in the names that were wanted; flags int16: -1 = not known; fields int64[n, columns];
    payload int64[n, 2] = (byte in the trace, bytes).
    """

    time_ns: Ints
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    kind: npt.NDArray[np.uint16]
    flags: npt.NDArray[np.int16]
    fields: Ints
    payload: Ints

    @classmethod
    def empty(cls, rows: int, columns: int) -> Batch:
        """Room for so many rows."""
        return cls(
            np.empty(rows, np.int64), np.empty(rows, np.uint16), np.empty(rows, np.int32), np.empty(rows, np.uint16),
            np.empty(rows, np.int16), np.empty((rows, columns), np.int64), np.empty((rows, 2), np.int64),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.time_ns)

    def take(self, rows: npt.NDArray[np.intp] | slice) -> Batch:
        """Some of the rows."""
        return Batch(
            self.time_ns[rows], self.cpu[rows], self.tid[rows], self.kind[rows], self.flags[rows], self.fields[rows],
            self.payload[rows],
        )  # fmt: skip

    def followed_by(self, other: Batch) -> Batch:
        """Both, one after the other."""
        return Batch(
            *(np.concatenate([getattr(self, name), getattr(other, name)])
              for name in ("time_ns", "cpu", "tid", "kind", "flags", "fields", "payload"))
        )  # fmt: skip


@dataclass(slots=True)
class EventReader:
    """Reads wanted kinds of events: their numbers in the scan, with their names and messages.

    wanted_of_source int64[sources, kinds]: the place of a kind among the wanted, or -1.
    """

    packets: Packets
    found: Scan
    wanted_of_source: Ints
    names: Sequence[str]
    messages: Sequence[Message]

    def batches(self, window: Window | None, rows: int) -> Iterator[Batch]:
        """Batches of about `rows` events, in time order."""
        low, high = (window or Window()).limits_ns
        pieces = self.found.pieces
        pieces = pieces[(pieces[:, kernels.PIECE_FIRST] <= high) & (pieces[:, kernels.PIECE_LAST] >= low)]
        pieces = pieces[np.argsort(pieces[:, kernels.PIECE_FIRST], kind="stable")]
        tables = _Tables.of(self.names, self.messages)
        waiting = Batch.empty(0, tables.columns)
        begin = 0
        while begin < len(pieces):
            sizes = np.cumsum(pieces[begin:, kernels.PIECE_EVENTS])
            end = begin + max(int(np.searchsorted(sizes, rows, "right")), 1)
            waiting = waiting.followed_by(self._read(pieces[begin:end], tables, low, high))
            # what the next piece begins with may come before what is here
            limit = int(pieces[end, kernels.PIECE_FIRST]) if end < len(pieces) else None
            order = np.lexsort((waiting.payload[:, 0], waiting.cpu, waiting.time_ns))
            done = len(order) if limit is None else int(np.searchsorted(waiting.time_ns[order], limit))
            if done:
                yield waiting.take(order[:done])
            waiting = waiting.take(order[done:])
            begin = end

    def _read(self, pieces: Ints, tables: _Tables, low: int, high: int) -> Batch:
        out = Batch.empty(int(pieces[:, kernels.PIECE_EVENTS].sum()), tables.columns)
        event, limits, n = np.zeros(wires.EVENT_COLUMNS, np.int64), np.array([low, high], np.int64), 0
        data, table = self.packets.data, self.found.table
        for at, end, cpu, source in pieces[:, : kernels.PIECE_SOURCE + 1].tolist():
            self.packets.mapped.reading(at, end)
            n = kernels.read_piece(
                data, at, end, cpu, EVENT_NUMBERS, event, table.kind_of_number, table.slots,
                self.wanted_of_source[source], tables.column_of, tables.how, tables.n_columns, tables.names,
                tables.name_at, limits, out.time_ns, out.cpu, out.tid, out.kind, out.flags, out.fields, out.payload, n,
            )  # fmt: skip
        return out.take(slice(0, n))


@dataclass(slots=True)
class _Tables:
    """What `read_piece` takes: by wanted event the columns of its fields, by number or by name."""

    column_of: Ints
    how: Ints
    n_columns: Ints
    names: npt.NDArray[np.uint8]
    name_at: Ints
    columns: int

    @classmethod
    def of(cls, names: Sequence[str], messages: Sequence[Message]) -> _Tables:
        columns = max([1, *(len(message.fields) for message in messages)])
        column_of = np.full((len(messages), MAX_FIELDS + 1), -1, np.int64)
        how = np.zeros((len(messages), columns), np.int64)
        name_at = np.zeros((len(messages), columns, 2), np.int64)
        text = bytearray()
        for row, (name, message) in enumerate(zip(names, messages, strict=True)):
            how[row, : len(message.fields)] = readings(name, message)
            for column, one in enumerate(message.fields):
                column_of[row, one.number] = column
                encoded = one.name.encode()
                name_at[row, column] = len(text), len(encoded)
                text += encoded
        n_columns = np.array([len(message.fields) for message in messages], np.int64)
        blob = np.frombuffer(bytes(text) or b"\0", np.uint8)
        return cls(column_of, how, n_columns, blob, name_at, columns)
