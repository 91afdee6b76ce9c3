"""Compiled: the parts of a line of trace text, each read as the kernel writes it; -1 where it is written otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.text.fast.intern_kernels import (
    EACH_HIGH,
    LONGEST,
    NEWLINES,
    U0,
    bytes_below,
    char_at,
    line_end,
    word_at,
    word_end,
    zeros,
)
from tracereplay.parsers.text.fast.word_kernels import is_digit

if TYPE_CHECKING:
    Int = int | np.int64
    Bool = bool | np.bool_
    U8 = npt.NDArray[np.uint8]
    I16 = npt.NDArray[np.int16]
    U64 = npt.NDArray[np.uint64]

BLANK, NEWLINE, COLON, DOT, DASH, COMMA = (ord(char) for char in " \n:.-,")
LEFT, RIGHT, OPEN, CLOSE, MORE = (ord(char) for char in "[]()>")
ZERO, SMALL_A, SMALL_F, SMALL_X, NIL = (ord(char) for char in "0afxN")
RIGHTS = np.uint64(RIGHT * 0x0101010101010101)
U4, U10 = np.uint64(4), np.uint64(10)
COMM_BYTES = 16  # TASK_COMM_LEN
# Flags of a line that has none.
MISSING = -1
# A text's cell: where it begins, and its length in the lowest bits. How many bytes at its end belong to what follows,
# or TRAILING_COMMAS are no part of it.
TEXT_BITS = 16
TRAILING_COMMAS = -1
# What a number may be.
DECIMAL, NEGATIVE, PREFIXED, BARE_HEX, COMMAS, UNSIGNED, IS_PFN, IN_BYTES = (1 << bit for bit in range(8))


@njit
def task_end(raw: U8, begin: Int) -> Int:
    """Where `comm-tid (tgid) [cpu]` that begins here ends (after the bracket), -1 = it is not written plainly."""
    at = begin
    while char_at(raw, at) != LEFT:
        char = char_at(raw, at)
        if char == RIGHT or char >= 127 or char < BLANK or (char == COLON and char_at(raw, at + 1) == BLANK):
            return -1
        at += 1
    bracket = at
    at += 1
    while is_digit(char_at(raw, at)):
        at += 1
    if char_at(raw, at) != RIGHT or not 1 <= at - bracket - 1 <= 4:
        return -1
    after = at + 1
    at = bracket - 1
    if at <= begin or char_at(raw, at) != BLANK:
        return -1
    while at > begin and char_at(raw, at) == BLANK:
        at -= 1
    if char_at(raw, at) == CLOSE:
        closed = at
        at -= 1
        while at > begin and char_at(raw, at) != OPEN:
            if not (is_digit(char_at(raw, at)) or char_at(raw, at) == BLANK or char_at(raw, at) == DASH):
                return -1
            at -= 1
        if not 1 <= closed - at - 1 <= 9 or at <= begin or char_at(raw, at - 1) != BLANK:
            return -1
        at -= 1
        while at > begin and char_at(raw, at) == BLANK:
            at -= 1
    last = at
    while at > begin and is_digit(char_at(raw, at)):
        at -= 1
    if char_at(raw, at) != DASH or not 1 <= last - at <= 9 or not 1 <= at - begin <= COMM_BYTES:
        return -1
    return after


@inlined
def read_flags(raw: U8, begin: Int, letters: I16) -> tuple[Int, Int]:
    """(where they end, their bits) of the four or five letters that begin here; end at -1 = there are none such."""
    low = letters[0, char_at(raw, begin)] | letters[1, char_at(raw, begin + 1)] | letters[2, char_at(raw, begin + 2)]
    high = letters[3, char_at(raw, begin + 3)]
    if low < 0 or high < 0:
        return -1, MISSING
    bits = np.int64(high) << 8 | np.int64(low)
    more = letters[4, char_at(raw, begin + 4)]
    if more < 0:
        return begin + 4, bits
    return begin + 5, np.int64(more) << 12 | bits


@inlined
def read_stamp(raw: U8, begin: Int) -> tuple[Int, Int, Int]:
    """(where it ends, time, whether it is a bare integer) of the stamp that begins here; ends at -1 = it is none."""
    at = begin
    time = np.int64(0)
    while is_digit(char_at(raw, at)) and at - begin < 18:
        time = time * 10 + (char_at(raw, at) - ZERO)
        at += 1
    whole = at - begin
    if char_at(raw, at) != DOT:
        return at if whole > 0 else -1, time, 1
    at += 1
    first = at
    while whole <= 9 and is_digit(char_at(raw, at)) and at - first < 10:
        time = time * 10 + (char_at(raw, at) - ZERO)
        at += 1
    parts = at - first
    for _ in range(9 - parts):
        time *= 10
    return at if 1 <= whole <= 9 and 1 <= parts <= 9 else -1, time, 0


@njit
def bracketed_end(raw: U8, words: U64, begin: Int) -> Int:
    """Where `<stack trace>` ends that begins here, or the line."""
    at, end = begin, line_end(words, begin)
    while at < end and char_at(raw, at) != MORE:
        at += 1
    return min(at + 1, end)


@njit
def payload_end(raw: U8, words: U64, begin: Int) -> Int:
    """The same; -1 = another writer's line may be within (`] `), or what is not ASCII."""
    at = begin
    torn = False
    while True:
        word = word_at(words, at)
        mark = zeros(word ^ NEWLINES)
        if (zeros(word ^ RIGHTS) | word & EACH_HIGH) != U0:
            for i in range(8):
                if char_at(raw, at + i) == NEWLINE:
                    break
                if char_at(raw, at + i) > 127 or (char_at(raw, at + i) == RIGHT and char_at(raw, at + i + 1) == BLANK):
                    torn = True
        if mark != U0:
            return -1 if torn else at + bytes_below(mark)
        at += 8


