"""Compiled loops from listed perf.data samples to columns, event by event, or to rows, straight from their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.binary.load_kernels import load, load_fields
from tracereplay.parsers.events.table_kernels import first_place

if TYPE_CHECKING:
    Int = int | np.int64
    U8 = npt.NDArray[np.uint8]
    U16 = npt.NDArray[np.uint16]
    U32 = npt.NDArray[np.uint32]
    U64 = npt.NDArray[np.uint64]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]

# What every event has: places of these columns in an arena, in elements of their width.
SEQ, TIME, CPU, TID, COMM, FLAGS, PREEMPT = range(7)
HEADS = 7
# A column of numbers: int64[columns, NUMBER_FIELDS]; offset and size in the payload, bits above a signed number's sign
# (else 0), bytes of an element of the column, and its place in the arena in such elements.
OFFSET, SIZE, UNUSED, WIDTH, OUT_AT = range(5)
NUMBER_FIELDS = 5
TILE_ROWS = 512
# Names are remembered by the low bits of a task's id: int64[REMEMBERED, 4], the task and its name between two times.
REMEMBERED = 256
KNOWN_TID, KNOWN_NAME, KNOWN_FROM, KNOWN_TO = range(4)
MIN_NS, MAX_NS = -(1 << 63), (1 << 63) - 1


@njit
def ties_are_ordered(order: I64, time: I64, cpu: U16) -> bool:
    """Whether samples in this order of time have ascending CPUs where their times are equal."""
    for i in range(1, len(order)):
        if time[order[i]] == time[order[i - 1]] and cpu[order[i]] < cpu[order[i - 1]]:
            return False
    return True


@njit
def copy_payloads(words: U32, at: I64, size: U16, samples: I64, out: U32, out_at: I64, used: Int) -> Int:
    """Copy the payloads of these samples into `out` from word `used` on, out_at = their places in bytes; words used."""
    for i in range(len(samples)):
        sample = samples[i]
        begin = np.uint64(at[sample]) >> np.uint64(2)
        out_at[sample] = used << 2
        for w in range((np.int64(size[sample]) + 3) >> 2):
            out[used] = words[begin + np.uint64(w)]
            used += 1
    return used


@inlined
def _take_heads(
    at: I64,
    time: I64,
    cpu: U16,
    tid: I32,
    samples: I64,
    seq: I64,
    first_seq: Int,
    heads: I64,
    row: Int,
    place: I64,
    out16: U16,
    out32: U32,
    out64: U64,
) -> None:
    """What every event has, and the places of the samples' payloads into `place`."""
    n = len(samples)
    seqs = out64[heads[SEQ] + row : heads[SEQ] + row + n]
    times = out64[heads[TIME] + row : heads[TIME] + row + n]
    cpus = out16[heads[CPU] + row : heads[CPU] + row + n]
    tids = out32[heads[TID] + row : heads[TID] + row + n]
    for i in range(n):
        sample = np.uint64(samples[i])
        place[i] = at[sample]
        seqs[i] = seq[i] + first_seq
        times[i] = time[sample]
        cpus[i] = cpu[sample]
        tids[i] = tid[sample]


@njit
def take_columns(
    words: U32,
    halves: U16,
    octets: U8,
    at: I64,
    time: I64,
    cpu: U16,
    tid: I32,
    samples: I64,
    seq: I64,
    first_seq: Int,
    heads: I64,
    numbers: I64,
    common: I64,
    here: I64,
    out8: U8,
    out16: U16,
    out32: U32,
    out64: U64,
    used: Int,
) -> None:
    """Samples of one event into the columns of an arena, after `used` rows that are there.

    halves, octets -- the words as numbers of 2 and 1 bytes; heads int64[HEADS], numbers int64[columns, NUMBER_FIELDS]
    as above; common int64[3] -- offsets of ftrace's flags and preempt count (-1 = it has none), and 1 = big-endian.
    here int64[samples] is scratch; outN -- the arena as numbers of N bits.
    """
    big = common[2]
    # some rows at a time, column after column: their payloads stay close
    for first in range(0, len(samples), TILE_ROWS):
        mine = samples[first : first + TILE_ROWS]
        n = len(mine)
        place = here[first : first + n]
        row = used + first
        _take_heads(at, time, cpu, tid, mine, seq[first : first + n], first_seq, heads, row, place, out16, out32, out64)
        for c in range(2):
            begin = heads[FLAGS + c] + row
            column8 = out8[begin : begin + n]
            if common[c] < 0:
                for i in range(n):
                    column8[i] = 0
                continue
            for i in range(n):
                column8[i] = octets[np.uint64(place[i] + common[c])]
        for c in range(len(numbers)):
            offset = numbers[c, OFFSET]
            size = numbers[c, SIZE]
            width = numbers[c, WIDTH]
            begin = numbers[c, OUT_AT] + row
            is_native = size == width and not big
            if is_native and size == 8 and offset & 3 == 0:
                column64 = out64[begin : begin + n]
                for i in range(n):
                    w = np.uint64(place[i] + offset) >> np.uint64(2)
                    column64[i] = np.uint64(words[w]) | np.uint64(words[w + np.uint64(1)]) << np.uint64(32)
            elif is_native and size == 4 and offset & 3 == 0:
                column32 = out32[begin : begin + n]
                for i in range(n):
                    column32[i] = words[np.uint64(place[i] + offset) >> np.uint64(2)]
            elif is_native and size == 2 and offset & 1 == 0:
                column16 = out16[begin : begin + n]
                for i in range(n):
                    column16[i] = halves[np.uint64(place[i] + offset) >> np.uint64(1)]
            elif is_native and size == 1:
                column8 = out8[begin : begin + n]
                for i in range(n):
                    column8[i] = octets[np.uint64(place[i] + offset)]
            else:
                for i in range(n):
                    value = load(words, place[i] + offset, size, big)
                    value = (value << numbers[c, UNUSED]) >> numbers[c, UNUSED]
                    if width == 8:
                        out64[begin + i] = np.uint64(value)
                    elif width == 4:
                        out32[begin + i] = np.uint32(value & 0xFFFFFFFF)
                    elif width == 2:
                        out16[begin + i] = np.uint16(value & 0xFFFF)
                    else:
                        out8[begin + i] = np.uint8(value & 0xFF)


