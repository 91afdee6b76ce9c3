"""CPU time of opening, streaming and tabulating a trace, best of a few rounds.

.venv/bin/python -m benchmarks.decode [../shared/bench/busy_5m_events.dat] [rounds]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

from tracereplay.parsers.trace_dat.reader import TraceDatReader


def best(rounds: int, work: Callable[[], object]) -> float:
    """Least CPU seconds of some rounds; the first, which may compile, does not count."""
    work()
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


def main(path: str = "../shared/bench/busy_5m_events.dat", rounds: str = "5") -> None:
    """Print one line per task."""
    reader = TraceDatReader(path)
    events = reader.info.events
    for name, work in (
        ("open and scan", lambda: TraceDatReader(path)),
        ("stream", lambda: sum(len(chunk) for chunk in reader.stream())),
        ("tables", reader.tables),
    ):
        seconds = best(int(rounds), work)
        print(f"{name:14} {seconds:6.3f} s CPU   {events / seconds / 1e6:6.1f} M events/s")
    print(f"peak memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB (all tables held)")


if __name__ == "__main__":
    main(*sys.argv[1:])
