"""Numbers and call chains in records of perf.data; they are aligned to four bytes, in either byte order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit

if TYPE_CHECKING:
    Int = int | np.int64

U32 = npt.NDArray[np.uint32]
# PERF_CONTEXT_* markers in call chains are the last 4095 addresses.
CONTEXT_KERNEL = -128
CONTEXT_MAX = -4095


@inlined
def half(words: U32, at: Int, big: Int) -> Int:
    """The unsigned number of 4 bytes at `at`, a multiple of 4."""
    value = np.uint64(words[np.uint64(at) >> np.uint64(2)])
    if big:
        value = (value & np.uint64(0xFF00FF)) << np.uint64(8) | (value >> np.uint64(8)) & np.uint64(0xFF00FF)
        value = (value & np.uint64(0xFFFF)) << np.uint64(16) | value >> np.uint64(16)
    return np.int64(value)


@inlined
def whole(words: U32, at: Int, big: Int) -> Int:
    """The number of 8 bytes at `at`, a multiple of 4: its bits in an int64."""
    first = np.uint64(half(words, at, big))
    second = np.uint64(half(words, at + 4, big))
    return np.int64(first << np.uint64(32) | second if big else second << np.uint64(32) | first)


@inlined
def size_of(words: U32, at: Int, big: Int) -> Int:
    """The size of the record at `at`: the last 2 bytes of its second word."""
    return half(words, at + 4, big) & 0xFFFF if big else half(words, at + 4, big) >> 16


@inlined
def pair(words: U32, at: Int) -> Int:
    """The number of 8 bytes at `at`, a multiple of 4, of a little-endian machine: its bits in an int64."""
    i = np.uint64(at) >> np.uint64(2)
    return np.int64(np.uint64(words[i]) | np.uint64(words[i + np.uint64(1)]) << np.uint64(32))


@njit
def call_chain(words: U32, place: Int, end: Int, big: Int) -> tuple[Int, Int, Int]:
    """(end, first kernel frame's place, kernel frames) of the call chain at `place`; end -1 = beyond the record."""
    if place + 8 > end:
        return -1, 0, 0
    count = whole(words, place, big)
    place += 8
    if count < 0 or count > (end - place) >> 3:
        return -1, 0, 0
    frames_at = place
    frames = 0
    inside = False
    for i in range(count):
        address = whole(words, place + 8 * i, big)
        if CONTEXT_MAX <= address < 0:
            if frames:
                break
            inside = address == CONTEXT_KERNEL
            frames_at = place + 8 * (i + 1)
        elif inside:
            frames += 1
    return place + 8 * count, frames_at, frames
