"""What recording costs a workload that allocates all the time: python -m benchmarks.record_overhead (as root).

One task maps, touches and unmaps 4 MiB over and over. Its loops a second without recording, and under `record` at each
level, in turns; the events a second, the recorder's own CPU, and the time each event took away from the workload.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tracereplay

PAGES = 1024
SECONDS = 4.0
ROUNDS = 3
LEVELS = {
    "attempts only": ["--level", "0", "--no-pages"],
    "level 0": ["--level", "0"],
    "level 1": ["--level", "1"],
    "level 2": ["--level", "2"],
}


def workload(seconds: float) -> tuple[int, float]:
    """Loops done, and how long they took."""
    page_bytes, loops, started = mmap.PAGESIZE, 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        with mmap.mmap(-1, PAGES * page_bytes) as memory:
            for at in range(0, PAGES * page_bytes, page_bytes):
                memory[at] = 1
        loops += 1
    return loops, time.perf_counter() - started


def run_workload() -> float:
    """Loops a second, not recorded."""
    loops, seconds = workload(SECONDS)
    return loops / seconds


def recorded(arguments: list[str]) -> tuple[float, float, float]:
    """(loops a second, events a second, share of a CPU of the recorder)."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "capture"
        command = [sys.executable, "-m", "tracereplay", "record", "-o", str(out), "--buffer", "64", *arguments, "--"]
        done = subprocess.run(
            [*command, sys.executable, "-m", "benchmarks.record_overhead", "workload"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        loops, seconds = json.loads(done.stdout)
        log = (out / "record.log").read_text()
        written = any(path.stat().st_size for path in out.glob("trace/per_cpu/*/trace_pipe_raw"))
        events = tracereplay.open([out / "trace"]).reader.info.events if written else 0
    cpu = float((re.search(r"recording took ([\d.]+) s", log) or ["", "nan"])[1])
    return loops / seconds, events / seconds, cpu / seconds


def _round() -> tuple[float, dict[str, tuple[float, float, float]]]:
    """One turn: not recorded, then each level."""
    return run_workload(), {name: recorded(arguments) for name, arguments in LEVELS.items()}


def main() -> None:
    """Print the table."""
    if os.geteuid() != 0:
        sys.exit("recording needs root")
    rounds = [_round() for _ in range(ROUNDS)]
    base = statistics.median(one for one, _ in rounds)
    print(f"not recorded: {base:.1f} loops/s of {PAGES} pages")
    for name in LEVELS:
        loops, events, cpu = (statistics.median(levels[name][at] for _, levels in rounds) for at in range(3))
        each = f"{(1 / loops - 1 / base) / (events / loops) * 1e9:6.0f} ns/event" if events > 1 else " " * 15
        print(f"{name:14} {loops / base:6.1%} of the loops  {events:11,.0f} events/s  {each}  "
              f"recorder {cpu:5.1%} of a CPU")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] == ["workload"]:
        print(json.dumps(workload(SECONDS)))
    else:
        main()
