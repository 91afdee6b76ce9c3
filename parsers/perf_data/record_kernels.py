"""Compiled loops over perf.data records: cut blocks at record ends, count them, list samples.

A record is `u32 type, u16 misc, u16 size` and its payload (include/uapi/linux/perf_event.h, enum perf_event_type;
KERNEL 2.4). Where the parts of a sample lie follows from its event's sample_type, which comes in as an array, so that
another file compiles nothing. Bytes are handed over as uint32 words, two of them after the last record; records begin
at multiples of 4, as perf aligns them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.binary.load_kernels import load
from tracereplay.parsers.perf_data.word_kernels import call_chain, half, pair, size_of, whole

if TYPE_CHECKING:
    Int = int | np.int64
    U8 = npt.NDArray[np.uint8]
    U32 = npt.NDArray[np.uint32]
    I64 = npt.NDArray[np.int64]

HEADER_BYTES = 8
SAMPLE = 9
MAX_TID = 1 << 22  # PID_MAX_LIMIT
MAX_CPU = (1 << 16) - 1  # also stands for a CPU that a sample does not tell
# Types from here on are simpleperf's own (SIMPLE_PERF_RECORD_TYPE_START): `misc` is the high half of their size.
CUSTOM_TYPES = 32768
CUSTOM = 256  # place of all of them in the tables of types

# `tables`, int64[...]: all that is known of the events, in one array, since every array handed from kernel to kernel
# costs time at every record. It begins with what all records share. ID_AT -- where a sample's id is, -1 = it has
# none; ONLY -- the event of a sample whose id is unknown or absent, -1 = there is none; the *_OFFSETs -- where ftrace's
# common fields lie; SLOTS_AT, SLOTS_SHIFT -- place of the hash table of ids (pairs of id and event, -1 = free) and how
# to hash; OF_TYPE_AT -- place of the events by the id of their trace event (-1 = none), 65536 of them; the USUAL_* --
# how the samples of plain events lie, as below.
(
    BIG_ENDIAN,
    ID_AT,
    ONLY,
    TYPE_OFFSET,
    FLAGS_OFFSET,
    PREEMPT_OFFSET,
    PID_OFFSET,
    SLOTS_AT,
    SLOTS_SHIFT,
    OF_TYPE_AT,
    USUAL_TID,
    USUAL_TIME,
    USUAL_CPU,
    USUAL_FIXED_BYTES,
) = range(14)
EVENTS_AT = 14

# Then EVENT_FIELDS for each event. Offsets in its samples, -1 = absent; FIXED_BYTES -- where the parts of varying size
# begin; READ_FORMAT -1 = no counter values; RAW_IS_EVENT -- the raw part is a trace event; MIN_BYTES -- of that one;
# PLAIN_BYTES -- bytes the raw part needs where the event is a plain one: a tracepoint that was recorded on a
# little-endian machine as most others of the file, with id, task, time, CPU, raw part and no call chain; else -1.
AT_TID, AT_TIME, AT_CPU, FIXED_BYTES, READ_FORMAT, HAS_CHAIN, HAS_RAW, RAW_IS_EVENT, MIN_BYTES, PLAIN_BYTES = range(10)
EVENT_FIELDS = 10

# read_format (enum perf_event_read_format)
READ_TIMES, READ_ID, READ_GROUP, READ_LOST = 3, 4, 8, 16

# Why `cut_block` stopped.
AT_END, AT_LIMIT, AT_BREAK, RECORD_CUT, BAD_SIZE = range(5)

# A special record, as `scan_block` notes it: int64[n, SPECIAL_FIELDS].
SPECIAL_AT, SPECIAL_CPU, SPECIAL_TIME, SPECIAL_BEFORE = range(4)
SPECIAL_FIELDS = 4

# State of a scan of one file, int64[STATE_FIELDS]: notes written; greatest time in blocks before; greatest times so far
# at the ends of the last two rounds (-1 = there were none).
NOTED, LATEST, ROUND_BEFORE, ROUND = range(4)
STATE_FIELDS = 4

# Totals of a scan per event: int64[events, TOTAL_FIELDS].
SAMPLES, STACKS, BAD = range(3)
TOTAL_FIELDS = 3


@njit
def cut_block(words: U32, at: Int, end: Int, limit: Int, big: Int, breaks: U8) -> tuple[Int, Int]:
    """(end of the last whole record that begins before at + limit, why it stopped there).

    breaks uint8[257] -- 1: stop before a record of this type; the last: of a type that is none of perf's.
    """
    begin = at
    while True:
        if at >= end:
            return at, AT_END
        if at - begin >= limit:
            return at, AT_LIMIT
        if at + HEADER_BYTES > end:
            return at, RECORD_CUT
        size = size_of(words, at, big)
        kind = half(words, at, big)
        if size < HEADER_BYTES and not (kind >= CUSTOM_TYPES and breaks[CUSTOM]):
            return at, BAD_SIZE
        if (kind < 256 and breaks[kind]) or (kind >= CUSTOM_TYPES and breaks[CUSTOM]):
            return at, AT_BREAK
        if at + size > end:
            return at, RECORD_CUT
        at += size
        if size & 3:  # records in a block begin at multiples of 4
            return at, AT_LIMIT


@njit
def find_records(words: U32, at: Int, end: Int, big: Int, wanted: U8, out: I64) -> int:
    """Places of the records of wanted types (uint8[256]) in a block, into out int64[n]; returns their number."""
    n = 0
    while at < end and n < len(out):
        kind = half(words, at, big)
        if kind < 256 and wanted[kind]:
            out[n] = at
            n += 1
        at += size_of(words, at, big)
    return n


@njit
def hash_ids(ids: npt.NDArray[np.uint64], events: I64, tables: I64) -> None:
    """Fill the hash table of sample ids. The first of equal ids stays."""
    mask = np.int64((np.uint64(1) << np.uint64(64 - tables[SLOTS_SHIFT])) - np.uint64(1))
    for i in range(len(ids)):
        slot = np.int64((ids[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(tables[SLOTS_SHIFT]))
        place = tables[SLOTS_AT] + 2 * slot
        while tables[place + 1] >= 0 and tables[place] != np.int64(ids[i]):
            slot = (slot + 1) & mask
            place = tables[SLOTS_AT] + 2 * slot
        if tables[place + 1] < 0:
            tables[place] = np.int64(ids[i])
            tables[place + 1] = events[i]


@inlined
def _event_by_id(tables: I64, sample_id: Int) -> Int:
    """The event with this id, or -1."""
    shift = np.uint64(tables[SLOTS_SHIFT])
    slot = np.int64((np.uint64(sample_id) * np.uint64(0x9E3779B97F4A7C15)) >> shift)
    place = tables[SLOTS_AT] + 2 * slot
    while tables[place + 1] >= 0:
        if tables[place] == sample_id:
            return np.int64(tables[place + 1])
        slot = (slot + 1) & np.int64((np.uint64(1) << (np.uint64(64) - shift)) - np.uint64(1))
        place = tables[SLOTS_AT] + 2 * slot
    return -1


@njit
def _end_of_values(words: U32, place: Int, end: Int, read: Int, big: Int) -> Int:
    """Where the counter values at `place` end (enum perf_event_read_format); -1 = beyond the record."""
    each = 1 + ((read & READ_ID) != 0) + ((read & READ_LOST) != 0)
    values = ((read & READ_TIMES) != 0) + (read & READ_TIMES == READ_TIMES)
    if read & READ_GROUP:
        if place + 8 > end:
            return -1
        members = whole(words, place, big)
        if members < 0 or members > end - place:
            return -1
        values += 1 + members * each
    else:
        values += each
    place += 8 * values
    return place if place <= end else -1


@njit
def _sample(words: U32, at: Int, size: Int, tables: I64) -> tuple[Int, Int, Int, Int, Int]:
    """(event, raw at, raw bytes, kernel frames at, frames) of a sample; raw at -1 = a bad one, event -1 = unknown.

    Without a raw part the record itself takes its place.
    """
    big = tables[BIG_ENDIAN]
    event = np.int64(-1)
    if tables[ID_AT] >= 0 and tables[ID_AT] + 8 <= size:
        event = _event_by_id(tables, whole(words, at + tables[ID_AT], big))
    by_id = event >= 0
    if not by_id:
        event = tables[ONLY]
        if event < 0:
            return -1, -1, 0, 0, 0
    row = EVENTS_AT + event * EVENT_FIELDS
    end = at + size
    place = at + tables[row + FIXED_BYTES]
    if place > end:
        return event, -1, 0, 0, 0
    if tables[row + READ_FORMAT] >= 0:
        place = _end_of_values(words, place, end, tables[row + READ_FORMAT], big)
        if place < 0:
            return event, -1, 0, 0, 0
    frames_at = place
    frames = np.int64(0)
    if tables[row + HAS_CHAIN]:
        place, frames_at, frames = call_chain(words, place, end, big)
        if place < 0:
            return event, -1, 0, 0, 0
    if not tables[row + HAS_RAW]:
        return event, at, size, frames_at, frames
    if place + 4 > end:
        return event, -1, 0, 0, 0
    raw_at = place + 4
    raw_bytes = half(words, place, big)
    if raw_at + raw_bytes > end or raw_bytes < 8:
        return event, -1, 0, 0, 0
    if not by_id:  # the trace event in it tells whose sample it is
        event = np.int64(tables[tables[OF_TYPE_AT] + load(words, raw_at + tables[TYPE_OFFSET], 2, big)])
        if event < 0:
            return -1, -1, 0, 0, 0
        row = EVENTS_AT + event * EVENT_FIELDS
    if raw_bytes < tables[row + MIN_BYTES]:
        return event, -1, 0, 0, 0
    return event, raw_at, raw_bytes, frames_at, frames


@inlined
def _plain(
    words: U32, at: Int, size: Int, tables: I64, id_at: Int, fixed_bytes: Int, slots_at: Int, shift: Int
) -> tuple[Int, Int]:
    """(event, raw bytes) where the event is a plain one and the sample a good one; else event -1: ask `_sample`.

    Its raw part begins at `at + fixed_bytes + 4`. What all samples share comes in from the caller, who loads it once.
    """
    # call chains are left to `_sample`: with a look for one here, loops over samples without took 1.6 times as long
    if size < fixed_bytes + 4:
        return -1, 0
    sample_id = pair(words, at + id_at)
    slot = (np.uint64(sample_id) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift)
    place = np.uint64(slots_at) + np.uint64(2) * slot
    event = tables[place + np.uint64(1)]
    if tables[place] != sample_id or event < 0:  # it may lie in another slot
        return -1, 0
    need = tables[np.uint64(EVENTS_AT + PLAIN_BYTES) + np.uint64(event) * np.uint64(EVENT_FIELDS)]
    raw_bytes = np.int64(words[np.uint64(at + fixed_bytes) >> np.uint64(2)])
    if need < 0 or raw_bytes < need or fixed_bytes + 4 + raw_bytes > size:
        return -1, 0
    return event, raw_bytes


@inlined
def _end_run(
    cpu: Int, first: Int, last: Int, silence: Int, span: I64, cpu_first: I64, cpu_last: I64, cpu_silence: I64
) -> None:
    """Enter the times of samples of one CPU."""
    cpu_silence[cpu] = max(cpu_silence[cpu], silence)
    span[0] = min(span[0], first)
    span[1] = max(span[1], last)
    cpu_first[cpu] = min(cpu_first[cpu], first)
    cpu_last[cpu] = max(cpu_last[cpu], last)


@inlined
def _note_special(
    words: U32, at: Int, size: Int, big: Int, how: Int, trailer: I64, cpu_first: I64, cpu_last: I64, open_losses: I64,
    notes: I64, n: Int,
) -> None:  # fmt: skip
    """Write the special record at `at` to notes[n]; how -- 2: a loss, which is open until its CPU's next sample."""
    cpu = np.int64(-1)
    time = np.int64(-1)
    if trailer[0] and HEADER_BYTES + trailer[0] <= size:
        place = at + size - trailer[0]
        time = whole(words, place + trailer[1], big) if trailer[1] >= 0 else time
        cpu = half(words, place + trailer[2], big) if trailer[2] >= 0 else cpu
    if cpu > MAX_CPU:
        cpu = np.int64(-1)
    notes[n, SPECIAL_AT] = at
    notes[n, SPECIAL_CPU] = cpu
    notes[n, SPECIAL_TIME] = time
    notes[n, SPECIAL_BEFORE] = -1
    if how == 2 and cpu >= 0 and time != 0:
        if cpu_first[cpu] <= cpu_last[cpu]:
            notes[n, SPECIAL_BEFORE] = cpu_last[cpu]
        open_losses[cpu] = 1


