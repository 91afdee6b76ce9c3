"""A long perf.data out of a short one: its records N times over, each copy's times behind those of the copy before.

`benchmarks.multiply` calls it. What perf wrote of itself and of tasks that were already there (no time) comes once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.pack_perf_data import around, records
from tracereplay.parsers.perf_data.attrs import TIME, sample_place, trailer_layout
from tracereplay.parsers.perf_data.reader import PerfDataReader

GAP_NS = 1_000_000  # between two copies
FORK, SAMPLE, FINISHED_ROUND, OWN = 7, 9, 68, 64  # perf's own records begin at 64


def places(reader: PerfDataReader, data: bytes) -> Iterator[tuple[int, int, bool, tuple[int, ...]]]:
    """(place, size, whether it comes again, places of its times) of each record."""
    attrs = reader._header.attrs
    trailer_bytes, time_at, _ = trailer_layout(attrs).tolist()
    sample_at = sample_place(attrs[0].sample_type, TIME)
    if time_at < 0 or any(sample_place(attr.sample_type, TIME) != sample_at for attr in attrs):
        raise SystemExit("only records whose time stands at one place can be multiplied")
    at = 0
    for record in records(data):
        kind, size = record[0], len(record)
        times: tuple[int, ...] = (at + sample_at if kind == SAMPLE else at + size - trailer_bytes + time_at,)
        if kind == FORK:
            times += (at + 24,)
        timed = kind < OWN and any(data[times[0] : times[0] + 8])
        yield at, size, timed or kind == FINISHED_ROUND, times if timed else ()
        at += size


def copies_of(reader: PerfDataReader, data: bytes, copies: int) -> Iterator[npt.NDArray[np.uint64]]:
    """The records N times over."""
    info = reader.info
    step_ns = (info.end_ns or 0) - (info.start_ns or 0) + GAP_NS
    found = list(places(reader, data))
    times = np.array([time for *_, some in found for time in some], np.int64) >> 3
    again = np.repeat([comes for _, _, comes, _ in found], [size // 8 for _, size, *_ in found])
    words = np.frombuffer(data, np.uint64)
    for copy in range(copies):
        shifted = words.copy()
        shifted[times] += np.uint64(copy * step_ns)
        yield shifted[again] if copy else shifted


def multiply_perf_data(path: Path, copies: int, out: Path) -> int:
    """Write the file `copies` times over; returns its events."""
    source = path.read_bytes()
    begin, size = struct.unpack_from("<QQ", source, 40)
    reader = PerfDataReader(path)
    if source[:8] != b"PERFILE2" or reader._header.is_pipe or reader._sources[0].packed:
        raise SystemExit("only little-endian files that are not compressed can be multiplied")
    with out.open("wb") as file:
        file.seek(begin)
        for words in copies_of(reader, source[begin : begin + size], copies):
            file.write(words.tobytes())
        head, tail = around(source, file.tell() - begin, {})
        file.write(tail)
        file.seek(0)
        file.write(head)
    return copies * reader.info.events
