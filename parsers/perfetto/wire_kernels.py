"""Compiled loops over protobuf messages: the packets of a trace, the events of a bundle, the fields of an event.

Every varint and length is checked against the end of the message that holds it. Field numbers and the meaning of
fields come in as arrays, so that another trace compiles nothing. data is uint8[n], read-only: the mapped file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit

if TYPE_CHECKING:
    Int = int | np.int64  # a number within a kernel; callers outside pass int
    U8 = npt.NDArray[np.uint8]
    I64 = npt.NDArray[np.int64]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DAMAGED = -1

# How `find_packets` ended.
ALL, FULL, CUT, NO_PACKET = range(4)
# Columns of its rows.
PACKET_AT, PACKET_END, SEQUENCE, DROPPED, IS_FIRST, MACHINE, WHAT, AT, END = range(9)
PACKET_COLUMNS = 9

# Columns of the head of a bundle; HEAD_BAD: the rest of it cannot be read.
CPU, LOST, CLOCK, HAS_EXTRAS, HEAD_BAD, EVENTS_END = range(6)
HEAD_COLUMNS = 6

# Columns of an opened event.
TIME, TID, FLAGS, NUMBER, PAYLOAD_AT, PAYLOAD_END = range(6)
EVENT_COLUMNS = 6
MAX_TID = 1 << 22  # PID_MAX_LIMIT
MAX_PAYLOAD_BYTES = (1 << 16) - 1  # the place of a text within its event has 16 bits

# How a field's value is read.
IS_NUMBER, IS_TEXT, IS_DEVICE = range(3)


@inlined
def read_varint(data: U8, at: Int, end: Int) -> tuple[Int, Int]:
    """(value with its 64 bits in an int64, next byte or DAMAGED)."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            return np.int64(value), at
        shift += np.uint64(7)
    return np.int64(0), DAMAGED


@inlined
def read_field(data: U8, at: Int, end: Int) -> tuple[Int, Int, Int, Int, Int]:
    """(number, wire type, value or first byte, bytes, next byte or DAMAGED) of the field at `at`."""
    key, at = read_varint(data, at, end)
    kind = key & 7
    number = (key >> 3) & ((1 << 61) - 1)
    if at < 0 or number == 0 or number >= 1 << 29:
        return 0, 0, 0, 0, DAMAGED
    if kind == VARINT:
        value, at = read_varint(data, at, end)
        return number, kind, value, 0, at
    if kind == BYTES:
        size, at = read_varint(data, at, end)
        if at < 0 or size < 0 or size > end - at:
            return 0, 0, 0, 0, DAMAGED
        return number, kind, at, size, at + size
    if kind in (FIXED64, FIXED32):
        size = 8 if kind == FIXED64 else 4
        if size > end - at:
            return 0, 0, 0, 0, DAMAGED
        number_bits = np.uint64(0)
        for place in range(size):
            number_bits |= np.uint64(data[at + place]) << np.uint64(8 * place)
        return number, kind, np.int64(number_bits), 0, at + size
    return 0, 0, 0, 0, DAMAGED


@inlined
def _read_packet(data: U8, at: Int, end: Int, numbers: I64, wanted: I64, rows: I64, n: Int) -> Int:
    """The row of one packet: whether all of it could be read. numbers: of its fields, as `find_packets` has them."""
    for column in range(PACKET_COLUMNS):
        rows[n, column] = 0
    rows[n, PACKET_AT], rows[n, PACKET_END] = at, end
    while at < end:
        number, kind, value, size, following = read_field(data, at, end)
        if following < 0:
            return 0
        at = following
        if kind == VARINT:
            for place in range(4):
                if number == numbers[place]:
                    rows[n, SEQUENCE + place] = value
        elif kind == BYTES:
            for place in range(len(wanted)):
                if number == wanted[place]:
                    rows[n, WHAT], rows[n, AT], rows[n, END] = number, value, value + size
    return 1


