"""CPU seconds of tracereplay and of `trace-cmd report` or `perf script` on one trace, in one run, as ratios.

    python -m benchmarks.speed [TRACE.dat | perf.data] [--runs N] [--text]

Default trace: ../shared/bench/busy_5m_events.dat beside the checkout. Every figure is the median of N runs (user and
system time), peers alternating with ours; the first run of each is thrown away (caches, compiled kernels). `--text`
also reads what the peer wrote, which takes a gigabyte of room for 5 M events.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TRACE = Path(__file__).resolve().parents[2] / "shared" / "bench" / "busy_5m_events.dat"
# Without starting Python: what a library user pays for the next trace.
IN_PROCESS = """
import sys, time
from tracereplay.opening import open_reader
open_reader({warm}).tables()
begin = time.process_time()
reader = open_reader({trace})
opened = time.process_time()
reader.tables()
print(opened - begin, time.process_time() - opened)
"""
OPEN, TABLES, OPEN_TEXT, TABLES_TEXT = "open (exact scan)", "all-field tables", "text: open", "text: all-field tables"


def cpu_seconds(command: Sequence[str], output: Path | None = None) -> tuple[float, float]:
    """(user and system time, wall time) of one run of the command; its output goes to the file, or nowhere."""
    before, begin = os.times(), time.monotonic()
    with open(output or os.devnull, "wb") as out:
        subprocess.run(command, check=True, stdout=out, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - begin


def in_process(trace: Path, warm: Path) -> tuple[float, float]:
    """CPU seconds to (open and scan, make all-field tables), in a process that has read `warm` before."""
    script = IN_PROCESS.format(trace=repr(str(trace)), warm=repr(str(warm)))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    opened, tables = done.stdout.split()
    return float(opened), float(tables)


def peer_of(trace: Path) -> list[str]:
    """The command that prints such a trace."""
    with trace.open("rb") as file:
        is_perf_data = file.read(8) in {b"PERFILE2", b"2ELIFREP"}
    command = ["perf", "script", "-i"] if is_perf_data else ["trace-cmd", "report"]
    if shutil.which(command[0]) is None:
        sys.exit(f"{command[0]} is not installed: install it to compare")
    return command


def measure(peer: list[str], trace: Path, scratch: Path, *, text: bool) -> dict[str, tuple[float, float]]:
    """(CPU seconds, wall seconds or 0) of each task, once; the peer's comes first."""
    ours = [sys.executable, "-m", "tracereplay"]
    written = scratch / "report.txt"
    figures = {" ".join(peer[:2]): cpu_seconds([*peer, str(trace)], written if text else None)}
    blame = [*ours, "blame", "--quiet", str(trace)]
    figures["blame"] = cpu_seconds(blame)
    figures["blame, one core"] = cpu_seconds(["taskset", "-c", "0", *blame])
    target = scratch / "dataset"
    figures["ingest"] = cpu_seconds([*ours, "ingest", str(trace), "--output", str(target)])
    figures["blame of the dataset"] = cpu_seconds([*ours, "blame", "--quiet", str(target)])
    opened, tables = in_process(trace, trace)
    figures[OPEN], figures[TABLES] = (opened, 0.0), (tables, 0.0)
    if text:
        head = scratch / "head.txt"
        with written.open("rb") as whole:
            head.write_bytes(whole.read(1 << 22).rpartition(b"\n")[0])
        opened, tables = in_process(written, head)
        figures[OPEN_TEXT], figures[TABLES_TEXT] = (opened, 0.0), (tables, 0.0)
    return figures


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", nargs="?", type=Path, default=TRACE)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--text", action="store_true")
    args = parser.parse_args()
    if not args.trace.exists():
        sys.exit(f"{args.trace}: no such trace")
    peer = peer_of(args.trace)
    seen: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for run in range(args.runs + 1):
            figures = measure(peer, args.trace, Path(scratch), text=args.text)
            for name, pair in figures.items() if run else ():
                seen.setdefault(name, []).append(pair)
    base = statistics.median(cpu for cpu, _ in seen[" ".join(peer[:2])])
    print(f"{'':24} {'CPU s, median':>14} {'min':>7} {'max':>7} {'ratio':>7} {'wall s':>7}")
    for name, pairs in seen.items():
        values, wall = [cpu for cpu, _ in pairs], statistics.median(wall for _, wall in pairs)
        middle = statistics.median(values)
        wall_s = f"{wall:7.2f}" if wall else ""
        print(f"{name:24} {middle:14.2f} {min(values):7.2f} {max(values):7.2f} {base / middle:7.1f} {wall_s}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
