"""Where one CPU's ring-buffer pages lie in a trace.dat, as blocks that can be unpacked one by one."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.files.mapped import Mapped
from tracereplay.parsers.ring_buffer.pages import Block, CpuPages
from tracereplay.parsers.trace_dat.sections import MAX_CHUNK_BYTES, Buffer, Container, CpuData, unpack

RAW_BLOCK_BYTES = 1 << 17


def cpu_pages(data: Mapped, container: Container, number: int, buffer: Buffer, place: CpuData) -> CpuPages:
    """The pages of one CPU of buffer `number`; what its place announces beyond the file's end is noted in `tail`."""
    tail: list[tuple[str, str]] = []
    end = min(place.offset + place.size, len(data))
    if place.size and place.offset + place.size > len(data):
        missing = place.offset + place.size - len(data)
        tail.append(("truncated", f"{missing} bytes are missing"))
    compression = container.compression if buffer.chunked else "none"

    def load(block: Block, out: npt.NDArray[np.uint8]) -> None:
        if compression == "none" and block.stored_bytes == block.n_bytes:
            data.file.copy(block.offset, out)
            return
        # Nothing unpacked is kept for the next pass: fresh memory for it costs as much as unpacking again.
        data.reading(block.offset, block.offset + block.stored_bytes)
        stored = memoryview(data)[block.offset : block.offset + block.stored_bytes]
        out[:] = np.frombuffer(unpack(stored, block.n_bytes, compression), np.uint8)

    if place.size == 0 or place.offset >= end:
        blocks = []
    elif buffer.chunked:
        # trace-cmd 3.1 leaves the u32 number of chunks out of the size it writes
        blocks = _chunks(data, container, buffer.page_bytes, place, min(place.offset + place.size + 4, len(data)), tail)
    else:
        step = max(RAW_BLOCK_BYTES // buffer.page_bytes, 1) * buffer.page_bytes
        blocks = [Block(at, min(step, end - at), min(step, end - at)) for at in range(place.offset, end, step)]
    return CpuPages(place.cpu, number, buffer.page_bytes, blocks, load, tail)


def _chunks(
    data: Mapped, container: Container, page_bytes: int, place: CpuData, end: int, tail: list[tuple[str, str]]
) -> list[Block]:
    """u32 chunks, then per chunk u32 stored bytes, u32 bytes, data (man trace-cmd.dat.v7, BUFFER)."""
    pair = struct.Struct(">II" if container.big_endian else "<II")
    blocks: list[Block] = []
    if end - place.offset < 4:
        return blocks
    count = int.from_bytes(data[place.offset : place.offset + 4], "big" if container.big_endian else "little")
    at = place.offset + 4
    for _ in range(count):
        if at + pair.size > end:
            tail.append(("truncated", f"{count - len(blocks)} chunks are missing"))
            break
        stored, size = pair.unpack_from(data, at)
        at += pair.size
        is_beyond = stored > place.size and place.offset + place.size < len(data)  # else the file is cut
        if not 0 < size <= MAX_CHUNK_BYTES or size % page_bytes or is_beyond:
            tail.append(("corrupt_chunk", f"the chunk at byte {at} announces {size} bytes"))
            break  # nothing tells where the next one begins
        if at + stored > end:
            tail.append(("truncated", f"{count - len(blocks)} chunks are missing"))
            break
        blocks.append(Block(at, stored, size))
        at += stored
    return blocks
