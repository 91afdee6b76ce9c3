"""What a report begins with: blockers ranked by attempts blocked, never by pages."""

from __future__ import annotations

from hypothesis import given, settings

from tests.support import result_examples as example
from tests.support.result_strategies import RESULTS
from tracereplay.model.blame import sum_up
from tracereplay.model.result import Allocation, Attempt, Culprit, Result, Task
from tracereplay.model.summary import summarise

THP = Task(tid=148, comm="pin-thp")


def buffers(number: int, **changes: object) -> list[Culprit]:
    """14 pages in 7 runs, of one device."""
    return [
        example.culprit(
            id=f"a{number}/b{n}", start_pfn=0x1E600 + 4 * n, pages=2, cause="buffer_head", holder=None,
            holder_name="file system metadata of 254:16", **changes,
        )
        for n in range(7)
    ]  # fmt: skip


def four() -> list[Attempt]:
    """Few metadata pages block all four, a huge folio two of them."""
    attempts = []
    for number in range(4):
        huge = [example.culprit(id=f"a{number}/h", start_pfn=0x1E000, pages=512, holder=THP)] if number < 2 else []
        attempts.append(example.attempt(id=f"a{number}", culprits=[*huge, *buffers(number)], cause="buffer_head"))
    return [*attempts, example.attempt(id="fine", outcome="succeeded", errno=None, culprits=[])]


def test_what_blocks_most_attempts_comes_first_though_it_has_fewer_pages() -> None:
    (summary,) = summarise(four())
    assert (summary.operation, summary.area, summary.attempts, summary.failed) == ("cma_alloc", "reserved", 5, 4)
    metadata, huge = summary.blockers
    assert (metadata.cause, metadata.pages, metadata.blocked) == ("buffer_head", 14, ["a0", "a1", "a2", "a3"])
    assert (huge.holder, huge.pages, huge.blocked, huge.start_pfn) == (THP, 512, ["a0", "a1"], 0x1E000)
    assert len(metadata.culprit_ids) == 28
    assert [row.blocked for row in sum_up(four())] == [4, 2]


def test_of_a_success_nothing_is_blocked_only_delayed() -> None:
    (summary,) = summarise(example.delayed().attempts)
    assert (summary.failed, summary.delayed) == (0, 1)
    (fuse,) = summary.blockers
    assert (fuse.blocked, fuse.delayed, fuse.delay_ns) == ([], [example.attempt().id], 15_000_000_000)


def test_pages_without_a_holder_are_known_by_who_allocated_them() -> None:
    lone = {"holder": None, "holder_verdict": "unknown", "cause": "extra_reference"}
    by = [Allocation(tid=tid, comm="app", order=9) for tid in (1, 1, 2)]
    culprits = [example.culprit(id=f"{n}", start_pfn=n, allocated_by=one, **lone) for n, one in enumerate(by)]
    (summary,) = summarise([example.attempt(culprits=culprits)])
    assert [(b.allocated_by and b.allocated_by.tid, b.pages) for b in summary.blockers] == [(1, 2), (2, 1)]


def test_what_would_only_block_counts_for_nothing_and_failures_without_a_cause_are_named() -> None:
    (summary,) = summarise([example.attempt(cause=None, culprits=[example.culprit(effect="would_block")])])
    assert summary.blockers == []
    assert summary.unexplained == [example.attempt().id]


def test_a_cause_of_the_whole_attempt_is_a_blocker_too() -> None:
    (summary,) = summarise([example.attempt(cause="bitmap_full", culprits=[])])
    assert [(b.cause, b.blocked, b.pages) for b in summary.blockers] == [("bitmap_full", [example.attempt().id], 0)]


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_every_failed_attempt_is_explained_or_named(result: Result) -> None:
    for number, attempt in enumerate(result.attempts):
        attempt.id = f"a{number}"
    summaries = summarise(result.attempts)
    counted = {a.id for a in result.attempts if not a.inventory}
    assert sum(s.attempts for s in summaries) == len(counted)
    for summary in summaries:
        failed = {a.id for a in result.attempts if a.operation == summary.operation and a.id in counted
                  if a.outcome != "succeeded"}  # fmt: skip
        blocked = {name for b in summary.blockers for name in b.blocked}
        assert blocked | set(summary.unexplained) == failed
        order = [len(b.blocked) for b in summary.blockers]
        assert order == sorted(order, reverse=True)
        assert all(b.pages <= sum(c.pages for a in result.attempts for c in a.culprits) for b in summary.blockers)
