"""Compare every trace.dat below the given folders with `trace-cmd report -R -t`, field by field.

.venv/bin/python -m benchmarks.compare_trace_cmd ../shared/captures
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.support.trace_cmd_compare import TRACE_CMD, compare


def main(paths: list[str]) -> int:
    """Print one row per trace; 1 when any differs."""
    if TRACE_CMD is None:
        print("trace-cmd is not installed", file=sys.stderr)
        return 2
    differing = 0
    print(f"{'trace':44} {'lines':>9} {'values':>9} {'differ':>7} {'s':>6}")
    for root in paths or ["../shared/captures"]:
        for path in sorted(Path(root).rglob("*.dat")) if Path(root).is_dir() else [Path(root)]:
            begin = time.perf_counter()
            result = compare(path)
            took = time.perf_counter() - begin
            name = path.parent.name if path.name == "trace.dat" else path.name
            print(f"{name:44} {result.lines:9} {result.values:9} {result.differing:7} {took:6.1f}", flush=True)
            for text in result.differences:
                print(f"    {text}")
            differing += result.differing
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
