"""Numbers and texts of binary metadata, each read checked against the end."""

from __future__ import annotations

import struct
from mmap import mmap

from tracereplay.errors import InputError

RECORD_AGAIN = "copy the file again, or record again"


class Cursor:
    """Reads numbers and texts from bytes, in the file's byte order; every read is checked against the end."""

    def __init__(
        self, data: bytes | memoryview | mmap, at: int = 0, *, end: int | None = None, big: bool = False
    ) -> None:
        self.data, self.at = data, at
        self.end = len(data) if end is None else min(end, len(data))
        self.order = ">" if big else "<"

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size < 0 or size > self.end - self.at:
            raise InputError(
                f"the file ends within its metadata: {size} bytes wanted", offset_bytes=self.at, advice=RECORD_AGAIN
            )
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def number(self, code: str) -> int:
        """A number of `struct` code B, H, I or Q."""
        value: int = struct.unpack(self.order + code, self.take(struct.calcsize("=" + code)))[0]
        return value

    def string(self, limit: int = 1 << 12) -> str:
        """Text up to and without its NUL."""
        piece = bytes(self.data[self.at : min(self.at + limit, self.end)])
        stop = piece.find(b"\0")
        if stop < 0:
            raise InputError("a name in the metadata has no end", offset_bytes=self.at, advice=RECORD_AGAIN)
        self.at += stop + 1
        return piece[:stop].decode("utf-8", "replace")

    def sized_text(self, code: str) -> str:
        """A length of that code, then text."""
        return self.take(self.number(code)).decode("utf-8", "replace")
