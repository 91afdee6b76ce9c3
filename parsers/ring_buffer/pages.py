"""Ring-buffer pages of all CPUs, read as one sequence of records in time order.

A `CpuPages` hands out blocks of pages; `scan` walks all of them once; `read_rows` merges CPUs through a small arena, so
memory does not grow with the trace. The loops are in `page_kernels`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.binary.format_text import EventFormat, PageHeader
from tracereplay.parsers.ring_buffer import page_kernels as kernels
from tracereplay.schema import Window

SLOT_BYTES = 1 << 20
MAX_ARENA_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Clock:
    """How raw stamps become ns: (raw * mult >> shift) + add, all 64 bits wide; mult 0 = no multiplication."""

    mult: int = 0
    shift: int = 0
    add_ns: int = 0

    def ns(self, raw: int) -> int:
        """The time of one raw stamp."""
        value = (raw * self.mult) >> self.shift if self.mult else raw
        value = (value + self.add_ns) & (2**64 - 1)
        return value - (1 << 64) if value >> 63 else value

    def duration_ns(self, raw: int) -> int:
        """How long a difference of raw stamps is."""
        return (raw * self.mult) >> self.shift if self.mult else raw

    @property
    def array(self) -> npt.NDArray[np.uint64]:
        """For kernels: uint64[3] = mult, shift, add."""
        return np.array([self.mult, self.shift, self.add_ns & (2**64 - 1)], np.uint64)


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole pages as stored: `stored_bytes` at `offset`, `n_bytes` when unpacked."""

    offset: int
    stored_bytes: int
    n_bytes: int


@dataclass(slots=True)
class CpuPages:
    """One CPU's pages of one ring buffer (their number in the file) in file order.

    load(block, out) fills `out` with the block's `n_bytes` bytes, or raises ValueError.

    tail -- (loss code, detail) of what is missing after the last block.
    After `scan`: first, last uint64[blocks] raw times of each block's records (first > last: it has none), events
    uint64[blocks] the set of their events as bits, bit_of_id int64[65537] which bit; damaged blocks are gone.
    """

    cpu: int
    buffer: int
    page_bytes: int
    blocks: list[Block]
    load: Callable[[Block, npt.NDArray[np.uint8]], None]
    tail: list[tuple[str, str]] = field(default_factory=list)
    first: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    last: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    events: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    bit_of_id: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def bytes_of(self, block: Block) -> bytes:
        """The block's bytes, unpacked."""
        found = np.empty(block.n_bytes, np.uint8)
        self.load(block, found)
        return found.tobytes()

    def span(self, window: Window, clock: Clock) -> tuple[int, int]:
        """Blocks [begin, end) that may hold records of the window; the rest is never unpacked."""
        reached = np.maximum.accumulate(self.last) if len(self.last) else self.last
        ahead = np.minimum.accumulate(self.first[::-1])[::-1] if len(self.first) else self.first
        begin, end = 0, len(self.blocks)
        if window.start_ns is not None:
            begin = bisect_left(range(end), window.start_ns, key=lambda i: clock.ns(int(reached[i])))
        if window.end_ns is not None:
            end = bisect_left(range(end), window.end_ns + 1, key=lambda i: clock.ns(int(ahead[i])))
        return begin, max(begin, end)


def page_layout(header: PageHeader, big_endian: bool, formats: Sequence[EventFormat]) -> npt.NDArray[np.int64]:
    """The kernels' `layout`: where a page and the common part of a record keep their parts."""
    layout = np.zeros(kernels.LAYOUT_FIELDS, np.int64)
    layout[kernels.BIG_ENDIAN] = big_endian
    layout[kernels.COMMIT_BYTES] = header.commit_bytes
    layout[kernels.DATA_OFFSET] = header.data_offset
    offsets = {field.name: field.offset for event in formats[:1] for field in event.common}
    layout[kernels.ID_OFFSET] = offsets.get("common_type", 0)
    layout[kernels.FLAGS_OFFSET] = offsets.get("common_flags", 2)
    layout[kernels.PREEMPT_OFFSET] = offsets.get("common_preempt_count", 3)
    layout[kernels.TID_OFFSET] = offsets.get("common_pid", 4)
    layout[kernels.COMMON_BYTES] = max([8, *(offset + 4 for offset in offsets.values())])
    return layout
