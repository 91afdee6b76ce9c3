"""Whether two opened traces are one: the same recording in two formats (trace.dat and its text, a dataset, packed)."""

from __future__ import annotations

import numpy as np

from tracereplay.parsers.base import TraceInfo, TraceReader
from tracereplay.parsers.catalog import SPECS
from tracereplay.schema import PFN, PageStream

# Text prints microseconds, trace-cmd rounds them.
ROUNDING_NS = 1_000
MIX = np.uint64(0x9E3779B97F4A7C15)


def same_events(one: TraceReader, other: TraceReader) -> bool:
    """Whether both hold the same events: equal counts, begin and end, then equal page streams but for their order.

    Streams are read only where everything else is equal.
    """
    a, b = one.info, other.info
    if _counts(a) != _counts(b) or not _may_be_one(a, b):
        return False
    return _fingerprint(one) == _fingerprint(other)


def _counts(info: TraceInfo) -> dict[str, int]:
    """Events that the catalogue knows; others have names of their own in each format."""
    return {name: count for name, count in info.by_event.items() if name in SPECS}


def _may_be_one(a: TraceInfo, b: TraceInfo) -> bool:
    """Whether nothing that both tell of the machine and its clock differs, and both cover the same time."""
    for what in ("kernel", "machine", "boot_id", "clock"):
        first, second = getattr(a, what), getattr(b, what)
        if first is not None and second is not None and first != second:
            return False
    if a.clock_unit != b.clock_unit or None in (a.start_ns, a.end_ns, b.start_ns, b.end_ns):
        return False
    shift_ns = a.origin_ns - b.origin_ns
    begin, end = (a.start_ns or 0) - (b.start_ns or 0), (a.end_ns or 0) - (b.end_ns or 0)
    return abs(begin + shift_ns) <= ROUNDING_NS and abs(end + shift_ns) <= ROUNDING_NS


def _fingerprint(reader: TraceReader) -> tuple[int, int]:
    """Entries of the page stream and a sum over them, which does not depend on their order."""
    entries = total = 0
    for chunk in reader.stream():
        entries += len(chunk)
        total = (total + int(_mixed(chunk).sum(dtype=np.uint64))) & (1 << 64) - 1
    return entries, total


def _mixed(chunk: PageStream) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A number for each entry, of its operation, CPU and page: all formats tell these alike."""
    key = chunk.args[:, PFN].astype(np.uint64) * MIX
    key ^= (chunk.op.astype(np.uint64) << np.uint64(16)) | chunk.cpu
    key *= MIX
    return key ^ (key >> np.uint64(29))
