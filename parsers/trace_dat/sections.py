"""The container of trace.dat, versions 6 and 7: header texts, options, buffers and where each CPU's pages lie.

Sources: man trace-cmd.dat.v6(5), trace-cmd.dat.v7(5). Nothing here knows events.
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field
from mmap import mmap

import zstandard

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.tracing_data import FormatTexts

# Options (lib/trace-cmd/include/private/trace-cmd-private.h names them TRACECMD_OPTION_*).
DONE, DATE, CPUSTAT, BUFFER, TRACECLOCK, UNAME, HOOK, OFFSET, CPUCOUNT, VERSION, PROCMAPS, TRACEID = range(12)
TSC2NSEC, STRINGS, HEADER_INFO, FTRACE_EVENTS, EVENT_FORMATS, KALLSYMS, PRINTK, CMDLINES = range(14, 22)

MAX_CPUS = 1 << 14
SECTION_HEADER_BYTES = 16
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
    formats: FormatTexts = field(default_factory=FormatTexts)
    kallsyms: tuple[int, int] | None = None  # place of a v7 section, or of the text itself in v6
    cmdlines: str = ""
    options: list[tuple[int, bytes]] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    options_end: int = 0  # v7: end of the last option section that could be read
    cut: str = ""  # what is missing after all events, at the end of the file

    def option(self, number: int) -> bytes | None:
        """Data of the first option of that number."""
        return next((data for known, data in self.options if known == number), None)


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


def section_header(data: mmap, at: int, container: Container) -> tuple[int, bool, int, int]:
    """(id, compressed, begin, size) of the section at byte `at`."""
    cursor = Cursor(data, at, big=container.big_endian)
    if not 0 <= at <= len(data) - SECTION_HEADER_BYTES:
        raise InputError("a section is beyond the end of the file", offset_bytes=at, advice=RECORD_AGAIN)
    number, flags = cursor.number("H"), cursor.number("H")
    cursor.number("I")  # its description
    return number, bool(flags & 1), at + SECTION_HEADER_BYTES, cursor.number("Q")
