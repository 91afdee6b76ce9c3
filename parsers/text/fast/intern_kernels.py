"""Compiled: text eight bytes at a time, and tables of texts that are known (`intern`).

`words` is the same memory as the text, one number of eight bytes for each byte it may begin at. Text goes on for some
bytes after its last line, so that eight may be looked at anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit

if TYPE_CHECKING:
    Int = int | np.int64
    Bool = bool | np.bool_
    Word = np.uint64
    U8 = npt.NDArray[np.uint8]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]
    U64 = npt.NDArray[np.uint64]

# No text that is looked up is longer.
LONGEST = 256
# How far text goes on after its last line.
SLACK_BYTES = LONGEST + 16
# Columns of `known`: where a text is (in words of eight bytes), its length, the table it is in, what it stands for,
# and whether lines with it are left to the patterns.
AT, LENGTH, NAMESPACE, VALUE, USE_PATTERNS = range(5)
KNOWN_FIELDS = 5

U0, U1, U7, U29, U32, U56 = (np.uint64(number) for number in (0, 1, 7, 29, 32, 56))
EACH_LOW, EACH_HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
BLANKS, NEWLINES = (np.uint64(ord(char) * 0x0101010101010101) for char in " \n")
MIX, MIX_NAMESPACE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


@inlined
def char_at(raw: U8, at: Int) -> Int:
    """Byte at `at`; the uint64 index lets numba omit the negative-index check."""
    return raw[np.uint64(at)]


@inlined
def word_at(words: U64, at: Int) -> Word:
    """Eight bytes."""
    return words[np.uint64(at)]


@inlined
def zeros(word: Word) -> Word:
    """The top bit of the lowest byte that is zero (higher bytes: perhaps others too); 0 where none is."""
    return (word - EACH_LOW) & ~word & EACH_HIGH


@inlined
def bytes_below(mark: Word) -> Int:
    """How many bytes lie below the lowest one marked."""
    low = mark & (~mark + U1)
    return np.int64((((low >> U7) - U1) & EACH_LOW) * EACH_LOW >> U56)


@inlined
def end_at(words: U64, begin: Int, stops: Word) -> Int:
    """The first byte from here on that is a newline, or the one that `stops` is eight of."""
    at = begin
    while True:
        word = word_at(words, at)
        mark = zeros(word ^ stops) | zeros(word ^ NEWLINES)
        if mark != U0:
            return at + bytes_below(mark)
        at += 8


@inlined
def line_end(words: U64, begin: Int) -> Int:
    """Where the line that goes on here ends (at its newline)."""
    return end_at(words, begin, NEWLINES)


@inlined
def word_end(words: U64, begin: Int) -> Int:
    """The first blank or newline from here on."""
    return end_at(words, begin, BLANKS)


@inlined
def _mixed(key: Word, word: Word) -> Word:
    key = (key ^ word) * MIX
    return key ^ key >> U29


@inlined
def _first_bytes(word: Word, count: Int) -> Word:
    """The first 0 to 7 bytes of a word."""
    return word & ((U1 << np.uint64(8 * count)) - U1)


@inlined
def stands(words: U64, begin: Int, length: Int, at: Int, texts: U64) -> Bool:
    """Whether this text stands here."""
    whole = length // 8
    for i in range(whole):
        if word_at(texts, at + i) != word_at(words, begin + 8 * i):
            return False
    return length % 8 == 0 or word_at(texts, at + whole) == _first_bytes(word_at(words, begin + 8 * whole), length % 8)


@inlined
def _key(words: U64, begin: Int, length: Int, namespace: Int) -> Word:
    """A number for a text by which it is found."""
    key = np.uint64(namespace) * MIX_NAMESPACE
    whole = length // 8
    for i in range(whole):
        key = _mixed(key, word_at(words, begin + 8 * i))
    if length % 8:
        key = _mixed(key, _first_bytes(word_at(words, begin + 8 * whole), length % 8))
    return key ^ key >> U32


@inlined
def find(words: U64, begin: Int, length: Int, namespace: Int, slots: I32, known: I64, texts: U64) -> Int:
    """The row of a text in `known`; -1 = it is not there. slots int32[a power of two] -- row + 1, 0 = free."""
    mask = np.uint64(len(slots) - 1)
    slot = _key(words, begin, length, namespace) & mask
    while slots[slot] != 0:
        row = np.int64(slots[slot]) - 1
        if (
            known[row, LENGTH] == length
            and known[row, NAMESPACE] == namespace
            and stands(words, begin, length, known[row, AT], texts)
        ):
            return row
        slot = (slot + U1) & mask
    return -1


@njit
def insert(words: U64, begin: Int, length: Int, namespace: Int, slots: I32, known: I64, texts: U64, used: I64) -> Int:
    """Add a text that is not known; its row, -1 = there is no room. used int64[2] -- rows, words of `texts`.

    `slots` are never full.
    """
    row, at = used[0], used[1]
    size = (length + 7) // 8
    if row >= len(known) or at + size > len(texts):
        return -1
    for i in range(length // 8):
        texts[at + i] = word_at(words, begin + 8 * i)
    if length % 8:
        texts[at + size - 1] = _first_bytes(word_at(words, begin + 8 * (size - 1)), length % 8)
    mask = np.uint64(len(slots) - 1)
    slot = _key(words, begin, length, namespace) & mask
    while slots[slot] != 0:
        slot = (slot + U1) & mask
    slots[slot] = row + 1
    known[row, AT], known[row, LENGTH], known[row, NAMESPACE] = at, length, namespace
    known[row, VALUE], known[row, USE_PATTERNS] = row, 0
    used[0], used[1] = row + 1, at + size
    return row
