"""Compiled code is kept under a digest of all that it depends on, however deep its folder."""

from __future__ import annotations

from pathlib import Path

from tests.support.captures import ROOT
from tracereplay.compiled import kernel_sources


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
