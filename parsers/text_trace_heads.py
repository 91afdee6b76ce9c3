"""Plainly written event lines of trace text, taken apart by a compiled loop; the other lines are left to others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers import text_kernels as kernels
from tracereplay.parsers.text_spans import Spans, slots_for

Ints = npt.NDArray[np.int64]

# What the letters of the flags column may be, one by one (trace_print_lat_fmt() in kernel/trace/trace_output.c).
LETTERS = ("dDbBX.", "NnpLlbB.", "hHsZz.", "0123456789abcdef.", "0123456789abcdef.")


@dataclass(slots=True)
class Heads:
    """Event lines `comm-tid [cpu] flags secs.parts: event: payload` of a block.

    place, task, flag, event int64[lines] -- a line's number; indices into `tasks` (without the last bracket), `flags`
    ("" = the line has none) and `events`; others int64 -- the numbers of all other lines.
    """

    place: Ints
    task: Ints
    flag: Ints
    event: Ints
    time_ns: Ints
    payload: Spans
    tasks: list[str]
    flags: list[str]
    events: list[str]
    others: Ints


def _letters() -> npt.NDArray[np.uint8]:
    table = np.zeros((len(LETTERS), 256), np.uint8)
    for place, letters in enumerate(LETTERS):
        table[place, [ord(letter) for letter in letters]] = 1
    return table


_LETTERS = _letters()


def take_heads(lines: pa.StringArray) -> Heads:
    """The plain event lines among these; every line ends with its newline."""
    text = Spans.of(lines)
    n = len(lines)
    slots = np.stack([slots_for(n)] * kernels.KINDS)
    spans, used = np.empty((kernels.KINDS, n, 2), np.int64), np.zeros(kernels.KINDS, np.int64)
    heads, time_ns, others = np.empty((n, kernels.HEAD_FIELDS), np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    taken = int(kernels.take_heads(text.raw, text.end, _LETTERS, slots, spans, used, heads, time_ns, others))
    columns = np.ascontiguousarray(heads[:taken].T)
    words = [
        [Spans(text.raw, met[:count, 0], met[:count, 1])[row] for row in range(count)]
        for met, count in zip(spans, used.tolist(), strict=True)
    ]
    return Heads(
        columns[kernels.PLACE],
        columns[kernels.TASK],
        columns[kernels.FLAGS],
        columns[kernels.EVENT],
        time_ns[:taken],
        Spans(text.raw, columns[kernels.BEGIN], columns[kernels.END]),
        [task.removesuffix("]") for task in words[0]],
        words[1],
        words[2],
        others[: n - taken],
    )
