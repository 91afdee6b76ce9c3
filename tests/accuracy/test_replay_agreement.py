"""The replay agrees with the kernel's own snapshots, and benchmarks/replay_agreement.md says what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.captures import fixture_captures
from tests.support.replay_agreement import Capture, committed, measure

AGREE_AT_LEAST = 0.98
MEASURED = {folder.name: folder for folder in fixture_captures() if next(folder.glob("kpageflags.after.*"), None)}


def test_every_capture_of_the_tree_is_in_the_table() -> None:
    assert MEASURED.keys() <= committed().keys()


@pytest.mark.parametrize("folder", MEASURED.values(), ids=MEASURED.keys())
def test_replay_agrees_with_kpageflags(folder: Path) -> None:
    capture = Capture.open(folder)
    assert capture is not None
    said = committed()[folder.name]
    row = measure(capture, *(round(float(seconds) * 1e9) for seconds in said[2:4]))
    assert row.cells() == said, "run `python -m benchmarks.replay_agreement` and look at what changed"
    assert row.touched
    assert row.agreeing >= AGREE_AT_LEAST * row.touched
    assert row.bitmap is None or row.bitmap[0] == row.bitmap[1]
