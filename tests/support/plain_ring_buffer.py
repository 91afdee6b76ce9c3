"""The plain twin of `parsers/ring_buffer/page_kernels`: one page after the other, one record after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.trace_dat_builder import Machine

U64 = (1 << 64) - 1


@dataclass
class PlainPage:
    """What a page says: its records as (time, payload), events missing before it, what is wrong with it."""

    records: list[tuple[int, bytes]] = field(default_factory=list)
    missed: int = 0
    fault: str = ""


def number(data: bytes, machine: Machine) -> int:
    return int.from_bytes(data, "big" if machine.big else "little")


def read_page(page: bytes, machine: Machine, size: int = 4096) -> PlainPage:
    """A page as KERNEL 2.1 says."""
    out = PlainPage()
    begin = 8 + machine.long_bytes
    if len(page) < begin:
        return PlainPage(fault="cut")
    word = number(page[8:begin], machine)
    commit = word & (1 << 27) - 1
    if begin + commit > size:
        return PlainPage(fault="commit")
    end = begin + commit
    if word >> 31 & 1:
        out.missed = -1
        if word >> 30 & 1 and end + machine.long_bytes <= len(page):
            out.missed = number(page[end : end + machine.long_bytes], machine)
            if not 0 < out.missed < 1 << 63:
                out.missed = -1
    if end > len(page):
        out.fault, end = "cut", len(page)
    for record in _records(page[:end], begin, number(page[:8], machine), machine):
        if record is None:
            out.fault = out.fault or "record"
        else:
            out.records.append(record)
    return out


def _records(page: bytes, at: int, time: int, machine: Machine) -> Iterator[tuple[int, bytes] | None]:
    while at + 4 <= len(page):
        word = number(page[at : at + 4], machine)
        at += 4
        kind, delta = (word >> 27, word & (1 << 27) - 1) if machine.big else (word & 31, word >> 5)
        if 1 <= kind <= 28:
            if at + 4 * kind > len(page):
                yield None
                return
            time = (time + delta) & U64
            yield time, page[at : at + 4 * kind]
            at += 4 * kind
            continue
        if kind == 29 and delta == 0:
            return
        if at + 4 > len(page):
            yield None
            return
        array = number(page[at : at + 4], machine)
        if kind == 0:
            if array < 4 or at + array > len(page):
                yield None
                return
            time = (time + delta) & U64
            yield time, page[at + 4 : at + array]
            at += -(-array // 4) * 4
        elif kind == 29:
            if at + array > len(page):
                yield None
                return
            time = (time + delta) & U64
            at += max(-(-array // 4) * 4, 4)
        elif kind == 30:
            time = (time + (array << 27) + delta) & U64
            at += 4
        else:
            top = time & 0xF8 << 56
            stamp = (array << 27 | delta) & (1 << 59) - 1 | top
            time = (stamp + (1 << 59 if top and stamp < time else 0)) & U64
            at += 4
    if at < len(page):
        yield None


def read_cpu(data: bytes, machine: Machine, size: int = 4096) -> list[PlainPage]:
    """All pages of a CPU; the last may be cut."""
    return [read_page(data[at : at + size], machine, size) for at in range(0, len(data), size)]
