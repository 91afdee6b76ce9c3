"""Compiled: numbers of any size at any place of binary records.

Bytes are handed over as uint32 words, with two words to spare after the last byte, so that one
expression reads a number of any size at any place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined

if TYPE_CHECKING:
    Int = int | np.int64  # a number within a kernel; callers outside pass int
    U32 = npt.NDArray[np.uint32]
    I64 = npt.NDArray[np.int64]


@inlined
def load(words: U32, at: Int, size: Int, big: Int) -> Int:
    """The number of `size` (1, 2, 4, 8) bytes at byte `at`, unsigned, its bits in an int64. words little endian."""
    # without branches, so that fields of mixed sizes cost no mispredictions; the third word counts where a number of
    # 8 bytes begins within a word
    i = np.uint64(at) >> np.uint64(2)
    skip = (np.uint64(at) & np.uint64(3)) << np.uint64(3)
    value = (np.uint64(words[i]) | np.uint64(words[i + np.uint64(1)]) << np.uint64(32)) >> skip
    value |= (np.uint64(words[i + np.uint64(2)]) << np.uint64(1)) << (np.uint64(63) - skip)
    value &= np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - (size << 3))
    if big:
        swapped = np.uint64(0)
        for _ in range(size):
            swapped = swapped << np.uint64(8) | value & np.uint64(0xFF)
            value >>= np.uint64(8)
        value = swapped
    return np.int64(value)


@inlined
def load_word(words: U32, at: Int, big: Int) -> Int:
    """The number of 4 bytes at byte `at`, a multiple of 4, unsigned: one load, where `load` does three."""
    word = np.uint64(words[np.uint64(at) >> np.uint64(2)])
    if big:
        word = (
            word >> np.uint64(24)
            | (word >> np.uint64(8)) & np.uint64(0xFF00)
            | ((word << np.uint64(8)) & np.uint64(0xFF0000) | (word << np.uint64(24)) & np.uint64(0xFF000000))
        )
    return np.int64(word)


@inlined
def load_small(words: U32, at: Int, size: Int, big: Int) -> Int:
    """Like `load`, of 1, 2 or 4 bytes: two loads."""
    if big:
        return load(words, at, size, big)
    i = np.uint64(at) >> np.uint64(2)
    pair = np.uint64(words[i]) | np.uint64(words[i + np.uint64(1)]) << np.uint64(32)
    pair >>= (np.uint64(at) & np.uint64(3)) << np.uint64(3)
    return np.int64(pair & (np.uint64(0xFFFFFFFF) >> np.uint64(32 - (size << 3))))


@inlined
def load_fields(
    words: U32, payload: Int, kind: Int, n_fields: I64, field_at: I64, blank: Int, big: Int, fields_out: I64, row: Int
) -> None:
    """The numbers of one record into their columns of a row; n_fields, field_at, blank: see `record_batch.Plan`."""
    for f in range(blank):
        fields_out[row, f] = 0
    for f in range(n_fields[kind]):
        if big or field_at[kind, f, 4]:
            value = np.int64(load(words, payload + field_at[kind, f, 0], field_at[kind, f, 1], big))
        else:  # two words hold it
            place = np.uint64(payload + field_at[kind, f, 0])
            i = place >> np.uint64(2)
            pair = np.uint64(words[i]) | np.uint64(words[i + np.uint64(1)]) << np.uint64(32)
            value = np.int64(pair >> ((place & np.uint64(3)) << np.uint64(3)))
        unused = field_at[kind, f, 2]
        fields_out[row, field_at[kind, f, 5]] = ((value << unused) >> unused) & field_at[kind, f, 3]
