"""What judging costs: CPU seconds of the library's `blame` of traces in which many pages are in the way.

    python -m benchmarks.many_suspects [--suspects 100000] [--attempts 2000]

`wide`: one failing attempt with so many suspects, held by two tasks in turns of 512 pages; `mixed`: in turns of 7, so
that every seventh page begins a row of the result. `repeated`: so many failing attempts
on the same 16 pages; half as many have to cost half. Both are made as ftrace text, so that the size can be chosen;
`judging` leaves reading and replay out. A first run compiles: its figures are thrown away.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.event_histories import DRIVER, B, History, Who

TAKERS = Who("task-a", 101), Who("task-c", 103)
START = 0x100000
LAYOUT = """
page_size = 0x1000
pageblock_order = 9
[[zone]]
name = "Normal"
start_pfn = 0x100000
pages = {pages:#x}
"""
MEASURED = """
import json, sys, time
import tracereplay, tracereplay.analysis as analysis
judge, spent = analysis.judge, []
def timed(*args):
    begin = time.process_time()
    found = judge(*args)
    spent.append(time.process_time() - begin)
    return found
analysis.judge = timed
begin = time.process_time()
result = tracereplay.open(sys.argv[1], layout=sys.argv[2]).blame()
whole = time.process_time() - begin
print(json.dumps([whole, sum(spent), len(result.attempts), sum(c.pages for a in result.attempts for c in a.culprits)]))
"""


def attempt(history: History, pages: int) -> None:
    """A failing cma_alloc() of all pages: every one is isolated, tried and put back."""
    pfns = range(START, START + pages)
    history.wait(1000)
    history.event(DRIVER, f"cma_alloc_start: name=reserved count={pages} align=0")
    history.isolate(pfns)
    span = f"range=({START:#x} ~ {START + pages:#x})"
    history.event(DRIVER, f"mm_compaction_isolate_migratepages: {span} nr_scanned={pages} nr_taken={pages}")
    history.migrate_start()
    history.migrate_end(pages)
    history.put_back(pfns)
    test = f"start_pfn={START:#x} end_pfn={START + pages:#x} fin_pfn={START:#x} ret=fail"
    history.event(DRIVER, f"test_pages_isolated: {test}")
    end = f"name=reserved pfn={START:#x} page=(null) count={pages} align=0 errorno=-16"
    history.event(DRIVER, f"cma_alloc_finish: {end}")
    history.wait(1000)


def trace(pages: int, attempts: int, turn: int = 7) -> str:
    """Pages of B, each held by one of the takers from its allocation to the end, and failing attempts on them."""
    history = History()
    for pfn in range(START, START + pages):
        history.anon(B, pfn)
        history.get(TAKERS[pfn // turn % 2], pfn)
    for _ in range(attempts):
        attempt(history, pages)
    for pfn in range(START, START + pages):
        history.put(TAKERS[pfn // turn % 2], pfn)
    history.chatter((0, 1))
    return history.text()


def measure(folder: Path, pages: int, attempts: int, turn: int) -> list[Any]:
    """[blame's CPU seconds, those of judging, attempts, culprit pages]: the best of two runs."""
    text, layout = folder / "trace.txt", folder / "layout.toml"
    text.write_text(trace(pages, attempts, turn))
    layout.write_text(LAYOUT.format(pages=max(pages, 0x1000)))
    command = [sys.executable, "-c", MEASURED, str(text), str(layout)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(2)]
    return min(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suspects", type=int, default=100_000)
    parser.add_argument("--attempts", type=int, default=2_000)
    options = parser.parse_args()
    shapes = [(name, options.suspects // n, 1, turn) for name, turn in (("wide", 512), ("mixed", 7)) for n in (1, 2)]
    shapes += [("repeated", 16, options.attempts // n, 7) for n in (1, 2)]
    print(f"{'':10} {'pages':>8} {'attempts':>8} {'blame s':>8} {'judging s':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name, pages, attempts, turn in shapes:
            whole, judging, found, blamed = measure(Path(folder), pages, attempts, turn)
            if found != attempts or blamed < pages * attempts:
                raise SystemExit(f"{name}: {found} attempts, {blamed} pages blamed: the trace is not what it should be")
            print(f"{name:10} {pages:8} {attempts:8} {whole:8.2f} {judging:9.2f}")


if __name__ == "__main__":
    main()
