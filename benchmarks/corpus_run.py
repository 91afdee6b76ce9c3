"""What a corpus run costs beside the analyses themselves, and whether the number of workers changes anything.

    python -m benchmarks.corpus_run TRACES STORE [--jobs N] [--sample 100] [--same-as STORE]

TRACES -- as benchmarks.corpus_traces makes them. Single-trace analysis is `Session.blame()` on every so manieth trace,
one after the other in one warm process, before the run and after it. The run is timed as a whole: driver, child
processes, hashing, writing, committing. Both in CPU seconds (user + system), which other load disturbs least.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psutil

from tracereplay.corpus.analyse_one import analysis_version
from tracereplay.corpus.batches import Order
from tracereplay.corpus.executors import local_workers
from tracereplay.corpus.run import Summary, run
from tracereplay.corpus.sandbox import Limits
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import FOUND
from tracereplay.discovery.discover import discover
from tracereplay.discovery.sources import Source

MIB = 1 << 20
TIMES = ("analysed_at", "seconds", "cpu_seconds")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--same-as", type=Path)
    args = parser.parse_args()
    broken = set(json.loads((args.traces / "planted.json").read_text())["broken"])
    sources = list(discover([str(args.traces.absolute())], lambda _path: {}))
    fine = [one for one in sources if str(Path(one.path).relative_to(args.traces.absolute())) not in broken]
    singles = [_single_elsewhere(fine, args.sample)]
    print(f"single-trace analysis before: {singles[0]:.4f} CPU s a trace", flush=True)

    store, sizes = Store.create(str(args.store)), list[tuple[int, int]]()
    before, began = _cpu_seconds(), time.monotonic()

    def watch(summary: Summary) -> None:
        memory = psutil.Process().memory_info()
        sizes.append((summary.done, (memory.rss - memory.shared) // MIB))

    with local_workers(args.jobs) as workers:
        summary = run(store, discover([str(args.traces)], lambda _p: {}), workers, _order(store), watch)
    spent, wall = _cpu_seconds() - before, time.monotonic() - began
    singles.append(_single_elsewhere(fine, args.sample))
    print(f"single-trace analysis after: {singles[1]:.4f} CPU s a trace")
    single, each = sum(singles) / 2, spent / max(len(fine), 1)
    print(f"run with {args.jobs} jobs: {summary.done} traces, {summary.by_status}, {wall:.0f} s")
    print(f"  {each:.4f} CPU s a trace, {each / single - 1:+.1%} to single-trace analysis; {summary.done / wall:.1f}/s")
    tenths = [sizes[place * (len(sizes) - 1) // 10] for place in range(11)]
    memory = ", ".join(f"{done}: {mib}" for done, mib in tenths)
    print(f"  driver's own memory (without mapped files), MiB, after so many traces: {memory}")
    if args.same_as is not None:
        same = {name: _rows(store, name) == _rows(Store(str(args.same_as)), name) for name in ("runs", *FOUND)}
        print(f"  equal to {args.same_as}: {same}")
    return 0


def _order(store: Store) -> Order:
    return Order(store.url, analysis_version(), Limits())


def _single_elsewhere(sources: list[Source], sample: int) -> float:
    """In a process of its own, so that the driver's memory is the driver's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        return alone.submit(_single, sources, sample).result()


def _single(sources: list[Source], sample: int) -> float:
    """CPU seconds of one analysis in a warm process."""
    step = max(len(sources) // sample, 1)
    chosen = sources[::step][:sample]
    for one in chosen[:5]:  # kernels are loaded, allocators have grown
        _blame(one)
    began = time.process_time()
    for one in chosen:
        _blame(one)
    return (time.process_time() - began) / len(chosen)


def _blame(source: Source) -> None:
    from tracereplay.session import Session  # noqa: PLC0415  (the driver does without)

    Session([source.path], layout=source.sides["layout"], kernel_log=source.sides["kernel_log"]).blame()


def _cpu_seconds() -> float:
    """Of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _rows(store: Store, name: str) -> list[str]:
    table = store.rows(name).to_table()
    table = table.drop_columns([column for column in TIMES if column in table.column_names])
    return sorted(map(repr, table.to_pylist()))


if __name__ == "__main__":
    raise SystemExit(main())
