"""What recording costs in a guest, with probes: python -m benchmarks.record_overhead_guest [KERNEL...].

Two loops of one task: `alloc` maps, touches and unmaps pages, `gup` gives pages to a pipe with vmsplice and drains it.
Each runs unrecorded and under the printed script at each level, ROUNDS times in turns. QEMU emulates: ratios hold,
times do not.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from statistics import median

from tests.support.guest import Machine, machines
from tracereplay.capture.script import ScriptOptions, script

SECONDS = 5
ROUNDS = 3
GUEST_SECONDS = 3600
BUFFER_KIB = 16384
LOADS = {"alloc": 64, "gup": 16}  # pages of a loop
# A block of the DIMM, which is not online: the range filters drop every take.
ELSEWHERE = 32
OPTIONS = {
    "attempts only": ScriptOptions(level=0, pages=False, buffer_kib=BUFFER_KIB),
    "level 0": ScriptOptions(level=0, buffer_kib=BUFFER_KIB),
    "level 1": ScriptOptions(level=1, buffer_kib=BUFFER_KIB),
    "level 2": ScriptOptions(level=2, buffer_kib=BUFFER_KIB),
    "level 2, of another block": ScriptOptions(level=2, block=ELSEWHERE, buffer_kib=BUFFER_KIB),
}
# Of record.log: events left in the ring, read while recording, and overwritten; CPU of the shell and its commands.
EVENTS = re.compile(r"^\s*(?:entries|read events|overrun): (\d+)", re.MULTILINE)
CPU = re.compile(r"^CPU of .*: (.*)$", re.MULTILINE)
TIME = re.compile(r"(\d+)m([\d.]+)s")


@dataclass(frozen=True, slots=True)
class Run:
    """Loops a second, events a second, and the recorder's share of a CPU while it recorded."""

    loops: float
    events: float = 0.0
    cpu: float = 0.0


def job() -> str:
    """Every load, unrecorded first, then at each level; and all of that again."""
    lines = ["chmod +x workload"]
    for turn, (load, pages) in product(range(ROUNDS), LOADS.items()):
        command, name = f"./workload {load} {SECONDS} {pages}", f"/out/{turn}-{load}"
        lines.append(f"{command} > {name}-none.txt")
        for number in range(len(OPTIONS)):
            lines += [
                f"sh record-{number}.sh -o c -- {command} > {name}-{number}.txt",
                f"cp c/record.log {name}-{number}.log",
                "rm -rf c",
            ]
    return "\n".join(lines) + "\n"


def measured(machine: Machine) -> dict[str, list[Run]]:
    """By load: the run without recording, then one for each of OPTIONS; medians of the rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / "workload", *(folder / f"record-{number}.sh" for number in range(len(OPTIONS)))]
        source = Path(__file__).with_name("record_workload.c")
        subprocess.run(["gcc", "-O1", "-static", "-o", str(files[0]), str(source)], check=True)
        for file, options in zip(files[1:], OPTIONS.values(), strict=True):
            file.write_text(script(options))
        log = machine.run(job(), files, folder / "out", seconds=GUEST_SECONDS)
        try:
            return {load: [_median(folder / "out", f"{load}-{what}") for what in ("none", *range(len(OPTIONS)))]
                    for load in LOADS}  # fmt: skip
        except (OSError, ValueError) as error:
            sys.exit(f"the guest did not measure: {error}\n{log[-2000:]}")


def _median(out: Path, name: str) -> Run:
    runs = [_run(out, f"{turn}-{name}") for turn in range(ROUNDS)]
    return Run(*(median(getattr(run, field.name) for run in runs) for field in fields(Run)))


def _run(out: Path, name: str) -> Run:
    loops, seconds, _ = (float(word) for word in (out / f"{name}.txt").read_text().split())
    if not (out / f"{name}.log").exists():
        return Run(loops / seconds)
    log = (out / f"{name}.log").read_text()
    events = sum(map(int, EVENTS.findall(log)))
    cpu = sum(int(minutes) * 60 + float(rest) for line in CPU.findall(log) for minutes, rest in TIME.findall(line))
    return Run(loops / seconds, events / seconds, cpu / seconds)


def main(names: list[str]) -> None:
    """Print a table for each kernel, in Markdown."""
    known = machines()
    for name in names or list(known):
        if name not in known:
            sys.exit(f"no kernel {name}: there are {', '.join(known) or 'none (make test-guests)'}")
        print(f"## {name}\n")
        for load, (base, *runs) in measured(known[name]).items():
            print(f"`{load}`: {base.loops:,.0f} loops/s of {LOADS[load]} pages unrecorded\n")
            print("| recorded | loops | events/s | us/event | recorder, of a CPU |\n|---|---|---|---|---|")
            for what, run in zip(OPTIONS, runs, strict=True):
                lost = (1 / run.loops - 1 / base.loops) * 1e6  # us a loop
                each = f"{lost / (run.events / run.loops):.1f}" if run.events > run.loops else "-"
                print(f"| {what} | {run.loops / base.loops:.1%} | {run.events:,.0f} | {each} | {run.cpu:.1%} |")
            print()


if __name__ == "__main__":
    main(sys.argv[1:])