@njit
def scan_block(
    words: U32,
    at: Int,
    end: Int,
    tables: I64,
    special: U8,
    trailer: I64,
    totals: I64,
    span: I64,
    cpu_first: I64,
    cpu_last: I64,
    cpu_silence: I64,
    open_losses: I64,
    tids: U8,
    notes: I64,
    state: I64,
) -> Int:
    """Count the samples of whole records [at, end); note special records (uint8[256] by type) and what follows losses.

    trailer int64[3] -- bytes of sample_id at the end of other records, and where in it time and CPU are, -1 = absent.
    totals int64[events + 1, TOTAL_FIELDS], the last row for samples of no known event; span int64[2] -- least and
    greatest time; cpu_first, cpu_last int64[MAX_CPU + 1] -- times by CPU (least first > last: none yet);
    cpu_silence int64[MAX_CPU + 1] -- longest time between two of them;
    open_losses int64[MAX_CPU + 1] -- 1 + row of the last loss of a CPU without a sample after it, 0 = none.
    notes int64[n, SPECIAL_FIELDS] -- special records: place, CPU, time and, where 2, the CPU's last sample before;
    samples after a loss: place -1, CPU and time. state int64[STATE_FIELDS] -- notes written; where special is 3 a round
    ends, which is entered. Returns where it stopped (notes full).
    """
    big = tables[BIG_ENDIAN]
    plain = tables[USUAL_FIXED_BYTES] > 0
    id_at = tables[ID_AT]
    tid_at = tables[USUAL_TID] + 4
    time_at = tables[USUAL_TIME]
    cpu_at = tables[USUAL_CPU]
    fixed_bytes = tables[USUAL_FIXED_BYTES]
    slots_at = tables[SLOTS_AT]
    shift = tables[SLOTS_SHIFT]
    n = 0
    # samples of one CPU follow each other: the least and greatest time of such a run are entered at its end
    run = np.int64(-1)
    first: Int = np.int64(0)
    last: Int = np.int64(0)
    silence: Int = np.int64(0)
    while at < end and n + 2 <= len(notes):
        kind = half(words, at, big)
        size = size_of(words, at, big)
        if kind == SAMPLE:
            event = np.int64(-1)
            if plain:
                event, _raw_bytes = _plain(words, at, size, tables, id_at, fixed_bytes, slots_at, shift)
            if event >= 0:
                good = True
                frames = np.int64(0)
                cpu = np.int64(words[np.uint64(at + cpu_at) >> np.uint64(2)])
                time = pair(words, at + time_at)
                tid = np.int64(words[np.uint64(at + tid_at) >> np.uint64(2)])
            else:
                event, raw_at, _raw_bytes, _frames_at, frames = _sample(words, at, size, tables)
                row = EVENTS_AT + event * EVENT_FIELDS
                cpu = np.int64(MAX_CPU)
                time = np.int64(0)
                tid = np.int64(MAX_TID)
                good = raw_at >= 0
                if good:
                    cpu = half(words, at + tables[row + AT_CPU], big) if tables[row + AT_CPU] >= 0 else cpu
                    time = whole(words, at + tables[row + AT_TIME], big) if tables[row + AT_TIME] >= 0 else time
                    tid = half(words, at + tables[row + AT_TID] + 4, big) if tables[row + AT_TID] >= 0 else tid
            if not good or cpu > MAX_CPU:
                totals[event, BAD] += 1
                at += size
                continue
            totals[event, SAMPLES] += 1
            if frames > 0:
                totals[event, STACKS] += 1
            if tid < MAX_TID:
                tids[tid] = 1
            if cpu == run:
                silence = max(silence, time - last)
                first = min(first, time)
                last = max(last, time)
            else:
                if run >= 0:
                    _end_run(run, first, last, silence, span, cpu_first, cpu_last, cpu_silence)
                run = cpu
                first = time
                last = time
                silence = time - cpu_last[cpu] if cpu_first[cpu] <= cpu_last[cpu] else np.int64(0)
                if open_losses[cpu]:
                    open_losses[cpu] = 0
                    notes[n, SPECIAL_AT] = -1
                    notes[n, SPECIAL_CPU] = cpu
                    notes[n, SPECIAL_TIME] = time
                    n += 1
        elif kind < 256 and special[kind]:
            if run >= 0:
                _end_run(run, first, last, silence, span, cpu_first, cpu_last, cpu_silence)
                run = np.int64(-1)
            if special[kind] == 3:
                state[ROUND_BEFORE] = state[ROUND]
                state[ROUND] = max(state[LATEST], span[1])
                at += size
                continue
            _note_special(words, at, size, big, special[kind], trailer, cpu_first, cpu_last, open_losses, notes, n)
            n += 1
        at += size
    if run >= 0:
        _end_run(run, first, last, silence, span, cpu_first, cpu_last, cpu_silence)
    state[NOTED] = n
    return at


