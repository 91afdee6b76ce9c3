"""trace.dat version 7: chained option sections that point to all others, compressed or not.

Source: man trace-cmd.dat.v7(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from mmap import mmap
from typing import Literal

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.tracing_data import read_event_formats, read_ftrace_formats, read_header_info
from tracereplay.parsers.trace_dat.sections import (
    BUFFER,
    CMDLINES,
    CPUCOUNT,
    DONE,
    EVENT_FORMATS,
    FTRACE_EVENTS,
    HEADER_INFO,
    KALLSYMS,
    MAX_CPUS,
    MAX_OPTIONS,
    STRINGS,
    TRACECLOCK,
    Buffer,
    Container,
    CpuData,
    cpu_count,
    selected_clock,
    unpack,
)

_SECTION_HEADER_BYTES = 16
MAX_MISSING_ROWS = 64


def read_v7(data: mmap, cursor: Cursor, container: Container) -> None:
    """The metadata of a version 7 file: a chain of option sections (man trace-cmd.dat.v7)."""
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
        container.losses += _missing_cpus(container)
    for number, read in (
        (HEADER_INFO, read_header_info),
        (FTRACE_EVENTS, read_ftrace_formats),
        (EVENT_FORMATS, read_event_formats),
    ):
        if number in places:
            read(Cursor(section_body(data, places[number], container), big=container.big_endian), container.formats)
    if CMDLINES in places:
        body = section_body(data, places[CMDLINES], container)
        container.cmdlines = Cursor(body, big=container.big_endian).sized_text("Q")
    if KALLSYMS in places:
        container.kallsyms = (places[KALLSYMS], -1)
    if not container.losses:
        container.cut = _cut_strings(data, places.values(), container)


def _section_header(data: mmap, at: int, container: Container) -> tuple[int, bool, int, int]:
    """(id, compressed, begin, size) of the section at byte `at`."""
    cursor = Cursor(data, at, big=container.big_endian)
    if not 0 <= at <= len(data) - _SECTION_HEADER_BYTES:
        raise InputError("a section is beyond the end of the file", offset_bytes=at, advice=RECORD_AGAIN)
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
    cpus = [CpuData(cursor.number("I"), cursor.number("Q"), cursor.number("Q")) for _ in range(cpu_count(cursor))]
    _, chunked, _, _ = _section_header(data, at, container)
    return Buffer(name, clock or None, page_bytes, cpus, chunked)


def salvage(data: mmap, container: Container) -> list[Buffer]:
    """The top buffer of a file whose end, with the place of every CPU's data, is missing; [] where it cannot be found.

    trace-cmd writes the section of the buffer after the options before it, each CPU's chunks at the next page
    boundary, CPUs in order (lib/trace-cmd/trace-output.c). CPUs are numbered from 0, as they are on most machines.
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
                    cursor.at = cursor.end
                    break
                cursor.at += stored
        except InputError:
            cursor.at = cursor.end
        if begin >= len(data):
            break
        at = cursor.at
        cpus.append(CpuData(cpu, begin, len(data) - begin if at >= len(data) - 8 else at - begin))
    return [Buffer("", selected_clock(container.option(TRACECLOCK)), page, cpus, True)] if cpus else []


def _missing_cpus(container: Container) -> list[Loss]:
    """CPUs none of whose pages are before the end of a file that was salvaged."""
    found = {place.cpu for buffer in container.buffers for place in buffer.cpus}
    count = container.option(CPUCOUNT)
    cpus = range(min(int.from_bytes(count, _order(container)), MAX_CPUS)) if count and found else range(0)
    missing = [cpu for cpu in cpus if cpu not in found]
    if len(missing) > MAX_MISSING_ROWS:
        return [Loss("truncated", len(missing), detail="all pages of these CPUs are missing")]
    return [Loss("truncated", cpu=cpu, detail="all pages of this CPU are missing") for cpu in missing]


def _cut_strings(data: mmap, places: Iterable[int], container: Container) -> str:
    """What the file lacks of its last section; "" where it ends with it, or has none.

    trace-cmd ends a file with the names of its sections, after the last options (append_strings_section()). No reader
    needs them, so nothing else tells that the end of the file is missing. places -- of sections that may have names.
    """
    left = len(data) - container.options_end
    if 0 < left < _SECTION_HEADER_BYTES:
        return f"the last section, at byte {container.options_end}, is cut"
    if left == 0 and any(_is_named(data, at) for at in places):
        return f"the last section, at byte {container.options_end}, is missing"
    try:
        number, _, begin, size = _section_header(data, container.options_end, container)
    except InputError:  # there is no section after the options
        return ""
    missing = begin + size - len(data)
    return f"{missing} bytes of the last section are missing" if number == STRINGS and missing > 0 else ""


def _is_named(data: mmap, at: int) -> bool:
    """Whether the section at byte `at` has a name in the section of names: its offset there (4 bytes from byte 4)."""
    return 0 <= at <= len(data) - _SECTION_HEADER_BYTES and any(data[at + 4 : at + 8])


def _order(container: Container) -> Literal["big", "little"]:
    return "big" if container.big_endian else "little"
