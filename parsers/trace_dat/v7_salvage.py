"""A version 7 file whose end is missing, and with it the option that says where the data of each CPU is.

trace-cmd writes the section of the buffer after the options before it, the data of each CPU at the next page boundary,
CPUs in order (lib/trace-cmd/trace-output.c). CPUs are numbered from 0, as they are on most machines.
"""

from __future__ import annotations

from mmap import mmap

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.binary.cursor import Cursor
from tracereplay.parsers.trace_dat.sections import (
    BUFFER,
    CPUCOUNT,
    MAX_CPUS,
    TRACECLOCK,
    Buffer,
    Container,
    CpuData,
    section_header,
    selected_clock,
)

MAX_MISSING_ROWS = 64
_TIME_BYTES = 8  # a page begins with its time and the number of bytes in it (include/linux/ring_buffer.h)
_COMMIT_MASK = (1 << 27) - 1  # above: events before this page were lost, and how many is stored after it


def salvage(data: mmap, container: Container) -> list[Buffer]:
    """The top buffer as far as its pages go; [] where it cannot be found."""
    try:
        number, chunked, at, _ = section_header(data, container.options_end, container)
    except InputError:
        return []
    page = container.page_bytes
    if number != BUFFER or not 64 <= page <= 1 << 24:
        return []
    begin = _next_page(at, page)
    cpus = _chunked_cpus(data, begin, container) if chunked else _plain_cpus(data, begin, container)
    return [Buffer("", selected_clock(container.option(TRACECLOCK)), page, cpus, chunked)] if cpus else []


def _chunked_cpus(data: mmap, begin: int, container: Container) -> list[CpuData]:
    """Compressed: each CPU begins with the number of its chunks."""
    page = container.page_bytes
    cpus: list[CpuData] = []
    for cpu in range(_cpu_count(container)):
        cursor = Cursor(data, begin, big=container.big_endian)
        try:
            for _ in range(cursor.number("I")):
                stored, size = cursor.number("I"), cursor.number("I")
                if size == 0 or size % page:
                    return cpus
                if stored > cursor.end - cursor.at:
                    cursor.at = cursor.end
                    break
                cursor.at += stored
        except InputError:
            cursor.at = cursor.end
        if begin >= len(data):
            break
        end = cursor.at
        cpus.append(CpuData(cpu, begin, len(data) - begin if end >= len(data) - 8 else end - begin))
        begin = _next_page(end, page)
    return cpus


def _plain_cpus(data: mmap, begin: int, container: Container) -> list[CpuData]:
    """Not compressed: pages of a CPU are in the order of their times, so an earlier one is the next CPU's first.

    A CPU that began after the end of the one before is not distinguished from it.
    """
    page, long_bytes = container.page_bytes, container.long_bytes
    starts: list[int] = []
    before, at = -1, begin
    while at + _TIME_BYTES + long_bytes <= len(data):
        cursor = Cursor(data, at, big=container.big_endian)
        time, commit = cursor.number("Q"), cursor.number("Q" if long_bytes == 8 else "I") & _COMMIT_MASK
        if not commit or commit > page - _TIME_BYTES - long_bytes:
            break
        if time < before or not starts:
            starts.append(at)
        before = time
        at += page
    ends = [*starts[1:], min(at, len(data))]
    found = [CpuData(cpu, start, end - start) for cpu, (start, end) in enumerate(zip(starts, ends, strict=False))]
    return found if len(found) <= _cpu_count(container) else []


def _next_page(at: int, page: int) -> int:
    return -(-at // page) * page


def _cpu_count(container: Container) -> int:
    count = container.option(CPUCOUNT)
    return min(int.from_bytes(count, "big" if container.big_endian else "little"), MAX_CPUS) if count else 1


def missing_cpus(container: Container) -> list[Loss]:
    """CPUs none of whose pages are before the end of a file that was salvaged."""
    found = {place.cpu for buffer in container.buffers for place in buffer.cpus}
    cpus = range(_cpu_count(container)) if found else range(0)
    missing = [cpu for cpu in cpus if cpu not in found]
    if len(missing) > MAX_MISSING_ROWS:
        return [Loss("truncated", len(missing), detail="all pages of these CPUs are missing")]
    return [Loss("truncated", cpu=cpu, detail="all pages of this CPU are missing") for cpu in missing]
