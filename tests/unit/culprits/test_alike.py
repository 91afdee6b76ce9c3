"""Suspects that are decided together: where their facts differ in nothing but a time, that time is compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.event_histories import BLOCK, BLOCK_END, MS, A, B, C, History, Who, culprits
from tracereplay.culprits import alike

IN_BLOCK = [BLOCK + 0x100 + 2 * place for place in range(12)]
SHELL = Who("sh", 150, 1)


@pytest.fixture(params=[2, 1 << 40], ids=["together", "alone"])
def _grouping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: suspects alike are decided together, and each for itself."""
    monkeypatch.setattr(alike, "FEWEST_COMPARED", request.param)


def take_over(h: History, pfns: Sequence[int]) -> None:
    """A gets what C releases: the count is the same before and after."""
    for pfn in pfns:
        h.get(A, pfn)
        h.put(C, pfn)


@pytest.mark.usefixtures("_grouping")
def test_gets_before_and_after_the_last_migration(tmp_path: Path) -> None:
    """C's plain references held all pages at first; A takes them over, of some before migrate_pages() comes back."""
    h = History()
    for pfn in IN_BLOCK:
        h.anon(B, pfn)
        h.mod(C, pfn)
    h.wait(MS)
    for early, late in (((), ()), (IN_BLOCK[:6], IN_BLOCK[6:])):
        h.isolate(IN_BLOCK, SHELL)
        h.migrate_start("memory_hotplug", SHELL)
        take_over(h, early)
        h.migrate_end(len(IN_BLOCK), "memory_hotplug", SHELL)
        take_over(h, late)
        h.put_back(IN_BLOCK, SHELL)
    failed = f"start_pfn={BLOCK:#x} end_pfn={BLOCK_END:#x} fin_pfn={IN_BLOCK[0]:#x} ret=fail"
    h.event(SHELL, f"test_pages_isolated: {failed}")
    for pfn in IN_BLOCK:
        h.put(A, pfn)
    result = h.blame(tmp_path)
    takers = [{row.taken_by and row.taken_by.tid for row in culprits(result, pfn)} for pfn in IN_BLOCK]
    assert takers == [{A.tid}] * 6 + [{None}] * 6
