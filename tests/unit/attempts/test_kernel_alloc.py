"""Kernel allocations that fail while only movable memory is free: each sign with a hit and a near miss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.attempt_tables import MS, Row, attempt_events, row
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.kernel_alloc import GAP_NS, MovableOnly, find_kernel_allocs, may_be_any, movable_only
from tracereplay.layout.layout import Layout, Span
from tracereplay.replay.occupancy import StateCount
from tracereplay.replay.state import FAILED_ALLOC

KERNEL, MOVABLE = 0xCC0, 0x100CCA
TASK, OTHER = 7, 8
NO_CULPRIT = np.empty(0, FAILED_ALLOC)


def plenty(free: int = 100, needed: int = 20) -> MovableOnly:
    return MovableOnly(np.array([0, 1 << 40]), np.array([free, free]), needed)


def failed(*rows: tuple[float, int, int, int]) -> npt.NDArray[np.void]:
    return np.array([(int(ms * MS), tid, order, gfp) for ms, tid, order, gfp in rows], FAILED_ALLOC)


def killed(*, gfp: int = KERNEL, kill_ms: float = 40, killer: int = TASK) -> list[DetectedAttempt]:
    reclaims: list[Row] = [row(ms, TASK, order=0, gfp_flags=gfp) for ms in (10, 20, 30)]
    tables = {"mm_vmscan_direct_reclaim_begin": reclaims, "mark_victim": [row(kill_ms, killer, pid=99)]}
    return find_kernel_allocs(attempt_events(tables), NO_CULPRIT, plenty())


def test_an_allocation_without_a_page() -> None:
    (one,) = find_kernel_allocs(attempt_events({}), failed((5, TASK, 1, KERNEL)), plenty())
    assert (one.operation, one.outcome, one.errno, one.cause) == (
        "kernel_alloc",
        "failed",
        "ENOMEM",
        "movable_only_free",
    )
    assert (one.request.pages, one.request.gfp, one.movable_free_pages) == (2, KERNEL, 100)


def test_a_movable_one_is_none() -> None:
    assert find_kernel_allocs(attempt_events({}), failed((5, TASK, 0, MOVABLE)), plenty()) == []


@pytest.mark.parametrize(("free", "found"), [(22, 1), (21, 0), (0, 0)])
def test_only_where_there_was_room_above_the_watermark(free: int, found: int) -> None:
    assert len(find_kernel_allocs(attempt_events({}), failed((5, TASK, 1, KERNEL)), plenty(free))) == found


def test_failures_close_together_are_one() -> None:
    gap_ms = GAP_NS / MS
    rows = failed((5, TASK, 0, KERNEL), (6, TASK, 0, KERNEL), (6, OTHER, 0, KERNEL), (7 + gap_ms, TASK, 0, KERNEL))
    found = find_kernel_allocs(attempt_events({}), rows, plenty())
    assert [(one.tid, len(one.tries)) for one in found] == [(TASK, 2), (OTHER, 1), (TASK, 1)]
    assert len({one.id for one in found}) == 3


def test_two_of_one_task_and_time_have_two_ids() -> None:
    found = find_kernel_allocs(attempt_events({}), failed((5, TASK, 0, KERNEL), (5, TASK, 3, KERNEL)), plenty())
    assert len({one.id for one in found}) == 2


def test_orders_that_cannot_be_are_left_out() -> None:
    assert find_kernel_allocs(attempt_events({}), failed((5, TASK, -1, KERNEL), (6, TASK, 40, KERNEL)), plenty()) == []


def test_a_kill_after_direct_reclaims() -> None:
    (one,) = killed()
    assert (one.start_ns, one.end_ns, len(one.tries), one.cause) == (10 * MS, 40 * MS, 3, "movable_only_free")


def test_kills_for_others_are_none() -> None:
    assert killed(gfp=MOVABLE) == []  # a movable allocation may use that memory
    assert killed(killer=OTHER) == []  # no direct reclaim: a memory cgroup's limit, or sysrq
    assert killed(kill_ms=30 + 1001) == []


def test_a_reclaim_counts_for_one_kill_only() -> None:
    reclaims: list[Row] = [row(10, TASK, order=0, gfp_flags=KERNEL)]
    kills: list[Row] = [row(20, TASK, pid=1), row(30, TASK, pid=2)]
    events = attempt_events({"mm_vmscan_direct_reclaim_begin": reclaims, "mark_victim": kills})
    assert len(find_kernel_allocs(events, NO_CULPRIT, plenty())) == 1


ZONE, AREA = Span("Movable", 0, 100), Span("reserved", 200, 50)


def test_the_bound_is_what_was_seen_free_or_what_the_snapshot_leaves() -> None:
    layout = Layout(source="test", cma_areas=(AREA,), free_movable_pages=80, free_cma_pages=5, movable_min_pages=3)
    counts = [StateCount(1, 10, 1, 30, 0), StateCount(0, 10, 9, 2, 1), StateCount(1, 20, 70, 30, 0)]
    free = movable_only(layout, (AREA, ZONE), counts)
    assert (free.times_ns.tolist(), free.free_pages.tolist()) == ([10], [50 + 9])  # at 20 the area was not counted
    assert free.needed_pages == 3


def test_between_two_counts_the_smaller_holds() -> None:
    free = MovableOnly(np.array([10, 20]), np.array([5, 3]), 0)
    assert [free.at(ns) for ns in (0, 10, 15, 20, 30)] == [5, 5, 3, 3, 3]
    assert MovableOnly(np.empty(0, np.int64), np.empty(0, np.int64), 0).at(5) is None


def test_without_a_snapshot_only_what_was_seen() -> None:
    free = movable_only(Layout(source="test"), (ZONE,), [StateCount(0, 10, 7, 30, 0)])
    assert (free.free_pages.tolist(), free.needed_pages) == ([7], 0)


def test_a_trace_without_need_has_none() -> None:
    assert may_be_any({"mm_page_alloc": 5, "mark_victim": 1})
    assert not may_be_any({"mm_page_alloc": 5})
    assert not may_be_any({"mark_victim": 1})
