"""A trace.dat file opened: its version found, its container read and checked."""

from __future__ import annotations

from mmap import mmap

from tracereplay.errors import InputError
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.tracing_data import MAGIC
from tracereplay.parsers.trace_dat.sections import MAX_CPU, Container
from tracereplay.parsers.trace_dat.v6 import read_v6
from tracereplay.parsers.trace_dat.v7 import read_v7, section_body


def read_container(data: mmap) -> Container:
    """Everything but the pages.

    Raises InputError (without path) where the file is none of ours or cut in its metadata.
    """
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
        read_v6(data, cursor, container)
    else:
        read_v7(data, cursor, container)
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


def read_kallsyms(data: mmap, container: Container) -> str:
    """The symbol table, `address type name [module]` a line; "" where the file has none."""
    if container.kallsyms is None:
        return ""
    at, size = container.kallsyms
    if size >= 0:
        return bytes(data[at : at + size]).decode("utf-8", "replace")
    body = section_body(data, at, container)
    return Cursor(body, big=container.big_endian).sized_text("I")
