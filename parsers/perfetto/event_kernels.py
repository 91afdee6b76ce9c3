"""Compiled loops over the events of bundles: count them once, then read the wanted fields of the wanted ones.

A kind is one tracepoint: a field number of FtraceEvent, or the name of a generic event. Kinds are numbered as they
are met. Both loops leave out the same events, those that are damaged or of no known kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.perfetto.wire_kernels import (
    BYTES,
    FLAGS,
    IS_DEVICE,
    IS_TEXT,
    NUMBER,
    PAYLOAD_AT,
    PAYLOAD_END,
    TID,
    TIME,
    hash_of,
    kernel_device,
    open_event,
    read_field,
    same_bytes,
)

if TYPE_CHECKING:
    Int = int | np.int64
    U8 = npt.NDArray[np.uint8]
    U16 = npt.NDArray[np.uint16]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]

# Columns of `kinds`: number in FtraceEvent, the payload of the first event, which fields occurred (bit = number).
KIND_NUMBER, FIRST_AT, FIRST_END, SEEN = range(4)
KIND_COLUMNS = 4
MAX_KINDS = 1 << 11
# Columns of a slot of the table of generic names: kind + 1 (0 = free), where the name is.
SLOT_KIND, SLOT_AT, SLOT_BYTES = range(3)
SLOT_COLUMNS = 3
SLOTS = 1 << 13

# Columns of a piece: so many events of one bundle that follow each other.
PIECE_AT, PIECE_END, PIECE_CPU, PIECE_SOURCE, PIECE_EVENTS, PIECE_FIRST, PIECE_LAST = range(7)
PIECE_COLUMNS = 7

# Counters of a scan, and of a CPU: its first, last and latest event, and the longest time without any.
N_KINDS, N_PIECES, BAD_EVENTS, UNKNOWN_EVENTS, STEPS_BACK, BUNDLE_FIRST, BUNDLE_LAST, BUNDLE_EVENTS = range(8)
COUNTERS = 8
CPU_FIRST, CPU_LAST, CPU_SILENCE, CPU_EVENTS = range(4)
CPU_COLUMNS = 4
LAST_SEEN_BIT = 62


@inlined
def _generic_name(data: U8, at: Int, end: Int) -> tuple[Int, Int]:
    """(first byte, bytes) of the name of a generic event; (-1, 0) where it has none."""
    while at < end:
        number, kind, value, size, at = read_field(data, at, end)
        if at < 0:
            return -1, 0
        if number == 1 and kind == BYTES:
            return value, size
    return -1, 0


@inlined
def _kind_of(data: U8, event: I64, kind_of_number: I64, slots: I64, generic: Int) -> tuple[Int, Int]:
    """(kind or -1, slot of its name or -1) of an opened event. kind_of_number[number]: -2 = not a tracepoint."""
    number: Int = event[NUMBER]
    if number != generic:
        if number >= len(kind_of_number):
            return -2, -1
        kind: Int = kind_of_number[number]
        return kind, -1
    at, size = _generic_name(data, event[PAYLOAD_AT], event[PAYLOAD_END])
    if at < 0:
        return -2, -1
    slot = hash_of(data, at, size) % SLOTS
    while slots[slot, SLOT_KIND]:
        if same_bytes(data, at, size, data, slots[slot, SLOT_AT], slots[slot, SLOT_BYTES]):
            return slots[slot, SLOT_KIND] - 1, slot
        slot = (slot + 1) % SLOTS
    return -1, slot


@inlined
def _seen_fields(data: U8, at: Int, end: Int, is_generic: Int) -> Int:
    """The numbers of the fields of a payload as bits; -1 where it cannot be read."""
    seen = np.int64(0)
    while at < end:
        number, kind, value, size, at = read_field(data, at, end)
        if at < 0:
            return -1
        seen |= np.int64(1) << min(number, LAST_SEEN_BIT)
        if is_generic and number == 2 and kind == BYTES:
            inside, stop = value, value + size
            while inside < stop:
                _, _, _, _, inside = read_field(data, inside, stop)
                if inside < 0:
                    return -1
    return seen


@inlined
def _note_cpu(time: Int, cpu: Int, cpus: I64, counters: I64) -> None:
    """The time of one more event of a CPU."""
    if cpus[cpu, CPU_EVENTS] == 0:
        cpus[cpu, CPU_FIRST] = cpus[cpu, CPU_LAST] = time
    elif time < cpus[cpu, CPU_LAST]:
        counters[STEPS_BACK] += 1
        cpus[cpu, CPU_FIRST] = min(cpus[cpu, CPU_FIRST], time)
    else:
        cpus[cpu, CPU_SILENCE] = max(cpus[cpu, CPU_SILENCE], time - cpus[cpu, CPU_LAST])
        cpus[cpu, CPU_LAST] = time
    cpus[cpu, CPU_EVENTS] += 1


@inlined
def _note_piece(time: Int, at: Int, end: Int, limit: Int, pieces: I64, counters: I64) -> None:
    """The event [at, end) becomes part of the last piece, or of a new one where that is full."""
    n = counters[N_PIECES]
    if counters[BUNDLE_EVENTS] == 0 or pieces[n - 1, PIECE_EVENTS] == limit:
        n += 1
        counters[N_PIECES] = n
        pieces[n - 1, PIECE_AT] = at
        pieces[n - 1, PIECE_EVENTS] = 0
        pieces[n - 1, PIECE_FIRST] = pieces[n - 1, PIECE_LAST] = time
    pieces[n - 1, PIECE_END] = end
    pieces[n - 1, PIECE_EVENTS] += 1
    pieces[n - 1, PIECE_FIRST] = min(pieces[n - 1, PIECE_FIRST], time)
    pieces[n - 1, PIECE_LAST] = max(pieces[n - 1, PIECE_LAST], time)
    if counters[BUNDLE_EVENTS] == 0:
        counters[BUNDLE_FIRST] = counters[BUNDLE_LAST] = time
    counters[BUNDLE_FIRST] = min(counters[BUNDLE_FIRST], time)
    counters[BUNDLE_LAST] = max(counters[BUNDLE_LAST], time)
    counters[BUNDLE_EVENTS] += 1


@njit
def scan_bundle(
    data: U8, at: Int, end: int, source: int, cpu: int, numbers: I64, event: I64, kind_of_number: I64, slots: I64,
    kinds: I64, counts: I64, cpus: I64, tids: npt.NDArray[np.bool_], limit: int, pieces: I64, counters: I64,
) -> None:  # fmt: skip
    """Count the events of one bundle and cut it into pieces of at most `limit` events.

    numbers -- timestamp, pid, common_flags, the bundle's event and the generic event; event -- room for one.
    kind_of_number int64[numbers], slots, kinds, counts int64[sources, MAX_KINDS], cpus, tids bool, pieces
    (room for all of the bundle from row 0 on) and counters are written.
    """
    counters[N_PIECES] = 0
    counters[BUNDLE_EVENTS] = 0
    while at < end:
        begin = at
        number, wire, value, size, at = read_field(data, at, end)
        if at < 0:
            break
        if number != numbers[3] or wire != BYTES:
            continue
        if not open_event(data, value, value + size, numbers, event):
            counters[BAD_EVENTS] += 1
            continue
        is_generic = event[NUMBER] == numbers[4]
        seen = _seen_fields(data, event[PAYLOAD_AT], event[PAYLOAD_END], is_generic)
        if seen < 0:
            counters[BAD_EVENTS] += 1
            continue
        kind, slot = _kind_of(data, event, kind_of_number, slots, numbers[4])
        if kind == -1 and counters[N_KINDS] < MAX_KINDS:
            kind = counters[N_KINDS]
            counters[N_KINDS] += 1
            kinds[kind, KIND_NUMBER] = event[NUMBER]
            kinds[kind, FIRST_AT], kinds[kind, FIRST_END] = event[PAYLOAD_AT], event[PAYLOAD_END]
            if is_generic:
                name_at, name_bytes = _generic_name(data, event[PAYLOAD_AT], event[PAYLOAD_END])
                slots[slot, SLOT_KIND], slots[slot, SLOT_AT], slots[slot, SLOT_BYTES] = kind + 1, name_at, name_bytes
            else:
                kind_of_number[event[NUMBER]] = kind
        if kind < 0:
            counters[UNKNOWN_EVENTS] += 1
            continue
        kinds[kind, SEEN] |= seen
        counts[source, kind] += 1
        if event[TID] >= 0:
            tids[event[TID]] = True
        _note_cpu(event[TIME], cpu, cpus, counters)
        _note_piece(event[TIME], begin, at, limit, pieces, counters)
    for piece in range(counters[N_PIECES]):
        pieces[piece, PIECE_CPU], pieces[piece, PIECE_SOURCE] = cpu, source


@inlined
def _take(value: Int, size: Int, kind: Int, how: Int, begin: Int) -> Int:
    """A field's value as a column holds it: a number, or the place of a text within its event's payload."""
    if how == IS_TEXT:
        return size << 16 | (value - begin) if kind == BYTES else 0
    if kind == BYTES:
        return 0
    return kernel_device(value) if how == IS_DEVICE else value


@inlined
def _read_typed(data: U8, at: Int, end: Int, column_of: I64, how: I64, out: I64, row: Int) -> None:
    """The fields of a payload into their columns. column_of int64[numbers], how int64[columns]: of this kind."""
    begin = at
    while at < end:
        number, kind, value, size, at = read_field(data, at, end)
        if at < 0:
            return
        if number < len(column_of):
            column: Int = column_of[number]
            if column >= 0:
                out[row, column] = _take(value, size, kind, how[column], begin)


@inlined
def _read_generic(data: U8, at: Int, end: Int, names: U8, name_at: I64, how: I64, out: I64, row: Int) -> None:
    """The same for a generic event. name_at int64[columns, 2]: byte and length of each column's name in `names`."""
    begin = at
    expected = 0  # fields come in the order of the first event of this name
    while at < end:
        number, kind, value, size, at = read_field(data, at, end)
        if at < 0:
            return
        if number != 2 or kind != BYTES:
            continue
        column = -1
        inside, stop = value, value + size
        while inside < stop:
            number, kind, value, size, inside = read_field(data, inside, stop)
            if inside < 0:
                return
            if number == 1 and kind == BYTES:
                for step in range(len(name_at)):
                    column = (expected + step) % len(name_at)
                    if same_bytes(data, value, size, names, name_at[column, 0], name_at[column, 1]):
                        expected = column + 1
                        break
                    column = -1
            elif column >= 0 and 3 <= number <= 5:
                out[row, column] = _take(value, size, kind, how[column], begin)


