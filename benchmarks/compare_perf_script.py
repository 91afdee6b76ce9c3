"""Compare perf.data files with `perf script`, field by field, and the CPU time of both.

.venv/bin/python -m benchmarks.compare_perf_script ../shared/captures/*/perf.data
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.decode import best
from tests.support.perf_script_compare import PERF, compare, write_script
from tracereplay.parsers.perf_data.reader import PerfDataReader

ROUNDS = 5


def script_seconds(path: Path) -> float:
    """Least CPU time of perf script."""
    assert PERF is not None
    taken = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [PERF, "script", "-i", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken)


def _tables(path: Path) -> object:
    return PerfDataReader(path).tables()


def main(paths: list[str]) -> int:
    """Print one row per file; 1 when any differs."""
    if PERF is None:
        print("perf is not installed", file=sys.stderr)
        return 2
    differing = 0
    print(f"{'file':40} {'rows':>9} {'values':>9} {'differ':>7} {'perf s':>7} {'ours s':>7} {'ratio':>6}")
    for path in map(Path, paths or ["fixtures/captures/cma_pin_vmsplice_perf/perf.data"]):
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder) / "script.txt"
            write_script(path, text)
            result = compare(path, text)
        theirs, ours = script_seconds(path), best(ROUNDS, partial(_tables, path))
        name = f"{path.parent.name}/{path.name}"
        print(
            f"{name:40} {result.rows:9} {result.values:9} {result.differing:7} {theirs:7.3f} {ours:7.3f} "
            f"{theirs / ours:6.1f}",
            flush=True,
        )
        for difference in result.differences:
            print(f"    {difference}")
        differing += result.differing
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
