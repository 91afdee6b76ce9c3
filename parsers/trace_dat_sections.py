"""The container of trace.dat, versions 6 and 7: header texts, options, buffers and where each CPU's pages lie.

Sources: man trace-cmd.dat.v6(5), trace-cmd.dat.v7(5). Nothing here knows events.
"""

from __future__ import annotations

import struct
import threading
import zlib
from dataclasses import dataclass, field
from mmap import mmap

import zstandard

from tracereplay.errors import InputError
from tracereplay.losses import Loss

MAGIC = b"\x17\x08\x44tracing"
RECORD_AGAIN = "copy the file again, or record again"

# Options (lib/trace-cmd/include/private/trace-cmd-private.h names them TRACECMD_OPTION_*).
DONE, DATE, CPUSTAT, BUFFER, TRACECLOCK, UNAME, HOOK, OFFSET, CPUCOUNT, VERSION, PROCMAPS, TRACEID = range(12)
TSC2NSEC, STRINGS, HEADER_INFO, FTRACE_EVENTS, EVENT_FORMATS, KALLSYMS, PRINTK, CMDLINES = range(14, 22)

MAX_CPUS = 1 << 14
MAX_CPU = (1 << 16) - 1  # cpu is a uint16 column
MAX_OPTIONS = 1 << 16
MAX_CHUNK_BYTES = 1 << 26
MAX_SECTION_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class CpuData:
    """Where one CPU's pages lie in the file: bytes [offset, offset + size)."""

    cpu: int
    offset: int
    size: int


@dataclass(slots=True)
class Buffer:
    """One ring buffer: the top level (name "") or an instance."""

    name: str
    clock: str | None
    page_bytes: int
    cpus: list[CpuData]
    chunked: bool = False


@dataclass(slots=True)
class Container:
    """What the file holds besides events."""

    version: int
    big_endian: bool
    long_bytes: int
    page_bytes: int
    compression: str = "none"
    header_page: str = ""
    ftrace_formats: list[str] = field(default_factory=list)
    event_formats: list[tuple[str, str]] = field(default_factory=list)  # (system, text)
    kallsyms: tuple[int, int] | None = None  # place of a v7 section, or of the text itself in v6
    cmdlines: str = ""
    options: list[tuple[int, bytes]] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    options_end: int = 0  # v7: end of the last option section that could be read
    cut: str = ""  # what is missing behind all events, at the end of the file

    def option(self, number: int) -> bytes | None:
        """Data of the first option of that number."""
        return next((data for known, data in self.options if known == number), None)


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


def unpack(packed: bytes | memoryview, size: int, compression: str) -> bytes:
    """One chunk, which must unpack to `size` bytes. Raises ValueError where it does not."""
    if size > MAX_SECTION_BYTES:
        raise ValueError(f"{size} bytes announced")
    if compression == "zstd":
        try:
            if zstandard.frame_content_size(packed) not in {-1, size}:  # it would be allocated unseen
                raise ValueError("the frame announces another size")
            data: bytes = _unpackers.zstd.decompress(packed, max_output_size=size)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
    elif compression == "zlib":
        try:
            data = zlib.decompressobj().decompress(packed, size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
    else:
        data = bytes(packed)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes instead of {size}")
    return data


class _PerThread(threading.local):
    """One context for all chunks that a thread unpacks: making it costs more than a chunk, and it is no one else's."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdDecompressor()


_unpackers = _PerThread()


def cpu_count(cursor: Cursor) -> int:
    """The number of CPUs announced; InputError where no machine has as many."""
    count = cursor.number("I")
    if count > MAX_CPUS:
        raise InputError(f"{count} CPUs announced", offset_bytes=cursor.at - 4, advice=RECORD_AGAIN)
    return count


def selected_clock(option: bytes | None) -> str | None:
    """`local [global] counter` -> global."""
    if option is None:
        return None
    text = option.split(b"\0")[0].decode("utf-8", "replace")
    begin, end = text.find("["), text.find("]")
    return text[begin + 1 : end] if 0 <= begin < end else text.strip() or None


def read_header_info(cursor: Cursor, container: Container) -> None:
    """header_page and header_event texts."""
    for name in ("header_page", "header_event"):
        if cursor.string(32) != name:
            raise InputError(f"{name} is missing", offset_bytes=cursor.at, advice=RECORD_AGAIN)
        text = cursor.sized_text("Q")
        if name == "header_page":
            container.header_page = text


def read_ftrace_formats(cursor: Cursor, container: Container) -> None:
    """Formats of the ftrace system (kernel_stack, print ...)."""
    for _ in range(cursor.number("I")):
        container.ftrace_formats.append(cursor.sized_text("Q"))


def read_event_formats(cursor: Cursor, container: Container) -> None:
    """Formats of all other systems, each with its system's name."""
    for _ in range(cursor.number("I")):
        system = cursor.string()
        for _ in range(cursor.number("I")):
            container.event_formats.append((system, cursor.sized_text("Q")))
