"""Pack the records of a perf.data file as `perf record -z` does: how the fixture was made from the capture.

.venv/bin/python -m tests.support.pack_perf_data IN OUT [LEVEL]
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

COMPRESSED = 27  # feature bit: u32 version, type (1 = zstd), level, ratio, mmap_len
LEVEL, MMAP_BYTES = 19, 1 << 23
PIECE_BYTES = 1 << 17


def records(data: bytes) -> Iterator[bytes]:
    """Each record; those perf itself writes begin at type 64."""
    at = 0
    while at < len(data):
        size = struct.unpack_from("<H", data, at + 6)[0]
        yield data[at : at + size]
        at += size


def packed(data: bytes, level: int) -> bytes:
    """The kernel's records in one zstd stream, perf's own between them as they are."""
    stream = zstandard.ZstdCompressor(level=level).compressobj()
    out, held = bytearray(), bytearray()

    def flush() -> None:
        piece = stream.compress(bytes(held)) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        out.extend(struct.pack("<IHH", 81, 0, 8 + len(piece)) + piece)
        held.clear()

    for record in records(data):
        if record[0] < 64:
            held += record
        if held and (len(held) >= PIECE_BYTES or record[0] >= 64):
            flush()
        if record[0] >= 64:
            out += record
    if held:
        flush()
    return bytes(out)


def around(source: bytes, size: int, changed: dict[int, bytes]) -> tuple[bytes, bytes]:
    """What stands before and behind records of `size` bytes: the source's header, its features and changed ones."""
    begin, length = struct.unpack_from("<QQ", source, 40)
    flags = int.from_bytes(source[72:104], "little")
    features = {}
    for place, number in enumerate(number for number in range(256) if flags >> number & 1):
        at, n_bytes = struct.unpack_from("<QQ", source, begin + length + 16 * place)
        features[number] = source[at : at + n_bytes]
    features |= changed
    head = bytearray(source[:begin])
    struct.pack_into("<Q", head, 48, size)
    head[72:104] = sum(1 << number for number in features).to_bytes(32, "little")
    at = begin + size + 16 * len(features)
    table, sections = b"", b""
    for number in sorted(features):
        table += struct.pack("<QQ", at + len(sections), len(features[number]))
        sections += features[number]
    return bytes(head), table + sections


def pack(source: bytes, level: int = LEVEL) -> bytes:
    """The whole file; features move, and say that it is compressed."""
    begin, size = struct.unpack_from("<QQ", source, 40)
    body = packed(source[begin : begin + size], level)
    said = struct.pack("<5I", 1, 1, level, size // len(body), MMAP_BYTES)
    head, tail = around(source, len(body), {COMPRESSED: said})
    return head + body + tail


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(pack(Path(sys.argv[1]).read_bytes(), *map(int, sys.argv[3:])))
