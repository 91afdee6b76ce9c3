"""What recording costs in a guest, with probes: python -m benchmarks.record_overhead_guest [KERNEL...].

Two loops of one task: `alloc` maps, touches and unmaps pages, `gup` gives pages to a pipe with vmsplice and drains it.
Each runs unrecorded and under the printed script at each level. QEMU emulates: ratios hold, times do not.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.guest import Machine, machines
from tracereplay.capture.script import ScriptOptions, script

SECONDS = 5
BUFFER_KIB = 8192  # a ring: copying what is in it afterwards is not measured, and slow under emulation
LOADS = {"alloc": 64, "gup": 16}  # pages of a loop
# A block without memory: the range filters drop every take.
ELSEWHERE = 4
OPTIONS = {
    "attempts only": ScriptOptions(level=0, pages=False, buffer_kib=BUFFER_KIB),
    "level 0": ScriptOptions(level=0, buffer_kib=BUFFER_KIB),
    "level 1": ScriptOptions(level=1, buffer_kib=BUFFER_KIB),
    "level 2": ScriptOptions(level=2, buffer_kib=BUFFER_KIB),
    "level 2, of another block": ScriptOptions(level=2, block=ELSEWHERE, buffer_kib=BUFFER_KIB),
}
ENTRIES = re.compile(r"^\s*(?:entries|overrun): (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """Loops a second, and events a second."""

    loops: float
    events: float = 0.0


def job() -> str:
    """Every load, unrecorded first, then at each level."""
    lines = ["chmod +x workload"]
    for load, pages in LOADS.items():
        command = f"./workload {load} {SECONDS} {pages}"
        lines.append(f"{command} > /out/{load}-none.txt")
        for number in range(len(OPTIONS)):
            lines += [
                f"sh record-{number}.sh -o c -- {command} > /out/{load}-{number}.txt",
                f"cp c/record.log /out/{load}-{number}.log",
                "rm -rf c",
            ]
    return "\n".join(lines) + "\n"


def measured(machine: Machine) -> dict[str, list[Run]]:
    """By load: the run without recording, then one for each of OPTIONS."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / "workload", *(folder / f"record-{number}.sh" for number in range(len(OPTIONS)))]
        source = Path(__file__).with_name("record_workload.c")
        subprocess.run(["gcc", "-O1", "-static", "-o", str(files[0]), str(source)], check=True)
        for file, options in zip(files[1:], OPTIONS.values(), strict=True):
            file.write_text(script(options))
        log = machine.run(job(), files, folder / "out", seconds=1800)
        try:
            return {load: [_run(folder / "out", f"{load}-{what}") for what in ("none", *range(len(OPTIONS)))]
                    for load in LOADS}  # fmt: skip
        except (OSError, ValueError) as error:
            sys.exit(f"the guest did not measure: {error}\n{log[-2000:]}")


def _run(out: Path, name: str) -> Run:
    loops, seconds, _ = (float(word) for word in (out / f"{name}.txt").read_text().split())
    log = out / f"{name}.log"
    events = sum(map(int, ENTRIES.findall(log.read_text()))) if log.exists() else 0
    return Run(loops / seconds, events / seconds)


def main(names: list[str]) -> None:
    """Print a table for each kernel."""
    known = machines()
    for name in names or list(known):
        if name not in known:
            sys.exit(f"no kernel {name}: there are {', '.join(known) or 'none (make test-guests)'}")
        print(name)
        for load, (base, *runs) in measured(known[name]).items():
            print(f"  {load}: {base.loops:,.0f} loops/s of {LOADS[load]} pages unrecorded")
            for what, run in zip(OPTIONS, runs, strict=True):
                lost = (1 / run.loops - 1 / base.loops) * 1e6  # us a loop
                each = f"{lost / (run.events / run.loops):5.1f} us/event" if run.events > run.loops else ""
                print(f"    {what:26} {run.loops / base.loops:6.1%}  {run.events:9,.0f} events/s  {each}")


if __name__ == "__main__":
    main(sys.argv[1:])
