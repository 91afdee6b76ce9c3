"""Compiled code is kept under a digest of all that it depends on, however deep its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from tests.support.captures import ROOT
from tracereplay.compiled import DIGEST, TRIED, cache_key, config, kernel_sources


def test_kernels_of_every_depth_are_in_the_digest(tmp_path: Path) -> None:
    for name in ("schema.py", "replay/state.py", "replay/a_kernels.py", "parsers/text/fast/b_kernels.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "parsers" / "text" / "plain.py").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in kernel_sources(tmp_path)]
    assert found == ["parsers/text/fast/b_kernels.py", "replay/a_kernels.py", "replay/state.py", "schema.py"]


def test_kernels_behind_linked_folders_are_in_the_digest() -> None:
    root = ROOT / "tracereplay"
    found = {path.name for path in kernel_sources(root)}
    assert {"replay_kernels.py", "line_kernels.py", "load_kernels.py", "record_kernels.py"} <= found


def test_two_versions_of_numba_share_no_folder() -> None:
    """The code of one would be read as the other's: LLVM does not load bitcode of a later LLVM."""
    assert len({cache_key(DIGEST, version) for version in ("0.60.0", "0.68.1")} | {DIGEST}) == 3
    assert Path(config.CACHE_DIR).name == cache_key(DIGEST, numba.__version__)


# Calls one kernel; prints how often it was found compiled.
CALL = """
import numpy as np
from tracereplay.parsers.events.table_kernels import take_columns
take_columns(np.arange(6).reshape(3, 2), np.array([2, 0]), out := np.empty((2, 2), np.int64))
assert out.tolist() == [[4, 0], [5, 1]]
print(sum(take_columns.stats.cache_hits.values()))
"""


def found_compiled(cache: Path, shipped: Path) -> int:
    """The same in a process of its own, with these folders for the user's kernels and for those of a wheel."""
    folders = {"NUMBA_CACHE_DIR": str(cache), "TRACEREPLAY_BUILD_KERNELS": str(shipped)}
    done = subprocess.run(
        [sys.executable, "-c", CALL], env={**os.environ, **folders}, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(numba.version_info.short not in TRIED, reason="this numba keeps code in its own way")
def test_kernels_of_a_wheel_are_used_as_they_are(tmp_path: Path) -> None:
    """Compiled once, for the wheel; what is then installed elsewhere finds it, and the user's cache stays empty."""
    built, installed = tmp_path / "built", tmp_path / "installed"
    assert found_compiled(tmp_path / "a", built) == 0
    built.rename(installed)
    assert found_compiled(tmp_path / "b", installed) == 1
    assert not list((tmp_path / "b").rglob("*.nbi"))
