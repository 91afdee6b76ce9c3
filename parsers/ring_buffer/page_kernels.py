"""Compiled loops over ring-buffer pages: count them once, then read records of all CPUs merged by time.

A page is `u64 timestamp, long commit, data`; a record is a u32 `type_len:5, time_delta:27` and its payload
(KERNEL 2.1; include/linux/ring_buffer.h, kernel/trace/ring_buffer.c). Offsets, widths and event ids come in as arrays,
so that a second trace with other formats compiles nothing. Bytes are read as `binary.load_kernels` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.binary.load_kernels import load, load_fields, load_small, load_word

if TYPE_CHECKING:
    Int = int | np.int64  # a number within a kernel; callers outside pass int
    U8 = npt.NDArray[np.uint8]
    U32 = npt.NDArray[np.uint32]
    I64 = npt.NDArray[np.int64]
    U64 = npt.NDArray[np.uint64]

# Layout: int64[LAYOUT_FIELDS], what all pages of a file share.
BIG_ENDIAN, COMMIT_BYTES, DATA_OFFSET, ID_OFFSET, FLAGS_OFFSET, PREEMPT_OFFSET, TID_OFFSET, COMMON_BYTES = range(8)
LAYOUT_FIELDS = 8

# Status of a page after the scan.
PAGE_OK, PAGE_EMPTY, PAGE_BAD_COMMIT, PAGE_BAD_RECORD, PAGE_CUT = range(5)

# What `_step` met.
RECORD, NO_RECORD, BAD = range(3)

# Cursor of one stream: int64[streams, CURSOR_FIELDS]; positions are byte offsets into the arena.
# IDS_AT: where the stream's part of kind_of_id begins (one part per ring buffer).
SLOT_END, PAGE_AT, RECORD_AT, COMMIT_END, PAYLOAD_AT, PAYLOAD_BYTES, KIND, STATE, PAGE_SIZE, IDS_AT = range(10)
CURSOR_FIELDS = 10

# State of a stream.
READY, EMPTY, FINISHED = range(3)  # a record waits; the slot must be filled; no more pages will come

MISSED_EVENTS = 1 << 31
MISSED_STORED = 1 << 30
COMMIT_MASK = (1 << 27) - 1
MAX_TID = 1 << 22  # PID_MAX_LIMIT
LAST_BIT = 63  # of a set of events: shared by all after the 63rd


@inlined
def _open_page(words: U32, page: Int, page_bytes: Int, available: Int, layout: I64) -> tuple[Int, Int, Int]:
    """(status, end of the committed data, missed events: 0 none, -1 unknown, else their number) of one page.

    available -- bytes of the page that the file has: fewer than page_bytes where it is cut.
    """
    big = layout[BIG_ENDIAN]
    begin = layout[DATA_OFFSET]
    if available < begin:
        return PAGE_CUT, page + available, 0
    commit_word = load(words, page + 8, layout[COMMIT_BYTES], big)
    commit = commit_word & COMMIT_MASK
    end = page + begin + commit
    status = PAGE_OK
    if begin + commit > page_bytes:
        return PAGE_BAD_COMMIT, page + begin, 0
    if begin + commit > available:
        status = PAGE_CUT
        end = page + available
    missed = 0
    if commit_word & MISSED_EVENTS:
        missed = -1
        # ring_buffer_read_page stores the number after the data where there is room
        if commit_word & MISSED_STORED and begin + commit + layout[COMMIT_BYTES] <= available:
            missed = load(words, end, layout[COMMIT_BYTES], big)
            if missed <= 0:
                missed = -1
    return status, end, missed


@inlined
def _step(words: U32, at: Int, end: Int, time: Int, big: Int) -> tuple[Int, Int, Int, Int, Int]:
    """The next record with a payload from `at` on: (what, next at, time, payload at, payload bytes).

    time -- the running clock, u64 bits in an int64.
    """
    while at + 4 <= end:
        word = load_word(words, at, big)
        if big:
            type_len = word >> 27
            delta = word & ((1 << 27) - 1)
        else:
            type_len = word & 31
            delta = word >> 5
        at += 4
        if type_len <= 28 and type_len != 0:
            size = type_len * 4
            if at + size > end:
                return BAD, at, time, 0, 0
            return RECORD, at + size, time + delta, at, size
        if type_len == 29 and delta == 0:  # the rest of the page is padding
            return NO_RECORD, end, time, 0, 0
        if at + 4 > end:
            return BAD, at, time, 0, 0
        array = load_word(words, at, big)
        if type_len == 0:  # the length counts its own word
            size = array - 4
            if size < 0 or at + 4 + size > end:
                return BAD, at, time, 0, 0
            following = at + 4 + ((size + 3) & ~3)
            return RECORD, min(following, end), time + delta, at + 4, size
        if type_len == 29:  # a discarded record: its time still counts
            if at + array > end:
                return BAD, at, time, 0, 0
            time += delta
            at += max((array + 3) & ~3, 4)
        elif type_len == 30:
            time += (array << 27) + delta
            at += 4
        else:  # absolute stamp of 59 bits; the top five come from the clock so far (rb_fix_abs_ts)
            stamp = np.uint64(array << 27 | delta) & np.uint64((1 << 59) - 1)
            top = np.uint64(time) & np.uint64(0xF800000000000000)
            stamp |= top
            if top != np.uint64(0) and stamp < np.uint64(time):
                stamp += np.uint64(1 << 59)
            time = np.int64(stamp)
            at += 4
    if at < end:
        return BAD, at, time, 0, 0
    return NO_RECORD, at, time, 0, 0


@njit
def scan_pages(
    words: U32,
    n_bytes: Int,
    page_bytes: Int,
    layout: I64,
    min_bytes: I64,
    counts: I64,
    faults: I64,
    shortest: I64,
    bit_of_id: I64,
    tids: npt.NDArray[np.bool_],
    pages: U64,
    status: U8,
    missed: I64,
    is_kept: U8,
    kept_rows: I64,
    kept_words: U32,
) -> tuple[Int, Int]:
    """Walk every page of the first n_bytes once; page p's row of `pages` becomes (first time, last time, records,
    events, silence): events is a set of the bits of the ids that occur, silence the longest time between two records.

    min_bytes int64[65536] -- shortest record by event id, -1 = no such id; counts int64[65536] -- += records by id;
    faults int64[65536] -- += records too short (or unknown) by id; shortest int64[65536] -- bytes by id;
    bit_of_id int64[65536 + 1] -- an id's bit, given at its first record, -1 before; the last entry counts those given;
    tids bool[MAX_TID] -- whether the task ran;
    status uint8[pages], missed int64[pages] -- as `_open_page` says, or PAGE_BAD_RECORD, PAGE_EMPTY.
    is_kept uint8[65536] -- 1: copy this event's records into kept_rows and kept_words, see `kept.KeptRecords`; both
    have room for all records of n_bytes. Returns how much of them was filled: (rows, words).
    """
    n_kept = 0
    used = 0
    big = layout[BIG_ENDIAN]
    common_bytes = layout[COMMON_BYTES]
    page = 0
    p = 0
    while page < n_bytes:
        state, end, lost = _open_page(words, page, page_bytes, min(page_bytes, n_bytes - page), layout)
        missed[p] = lost
        records = 0
        first = 0
        last = 0
        events = np.uint64(0)
        silence = 0
        if state == PAGE_OK or (state == PAGE_CUT and end > page + layout[DATA_OFFSET]):
            time = load(words, page, 8, big)
            at = page + layout[DATA_OFFSET]
            while True:
                what, at, time, payload, size = _step(words, at, end, time, big)
                if what != RECORD:
                    if what == BAD and state == PAGE_OK:
                        state = PAGE_BAD_RECORD
                    break
                if size < common_bytes:
                    faults[0] += 1
                    continue
                event = load_small(words, payload + layout[ID_OFFSET], 2, big)
                need = min_bytes[event]
                if need < 0 or size < need:
                    faults[event] += 1
                    continue
                counts[event] += 1
                shortest[event] = min(shortest[event], size)
                bit = bit_of_id[event]
                if bit < 0:
                    bit = min(bit_of_id[-1], LAST_BIT)
                    bit_of_id[event] = bit
                    bit_of_id[-1] += 1
                events |= np.uint64(1) << np.uint64(bit)
                tid = load_small(words, payload + layout[TID_OFFSET], 4, big)
                if tid < MAX_TID:
                    tids[tid] = True
                if records == 0:
                    first = time
                else:
                    silence = max(silence, time - last)
                last = time
                records += 1
                if is_kept[event]:
                    kept_rows[n_kept, 0] = time
                    kept_rows[n_kept, 1] = event
                    kept_rows[n_kept, 2] = used
                    kept_rows[n_kept, 3] = size
                    n_kept += 1
                    for k in range((size + 3) >> 2):
                        kept_words[used] = np.uint32(load_word(words, payload + 4 * k, 0))
                        used += 1
            if records == 0 and state == PAGE_OK:
                state = PAGE_EMPTY
        status[p] = state
        pages[p, 0] = np.uint64(first)
        pages[p, 1] = np.uint64(last)
        pages[p, 2] = np.uint64(records)
        pages[p, 3] = events
        pages[p, 4] = np.uint64(silence)
        page += page_bytes
        p += 1
    return n_kept, used


@inlined
def _next(
    words: U32,
    page: Int,
    at: Int,
    end: Int,
    slot_end: Int,
    time: Int,
    page_bytes: Int,
    ids_at: Int,
    layout: I64,
    kind_of_id: I64,
    min_bytes: I64,
) -> tuple[Int, Int, Int, Int, Int, Int, Int]:
    """The next wanted record of a slot: (kind, page, next at, page's end, time, payload at, payload bytes).

    kind -1 = the slot has no more.
    """
    big = layout[BIG_ENDIAN]
    common_bytes = layout[COMMON_BYTES]
    id_offset = layout[ID_OFFSET]
    while True:
        what, at, time, payload, size = _step(words, at, end, time, big)
        if what == RECORD:
            if size >= common_bytes:
                event = load_small(words, payload + id_offset, 2, big)
                kind = kind_of_id[ids_at + event]
                if kind >= 0 and size >= min_bytes[event]:
                    return kind, page, at, end, time, payload, size
            continue
        page += page_bytes
        if page >= slot_end:
            return -1, page, at, end, time, 0, 0
        state, end, _ = _open_page(words, page, page_bytes, min(page_bytes, slot_end - page), layout)
        at = page + layout[DATA_OFFSET]
        if state == PAGE_BAD_COMMIT or end < at:
            at = end
        else:
            time = load(words, page, 8, big)


@njit
def begin_slot(
    words: U32,
    cursor: I64,
    clock: U64,
    stream: Int,
    begin: Int,
    n_bytes: Int,
    last_slot: Int,
    layout: I64,
    kind_of_id: I64,
    min_bytes: I64,
) -> None:
    """Point a stream's cursor at the first wanted record of freshly filled bytes [begin, begin + n_bytes)."""
    page_bytes = cursor[stream, PAGE_SIZE]
    # one page before the slot, used up: the first step opens the slot's first page
    kind, page, at, end, time, payload, size = _next(
        words,
        begin - page_bytes,
        begin,
        begin,
        begin + n_bytes,
        0,
        page_bytes,
        cursor[stream, IDS_AT],
        layout,
        kind_of_id,
        min_bytes,
    )
    cursor[stream, SLOT_END] = begin + n_bytes
    cursor[stream, PAGE_AT] = page
    cursor[stream, RECORD_AT] = at
    cursor[stream, COMMIT_END] = end
    cursor[stream, PAYLOAD_AT] = payload
    cursor[stream, PAYLOAD_BYTES] = size
    cursor[stream, KIND] = kind
    clock[stream] = np.uint64(time)
    cursor[stream, STATE] = READY if kind >= 0 else FINISHED if last_slot else EMPTY


@inlined
def scale_time(raw: Int, clock_scale: U64) -> Int:
    """A raw stamp on the trace's clock in ns: (raw * mult >> shift) + add; mult 0 = raw is ns already.

    clock_scale uint64[3] = (mult, shift, add); the product has 128 bits (x86-tsc, TSC2NSEC).
    """
    value = np.uint64(raw)
    mult = clock_scale[0]
    if mult != np.uint64(0):
        shift = clock_scale[1]
        mask = np.uint64(0xFFFFFFFF)
        low = (value & mask) * mult
        high = (value >> np.uint64(32)) * mult + (low >> np.uint64(32))
        low &= mask
        # value = high * 2^32 + low, high < 2^64
        if shift >= np.uint64(32):
            value = high >> (shift - np.uint64(32))
        else:
            value = (high << (np.uint64(32) - shift)) | (low >> shift)
    return np.int64(value + clock_scale[2])


@njit
def read_rows(
    words: U32,
    cursor: I64,
    clock: U64,
    last_slots: I64,
    cpu_of: I64,
    layout: I64,
    kind_of_id: I64,
    min_bytes: I64,
    n_fields: I64,
    field_at: I64,
    blank: Int,
    keep_bytes: I64,
    clock_scale: U64,
    window: I64,
    time_out: I64,
    cpu_out: npt.NDArray[np.uint16],
    tid_out: npt.NDArray[np.int32],
    kind_out: npt.NDArray[np.uint16],
    common_out: U8,
    fields_out: I64,
    blob: U32,
    blob_out: I64,
    state: I64,
) -> Int:
    """Take records of all streams in (time, stream, position) order until the output is full or a slot runs dry.

    kind_of_id int64[buffers * 65536] -- row of the plan for an event id of a ring buffer, -1 = skip; n_fields
    int64[kinds]; field_at int64[kinds, fields, 6] = (offset, size, bits above a signed number's sign, mask, 1 = may lie
    in three words, column); blank -- so many columns are 0 where a kind has nothing for them; keep_bytes int64[kinds]
    -- 1: copy the record into `blob` (its place: blob_out[row] = start, length, in bytes). window int64[2] = first and
    last ns wanted.
    state int64[2] = (rows written, blob words used), in and out. Returns the stream whose slot must be filled, or -1
    when the output is full, or -2 when all streams are finished.
    """
    big = layout[BIG_ENDIAN]
    flags_offset = layout[FLAGS_OFFSET]
    preempt_offset = layout[PREEMPT_OFFSET]
    tid_offset = layout[TID_OFFSET]
    first_ns = window[0]
    last_ns = window[1]
    capacity = len(time_out)
    n = state[0]
    used = state[1]
    outcome = -1
    full = n >= capacity
    while not full:
        best = -1
        rival = -1
        for s in range(len(cursor)):
            if cursor[s, STATE] == EMPTY:
                state[0] = n
                state[1] = used
                return s
            if cursor[s, STATE] != READY:
                continue
            if best < 0 or clock[s] < clock[best]:
                rival = best
                best = s
            elif rival < 0 or clock[s] < clock[rival]:
                rival = s
        if best < 0:
            outcome = -2
            break
        due = clock[rival] if rival >= 0 else np.uint64(0)
        cpu = np.uint16(cpu_of[best])
        slot_end = cursor[best, SLOT_END]
        page_bytes = cursor[best, PAGE_SIZE]
        ids_at = cursor[best, IDS_AT]
        page = cursor[best, PAGE_AT]
        at = cursor[best, RECORD_AT]
        end = cursor[best, COMMIT_END]
        payload = cursor[best, PAYLOAD_AT]
        size = cursor[best, PAYLOAD_BYTES]
        kind = cursor[best, KIND]
        time = np.int64(clock[best])
        # stay on this stream until another one is due; equal times go to the lower stream
        while True:
            if n >= capacity:
                full = True
                break
            ns = scale_time(time, clock_scale)
            if first_ns <= ns <= last_ns:
                if keep_bytes[kind]:
                    n_words = (size + 3) >> 2
                    if used + n_words + 2 > len(blob):
                        full = True
                        break
                    for k in range(n_words):
                        blob[used + k] = np.uint32(load_word(words, payload + 4 * k, 0))
                    blob_out[n, 0] = used << 2
                    blob_out[n, 1] = size
                    used += n_words
                time_out[n] = ns
                cpu_out[n] = cpu
                tid_out[n] = np.int32(load_small(words, payload + tid_offset, 4, big))
                kind_out[n] = kind
                common_out[n, 0] = np.uint8(load_small(words, payload + flags_offset, 1, 0))
                common_out[n, 1] = np.uint8(load_small(words, payload + preempt_offset, 1, 0))
                load_fields(words, payload, kind, n_fields, field_at, blank, big, fields_out, n)
                n += 1
            kind, page, at, end, time, payload, size = _next(
                words, page, at, end, slot_end, time, page_bytes, ids_at, layout, kind_of_id, min_bytes
            )
            if kind < 0:
                cursor[best, STATE] = FINISHED if last_slots[best] else EMPTY
                break
            if rival >= 0 and (due < np.uint64(time) or (due == np.uint64(time) and rival < best)):
                break
        cursor[best, PAGE_AT] = page
        cursor[best, RECORD_AT] = at
        cursor[best, COMMIT_END] = end
        cursor[best, PAYLOAD_AT] = payload
        cursor[best, PAYLOAD_BYTES] = size
        cursor[best, KIND] = kind
        clock[best] = np.uint64(time)
    state[0] = n
    state[1] = used
    return outcome
