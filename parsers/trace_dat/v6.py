"""trace.dat version 6: one sequence of sections, then options, then where each CPU's pages lie.

Source: man trace-cmd.dat.v6(5).
"""

from __future__ import annotations

from mmap import mmap

from tracereplay.errors import InputError
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.tracing_data import read_event_formats, read_ftrace_formats, read_header_info
from tracereplay.parsers.trace_dat.sections import (
    BUFFER,
    DONE,
    MAX_OPTIONS,
    TRACECLOCK,
    Buffer,
    Container,
    CpuData,
    cpu_count,
    selected_clock,
)


def read_v6(data: mmap, cursor: Cursor, container: Container) -> None:
    """The metadata of a version 6 file, after its magic (man trace-cmd.dat.v6)."""
    read_header_info(cursor, container.formats)
    read_ftrace_formats(cursor, container.formats)
    read_event_formats(cursor, container.formats)
    size = cursor.number("I")
    container.kallsyms = (cursor.at, size)
    cursor.take(size)
    cursor.sized_text("I")  # printk formats
    container.cmdlines = cursor.sized_text("Q")
    n_cpus = cpu_count(cursor)
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


def _v6_cpus(cursor: Cursor, n_cpus: int) -> list[CpuData]:
    return [CpuData(cpu, cursor.number("Q"), cursor.number("Q")) for cpu in range(n_cpus)]