@njit
def take_numbers(words: U32, at: I64, offset: Int, size: Int, big: Int, out: I64) -> None:
    """out[i] = the unsigned number of `size` bytes at at[i] + offset."""
    for i in range(len(at)):
        out[i] = load(words, at[i] + offset, size, big)


def nothing_remembered() -> I64:
    """What `names_at` takes as `known` at first."""
    known = np.zeros((REMEMBERED, 4), np.int64)
    known[:, KNOWN_FROM] = 1  # to 0: there is no time between
    return known


@njit
def names_at(tid: I32, time: I64, samples: I64, tids: I32, times: I64, names: I32, known: I64, out: I32) -> int:
    """out[i] = the name of the task of sample samples[i] at its time, -1 = unknown; returns how many are.

    Changes of names are sorted by (tid, time). known -- see `nothing_remembered`; of one table of names.
    """
    unknown = 0
    for i in range(len(samples)):
        sample = np.uint64(samples[i])
        task = np.int64(tid[sample])
        when = time[sample]
        slot = task & (REMEMBERED - 1)
        if known[slot, KNOWN_TID] != task or when < known[slot, KNOWN_FROM] or when > known[slot, KNOWN_TO]:
            begin = first_place(tids, task, 0, len(tids))
            end = first_place(tids, task + 1, begin, len(tids))
            # the first change after `when`
            later = first_place(times, when + 1, begin, end) if when < MAX_NS else end
            known[slot, KNOWN_TID] = task
            known[slot, KNOWN_NAME] = names[later - 1] if later > begin else -1
            known[slot, KNOWN_FROM] = times[later - 1] if later > begin else MIN_NS
            known[slot, KNOWN_TO] = times[later] - 1 if later < end else MAX_NS
        out[i] = known[slot, KNOWN_NAME]
        unknown += known[slot, KNOWN_NAME] < 0
    return unknown


@njit
def take_fields(
    words: U32,
    at: I64,
    order: I64,
    rows: I64,
    kind: U16,
    n_fields: I64,
    field_at: I64,
    blank: Int,
    big: Int,
    flags_offset: Int,
    preempt_offset: Int,
    common_out: U8,
    fields_out: I64,
) -> None:
    """Load fields, ftrace's flags and preempt count of the payloads at[order[row]] in these words into `rows`.

    kind uint16[n]; n_fields, field_at, blank -- as in `records.Plan`.
    """
    for i in range(len(rows)):
        row: Int = rows[i]
        sample: Int = order[row]
        payload: Int = at[sample]
        common_out[row, 0] = np.uint8(load(words, payload + flags_offset, 1, 0))
        common_out[row, 1] = np.uint8(load(words, payload + preempt_offset, 1, 0))
        load_fields(words, payload, kind[row], n_fields, field_at, blank, big, fields_out, row)


@njit
def take_heads(
    order: I64, time: I64, cpu: U16, tid: I32, kind: U16, time_out: I64, cpu_out: U16, tid_out: I32, kind_out: U16
) -> None:
    """Row i of the output is row order[i] of the input."""
    for i in range(len(order)):
        row = order[i]
        time_out[i] = time[row]
        cpu_out[i] = cpu[row]
        tid_out[i] = tid[row]
        kind_out[i] = kind[row]
