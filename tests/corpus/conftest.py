"""Small corpora of real captures; without the libraries of the extra `corpus` nothing here is collected."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.captures import capture, trace_of

LIBRARIES = ("deltalake", "duckdb", "fsspec", "psutil", "scipy")
collect_ignore_glob = [] if all(map(find_spec, LIBRARIES)) else ["test_*.py"]

# The quickest captures to analyse, and what they say: a cause of some attempt, its holder.
QUICK = ("cma_bufferhead", "cma_longterm_fail", "offline_unmovable", "offline_dimm_einval")

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Puts a capture's trace under a name into the corpus of this test, with its layout, log and metadata beside it."""

    def put_one(name: str, where: str, sides: Sequence[str] = ("layout", "log"), metadata: str = "") -> Path:
        path = tmp_path / "traces" / where
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trace_of(capture(name)), path)
        if "layout" in sides:
            shutil.copytree(capture(name) / "layout_before", path.with_suffix(".layout"))
        if "log" in sides:
            shutil.copyfile(capture(name) / "dmesg.txt", path.with_suffix(".dmesg"))
        if metadata:
            path.with_suffix(".toml").write_text(metadata)
        return path

    return put_one
