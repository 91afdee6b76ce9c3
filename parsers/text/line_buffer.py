"""Whole lines of a text, in one stretch of memory that is filled again and again: fresh memory is dear."""

from __future__ import annotations

from collections.abc import Iterator

BUFFER_BYTES = 1 << 23


class LineBuffer:
    """Lines raw[:stop], each of which ends with a newline alone; `raw` goes on for SLACK_BYTES bytes or more.

    pieces -- of the text; each is done with when the next is requested.
    last -- whether the text ends with them. A line that is longer than the buffer is cut.
    """

    def __init__(self, pieces: Iterator[bytes | memoryview], slack_bytes: int) -> None:
        self.raw = bytearray(BUFFER_BYTES + 1 + slack_bytes)
        self.stop, self.last = 0, False
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._end, self._room = 0, BUFFER_BYTES

    def fill(self, begin: int) -> bool:
        """Let the text go on from raw[begin]; False = there is no more of it."""
        raw, end = self.raw, self._end - begin
        if begin:
            raw[:end] = raw[begin : self._end]
        while end < self._room:
            if not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    self.last = True
                    break
                self._piece = memoryview(piece)
            part = self._piece[: self._room - end]
            raw[end : end + len(part)] = part
            end += len(part)
            self._piece = self._piece[len(part) :]
        stop = raw.rfind(b"\n", 0, end) + 1
        if end and (stop == 0 or (self.last and stop < end)):
            raw[end] = ord("\n")
            stop = end = end + 1
        if raw.find(b"\r", 0, stop) >= 0:
            lines, rest = raw[:stop].replace(b"\r\n", b"\n"), raw[stop:end]
            stop, end = len(lines), len(lines) + len(rest)
            raw[:end] = lines + rest
        self.stop, self._end = stop, end
        return stop > 0