@njit
def frame_end(raw: U8, words: U64, begin: Int) -> Int:
    """Where the function of a stack ends that begins here: one word, perhaps followed by its address in brackets; -1 =
    it is written otherwise."""
    end = word_end(words, begin)
    at = end
    if char_at(raw, at) == BLANK and char_at(raw, at + 1) == OPEN:
        at += 2
        while is_digit(char_at(raw, at)) or SMALL_A <= char_at(raw, at) <= SMALL_F:
            at += 1
        if char_at(raw, at) != CLOSE or char_at(raw, at - 1) == OPEN:
            return -1
        at += 1
    for i in range(begin, end):
        if not BLANK < char_at(raw, i) < 127:
            return -1
    return end if char_at(raw, at) == NEWLINE else -1


@inlined
def read_number(raw: U8, begin: Int, allowed: Int) -> tuple[Int, Int]:
    """(where it ends, its bits) of the number that begins here; ends at -1 = it is none of those allowed."""
    at = begin
    negative = char_at(raw, at) == DASH and allowed & NEGATIVE != 0
    if negative:
        at += 1
    prefixed = char_at(raw, at) == ZERO and char_at(raw, at + 1) == SMALL_X
    number = U0
    if prefixed or allowed & BARE_HEX:
        if prefixed:
            if negative or not allowed & PREFIXED:
                return -1, 0
            at += 2
        first = at
        while at - first < 17:
            char = char_at(raw, at)
            if is_digit(char):
                number = number << U4 | np.uint64(char - ZERO)
            elif SMALL_A <= char <= SMALL_F:
                number = number << U4 | np.uint64(char - SMALL_A + 10)
            else:
                break
            at += 1
        if not 1 <= at - first <= 16:
            return -1, 0
    else:
        first = at
        while is_digit(char_at(raw, at)) and at - first < 19:
            number = number * U10 + np.uint64(char_at(raw, at) - ZERO)
            at += 1
        if not allowed & DECIMAL or not 1 <= at - first <= 18:
            return -1, 0
    value = np.int64(number)
    if value < 0 and not allowed & UNSIGNED:
        return -1, 0
    if negative:
        value = -value
    if allowed & COMMAS:
        while char_at(raw, at) == COMMA:
            at += 1
    if (value == -1 and allowed & IS_PFN) or (value < 0 and allowed & IN_BYTES):
        return -1, 0
    return at, value


@inlined
def read_text(raw: U8, begin: Int, allowed: Int) -> tuple[Int, Int]:
    """(where it ends, its cell) of the text that begins here; ends at -1 = it is not plain."""
    at = begin
    while BLANK < char_at(raw, at) < 127 and at - begin <= LONGEST:
        at += 1
    if char_at(raw, at) != BLANK and char_at(raw, at) != NEWLINE:
        return -1, 0
    end = at
    if allowed == TRAILING_COMMAS:
        while end > begin and char_at(raw, end - 1) == COMMA:
            end -= 1
    else:
        end -= allowed
        at = end
    if end < begin or (end > begin and char_at(raw, end - 1) == RIGHT):
        return -1, 0
    return at, begin << TEXT_BITS | (end - begin)


@inlined
def pass_word(raw: U8, words: U64, begin: Int, is_page: Bool) -> Int:
    """Where the word ends that is passed over; -1 = it is empty, or a page's that may be NULL."""
    end = word_end(words, begin)
    if end == begin or char_at(raw, end - 1) == RIGHT:
        return -1
    if is_page:  # not zeros, (nil), (null) or NULL
        at = begin
        if char_at(raw, at) == ZERO and char_at(raw, at + 1) == SMALL_X:
            at += 2
        while char_at(raw, at) == ZERO:
            at += 1
        first = char_at(raw, at)
        if at == end or first == OPEN or first == NIL or first == COMMA:
            return -1
    return end
