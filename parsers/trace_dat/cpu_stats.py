"""CPUSTAT options: the kernel's per-CPU statistics at the end of a recording -> losses.

    CPU: 0
    entries: 0
    overrun: 3120
    ...
    dropped events: 0

Source: per_cpu/cpuN/stats (kernel/trace/trace.c, tracing_stats_read); trace-cmd puts one into each option, and before
those of an instance an option that says `Buffer: NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tracereplay.losses import Loss
from tracereplay.parsers.ring_buffer.scan import Scan
from tracereplay.parsers.trace_dat.sections import CPUSTAT

_LINE = re.compile(r"^\s*([A-Za-z][\w ]*?):\s*(\S+)\s*$", re.MULTILINE)
LATE_FRACTION = 1000  # a CPU starts late when it misses more than this part of the trace


def cpu_statistics(options: list[tuple[int, bytes]]) -> Iterator[tuple[str, int, dict[str, int]]]:
    """(buffer, cpu, statistics) in the order of the file."""
    buffer = ""
    for number, data in options:
        if number != CPUSTAT:
            continue
        text = data.split(b"\0")[0].decode("utf-8", "replace")
        named = re.search(r"^Buffer:\s*(.*?)\s*$", text, re.MULTILINE)
        if named:
            buffer = named[1]
        values = {
            name.lower(): int(value) for name, value in _LINE.findall(text) if value.isdigit() and len(value) < 20
        }
        if "cpu" in values:
            yield buffer, values.pop("cpu"), values


def cpu_losses(options: list[tuple[int, bytes]], buffers: list[str], found: Scan) -> list[Loss]:
    """Losses that the statistics tell, and CPUs whose beginning was overwritten, as intervals in which they are blind.

    Overwritten events are older than the oldest that is left, so an overrun without other sign ends where the CPU
    begins; pages that say themselves that events are missing before them move that end (`lost_events` rows).
    buffers -- names in the order of the file.
    """
    losses = []
    for buffer, cpu, values in cpu_statistics(options):
        where = f"buffer {buffer}" if buffer else ""
        active = found.activity.get((buffers.index(buffer), cpu)) if buffer in buffers else None
        start = active.first_ns if active else None
        gaps = [loss.end_ns for loss in found.losses if loss.code == "lost_events" and loss.cpu == cpu and loss.end_ns]
        overrun = values.get("overrun", 0)
        if overrun:
            losses.append(Loss("overrun", overrun, cpu, None, max(gaps, default=start), where))
            if start is not None and found.start_ns is not None and found.end_ns is not None:
                blind = start - found.start_ns
                if blind * LATE_FRACTION > found.end_ns - found.start_ns:
                    losses.append(Loss("cpu_starts_late", None, cpu, found.start_ns, start, where))
        dropped = values.get("dropped events", 0) + values.get("commit overrun", 0)
        if dropped:
            losses.append(Loss("dropped_events", dropped, cpu, None, None, where))
    return losses
