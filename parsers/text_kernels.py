"""Compiled loops over trace text: event lines taken apart, words of payloads, numbers, distinct texts.

They take what is written as the kernel writes it and pass over everything else, which `text_trace_lines` and
`text_values` then read with patterns. Texts are spans [begin, end) of a block's bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit

if TYPE_CHECKING:
    Int = int | np.int64
    Bool = bool | np.bool_
    U8 = npt.NDArray[np.uint8]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]

BLANK, NEWLINE, COLON, DOT, DASH, COMMA = (ord(char) for char in " \n:.-,")
LEFT, RIGHT, OPEN, CLOSE = (ord(char) for char in "[]()")
ZERO, NINE, SMALL_A, SMALL_F, SMALL_X, CAPITAL_A, CAPITAL_F = (ord(char) for char in "09afxAF")
SMALL_Z, CAPITAL_Z, UNDERLINE = (ord(char) for char in "zZ_")
# Columns of `heads`: the line's number, codes of its task, flags and event, and where its payload lies.
PLACE, TASK, FLAGS, EVENT, BEGIN, END = range(6)
HEAD_FIELDS = 6
# What `take_heads` tells apart by text; DISTINCT spans of each, in the order they are met.
KINDS = 3
COMM_BYTES = 16  # TASK_COMM_LEN
FNV_OFFSET = np.uint64(14695981039346656037)
FNV_PRIME = np.uint64(1099511628211)


@inlined
def is_digit(char: Int) -> Bool:
    """0-9."""
    return ZERO <= char <= NINE


@inlined
def is_word(char: Int) -> Bool:
    r"""ASCII \\w."""
    return is_digit(char) or SMALL_A <= char <= SMALL_Z or CAPITAL_A <= char <= CAPITAL_Z or char == UNDERLINE


@inlined
def code_of(raw: U8, begin: Int, end: Int, slots: I32, spans: I64, used: Int) -> Int:
    """The number of this text among those met (`used` so far); `used` itself where it is new, its span then noted.

    slots int32[a power of two, more than there are texts] -- number + 1, 0 = free; spans int64[texts, 2].
    """
    key = FNV_OFFSET
    for i in range(begin, end):
        key = (key ^ np.uint64(raw[i])) * FNV_PRIME
    slot = (key ^ key >> np.uint64(32)) & np.uint64(len(slots) - 1)
    while slots[slot] != 0:
        known = slots[slot] - 1
        first = spans[known, 0]
        if spans[known, 1] - first == end - begin:
            same = True
            for i in range(end - begin):
                if raw[first + i] != raw[begin + i]:
                    same = False
                    break
            if same:
                return known
        slot = (slot + np.uint64(1)) & np.uint64(len(slots) - 1)
    slots[slot] = used + 1
    spans[used, 0], spans[used, 1] = begin, end
    return used


@inlined
def _task_end(raw: U8, begin: Int, end: Int) -> Int:
    """Where `comm-tid (tgid) [cpu]` that begins here ends (behind the bracket), -1 = it is not written plainly."""
    at = begin
    while at < end and raw[at] != LEFT:
        char = raw[at]
        if char == RIGHT or char >= 127 or char < BLANK or (char == COLON and raw[at + 1] == BLANK):
            return -1
        at += 1
    bracket = at
    at += 1
    while at < end and is_digit(raw[at]):
        at += 1
    if at >= end or raw[at] != RIGHT or not 1 <= at - bracket - 1 <= 4:
        return -1
    behind = at + 1
    at = bracket - 1
    if at <= begin or raw[at] != BLANK:
        return -1
    while at > begin and raw[at] == BLANK:
        at -= 1
    if raw[at] == CLOSE:
        closed = at
        at -= 1
        while at > begin and raw[at] != OPEN:
            if not (is_digit(raw[at]) or raw[at] == BLANK or raw[at] == DASH):
                return -1
            at -= 1
        if not 1 <= closed - at - 1 <= 9 or at <= begin or raw[at - 1] != BLANK:
            return -1
        at -= 1
        while at > begin and raw[at] == BLANK:
            at -= 1
    last = at
    while at > begin and is_digit(raw[at]):
        at -= 1
    if raw[at] != DASH or not 1 <= last - at <= 9 or not 1 <= at - begin <= COMM_BYTES:
        return -1
    return behind


@inlined
def _flags_end(raw: U8, begin: Int, end: Int, letters: U8) -> Int:
    """Where the four or five letters that begin here end; `begin` where there are none. letters uint8[5, 256]."""
    at = begin
    while at < end and at - begin < 5 and letters[at - begin, raw[at]]:
        at += 1
    return at if at - begin >= 4 and at < end and raw[at] == BLANK else begin


@njit
def take_heads(
    raw: U8,
    ends: I64,
    letters: U8,
    slots: I32,
    spans: I64,
    used: I64,
    heads: I64,
    time_ns: I64,
    others: I64,
) -> Int:
    """Take the event lines apart that are `comm-tid [cpu] flags secs.parts: event: payload`; returns their number.

    ends int64[lines] -- behind each line's newline; slots int32[KINDS, slots], spans int64[KINDS, texts, 2], used
    int64[KINDS] -- distinct tasks (comm to bracket), flags and events; heads int64[lines, HEAD_FIELDS] and time_ns
    int64[lines] -- of the lines taken; others int64[lines] -- the numbers of the other lines, in order.
    """
    taken = 0
    left = 0
    begin = 0
    for line in range(len(ends)):
        end = ends[line] - 1  # at its newline
        start = begin
        begin = ends[line]
        others[left] = line
        left += 1
        while start < end and raw[start] == BLANK:
            start += 1
        first = raw[start]
        if not (is_word(first) or first == ord("<")):
            continue
        bracket = _task_end(raw, start, end)
        if bracket < 0 or bracket >= end or raw[bracket] != BLANK:
            continue
        at = bracket
        while at < end and raw[at] == BLANK:
            at += 1
        flags = at
        flags_end = _flags_end(raw, at, end, letters)
        at = flags_end
        while at < end and raw[at] == BLANK:
            at += 1
        digits = at
        value = np.int64(0)
        while at < end and is_digit(raw[at]) and at - digits < 10:
            value = value * 10 + (raw[at] - ZERO)
            at += 1
        if at >= end or raw[at] != DOT or not 1 <= at - digits <= 9:
            continue
        at += 1
        digits = at
        while at < end and is_digit(raw[at]) and at - digits < 10:
            value = value * 10 + (raw[at] - ZERO)
            at += 1
        if at + 1 >= end or raw[at] != COLON or raw[at + 1] != BLANK or not 1 <= at - digits <= 9:
            continue
        for _ in range(9 - (at - digits)):
            value *= 10
        at += 2
        name = at
        while at < end and is_word(raw[at]):
            at += 1
        if at + 1 >= end or at == name or is_digit(raw[name]) or raw[at] != COLON or raw[at + 1] != BLANK:
            continue
        name_end = at
        at += 2
        payload = at
        torn = False  # perhaps another writer's line within
        while at + 1 < end:
            if raw[at] == RIGHT and raw[at + 1] == BLANK:
                torn = True
                break
            at += 1
        if torn:
            continue
        left -= 1
        codes = heads[taken]
        codes[PLACE] = line
        codes[TASK] = code_of(raw, start, bracket, slots[0], spans[0], used[0])
        used[0] = max(used[0], codes[TASK] + 1)
        codes[FLAGS] = code_of(raw, flags, flags_end, slots[1], spans[1], used[1])
        used[1] = max(used[1], codes[FLAGS] + 1)
        codes[EVENT] = code_of(raw, name, name_end, slots[2], spans[2], used[2])
        used[2] = max(used[2], codes[EVENT] + 1)
        codes[BEGIN], codes[END] = payload, end
        time_ns[taken] = value
        taken += 1
    return taken


@njit
def split_words(
    raw: U8, begin: I64, end: I64, keys: U8, key_ends: I64, words: I64, fits: npt.NDArray[np.bool_]
) -> None:
    """Values of texts that are `key=value` words, single blanks between: words int64[keys, texts, 2] are their spans,
    commas behind them left out.

    keys -- all keys, one behind the other, each with its `=`; fits bool[texts] -- whether a text is of that form.
    """
    for row in range(len(begin)):
        at, stop = begin[row], end[row]
        while at < stop and raw[at] == BLANK:
            at += 1
        while stop > at and raw[stop - 1] == BLANK:
            stop -= 1
        fits[row] = False
        key = 0
        good = True
        for k in range(len(key_ends)):
            if k > 0:
                if at >= stop or raw[at] != BLANK:
                    good = False
                    break
                at += 1
            while key < key_ends[k]:
                if at >= stop or raw[at] != keys[key]:
                    good = False
                    break
                at += 1
                key += 1
            if not good:
                break
            words[k, row, 0] = at
            while at < stop and raw[at] != BLANK:
                at += 1
            last = at
            while last > words[k, row, 0] and raw[last - 1] == COMMA:
                last -= 1
            words[k, row, 1] = last
        fits[row] = good and at == stop


@njit
def read_numbers(raw: U8, begin: I64, end: I64, hexadecimal: Int, signed: Int, out: I64) -> Int:
    """Numbers of up to 18 decimal digits, or 16 hexadecimal ones behind 0x (`hexadecimal`: also without), their bits
    in int64; returns how many were read before the first text that is no such number.
    """
    for row in range(len(begin)):
        at, stop = begin[row], end[row]
        base = 16 if hexadecimal else 10
        negative = False
        if stop - at > 2 and raw[at] == ZERO and (raw[at + 1] == SMALL_X or raw[at + 1] == SMALL_X - 32):
            base = 16
            at += 2
        elif not hexadecimal and stop - at > 1 and raw[at] == DASH:
            negative = True
            at += 1
        if at >= stop or stop - at > (16 if base == 16 else 18):
            return row
        value = np.uint64(0)
        for i in range(at, stop):
            char = raw[i]
            if is_digit(char):
                digit = char - ZERO
            elif base == 16 and SMALL_A <= char <= SMALL_F:
                digit = char - SMALL_A + 10
            elif base == 16 and CAPITAL_A <= char <= CAPITAL_F:
                digit = char - CAPITAL_A + 10
            else:
                return row
            value = value * np.uint64(base) + np.uint64(digit)
        if signed and np.int64(value) < 0:
            return row
        out[row] = -np.int64(value) if negative else np.int64(value)
    return len(begin)


@njit
def copy_texts(raw: U8, begin: I64, end: I64, offsets: I32, out: U8) -> None:
    """The texts one behind the other in `out`; offsets int32[texts + 1]."""
    total = 0
    for row in range(len(begin)):
        offsets[row] = total
        for i in range(begin[row], end[row]):
            out[total] = raw[i]
            total += 1
    offsets[len(begin)] = total


@njit
def tell_apart(raw: U8, begin: I64, end: I64, slots: I32, spans: I64, codes: I64) -> Int:
    """Number equal texts alike, in the order they are met: codes int64[texts], spans int64[texts, 2] of the first
    `returned` of them. slots int32[a power of two above twice the texts], zeros."""
    used = 0
    for row in range(len(begin)):
        code = code_of(raw, begin[row], end[row], slots, spans, used)
        used = max(used, code + 1)
        codes[row] = code
    return used
