"""A long trace out of a short one: the same events N times over, one after the other, uncompressed.

    python -m benchmarks.multiply TRACE.dat N OUT.dat     (v6)
    python -m benchmarks.multiply perf.data N OUT.data

Only times change: each copy's begin where the copy before ended. `trace-cmd report` and `perf script` read the results.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tests.support.multiply_perf_data import GAP_NS, multiply_perf_data
from tracereplay.parsers.ring_buffer.pages import CpuPages
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.parsers.trace_dat.sections import CPUCOUNT, TRACECLOCK, TRACEID, UNAME, Container

KEPT_OPTIONS = {UNAME, CPUCOUNT, TRACECLOCK, TRACEID}


def sized(text: str, code: str) -> bytes:
    """A text after its length."""
    data = text.encode()
    return struct.pack(f"<{code}", len(data)) + data


def metadata(container: Container, cpus: int) -> bytes:
    """Everything before the table of CPUs (man trace-cmd.dat.v6)."""
    if container.big_endian or len(container.buffers) != 1:
        raise SystemExit("only little-endian traces without instances can be multiplied")
    systems: dict[str, list[str]] = {}
    for system, text in container.formats.events:
        systems.setdefault(system, []).append(text)
    header_event = "# compressed entry header\n"
    parts = [
        b"\x17\x08\x44tracing6\0\0" + bytes([container.long_bytes]) + struct.pack("<I", container.page_bytes),
        b"header_page\0" + sized(container.formats.header_page, "Q"),
        b"header_event\0" + sized(header_event, "Q"),
        struct.pack("<I", len(container.formats.ftrace)),
        *(sized(text, "Q") for text in container.formats.ftrace),
        struct.pack("<I", len(systems)),
    ]
    for system, texts in systems.items():
        parts += [system.encode() + b"\0", struct.pack("<I", len(texts)), *(sized(text, "Q") for text in texts)]
    parts += [struct.pack("<II", 0, 0), sized(container.cmdlines, "Q"), struct.pack("<I", cpus)]  # no symbols, printk
    parts.append(b"options  \0")
    for number, data in container.options:
        if number in KEPT_OPTIONS:
            parts.append(struct.pack("<HI", number, len(data)) + data)
    parts.append(struct.pack("<H", 0) + b"flyrecord\0")
    return b"".join(parts)


def write_cpu(out: BinaryIO, pages: CpuPages, copies: int, step_ns: int) -> None:
    """One CPU's pages, N times over."""
    for copy in range(copies):
        for block in pages.blocks:
            data = np.frombuffer(bytearray(pages.bytes_of(block)), np.uint8).reshape(-1, pages.page_bytes)
            data[:, :8] = (data[:, :8].copy().view(np.uint64) + np.uint64(copy * step_ns)).view(np.uint8)
            out.write(data.tobytes())


def multiply(reader: TraceDatReader, copies: int, out: BinaryIO) -> None:
    """Write the trace `copies` times over."""
    info, container = reader.info, reader._container
    streams: Sequence[CpuPages] = reader._streams
    cpus = 1 + max(pages.cpu for pages in streams)
    head = metadata(container, cpus)
    sizes = {pages.cpu: copies * sum(block.n_bytes for block in pages.blocks) for pages in streams}
    at = -(-(len(head) + 16 * cpus) // 4096) * 4096
    table = b""
    for cpu in range(cpus):
        table += struct.pack("<QQ", at, sizes.get(cpu, 0))
        at += sizes.get(cpu, 0)
    start = -(-(len(head) + len(table)) // 4096) * 4096
    out.write((head + table).ljust(start, b"\0"))
    step_ns = (info.end_ns or 0) - (info.start_ns or 0) + GAP_NS
    for pages in sorted(streams, key=lambda pages: pages.cpu):
        write_cpu(out, pages, copies, step_ns)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("copies", type=int)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with args.trace.open("rb") as file:
        is_perf_data = file.read(8) == b"PERFILE2"
    if is_perf_data:
        events = multiply_perf_data(args.trace, args.copies, args.out)
    else:
        reader = TraceDatReader(args.trace)
        events = args.copies * reader.info.events
        with args.out.open("wb") as out:
            multiply(reader, args.copies, out)
    print(f"{args.out}: {events:,} events")


if __name__ == "__main__":
    main()
