"""What recording costs in a guest, with probes: python -m benchmarks.record_overhead_guest [KERNEL...].

Two loops of one task: `alloc` maps, touches and unmaps pages, `gup` gives pages to a pipe with vmsplice and drains it.
Each runs unrecorded and under the printed script at each level. The guest has one CPU whose clock counts instructions,
so that what else the machine does changes nothing: the figures are instructions, not time.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.guest import INSTRUCTION_NS, X86_64, Machine, machines
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.capture.wanted import Stacks

SECONDS = 2  # of the guest: 500 M instructions
GUEST_SECONDS = 3600
BUFFER_KIB = 16384
LOADS = {"alloc": 64, "gup": 16}  # pages of a loop
# The blocks of the DIMM stay offline: with one of them as the range, filters drop every take.
ELSEWHERE = X86_64.first_block
STATE = f"/sys/devices/system/memory/memory{ELSEWHERE}/state"
OPTIONS = {
    "attempts only": ScriptOptions(level=0, pages=False, buffer_kib=BUFFER_KIB),
    "level 0": ScriptOptions(level=0, buffer_kib=BUFFER_KIB),
    "level 1": ScriptOptions(level=1, buffer_kib=BUFFER_KIB),
    "level 2, no stacks": ScriptOptions(level=2, buffer_kib=BUFFER_KIB, stacks=Stacks.NONE),
    "level 2": ScriptOptions(level=2, buffer_kib=BUFFER_KIB),
    "level 2, of another block": ScriptOptions(level=2, block=ELSEWHERE, buffer_kib=BUFFER_KIB),
}
# Of record.log: events left in the ring, read while recording, and overwritten; CPU of the shell and its commands.
EVENTS = re.compile(r"^\s*(?:entries|read events|overrun): (\d+)", re.MULTILINE)
CPU = re.compile(r"^CPU of .*: (.*)$", re.MULTILINE)
TIME = re.compile(r"(\d+)m([\d.]+)s")
HEAD = (
    "| recorded | CPU of a loop | events of a loop | instructions of an event | events/s | recorder, of the CPU |\n"
    "|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Run:
    """One workload: its loops, seconds and CPU seconds; events of the recording, and the recorder's CPU seconds."""

    loops: float
    seconds: float
    cpu: float
    events: float = 0.0
    recorder: float = 0.0

    @property
    def loop_ns(self) -> float:
        """CPU of a loop."""
        return self.cpu / self.loops * 1e9


def job() -> str:
    """Recordings of nothing, then every load, unrecorded first, then at each level."""
    lines = ["chmod +x workload", f"cp {STATE} /out/state"]
    loads = {"nothing": "./workload alloc 0 1", **{k: f"./workload {k} {SECONDS} {n}" for k, n in LOADS.items()}}
    for load, command in loads.items():
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
        log = replace(machine, counted=True).run(job(), files, folder / "out", seconds=GUEST_SECONDS)
        try:
            if (folder / "out" / "state").read_text() != "offline\n":
                raise ValueError(f"block {ELSEWHERE} is in use")
            return {load: [_run(folder / "out", load, what) for what in ("none", *map(str, range(len(OPTIONS))))]
                    for load in LOADS}  # fmt: skip
        except (OSError, ValueError) as error:
            sys.exit(f"the guest did not measure: {error}\n{log[-2000:]}")


def _run(out: Path, load: str, what: str) -> Run:
    """What one file says; events and CPU of a recording of nothing are taken off: snapshots, the tasks started."""
    loops, seconds, cpu = (float(word) for word in (out / f"{load}-{what}.txt").read_text().split())
    if what == "none":
        return Run(loops, seconds, cpu)
    taken, idle = _recorder(out / f"{load}-{what}.log"), _recorder(out / f"nothing-{what}.log")
    return Run(loops, seconds, cpu, max(taken[0] - idle[0], 0), max(taken[1] - idle[1], 0))


def _recorder(path: Path) -> tuple[float, float]:
    log = path.read_text()
    events = sum(map(int, EVENTS.findall(log)))
    return events, sum(int(m) * 60 + float(rest) for line in CPU.findall(log) for m, rest in TIME.findall(line))


def main(names: list[str]) -> None:
    """Print a table for each kernel, in Markdown."""
    known = machines()
    for name in names or list(known):
        if name not in known:
            sys.exit(f"no kernel {name}: there are {', '.join(known) or 'none (make test-guests)'}")
        print(f"## {name}\n")
        for load, (base, *runs) in measured(known[name]).items():
            print(f"`{load}`, {LOADS[load]} pages a loop: {base.loop_ns / INSTRUCTION_NS:,.0f} instructions\n\n{HEAD}")
            for what, run in zip(OPTIONS, runs, strict=True):
                a_loop = run.events / run.loops
                each = f"{(run.loop_ns - base.loop_ns) / a_loop / INSTRUCTION_NS:,.0f}" if a_loop > 1 else "-"
                print(f"| {what} | x{run.loop_ns / base.loop_ns:.2f} | {a_loop:,.1f} | {each} "
                      f"| {run.events / run.seconds:,.0f} | {run.recorder / run.seconds:.1%} |")  # fmt: skip
            print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
