"""Make a corpus of distinct traces out of the captures in fixtures/, with a trend and broken files planted.

    python -m benchmarks.corpus_traces FOLDER [--traces 2000] [--seed 1]

Every trace is a variant (tests.support.trace_variants) of one of USUAL: its page frames, tids, task names and times are
moved, so no two are equal. They belong to BUILDS builds, one a day, and lie in FOLDER/BUILD/DEVICE/, each with its
layout, kernel log and a sidecar of metadata beside it. Planted, and recorded in FOLDER/planted.json:

- from build TURN on, the task PLANTED pins pages in SHARE_SINCE of the traces, before in SHARE_BEFORE;
- every BROKEN_EVERY-th file is broken: cut, empty, garbage or no trace at all.

The same seed makes the same corpus.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import time
from pathlib import Path

from tests.support.captures import FIXTURES as CAPTURES
from tests.support.trace_variants import (
    BLOCK_PAGES,
    PLANTED,
    PLANTED_CAPTURE,
    PLANTED_TASK,
    Change,
    Original,
    moved_layout,
    moved_log,
)

# (capture, weight, tasks that get other names). Captures whose events quote PFNs in kernel messages are left out.
USUAL = (
    ("cma_bufferhead", 3, ()),
    ("cma_fuse_readahead", 2, ()),
    ("cma_longterm_fail", 1, ("lt-gup", "lt-uring")),
    ("cma_pin_vmsplice_late", 3, ("pin-vmsplice", "pin-dead")),
    ("cma_pin_vmsplice_stack", 3, ("pin-vmsplice", "pin-dead")),
    ("cma_retry_success", 5, ("pin-vmsplice",)),
    ("k72_cma_fuse_writeback", 3, ()),
)
NAMES = ("netd", "surfaceflinger", "mediaserver", "logd", "vold", "installd", "app_process", "backupd")
DEVICES = ("board-a", "board-b", "board-c", "board-d")
BUILDS, TURN = 40, 26
SHARE_BEFORE, SHARE_SINCE = 0.02, 0.20
BROKEN_EVERY = 200
FIRST_DAY = datetime.date(2026, 1, 1)


def main() -> int:
    """Write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--traces", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.process_time()
    originals = {name: Original(CAPTURES / name / "trace.dat") for name in (PLANTED_CAPTURE, *(n for n, _, _ in USUAL))}
    broken = []
    for number in range(args.traces):
        chance = random.Random(args.seed * 1_000_003 + number)
        build = 1 + number * BUILDS // args.traces
        path = args.folder / f"build-{build}" / chance.choice(DEVICES) / f"t{number:06}.dat"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            path.write_bytes(_broken(number, chance))
            broken.append(str(path.relative_to(args.folder)))
        else:
            _write(path, originals, build, number, chance)
    made = {
        "traces": args.traces,
        "planted": {"cause": "task_reference", "holder": PLANTED, "since": f"build-{TURN}"},
    }
    (args.folder / "planted.json").write_text(json.dumps(made | {"broken": broken}, indent=2) + "\n")
    print(
        f"{args.traces} traces in {args.folder}, {len(broken)} of them broken; {time.process_time() - began:.0f} CPU s"
    )
    return 0


def _write(path: Path, originals: dict[str, Original], build: int, number: int, chance: random.Random) -> None:
    share = SHARE_SINCE if build >= TURN else SHARE_BEFORE
    renamed: dict[str, str]
    if chance.random() < share:
        name, renamed = PLANTED_CAPTURE, {PLANTED_TASK: PLANTED}
    else:
        name, _, tasks = chance.choices(USUAL, [weight for _, weight, _ in USUAL])[0]
        renamed = dict(zip(tasks, chance.sample(NAMES, len(tasks)), strict=True))
    # The time holds the number of the trace: no two are equal.
    change = Change(chance.randrange(1, 24) * BLOCK_PAGES, chance.randrange(0, 20_000), number * 1_000_003, renamed)
    path.write_bytes(originals[name].variant(change))
    capture = CAPTURES / name
    for file, text in moved_layout(capture / "layout_before", change, BLOCK_PAGES):
        target = path.with_suffix(".layout") / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    path.with_suffix(".dmesg").write_text(moved_log((capture / "dmesg.txt").read_text(errors="replace"), change))
    day = FIRST_DAY + datetime.timedelta(days=build - 1)
    path.with_suffix(".toml").write_text(f'build = "build-{build}"\ndevice = "{path.parent.name}"\ndate = {day}\n')


def _broken(number: int, chance: random.Random) -> bytes:
    whole = (CAPTURES / PLANTED_CAPTURE / "trace.dat").read_bytes()
    kinds = (whole[:20], b"", chance.randbytes(100_000), b"this is no trace\n" * 10)
    return kinds[number // BROKEN_EVERY % len(kinds)]


if __name__ == "__main__":
    raise SystemExit(main())
