"""The records of a perf.data file as blocks of whole records, unpacked where they are compressed.

Blocks of an uncompressed file lie in the mapped file, so that any of them can be read again; a compressed file is one
zstd stream (per file of a directory) and is read from its beginning each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import zstandard

from tracereplay.losses import Loss
from tracereplay.parsers.files.mapped import Mapped
from tracereplay.parsers.perf_data import record_kernels as kernels

BLOCK_BYTES = 1 << 20
MAX_RECORD_BYTES = 1 << 16
SPARE_BYTES = 12  # kernels read up to two words after a record's last one
# What is unpacked at once: a kilobyte of zstd's smallest blocks becomes 32 MB at most.
PACKED_BYTES = 1 << 10

# perf says goodbye on stderr, which some send into the same pipe.
SPOKEN = b"[ perf record:"

# Records of simpleperf's own: tracing data, and what is larger than a record may be, in parts.
CUSTOM_SPLIT, CUSTOM_SPLIT_END, CUSTOM_TRACING_DATA = 32772, 32773, 32777
TRACING_DATA_AT = 12  # after the record's header and the length
MAX_SPLIT_BYTES = 1 << 28
# Records that are followed by more than their size says, or hold other records (enum perf_user_event_type).
HEADER_TRACING_DATA, AUXTRACE, COMPRESSED, COMPRESSED2 = 66, 71, 81, 83
PACKED = frozenset({COMPRESSED, COMPRESSED2})
TRACING = frozenset({HEADER_TRACING_DATA, CUSTOM_TRACING_DATA, CUSTOM_SPLIT, CUSTOM_SPLIT_END})
BREAKS = np.zeros(257, np.uint8)
BREAKS[[HEADER_TRACING_DATA, AUXTRACE, COMPRESSED, COMPRESSED2, kernels.CUSTOM]] = 1
WITHIN_BREAKS = np.zeros(257, np.uint8)
WITHIN_BREAKS[[COMPRESSED, COMPRESSED2]] = 1  # none may lie within another


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records: bytes [begin, end) of words (uint32, read-only, two to spare after the end)."""

    words: npt.NDArray[np.uint32]
    begin: int
    end: int

    def bytes_at(self, at: int, size: int) -> bytes:
        """Some bytes of it."""
        return self.words.view(np.uint8)[at : min(at + size, self.end)].tobytes()


def is_packed(block: Block, big_endian: bool) -> bool:
    """Whether it is a compressed record."""
    return int.from_bytes(block.bytes_at(block.begin, 4), "big" if big_endian else "little") in PACKED


