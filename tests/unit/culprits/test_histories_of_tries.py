"""Short histories of attempts with several tries, or with one that a signal or the want of memory ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.event_histories import (
    AREA,
    AREA_END,
    BLOCK,
    DRIVER,
    MS,
    PFN,
    PROVED,
    A,
    B,
    C,
    History,
    S,
    Who,
    only,
    told,
)

OTHER = PFN + 8
D = Who("task-d", 104)
NO_DESTINATION = (
    "mm_page_alloc: page=(null) pfn=0x0 order=0 migratetype=1 gfp_flags=GFP_USER|__GFP_MOVABLE|__GFP_RETRY_MAYFAIL"
)


def retried(h: History, first: int) -> None:
    """The range is tested in vain, and tried again."""
    h.event(DRIVER, f"test_pages_isolated: start_pfn={AREA:#x} end_pfn={AREA_END:#x} fin_pfn={first:#x} ret=fail")
    h.event(DRIVER, f"cma_alloc_busy_retry: name=reserved pfn={AREA:#x} page=00000000deadbeef count=1024 align=0")


def tried(h: History, pfns: list[int]) -> None:
    """The range is scanned and migrated, in vain."""
    h.isolate(pfns)
    h.scan(len(pfns))
    h.migrate_start()
    h.migrate_end(len(pfns))
    h.put_back(pfns)


def ended(h: History, errno: int) -> None:
    """The attempt ends with this errno, without a test."""
    h.event(DRIVER, f"cma_alloc_finish: name=reserved pfn={AREA:#x} page=(null) count=1024 align=0 errorno=-{errno}")
    h.wait(MS)


def test_a_page_taken_between_two_tries_blocks_the_second(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.anon(B, OTHER)
    h.get(C, OTHER)
    h.cma_start()
    tried(h, [PFN, OTHER])
    retried(h, OTHER)
    h.get(A)
    tried(h, [PFN, OTHER])
    h.cma_end(PFN)
    h.put(A)
    h.put(C, OTHER)
    result = h.blame(tmp_path)
    assert told(result) == PROVED
    assert [only(result, pfn).blocked_tries for pfn in (PFN, OTHER)] == [[(1, 1)], [(0, 1)]]


def test_a_page_that_is_another_at_the_second_try(tmp_path: Path) -> None:
    """The pages of two lives have one page frame, and two holders."""
    h = History()
    h.anon(B)
    h.get(A)
    h.cma_start()
    tried(h, [PFN])
    retried(h, PFN)
    h.put(A)
    h.rmap(-1)
    h.put(B)
    h.event(B, f"mm_page_free: page=00000000deadbeef pfn={PFN:#x} order=0")
    h.anon(C)
    h.get(D)
    tried(h, [PFN])
    h.cma_end()
    h.put(D)
    assert told(h.blame(tmp_path)) == [*PROVED, "task_reference proved, task-d proved"]


@pytest.mark.parametrize(("errno", "cause"), [(12, "destination_enomem"), (4, "interrupted")])
def test_what_ends_an_attempt_at_once_was_no_page(errno: int, cause: str, tmp_path: Path) -> None:
    """migrate_pages() and the loop around it return -ENOMEM and -EINTR; A's page of that batch is not tried."""
    h = History()
    h.anon(B)
    h.get(A)
    h.anon(C, OTHER)
    h.cma_start()
    h.isolate([PFN, OTHER])
    h.scan(2)
    if errno == 12:
        h.migrate_start()
        h.event(DRIVER, NO_DESTINATION)
        h.migrate_end(1)
    h.put_back([PFN, OTHER])
    ended(h, errno)
    h.put(A)
    result = h.blame(tmp_path)
    (attempt,) = result.attempts
    row = only(result)
    assert (attempt.cause, row.effect, row.verdict, row.blocked_tries) == (cause, "would_block", "proved", [])
    assert row.holder is not None
    assert row.holder.comm == A.comm


def test_a_page_that_blocked_before_the_signal(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.cma_start()
    tried(h, [PFN])
    retried(h, PFN)
    h.isolate()
    h.scan(1)
    h.put_back()
    ended(h, 4)
    h.put(A)
    row = only(h.blame(tmp_path))
    assert (row.effect, row.blocked_tries, row.verdict) == ("blocked", [(0, 0)], "proved")


@pytest.mark.parametrize(("failed", "outcome"), [(1, "interrupted"), (0, "failed")])
def test_how_an_offline_ended_that_left_no_test(failed: int, outcome: str, tmp_path: Path) -> None:
    """Without pages that stayed, hugetlb pages that cannot be dissolved end it as well as a signal."""
    h, shell, pfn = History(), Who("sh", 150, 1), BLOCK + 0x100
    h.event(shell, "test_pages_isolated: start_pfn=0x10000 end_pfn=0x18000 fin_pfn=0x18000 ret=success")
    h.wait(MS)
    h.anon(B, pfn)
    h.isolate([pfn], shell)
    h.migrate_start("memory_hotplug", shell)
    if not failed:
        h.freeze(shell, pfn)
    h.migrate_end(failed, "memory_hotplug", shell, moved=1 - failed)
    h.wait(2 * S)
    (attempt,) = (one for one in h.blame(tmp_path).attempts if one.outcome != "succeeded")
    assert (attempt.outcome, attempt.errno) == (outcome, "EINTR" if failed else None)