@njit
def list_samples(
    words: U32,
    at: Int,
    end: Int,
    tables: I64,
    kind_of_event: I64,
    stack_kind: Int,
    window: I64,
    time_out: I64,
    cpu_out: npt.NDArray[np.uint16],
    tid_out: npt.NDArray[np.int32],
    kind_out: npt.NDArray[np.uint16],
    at_out: I64,
    size_out: npt.NDArray[np.uint16],
) -> Int:
    """The wanted samples of whole records [at, end) in file order: time, CPU, task, kind, place and size of payload.

    kind_of_event int64[events] -- -1 = not wanted; stack_kind -- kind of the kernel stack that follows its sample, -1 =
    not wanted. window int64[3] = first and last time wanted, and what to add to times. Returns their number.
    """
    big = tables[BIG_ENDIAN]
    plain = tables[USUAL_FIXED_BYTES] > 0
    id_at = tables[ID_AT]
    tid_at = tables[USUAL_TID] + 4
    time_at = tables[USUAL_TIME]
    cpu_at = tables[USUAL_CPU]
    fixed_bytes = tables[USUAL_FIXED_BYTES]
    slots_at = tables[SLOTS_AT]
    shift = tables[SLOTS_SHIFT]
    pid_offset = tables[PID_OFFSET]
    earliest = window[0]
    latest = window[1]
    add_ns = window[2]
    n = np.uint64(0)  # unsigned: no index is looked at twice
    while at < end:
        size = size_of(words, at, 0) if plain else size_of(words, at, big)
        kind = half(words, at, 0) if plain else half(words, at, big)
        if kind != SAMPLE:
            at += size
            continue
        event: Int = np.int64(-1)
        raw_bytes: Int = np.int64(0)
        if plain:
            event, raw_bytes = _plain(words, at, size, tables, id_at, fixed_bytes, slots_at, shift)
        if event >= 0:
            raw_at = at + fixed_bytes + 4
            frames_at = raw_at
            frames = np.int64(0)
            cpu = np.int64(words[np.uint64(at + cpu_at) >> np.uint64(2)])
            time = pair(words, at + time_at) + add_ns
            tid = np.int64(words[np.uint64(at + tid_at) >> np.uint64(2)])
            is_event = np.int64(1)
        else:
            event, raw_at, raw_bytes, frames_at, frames = _sample(words, at, size, tables)
            if raw_at < 0:
                at += size
                continue
            row = EVENTS_AT + event * EVENT_FIELDS
            cpu = half(words, at + tables[row + AT_CPU], big) if tables[row + AT_CPU] >= 0 else np.int64(MAX_CPU)
            time = whole(words, at + tables[row + AT_TIME], big) if tables[row + AT_TIME] >= 0 else np.int64(0)
            time += add_ns
            tid = np.int64(0xFFFFFFFF)
            tid = half(words, at + tables[row + AT_TID] + 4, big) if tables[row + AT_TID] >= 0 else tid
            is_event = tables[row + RAW_IS_EVENT]
        at += size
        if earliest <= time <= latest and cpu <= MAX_CPU:
            kind = kind_of_event[np.uint64(event)]
            # a task that has exited has no id left; the trace event still has it
            if tid == 0xFFFFFFFF and is_event:
                tid = load(words, raw_at + pid_offset, 4, big)
            if kind >= 0:
                time_out[n] = time
                cpu_out[n] = cpu
                tid_out[n] = np.int32(tid)
                kind_out[n] = kind
                at_out[n] = raw_at
                size_out[n] = raw_bytes
                n += np.uint64(1)
            if stack_kind >= 0 and frames > 0:
                time_out[n] = time
                cpu_out[n] = cpu
                tid_out[n] = np.int32(tid)
                kind_out[n] = stack_kind
                at_out[n] = frames_at
                size_out[n] = 8 * frames
                n += np.uint64(1)
    return np.int64(n)
