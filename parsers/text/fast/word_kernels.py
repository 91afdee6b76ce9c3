"""Compiled loops over texts of events: words of payloads, numbers, distinct texts.

They take what is written as the kernel writes it and pass over everything else, which `values` then reads with
patterns. Texts are spans [begin, end) of a block's bytes.
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

BLANK, DASH, COMMA = (ord(char) for char in " -,")
ZERO, NINE, SMALL_A, SMALL_F, SMALL_X, CAPITAL_A, CAPITAL_F = (ord(char) for char in "09afxAF")
SMALL_Z, CAPITAL_Z, UNDERLINE = (ord(char) for char in "zZ_")
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


@njit
def split_words(
    raw: U8, begin: I64, end: I64, keys: U8, key_ends: I64, words: I64, fits: npt.NDArray[np.bool_]
) -> None:
    """Values of texts that are `key=value` words, single blanks between: words int64[keys, texts, 2] are their spans,
    trailing commas left out.

    keys -- all keys, one after the other, each with its `=`; fits bool[texts] -- whether a text is of that form.
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
    """Numbers of up to 18 decimal digits, or 16 hexadecimal ones after 0x (`hexadecimal`: also without), their bits
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
    """The texts one after the other in `out`; offsets int32[texts + 1]."""
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
