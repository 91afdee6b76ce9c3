"""The MEM_TOPOLOGY feature of perf.data: the machine's memory blocks, as they were when recording began.

    u64 version (1), u64 block_size_bytes, u64 nodes; per node: u64 node, u64 bits, u64 bits (of the bitmap), u64 words

A set bit N says that memoryN belongs to the node (/sys/devices/system/node/nodeX/memoryN). Written since 4.16; source:
tools/perf/Documentation/perf.data-file-format.txt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracereplay.errors import InputError
from tracereplay.parsers.binary.cursor import Cursor

VERSION = 1
# MIN_MEMORY_BLOCK_SIZE is a section: 2^24 to 2^30 bytes; machines with much memory choose up to 2^35.
SMALLEST_BLOCK_BYTES, LARGEST_BLOCK_BYTES = 1 << 12, 1 << 42
MAX_NODES = 1 << 10
MAX_BLOCKS = 1 << 24


@dataclass(frozen=True, slots=True)
class MemoryBlocks:
    """Size of a memory block in bytes, and the numbers of those present, in order."""

    block_bytes: int
    blocks: tuple[int, ...]


def parse_mem_topology(data: bytes, *, big: bool) -> MemoryBlocks | None:
    """The feature's content; None where it is of a version not known.

    Raises InputError where it is cut, or a number in it cannot be.
    """
    cursor = Cursor(data, big=big)
    version, block_bytes, nodes = (cursor.number("Q") for _ in range(3))
    if version != VERSION:
        return None
    if not SMALLEST_BLOCK_BYTES <= block_bytes <= LARGEST_BLOCK_BYTES or block_bytes & block_bytes - 1:
        raise InputError(f"memory blocks of {block_bytes} bytes")
    if nodes > MAX_NODES:
        raise InputError(f"{nodes} memory nodes")
    blocks: set[int] = set()
    for _ in range(nodes):
        cursor.take(16)  # the node's number, and the size that stands before the bitmap once more
        bits = cursor.number("Q")
        if bits > MAX_BLOCKS:
            raise InputError(f"a node of {bits} memory blocks")
        words = np.frombuffer(cursor.take(-(-bits // 64) * 8), ">u8" if big else "<u8").astype("<u8")
        present = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")[:bits])
        blocks.update(present.tolist())
    return MemoryBlocks(block_bytes, tuple(sorted(blocks)))
