"""CPU seconds of tracereplay and of `trace-cmd report` on one trace, in one run, as ratios.

    python -m benchmarks.speed [TRACE.dat] [--runs N]

Default trace: ../shared/bench/busy_5m_events.dat beside the checkout. Every figure is the median of N whole processes
(user + system time), peers alternating with ours; the first run of each is thrown away (caches, compiled kernels).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TRACE = Path(__file__).resolve().parents[2] / "shared" / "bench" / "busy_5m_events.dat"
# Opening (an exact scan) and decoding, without starting Python: what a library user pays for the next trace.
DECODE = """
import sys, time
from tracereplay.parsers.trace_dat import TraceDatReader
TraceDatReader(sys.argv[1]).tables()
begin = time.process_time()
reader = TraceDatReader(sys.argv[1])
opened = time.process_time()
reader.tables()
print(opened - begin, time.process_time() - opened)
"""


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system time of one run of the command; its output is thrown away."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def decode_seconds(trace: Path) -> tuple[float, float]:
    """(open and scan, decode to all-field tables) within a process that has done it once."""
    done = subprocess.run([sys.executable, "-c", DECODE, str(trace)], check=True, capture_output=True, text=True)
    opened, decoded = done.stdout.split()
    return float(opened), float(decoded)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", nargs="?", type=Path, default=TRACE)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    if not args.trace.exists():
        sys.exit(f"{args.trace}: no such trace")
    peer = shutil.which("trace-cmd")
    if peer is None:
        sys.exit("trace-cmd is not installed: install it to compare")
    commands = {
        "trace-cmd report": [peer, "report", str(args.trace)],
        "blame": [sys.executable, "-m", "tracereplay", "blame", "--quiet", str(args.trace)],
    }
    rows = (*commands, "open (exact scan)", "decode to all-field tables")
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for run in range(args.runs + 1):
        for name, command in commands.items():
            spent = cpu_seconds(command)
            if run:
                seconds[name].append(spent)
        opened, decoded = decode_seconds(args.trace)
        if run:
            seconds["open (exact scan)"].append(opened)
            seconds["decode to all-field tables"].append(decoded)
    base = statistics.median(seconds["trace-cmd report"])
    print(f"{'':30} {'CPU s, median':>14} {'min':>7} {'max':>7} {'ratio':>7}")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"{name:30} {middle:14.2f} {min(values):7.2f} {max(values):7.2f} {base / middle:7.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