@njit
def find_packets(data: U8, numbers: I64, wanted: I64, state: I64, rows: I64) -> int:
    """Packets with one of the fields `wanted`, from byte state[0] on; (how it ended), their number in state[1].

    numbers -- of the sequence id, the dropped and first flags and the machine; rows int64[m, PACKET_COLUMNS] is
    written; state[0] is where to go on, state[2] counts damaged packets (which are left out), state[3] all.
    CUT: the packet at state[0] ends beyond the file; NO_PACKET: what is at state[0] is none.
    """
    end = len(data)
    n = 0
    while state[0] < end:
        if n == len(rows):
            state[1] = n
            return FULL
        at = state[0]
        key, begin = read_varint(data, at, end)
        if begin < 0 or key != 10:  # Trace.packet: field 1, bytes
            state[1] = n
            return CUT if begin < 0 and end - at < 10 else NO_PACKET
        size, begin = read_varint(data, begin, end)
        if begin < 0 or size < 0 or size > end - begin:
            state[1] = n
            return CUT if size >= 0 else NO_PACKET
        state[3] += 1
        if _read_packet(data, begin, begin + size, numbers, wanted, rows, n):
            if rows[n, WHAT]:
                n += 1
        else:
            state[2] += 1
        state[0] = begin + size
    state[1] = n
    return ALL


@njit
def read_head(data: U8, at: Int, end: int, numbers: I64, head: I64) -> None:
    """What a bundle says beside its events; head int64[HEAD_COLUMNS] is written.

    numbers -- of its fields: cpu, lost_events, ftrace_clock, event; any other with a length makes HAS_EXTRAS.
    EVENTS_END is where its readable part ends.
    """
    for column in range(HEAD_COLUMNS):
        head[column] = 0
    head[CPU] = -1
    while at < end:
        number, kind, value, _, following = read_field(data, at, end)
        if following < 0:
            head[HEAD_BAD] = 1
            break
        at = following
        if kind == VARINT:
            for place in range(3):
                if number == numbers[place]:
                    head[CPU + place] = value
        elif kind == BYTES and number != numbers[3]:
            head[HAS_EXTRAS] = 1
    head[EVENTS_END] = at


@inlined
def open_event(data: U8, at: Int, end: Int, numbers: I64, event: I64) -> Int:
    """1 where FtraceEvent [at, end) can be read; event int64[EVENT_COLUMNS] is written.

    numbers -- of timestamp, pid and common_flags. TID and FLAGS are -1 where it does not tell; NUMBER is 0 where it
    has no payload. Of several payloads the last counts, as everywhere in protobuf.
    """
    event[TIME] = event[TID] = event[FLAGS] = -1
    event[NUMBER] = 0
    while at < end:
        number, kind, value, size, following = read_field(data, at, end)
        if following < 0:
            return 0
        at = following
        if kind == VARINT:
            if number == numbers[0]:
                event[TIME] = value
            elif number == numbers[1]:
                event[TID] = value
            elif number == numbers[2]:
                event[FLAGS] = value & 0xFF
        elif kind == BYTES:
            event[NUMBER], event[PAYLOAD_AT], event[PAYLOAD_END] = number, value, value + size
    if event[TIME] < 0 or event[TID] > MAX_TID or event[TID] < -1:
        return 0
    if event[NUMBER] and event[PAYLOAD_END] - event[PAYLOAD_AT] > MAX_PAYLOAD_BYTES:
        return 0
    return 1


@inlined
def kernel_device(value: Int) -> Int:
    """dev_t of user space -> the kernel's major << 20 | minor, which Perfetto translates (ReadDevId, makedev(3))."""
    major = (value >> 8 & 0xFFF) | (value >> 32 & 0xFFFFF000)
    minor = (value & 0xFF) | (value >> 12 & 0xFFFFFF00)
    return major << 20 | (minor & 0xFFFFF)


@inlined
def same_bytes(data: U8, at: Int, size: Int, names: U8, name_at: Int, name_size: Int) -> Int:
    """Whether data[at:at + size] is the name."""
    if size != name_size:
        return 0
    for place in range(size):
        if data[at + place] != names[name_at + place]:
            return 0
    return 1


@inlined
def hash_of(data: U8, at: Int, size: Int) -> Int:
    """FNV-1a of some bytes, not negative."""
    value = np.uint64(0xCBF29CE484222325)
    for place in range(size):
        value = (value ^ np.uint64(data[at + place])) * np.uint64(0x100000001B3)
    return np.int64(value >> np.uint64(1))


@njit
def next_extra(data: U8, place: I64, end: int, event: int, row: I64) -> int:
    """The next field of a bundle from byte place[0] on that has a length and is no event: 0 where there is none.

    row = (number, first byte, end); place[0] is moved on.
    """
    while place[0] < end:
        number, kind, value, size, following = read_field(data, place[0], end)
        if following < 0:
            return 0
        place[0] = following
        if kind == BYTES and number != event:
            row[0], row[1], row[2] = number, value, value + size
            return 1
    return 0
