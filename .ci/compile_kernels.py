"""Compile every kernel that a usual run needs, for a wheel to carry: python .ci/compile_kernels.py FOLDER

Runs the command line on captures of the tree, one of each format and with each kind of events; FOLDER gets the code.
What these inputs do not need is compiled on the user's machine, as it is without a wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.event_histories import LAYOUT, held_by  # noqa: E402

CAPTURES = ROOT / "fixtures" / "captures"


def runs(folder: Path) -> list[list[str]]:
    """Arguments of each run; folder -- where texts and data sets may be put."""
    (folder / "trace.txt").write_text(held_by().text())
    (folder / "layout.toml").write_text(LAYOUT)
    found = [["blame", str(folder / "trace.txt"), "--layout", str(folder / "layout.toml")]]
    for capture in sorted(CAPTURES.iterdir()):
        trace = next(path for name in ("trace.dat", "perf.data") if (path := capture / name).exists())
        layout = capture / "layout_before"
        found.append(["blame", str(trace), *(["--layout", str(layout)] if layout.is_dir() else [])])
    for name in ("cma_pin_vmsplice/trace.dat", "cma_pin_vmsplice_perf/perf.data"):
        data = folder / name.replace("/", "-")
        found += [["ingest", str(CAPTURES / name), "--output", str(data)], ["blame", str(data)]]
    example = str(CAPTURES / "cma_pin_vmsplice" / "trace.dat")
    found += [["info", example], ["page", "0x1e403", example], ["whatif", example]]
    return found


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    environment = {**os.environ, "TRACEREPLAY_BUILD_KERNELS": str(target), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as cache:
        environment["NUMBA_CACHE_DIR"] = cache
        for arguments in runs(Path(cache)):
            command = [sys.executable, "-m", "tracereplay", *arguments]
            done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
            if done.returncode > 1:  # 1: failed attempts were found
                raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip()}")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
