"""The names of copied ring-buffer pages in a directory, which tell it from other directories."""

from __future__ import annotations

import re
from pathlib import Path

from tracereplay.parsers.trace_dat.sections import MAX_CPU

RAW_CPU_FILES = ("per_cpu/cpu*/trace_pipe_raw*", "cpu*/trace_pipe_raw*", "per_cpu/cpu*.raw*", "cpu*.raw*")
RAW_INSTANCE_FILES = "instances/*/per_cpu/cpu*/trace_pipe_raw*"
CPU_NAME = re.compile(r"(?:^|/)cpu(\d{1,5})(?:/trace_pipe_raw|\.raw)(?:\.\w+)?$", re.ASCII)


def raw_cpu_files(root: Path) -> list[tuple[int, Path]]:
    """(cpu, file of its pages), by CPU; empty where the directory is no raw capture."""
    found: dict[int, Path] = {}
    for pattern in RAW_CPU_FILES:
        for path in sorted(root.glob(pattern)):
            name = CPU_NAME.search(path.relative_to(root).as_posix())
            if name and int(name[1]) <= MAX_CPU and path.is_file():
                found.setdefault(int(name[1]), path)
    return sorted(found.items())
