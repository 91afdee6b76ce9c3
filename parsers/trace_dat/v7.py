"""trace.dat version 7: chained option sections that point to all others, compressed or not.

Source: man trace-cmd.dat.v7(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from mmap import mmap

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.tracing_data import read_event_formats, read_ftrace_formats, read_header_info
from tracereplay.parsers.trace_dat.sections import (
    BUFFER,
    CMDLINES,
    DONE,
    EVENT_FORMATS,
    FTRACE_EVENTS,
    HEADER_INFO,
    KALLSYMS,
    MAX_OPTIONS,
    SECTION_HEADER_BYTES,
    STRINGS,
    Buffer,
    Container,
    CpuData,
    cpu_count,
    section_header,
    unpack,
)
from tracereplay.parsers.trace_dat.v7_salvage import missing_cpus, salvage


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
        container.losses += missing_cpus(container)
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


def section_body(data: mmap, at: int, container: Container) -> bytes:
    """The unpacked body of a v7 section."""
    _, compressed, begin, size = section_header(data, at, container)
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
        _, _, begin, size = section_header(data, at, container)
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
    _, chunked, _, _ = section_header(data, at, container)
    return Buffer(name, clock or None, page_bytes, cpus, chunked)


def _cut_strings(data: mmap, places: Iterable[int], container: Container) -> str:
    """What the file lacks of its last section; "" where it ends with it, or has none.

    trace-cmd ends a file with the names of its sections, after the last options (append_strings_section()). No reader
    needs them, so nothing else tells that the end of the file is missing. places -- of sections that may have names.
    """
    left = len(data) - container.options_end
    if 0 < left < SECTION_HEADER_BYTES:
        return f"the last section, at byte {container.options_end}, is cut"
    if left == 0 and any(_is_named(data, at) for at in places):
        return f"the last section, at byte {container.options_end}, is missing"
    try:
        number, _, begin, size = section_header(data, container.options_end, container)
    except InputError:  # there is no section after the options
        return ""
    missing = begin + size - len(data)
    return f"{missing} bytes of the last section are missing" if number == STRINGS and missing > 0 else ""


def _is_named(data: mmap, at: int) -> bool:
    """Whether the section at byte `at` has a name in the section of names: its offset there (4 bytes from byte 4)."""
    return 0 <= at <= len(data) - SECTION_HEADER_BYTES and any(data[at + 4 : at + 8])
