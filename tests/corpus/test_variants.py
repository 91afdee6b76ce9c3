"""The corpora of the benchmarks are real: a variant says what its capture says, at the places it was moved to."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import FIXTURES
from tests.support.trace_variants import (
    BLOCK_PAGES,
    PLANTED,
    PLANTED_CAPTURE,
    PLANTED_TASK,
    Change,
    Original,
    moved_layout,
    moved_log,
)
from tracereplay.model.result import Result, Task


@pytest.mark.parametrize(
    "change", [Change(), Change(5 * BLOCK_PAGES, 1000, 77_000_003, {PLANTED_TASK: PLANTED})], ids=["unmoved", "moved"]
)
def test_a_variant_is_its_capture_moved(tmp_path: Path, change: Change) -> None:
    capture = FIXTURES / PLANTED_CAPTURE
    (tmp_path / "trace.dat").write_bytes(Original(capture / "trace.dat").variant(change))
    for name, text in moved_layout(capture / "layout_before", change, BLOCK_PAGES):
        (tmp_path / "layout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "layout" / name).write_text(text)
    (tmp_path / "dmesg.txt").write_text(moved_log((capture / "dmesg.txt").read_text(), change))
    original = blame(capture, "layout_before")
    assert told(blame(tmp_path, "layout"), change) == told(original, Change())
    holders = [culprit.holder for attempt in original.attempts for culprit in attempt.culprits]
    assert any(holder is not None and holder.comm == PLANTED_TASK for holder in holders)


def blame(folder: Path, layout: str) -> Result:
    session = tracereplay.open([folder / "trace.dat"], layout=folder / layout, kernel_log=folder / "dmesg.txt")
    return session.blame()


def told(result: Result, moved: Change) -> list[tuple[object, ...]]:
    """What matters of a result, moved back."""
    names = {new: old for old, new in moved.names.items()}

    def task(one: Task | None) -> tuple[object, ...] | None:
        if one is None:
            return None
        return (one.tid and one.tid - moved.tid, names.get(str(one.comm), one.comm))

    return [
        (
            attempt.operation, attempt.area, (attempt.start_ns or 0) - moved.time_ns, attempt.outcome, attempt.cause,
            task(attempt.task),
            [((c.start_pfn or 0) - moved.pfn, c.pages, c.cause, c.verdict, task(c.holder)) for c in attempt.culprits],
        )
        for attempt in result.attempts
    ]  # fmt: skip
