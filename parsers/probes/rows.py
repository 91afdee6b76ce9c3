"""Rows of probe events as numbers by what they mean (`Slot`), whatever container and spelling they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.catalog.probes import ROLES, SLOTS, Role, Slot
from tracereplay.parsers.events.page_stream import irq_of
from tracereplay.schema import integers

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
NOT_FETCHED = -1 << 62
NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+", re.ASCII)


@dataclass(slots=True)
class ProbeRows:
    """Events of one probe in time order: int64[n] each; what the probe did not fetch is absent from `values`."""

    name: str
    role: Role
    seq: Ints
    time_ns: Ints
    cpu: Ints
    tid: Ints
    irq: npt.NDArray[np.uint8]  # an IrqContext
    values: dict[Slot, Ints]
    segments: list[Sequence[int]] = field(default_factory=list)  # per row, of bios only
    reasons: list[str] = field(default_factory=list)  # per row, of dump_page only
    callers: list[str] = field(default_factory=list)  # per row, where the trace is text: symbols of return addresses

    def __len__(self) -> int:
        return len(self.seq)

    def get(self, slot: Slot, default: int = NOT_FETCHED) -> Ints:
        """A value of each row."""
        found = self.values.get(slot)
        return np.full(len(self), default, np.int64) if found is None else found

    @property
    def pages(self) -> Ints | None:
        """The page pointer (bit pattern of u64) of each row, None where the probe has none."""
        folio = self.values.get(Slot.FOLIO)
        return self.values.get(Slot.PAGE) if folio is None else folio

    def take(self, chosen: Mask) -> ProbeRows:
        """Some of the rows."""
        at = np.flatnonzero(chosen)
        return ProbeRows(
            self.name,
            self.role,
            self.seq[at],
            self.time_ns[at],
            self.cpu[at],
            self.tid[at],
            self.irq[at],
            {slot: values[at] for slot, values in self.values.items()},
            [self.segments[i] for i in at] if self.segments else [],
            [self.reasons[i] for i in at] if self.reasons else [],
            [self.callers[i] for i in at] if self.callers else [],
        )


def probe_rows(tables: Mapping[str, pa.Table]) -> list[ProbeRows]:
    """The events that probes of the catalogue made; events of that name without a value we know are left out."""
    found = []
    for name in sorted(tables.keys() & ROLES.keys()):
        table = tables[name].filter(tables[name].column("time_ns").is_valid())
        if not table.num_rows:
            continue
        rows = ProbeRows(
            name,
            ROLES[name],
            integers(table.column("seq")),
            integers(table.column("time_ns")),
            integers(table.column("cpu"), (1 << 16) - 1),
            integers(table.column("tid")),
            irq_of(table),
            {},
        )
        for column, slot in SLOTS[name].items():
            if column in table.column_names:
                _read(rows, slot, table.column(column))
        if rows.values:
            found.append(rows)
    return found


def _read(rows: ProbeRows, slot: Slot, column: pa.ChunkedArray) -> None:
    if slot is Slot.SEGMENTS:
        rows.segments = [_numbers_of(value) for value in column.to_pylist()]
    elif slot is Slot.REASON:
        rows.reasons = [str(value or "").strip('"') for value in column.to_pylist()]
    elif slot is Slot.CALLER and not pa.types.is_integer(column.type):
        rows.callers = [str(value or "") for value in column.to_pylist()]
    elif pa.types.is_integer(column.type):
        rows.values[slot] = integers(column, NOT_FETCHED)


def _numbers_of(value: str | Iterable[int] | None) -> Sequence[int]:
    """An array argument: `{0x1,0x2}` in text, a list in records; addresses as bit patterns of int64."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = (int(number, 0) for number in NUMBER.findall(value))
    return [(number & (1 << 64) - 1) - (1 << 64 if number & 1 << 63 else 0) for number in value]


def following(keys: Sequence[Ints], seq: Ints) -> Ints:
    """Of rows with these keys: the place of the next row (by seq) with the same keys, -1 = none."""
    order = np.lexsort((seq, *keys))
    same = np.ones(max(len(seq) - 1, 0), bool)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    after = np.full(len(seq), -1, np.int64)
    after[order[:-1][same]] = order[1:][same]
    return after
