"""Compiled loops between rows of raw fields and columns: grouping by event, taking columns, texts, arrays and names.

Plain loops also where numpy has a word for it (copy, searchsorted): the parts of numba that implement these take longer
to import than a short trace to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.binary.load_kernels import load

if TYPE_CHECKING:
    Int = int | np.int64
    U8 = npt.NDArray[np.uint8]
    U32 = npt.NDArray[np.uint32]
    I64 = npt.NDArray[np.int64]


@njit
def group_rows(kind: npt.NDArray[np.uint16], n: int, starts: I64, order: I64) -> None:
    """Stable grouping of rows 0..n by kind: order[starts[k]:starts[k + 1]] are the rows of kind k.

    starts int64[kinds + 1] and order int64[n] are written.
    """
    kinds = len(starts) - 1
    for k in range(kinds + 1):
        starts[k] = 0
    for i in range(n):
        starts[kind[i] + 1] += 1
    for k in range(kinds):
        starts[k + 1] += starts[k]
    for i in range(n):
        k = kind[i]
        order[starts[k]] = i
        starts[k] += 1
    for k in range(kinds, 0, -1):  # each start has moved to where the next kind's was
        starts[k] = starts[k - 1]
    starts[0] = 0


@njit
def take_columns(fields: I64, rows: I64, out: I64) -> None:
    """out[f, i] = fields[rows[i], f]: the fields of one event, each contiguous."""
    for i in range(len(rows)):
        row = rows[i]
        for f in range(len(out)):
            out[f, i] = fields[row, f]


@inlined
def first_place(known: npt.NDArray[np.signedinteger[Any]], value: Int, low: Int, high: Int) -> Int:
    """The first place of the ascending known[low:high] with a number not below `value`; high = there is none."""
    while low < high:
        middle = (low + high) >> 1
        if known[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def look_up(values: npt.NDArray[np.int32], known: npt.NDArray[np.int32], out: npt.NDArray[np.int32]) -> None:
    """out[i] = index of values[i] in the sorted `known`, or -1; runs of equal values are looked up once."""
    last = np.int32(0)
    place = np.int32(-2)
    for i in range(len(values)):
        value = values[i]
        if place == -2 or value != last:
            at = first_place(known, value, 0, len(known))
            place = np.int32(at) if at < len(known) and known[at] == value else np.int32(-1)
            last = value
        out[i] = place


@njit
def take_arrays(
    blob: U32,
    starts: I64,
    sizes: I64,
    element: int,
    signed: int,
    is_stack: int,
    big: int,
    offsets: npt.NDArray[np.int32],
    out: I64,
) -> int:
    """Arrays of `element`-byte numbers at blob[starts[i]:starts[i] + sizes[i]], one after the other in `out`.

    offsets int32[n + 1] is written; is_stack: an element of all ones or zeros ends its array. Returns their number.
    """
    total = 0
    for i in range(len(starts)):
        offsets[i] = total
        for k in range(sizes[i] // element):
            value = load(blob, starts[i] + k * element, element, big)
            if is_stack and (value == 0 or value == -1 or (element == 4 and value == 0xFFFFFFFF)):
                break
            if signed and element < 8:
                sign = np.int64(1) << (8 * element - 1)
                value = (value ^ sign) - sign
            out[total] = value
            total += 1
    offsets[len(starts)] = total
    return total


@njit
def take_texts(blob: U8, starts: I64, sizes: I64, offsets: npt.NDArray[np.int32], out: U8) -> int:
    """Texts at blob[starts[i]:starts[i] + sizes[i]] up to a NUL, one after the other in `out`; returns their bytes."""
    total = 0
    for i in range(len(starts)):
        offsets[i] = total
        for k in range(starts[i], starts[i] + sizes[i]):
            if blob[k] == 0:
                break
            out[total] = blob[k]
            total += 1
    offsets[len(starts)] = total
    return total