@dataclass(slots=True)
class Records:
    """The records in bytes [begin, end) of a mapped file.

    announced_end -- where the header says they end. After `blocks` has run through: packed -- whether some are
    compressed; losses -- what is missing or damaged.
    """

    data: Mapped
    begin: int
    end: int
    big_endian: bool
    name: str = ""
    announced_end: int | None = None
    packed: bool = False
    losses: list[Loss] = field(default_factory=list)
    _words: npt.NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        self._words = np.frombuffer(self.data, np.uint32, len(self.data) // 4)

    def block(self, begin: int, end: int) -> Block:
        """Bytes [begin, end) of an uncompressed file, which hold whole records; a copy where they lie unfavourably."""
        self.data.reading(begin, end)
        if end + SPARE_BYTES <= 4 * len(self._words) and not begin % 4:
            return Block(self._words, begin, end)
        tail = _spared(self.data[begin:end])
        return Block(tail, 0, end - begin)

    def is_mapped(self, block: Block) -> bool:
        """Whether a block is in the mapped file (else it is a copy of its own)."""
        return block.words is self._words

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """(place in the file, block) from the beginning; a block of unpacked records has the place -1."""
        self.losses = self._announced()
        unpacker = _Unpacker(self)
        for at, block in self._walk():
            if is_packed(block, self.big_endian):
                self.packed = True
                ready = unpacker.unpack(block.bytes_at(block.begin, MAX_RECORD_BYTES))
            elif unpacker.waiting and block.end - block.begin <= MAX_RECORD_BYTES:  # as perf writes at a round's end
                ready = unpacker.insert(block.bytes_at(block.begin, MAX_RECORD_BYTES))
            else:
                yield from ((-1, unpacked) for unpacked in unpacker.finished())
                yield at, block
                continue
            yield from ((-1, unpacked) for unpacked in ready)
        yield from ((-1, unpacked) for unpacked in unpacker.finished())
        unpacker.close()

    def header_blocks(self) -> Iterator[Block]:
        """Blocks as they lie in the file; a HEADER_TRACING_DATA is one with the data after it.

        Of simpleperf's own records those that hold tracing data, or may be parts of one, are blocks of their own.
        """
        for _, block in self._walk(with_data=True):
            if not is_packed(block, self.big_endian):
                yield block
        self.losses = []

    def _announced(self) -> list[Loss]:
        if self.announced_end is None:
            return [Loss("truncated", detail=f"{self.name}perf did not finish this file")]
        if self.announced_end > self.end:
            missing = self.announced_end - self.end
            return [Loss("truncated", detail=f"{self.name}{missing} bytes of records are missing")]
        return []

    def _walk(self, with_data: bool = False) -> Iterator[tuple[int, Block]]:
        """Blocks from the beginning, each compressed record as one of its own; up to the end or the first bad size.

        with_data -- each HEADER_TRACING_DATA too, with the data after it.
        """
        big, at = int(self.big_endian), self.begin
        while at < self.end:
            kind, size, _ = self._break(at)
            if kind in PACKED and kernels.HEADER_BYTES <= size <= self.end - at:
                yield at, self.block(at, at + size)
                at += size
                continue
            window = self._window(at)
            offset = at - window.begin
            stop, why = kernels.cut_block(window.words, window.begin, window.end, BLOCK_BYTES, big, BREAKS)
            if stop > window.begin:
                self.data.reading(window.begin, int(stop))
                yield at, Block(window.words, window.begin, int(stop))
                at = int(stop) + offset
            if why == kernels.AT_BREAK:
                kind, size, following = self._break(at)
                if size < kernels.HEADER_BYTES or at + size + following > self.end:
                    self._cut(at)
                    return
                if kind in PACKED or (with_data and kind in TRACING):
                    yield at, self.block(at, at + size + following)
                at += size + following
            elif why == kernels.RECORD_CUT and window.end + offset == self.end:
                self._cut(at)
                return
            elif why == kernels.BAD_SIZE:
                detail = f"{self.name}the record at byte {at} has a size below 8"
                self.losses.append(Loss("corrupt_record", detail=detail))
                return

    def _window(self, at: int) -> Block:
        """The records from `at` on, or some of them: as they lie in the mapped file, or a copy of its last ones.

        After a compressed record nothing is aligned: there records are copied, too.
        """
        if at % 4:
            return self.block(at, min(self.end, at + MAX_RECORD_BYTES))
        mapped_end = 4 * len(self._words) - SPARE_BYTES
        if self.end > mapped_end and mapped_end - at < MAX_RECORD_BYTES:
            return self.block(at, self.end)
        return Block(self._words, at, min(self.end, mapped_end))

    def _break(self, at: int) -> tuple[int, int, int]:
        """(type, size, bytes that follow) of a record that may be followed by data."""
        order: Literal["big", "little"] = "big" if self.big_endian else "little"
        head = self.data[at : min(at + 16, self.end)].ljust(16, b"\0")
        kind, size = int.from_bytes(head[:4], order), int.from_bytes(head[6:8], order)
        if kind == AUXTRACE:
            return kind, size, int.from_bytes(head[8:16], order)
        if kind >= kernels.CUSTOM_TYPES:
            return kind, size | int.from_bytes(head[4:6], order) << 16, 0
        following = int.from_bytes(head[8:12], order) if kind == HEADER_TRACING_DATA else 0
        if size >= TRACING_DATA_AT + following:  # simpleperf counts the data into the record
            return kind, size, 0
        return kind, size, -(-following // 8) * 8

    def _cut(self, at: int) -> None:
        """Note that the file ends within the record at `at`, unless that is known, or it is perf's own words."""
        if not self.losses and self.data[at : at + len(SPOKEN)] != SPOKEN:
            self.losses.append(Loss("truncated", detail=f"{self.name}it ends within the record at byte {at}"))


class _Unpacker:
    """Turns the compressed records of a file into blocks; a record may be cut between two of them.

    What is unpacked waits in `_words`: bytes [0, _whole) are whole records, [_whole, _used) are not looked at yet.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._stream = zstandard.ZstdDecompressor().decompressobj()
        self._broken = False
        self._whole = self._used = 0
        self._words, self._bytes = _room(0)

    @property
    def waiting(self) -> bool:
        """Whether anything is."""
        return self._used > 0

    def unpack(self, record: bytes) -> Iterator[Block]:
        """The blocks that this compressed record completes."""
        order: Literal["big", "little"] = "big" if self._records.big_endian else "little"
        packed = record[8:]
        if int.from_bytes(record[:4], order) == COMPRESSED2:
            packed = record[16 : 16 + int.from_bytes(record[8:16], order)]
        for at in range(0, len(packed), PACKED_BYTES):
            if self._broken:
                return
            self._unpack(packed[at : at + PACKED_BYTES])
            if self._used >= BLOCK_BYTES:
                yield from self.finished()

    def insert(self, records: bytes) -> Iterator[Block]:
        """Records that are not compressed, after the whole ones so far; the blocks that they complete."""
        yield from self._cut()
        if self._broken or self._whole % 4 or self._used + len(records) > BLOCK_BYTES:
            yield from self.finished()
        rest = self._bytes[self._whole : self._used].tobytes()
        self._used = self._whole
        self._append(records)
        self._whole = self._used
        self._append(rest)
        if self._broken or self._whole % 4:
            yield from self.finished()

    def finished(self) -> Iterator[Block]:
        """The whole records of what is unpacked; a rest waits for more."""
        yield from self._cut()
        if self._whole:
            yield Block(self._words, 0, self._whole)
        self._begin(b"" if self._broken else self._bytes[self._whole : self._used].tobytes())

    def close(self) -> None:
        """Note what is left of a record at the end."""
        if self._used and not self._broken:
            self._lose("truncated", "the compressed records end within one")

    def _begin(self, rest: bytes) -> None:
        """Go on with fresh memory: blocks that were given lie in the old."""
        self._whole = self._used = 0
        self._words, self._bytes = _room(BLOCK_BYTES + MAX_RECORD_BYTES)
        self._append(rest)

    def _append(self, data: bytes) -> None:
        end = self._used + len(data)
        if end + SPARE_BYTES > len(self._bytes):
            have = self._bytes[: self._used]
            self._words, self._bytes = _room(max(2 * end, BLOCK_BYTES + MAX_RECORD_BYTES))
            self._bytes[: self._used] = have
        self._bytes[self._used : end] = np.frombuffer(data, np.uint8)
        self._used = end

    def _unpack(self, packed: bytes) -> None:
        try:
            while packed:
                if self._stream.eof:
                    self._stream = zstandard.ZstdDecompressor().decompressobj()
                self._append(self._stream.decompress(packed))
                packed = self._stream.unused_data if self._stream.eof else b""
        except zstandard.ZstdError as error:
            self._lose("corrupt_chunk", f"compressed records: {error}")

    def _cut(self) -> Iterator[Block]:
        """Find the whole records; those before one that begins at no multiple of 4 are a block."""
        big = int(self._records.big_endian)
        while self._whole < self._used:
            if self._whole % 4:  # a size that is none of perf's: go on with a copy
                yield Block(self._words, 0, self._whole)
                self._begin(self._bytes[self._whole : self._used].tobytes())
            stop, why = kernels.cut_block(self._words, self._whole, self._used, BLOCK_BYTES, big, WITHIN_BREAKS)
            self._whole = int(stop)
            if why in {kernels.BAD_SIZE, kernels.AT_BREAK}:
                self._lose("corrupt_record", "a compressed record has an impossible size or type")
                self._used = self._whole
            if why != kernels.AT_LIMIT:
                break

    def _lose(self, code: str, detail: str) -> None:
        self._broken = True
        self._records.losses.append(Loss(code, detail=self._records.name + detail))


def _room(size: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Memory for so many bytes: as read-only words, for which loops are compiled, and as bytes to write."""
    words = np.empty((size + SPARE_BYTES) // 4 + 1, np.uint32)
    octets = words.view(np.uint8)
    words.flags.writeable = False
    return words, octets


def _spared(data: bytes) -> npt.NDArray[np.uint32]:
    """A copy as read-only words with room after it."""
    padded = data + bytes(SPARE_BYTES + -len(data) % 4)
    return np.frombuffer(padded, np.uint32)
