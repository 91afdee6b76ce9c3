"""The container of trace.dat, versions 6 and 7: header texts, options, buffers and where each CPU's pages lie.

Sources: man trace-cmd.dat.v6(5), trace-cmd.dat.v7(5). Nothing here knows events.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap
from typing import Literal

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
_SECTION_HEADER_BYTES = 16


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
        if zstandard.frame_content_size(packed) not in {-1, size}:  # allocated before it is checked, so checked here
            raise ValueError("the frame announces another size")
        try:
            data: bytes = _zstd().decompress(packed, max_output_size=size)
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


def _zstd() -> zstandard.ZstdDecompressor:
    global _decompressor  # noqa: PLW0603  one context for all chunks: making it costs more than a chunk
    if _decompressor is None:
        _decompressor = zstandard.ZstdDecompressor()
    return _decompressor


_decompressor: zstandard.ZstdDecompressor | None = None


def read_container(data: mmap) -> Container:
    """Everything but the pages. Raises InputError (without path) where the file is none of ours or cut in its metadata."""
    cursor = Cursor(data)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise InputError("not a trace.dat file: its magic is missing", offset_bytes=0)
    version = cursor.string(16)
    if version not in {"6", "7"}:
        raise InputError(f"trace.dat version {version!r} is not known (6 and 7 are)", offset_bytes=len(MAGIC))
    big, long_bytes = cursor.number("B"), cursor.number("B")
    if big > 1 or long_bytes not in {4, 8}:
        raise InputError(f"header says byte order {big} and long size {long_bytes}", offset_bytes=cursor.at - 2)
    cursor.order = ">" if big else "<"
    container = Container(int(version), bool(big), long_bytes, cursor.number("I"))
    if container.version == 6:
        _read_v6(data, cursor, container)
    else:
        _read_v7(data, cursor, container)
    if not container.buffers:
        raise InputError(
            "no CPU data is described: the end of the file is missing", offset_bytes=len(data), advice=RECORD_AGAIN
        )
    places = [place for buffer in container.buffers for place in buffer.cpus]
    if sum(min(place.size, max(len(data) - place.offset, 0)) for place in places) > len(data):
        raise InputError("the data of several CPUs overlap", advice=RECORD_AGAIN)
    if any(place.cpu > MAX_CPU for place in places):
        raise InputError(f"CPU number {max(place.cpu for place in places)} is beyond {MAX_CPU}", advice=RECORD_AGAIN)
    for buffer in container.buffers:
        if not 64 <= buffer.page_bytes <= 1 << 24 or buffer.page_bytes % 4:
            raise InputError(f"buffer {buffer.name!r} has pages of {buffer.page_bytes} bytes")
    return container


# ---------------------------------------------------------------------------------------------------- version 6


def _read_v6(data: mmap, cursor: Cursor, container: Container) -> None:
    _read_header_info(cursor, container)
    _read_ftrace_formats(cursor, container)
    _read_event_formats(cursor, container)
    size = cursor.number("I")
    container.kallsyms = (cursor.at, size)
    cursor.take(size)
    cursor.sized_text("I")  # printk formats
    container.cmdlines = cursor.sized_text("Q")
    n_cpus = _cpu_count(cursor)
    tag = cursor.take(10)
    if tag == b"options  \0":
        while (number := cursor.number("H")) != DONE:
            container.options.append((number, cursor.take(cursor.number("I"))))
            if len(container.options) > MAX_OPTIONS:
                raise InputError("too many options", offset_bytes=cursor.at)
        tag = cursor.take(10)
    if tag == b"latency  \0":
        raise InputError(
            "a latency tracer's text inside trace.dat is not supported",
            offset_bytes=cursor.at,
            advice="pass the output of `trace-cmd report` instead",
        )
    if tag != b"flyrecord\0":
        raise InputError(f"unknown data type {tag!r}", offset_bytes=cursor.at - 10, advice=RECORD_AGAIN)
    clock = selected_clock(container.option(TRACECLOCK))
    container.buffers.append(Buffer("", clock, container.page_bytes, _v6_cpus(cursor, n_cpus)))
    for number, option in container.options:
        if number == BUFFER:
            place = Cursor(option, big=container.big_endian)
            at, name = place.number("Q"), place.string()
            part = Cursor(data, at, big=container.big_endian)
            if part.take(10) != b"flyrecord\0":
                raise InputError(f"instance {name!r} does not begin with its tag", offset_bytes=at, advice=RECORD_AGAIN)
            container.buffers.append(Buffer(name, clock, container.page_bytes, _v6_cpus(part, n_cpus)))


def _cpu_count(cursor: Cursor) -> int:
    count = cursor.number("I")
    if count > MAX_CPUS:
        raise InputError(f"{count} CPUs announced", offset_bytes=cursor.at - 4, advice=RECORD_AGAIN)
    return count


def _v6_cpus(cursor: Cursor, n_cpus: int) -> list[CpuData]:
    return [CpuData(cpu, cursor.number("Q"), cursor.number("Q")) for cpu in range(n_cpus)]


def selected_clock(option: bytes | None) -> str | None:
    """`local [global] counter` -> global."""
    if option is None:
        return None
    text = option.split(b"\0")[0].decode("utf-8", "replace")
    begin, end = text.find("["), text.find("]")
    return text[begin + 1 : end] if 0 <= begin < end else text.strip() or None


def _read_header_info(cursor: Cursor, container: Container) -> None:
    for name in ("header_page", "header_event"):
        if cursor.string(32) != name:
            raise InputError(f"{name} is missing", offset_bytes=cursor.at, advice=RECORD_AGAIN)
        text = cursor.sized_text("Q")
        if name == "header_page":
            container.header_page = text


def _read_ftrace_formats(cursor: Cursor, container: Container) -> None:
    for _ in range(cursor.number("I")):
        container.ftrace_formats.append(cursor.sized_text("Q"))


def _read_event_formats(cursor: Cursor, container: Container) -> None:
    for _ in range(cursor.number("I")):
        system = cursor.string()
        for _ in range(cursor.number("I")):
            container.event_formats.append((system, cursor.sized_text("Q")))


# ---------------------------------------------------------------------------------------------------- version 7


def _read_v7(data: mmap, cursor: Cursor, container: Container) -> None:
    container.compression = cursor.string(64)
    cursor.string(64)  # version of the compression library
    if container.compression not in {"none", "zstd", "zlib"}:
        raise InputError(f"compression {container.compression!r} is not known (none, zlib and zstd are)")
    places: dict[int, int] = {}
    for number, option in _v7_options(data, cursor.number("Q"), container):
        container.options.append((number, option))
        if HEADER_INFO <= number <= CMDLINES and len(option) >= 8:
            places[number] = Cursor(option, big=container.big_endian).number("Q")
        elif number == BUFFER:
            container.buffers.append(_v7_buffer(data, option, container))
    if not container.buffers and container.losses:
        container.buffers = salvage(data, container)
    for number, read in (
        (HEADER_INFO, _read_header_info),
        (FTRACE_EVENTS, _read_ftrace_formats),
        (EVENT_FORMATS, _read_event_formats),
    ):
        if number in places:
            read(Cursor(section_body(data, places[number], container), big=container.big_endian), container)
    if CMDLINES in places:
        body = section_body(data, places[CMDLINES], container)
        container.cmdlines = Cursor(body, big=container.big_endian).sized_text("Q")
    if KALLSYMS in places:
        container.kallsyms = (places[KALLSYMS], -1)


def _section_header(data: mmap, at: int, container: Container) -> tuple[int, bool, int, int]:
    """(id, compressed, begin, size) of the section at byte `at`."""
    cursor = Cursor(data, at, big=container.big_endian)
    if not 0 <= at <= len(data) - _SECTION_HEADER_BYTES:
        raise InputError("a section lies beyond the end of the file", offset_bytes=at, advice=RECORD_AGAIN)
    number, flags = cursor.number("H"), cursor.number("H")
    cursor.number("I")  # its description
    return number, bool(flags & 1), at + _SECTION_HEADER_BYTES, cursor.number("Q")


def section_body(data: mmap, at: int, container: Container) -> bytes:
    """The unpacked body of a v7 section."""
    _, compressed, begin, size = _section_header(data, at, container)
    cursor = Cursor(data, begin, end=begin + size, big=container.big_endian)
    if not compressed:
        return cursor.take(size)
    packed_bytes, full_bytes = cursor.number("I"), cursor.number("I")
    try:
        return unpack(cursor.take(packed_bytes), full_bytes, container.compression)
    except ValueError as error:
        raise InputError(
            f"a metadata section cannot be unpacked: {error}", offset_bytes=at, advice=RECORD_AGAIN
        ) from None


def _v7_options(data: mmap, at: int, container: Container) -> Iterator[tuple[int, bytes]]:
    """Options of all sections of the chain; a chain cut by the end of the file ends there, with a loss."""
    seen: set[int] = set()
    total = 0
    while at:
        if at in seen:
            raise InputError("the option sections form a loop", offset_bytes=at, advice=RECORD_AGAIN)
        seen.add(at)
        try:
            cursor = Cursor(section_body(data, at, container), big=container.big_endian)
        except InputError:
            if len(seen) == 1:
                raise
            container.losses.append(Loss("truncated", detail=f"the options at byte {at} are missing"))
            return
        _, _, begin, size = _section_header(data, at, container)
        container.options_end = begin + size
        at = 0
        while cursor.at < cursor.end:
            number, option = cursor.number("H"), cursor.take(cursor.number("I"))
            if number == DONE:
                at = Cursor(option, big=container.big_endian).number("Q") if len(option) >= 8 else 0
                break
            total += 1
            if total > MAX_OPTIONS:
                raise InputError("too many options", offset_bytes=at)
            yield number, option


def _v7_buffer(data: mmap, option: bytes, container: Container) -> Buffer:
    cursor = Cursor(option, big=container.big_endian)
    at, name, clock, page_bytes = cursor.number("Q"), cursor.string(), cursor.string(), cursor.number("I")
    cpus = [CpuData(cursor.number("I"), cursor.number("Q"), cursor.number("Q")) for _ in range(_cpu_count(cursor))]
    _, chunked, _, _ = _section_header(data, at, container)
    return Buffer(name, clock or None, page_bytes, cpus, chunked)


def salvage(data: mmap, container: Container) -> list[Buffer]:
    """The top buffer of a file whose end, with the place of every CPU's data, is missing; [] where it cannot be found.

    trace-cmd writes the section of the buffer behind the options before it, each CPU's chunks at the next page
    boundary, CPUs in order (lib/trace-cmd/trace-output.c). CPU numbers are counted from 0, as they are on most machines.
    """
    try:
        number, chunked, at, _ = _section_header(data, container.options_end, container)
    except InputError:
        return []
    page = container.page_bytes
    if number != BUFFER or not chunked or not 64 <= page <= 1 << 24:
        return []
    count = container.option(CPUCOUNT)
    cpus: list[CpuData] = []
    for cpu in range(min(int.from_bytes(count, _order(container)), MAX_CPUS) if count else 1):
        begin = -(-at // page) * page
        cursor = Cursor(data, begin, big=container.big_endian)
        try:
            for _ in range(cursor.number("I")):
                stored, size = cursor.number("I"), cursor.number("I")
                if size == 0 or size % page:
                    return [Buffer("", selected_clock(container.option(TRACECLOCK)), page, cpus, True)] if cpus else []
                if stored > cursor.end - cursor.at:
                    break
                cursor.at += stored
        except InputError:
            cursor.at = cursor.end
        if begin >= len(data):
            break
        at = cursor.at
        cpus.append(CpuData(cpu, begin, len(data) - begin if at >= len(data) - 8 else at - begin))
    return [Buffer("", selected_clock(container.option(TRACECLOCK)), page, cpus, True)] if cpus else []


def _order(container: Container) -> Literal["big", "little"]:
    return "big" if container.big_endian else "little"


def read_kallsyms(data: mmap, container: Container) -> str:
    """The symbol table, `address type name [module]` a line; "" where the file has none."""
    if container.kallsyms is None:
        return ""
    at, size = container.kallsyms
    if size >= 0:
        return bytes(data[at : at + size]).decode("utf-8", "replace")
    body = section_body(data, at, container)
    return Cursor(body, big=container.big_endian).sized_text("I")
