"""What a long kernel log costs: CPU seconds and peak memory of `blame --kernel-log`, as a whole process.

    python -m benchmarks.long_log [--lines 1000000] [--attempts 10000] [--kind busy|failed|dumps|offline|all]

The log is made: lines of drivers, and among them attempts of the kind chosen. With twice the attempts the time has
to be twice that of the attempts, no more.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

OTHER = (
    "usb 1-1: new high-speed USB device number {n} using xhci_hcd",
    "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: (null)",
    'audit: type=1400 audit(1600000000.{n}:42): apparmor="STATUS" operation="profile_load" name="/bin/man" pid={n}',
    "e1000e 0000:00:19.0 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
)  # fmt: skip


def busy(number: int) -> list[str]:
    """A range that was busy; nothing says how the call ended."""
    return [f"alloc_contig_range: [{0x100000 + number * 37 % 4096:x}, {0x100001 + number * 37 % 4096:x}) PFNs busy"]


def failed(number: int) -> list[str]:
    """A failed call with a try and its bitmap."""
    return [
        f"alloc_contig_range: [{0x100000 + number:x}, {0x100040 + number:x}) PFNs busy",
        "cma: cma_alloc: reserved: alloc failed, req-size: 64 pages, ret: -16",
        "cma: number of available pages: 4@572+7@585+7@601+8@632=> 26 free of 2048 total pages",
    ]


def dumps(number: int) -> list[str]:
    """A page that an offline could not migrate, dumped."""
    pfn = f"{0x100000 + number:x}"
    return [
        f"migrating pfn {pfn} failed ret:1",
        f"page:00000000aa refcount:3 mapcount:1 mapping:00000000aa index:0x7f pfn:0x{pfn}",
        "anon flags: 0x17fffe0000000(uptodate|lru|swapbacked|node=0|zone=2)",
        "page dumped because: migration failure",
        " post_alloc_hook+0x1/0x2",
    ]


def offline(number: int) -> list[str]:
    """A block that did not go offline."""
    start = 0x100000000 + number * 0x8000000
    return [f"memory offlining [mem {start:#x}-{start + 0x7FFFFFF:#x}] failed due to failure to isolate range"]


KINDS: dict[str, Callable[[int], list[str]]] = {"busy": busy, "failed": failed, "dumps": dumps, "offline": offline}


def write_log(path: Path, lines: int, attempts: int, make: Callable[[int], list[str]]) -> None:
    """A log of so many lines with so many attempts, spread evenly."""
    every = max(lines // max(attempts, 1), 1)
    with path.open("w") as file:
        file.write("[    0.000000] Linux version 5.10.0-8-amd64 (x@y)\n")
        for number in range(lines):
            stamp = f"[{100 + number * 0.002:12.6f}] "
            said = make(number // every) if number % every == 0 else [OTHER[number % len(OTHER)].format(n=number)]
            file.writelines(f"{stamp}{line}\n" for line in said)


def measure(path: Path) -> tuple[float, int]:
    """(CPU seconds, peak memory in MB) of one blame of the log."""
    command = [sys.executable, "-m", "tracereplay", "blame", "--kernel-log", str(path), "--format", "json", "-q"]
    with subprocess.Popen([*command, "--output", os.devnull]) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"blame ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def main() -> None:
    """Print a line for each log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--attempts", type=int, default=10_000)
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all")
    args = parser.parse_args()
    print(f"{'kind':8} {'lines':>9} {'attempts':>9} {'CPU s':>7} {'MB':>5}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dmesg"
        for kind in KINDS if args.kind == "all" else [args.kind]:
            for attempts in (0, args.attempts, 2 * args.attempts):
                write_log(path, args.lines, attempts, KINDS[kind])
                seconds, memory = measure(path)
                print(f"{kind:8} {args.lines:9,} {attempts:9,} {seconds:7.2f} {memory:5}", flush=True)


if __name__ == "__main__":
    main()
