"""The same capture read as trace.dat, as trace-cmd text and as ftrace text tells the same story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import tracereplay
from tests.support.captures import FIXTURES, SHARED

TEXTS = ("report.txt.gz", "trace.txt.gz", "report.txt", "trace.txt")
CAPTURES = (
    FIXTURES / "mixed_nopageref",
    SHARED / "captures" / "cma_bufferhead",
    SHARED / "captures" / "k72_cma_fuse_writeback",
    SHARED / "captures" / "offline_unmovable",
)


def story(trace: Path) -> dict[str, list[Any]]:
    """Attempts, tries and culprits, without times (text has microseconds) and without what they rest on."""
    result = tracereplay.open(
        trace, layout=trace.parent / "layout_before", kernel_log=trace.parent / "dmesg.txt"
    ).blame()
    told: dict[str, list[Any]] = {"attempts": [], "culprits": []}
    for number, attempt in enumerate(result.attempts):
        tries = [(one.start_pfn, one.end_pfn, one.result, one.first_blocking_pfn) for one in attempt.tries]
        told["attempts"].append((attempt.task, attempt.operation, attempt.outcome, attempt.errno, attempt.cause, tries))
        for row in attempt.culprits:
            place = (number, row.start_pfn, row.pages, row.effect, row.primary, row.blocked_tries)
            told["culprits"].append((place, row.cause, row.verdict, row.holder, row.holder_verdict, row.holder_name))
    return {name: msgspec.to_builtins(rows) for name, rows in told.items()}


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_texts_tell_what_the_binary_tells(capture: Path) -> None:
    if not capture.is_dir():
        pytest.skip(f"{capture.name} is read from ../shared/captures, which is not here")
    texts = [capture / name for name in TEXTS if (capture / name).exists()]
    assert texts
    expected = story(capture / "trace.dat")
    assert expected["attempts"]
    for text in texts:
        assert story(text) == expected, text.name