@njit
def read_piece(
    data: U8, at: Int, end: int, cpu: int, numbers: I64, event: I64, kind_of_number: I64, slots: I64, wanted: I64,
    column_of: I64, how: I64, n_columns: I64, names: U8, name_at: I64, limits: I64, time_out: I64, cpu_out: U16,
    tid_out: I32, kind_out: U16, flags_out: npt.NDArray[np.int16], out: I64, payload_out: I64, n: int,
) -> int:  # fmt: skip
    """Append the wanted events of one piece within the time limits to row n on; returns where rows end then.

    wanted int64[kinds]: the number of the kind as the caller has it, or -1. Of these: column_of int64[wanted,
    numbers], how int64[wanted, columns], n_columns int64[wanted], name_at int64[wanted, columns, 2] of generic events.
    Columns without a value are 0; flags of -1 are not known; payload_out int64[n, 2] = (byte, length).
    """
    while at < end:
        number, wire, value, size, at = read_field(data, at, end)
        if at < 0:
            break
        if number != numbers[3] or wire != BYTES or not open_event(data, value, value + size, numbers, event):
            continue
        if event[TIME] < limits[0] or event[TIME] > limits[1]:
            continue
        kind, _ = _kind_of(data, event, kind_of_number, slots, numbers[4])
        if kind < 0 or wanted[kind] < 0:
            continue
        is_generic = event[NUMBER] == numbers[4]
        begin, stop = event[PAYLOAD_AT], event[PAYLOAD_END]
        if _seen_fields(data, begin, stop, is_generic) < 0:
            continue
        if n == len(time_out):  # the scan has counted them; this keeps to the arrays whatever the file is
            break
        chosen = wanted[kind]
        columns = n_columns[chosen]
        for column in range(out.shape[1]):
            out[n, column] = 0
        if is_generic:
            _read_generic(data, begin, stop, names, name_at[chosen, :columns], how[chosen], out, n)
        else:
            _read_typed(data, begin, stop, column_of[chosen], how[chosen], out, n)
        time_out[n], cpu_out[n], tid_out[n] = event[TIME], cpu, event[TID]
        kind_out[n], flags_out[n] = chosen, event[FLAGS]
        payload_out[n, 0], payload_out[n, 1] = begin, stop - begin
        n += 1
    return n


@njit
def copy_payloads(data: U8, payloads: I64, kept: U8, blob: U8, blob_at: I64) -> int:
    """Copy the payloads of rows with kept[row] one after the other; returns their bytes.

    payloads int64[n, 2] = (byte, length); blob_at int64[n, 2] is written: (byte in blob, length).
    """
    used = 0
    for row in range(len(payloads)):
        blob_at[row, 0], blob_at[row, 1] = used, payloads[row, 1] if kept[row] else 0
        if kept[row]:
            for place in range(payloads[row, 1]):
                blob[used + place] = data[payloads[row, 0] + place]
            used += payloads[row, 1]
    return used


@njit
def packed_numbers(data: U8, at: Int, end: int, out: I64) -> int:
    """The varints of a packed field, as many as there is room for in `out`; returns how many."""
    n = 0
    while at < end and n < len(out):
        value = np.uint64(0)
        shift = np.uint64(0)
        while at < end:
            byte = np.uint64(data[at])
            at += 1
            value |= (byte & np.uint64(0x7F)) << min(shift, np.uint64(63))
            shift += np.uint64(7)
            if byte < np.uint64(0x80):
                break
        out[n] = np.int64(value)
        n += 1
    return n
